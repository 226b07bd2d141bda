"""Ghost images are named, described as far as the facts go, and never read as anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import CorruptError, DiskImageError, TruncatedError, UnsupportedError
from tests.makers.ghost import ghost


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_the_header_is_described(tmp_path: Path) -> None:
    told = diskimage.info(written(tmp_path, "a.gho", ghost()))
    assert told.format == "ghost"
    assert told.variant == "first file, fast compression 2"
    assert told.info["id"] == "1234ABCD"
    assert told.info["encrypted"] is False
    assert [warning.kind for warning in told.warnings] == ["unsupported"]
    span = diskimage.info(written(tmp_path, "a.ghs", ghost(type=9, compression=6, flags=2)))
    assert span.variant == "span, zlib level 6"
    assert span.info["encrypted"] is True


JOBS: dict[str, Callable[[Path, Path], object]] = {
    "hash": lambda path, _: diskimage.hash(path),
    "convert": lambda path, out: diskimage.convert(path, out / "a.raw"),
    "compare": lambda path, _: diskimage.compare(path, path),
    "map": lambda path, _: list(diskimage.map(path).records),
}


@pytest.mark.parametrize("job", JOBS)
def test_the_guest_is_refused_with_the_reason(job: str, tmp_path: Path) -> None:
    path = written(tmp_path, "a.gho", ghost())
    with pytest.raises(UnsupportedError, match="layout is not public"):
        JOBS[job](path, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.gho"]


def test_a_check_says_that_it_cannot(tmp_path: Path) -> None:
    found = diskimage.check(written(tmp_path, "a.gho", ghost()))
    assert {problem.kind for problem in found.problems} == {"unsupported"}


@pytest.mark.parametrize("name", ["a.v2i", "A.IV2I", "a.sv2i"])
def test_system_recovery_is_told_by_its_suffix(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="V2I") as caught:
        diskimage.open(written(tmp_path, name, bytes(range(256)) * 16))
    assert "restore it" in str(caught.value.remedy)


def test_what_is_no_header_is_no_ghost(tmp_path: Path) -> None:
    for content in (ghost(type=3), ghost(compression=11), ghost()[:100], b"\xfe\xef"):
        with pytest.raises(DiskImageError) as caught:
            diskimage.open(written(tmp_path, "a.bin", content))
        assert caught.value.kind == "unknown-format"
    with pytest.raises(CorruptError):
        diskimage.open(written(tmp_path, "a.gho", ghost(type=3)), format="ghost")
    with pytest.raises(TruncatedError):
        diskimage.open(written(tmp_path, "a.gho", ghost()[:100]), format="ghost")
