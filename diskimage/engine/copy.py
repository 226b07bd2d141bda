"""The one loop that moves guest bytes: from runs to a target, past digests where asked."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from diskimage.engine.batch import WINDOW, Buffers
from diskimage.engine.digest import Feeder, Sum
from diskimage.engine.guard import checked
from diskimage.engine.progress import Watch
from diskimage.engine.read import Reader
from diskimage.engine.windows import Window, stretches, windows
from diskimage.errors import TruncatedError, from_os
from diskimage.kernels import copying, scan
from diskimage.limits import MIB
from diskimage.model import Kind, Runs, Target
from diskimage.pool import default_threads, ordered
from diskimage.runs import stop_of

PIECE = 16 * MIB  # a kernel copy of at most 20 ms, so that Ctrl-C and the bar keep up
SCATTERED = 128 * 1024  # rows smaller than this on average are worth a second thread
SCRATCH = 256 * 1024  # what a fused kernel works in: half of a small second-level cache


@dataclass(slots=True)
class Work:
    """How a job wants its bytes moved."""

    reader: Reader = field(default_factory=Reader)
    watch: Watch = field(default_factory=Watch)
    threads: int = field(default_factory=default_threads)
    window: int = WINDOW
    sparse: bool = False  # look for zeros among stored bytes and leave them out
    direct: bool = False  # the target wants aligned writes from aligned memory
    in_order: bool = False  # the target takes each byte after the last, from one thread
    buffers: Buffers = field(default_factory=Buffers)


def copy(
    blocks: Iterable[Runs], to: int, target: Target, sums: tuple[Sum, ...], work: Work
) -> None:
    """Write the guest bytes of `blocks` so that the first lands at `to` of `target`."""
    stream = iter(blocks)
    first = next(stream, None)
    if first is None:
        return
    base = first.start[0] - to
    runs = checked(_again(first, stream), first.start[0])
    if sums or work.sparse or work.direct or target.fd is None:
        _through_memory(runs, base, target, sums, work)
    else:
        _descriptor_to_descriptor(runs, base, target, work)


def _again(first: Runs, rest: Iterator[Runs]) -> Iterator[Runs]:
    yield first
    yield from rest


def _descriptor_to_descriptor(
    blocks: Iterator[Runs], base: int, target: Target, work: Work
) -> None:
    """Plain bytes by kernel copies, frames by the fused kernel, the rest through buffers.

    Long plain rows are copied by one thread: the kernel holds the target's lock while it copies.
    """
    for long, group in groupby(_sized(blocks, work), key=itemgetter(0)):
        tasks = ((window, base, target, work) for _, window in group)
        for window in ordered(_transfer, tasks, 1 if long else work.threads):
            blank = not window.parts
            work.watch.passed(window.length, written=0 if blank else window.length)


def _sized(blocks: Iterator[Runs], work: Work) -> Iterator[tuple[bool, Window]]:
    """(long, window): large where one kernel call moves them, small where threads share work."""
    for runs in blocks:
        plain = Kind.CODED not in runs.kind.tobytes() and runs.records is None
        plain = plain and (runs.source is None or runs.source.fd is not None)
        long = plain and stop_of(runs) - runs.start[0] >= SCATTERED * len(runs)
        for window in windows((runs,), PIECE if plain else work.window):
            yield long, window


def _transfer(window: Window, base: int, target: Target, work: Work) -> Window:
    if not window.parts and not target.fresh:
        target.zero(window.start - base, window.length)
    for runs in window.parts:
        if not by_kernel(runs, base, target, work):
            _by_buffer(runs, base, target, work)
    return window


def by_kernel(runs: Runs, base: int, target: Target, work: Work) -> bool:
    """Move `runs` without the bytes passing through Python; False where that cannot be."""
    source = runs.source
    if source is None or source.fd is None or target.fd is None or Kind.CODED in runs.kind:
        return False
    if runs.records is not None:
        return _frames(runs, base, target, work)
    kinds = set(runs.kind)
    if kinds != {Kind.DATA}:
        if kinds & {Kind.ABSENT, Kind.BAD}:
            return False
        runs = _stored_rows(runs, base, target)
    to = runs.start if base == 0 else array("q", [start - base for start in runs.start])
    scratch = work.buffers.take(SCRATCH)
    try:
        got = copying.copy_runs(source.fd, runs.at, runs.length, target.fd, to, scratch)
    except OSError as error:
        raise from_os(error, target.name) from error
    finally:
        work.buffers.give(scratch)
    if got != sum(runs.length):
        raise TruncatedError(f"became shorter while it was read: {got} bytes of a run of"
                             f" {sum(runs.length)}", file=source.name, at=runs.at[0])  # fmt: skip
    return True


def _stored_rows(runs: Runs, base: int, target: Target) -> Runs:
    """`runs` without its zeros, which are made so on a target that is not fresh."""
    keep = [row for row, kind in enumerate(runs.kind) if kind == Kind.DATA]
    if not target.fresh:
        for row, kind in enumerate(runs.kind):
            if kind != Kind.DATA:
                target.zero(runs.start[row] - base, runs.length[row])
    columns = (runs.start, runs.length, runs.at)
    starts, lengths, ats = (array("q", [column[row] for row in keep]) for column in columns)
    kinds = array("B", bytes(len(keep)))
    return Runs(starts, lengths, ats, kinds, array("q"), array("q"), runs.source)


def _frames(runs: Runs, base: int, target: Target, work: Work) -> bool:
    from diskimage.engine.frames import transfer  # a disk has no frames

    records = runs.records
    assert records is not None
    assert runs.source is not None
    mode = records.mode
    if mode is None or mode.check == "none" or records.take != 2048:
        return False
    if set(runs.kind) != {Kind.DATA} or any(runs.skip) or any(n % 2048 for n in runs.length):
        return False
    scratch = work.buffers.take(SCRATCH)
    try:
        for start, length, at in zip(runs.start, runs.length, runs.at, strict=True):
            transfer(runs.source, at, length // 2048, records, target, start - base,
                     work.reader.policy, scratch)  # fmt: skip
    except OSError as error:
        raise from_os(error, target.name) from error
    finally:
        work.buffers.give(scratch)
    return True


def _by_buffer(runs: Runs, base: int, target: Target, work: Work) -> None:
    """Fill a buffer and write what of it is stored."""
    buffer = work.buffers.take(stop_of(runs) - runs.start[0])
    try:
        work.reader.fill(runs, buffer)
        _write((runs,), buffer, base, target, work)
    finally:
        work.buffers.give(buffer)


def _write(
    parts: tuple[Runs, ...], buffer: memoryview, base: int, target: Target, work: Work
) -> int:
    """Write the stored stretches of `parts`, whose bytes `buffer` holds; bytes really written."""
    first, written = parts[0].start[0], 0
    for start, stop, blank in stretches(parts):
        piece = buffer[start - first : stop - first]
        if blank and not target.fresh:
            target.zero(start - base, stop - start)
        elif not blank and work.sparse:
            written += write_sparse(piece, start - base, target)
        elif not blank:
            target.write(start - base, piece)
            written += stop - start
    return written


def write_sparse(buffer: memoryview, to: int, target: Target, block: int = 4096) -> int:
    """Write what of `buffer` is not zero, by blocks of the target's file system."""
    zero = scan.zero_blocks(buffer, block)
    written = at = 0
    while at < len(zero):
        end = zero.find(1 - zero[at], at)
        end = len(zero) if end < 0 else end
        start, stop = at * block, min(end * block, len(buffer))
        if not zero[at]:
            target.write(to + start, buffer[start:stop])
            written += stop - start
        elif not target.fresh:
            target.zero(to + start, stop - start)
        at = end
    return written


def _through_memory(
    blocks: Iterator[Runs], base: int, target: Target, sums: tuple[Sum, ...], work: Work
) -> None:
    """Every window through a buffer: read and written on the pool, digested in order.

    A target that takes its bytes in order is written between two results of the pool: no thread of
    it ever waits for another's bytes, which may never come.
    """

    def store(window: Window, buffer: memoryview | None) -> int:
        if buffer is not None:
            return _write(window.parts, buffer, base, target, work)
        if not target.fresh:
            target.zero(window.start - base, window.length)
        return 0

    def move(window: Window) -> tuple[Window, memoryview | None, int | None]:
        buffer = load(window, work) if window.parts else None
        return window, buffer, None if work.in_order else store(window, buffer)

    tasks = ((window,) for window in windows(blocks, work.window))
    with Feeder(sums) as feeder:
        for window, buffer, stored in ordered(move, tasks, work.threads):
            written = store(window, buffer) if stored is None else stored
            if buffer is None and sums:
                _feed_zeros(feeder, window.length, work)
                continue
            free = [] if buffer is None else feeder.feed(buffer) if sums else [buffer]
            for view in free:
                work.buffers.give(view)
            work.watch.passed(window.length, written=written)
        feeder.finish()


def _feed_zeros(feeder: Feeder, length: int, work: Work) -> None:
    """Digest zeros that nobody read, in pieces: a hole of terabytes takes a digest hours."""
    while length:
        piece = min(length, PIECE)
        for view in feeder.zeros(piece):
            work.buffers.give(view)
        work.watch.passed(piece)
        length -= piece


def load(window: Window, work: Work) -> memoryview:
    """The guest bytes of a window that is not blank, in a buffer of the job's."""
    buffer = work.buffers.take(window.length)
    for runs in window.parts:
        first = runs.start[0] - window.start
        work.reader.fill(runs, buffer[first : stop_of(runs) - window.start])
    return buffer


def digest(blocks: Iterator[Runs], sums: tuple[Sum, ...], work: Work) -> None:
    """Feed `sums` every guest byte of `blocks`; runs of zeros are not read."""
    tasks = ((window,) for window in windows(blocks, work.window))

    def get(window: Window) -> tuple[Window, memoryview | None]:
        return window, load(window, work) if window.parts else None

    with Feeder(sums) as feeder:
        for window, buffer in ordered(get, tasks, work.threads):
            if buffer is None:
                _feed_zeros(feeder, window.length, work)
                continue
            for view in feeder.feed(buffer):
                work.buffers.give(view)
            work.watch.passed(window.length, read=window.stored)
        feeder.finish()
