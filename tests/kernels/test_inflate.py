"""Deflate that stops at borders: the kernel against zlib, and against its twin."""

from __future__ import annotations

import random
import zlib
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import inflate as kernel
from diskimage.kernels.inflate import BAD, BORDER, END, FAR, FULL, MARGIN, MORE
from diskimage.reference import inflate as twin
from tests.makers.dmg import text

DRAW = random.Random(3)
PLAIN = {
    "text": text(30000),
    "noise": DRAW.randbytes(70000),
    "zeros": bytes(90000),
    "mixed": b"".join(
        DRAW.choice([DRAW.randbytes(900), bytes(4000), text(2000)]) for _ in range(40)
    ),
}
STRATEGIES = (
    zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED, zlib.Z_FILTERED,
)  # fmt: skip
Event = tuple[int, int, int]


def deflated(plain: bytes, level: int = 6, strategy: int = 0) -> bytes:
    coder = zlib.compressobj(level, wbits=-15, strategy=strategy)
    return coder.compress(plain) + coder.flush()


def by_kernel(
    coded: bytes, out: bytearray, border: int, place: array[int], memory: bytearray
) -> int:
    return kernel.inflate(coded, out, 0, border, place, memory)


def by_twin(coded: bytes, out: bytearray, border: int, place: array[int], memory: bytearray) -> int:
    return twin.inflate(memoryview(coded), memoryview(out), 0, border, place, memory)


WAYS: list[tuple[Callable[..., int], Callable[[], bytearray]]] = [
    (by_kernel, kernel.state), (by_twin, lambda: bytearray(twin.STATE)),
]  # fmt: skip


def passed(
    way: Callable[..., int], memory: bytearray, coded: bytes, room: int, cuts: list[int], step: int
) -> tuple[list[Event], bytes]:
    """Every stop on the way through pieces that end at `cuts`, borders asked for each `step`."""
    out, place, events = bytearray(room + MARGIN), array("q", [0, 0]), []
    for cut in [*cuts, len(coded)]:
        told = BORDER
        while told == BORDER:
            told = way(coded[:cut], out, place[1] + step, place, memory)
            events.append((told, place[0], place[1]))
        if told != MORE:
            break
    return events, bytes(out[: place[1]])


@pytest.mark.parametrize("plain", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_zlib_codes_decodes_in_pieces(plain: bytes, level: int, strategy: int) -> None:
    coded = deflated(plain, level, strategy)
    cuts = [len(coded) // 7, len(coded) // 3, len(coded) // 3 + 1]
    for way, memory in WAYS:
        events, got = passed(way, memory(), coded, len(plain), cuts, 4000)
        assert got == plain
        assert events[-1] == (END, events[-1][1], len(plain))
        assert (events[-1][1] + 7) // 8 == len(coded)


def test_from_every_border_the_rest_decodes_with_what_came_before() -> None:
    plain = PLAIN["mixed"]
    coder = zlib.compressobj(6, wbits=-15, memLevel=1)  # small blocks
    coded = coder.compress(plain) + coder.flush()
    events, _ = passed(by_kernel, kernel.state(), coded, len(plain), [], 20000)
    borders = [(bit, byte) for told, bit, byte in events if told == BORDER]
    assert len(borders) > 2
    for bit, byte in borders:
        before = plain[max(0, byte - kernel.WINDOW) : byte]
        out = bytearray(before + bytes(len(plain) - byte + MARGIN))
        place = array("q", [bit, len(before)])
        assert kernel.inflate(coded, out, 0, 1 << 60, place, kernel.state()) == END
        assert out[len(before) : place[1]] == plain[byte:]


def test_the_room_is_told_before_it_is_used_up() -> None:
    coded = deflated(bytes(100000))
    for way, memory in WAYS:
        out, place, kept = bytearray(1000), array("q", [0, 0]), memory()
        assert way(coded, out, 1 << 60, place, kept) == FULL
        assert 1000 - MARGIN < place[1] <= 1000
        assert way(coded, out, 1 << 60, place, kept) == FULL


@pytest.mark.parametrize(
    ("coded", "told"),
    [
        (b"\x07", BAD),  # a block of the reserved kind
        (b"\x01\x05\x00\x00\x00", BAD),  # a stored length without its complement
        (b"K\x04B\x00", FAR),  # by the fixed codes: a, and then a copy from 2 back
        (b"\x05\xe0\x81\x08\x00\x00\x00\x00\x20\x7f\xeb\x0b\x00\x00", BAD),  # no end of the block
        (b"\xfc" + bytes(20), BAD),  # 288 codes of lengths
        (b"", MORE),
        (b"\x01\x05\x00\xfa", MORE),
    ],
)
def test_wrong_streams_are_told(coded: bytes, told: int) -> None:
    for way, memory in WAYS:
        place = array("q", [0, 0])
        assert way(coded, bytearray(MARGIN + 100), 1 << 60, place, memory()) == told


@given(st.binary(max_size=200), st.integers(0, 2000), st.integers(0, 3))
def test_any_bytes_decode_as_the_twin_says(coded: bytes, cut: int, level: int) -> None:
    coded = deflated(coded * 3, level)[: cut + 1] + coded
    ours, theirs = (passed(way, memory(), coded, 5000, [cut], 100) for way, memory in WAYS)
    assert ours == theirs


@given(st.binary(min_size=1, max_size=600))
def test_zlib_refuses_what_is_refused(coded: bytes) -> None:
    coded += bytes(700)  # no header is cut
    events, got = passed(by_kernel, kernel.state(), coded, 5000, [], 1 << 40)
    decoder = zlib.decompressobj(-15)
    try:
        plain = decoder.decompress(coded, 4000)
    except zlib.error:
        assert events[-1][0] in (BAD, FAR) or len(got) > 4000
        return
    assert plain == got[: len(plain)]
    assert decoder.eof == (events[-1][0] == END) or len(got) > 4000
