"""Fixtures for everybody: peers, sets of real and hostile images, the command, bounded children.

What is not on this machine skips by name. Under DISKIMAGE_REQUIRE_PEERS=1 a missing peer fails.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.bounded import Run, bounded
from tests.makers.raw import sparse
from tests.rows import FORMATS, ROOT, SHARED, table

settings.register_profile("house", deadline=None, print_blob=True)  # no timing is asserted
# what lands is judged by the same examples every time; runs by hand find new ones
settings.register_profile("landing", parent=settings.get_profile("house"), derandomize=True)
settings.load_profile("landing" if os.environ.get("DISKIMAGE_REQUIRE_PEERS") == "1" else "house")

PEERS = {row["tool"]: row["Debian package"] for row in table(ROOT / "tests/peers.tsv")}


@pytest.fixture(scope="session")
def peer() -> Callable[[str], str]:
    """`peer("qemu-img")` is the tool's path; without it the test skips, or fails where required."""

    def find(name: str) -> str:
        package = PEERS[name]  # every tool of a test stands in the table
        search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        path = shutil.which(name, path=search)
        if path is not None:
            return path
        reason = f"needs {name} (Debian package {package})"
        if os.environ.get("DISKIMAGE_REQUIRE_PEERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    return find


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of real and hostile images beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("../shared (real and hostile images) is not beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def corpus(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of the formats in FORMATS, unpacked once: names of MANIFEST.tsv less `.xz`."""
    root = tmp_path_factory.mktemp("corpus")
    for row in table(shared / "corpus/MANIFEST.tsv"):
        if row["path"].partition("/")[0] not in FORMATS:
            continue
        content = (shared / "corpus" / row["path"]).read_bytes()
        target = root / row["path"].removesuffix(".xz")
        target.parent.mkdir(parents=True, exist_ok=True)
        sparse(target, lzma.decompress(content) if row["path"].endswith(".xz") else content)
    return root


@pytest.fixture(scope="session")
def hostile(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile images, made once: one directory a case."""
    out = tmp_path_factory.mktemp("hostile")
    command: list[str | Path] = [sys.executable, shared / "hostile/make.py", out]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return out


@pytest.fixture(scope="session")
def dim() -> str:
    """The installed command."""
    path = Path(sys.executable).with_name("diskimage")
    assert path.exists(), "the command is not installed beside this interpreter"
    return str(path)


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a child with bounded address space, file size and wall time."""
    return bounded
