"""The nouns: where bytes are (Extent, Runs, Source), who answers (Device, Disc), what is to be done
(Step, Plan), where it lands (Sink), and what a format is. Values and protocols; no behaviour.

`start`, `stop`: guest bytes; `at`, `to`: host bytes; `stored`: a host length; `lba`: a frame.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from diskimage.limits import Limits


class Kind(IntEnum):
    """What a run of guest bytes is."""

    DATA = 0  # in a source, at an offset
    CODED = 1  # a compressed chunk of a source
    ZERO = 2  # reads as zeros
    ABSENT = 3  # this layer does not answer: ask the backing
    BAD = 4  # known unreadable


HOLE = 0x80 | Kind.ZERO
"""The kind column's code for a ZERO that takes no space."""


# --- bytes with a size and no meaning ---------------------------------------------------------


@runtime_checkable
class Source(Protocol):
    """Bytes with a size. `fd` is set where the kernel may copy from it directly."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def fd(self) -> int | None: ...
    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises IoError. Thread-safe."""
        ...

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """(at, stop, stored) of [at, stop), ascending and contiguous; False marks a hole."""
        ...

    def close(self) -> None: ...


class Codec(Protocol):
    """Pure encode and decode of a chunk; thread-safe."""

    @property
    def name(self) -> str: ...
    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes; CorruptError otherwise. Bytes after the stream are ignored."""
        ...

    def encode(self, plain: memoryview) -> bytes | None:
        """The coded chunk, or None where it would not be smaller."""
        ...


# --- frames of a disc -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mode:
    """The shape of a stored frame: `size` bytes, of which `user` at `user_at` are what files see.

    `missing` is how many leading bytes of the full 2352-byte frame are not stored (16 in a
    2336-byte frame); `check` which rules the stored frame can be held against (ECMA-130 clause 14,
    CD-ROM XA).
    """

    name: str
    size: int
    user_at: int
    user: int
    missing: int = 0
    check: Literal["none", "mode1", "mode2"] = "none"
    audio: bool = False
    subchannel: int = 0
    edc: bool = True  # False: the frames were written without EDC and ECC, which are not checked


@dataclass(frozen=True, slots=True)
class Records:
    """`take` bytes out of every `pitch`. The record that begins at `origin` is frame `lba`."""

    take: int
    pitch: int
    mode: Mode | None = None
    origin: int = 0
    lba: int = 0


# --- extents ----------------------------------------------------------------------------------


class Extent(NamedTuple):
    """Where a run of guest bytes is: the readable view of one row of Runs."""

    start: int
    length: int
    kind: Kind
    source: Source | None = None
    at: int = 0  # DATA: of `start`; with records, of the first taken byte of its record
    stored: int = 0  # CODED: bytes stored in the source
    skip: int = 0  # bytes of the first chunk's plain text, or of the first record, before `start`
    records: Records | None = None
    codec: Codec | None = None
    hole: bool = False  # ZERO: takes no space

    @property
    def stop(self) -> int:
        """The guest byte after the last."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Runs:
    """Extents in columns: at most 4,096 rows that share source, codec and record shape.

    `start`, `length`, `at`, `stored`, `skip` are array('q'), `kind` is array('B') with HOLE for a
    zero that takes no space. With a codec, the plain text of one chunk is `chunk` bytes. `stored`
    and `skip` are empty where no row is CODED and no row is cut inside a record.
    """

    start: array[int]
    length: array[int]
    at: array[int]
    kind: array[int]
    stored: array[int]
    skip: array[int]
    source: Source | None = None
    codec: Codec | None = None
    chunk: int = 0
    records: Records | None = None

    def __len__(self) -> int:
        return len(self.start)


@runtime_checkable
class Device(Protocol):
    """Guest bytes, as extents."""

    @property
    def size(self) -> int: ...
    @property
    def block(self) -> int:
        """The granule of the layer in bytes: a hint for buffers, 512 where nothing is known."""
        ...

    @property
    def info(self) -> Mapping[str, object]: ...
    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop): ascending, contiguous, positive, coalesced, in range."""
        ...


# --- discs ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """`frames` neighbouring frames of one track: at `at` in `source`, or made up (source None)."""

    lba: int
    frames: int
    source: Source | None
    at: int
    mode: Mode
    pitch: int = 0
    tail: int = 0  # bytes that the last frame lacks in the source and that are zeros (WAVE padding)


@dataclass(frozen=True, slots=True)
class Track:
    """One track: `lba` is index 1, `length` the frames up to the next track's first index."""

    number: int
    session: int
    mode: Mode
    lba: int
    length: int
    pregap: int  # frames before index 1, stored or not
    postgap: int
    indexes: tuple[tuple[int, int], ...]  # (number, lba), ascending
    pieces: tuple[Piece, ...]  # pregap to postgap, ascending and contiguous in lba
    flags: frozenset[str] = frozenset()  # DCP 4CH PRE SCMS
    isrc: str | None = None
    text: Mapping[str, str] = field(default_factory=dict)  # TITLE, PERFORMER...
    main: Device | None = None  # frames as stored, index 1 to the next track's first index


@dataclass(frozen=True, slots=True)
class Session:
    """A session: its tracks by number, and where its lead-out begins."""

    number: int
    tracks: tuple[int, ...]
    leadout: int


@dataclass(frozen=True, slots=True)
class Disc:
    """Sessions of tracks. `data` is the first data track as an ISO holds it (None without one);
    `space` has 2048 bytes for each LBA from 0, frames of another kind ABSENT."""

    medium: str
    sessions: tuple[Session, ...]
    tracks: tuple[Track, ...]
    data: Device | None
    space: Device
    catalog: str | None = None
    text: Mapping[str, str] = field(default_factory=dict)
    cdtext: Source | None = None  # packs as stored
    info: Mapping[str, object] = field(default_factory=dict)


# --- plans ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copy:
    """Write the guest bytes of `extents` so that the first lands at `to`; zeros become holes."""

    extents: Iterable[Runs]
    to: int
    file: str = ""
    sums: tuple[Any, ...] = ()  # hash objects updated with every guest byte, in order


@dataclass(frozen=True, slots=True)
class Pack:
    """Cut the concatenation of `extents` into chunks, drop the zero ones, append the rest at `to`.

    Each kept chunk is stored as the smallest codec's result, or plain where none is smaller; plain
    ones are aligned to `align`, coded ones to `align_coded`. Stops before more than `room` bytes
    are used. The last chunk is padded with zeros to `chunk`. The step's result is a `Packed`.
    """

    extents: Iterable[Runs]
    chunk: int
    codecs: tuple[Codec, ...]
    to: int
    align: int = 1
    align_coded: int = 1
    room: int | None = None
    sums: tuple[Any, ...] = ()
    file: str = ""


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of each chunk: columns `to` (-1: zero, -2: absent), `stored` and `codec`
    (index into the step's codecs, -1: plain), `done` chunks, and the next free host byte `end`."""

    to: array[int]
    stored: array[int]
    codec: array[int]
    done: int
    end: int


@dataclass(frozen=True, slots=True)
class Put:
    """Write metadata."""

    to: int
    data: bytes | bytearray | memoryview
    file: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """Set an output's size; new bytes read as zeros."""

    size: int
    file: str = ""


@dataclass(frozen=True, slots=True)
class Barrier:
    """What was written before is durable before what comes after."""


Step: TypeAlias = Copy | Pack | Put | Size | Barrier
Plan: TypeAlias = Generator[Step, Any, None]


@runtime_checkable
class Writable(Device, Protocol):
    """A device whose guest bytes can be changed in place, by plans over its own file.

    Offsets and lengths are guest bytes inside the device. Its extents hold until the next plan.
    """

    def plan_write(self, start: int, data: memoryview) -> Plan:
        """Write `data` at `start`."""
        ...

    def plan_zero(self, start: int, length: int) -> Plan:
        """Make [start, start + length) read as zeros, without space where it can be."""
        ...

    def plan_flush(self) -> Plan:
        """Write out what is held back, and make all of it durable."""
        ...


class Target(Protocol):
    """One output of a sink. `fresh`: unwritten bytes read as zeros."""

    @property
    def name(self) -> str: ...
    @property
    def fd(self) -> int | None: ...
    @property
    def fresh(self) -> bool: ...
    def write(self, to: int, data: memoryview) -> None:
        """Write all of `data` at `to`. Raises IoError, NoSpaceError. Thread-safe."""
        ...

    def zero(self, to: int, length: int) -> None:
        """Make [to, to + length) read as zeros, without space where the medium can."""
        ...

    def resize(self, size: int) -> None: ...
    def sync(self) -> None: ...


class Sink(Protocol):
    """Where a plan lands: the main output "" and others beside it; published whole or not."""

    def target(self, file: str = "") -> Target: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...


# --- findings, losses, references -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """A warning or a problem: a stable `kind`, what, and where (host byte, or LBA of a frame)."""

    kind: str
    message: str
    at: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Loss:
    """Something the target cannot hold. `content` losses are refused unless named; others warn."""

    name: str  # what --lossy takes: audio, tracks, sessions, subchannel, form2, snapshots...
    message: str
    content: bool = True


@dataclass(frozen=True, slots=True)
class Reference:
    """A second file that an image names. `role`: part, backing, data-file, parent."""

    name: str
    role: str
    format: str | None = None
    opened: bool = False


class Gate(Protocol):
    """Permission to open a second file, and the place where a reader says what was odd."""

    @property
    def limits(self) -> Limits: ...
    def warn(self, kind: str, message: str, at: int | None = None) -> None: ...
    def part(self, name: str, *, instead: tuple[str, ...] = ()) -> Source:
        """The part `name` beside the image, bytes only; `instead` names to try, with a warning,
        where it is absent. Raises RefusedReferenceError, UnsafeNameError, MissingError."""
        ...

    def siblings(self) -> tuple[str, ...]:
        """Names of the regular files in the image's directory; empty where there is none."""
        ...

    def source(self, name: str, *, role: str) -> Source | None:
        """A parent opened as bytes (an external data file); None under `references="list"`."""
        ...

    def parent(self, name: str, *, role: str, format: str | None) -> Device | None:
        """A parent opened as its `format` says; None under `references="list"`.
        Raises RefusedReferenceError, LoopError, LimitError, MissingError."""
        ...

    def password(self) -> str | None: ...


# --- formats ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bid:
    """How sure a format is, 1 to 100, from bytes and name alone, and why."""

    score: int
    reason: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a probe may see: the file's first 100 KiB, its last 64 KiB, its size and name."""

    head: bytes
    tail: bytes
    size: int
    name: str

    @property
    def suffix(self) -> str:
        """The lower-case suffix with its dot, or ""."""
        stem, dot, end = self.name.rpartition(".")
        return f".{end.lower()}" if dot and stem else ""


Ability = Literal["read", "create", "write"]
Opener: TypeAlias = Callable[..., "Device | Disc"]
Creator: TypeAlias = Callable[..., Plan]


@dataclass(frozen=True, slots=True)
class Option:
    """A keyword of `create` (or of `open`), its values and meaning, for `formats` and --option."""

    name: str
    values: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Format:
    """The rules of one file type, as functions of values.

    `open(source, gate, **options)` gives a Device or a Disc. `losses(what, **options)` lists what a
    created image would not hold; `create(what, stem, **options)` is the plan that writes `what` (a
    Device or Disc) to an output whose main file has that stem. `check(source, gate)` and
    `measure(what, **options)` are optional. Where `needs_source`, `create` computes over the guest
    bytes of a device and is given them as `source=` (a Source); a disc needs none.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    can: frozenset[Ability]
    probe: Callable[[Look], Bid | None]
    open: Opener
    losses: Callable[..., list[Loss]] | None = None
    create: Creator | None = None
    check: Callable[[Source, Gate], Iterator[Finding]] | None = None
    options: tuple[Option, ...] = ()
    needs_source: bool = False
