"""A track as an MDX has it: its frames in one mode, with what subchannel can stand behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from diskimage.disc.address import LONGEST, PREGAP
from diskimage.disc.modes import MODE2_2332, MODE2_2336, USER
from diskimage.disc.recast import compact, raw_mode, recast, units, woven
from diskimage.disc.subchannel import with_sub
from diskimage.disc.tracks import between, frames
from diskimage.errors import UnsupportedError
from diskimage.formats.mdx.groups import Cipher
from diskimage.layers.records import Placed
from diskimage.model import Device, Disc, Extent, Kind, Layout, Mode, Piece, Track
from diskimage.sources.decrypt import turned

TYPES = {
    "AUDIO": 0xA9, "MODE1/2352": 0xAA, "MODE1/2048": 0x02, "MODE2/2352": 0xAB, "CDI/2352": 0xAB,
    "MODE2/2336": 0x03, "CDI/2336": 0x03, "MODE2/2048": 0x04, "MODE2/2324": 0x05,
}  # fmt: skip
"""The first byte of a row: what READ CD would be asked for (MMC), and the type of the sectors."""
SUBS: dict[Layout | None, int] = {None: 0, "interleaved": 1, "q16": 2, "rw": 4}


class Part(NamedTuple):
    """What is stored of a track: `pieces` of one mode, `pitch` bytes a frame, from `first` on."""

    track: Track
    pieces: tuple[Piece, ...]
    mode: Mode
    layout: Layout | None
    first: int
    pregap: int

    @property
    def frames(self) -> int:
        """How many are stored."""
        return sum(piece.frames for piece in self.pieces)

    @property
    def pitch(self) -> int:
        """Bytes of a frame with what is behind it."""
        return self.mode.size + (0 if self.layout is None else 16 if self.layout == "q16" else 96)

    def device(self, cipher: Cipher | None) -> Device:
        """The frames one behind the other, enciphered where there is a cipher."""
        if cipher is not None:
            return Placed(_enciphered(self.pieces, self.pitch, cipher), USER)
        return Placed(units(self.pieces) if self.layout else frames(self.pieces), USER)


class Lying(NamedTuple):
    """A part and where it lies: at `at`, its table `table` bytes behind; None: not in groups."""

    part: Part
    at: int
    table: int | None


def _enciphered(pieces: Sequence[Piece], pitch: int, cipher: Cipher) -> Iterator[Extent]:
    """Frames with what is behind each, under the cipher that counts them."""
    start = 0
    for piece in pieces:
        inner, at = compact(piece), 0
        if piece.sub is not None:
            both = woven(piece)
            assert both.source is not None
            inner, at = both.source, both.at
        first, size = start // pitch, piece.frames * pitch
        source = turned(inner, cipher.encrypt, unit=pitch, count=piece.frames, at=at, first=first)
        yield Extent(start, size, Kind.DATA, source)
        start += size


def is_dvd(disc: Disc) -> bool:
    """Whether there is no table of contents: a DVD, or one track that no CD has room for."""
    long = disc.sessions[-1].leadout > LONGEST
    return disc.medium in ("DVD", "BD") or (long and len(disc.tracks) == 1)


def parts(disc: Disc) -> list[Part]:
    """Its tracks, in order. Raises UnsupportedError for one of Mode 0, and for what is no CD and no
    DVD."""
    if not is_dvd(disc) and (disc.medium != "CD" or disc.sessions[-1].leadout > LONGEST):
        what = "longer than 99:59:74" if disc.medium == "CD" else f"a {disc.medium}"
        raise UnsupportedError(
            f"the disc is {what}, which a table of contents cannot tell",
            remedy="choose a format of sheets, as cue",
        )
    made: list[Part] = []
    before = 0
    for track in disc.tracks:
        session = next(one for one in disc.sessions if one.number == track.session)
        opening, last = track.number == session.tracks[0], track.number == session.tracks[-1]
        pregap = track.pregap + (0 if opening else before)
        stop = track.lba + track.length + (track.postgap if last else 0)
        made.append(_part(disc, track, pregap, stop, opening=opening, first=not made))
        before = track.postgap
    return made


def _part(disc: Disc, track: Track, pregap: int, stop: int, *, opening: bool, first: bool) -> Part:
    """A track up to `stop`; its `pregap`, to which the postgap before it belongs, where some of it
    is stored, but before the first track of the disc. Every lead-in ends with 150 frames of it."""
    start = track.lba
    pieces = list(between(track.pieces, track.lba, stop))
    before = list(between(track.pieces, track.lba - track.pregap, track.lba))
    if first:
        pregap = max(0, track.lba) + PREGAP
    elif any(piece.source is not None for piece in before):
        start -= pregap
        made = Piece(start, pregap - track.pregap, None, 0, track.mode)
        pieces = [*([made] if made.frames else []), *before, *pieces]
    elif opening:
        pregap = max(pregap, PREGAP)
    mode, layout = _mode(track, pieces), _layout(pieces)
    pieces = [recast(piece, mode) for piece in pieces]
    if layout is not None:
        pieces = [with_sub(disc, piece, layout) for piece in pieces]
    else:
        pieces = [replace(piece, sub=None) for piece in pieces]
    return Part(track, tuple(pieces), mode, layout, start, pregap)


def _mode(track: Track, pieces: Sequence[Piece]) -> Mode:
    """The one mode in which all frames of a track are stored. Raises UnsupportedError."""
    modes = {piece.mode.name: piece.mode for piece in pieces if piece.source is not None}
    mode = next(iter(modes.values())) if len(modes) == 1 else raw_mode(track.mode)
    if mode.name == MODE2_2332.name:
        mode = MODE2_2336
    if mode.name not in TYPES:
        raise UnsupportedError(
            f"track {track.number} is {mode.name}, which has no type in an MDX",
            remedy="choose another format, as cue",
        )
    return mode


def _layout(pieces: Sequence[Piece]) -> Layout | None:
    """How the subchannel of a track is stored; packed and mixed ones become interleaved."""
    layouts = {piece.sub.layout for piece in pieces if piece.sub is not None}
    if not layouts:
        return None
    only = layouts.pop()
    return only if not layouts and only in SUBS else "interleaved"
