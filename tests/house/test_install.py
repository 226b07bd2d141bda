"""What is installed: with a compiler and without, from a copy of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rows import ROOT

BUILD = ("pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md")
MADE = shutil.ignore_patterns("*.so", "*.o", "__pycache__", "_kernels.c")

# Says which kernels it runs on, every warning it gave, and whether reading and hashing work.
TRIAL = """
import hashlib, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import diskimage
    from diskimage.kernels import extension
    content = bytes(range(256)) * 1024 + bytes(1 << 20)
    with diskimage.open(content, format="raw") as image:
        assert image.read(0, image.size) == content
    from diskimage.kernels import checksums, digests
    assert checksums.crc32c(b"123456789") == 0xE3069283
    assert digests.blocks("md5", b"abc", 4096) == hashlib.md5(b"abc").digest()
told = [str(one.message) for one in said if one.category is RuntimeWarning]
print(extension.NATIVE, len(told), diskimage.__file__)
"""


def wheel(tree: Path, compiler: str) -> Path:
    """A wheel built from a copy of the tree."""
    for part in ("_native", "diskimage"):
        shutil.copytree(ROOT / part, tree / part, ignore=MADE)
    for part in BUILD:
        shutil.copy(ROOT / part, tree / part)
    options = ["--no-build-isolation", "--no-deps", "--quiet", "--wheel-dir", str(tree / "out")]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(tree)]
    env = {**os.environ, "CC": compiler}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    (made,) = (tree / "out").glob("*.whl")
    return made


def tried(made: Path, site: Path) -> tuple[str, int]:
    """Whether the kernels of an unpacked wheel are native, and how often that was said."""
    zipfile.ZipFile(made).extractall(site)
    env = {**os.environ, "PYTHONPATH": str(site)}
    env.pop("DISKIMAGE_REFERENCE", None)
    command = [sys.executable, "-c", TRIAL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=site)
    assert done.returncode == 0, done.stderr
    native, told, file = done.stdout.split()
    assert Path(file).is_relative_to(site)
    return native, int(told)


def test_without_a_compiler_it_installs_works_and_says_so_once(tmp_path: Path) -> None:
    made = wheel(tmp_path / "tree", "false")
    assert tried(made, tmp_path / "site") == ("False", 1)


def test_with_a_compiler_the_kernels_are_native(tmp_path: Path, peer: Callable[[str], str]) -> None:
    if sys.platform != "linux":
        pytest.skip("kernels are built on Linux alone")
    made = wheel(tmp_path / "tree", peer("gcc"))
    assert tried(made, tmp_path / "site") == ("True", 0)
    names = zipfile.ZipFile(made).namelist()
    assert "diskimage/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "diskimage",
        "py_diskimage",
    }
