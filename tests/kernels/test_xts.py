"""The tweaks of XTS against their twin, and against doublings bit by bit."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import xts
from diskimage.reference import xts as twin

KINDS = pytest.mark.parametrize("tried", [xts, twin], ids=["kernel", "twin"])


def doubled(block: bytes) -> bytes:
    """IEEE 1619, 5.2: a shift over all bytes, the first the lowest, and 0x87 for what falls out."""
    out, carry = bytearray(), 0
    for byte in block:
        out.append((byte << 1 | carry) & 0xFF)
        carry = byte >> 7
    out[0] ^= 0x87 if carry else 0
    return bytes(out)


@KINDS
@given(units=st.integers(0, 5), blocks=st.integers(1, 40), seed=st.integers(0, 1000))
def test_each_block_has_its_doubling(tried: object, units: int, blocks: int, seed: int) -> None:
    draw = random.Random(seed)
    tweaks, data = draw.randbytes(16 * units), draw.randbytes(16 * units * blocks)
    mask = b""
    for number in range(units):
        block = tweaks[16 * number : 16 * number + 16]
        for _ in range(blocks):
            mask, block = mask + block, doubled(block)
    out = bytearray(len(data))
    tried.xts_mask(data, 16 * blocks, tweaks, out)  # type: ignore[attr-defined]  # a module, whichever
    assert out == bytes(a ^ b for a, b in zip(data, mask, strict=True))
    tried.xts_mask(out, 16 * blocks, tweaks, out)  # type: ignore[attr-defined]  # as above
    assert out == data


@pytest.mark.parametrize(
    ("size", "unit", "keys", "room"),
    [(32, 0, 16, 32), (32, 24, 16, 32), (32, 64, 16, 32), (32, 32, 32, 32), (32, 32, 16, 48)],
)
def test_what_is_no_units_is_refused(size: int, unit: int, keys: int, room: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        xts.xts_mask(bytes(size), unit, bytes(keys), bytearray(room))
