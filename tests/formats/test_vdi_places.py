"""VDI: data that begin where no writer puts them are no guest bytes."""

from __future__ import annotations

import struct

import pytest

import diskimage
from diskimage.errors import CorruptError
from tests.makers.alone import noise
from tests.makers.vdi import vdi

BLOCK = 4096


@pytest.mark.parametrize("bit", range(9))
def test_data_that_begin_in_a_sector_are_corrupt(bit: int) -> None:
    """One flipped bit moved the whole guest; QEMU refuses such a place too (block/vdi.c)."""
    image = bytearray(vdi(2 * BLOCK, {0: (0, noise(BLOCK, 1))}, block=BLOCK) + bytes(512))
    (data_at,) = struct.unpack_from("<I", image, 0x158)
    struct.pack_into("<I", image, 0x158, data_at ^ 1 << bit)
    with pytest.raises(CorruptError, match="no sector's beginning") as caught:
        diskimage.open(bytes(image), format="vdi")
    assert caught.value.at == 0x158
