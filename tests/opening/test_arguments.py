"""What a caller may pass by mistake ends in one error of the library."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

import diskimage
from diskimage.engine.digest import new
from diskimage.errors import ChecksumError, UsageError
from diskimage.jobs.opening import work
from diskimage.jobs.readback import read_back
from diskimage.sinks.directory import open_directory

NO_NAMES = ["a\0b.img", "half\ud800.img"]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A raw image of a sector."""
    path = tmp_path / "disk.raw"
    path.write_bytes(b"disk" * 128)
    return path


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_no_file_can_be_called(name: str, disk: Path) -> None:
    target = str(disk.parent / name)
    for job in (
        lambda: diskimage.open(name),
        lambda: diskimage.detect(name),
        lambda: diskimage.copy(disk, target),
        lambda: diskimage.convert(disk, target, to="raw"),
        lambda: open_directory(target),
        lambda: diskimage.create(target, size=512, to="raw"),
    ):
        with pytest.raises(UsageError, match="no name of a file"):
            job()
    assert list(disk.parent.iterdir()) == [disk]


def test_a_file_object_is_open_and_binary(disk: Path) -> None:
    text: Any = io.StringIO("text")
    with pytest.raises(UsageError, match="open as text"):
        diskimage.open(text, format="raw")
    with disk.open(encoding="ascii") as opened:
        wrong: Any = opened
        with pytest.raises(UsageError, match="open as text"):
            diskimage.open(wrong, format="raw")
    with disk.open("rb") as file:
        image = diskimage.open(file)
    with pytest.raises(UsageError, match="is closed"):
        diskimage.open(file)
    with pytest.raises(UsageError, match="is closed"):
        image.read(0, 4)


def test_a_position_is_told_from_a_place_there_is(disk: Path) -> None:
    with diskimage.open(disk) as image:
        file = image.as_file()
        assert file.seek(-4, os.SEEK_END) == 508
        assert file.read() == b"disk"
        with pytest.raises(ValueError, match="9"):
            file.seek(0, 9)


def test_a_target_that_became_shorter_is_found_by_reading_it_back(disk: Path) -> None:
    whole = new("sha256")
    whole.update(disk.read_bytes() + b"more")
    with pytest.raises(ChecksumError, match="512 of 516 bytes") as caught:
        read_back(str(disk), 516, whole, "sha256", work(), None)
    assert caught.value.at == 512


@pytest.mark.parametrize("size", [-1, 1 << 63, 99999 << 50])
def test_a_size_that_no_offset_reaches(size: int, tmp_path: Path) -> None:
    for job in (
        lambda: diskimage.create(tmp_path / "disk.raw", size=size),
        lambda: diskimage.measure(size, "raw"),
    ):
        with pytest.raises(UsageError, match=f"a size of {size} bytes"):
            job()
    assert not list(tmp_path.iterdir())
