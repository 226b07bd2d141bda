"""Comparing in step: what is read, how often, and in how much memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from diskimage.engine.compare import differing
from diskimage.engine.copy import Work
from diskimage.model import Extent, Kind, Runs
from diskimage.runs import pack
from diskimage.sources.memory import MemorySource
from tests.makers import naive

KIB, MIB = 1 << 10, 1 << 20


class Scattered:
    """`count` blocks of `length` bytes, `pitch` bytes apart, all the same bytes of one source."""

    block = 512

    def __init__(self, count: int, length: int, pitch: int, *, odd: int = -1) -> None:
        self.count, self.length, self.pitch, self.odd = count, length, pitch, odd
        self.size = count * pitch
        self.held = MemorySource(b"a" * length + b"b" * length)
        self.asked = 0
        self.info: dict[str, object] = {}

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        assert (start, stop) == (0, self.size)
        self.asked += 1
        return pack(self.extents())

    def extents(self) -> Iterator[Extent]:
        for i in range(self.count):
            at = self.length if i == self.odd else 0
            yield Extent(i * self.pitch, self.length, Kind.DATA, source=self.held, at=at)
            start = i * self.pitch + self.length
            yield Extent(start, self.pitch - self.length, Kind.ZERO, hole=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_scattered_blocks_are_read_window_by_window(threads: int) -> None:
    a, b = Scattered(4096, 4 * KIB, 8 * KIB), Scattered(4096, 4 * KIB, 8 * KIB, odd=3000)
    work = Work(threads=threads)
    found = differing(a, b, work)
    assert [(r.start, r.length) for r in found] == [(3000 * 8 * KIB, 4 * KIB)]
    assert a.asked == b.asked == 1  # one stream of extents, not one for each piece
    assert work.watch.progress.done == a.size
    assert work.watch.progress.read == 2 * 4096 * 4 * KIB


def test_zeros_between_far_blocks_are_not_passed_through_memory() -> None:
    a, b = Scattered(64, 512, 1 << 40), Scattered(64, 512, 1 << 40, odd=63)
    work = Work(threads=1)
    assert differing(a, b, work).total == 512
    assert work.watch.progress.done == a.size


def test_memory_does_not_grow_with_the_number_of_extents() -> None:
    a, b = Scattered(100_000, 512, 1024), Scattered(100_000, 512, 1024)
    tracemalloc.start()
    try:
        assert not differing(a, b, Work(threads=1))
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


def test_short_zeros_of_two_sorts_are_equal() -> None:
    rows = [Extent(at, 100, Kind.ZERO, hole=at % 200 == 0) for at in range(0, 5000, 100)]
    assert not differing(naive.Rows(rows), naive.Rows(rows), Work(threads=1))
