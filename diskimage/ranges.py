"""A set of guest ranges: dirty, used, bad, done. Locations are the business of extents."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Range(NamedTuple):
    """`length` bytes from `start`."""

    start: int
    length: int

    @property
    def stop(self) -> int:
        """The byte after the last."""
        return self.start + self.length


class Ranges:
    """An immutable set of bytes as ascending, disjoint, non-touching ranges.

    Built from (start, length) pairs in any order. `|`, `&`, `-` are union, intersection and
    difference; `invert(size)` the rest of [0, size). All are linear in the number of ranges.
    """

    __slots__ = ("_edges",)

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        edges: list[int] = []
        for start, length in sorted(pairs):
            if start < 0 or length < 0:
                raise ValueError(f"a range of {length} bytes at {start}")
            if length == 0:
                continue
            if edges and start <= edges[-1]:
                edges[-1] = max(edges[-1], start + length)
            else:
                edges += [start, start + length]
        self._edges = tuple(edges)

    @classmethod
    def _of_edges(cls, edges: Iterable[int]) -> Ranges:
        made = cls()
        made._edges = tuple(edges)
        return made

    def __iter__(self) -> Iterator[Range]:
        edges = self._edges
        for i in range(0, len(edges), 2):
            yield Range(edges[i], edges[i + 1] - edges[i])

    def __len__(self) -> int:
        return len(self._edges) // 2

    def __bool__(self) -> bool:
        return bool(self._edges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self._edges == other._edges

    def __hash__(self) -> int:
        return hash(self._edges)

    def __contains__(self, byte: object) -> bool:
        return isinstance(byte, int) and bisect_right(self._edges, byte) % 2 == 1

    def __repr__(self) -> str:
        shown = ", ".join(f"({r.start}, {r.length})" for r in list(self)[:4])
        return f"Ranges([{shown}{', ...' if len(self) > 4 else ''}])"

    @property
    def total(self) -> int:
        """Bytes in the set."""
        return sum(self._edges[1::2]) - sum(self._edges[::2])

    def __or__(self, other: Ranges) -> Ranges:
        return self._merge(other, lambda a, b: a or b)

    def __and__(self, other: Ranges) -> Ranges:
        return self._merge(other, lambda a, b: a and b)

    def __sub__(self, other: Ranges) -> Ranges:
        return self._merge(other, lambda a, b: a and not b)

    def _merge(self, other: Ranges, keep: Callable[[bool, bool], bool]) -> Ranges:
        a, b, edges = self._edges, other._edges, []
        i = j = 0
        inside = False
        while i < len(a) or j < len(b):
            at = a[i] if j == len(b) or (i < len(a) and a[i] <= b[j]) else b[j]
            i += i < len(a) and a[i] == at
            j += j < len(b) and b[j] == at
            if bool(keep(i % 2 == 1, j % 2 == 1)) != inside:
                inside = not inside
                edges.append(at)
        return Ranges._of_edges(edges)

    def invert(self, size: int) -> Ranges:
        """What [0, size) holds and this set does not."""
        return Ranges([(0, size)]) - self

    def clip(self, start: int, stop: int) -> Ranges:
        """The part inside [start, stop)."""
        if start >= stop:
            return Ranges()
        edges = self._edges
        i, j = bisect_right(edges, start), bisect_left(edges, stop)
        inner = list(edges[i:j])
        if i % 2:
            inner.insert(0, start)
        if j % 2:
            inner.append(stop)
        return Ranges._of_edges(inner)
