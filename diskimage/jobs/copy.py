"""Bytes of a file, a device or a pipe, as they stand, with their digests and a proof."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from diskimage.engine.batch import Buffers
from diskimage.engine.copy import Work, digest, write_sparse
from diskimage.engine.digest import Feeder, Sum, canonical, new, running
from diskimage.engine.guard import guarded
from diskimage.engine.progress import Report
from diskimage.engine.run import run
from diskimage.engine.salvage import WHOLE, Survey, salvaged
from diskimage.errors import UsageError, from_os
from diskimage.jobs.opening import told, work
from diskimage.jobs.publishing import PIPE, refuse
from diskimage.kernels.copying import clone_range
from diskimage.layers.plain import Plain
from diskimage.limits import LIMITS, MIB
from diskimage.model import Copy, Device, Finding, Plan, Put, Sink, Size, Source, Target
from diskimage.ranges import Ranges
from diskimage.sinks.device import DeviceSink
from diskimage.sinks.direct import DirectSink, DirectTarget
from diskimage.sinks.file import FileSink
from diskimage.sinks.pipe import PipeSink
from diskimage.sources.anything import as_source
from diskimage.sources.device import is_device
from diskimage.sources.direct import ALIGN, DirectSource, open_direct
from diskimage.sources.file import FileSource

if TYPE_CHECKING:
    from diskimage.layers.bmap import Bmap

STDIN = "<standard input>"
PROOF = "sha256"  # of what is verified, where no digest is asked for
LARGEST = 16 * MIB  # of one read
ROOM = 32 * MIB  # of all reads under way; digests hold four more


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did. `written` counts bytes really written; `digests` are of all `size` bytes;
    `verified` says how the target was read back: "direct", "dropped", or None where it was not;
    `bad` what could not be read and is zeros, where the rest was salvaged; `mapped` the bytes that
    a bmap says matter, each range held to its digest if it has one, None without a bmap."""

    source: str
    target: str
    size: int
    written: int
    digests: Mapping[str, str]
    verified: str | None
    shared: bool
    warnings: tuple[Finding, ...]
    seconds: float
    bad: Ranges = field(default_factory=Ranges)
    mapped: int | None = None

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "source": self.source, "target": self.target, "size": self.size,
            "written": self.written, "digests": dict(self.digests), "verified": self.verified,
            "shared": self.shared, "mapped": self.mapped, "seconds": round(self.seconds, 3),
            "bad": [[r.start, r.length] for r in self.bad], "warnings": told(self.warnings),
        }  # fmt: skip


@dataclass(slots=True)
class _Job:
    """One copy under way."""

    sums: dict[str, Sum]
    work: Work
    sparse: bool
    verify: bool
    direct: bool
    salvage: bool = False
    tried: Survey = WHOLE
    bmap: Bmap | None = None
    leave: bool = False
    closing: ExitStack = field(default_factory=ExitStack)
    size: int = 0
    verified: str | None = None
    shared: bool = False
    warnings: list[Finding] = field(default_factory=list)


def copy(
    source: str | os.PathLike[str] | Source,
    target: str | os.PathLike[str],
    *,
    hashes: Iterable[str] = (),
    sparse: bool = False,
    block_size: int | None = None,
    threads: int | None = None,
    direct: bool = False,
    durable: bool = True,
    verify: bool = False,
    salvage: bool = False,
    bmap: str | os.PathLike[str] | Source | None = None,
    leave_unmapped: bool = False,
    overwrite: bool = False,
    allow_device: bool = False,
    progress: Report | None = None,
    cancel: Event | None = None,
) -> Copied:
    """Copy the bytes of `source` to `target`; "-" is the standard input or output.

    Blocks are shared where the file system can (reflink), else holes stay holes; `sparse` looks for
    zeros too. `block_size` is that of reads and writes through memory, which it asks for; `direct`
    passes the page cache. `salvage` reads all first: what the medium does not give is zeros, listed
    as `bad`. `verify` reads the target back before it is published. What a `bmap` leaves out is
    holes of a file and zeros on a device, or with `leave_unmapped` stays as it was there; what it
    maps is held to its digests. A block device is written with `allow_device` alone, and only while
    nobody uses it.

    Raises ExistsError, BusyError, TooSmallError before the first byte; ChecksumError, ChangedError,
    NoSpaceError, IoError, CancelledError: a file is not published then.
    """
    began, path, hashes = time.monotonic(), os.fspath(target), tuple(map(canonical, hashes))
    job = _job(hashes, sparse, block_size, threads, direct, verify, path == PIPE, progress,
               cancel)  # fmt: skip
    if path == PIPE and verify:
        raise UsageError("a pipe cannot be read back")
    if source == PIPE and salvage:
        raise UsageError("a pipe cannot be read twice, which --salvage does")
    job.salvage, job.leave = salvage, leave_unmapped
    if bmap is not None:
        job.bmap = _bmap(bmap, job)
    if leave_unmapped and (job.bmap is None or sparse):
        raise UsageError("what is unmapped is told by a bmap, not by zeros",
                         remedy="--bmap FILE, and no --sparse")  # fmt: skip
    given = None if source == PIPE else as_source(source)
    with job.closing:
        if given is not None and given is not source:
            job.closing.callback(given.close)
        sink = _sink(path, given, overwrite, durable, allow_device, leave=leave_unmapped)
        final = DirectSink(sink) if direct and not isinstance(sink, PipeSink) else sink
        run(_stream(final, job) if given is None else _plan(given, final, job), final, job.work)
    digests = {name: job.sums[name].hexdigest() for name in hashes}
    return Copied(
        STDIN if given is None else given.name, path, job.size, job.work.watch.progress.written,
        digests, job.verified, job.shared, (*job.warnings, *job.tried.reasons),
        time.monotonic() - began, job.tried.bad, None if job.bmap is None else job.bmap.mapped,
    )  # fmt: skip


def _job(
    hashes: Iterable[str], sparse: bool, block_size: int | None, threads: int | None,
    direct: bool, verify: bool, to_pipe: bool, progress: Report | None, cancel: Event | None,
) -> _Job:  # fmt: skip
    made = work(progress, cancel, threads)
    if block_size is not None or direct:
        made.window = MIB if block_size is None else block_size
        if not 512 <= made.window <= LARGEST or (direct and made.window % ALIGN):
            unit = f", a multiple of {ALIGN}" if direct else ""
            raise UsageError(f"blocks of {made.window} bytes", remedy=f"512 bytes to 16 MiB{unit}")
        made.threads = min(made.threads, max(1, ROOM // (2 * made.window)))
        made.buffers = Buffers(made.window, aligned=direct)
        made.direct = True
    made.sparse, made.in_order = sparse, to_pipe
    sums = running(hashes)
    if verify and not sums:
        sums[PROOF] = new(PROOF)
    return _Job(sums, made, sparse, verify, direct)


def _sink(
    path: str, source: Source | None, overwrite: bool, durable: bool, allow_device: bool, *,
    leave: bool,
) -> FileSink | DeviceSink | PipeSink:  # fmt: skip
    if path == PIPE:
        return PipeSink(sys.stdout.fileno(), "<standard output>")
    guard = refuse(() if source is None else (source,))
    if not is_device(path):
        return FileSink(path, overwrite=overwrite, durable=durable, guard=guard)
    if not allow_device:
        remedy = "say --allow-device if all that is on it may be lost"
        raise UsageError("is a device", file=path, remedy=remedy)
    guard(path)
    size = 0 if source is None else source.size
    return DeviceSink(path, size, durable=durable, leave=leave)


def _bmap(bmap: str | os.PathLike[str] | Source, job: _Job) -> Bmap:
    """The bmap, judged; a warning where it has no digests."""
    from diskimage.layers.bmap import load  # only who has one pays

    if job.salvage:
        raise UsageError("what a bmap holds to its digests is not salvaged", remedy="one of both")
    source = as_source(bmap)
    try:
        found = load(source, LIMITS)
    finally:
        if source is not bmap:
            source.close()
    if not found.algorithm:
        text = f"the bmap is of version {found.version}, which has no digests"
        job.warnings.append(Finding("checksum", text))
    return found


def _judging(job: _Job, file: str) -> tuple[Sum, ...]:
    """What holds the ranges of the bmap to their digests while they pass."""
    if job.bmap is None or not job.bmap.algorithm:
        return ()
    from diskimage.layers.bmap import Judge, RangeSums

    return (RangeSums(job.bmap.ranges, job.bmap.algorithm, Judge(job.bmap, file)),)


def _plan(source: Source, sink: Sink, job: _Job) -> Plan:
    """A source that can seek: shared, or copied, then held against itself and read back."""
    job.size = source.size
    target = sink.target()
    device: Device = Plain(_direct(source, target, job) if job.direct else source)
    if job.salvage:
        device, job.tried = salvaged(device, job.work)
    if job.bmap is not None:
        device = _mapped(device, job.bmap, source.name, solid=job.leave)
    job.work.watch.begin("copy", source.size)
    sums = (*job.sums.values(), *_judging(job, source.name))
    whole = not job.tried.bad and job.bmap is None
    if whole and isinstance(source, FileSource) and _shares(source, sink, job):
        job.shared = True
        digest(guarded(device), sums, job.work) if sums else job.work.watch.passed(source.size)
    else:
        yield Copy(device.runs(), 0, sums=sums)
    yield Size(source.size)
    if isinstance(source, FileSource):
        source.unchanged()
    if job.verify:
        _verify(sink, job, device)


def _mapped(device: Device, bmap: Bmap, file: str, *, solid: bool) -> Device:
    from diskimage.layers.bmap import Mapped, demand_size

    demand_size(bmap, device.size, file)
    return Mapped(device, bmap.ranges, solid=solid)


def _shares(source: FileSource, sink: Sink, job: _Job) -> bool:
    """Share all blocks with the target, where its file system can and the caller wants no less."""
    target = sink.target()
    if job.sparse or job.work.direct or not source.size:
        return False
    if source.fd is None or target.fd is None or not target.fresh:
        return False
    try:
        return clone_range(source.fd, 0, target.fd, 0, source.size)
    except OSError as error:
        raise from_os(error, target.name) from error


def _direct(source: Source, target: object, job: _Job) -> Source:
    """`source` read past the cache; a warning where either end cannot do that."""
    if isinstance(target, DirectTarget) and not target.active:
        job.warnings.append(Finding("direct", f"{target.name}: its file system has no direct I/O"))
    if not isinstance(source, FileSource) or source.fd is None:
        return source
    direct = open_direct(source.name, os.O_RDONLY)
    if direct is None:
        job.warnings.append(Finding("direct", f"{source.name}: its file system has no direct I/O"))
        return source
    job.closing.callback(os.close, direct)
    return DirectSource(source, direct)


def _verify(sink: Sink, job: _Job, device: Device | None = None) -> None:
    from diskimage.jobs.readback import read_back  # only who verifies pays

    target = sink.target()
    target.sync()
    name = next(iter(job.sums))
    path = str(getattr(target, "path", target.name))
    job.verified = read_back(path, job.size, job.sums[name], name, job.work, device, job.bmap)


def _stream(sink: Sink, job: _Job) -> Plan:
    """The standard input: read in order, digested and written as it comes."""
    fd = sys.stdin.fileno()
    job.work.watch.begin("copy", 0)
    sums = (*job.sums.values(), *_judging(job, STDIN))
    mapped = None if job.bmap is None else Ranges(job.bmap.ranges)
    with Feeder(sums) as feeder:
        while piece := _read(fd, job.work.window):
            parts = [(job.size, piece)]
            if mapped is not None:
                parts = list(_wanted(piece, job.size, mapped, sink.target()))
            if sums:
                feeder.feed(piece)
            for at, part in parts:
                if job.sparse:
                    write_sparse(part, at, sink.target())
                else:
                    yield Put(at, part)
            job.size += len(piece)
            job.work.watch.passed(len(piece), read=len(piece), written=len(piece))
        feeder.finish()
    if job.bmap is not None:
        from diskimage.layers.bmap import demand_size  # as in `_bmap`

        demand_size(job.bmap, job.size, STDIN)
    yield Size(job.size)
    if job.verify:
        _verify(sink, job)


def _wanted(
    piece: memoryview, start: int, mapped: Ranges, target: Target
) -> Iterator[tuple[int, memoryview]]:
    """The parts of what came from byte `start` on that are to be written, and where.

    What is not mapped is zeros from here on, also for digests.
    """
    stop = start + len(piece)
    for gap in Ranges([(start, len(piece))]) - mapped.clip(start, stop):
        piece[gap.start - start : gap.stop - start] = bytes(gap.length)
    if not target.fresh:
        yield start, piece
        return
    for one in mapped.clip(start, stop):
        yield one.start, piece[one.start - start : one.stop - start]


def _read(fd: int, length: int) -> memoryview:
    """Up to `length` bytes; fewer only where the pipe ends, none after that."""
    buffer = memoryview(bytearray(length))
    done = 0
    while done < length:
        try:
            got = os.readv(fd, [buffer[done:]])
        except OSError as error:
            raise from_os(error, STDIN) from error
        if got == 0:
            break
        done += got
    return buffer[:done]
