"""The lists that a qcow2 file is opened with: bounded, however long the file makes them."""

from __future__ import annotations

import struct

import pytest

from diskimage.errors import LimitError
from diskimage.formats.qcow2.open import open_qcow2
from diskimage.sources.memory import MemorySource
from tests.makers.gate import OpenGate
from tests.makers.qcow2 import Maker, patched

PLAIN = Maker(65536).image()


@pytest.mark.parametrize(
    ("count", "name", "text"),
    [(1, 1024, "name of a snapshot has 1024 bytes"), (3000, 1000, "listing"), (1, 65535, "name")],
)
def test_names_of_snapshots_are_bounded(count: int, name: int, text: str) -> None:
    row = struct.pack(">QIHHIIQII", 0, 0, 1, name, 0, 0, 0, 0, 16) + bytes(17 + name)
    table = row.ljust(-(-len(row) // 8) * 8, b"\0") * count
    image = patched(patched(PLAIN, 60, count), 64, len(PLAIN), 8) + table
    with pytest.raises(LimitError, match=text):
        open_qcow2(MemorySource(image), OpenGate())


@pytest.mark.parametrize(("count", "size", "name"), [(1, 3 << 20, 1), (1, 2048, 1024)])
def test_a_bitmap_directory_over_the_limit_is_not_listed(count: int, size: int, name: int) -> None:
    extension = struct.pack(">IIQQ", count, 0, size, 1 << 20)
    image = Maker(65536, autoclear=1, extensions=[(0x23852875, extension)]).image()
    row = struct.pack(">QIIBBHI", 0, 0, 0, 1, 16, name, 0)
    gate = OpenGate()
    device = open_qcow2(MemorySource(image.ljust(1 << 20, b"\0") + row.ljust(size, b"x")), gate)
    assert device.info["bitmaps"] == []
    assert [found.kind for found in gate.warnings] == ["bitmaps"]
