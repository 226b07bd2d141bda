"""Where two devices differ, zeros of both left unread."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.engine.batch import WINDOW, ordered
from diskimage.engine.copy import Work
from diskimage.engine.guard import guarded
from diskimage.engine.read import Reader, read_into
from diskimage.kernels import scan
from diskimage.model import HOLE, Device, Kind
from diskimage.ranges import Ranges

GRAIN = 512  # differences are told by sectors


def differing(a: Device, b: Device, work: Work, most: int = 1 << 20) -> Ranges:
    """The sectors in which `a` and `b` differ, up to the smaller's end; about `most` ranges."""
    size = min(a.size, b.size)
    if size == 0:
        return Ranges()
    stored = stored_ranges(a, size) | stored_ranges(b, size)
    work.watch.progress.done += size - stored.total
    found: list[tuple[int, int]] = []
    tasks = ((a, b, start, stop, work.reader) for start, stop in _pieces(stored, size))
    for start, stop, differ in ordered(_differ, tasks, work.threads):
        for first, length in differ:
            found.append((start + first, min(length, stop - start - first)))
        work.watch.passed(stop - start, read=2 * (stop - start))
        if len(found) > most:
            break
    return Ranges(found)


def stored_ranges(device: Device, stop: int) -> Ranges:
    """The guest bytes of [0, stop) that are not known to be zeros."""
    pairs: list[tuple[int, int]] = []
    for runs in guarded(device, 0, stop):
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if kind not in (Kind.ZERO, HOLE):
                pairs.append((start, length))
    return Ranges(pairs)


def _pieces(stored: Ranges, size: int) -> Iterator[tuple[int, int]]:
    """Windows of what is stored, on sector borders."""
    at = 0
    for run in stored:
        start = max(at, run.start // GRAIN * GRAIN)
        stop = min(size, -(-run.stop // GRAIN) * GRAIN)
        while start < stop:
            end = min(stop, start + WINDOW)
            yield start, end
            start = at = end


def _differ(
    a: Device, b: Device, start: int, stop: int, reader: Reader
) -> tuple[int, int, list[tuple[int, int]]]:
    one, two = bytearray(stop - start), bytearray(stop - start)
    read_into(a, start, memoryview(one), reader)
    read_into(b, start, memoryview(two), reader)
    if one == two:
        return start, stop, []
    marks = scan.differing_blocks(one, two, GRAIN)
    found, at = [], marks.find(1)
    while at >= 0:
        end = marks.find(0, at)
        end = len(marks) if end < 0 else end
        found.append((at * GRAIN, (end - at) * GRAIN))
        at = marks.find(1, end)
    return start, stop, found
