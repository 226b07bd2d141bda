"""Every format has its page and its maker; versions, extras and peers are told once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.house.test_style import PYTHON, place
from tests.rows import ROOT, table

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMATS = {
    path.stem
    for path in (ROOT / "diskimage/formats").glob("[a-z]*")
    if path.suffix == ".py" or (path / "__init__.py").exists()
}


def test_there_are_formats() -> None:
    assert {"cue", "iso", "qcow2", "raw", "vdi"} <= FORMATS


def test_every_format_has_a_page_and_every_page_a_format() -> None:
    assert {page.stem for page in (ROOT / "docs/formats").glob("*.md")} == FORMATS


def test_every_format_has_a_maker() -> None:
    assert {maker.stem for maker in (ROOT / "tests/makers").glob("*.py")} >= FORMATS


def test_a_maker_is_not_our_writer() -> None:
    makers = [ROOT / f"tests/makers/{name}.py" for name in sorted(FORMATS)]
    using = [maker.stem for maker in makers if "import diskimage" in maker.read_text("utf-8")]
    using += [maker.stem for maker in makers if "from diskimage" in maker.read_text("utf-8")]
    assert using == []


def test_the_public_module_is_a_list_of_names() -> None:
    lines = (ROOT / "diskimage/__init__.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 80


def test_the_version_is_the_projects() -> None:
    import diskimage

    assert diskimage.__version__ == PROJECT["version"]


def test_all_is_every_extra() -> None:
    extras = PROJECT["optional-dependencies"]
    named = re.fullmatch(r"py-diskimage\[(.*)\]", extras["all"][0])
    assert named is not None
    assert set(named[1].split(",")) == set(extras) - {"all"}


def test_the_package_is_typed() -> None:
    assert (ROOT / "diskimage/py.typed").exists()


def test_every_peer_of_a_test_is_installed_by_the_continuous_run() -> None:
    asked = {
        name
        for path in PYTHON
        if path.is_relative_to(ROOT / "tests") and path.name != "conftest.py"
        for name in re.findall(r"\bpeer\(\s*\"([^\"]+)\"", path.read_text(encoding="utf-8"))
    }
    assert asked <= {row["tool"] for row in table(ROOT / "tests/peers.tsv")}


def test_tests_find_tools_through_the_fixture() -> None:
    tests = [path for path in PYTHON if path.is_relative_to(ROOT / "tests")]
    own = {ROOT / "tests/conftest.py", Path(__file__)}
    looking = [place(at) for at in tests if "shutil.which" in at.read_text("utf-8")]
    assert set(looking) - {place(path) for path in own} == set(), "peer() fails where it must"
