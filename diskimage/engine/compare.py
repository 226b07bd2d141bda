"""Where two devices differ, zeros of both left unread."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from diskimage.engine.batch import WINDOW
from diskimage.engine.copy import Work, load
from diskimage.engine.guard import guarded
from diskimage.engine.windows import BLANK, Window, stretches
from diskimage.kernels import scan
from diskimage.model import Device, Runs
from diskimage.pool import ordered
from diskimage.ranges import Ranges
from diskimage.runs import clip, stop_of

GRAIN = 512  # differences are told by sectors


def differing(a: Device, b: Device, work: Work, most: int = 1 << 20) -> Ranges:
    """The sectors in which `a` and `b` differ, up to the smaller's end; about `most` ranges.

    Memory is bounded by the windows under way and the answer.
    """
    found: list[tuple[int, int]] = []
    size = min(a.size, b.size)
    tasks = ((one, two, work) for one, two in _pairs(a, b, size))
    passed = 0
    for stop, read, differ in ordered(_differ, tasks, work.threads):
        found += differ
        work.watch.passed(stop - passed, read=read)
        passed = stop
        if len(found) > most:
            break
    else:
        work.watch.passed(size - passed)
    return Ranges(found)


class _Walk:
    """The runs of [0, stop) of a device, taken piece by piece."""

    def __init__(self, device: Device, stop: int) -> None:
        self._blocks = guarded(device, 0, stop)
        self._runs = next(self._blocks)
        self._at = 0

    def blank(self) -> int:
        """Where the zeros end that begin here; here, where none do."""
        self._fetch()
        row = bisect_right(self._runs.start, self._at) - 1
        if self._runs.kind[row] not in BLANK:
            return self._at
        return self._runs.start[row] + self._runs.length[row]

    def skip(self, to: int) -> None:
        """Go on at `to`."""
        self._at = to

    def take(self, stop: int) -> Window:
        """What lies between here and `stop`."""
        start, parts = self._at, list[Runs]()
        while self._at < stop:
            self._fetch()
            end = min(stop, stop_of(self._runs))
            parts.append(clip(self._runs, self._at, end))
            self._at = end
        return Window(start, stop, tuple(parts))

    def _fetch(self) -> None:
        while stop_of(self._runs) <= self._at:
            self._runs = next(self._blocks)


def _pairs(a: Device, b: Device, size: int) -> Iterator[tuple[Window, Window]]:
    """Windows of both, from sector to sector, without those that both say are zeros."""
    if size == 0:
        return
    one, two, at = _Walk(a, size), _Walk(b, size), 0
    while at < size:
        blank = min(one.blank(), two.blank())
        if blank - at >= GRAIN or blank == size:
            at = size if blank == size else blank // GRAIN * GRAIN
            one.skip(at)
            two.skip(at)
            continue
        at = min(size, at + WINDOW)
        yield one.take(at), two.take(at)


def _differ(one: Window, two: Window, work: Work) -> tuple[int, int, list[tuple[int, int]]]:
    """Where the windows end, the bytes read of them, and where they differ."""
    stop = _stored_stop(one, two)
    if stop == one.start:  # zeros of two sorts, in rows too short to be skipped
        return one.stop, 0, []
    first, second = (load(Window(w.start, stop, _cut(w, stop)), work) for w in (one, two))
    marks = scan.differing_blocks(first, second, GRAIN)
    work.buffers.give(first)
    work.buffers.give(second)
    found, at = [], marks.find(1)
    while at >= 0:
        end = marks.find(0, at)
        end = len(marks) if end < 0 else end
        start = one.start + at * GRAIN
        found.append((start, min(end * GRAIN, stop - one.start) - at * GRAIN))
        at = marks.find(1, end)
    return one.stop, one.stored + two.stored, found


def _stored_stop(one: Window, two: Window) -> int:
    """Where the zeros begin that end both windows; their start, where they hold nothing else."""
    ends = [stop for w in (one, two) for _, stop, blank in stretches(w.parts) if not blank]
    return max(ends, default=one.start)


def _cut(window: Window, stop: int) -> tuple[Runs, ...]:
    """The parts of a window up to `stop`."""
    inside = (runs for runs in window.parts if runs.start[0] < stop)
    return tuple(clip(runs, window.start, stop) for runs in inside)
