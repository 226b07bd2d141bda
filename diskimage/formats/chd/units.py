"""The tracks of a disc as the units of a CHD, and the metadata that tells them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from diskimage.disc.modes import MODE2_2332, MODE2_2336, RAW
from diskimage.disc.recast import compact, recast
from diskimage.disc.subchannel import stored, with_sub
from diskimage.disc.tracks import between
from diskimage.formats.chd.layout import UNIT
from diskimage.formats.chd.tracks import ALIGN
from diskimage.kernels.frames import scatter
from diskimage.kernels.subchannel import SUB
from diskimage.model import Disc, Extent, Kind, Layout, Mode, Piece, Source, Track
from diskimage.sources.made import Made, whole
from diskimage.sources.swap import Swap

TYPES = {
    "MODE1/2048": "MODE1", "MODE1/2352": "MODE1_RAW", "MODE2/2336": "MODE2",
    "MODE2/2048": "MODE2_FORM1", "MODE2/2324": "MODE2_FORM2", "MODE2/2332": "MODE2",
    "CDI/2336": "MODE2", "MODE2/2352": "MODE2_RAW", "CDI/2352": "MODE2_RAW",
    "MODE0/2352": "MODE1_RAW", "AUDIO": "AUDIO",
}  # fmt: skip
_SUBS: dict[Layout | None, str] = {None: "NONE", "rw": "RW", "interleaved": "RW_RAW"}


@dataclass(frozen=True, slots=True)
class Part:
    """The frames [start, stop) of a track, which are stored, `pad` frames of a GD-ROM behind them,
    and how their subchannel is."""

    track: Track
    start: int
    stop: int
    pad: int
    sub: Layout | None

    @property
    def frames(self) -> int:
        """Units of the track, what fills them up left out."""
        return self.stop - self.start + self.pad

    @property
    def filling(self) -> int:
        """Units that fill up to the next track's."""
        return -self.frames % ALIGN


def parts(disc: Disc) -> list[Part]:
    """The stored part of each track: its pregap where any frame of it is stored, from LBA 0 on."""
    made: list[Part] = []
    for track, after in zip_longest(disc.tracks, disc.tracks[1:]):
        start, stop = _begin(track, first=not made), track.lba + track.length
        pad = 0
        if disc.medium == "GD" and after is not None:
            pad = max(0, after.lba - after.pregap - stop - track.postgap)
        layout = track.subchannel
        made.append(Part(track, start, stop, pad, "interleaved" if layout not in _SUBS else layout))
    return made


def _begin(track: Track, *, first: bool) -> int:
    low = 0 if first else track.lba - track.pregap
    gap = between(track.pieces, max(low, track.lba - track.pregap), track.lba)
    if all(piece.source is None for piece in gap):
        return track.lba
    return max(low, track.lba - track.pregap)


def text(part: Part, *, gd: bool) -> bytes:
    """The metadata of a track."""
    track = part.track
    kind, sub = TYPES[track.mode.name], _SUBS[part.sub]
    inside = track.lba - part.start
    pregap = inside or (track.pregap if part.start > 0 else 0)
    gap = f"V{kind}" if inside else kind
    said = f"TRACK:{track.number} TYPE:{kind} SUBTYPE:{sub} FRAMES:{part.frames}"
    pad = f" PAD:{part.pad}" if gd else ""
    gaps = f" PREGAP:{pregap} PGTYPE:{gap} PGSUB:{sub} POSTGAP:{track.postgap}"
    return f"{said}{pad}{gaps}".encode() + b"\0"


def extents(disc: Disc, made: list[Part]) -> Iterator[Extent]:
    """The units of all parts, one behind the other from guest byte 0."""
    start = 0
    for part in made:
        mode = _mode(part.track.mode)
        for piece in between(part.track.pieces, part.start, part.stop):
            source = _units(disc, recast(piece, mode), part.sub)
            yield Extent(start, source.size, Kind.DATA, source, 0)
            start += source.size
        empty = (part.pad + part.filling) * UNIT
        if empty:
            yield Extent(start, empty, Kind.ZERO, hole=True)
            start += empty


def _mode(mode: Mode) -> Mode:
    """The mode of a track whose frames a CHD can hold: 2332 bytes become 2336."""
    return MODE2_2336 if mode.size == MODE2_2332.size else mode


def _units(disc: Disc, piece: Piece, layout: Layout | None) -> Source:
    """The frames of a stored piece, zeros up to 2352 bytes, and the subchannel of each."""
    size = piece.mode.size
    main: Source = compact(piece)
    if piece.mode.audio:
        main = Swap(main)
    sub = None if layout is None else with_sub(disc, piece, layout).sub

    def units(first: int, count: int, out: memoryview) -> None:
        if size < RAW or sub is None:
            out[:] = bytes(len(out))
        scatter(whole(main, first * size, count * size), out, UNIT, 0, size)
        if sub is not None:
            scatter(stored(sub, first, count), out, UNIT, RAW, SUB)

    return Made(main.name, UNIT, piece.frames, units)
