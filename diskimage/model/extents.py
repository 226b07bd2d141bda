"""Where guest bytes are: sources, codecs, frames, extents and the columns they travel in."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple, Protocol, runtime_checkable


class Kind(IntEnum):
    """What a run of guest bytes is."""

    DATA = 0  # in a source, at an offset
    CODED = 1  # a compressed chunk of a source
    ZERO = 2  # reads as zeros
    ABSENT = 3  # this layer does not answer: ask the backing
    BAD = 4  # known unreadable


HOLE = 0x80 | Kind.ZERO
"""The kind column's code for a ZERO that takes no space."""


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
    """Pure decoding of a chunk; thread-safe."""

    @property
    def name(self) -> str: ...
    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes, no view of `coded`, whose memory is used again; CorruptError
        otherwise. Bytes after the stream are ignored."""
        ...


class Encoder(Codec, Protocol):
    """A codec that is written too."""

    def encode(self, plain: memoryview) -> bytes | None:
        """The coded chunk, or None where it would not be smaller."""
        ...


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
    edc: bool = True  # False: frames whose EDC and ECC are all zero were written without


@dataclass(frozen=True, slots=True)
class Records:
    """`take` bytes out of every `pitch`. The record that begins at `origin` is frame `lba`."""

    take: int
    pitch: int
    mode: Mode | None = None
    origin: int = 0
    lba: int = 0


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
