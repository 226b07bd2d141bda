"""ADC: the kernel against its twin, and both against codes put together by a maker."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import adc
from diskimage.reference import adc as twin
from tests.makers.dmg import adc as coded, text

PLAIN = {
    "text": text(5000),
    "noise": random.Random(1).randbytes(3000),
    "zeros": bytes(9000),
    "far": b"0123456789abcdef" * 8 + random.Random(2).randbytes(4096) + b"0123456789abcdef" * 9,
}


@pytest.mark.parametrize("plain", PLAIN.values(), ids=PLAIN)
def test_what_a_maker_codes_decodes(plain: bytes) -> None:
    for read in (adc.adc_read, twin.adc_read):
        out = bytearray(len(plain))
        assert read(coded(plain), out) == len(plain)
        assert out == plain


def test_the_three_kinds_of_codes() -> None:
    # 3 literals; 4 + 3 bytes from 2 + 1 back by 16 bits; 3 bytes from 1 back by 10 bits
    codes = bytes((0x82, 1, 2, 3, 0x43, 0, 2, 0x00, 0))
    for read in (adc.adc_read, twin.adc_read):
        out = bytearray(13)
        assert read(codes, out) == 13
        assert list(out) == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "codes", [b"\x00\x00", b"\x80\x01\x00\x01", b"\x81\x01", b"\x40", b"\x40\x00", b"\x00"]
)
def test_wrong_codes_are_refused(codes: bytes) -> None:
    assert adc.adc_read(codes, bytearray(100)) == -1
    assert twin.adc_read(codes, bytearray(100)) == -1


def test_more_than_is_wanted_is_refused_and_less_is_told() -> None:
    for read in (adc.adc_read, twin.adc_read):
        assert read(b"\x83abcd", bytearray(3)) == -1
        assert read(b"\x83abcd", bytearray(9)) == 4
        assert read(b"\x83abcd\x83next", bytearray(4)) == 4


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_any_codes_decode_as_the_twin_says(codes: bytes, want: int) -> None:
    ours, theirs = bytearray(want), bytearray(want)
    got = adc.adc_read(b"\xff" + bytes(range(128)) + codes, ours)
    assert got == twin.adc_read(b"\xff" + bytes(range(128)) + codes, theirs)
    assert got < 0 or ours[:got] == theirs[:got]
