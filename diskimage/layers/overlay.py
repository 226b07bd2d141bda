"""Layers over their backing: what the layer does not answer, the backing does."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from diskimage.layers.gather import gathered, hole
from diskimage.model import Device, Kind, Option, Runs
from diskimage.runs import clip, stop_of

BACKING_FORMAT = Option("backing_format", "NAME", "of a backing whose format the image leaves out")
REACH = 1 << 20
"""ABSENT rows closer together than this are asked for in one call: what the backing says of the
bytes between is thrown away, which costs less than a second walk through its tables."""


class Overlay:
    """`top`, its ABSENT bytes answered by `bottom`, and by holes past the end of `bottom`.

    The size is that of `top` (QEMU, docs/interop/qcow2: a shorter backing file reads as zeros).
    Overlays of overlays are walked as one list of layers: a chain is as long as the limit allows,
    and the stack of calls does not grow with it.
    """

    def __init__(self, top: Device, bottom: Device) -> None:
        self.top, self.bottom = top, bottom
        self.size = top.size
        self.block = top.block
        self.info: Mapping[str, object] = top.info
        self.layers: tuple[Device, ...] = (*_layers(top), *_layers(bottom))

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop) of all layers."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            yield from gathered(self._pieces(start, stop))

    def _pieces(self, start: int, stop: int) -> Iterator[Runs]:
        """The rows of every layer in order: a stack of answers, one a layer, the deepest first."""
        answers = [self._answer(0, _Walk(self.layers[0], start, stop), start, stop)]
        while answers:
            part = next(answers[-1], None)
            if part is None:
                answers.pop()
            elif isinstance(part, Runs):
                yield part
            else:
                answers.append(part)

    def _answer(self, layer: int, walk: _Walk, start: int, stop: int) -> _Answer:
        """What a layer says of [start, stop): rows, and in place of ABSENT ones the answers of the
        layer below."""
        for runs in walk.take(start, stop):
            done = 0
            if layer + 1 < len(self.layers):
                kinds = runs.kind.tobytes()
                for first, last in _groups(runs, kinds):
                    if first > done:
                        yield _rows(runs, done, first)
                    yield from self._filled(layer + 1, runs, kinds, first, last)
                    done = last
            if done == 0:
                yield runs
            elif done < len(runs):
                yield _rows(runs, done, len(runs))

    def _filled(self, below: int, runs: Runs, kinds: bytes, first: int, last: int) -> _Answer:
        """Rows [first, last), of which the first and the last are ABSENT."""
        stop = runs.start[last - 1] + runs.length[last - 1]
        walk = _Walk(self.layers[below], runs.start[first], stop)
        row = first
        while row < last:
            if kinds[row] == Kind.ABSENT:
                begin = runs.start[row]
                yield self._answer(below, walk, begin, begin + runs.length[row])
                row += 1
                continue
            absent = kinds.index(Kind.ABSENT, row)
            yield _rows(runs, row, absent)
            row = absent


_Answer = Iterator["Runs | _Answer"]
"""Rows, and the answers of the layer below where they stand."""


def overlay_of(device: Device) -> Overlay | None:
    """The overlay that a device is, itself or below its plans of writing; None for others."""
    below = getattr(device, "whole", device)
    return below if isinstance(below, Overlay) else None


def _layers(device: Device) -> tuple[Device, ...]:
    over = overlay_of(device)
    return (device,) if over is None else over.layers


class _Walk:
    """One walk along a layer, from which ascending parts are taken."""

    def __init__(self, layer: Device, start: int, stop: int) -> None:
        self._end = min(layer.size, stop)
        self._walk = layer.runs(start, self._end) if start < self._end else iter(())
        self._runs: Runs | None = None

    def take(self, start: int, stop: int) -> Iterator[Runs]:
        """The layer's rows of [start, stop), then a hole past its end."""
        end = min(stop, self._end)
        while start < end:
            if self._runs is None or stop_of(self._runs) <= start:
                self._runs = next(self._walk)
                continue
            piece = clip(self._runs, start, end)
            start = stop_of(piece)
            yield piece
        if start < stop:
            yield hole(start, stop)


def _groups(runs: Runs, kinds: bytes) -> Iterator[tuple[int, int]]:
    """(first, last) rows of stretches that begin and end with ABSENT and have no long gap."""
    row = kinds.find(Kind.ABSENT)
    while row >= 0:
        first = last = row
        while True:
            row = kinds.find(Kind.ABSENT, last + 1)
            if row < 0 or runs.start[row] - runs.start[last] - runs.length[last] > REACH:
                break
            last = row
        yield first, last + 1


def _rows(runs: Runs, first: int, last: int) -> Runs:
    """Rows [first, last) of a block."""
    empty = array("q")
    return Runs(
        runs.start[first:last], runs.length[first:last], runs.at[first:last],
        runs.kind[first:last],
        runs.stored[first:last] if runs.stored else empty,
        runs.skip[first:last] if runs.skip else empty,
        runs.source, runs.codec, runs.chunk, runs.records,
    )  # fmt: skip
