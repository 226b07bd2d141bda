"""Formats of other distributions: asked by content where no format of ours is certain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

import diskimage
from diskimage.errors import UnknownFormatError
from tests.makers.iso import volume
from tests.opening.test_detection import mbr

Plugin: TypeAlias = Callable[[str, str], None]
GOOD = """\
from diskimage.formats.raw import open_raw
from diskimage.model import Bid, Format

def probe(look):
    assert len(look.head) <= 102400 and len(look.tail) <= 65536
    return Bid(95, "XMAG at 0") if look.head[:4] == b"XMAG" else None

FORMAT = Format("x", "a format of others", (".x",), frozenset({"read"}), probe, open_raw)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """`plugin(module, code)` is a distribution with one format, found on the path."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(place)

    def install(module: str, code: str) -> None:
        (place / f"{module}.py").write_text(code, encoding="ascii")
        about = place / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(
            f"[diskimage.formats]\n{module} = {module}:FORMAT\n"
        )

    return install


def told(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    with diskimage.open(folder / name) as image:
        return image.format


@pytest.mark.parametrize("name", ["c.x", "c.bin", "c.img", "c", "c.raw", "c.iso"])
def test_a_plugin_knows_its_content_under_any_name(
    name: str, plugin: Plugin, tmp_path: Path
) -> None:
    plugin("x_by_content", GOOD)
    assert told(tmp_path, name, b"XMAG".ljust(4096, b"\0")) == "x"
    assert told(tmp_path, name, b"XMAG" + mbr()[4:]) == "x"


def test_what_is_certain_or_not_its_own_stays_what_it_is(plugin: Plugin, tmp_path: Path) -> None:
    plugin("x_of_others", GOOD)
    assert told(tmp_path, "a.iso", volume()) == "iso"
    assert told(tmp_path, "a.img", bytes(4096)) == "raw"
    with pytest.raises(UnknownFormatError):
        told(tmp_path, "a.x", b"noise" * 4000)


@pytest.mark.parametrize(
    "code", ["raise ZeroDivisionError('at import')", "FORMAT = 5", "import not_there"]
)
def test_a_broken_plugin_is_left_out_and_told(code: str, plugin: Plugin, tmp_path: Path) -> None:
    broken = f"x_broken_{len(code)}"
    plugin(broken, code)
    plugin(f"x_beside_{len(code)}", GOOD)
    with pytest.warns(RuntimeWarning, match=f"{broken} .* is left out"):
        assert told(tmp_path, "c.bin", b"XMAG".ljust(4096, b"\0")) == "x"
    with pytest.warns(RuntimeWarning, match=broken), pytest.raises(UnknownFormatError):
        told(tmp_path, "unk.bin", b"noise" * 4000)
    with pytest.warns(RuntimeWarning, match=broken):
        names = [rules.name for rules in diskimage.list_formats().formats]
    assert names[-1] == "x"
    assert "raw" in names


def test_a_probe_that_raises_is_left_out(plugin: Plugin, tmp_path: Path) -> None:
    plugin("x_raising", GOOD.replace("    assert", "    look.head[1 << 40]\n    assert"))
    with pytest.warns(RuntimeWarning, match="IndexError"):
        assert told(tmp_path, "a.img", b"noise" * 512) == "raw"
