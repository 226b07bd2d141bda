"""`open()` and `Image`: the face that people use. Every image is a block device."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from diskimage import registry
from diskimage.engine.cache import ChunkCache
from diskimage.engine.copy import Work
from diskimage.engine.policy import FramePolicy
from diskimage.engine.read import DeviceSource, Reader, read_into, source as device_source
from diskimage.engine.run import apply
from diskimage.errors import ContentError, LimitError, UnsupportedError, UsageError
from diskimage.gate import FileGate, Ledger, Policy, Secret, checked_policy
from diskimage.layers.blank import Blank
from diskimage.limits import LIMITS, Limits
from diskimage.model import (
    Device,
    Disc,
    Extent,
    Faults,
    Finding,
    Format,
    Plan,
    Reference,
    Repair,
    Source,
    Writable,
)
from diskimage.ranges import Ranges
from diskimage.runs import extents
from diskimage.sinks.inplace import InPlaceSink, in_place
from diskimage.sources.anything import What
from diskimage.sources.device import DeviceFileSource
from diskimage.sources.file import FileSource
from diskimage.sources.rawfile import RawFile
from diskimage.words import escape, size_text

if TYPE_CHECKING:
    from diskimage.filesystems import FileSystem, ImagePath


class Image:
    """An open image: a block device of `size` bytes, and what else it is.

    `disc` is None for disks; for a disc the bytes are those of its first data track. Reads are
    thread-safe. Use it as a context manager, or call `close`.
    """

    def __init__(
        self, source: Source, rules: Format, opened: Device | Disc, gate: FileGate,
        policy: FramePolicy, sink: InPlaceSink | None = None,
    ) -> None:  # fmt: skip
        self._source, self._rules, self._gate = source, rules, gate
        self._ledger = ledger = gate.ledger
        self.disc = opened if isinstance(opened, Disc) else None
        self._given = opened
        self._sink = sink
        self._lock = Lock()
        self._poisoned = False
        self.limits = gate.limits
        self.policy = policy
        self._reader = Reader(policy, ChunkCache())
        if isinstance(opened, Disc):
            if opened.data is None:
                ledger.warnings.append(Finding("no-data", "the disc has no data track: size 0"))
            self.device: Device = opened.data if opened.data is not None else Blank(0)
        else:
            self.device = opened

    @property
    def name(self) -> str:
        """The name it was opened by."""
        return self._source.name

    @property
    def format(self) -> str:
        """The name of its format."""
        return self._rules.name

    @property
    def rules(self) -> Format:
        """Its format."""
        return self._rules

    @property
    def source(self) -> Source:
        """The file itself, as stored."""
        return self._source

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every file it is read from, the image itself first."""
        return tuple(self._ledger.sources)

    @property
    def content(self) -> Device | Disc:
        """What the format gave: a device, or a disc."""
        return self._given

    @property
    def size(self) -> int:
        """Bytes of the guest."""
        return self.device.size

    @property
    def sector_size(self) -> int:
        """2048 for a disc, the device's own for a device, else what the format says, or 512."""
        if self.disc is not None:
            return 2048
        if isinstance(self._source, DeviceFileSource):
            return self._source.sector_size
        said = self.device.info.get("sector_size", 512)
        return said if isinstance(said, int) else 512

    @property
    def info(self) -> Mapping[str, object]:
        """What the format says of the image."""
        return self._given.info

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What was odd and survived, and the frames that were mended."""
        said = (*self._ledger.warnings, *self.faults)
        return (*said, *self.policy.told(self.limits.problems))

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What was wrong in opening it and survived, because it is salvaged; warnings too."""
        return tuple(self._ledger.faults.found)

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every second file the image names, opened or not."""
        return tuple(self._ledger.references)

    def keep(self, source: Source) -> None:
        """Read from `source` too: it is closed with the image, and never written over."""
        self._ledger.own.append(source)
        self._ledger.sources.append(source)

    def problems(self) -> Iterator[Finding]:
        """What the format itself finds wrong with the image, perhaps as a `Checking`."""
        walk = self._rules.check
        return iter(()) if walk is None else walk(self._source, self._gate)

    def mendable(self) -> Repair | None:
        """What the format can mend of it; None where it has no way to."""
        return None if self._rules.repair is None else self._rules.repair(self._source, self._gate)

    def bitmap(self, name: str) -> Ranges:
        """The guest bytes that the dirty bitmap `name` says were written; `info` lists them.

        Raises UsageError where there is none, UnsupportedError for one that is not to be trusted.
        """
        if self._rules.bitmap is None:
            text = f"{self.format} holds no bitmaps"
            raise UsageError(text, file=self.name, remedy="bitmaps are a qcow2's")
        return Ranges(self._rules.bitmap(self._source, self._gate, name))

    def warn(self, kind: str, message: str, at: int | None = None) -> None:
        """Note something odd about the image."""
        self._ledger.warnings.append(Finding(kind, escape(message), at))

    def read(self, start: int, length: int) -> bytes:
        """`length` guest bytes from `start`; fewer only at the end."""
        if start < 0 or length < 0:
            text = f"{length} bytes from {start} cannot be read"
            raise UsageError(text, file=self.name, remedy="neither is less than 0")
        buffer = bytearray(max(0, min(length, self.size - start)))
        self.read_into(start, buffer)
        return bytes(buffer)

    def read_into(self, start: int, buffer: bytearray | memoryview) -> int:
        """Fill `buffer` with guest bytes from `start`; returns how many."""
        view = memoryview(buffer).cast("B")
        if self._sink is None:
            return read_into(self.device, start, view, self._reader)
        with self._lock:  # extents hold only until the next write
            return read_into(self.device, start, view, self._reader)

    def write(self, start: int, data: bytes | bytearray | memoryview) -> int:
        """Write `data` at guest byte `start` of an image opened with mode "r+"; returns its length.

        Raises UsageError outside of the image or where it is not writable. After an error in the
        middle the image refuses to be written until it is opened again.
        """
        view = memoryview(data).cast("B")
        device = self._writable(start, len(view))
        self.change(device.plan_write(start, view))
        return len(view)

    def zero(self, start: int, length: int) -> None:
        """Make [start, start + length) read as zeros, without space where that can be."""
        self.change(self._writable(start, length).plan_zero(start, length))

    def flush(self) -> None:
        """Make what was written durable."""
        self.change(self._writable(0, 0).plan_flush())

    def unchanged(self) -> None:
        """ChangedError where a file it is read from is not as it was when it was opened.

        One that is open for writing is not asked: it changes by what is written here.
        """
        if self._sink is None:
            for source in self.sources:
                if isinstance(source, FileSource):
                    source.unchanged()

    def _writable(self, start: int, length: int) -> Writable:
        if self._sink is None or not isinstance(self.device, Writable):
            raise UsageError("is not open for writing", file=self.name, remedy='open it with "r+"')
        if self._poisoned:
            raise UsageError("an earlier write failed half way", file=self.name,
                             remedy="check the image and open it again")  # fmt: skip
        if start < 0 or length < 0 or start + length > self.size:
            raise UsageError(f"{length} bytes at {start} lie outside of its {self.size} bytes",
                             file=self.name)  # fmt: skip
        return self.device

    def change(self, plan: Plan) -> None:
        """Carry out a plan of `device`, where the image is open for writing."""
        assert self._sink is not None
        with self._lock:
            self._poisoned = True
            apply(plan, self._sink, Work(threads=1))
            self._poisoned = False

    def extents(self, start: int = 0, stop: int | None = None) -> Iterator[Extent]:
        """Where the guest bytes of [start, stop) are."""
        if start < 0:
            raise UsageError(f"extents from {start}", file=self.name, remedy="the first byte is 0")
        return extents(self.device, start, stop)

    def as_source(self) -> DeviceSource:
        """The guest bytes as a source."""
        return device_source(self.device, self.name, self._reader)

    def as_file(self) -> io.RawIOBase:
        """The guest bytes as a raw binary file."""
        return RawFile(self)

    @property
    def files(self) -> ImagePath:
        """The root of the files in it: like a `pathlib.Path`, for reading.

        Raises UnsupportedError where no file system is recognised.
        """
        from diskimage.filesystems import ImagePath  # as in `filesystem`

        return ImagePath(self.filesystem)

    @property
    def filesystem(self) -> FileSystem:
        """The file system in it. Raises UnsupportedError where none is recognised."""
        from diskimage import filesystems  # only who asks for files pays for their readers

        found = self._at_its_address()
        if found is None:
            found = filesystems.detect(self.as_source(), self.limits, self.warn)
        if found is None:
            remedy = "ISO 9660 is what is read, with Joliet and Rock Ridge"
            raise UnsupportedError("no file system we read is in it", file=self.name, remedy=remedy)
        return found

    def _at_its_address(self) -> FileSystem | None:
        """The file system of a data track that is not the disc's beginning.

        Its extents count from LBA 0 of the disc, not from the track (CD-Extra).
        """
        from diskimage import filesystems  # as above

        number = self.device.info.get("track")
        tracks = self.disc.tracks if self.disc is not None else ()
        lba = next((track.lba for track in tracks if track.number == number), 0)
        if self.disc is None or lba <= 0:
            return None
        space = device_source(self.disc.space, self.name, self._reader)
        return filesystems.detect(space, self.limits, self.warn, base=lba)

    def close(self) -> None:
        """Write out what is held back, and close every file that was opened; twice is harmless."""
        try:
            if self._sink is not None and not self._poisoned:
                self.flush()
        finally:
            self._sink = None
            self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """The map as a picture, where a notebook shows one."""
        from diskimage.engine.picture import Piece, kind_of, svg, tally  # drawn by few

        pieces = (Piece(e.start, e.length, kind_of(e)) for e in self.extents())
        return svg(tally(pieces, self.size, 800), repr(self)[1:-1])

    def __repr__(self) -> str:
        return f"<Image {escape(self.name)}: {self.format}, {size_text(self.size)}>"


def open(
    what: What,
    *,
    format: str | None = None,
    mode: Literal["r", "r+"] = "r",
    references: Policy = "parts",
    limits: Limits = LIMITS,
    password: Secret = None,
    check: bool = True,
    repair: bool = False,
    salvage: bool = False,
    open_options: Mapping[str, object] | None = None,
    **more: object,
) -> Image:
    """Open `what` as a block device, read-only unless `mode` is "r+".

    `what`: a path, bytes, a binary file object, a Source, a device, a URL of fsspec, "-" (a pipe).
    `format` names the format and ends all guessing. `references`: "none", "parts" (files that make
    up the image, beside it), "siblings" (parents beside it too), "list" (this layer alone), a
    directory, a mapping {name: path or source}, or a callable. `password` is a text, or a callable
    that is asked for one once the image needs it. `check` holds every disc frame that is read
    against its EDC, `repair` mends wrong ones by ECC. With `salvage` an image that is cut or has a
    hole in its index opens as far as it goes: what is lost is BAD, the reasons are its `faults`.
    `open_options` and further keywords are the image's format's: which disk of several, which
    snapshot. Raises DiskImageError.
    """
    if mode not in ("r", "r+"):
        raise UsageError(f"no mode {mode!r}", remedy="r reads, r+ writes in place")
    if salvage and mode == "r+":
        raise UsageError("what is salvaged is not written to", remedy="convert it with --salvage")
    ledger = Ledger(faults=Faults(salvage))
    try:
        source = ledger.source(what, writable=mode == "r+")
        ledger.sources.append(source)
        gate = _gate(source, checked_policy(references), limits, password, ledger)
        policy = FramePolicy(check=check, repair=repair)
        options = {**(open_options or {}), **more}
        return _opened(source, format, gate, policy, options, writable=mode == "r+")
    except (MemoryError, RecursionError) as error:
        ledger.close()
        name = type(error).__name__
        raise LimitError(f"needs more memory than there is ({name})") from error
    except BaseException:
        ledger.close()
        raise


def _gate(
    source: Source, policy: Policy, limits: Limits, password: Secret, ledger: Ledger
) -> FileGate:
    file = isinstance(source, FileSource)
    folder = os.path.dirname(os.path.abspath(source.name)) if file else ""
    chain = (source.identity,) if isinstance(source, FileSource) else ()
    return FileGate(source.name, folder, policy, limits, password, ledger, chain)


def _opened(
    source: Source, format: str | None, gate: FileGate, policy: FramePolicy,
    options: Mapping[str, object], *, writable: bool,
) -> Image:  # fmt: skip
    rules, note = registry.chosen(source, format)
    registry.demand_options(options, rules.opens, f"opening {rules.name}")
    if note is not None:
        gate.warn("suffix", note)
    try:
        opened = rules.open(source, gate, **options)
    except ContentError as error:
        if format is not None and rules.probe(registry.look(source)) is None:
            error.remedy = f"nothing in it says {rules.name}: leave out --format, or name another"
        raise
    sink = in_place(source, rules, opened, gate.ledger.references) if writable else None
    return Image(source, rules, opened, gate, policy, sink)
