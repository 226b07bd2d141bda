"""Who may import what, beyond the layers that import-linter holds; and what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.rows import ROOT

PACKAGE = ROOT / "diskimage"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A module or package, and the parts of ours that may import it.
ONLY = {
    "diskimage._kernels": ("kernels",),
    "diskimage.reference": ("kernels", "reference"),
    "construct": ("parse", "encryption", "formats", "filesystems", "volumes"),
    "pycdlib": ("filesystems/iso9660_author",),
    "click": ("cli",),
    "rich": ("cli",),
}
HEAVY = {"construct", "pycdlib", "asyncio", "rich", "click", "importlib.metadata"}


def part(path: Path) -> str:
    """A module's name below the package: `formats/cue`, `image`."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__")


def imported(path: Path) -> Iterator[str]:
    """Every name that a module imports, in full: `a.b` and `a.b.c` for `from a.b import c`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def within(name: str, *places: str, separator: str) -> bool:
    """Whether a name is one of some places, or below it."""
    return any(name == place or name.startswith(place + separator) for place in places)


def test_modules_import_only_what_they_may() -> None:
    found = {
        f"{part(path)} imports {name}"
        for path in MODULES
        for name in imported(path)
        for module, allowed in ONLY.items()
        if within(name, module, separator=".")
        if not within(part(path), *allowed, separator="/")
    }
    assert found == set()


def test_nothing_below_imports_the_public_face() -> None:
    ours = {part(path).partition("/")[0] for path in MODULES} | {"_kernels"}
    found = {
        f"{part(path)} imports {name}"
        for path in MODULES
        if part(path) not in {"__init__", "__main__"}
        for name in imported(path)
        if name.startswith("diskimage.") and name.split(".")[1] not in ours
    }
    assert found == set(), "a name comes from the module that makes it"


def loaded_after(statement: str, *arguments: str) -> set[str]:
    """The modules that a fresh interpreter holds after a statement."""
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_is_light() -> None:
    loaded = loaded_after("import diskimage") - loaded_after("pass")
    assert "diskimage" in loaded
    assert loaded & HEAVY == set()


def test_opening_is_as_light_as_the_format_allows() -> None:
    loaded = loaded_after("import diskimage; diskimage.open(bytes(512), format='raw').close()")
    assert loaded & (HEAVY - {"construct"}) == set()


COPYING = """
import diskimage, sys
sys.argv[1:] = ["copy", sys.argv[1], sys.argv[2]]
from diskimage.cli import main
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
"""
NEEDLESS = {
    "construct", "pycdlib", "asyncio", "rich", "importlib.metadata", "concurrent.futures",
    "logging", "hashlib", "secrets", "random", "zstandard", "isal", "deflate", "html",
    "diskimage.image", "diskimage.gate", "diskimage.registry", "diskimage.engine.frames",
    "diskimage.engine.picture", "diskimage.jobs.readback",
}  # fmt: skip


def test_a_copy_of_bytes_loads_no_formats_codecs_or_digests(tmp_path: Path) -> None:
    source, target = tmp_path / "a.img", tmp_path / "b.img"
    source.write_bytes(bytes(range(256)) * 4096)
    loaded = loaded_after(COPYING, str(source), str(target))
    assert target.read_bytes() == source.read_bytes()
    assert "diskimage.jobs.copy" in loaded
    assert loaded & NEEDLESS == set()
