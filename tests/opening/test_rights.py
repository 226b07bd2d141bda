"""Directories that one may enter but not list, or fill but not read, and long names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import diskimage
from diskimage import registry
from diskimage.errors import DiskImageError, IoError
from diskimage.sources.memory import MemorySource
from tests.cli.samples import DISK, USER, write

NOBODY = 65534
CONTENT = b"content" * 100


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that every user reaches (those of `tmp_path` belong to one alone)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def nobody() -> Iterator[None]:
    """The block runs without the rights of root, who may do anything."""
    for name in diskimage.__all__:  # imported while the package can be read, wherever it lies
        getattr(diskimage, name)
    registry.formats()
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def hidden(open_to_all: Path) -> Iterator[Path]:
    """Images in a directory to enter, not to list."""
    folder = open_to_all / "hidden"
    folder.mkdir()
    write(folder)
    folder.chmod(0o111)
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "size"), [("disk.raw", DISK), ("game.cue", len(USER)), ("game-1.bin", len(USER))]
)
def test_an_image_opens_where_nothing_may_be_listed(hidden: Path, name: str, size: int) -> None:
    with nobody(), pytest.raises(PermissionError):
        next(hidden.iterdir())
    with nobody(), diskimage.open(hidden / name) as image:
        assert image.size == size


@pytest.fixture
def letterbox(open_to_all: Path) -> Iterator[Path]:
    """A directory to put files into, not to list."""
    folder = open_to_all / "letterbox"
    folder.mkdir()
    folder.chmod(0o333)
    yield folder
    folder.chmod(0o755)


def test_a_target_appears_where_nothing_may_be_listed(letterbox: Path) -> None:
    diskimage.copy(MemorySource(CONTENT), letterbox / "first.raw")  # modules load with our rights
    with nobody():
        diskimage.copy(MemorySource(CONTENT), letterbox / "small.raw")
    assert (letterbox / "small.raw").read_bytes() == CONTENT


def test_a_directory_not_to_be_written_is_one_error(hidden: Path) -> None:
    with nobody(), pytest.raises(IoError) as caught:
        diskimage.copy(MemorySource(CONTENT), hidden / "copy.py")
    assert caught.value.errno is not None


def test_a_publishing_that_fails_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "no")

    for name in ("link", "rename"):
        monkeypatch.setattr(os, name, refuse)
    with pytest.raises(DiskImageError, match="no"):
        diskimage.copy(MemorySource(CONTENT), tmp_path / "copy.py")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "💿" * 63])
def test_a_name_may_be_as_long_as_the_file_system_takes(name: str, tmp_path: Path) -> None:
    diskimage.copy(MemorySource(CONTENT), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
