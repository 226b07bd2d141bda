"""What an optical disc is: sessions of tracks, and tracks of pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from diskimage.model.extents import Device, Mode, Source

Layout: TypeAlias = Literal["packed", "interleaved", "q16", "rw"]
"""How subchannel is stored: `packed`, 12 bytes of each channel P to W; `interleaved`, a bit of each
channel in every byte, P the highest; `q16`, 12 bytes of Q and 4 more, P in the last byte's highest
bit; `rw`, packs of R to W alone, their errors corrected."""


@dataclass(frozen=True, slots=True)
class Subchannel:
    """The subchannel of neighbouring frames: that of the n-th lies at `at` + n * `pitch`."""

    source: Source
    at: int
    pitch: int
    layout: Layout

    @property
    def size(self) -> int:
        """Bytes of one frame."""
        return 16 if self.layout == "q16" else 96


@dataclass(frozen=True, slots=True)
class Piece:
    """`frames` neighbouring frames of one track: at `at` in `source`, or made up (source None).

    Stored frames begin `pitch` bytes apart; 0 stands for the mode's own size.
    """

    lba: int
    frames: int
    source: Source | None
    at: int
    mode: Mode
    tail: int = 0  # bytes that the last frame lacks in the source and that are zeros (WAVE padding)
    pitch: int = 0
    sub: Subchannel | None = None

    def __post_init__(self) -> None:
        if not self.pitch:
            object.__setattr__(self, "pitch", self.mode.size)

    @property
    def stop(self) -> int:
        """The LBA after the last frame."""
        return self.lba + self.frames


@dataclass(frozen=True, slots=True)
class Track:
    """One track: `lba` is index 1, `length` the frames up to the next track's first index."""

    number: int
    session: int
    mode: Mode  # of the main channel: its subchannel is the pieces' own
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

    @property
    def subchannel(self) -> Layout | None:
        """How the subchannel of its frames is stored; None without any."""
        return next((piece.sub.layout for piece in self.pieces if piece.sub is not None), None)


SessionKind: TypeAlias = Literal["CDDA", "CDROM", "CDROM_XA", "CDI"]
"""What a session is, as its table of contents says (POINT A0, PSEC)."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session: its tracks by number, and where its lead-out begins."""

    number: int
    tracks: tuple[int, ...]
    leadout: int
    kind: SessionKind | None = None


class TocRow(NamedTuple):
    """A row of the lead-in's table of contents, as stored; times are disc times (MMC, full TOC)."""

    session: int
    adr: int
    control: int
    point: int
    time: tuple[int, int, int]
    pointed: tuple[int, int, int]


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
    cdtext: bytes | None = None  # packs of 18 bytes as stored, their checksums included
    toc: tuple[TocRow, ...] = ()  # of the lead-in, where it is stored
    info: Mapping[str, object] = field(default_factory=dict)
