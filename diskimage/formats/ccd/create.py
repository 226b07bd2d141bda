"""A disc as CloneCD's three files: whole frames, their subchannel, and the table of contents.

Frames that are not stored whole are made so; what is made up becomes stored frames, but for the
pregap of a session's first track. Subchannel that is not stored is made from the tracks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from diskimage.disc import cdtext
from diskimage.disc.address import LONGEST, PREGAP, disc_time, frames as counted
from diskimage.disc.losses import MADE, lacking
from diskimage.disc.modes import USER
from diskimage.disc.recast import raw_mode, recast
from diskimage.disc.subchannel import control, lacks, with_sub
from diskimage.disc.tracks import between, frames
from diskimage.errors import UnsupportedError
from diskimage.formats.ccd.sheet import FIRST, LAST, LEAD_OUT
from diskimage.kernels.subchannel import SUB
from diskimage.layers.records import Placed
from diskimage.model import (
    Copy,
    Disc,
    Extent,
    Kind,
    Loss,
    Piece,
    Plan,
    Put,
    Records,
    Session,
    Size,
    TocRow,
    Track,
)

_HOLDS = {
    "audio", "tracks", "sessions", "subchannel", "subheaders", "indexes", "index2", "titles",
    "cdtext", "catalog", "number", "isrc", "flags", "scms", "toc",
}  # fmt: skip
_TYPES = {"CDI": 0x10, "CDROM_XA": 0x20}  # of a session, in the row of its first track
_NEXT, _OUTERMOST = 0xB0, (79, 59, 74)  # where a session may follow, and the last lead-out
_NOWHERE = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Part:
    """The frames [start, stop) of a track, which the .img has; `base` is its session's first."""

    track: Track
    start: int
    stop: int
    base: int


def losses(what: Disc, **_options: object) -> list[Loss]:
    """Frames before LBA 0, postgaps, letters that CD-TEXT lacks; made subchannel is said."""
    return [*lacking(what, _HOLDS), *([MADE] if lacks(what) else [])]


def create(what: Disc, stem: str) -> Plan:
    """The sheet as the main file, STEM.img and STEM.sub beside it.

    Raises UnsupportedError for what is no CD: another medium, more than 99:59:74.
    """
    parts = _parts(what)
    pieces = [
        recast(piece, raw_mode(piece.mode))
        for part in parts
        for piece in between(part.track.pieces, part.start, part.stop)
    ]
    image, sub = f"{stem}.img", f"{stem}.sub"
    for name, extents in ((image, frames(pieces)), (sub, _subs(what, pieces))):
        device = Placed(extents, USER)
        yield Size(device.size, file=name)
        yield Copy(device.runs(), 0, file=name)
    text = "".join(f"{line}\r\n" for line in _sheet(what, parts)).encode()
    yield Size(len(text))
    yield Put(0, text)


def _parts(disc: Disc) -> list[Part]:
    """The tracks as the .img has them."""
    if disc.medium != "CD" or disc.sessions[-1].leadout > LONGEST:
        what = "no CD" if disc.medium != "CD" else "longer than 99:59:74"
        raise UnsupportedError(
            f"the disc is {what}, which a table of contents cannot tell",
            remedy="choose another format, as iso or chd",
        )
    parts: list[Part] = []
    for _, group in groupby(disc.tracks, key=lambda track: track.session):
        first, *others = group
        base = _begin(first, opens=not parts)
        parts.append(Part(first, base, _stop(first), base))
        parts += [Part(t, t.lba - t.pregap, _stop(t), base) for t in others]
    for one, two in pairwise(parts):
        if one.track.session == two.track.session and one.stop != two.start:
            raise UnsupportedError(
                f"frames LBA {one.stop} to {two.start - 1} are of no track",
                remedy="choose a format of sheets, as cue",
            )
    return parts


def _begin(track: Track, *, opens: bool) -> int:
    """The first frame of a session that is stored: LBA 0 at the earliest; the pregap that every
    disc has between sessions is left out where it is made up."""
    start = max(0, track.lba - track.pregap)
    if not opens:
        stored = (max(start, p.lba) for p in track.pieces if p.source is not None)
        start = next(stored, track.lba)
    return min(track.lba, start)


def _stop(track: Track) -> int:
    return track.lba + track.length + track.postgap


def _subs(disc: Disc, pieces: Sequence[Piece]) -> Iterator[Extent]:
    """The subchannel of `pieces`, packed, one frame's behind the other's."""
    start = 0
    for piece in pieces:
        sub = with_sub(disc, piece, "packed").sub
        assert sub is not None
        records = None if sub.pitch == SUB else Records(SUB, sub.pitch, None, sub.at, piece.lba)
        length = piece.frames * SUB
        yield Extent(start, length, Kind.DATA, sub.source, sub.at, records=records)
        start += length


def _sheet(disc: Disc, parts: Sequence[Part]) -> Iterator[str]:
    """The lines of the sheet."""
    rows = _rows(disc)
    texts = {track.number: track.text for track in disc.tracks}
    packs = disc.cdtext or cdtext.encode(disc.text, texts)
    yield from _section("CloneCD", {"Version": 3})
    head: dict[str, object] = {"TocEntries": len(rows), "Sessions": len(disc.sessions)}
    head |= {"DataTracksScrambled": 0, "CDTextLength": len(packs)}
    if disc.catalog:
        head["CATALOG"] = disc.catalog
    yield from _section("Disc", head)
    for session in disc.sessions:
        mode = next(_mode(t) for t in disc.tracks if t.number == session.tracks[0])
        yield from _section(f"Session {session.number}", {"PreGapMode": mode, "PreGapSubC": 0})
    for number, row in enumerate(rows):
        yield from _section(f"Entry {number}", _entry(row))
    for part in parts:
        yield from _section(f"TRACK {part.track.number}", _track(part))
    if packs:
        yield from _section("CDText", _packs(packs))


def _section(name: str, keys: Mapping[str, object]) -> Iterator[str]:
    yield f"[{name}]"
    for key, value in keys.items():
        yield f"{key}={value}"


def _entry(row: TocRow) -> dict[str, object]:
    """A row of the table of contents; of both times the LBA too."""
    entry: dict[str, object] = {
        "Session": row.session, "Point": f"0x{row.point:02x}", "ADR": f"0x{row.adr:02x}",
        "Control": f"0x{row.control:02x}", "TrackNo": 0,
    }  # fmt: skip
    for letter, time in (("A", row.time), ("P", row.pointed)):
        if letter == "P":
            entry["Zero"] = 0
        entry |= zip((f"{letter}Min", f"{letter}Sec", f"{letter}Frame"), time, strict=True)
        entry[f"{letter}LBA"] = counted(*time) - PREGAP
    return entry


def _rows(disc: Disc) -> list[TocRow]:
    """The table of contents: that of the lead-in where it tells these tracks, else a made one."""
    made = [row for session in disc.sessions for row in _made(disc, session)]
    if _told(disc.toc) == _told(made):
        return list(disc.toc)
    return made


def _told(rows: Sequence[TocRow]) -> set[tuple[int, int, int, tuple[int, int, int]]]:
    """What rows say of tracks and lead-outs."""
    return {
        (row.session, row.point, row.control if row.point <= 99 else 0, row.pointed)
        for row in rows
        if row.adr == 1 and (row.point <= 99 or row.point == LEAD_OUT)
    }


def _made(disc: Disc, session: Session) -> Iterator[TocRow]:
    """The rows of a session (MMC, full TOC): first track and type, last track, lead-out, tracks."""
    number = session.number
    tracks = [track for track in disc.tracks if track.session == number]
    first, last = tracks[0], tracks[-1]
    xa = any(track.mode.name.startswith("MODE2") for track in tracks)
    cdi = any(track.mode.name.startswith("CDI") for track in tracks)
    kind = session.kind or ("CDI" if cdi else "CDROM_XA" if xa else "CDROM")
    for track, point, pointed in (
        (first, FIRST, (first.number, _TYPES.get(kind, 0), 0)),
        (last, LAST, (last.number, 0, 0)),
        (last, LEAD_OUT, disc_time(session.leadout)),
        *((track, track.number, disc_time(track.lba)) for track in tracks),
    ):
        yield TocRow(number, 1, control(track), point, _NOWHERE, pointed)
    following = next((t for t in disc.tracks if t.session > number), None)
    if following is not None:
        begins = disc_time(following.lba - PREGAP)
        yield TocRow(number, 5, control(last), _NEXT, begins, _OUTERMOST)


def _mode(track: Track) -> int:
    """MODE of a track: 0 audio, 1, 2."""
    return 0 if track.mode.audio else 1 if track.mode.name.startswith("MODE1") else 2


def _track(part: Part) -> dict[str, object]:
    """A track's section. Indexes of later sessions count from the first frame that is stored of
    theirs, as libmirage takes them; readers that use differences alone do not mind."""
    track, base = part.track, 0 if part.track.session == 1 else part.base
    keys: dict[str, object] = {"MODE": _mode(track)}
    if track.flags:
        keys["FLAGS"] = " ".join(sorted(track.flags))
    if track.isrc:
        keys["ISRC"] = track.isrc
    if part.start < track.lba:
        keys["INDEX 0"] = part.start - base
    for number, lba in track.indexes:
        if number:
            keys[f"INDEX {number}"] = lba - base
    return keys


def _packs(packs: bytes) -> dict[str, object]:
    """CD-TEXT, each pack without its checksum."""
    rows = [packs[at : at + cdtext.PACK - 2] for at in range(0, len(packs), cdtext.PACK)]
    keys: dict[str, object] = {"Entries": len(rows)}
    for number, row in enumerate(rows):
        keys[f"Entry {number}"] = row.hex(" ")
    return keys
