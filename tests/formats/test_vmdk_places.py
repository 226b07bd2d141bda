"""VMDK: places that lead to zeros where something else is to be; holes of flat extents."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import CorruptError
from diskimage.model import Extent, Kind
from tests.makers.alone import noise
from tests.makers.vmdk import GRAIN, SECTOR, descriptor, sparse, stream

SIZE = 5 * GRAIN


def test_a_directory_that_leads_to_zeros_is_no_disk_of_zeros() -> None:
    """One bit of it made the guest zeros, in a stream of which every table has its marker."""
    image = bytearray(stream(SIZE, {1: noise(GRAIN, 1), 3: noise(GRAIN, 3)}))
    directory = image.rfind(struct.pack("<QII", 1, 0, 2)) + SECTOR  # behind its marker
    struct.pack_into("<I", image, directory, 100)  # between descriptor and grains
    with (
        diskimage.open(bytes(image), format="vmdk") as opened,
        pytest.raises(CorruptError, match="where no grain table is"),
    ):
        opened.read(0, SIZE)
    assert not diskimage.check(bytes(image), format="vmdk").ok


def test_a_table_of_holes_is_a_table() -> None:
    """Behind its marker it may be all zeros."""
    image = bytearray(stream(SIZE, {2: noise(GRAIN, 2)}))
    at = image.rfind(struct.pack("<QII", 4, 0, 1)) + SECTOR
    image[at : at + 4 * 512] = bytes(4 * 512)
    with diskimage.open(bytes(image), format="vmdk") as opened:
        assert opened.read(0, SIZE) == bytes(SIZE)


def sparse_of(directory: int | None = None) -> bytes:
    """A sparse extent of two grains whose header has another place of the directory."""
    image = bytearray(sparse(SIZE, {1: (0, noise(GRAIN, 1)), 3: (1, noise(GRAIN, 3))}))
    if directory is not None:
        struct.pack_into("<Q", image, 56, directory)
    return bytes(image)


def test_a_directory_of_nothing_is_replaced_by_its_copy_that_has_tables() -> None:
    """A flipped bit of its place in the header made the guest zeros, and a check found nothing."""
    with diskimage.open(sparse_of(), format="vmdk") as opened:
        guest = opened.read(0, SIZE)
    image = sparse_of(directory=12)  # behind the descriptor's text: zeros
    with diskimage.open(image, format="vmdk") as opened:
        assert [warning.kind for warning in opened.warnings] == ["directory"]
        assert opened.read(0, SIZE) == guest != bytes(SIZE)


def test_a_table_that_is_only_a_copy_is_told() -> None:
    image = bytearray(sparse(2 * 512 * GRAIN, {1: (0, noise(GRAIN, 1))}))
    (directory,) = struct.unpack_from("<Q", image, 56)
    struct.pack_into("<I", image, directory * SECTOR + 4, 0)
    found = diskimage.check(bytes(image), format="vmdk").problems
    assert [one.message for one in found] == ["grain table 1 is there as a copy alone"]


def test_holes_of_a_flat_extent_are_not_read(tmp_path: Path) -> None:
    """As they are of a raw disk: a flat extent of 2 TiB is mostly one."""
    mib = 1 << 20
    with (tmp_path / "a-flat.vmdk").open("wb") as file:
        file.truncate(8 * mib + 7 * SECTOR)
        file.seek(4 * mib)
        file.write(b"\1" * mib)
    lines = [f'RW {8 * mib // SECTOR} FLAT "a-flat.vmdk" 7']
    (tmp_path / "a.vmdk").write_bytes(descriptor(lines, kind="monolithicFlat"))
    with diskimage.open(tmp_path / "a.vmdk") as opened:
        rows = list(opened.extents())
        assert opened.read(4 * mib - 7 * SECTOR, mib) == b"\1" * mib
    stored = [row for row in rows if row.kind == Kind.DATA]
    with diskimage.open(tmp_path / "a-flat.vmdk", format="raw") as opened:
        told = len(list(opened.extents()))
    if told == 1:
        pytest.skip("the file system of the temporary directory has no holes")
    assert sum(row.length for row in stored) < 2 * mib
    assert rows[0] == Extent(0, stored[0].start, Kind.ZERO, hole=True)
