"""A disc as an MDF with the frames of all tracks, and the MDS that describes them.

What is stored of a pregap lies before its track, whose offset is index 1: so a program that knows
of no stored pregaps reads the track right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from diskimage.disc.address import LONGEST, PREGAP, disc_time
from diskimage.disc.framing import FRAMING
from diskimage.disc.losses import MADE, lacking
from diskimage.disc.modes import MODE0_2352, MODE2_2048, MODE2_2336, RAW, USER
from diskimage.disc.recast import raw_mode, recast, units
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.disc.subchannel import control, with_sub
from diskimage.disc.tracks import between, frames
from diskimage.errors import UnsupportedError, UsageError
from diskimage.formats.mds.layout import (
    DVD_ROM,
    EXTRA,
    FOOTER,
    HEADER,
    LEADOUT,
    ROW,
    SESSION,
    SIGNATURE,
    SUBCHANNEL,
    TRACKS,
)
from diskimage.kernels.subchannel import SUB
from diskimage.layers.records import Placed
from diskimage.model import (
    Barrier,
    Copy,
    Device,
    Disc,
    Loss,
    Mode,
    Option,
    Piece,
    Plan,
    Put,
    Session,
    Size,
    TocRow,
    Track,
)

OPTIONS = (
    Option("medium", "auto, cd, dvd", "a DVD for a disc that is one or is longer than a CD"),
    Option("subchannel", "stored, made", "as it is stored, or made for every frame without"),
    FRAMING,
)
_MEDIA = ("auto", "cd", "dvd")
_SUBCHANNELS = ("stored", "made")
_HOLDS = frozenset({
    "audio", "tracks", "sessions", "subchannel", "subheaders", "indexes", "catalog", "flags", "toc",
})  # fmt: skip
_AUDIO, _MODE1, _MODE2, _FORM1, _DVD = 0xA9, 0xAA, 0xAB, 0xAC, 0x02  # of a row
_FIRST, _LAST = 0xA0, 0xA1  # points
_MORE, _MOST = 0xB0, 0xC0  # points: the next session may begin there; of a recordable disc
_POSITION, _NEXT = 1, 5  # ADR
_DISC_TYPES = {"CDI": 0x10, "CDROM_XA": 0x20}
_BEYOND = (11250, 6750)  # frames from a lead-out to the next session: after the first, after others
_FARTHEST, _START = (79, 59, 74), (97, 34, 23)  # last lead-out and lead-in of a recordable disc
_MEASURED = Loss("structures", "structures of a DVD and measured positions", content=False)
_MOST_SECTORS = 0x7FFFFFFF  # a signed field counts them
_NAME = b"*.mdf\0"  # the data file has the stem of the descriptor


@dataclass(frozen=True, slots=True)
class Part:
    """A track as it is stored: `gap` frames of its pregap, then `length` from index 1 on, each of
    `size` bytes, from byte `to` of the data file on. `pregap` is what the descriptor tells."""

    track: Track
    kind: int
    size: int
    subbed: bool
    pregap: int
    gap: int
    device: Device
    to: int

    @property
    def at(self) -> int:
        """Where index 1 is."""
        return self.to + self.gap * self.size


def losses(what: Disc, *, medium: str = "auto", subchannel: str = "stored") -> list[Loss]:
    """What a descriptor cannot say, and what is made because it has to be there."""
    _demand(medium, subchannel)
    lost = [_MEASURED] if {"structures", "dpm"} & set(what.info) else []
    if _is_dvd(what, medium):
        return lost + reduced(what)
    holds = _HOLDS - (set() if not what.toc or _told(what) else {"toc"})
    lost += lacking(what, holds)
    if any(track.mode == MODE0_2352 for track in what.tracks):
        lost.append(Loss("mode0", "the word for Mode 0: rows say Mode 2", content=False))
    return lost + list(_subchannel_losses(what, made=subchannel == "made"))


def _subchannel_losses(disc: Disc, *, made: bool) -> Iterator[Loss]:
    pieces = [
        p for stored in _stored(disc) if made or stored.track.subchannel for p in stored.pieces
    ]
    if any(piece.sub is not None and piece.sub.layout == "rw" for piece in pieces):
        yield Loss("subchannel", "packs of R to W, whose place in the frames is not stored")
    if any(piece.sub is None for piece in pieces):
        yield MADE


def _demand(medium: str, subchannel: str) -> None:
    for name, value, known in (
        ("medium", medium, _MEDIA),
        ("subchannel", subchannel, _SUBCHANNELS),
    ):
        if value not in known:
            raise UsageError(f"{name}={value!r}", remedy=f"one of {', '.join(known)}")


def create(what: Disc, stem: str, *, medium: str = "auto", subchannel: str = "stored") -> Plan:
    """An MDS as the main file and its MDF beside it.

    Raises UsageError for options, and for a disc that is no such medium; UnsupportedError.
    """
    _demand(medium, subchannel)
    file = f"{stem}.mdf"
    if _is_dvd(what, medium):
        device = user_bytes(what)
        if device.size // USER > _MOST_SECTORS:
            text = "the disc has more sectors than an MDS counts"
            raise UnsupportedError(text, remedy="choose another format, as iso or chd")
        yield Size(device.size, file=file)
        yield Copy(device.runs(), 0, file=file)
        descriptor = _of_dvd(device.size // USER)
    else:
        parts = list(_parts(what, made=subchannel == "made"))
        for part in parts:
            yield Size(part.to + part.device.size, file=file)
            yield Copy(part.device.runs(), part.to, file=file)
        descriptor = _of_cd(what, parts)
    yield Barrier()
    yield Size(len(descriptor))
    yield Put(0, descriptor)


def _is_dvd(disc: Disc, medium: str) -> bool:
    """Whether it becomes a DVD. UsageError for a CD longer than times can say."""
    stop = disc.sessions[-1].leadout
    if medium == "cd" and stop > LONGEST:
        raise UsageError(f"{stop} sectors are more than a CD has", remedy="say medium=dvd")
    return medium == "dvd" or (
        medium == "auto" and (disc.medium in ("DVD", "BD") or stop > LONGEST)
    )


class Stored(NamedTuple):
    """What of a track goes into the file: all of it, and its pregap whole or not at all."""

    track: Track
    pieces: tuple[Piece, ...]
    pregap: int  # frames, stored or not, that the descriptor tells

    @property
    def gap(self) -> int:
        """The frames of the pregap among them."""
        return self.track.lba - self.pieces[0].lba


def _stored(disc: Disc) -> Iterator[Stored]:
    before: Track | None = None
    for track in disc.tracks:
        if before is not None and before.session != track.session:
            before = None
        start, stop = track.lba - track.pregap, track.lba + track.length
        begin = _begin(track, before)
        lead = [Piece(begin, start - begin, None, 0, track.mode)] if begin < start else []
        told = PREGAP
        if before is not None:
            told = track.lba - before.lba - before.length
        elif track.session > 1 and begin < track.lba:
            told = track.lba - begin
        yield Stored(track, (*lead, *between(track.pieces, begin, stop)), told)
        before = track


def _begin(track: Track, before: Track | None) -> int:
    """The LBA of the first frame to store: a pregap is stored whole where any of it is.

    That of the first track then begins at LBA 0 or -150, where a reader looks for it; that of one
    behind another in its session where that one ends.
    """
    start = track.lba - track.pregap
    if all(piece.source is None for piece in between(track.pieces, start, track.lba)):
        return track.lba
    if before is not None:
        return before.lba + before.length
    if track.session > 1:
        return start
    return 0 if start >= 0 else min(start, -PREGAP)


def _parts(disc: Disc, *, made: bool) -> Iterator[Part]:
    """The tracks one behind the other."""
    to, told = 0, _told_gaps(disc)
    for stored in _stored(disc):
        track = stored.track
        subbed = made or track.subchannel is not None
        mode = _shape(track.mode, subbed=subbed)
        pieces = [_as(piece, mode) for piece in stored.pieces]
        if subbed:
            pieces = [with_sub(told, piece, "interleaved") for piece in pieces]
        size = mode.size + (SUB if subbed else 0)
        device = Placed(units(pieces) if subbed else frames(pieces), USER)
        yield Part(track, _kind(mode), size, subbed, stored.pregap, stored.gap, device, to)
        to += device.size


def _told_gaps(disc: Disc) -> Disc:
    """`disc` with the gaps that the descriptor tells, which Q that is made has to agree with: a
    postgap counts to the next pregap."""
    tracks: list[Track] = []
    for track in disc.tracks:
        before = tracks[-1] if tracks and tracks[-1].session == track.session else None
        pregap = track.pregap if before is None else track.lba - before.lba - before.length
        tracks.append(replace(track, pregap=pregap, postgap=0))
    return replace(disc, tracks=tuple(tracks))


def _shape(mode: Mode, *, subbed: bool) -> Mode:
    """The frames to store: those of 2048, 2336 and 2352 bytes as they are, others made whole."""
    kept = not subbed and mode.size in (USER, MODE2_2336.size)
    return mode if kept else raw_mode(mode)


def _as(piece: Piece, mode: Mode) -> Piece:
    """`piece` as frames of `mode`; whole frames are kept, whatever they are."""
    if piece.source is None:
        return recast(replace(piece, mode=mode, pitch=0), mode)
    return piece if piece.mode.size == mode.size == RAW else recast(piece, mode)


def _kind(mode: Mode) -> int:
    """What a row says of frames."""
    if mode.audio:
        return _AUDIO
    if mode.name == MODE2_2048.name:
        return _FORM1
    return _MODE1 if mode.name.startswith("MODE1") else _MODE2


def _of_cd(disc: Disc, parts: Sequence[Part]) -> bytes:
    """The descriptor of a CD: header, sessions, rows, extra blocks, the one data file's name."""
    rows = [_rows(disc, session, parts) for session in disc.sessions]
    rows_at = HEADER.sizeof() + SESSION.size * len(rows)
    extra_at = rows_at + ROW.size * sum(map(len, rows))
    has_extra = [row for each in rows for row in each if not _FIRST <= row.point <= LEADOUT]
    footer_at = extra_at + EXTRA.size * len(has_extra)
    by_number = {part.track.number: part for part in parts}
    sessions, body, extras = b"", b"", b""
    for session, each in zip(disc.sessions, rows, strict=True):
        first = by_number[session.tracks[0]].track
        count = len(each) - len(session.tracks)
        sessions += SESSION.pack(
            -PREGAP if session is disc.sessions[0] else first.lba - PREGAP, session.leadout,
            session.number, len(each), count, session.tracks[0], session.tracks[-1], 0,
            rows_at + len(body),
        )  # fmt: skip
        for row in each:
            part = by_number.get(row.point)
            at = extra_at + len(extras) if row in has_extra else 0
            if row in has_extra:
                extras += EXTRA.pack(part.pregap, part.track.length) if part else EXTRA.pack(0, 0)
            body += _row(row, part, at, footer_at)
    header = _header(0, len(rows))
    return header + sessions + body + extras + _footer(footer_at)


def _header(medium: int, sessions: int) -> bytes:
    """The header of version 1.3; sessions follow it."""
    return bytes(
        HEADER.build({
            "signature": SIGNATURE, "major": 1, "minor": 3, "medium": medium,
            "sessions": sessions, "two": 2, "bca_length": 0, "bca_at": 0, "structures_at": 0,
            "sessions_at": HEADER.sizeof(), "dpm_at": 0,
        })
    )  # fmt: skip


def _row(row: TocRow, part: Part | None, extra_at: int, footer_at: int) -> bytes:
    head = (row.adr << 4 | row.control, 0, row.point, *row.time, 0, *row.pointed)
    if part is None:
        return ROW.pack(0, 0, *head, extra_at, 0, 0, 0, 0, 0, 0)
    sub = SUBCHANNEL if part.subbed else 0
    return ROW.pack(
        part.kind, sub, *head, extra_at, part.size, 2, part.track.lba, part.at, 1, footer_at
    )


def _footer(at: int) -> bytes:
    return FOOTER.pack(at + FOOTER.size, 0) + _NAME


def _told(disc: Disc) -> bool:
    """Whether the table of contents that was stored is that of the tracks."""
    return all(
        [row.point for row in disc.toc if row.session == session.number and row.point in TRACKS]
        == list(session.tracks)
        and {_FIRST, _LAST, LEADOUT}
        <= {row.point for row in disc.toc if row.session == session.number}
        for session in disc.sessions
    )


def _rows(disc: Disc, session: Session, parts: Sequence[Part]) -> list[TocRow]:
    """The table of contents of a session: as stored, else made."""
    if disc.toc and _told(disc):
        return [row for row in disc.toc if row.session == session.number]
    tracks = [part.track for part in parts if part.track.session == session.number]
    first, last = control(tracks[0]), control(tracks[-1])
    xa = any(track.mode.name.startswith(("MODE2", "CDI")) for track in tracks)
    kind = _DISC_TYPES.get(session.kind or ("CDROM_XA" if xa else "CDROM"), 0)
    made = [
        (_POSITION, first, _FIRST, (0, 0, 0), (tracks[0].number, kind, 0)),
        (_POSITION, last, _LAST, (0, 0, 0), (tracks[-1].number, 0, 0)),
        (_POSITION, last, LEADOUT, (0, 0, 0), disc_time(tracks[-1].lba + tracks[-1].length)),
    ]
    made += [
        (_POSITION, control(track), track.number, (0, 0, 0), disc_time(track.lba))
        for track in tracks
    ]
    if session is not disc.sessions[-1]:
        later = session is not disc.sessions[0]
        following = disc_time(session.leadout + _BEYOND[later])
        made.append((_NEXT, 0, _MORE, following, _FARTHEST))
        if not later:
            made.append((_NEXT, 0, _MOST, (0, 0, 0), _START))
    return [TocRow(session.number, *row) for row in made]


def _of_dvd(sectors: int) -> bytes:
    """The descriptor of a DVD: one row, in which the length stands in the extra block's place."""
    rows_at = HEADER.sizeof() + SESSION.size
    session = SESSION.pack(0, sectors, 1, 1, 0, 1, 1, 0, rows_at)
    footer_at = rows_at + ROW.size
    row = ROW.pack(
        _DVD, 0, _POSITION << 4 | 4, 0, 1, *bytes(7), sectors, USER, 0, 0, 0, 1, footer_at
    )
    return _header(DVD_ROM, 1) + session + row + _footer(footer_at)
