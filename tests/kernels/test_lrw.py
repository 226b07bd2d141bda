"""The tweaks of LRW against their twin, and against products in the field."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import lrw
from diskimage.reference import lrw as twin
from tests.makers import mdx

KINDS = pytest.mark.parametrize("tried", [lrw, twin], ids=["kernel", "twin"])
NUMBERS = st.one_of(st.integers(0, 5), st.integers(0, (1 << 64) - 41), st.just((1 << 64) - 41))


def powers(tweak: int) -> bytes:
    return b"".join(mdx.times(tweak, 1 << bit).to_bytes(16, "big") for bit in range(64))


@KINDS
@given(number=NUMBERS, count=st.integers(0, 40), seed=st.integers(0, 1000))
def test_each_block_has_the_product_of_its_number(
    tried: object, number: int, count: int, seed: int
) -> None:
    draw = random.Random(seed)
    tweak, data = draw.getrandbits(128), draw.randbytes(16 * count)
    out = bytearray(16 * count)
    tried.lrw_mask(data, powers(tweak), number, out)  # type: ignore[attr-defined]  # a module, whichever
    masks = [mdx.times(tweak, number + i).to_bytes(16, "big") for i in range(count)]
    assert out == mdx.xor(data, b"".join(masks))
    tried.lrw_mask(out, powers(tweak), number, out)  # type: ignore[attr-defined]  # as above
    assert out == data


@pytest.mark.parametrize(
    ("size", "room", "keys", "number"),
    [(15, 15, 1024, 0), (16, 32, 1024, 0), (16, 16, 1008, 0), (16, 16, 1024, -1),
     (16, 16, 1024, (1 << 64) - 1)],
)  # fmt: skip
def test_what_is_no_blocks_is_refused(size: int, room: int, keys: int, number: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        lrw.lrw_mask(bytes(size), bytes(keys), number, bytearray(room))
