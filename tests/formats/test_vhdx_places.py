"""VHDX: blocks that lie over what is no block are no guest bytes."""

from __future__ import annotations

import struct

import pytest

import diskimage
from diskimage.errors import CorruptError
from tests.makers.vhdx import BAT_AT, LOG_AT, META_AT, MIB, vhdx

PLACES = {0: "header", LOG_AT: "log", META_AT: "metadata", BAT_AT: "block table"}


@pytest.mark.parametrize(("place", "name"), PLACES.items(), ids=PLACES.values())
@pytest.mark.parametrize("block", [MIB, 2 * MIB])
def test_a_block_over_a_structure_is_corrupt(place: int, name: str, block: int) -> None:
    """One flipped bit of an entry gave them as the guest's bytes."""
    image = bytearray(vhdx(2 * block, {0: (0, b"guest")}, block=block))
    struct.pack_into("<Q", image, BAT_AT + 8, place | 6)
    image += bytes(block)
    with diskimage.open(bytes(image), format="vhdx") as opened:
        assert opened.read(0, 5) == b"guest"
        with pytest.raises(CorruptError, match=f"is stored over the {name}, at"):
            opened.read(block, block)
    found = diskimage.check(bytes(image), format="vhdx").problems
    assert "block 1 shares bytes with another part of the file" in [one.message for one in found]


def test_a_block_in_part_present_over_a_structure_is_corrupt() -> None:
    child = bytearray(
        vhdx(MIB, {0: (0, b"guest")}, flags=2, parent={"relative_path": ".\\p.vhdx"},
             states={0: 7}, bitmaps={0: (1, [0])})
    )  # fmt: skip
    struct.pack_into("<Q", child, BAT_AT, META_AT | 7)
    with (
        diskimage.open(bytes(child), format="vhdx", references="list") as opened,
        pytest.raises(CorruptError, match="is stored over the metadata"),
    ):
        opened.read(0, 512)
