"""Chunk stores against a plain list of chunks, and how much of the table a read looks at."""

from __future__ import annotations

import random
import zlib
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from diskimage import codecs
from diskimage.errors import CorruptError, TruncatedError
from diskimage.layers.chunks import PAGE, PLAIN, ZERO, ChunkDevice, Columns
from diskimage.model import Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.naive import lawful, read

CHUNK = 64
CODECS = (codecs.zlib(), codecs.deflate())


def deflated(plain: bytes) -> bytes:
    coder = zlib.compressobj(6, wbits=-15)
    return coder.compress(plain) + coder.flush()


WAYS: dict[int, Callable[[bytes], bytes]] = {
    0: zlib.compress,
    1: deflated,
    PLAIN: bytes,
    ZERO: lambda _: b"",
}


class Store:
    """Chunks coded one by one; `asked` keeps the pages that are looked at."""

    def __init__(self, codes: list[int], rest: int = 0, gap: int = 0) -> None:
        draw = random.Random(len(codes))
        self.at, self.stored, self.codes = array("q"), array("q"), bytes(codes)
        self.guest, self.file = b"", bytearray(b"head")
        self.asked: list[int] = []
        for number, code in enumerate(codes):
            length = rest if rest and number == len(codes) - 1 else CHUNK
            plain = bytes(length) if code == ZERO else draw.randbytes(2) * (length // 2)
            coded = WAYS[code](plain)
            self.at.append(len(self.file))
            self.stored.append(len(coded))
            self.file += coded + bytes(gap)
            self.guest += plain

    def page(self, number: int) -> Columns:
        self.asked.append(number)
        part = slice(number * PAGE, (number + 1) * PAGE)
        return Columns(self.at[part], self.stored[part], self.codes[part])

    def device(self, cut: int = 0, most: int = 1000) -> ChunkDevice:
        data = MemorySource(bytes(self.file[: len(self.file) - cut]))
        return ChunkDevice(size=len(self.guest), chunk=CHUNK, data=data, page=self.page,
                           codecs=CODECS, most=most, info={})  # fmt: skip


codes = st.lists(st.sampled_from([0, 1, PLAIN, ZERO]), min_size=1, max_size=40)


@given(codes, st.sampled_from([0, 2, 62]), st.sampled_from([0, 5]), st.data())
@settings(max_examples=80)
def test_any_store_reads_right(codes: list[int], rest: int, gap: int, data: st.DataObject) -> None:
    store = Store(codes, rest, gap)
    device = store.device()
    lawful(device)
    assert read(device) == store.guest
    start = data.draw(st.integers(0, device.size))
    stop = data.draw(st.integers(start, device.size))
    lawful(device, start, stop)
    assert read(device, start, stop) == store.guest[start:stop]


def test_neighbours_are_joined_and_zeros_are_holes() -> None:
    store = Store([PLAIN, PLAIN, ZERO, ZERO, 0, 0, PLAIN])
    rows = list(extents(store.device()))
    shown = [(row.kind, row.length // CHUNK) for row in rows]
    assert shown == [(Kind.DATA, 2), (Kind.ZERO, 2), (Kind.CODED, 1), (Kind.CODED, 1),
                     (Kind.DATA, 1)]  # fmt: skip
    assert rows[1].hole
    assert (
        len(list(store.device().runs())) == 1
    )  # one block: what is plain has the coded ones' shape


def test_only_the_pages_of_a_read_are_looked_at_and_kept() -> None:
    store = Store([PLAIN] * (3 * PAGE))
    device = store.device()
    at = PAGE * CHUNK + 7
    assert read(device, at, at + 100) == store.guest[at : at + 100]
    assert read(device, at, at + 200) == store.guest[at : at + 200]
    assert store.asked == [1]
    lawful(device)
    assert len(list(extents(device))) == 1


def test_a_cut_store_reads_up_to_its_end() -> None:
    store = Store([PLAIN, PLAIN, 0])
    device = store.device(cut=1)
    assert read(device, 0, 2 * CHUNK) == store.guest[: 2 * CHUNK]
    with pytest.raises(TruncatedError, match=r"chunk 2 \(guest byte 128\)"):
        read(device)


@pytest.mark.parametrize("change", [(0, 0), (0, 1001), (1, CHUNK - 1), (1, -5)])
def test_a_length_that_no_chunk_has_is_corrupt(change: tuple[int, int]) -> None:
    store = Store([0, PLAIN, 0])
    store.stored[change[0]] = change[1]
    with pytest.raises(CorruptError, match=f"chunk {change[0]} has {change[1]} stored bytes"):
        read(store.device())
    assert read(store.device(), 2 * CHUNK) == store.guest[2 * CHUNK :]


def test_a_place_before_the_file_is_corrupt() -> None:
    store = Store([0, 0])
    store.at[1] = -3
    with pytest.raises(CorruptError, match="chunk 1"):
        read(store.device())
