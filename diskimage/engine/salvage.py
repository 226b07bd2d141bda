"""What of a device can be read, and the device of that alone: the rest is BAD, or holes.

A fault of the map (a table that is cut, an entry that cannot be) is narrowed to blocks and then to
sectors by asking again for less; a fault of the bytes to a chunk, a frame or a sector, by reading.
What the caller has to change, as a parent that was not allowed, stays an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from diskimage.engine.copy import Work, load
from diskimage.engine.guard import guarded
from diskimage.engine.windows import BLANK, Window, windows
from diskimage.errors import ContentError, LimitError, MediumError
from diskimage.layers.gather import filler
from diskimage.layers.overlay import overlay_of
from diskimage.layers.salvaged import Salvaged
from diskimage.limits import LIMITS
from diskimage.model import Device, Finding, Kind, Runs
from diskimage.pool import ordered
from diskimage.ranges import Ranges
from diskimage.runs import clip, stop_of
from diskimage.words import rounded

GRAIN = 512  # what is unreadable is told by sectors, at least
MOST = 1 << 17  # unreadable ranges of one answer: some 40 MiB of memory
WIDEST = 4096  # blocks whose map is asked for at once before a fault counts as passed
PROBES = 8  # places of a block that are asked about, beside its end, before all of it is
AGAIN = 1  # such places of a block behind one that is lost
FAULTS = (ContentError, MediumError)


class Lost(NamedTuple):
    """Guest bytes that cannot be read, and why."""

    start: int
    length: int
    kind: str
    message: str
    at: int | None = None

    @property
    def finding(self) -> Finding:
        """For a report: `at` is a place in the file, as errors have it."""
        text = f"{self.length} guest bytes from {self.start}: {self.message}"
        return Finding(self.kind, text, self.at, "chunks")


class Survey(NamedTuple):
    """The unreadable ranges of a device, and the first of the reasons."""

    bad: Ranges
    reasons: tuple[Finding, ...]


WHOLE = Survey(Ranges(), ())
"""Of a device that was not tried, or that reads whole."""


def salvaged(
    device: Device, work: Work, *, blank: bool = True, reasons: int = LIMITS.problems
) -> tuple[Device, Survey]:
    """`device` less what cannot be read, which is holes, or BAD unless `blank`; and what that is.

    All of it is read. Raises what is not the file's fault: a parent that was not allowed.
    """
    work.watch.begin("salvage", device.size)
    found = survey(device, work, reasons)
    return Salvaged(device, found.bad, blank=blank) if found.bad else device, found


class _Found:
    """What was lost so far, in order; neighbours of one kind are one."""

    def __init__(self) -> None:
        self.rows: list[Lost] = []

    def until(self, start: int, kind: str) -> bool:
        """Whether the last loss goes to `start`, and is of that kind."""
        last = self.rows[-1] if self.rows else None
        return last is not None and (last.start + last.length, last.kind) == (start, kind)

    def add(self, one: Lost) -> None:
        """Note one more. LimitError."""
        if self.until(one.start, one.kind):
            last = self.rows[-1]
            self.rows[-1] = last._replace(length=last.length + one.length)
        elif len(self.rows) == MOST:
            text = f"more than {MOST} ranges cannot be read"
            raise LimitError(text, remedy="too little is left of it: take another copy")
        else:
            self.rows.append(one)


def survey(device: Device, work: Work, reasons: int) -> Survey:
    """Read all of `device`, and tell what of it cannot be, with at most so many `reasons`.

    LimitError where that is more than `MOST` ranges.
    """
    mapped, found = _Found(), _Found()
    tasks = ((window, work) for window in windows(_mapped(device, mapped), work.window))
    for window, lost in ordered(_tried, tasks, work.threads):
        for one in lost:
            found.add(one)
        work.watch.passed(window.length, read=window.stored)
    rows = sorted([*mapped.rows, *found.rows])
    bad = Ranges((one.start, one.length) for one in rows)
    return Survey(bad, tuple(one.finding for one in rows[:reasons]))


def undecoded(blocks: Iterable[Runs], work: Work) -> Iterator[Lost]:
    """The coded chunks of `blocks` that do not decode; all else is left unread."""
    stretches = (stretch for runs in blocks for stretch in _coded(runs))
    tasks = ((one, work) for part in stretches for one in windows((part,), work.window))
    for window, lost in ordered(_tried, tasks, work.threads):
        work.watch.passed(0, read=window.stored)
        yield from lost


def _coded(runs: Runs) -> Iterator[Runs]:
    """The stretches of coded rows."""
    for coded, rows in groupby(range(len(runs)), key=lambda row: runs.kind[row] == Kind.CODED):
        if coded:
            group = list(rows)
            first, last = group[0], group[-1]
            yield clip(runs, runs.start[first], runs.start[last] + runs.length[last])


def _mapped(device: Device, found: _Found) -> Iterator[Runs]:
    """The extents of `device`; where it has none to give, or says so itself, BAD ones, noted."""
    at = 0
    while at < device.size:
        try:
            for runs in guarded(device, at):
                _marked(runs, found)
                yield runs
                at = stop_of(runs)
        except FAULTS:
            for runs in _behind(device, at, found):
                yield runs
                at = stop_of(runs)


def _marked(runs: Runs, found: _Found) -> None:
    """Note the rows that the device itself calls BAD."""
    if Kind.BAD in runs.kind:
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if kind == Kind.BAD:
                found.add(Lost(start, length, "io", "marked unreadable"))


def _behind(device: Device, at: int, found: _Found) -> Iterator[Runs]:
    """The extents from `at` on, where a fault is near: block by block, then more of them at once,
    until it is well behind."""
    step = 1
    while at < device.size and step <= WIDEST:
        stop = min(device.size, (at // device.block + step) * device.block)
        try:
            rows = list(guarded(device, at, stop))
        except FAULTS as error:
            if step > 1:
                step = 1
                continue
            rows = list(_within(device, at, stop, error, found))
        else:
            step *= 2
            for runs in rows:
                _marked(runs, found)
        yield from rows
        at = stop
        if step == 1 and found.rows and found.rows[-1].start + found.rows[-1].length == at:
            for runs in _together(device, at, found):
                yield runs
                at = stop_of(runs)


def _together(device: Device, at: int, found: _Found) -> Iterator[Runs]:
    """From `at` on, before which all is lost, what a device of one layer calls lost in one answer:
    a page of a table whose blocks lie past the end of the file."""
    while at < device.size and overlay_of(device) is None:
        alone, lost = _fault(device, at, at + GRAIN), _fault(device, at, device.size)
        if not alone or not lost or not alone.lost or not lost.lost:
            return
        stop = min(device.size, at + lost.lost)
        found.add(_lost(at, stop, lost))
        yield filler(at, stop, Kind.BAD)
        at = stop


def _fault(device: Device, start: int, stop: int) -> ContentError | None:
    """What the first answer of [start, stop) fails with, if it does with something of the file."""
    try:
        next(guarded(device, start, min(stop, device.size)), None)
    except ContentError as error:
        return error
    except MediumError:
        pass
    return None


def _within(
    device: Device, start: int, stop: int, error: ContentError | MediumError, found: _Found
) -> Iterator[Runs]:
    """The extents of a part of a block whose map fails with `error`, halved until it is found."""
    middle = _middle(start, stop, GRAIN)
    alone = overlay_of(device) is None  # of several layers each has sectors of its own in a block
    probes = AGAIN if alone and found.until(start, error.kind) else PROBES
    if not middle or _all_alike(device, start, stop, probes):
        found.add(_lost(start, stop, error))
        yield filler(start, stop, Kind.BAD)
        return
    for first, last in ((start, middle), (middle, stop)):
        try:
            rows = list(guarded(device, first, last))
        except FAULTS as fault:
            rows = list(_within(device, first, last, fault, found))
        yield from rows


def _middle(start: int, stop: int, grain: int) -> int:
    """A multiple of `grain` inside [start, stop), about half way; 0 where there is none."""
    middle = rounded((start + stop) // 2, grain)
    middle = middle if middle < stop else middle - grain
    return middle if middle > start else 0


def _all_alike(device: Device, start: int, stop: int, probes: int) -> bool:
    """Whether sectors here and there fail all: then the whole is taken for lost, unasked."""
    for part in range(probes + 1):
        at = min(start + (stop - start) * part // probes, stop - 1) // GRAIN * GRAIN
        try:
            for _ in guarded(device, max(start, at), min(stop, at + GRAIN)):
                pass
        except FAULTS:
            continue
        return False
    return True


def _tried(window: Window, work: Work) -> tuple[Window, list[Lost]]:
    """What of a window cannot be read; rows that are BAD are passed over."""
    lost: list[Lost] = []
    if window.parts and not _reads(window, work):
        for runs in window.parts:
            for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
                if kind != Kind.BAD and kind not in BLANK:
                    lost += _sifted(runs, start, start + length, work)
    return window, lost


def _reads(window: Window, work: Work) -> bool:
    try:
        work.buffers.give(load(window, work))
    except FAULTS:
        return False
    return True


def _sifted(runs: Runs, start: int, stop: int, work: Work) -> Iterator[Lost]:
    """What of a row cannot be read: a chunk as a whole, else frames or sectors."""
    part = clip(runs, start, stop)
    try:
        work.buffers.give(load(Window(start, stop, (part,)), work))
        return
    except FAULTS as error:
        fault = error
    grain = GRAIN if runs.records is None else runs.records.take
    middle = _middle(start, stop, grain)
    if part.kind[0] == Kind.CODED or not middle:
        yield _lost(start, stop, fault)
        return
    yield from _sifted(runs, start, middle, work)
    yield from _sifted(runs, middle, stop, work)


def _lost(start: int, stop: int, error: ContentError | MediumError) -> Lost:
    return Lost(start, stop - start, error.kind, error.message, error.at)
