"""What an optical disc is: sessions of tracks, and tracks of pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diskimage.model.extents import Device, Mode, Source


@dataclass(frozen=True, slots=True)
class Piece:
    """`frames` neighbouring frames of one track: at `at` in `source`, or made up (source None)."""

    lba: int
    frames: int
    source: Source | None
    at: int
    mode: Mode
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
