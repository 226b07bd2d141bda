"""Stretches of other sources one behind the other, wherever each begins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from diskimage.model import Source


class Stretch(NamedTuple):
    """`length` bytes at `at` of `source`, which must hold them."""

    source: Source
    at: int
    length: int


class Joined:
    """The stretches in order, as one source. It closes none of them: they have their owners."""

    fd: int | None = None

    def __init__(self, name: str, stretches: Iterable[Stretch]) -> None:
        self.name = name
        self._stretches = tuple(one for one in stretches if one.length)
        ends = list(accumulate(one.length for one in self._stretches))
        self._starts = [0, *ends[:-1]]
        self.size = ends[-1] if ends else 0

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the stretches are of, each once, in order."""
        return tuple({id(one.source): one.source for one in self._stretches}.values())

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end or of a source cut short."""
        done = 0
        for source, place, length in self._parts(at, min(at + len(buffer), self.size)):
            got = source.read_into(place, buffer[done : done + length])
            done += got
            if got < length:
                break
        return done

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """Those of the stretches, where they lie here."""
        for source, place, length in self._parts(at, stop):
            for start, end, stored in source.spans(place, place + length):
                yield at + start - place, at + end - place, stored
            at += length

    def _parts(self, at: int, stop: int) -> Iterator[Stretch]:
        """The stretches that hold [at, stop), cut to it."""
        number = max(0, bisect_right(self._starts, at) - 1)
        while at < stop:
            start, (source, place, length) = self._starts[number], self._stretches[number]
            skip = at - start
            count = min(length - skip, stop - at)
            yield Stretch(source, place + skip, count)
            at, number = at + count, number + 1

    def close(self) -> None:
        """The stretches stay their owners'."""

    def __repr__(self) -> str:
        return f"Joined({self.name!r}, {len(self._stretches)} stretches, {self.size} bytes)"
