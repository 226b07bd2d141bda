"""The descriptor of an image that is written: every offset follows from what comes before it."""

from __future__ import annotations

import struct as binary
from collections.abc import Sequence

from diskimage.disc import cdtext
from diskimage.disc.address import PREGAP, disc_time
from diskimage.disc.subchannel import control
from diskimage.formats.mdx.layout import (
    COMPRESSED,
    DESCRIPTOR,
    FOOTER,
    ROW,
    SESSION,
    SIGNATURE,
)
from diskimage.formats.mdx.parts import SUBS, TYPES, Lying, is_dvd
from diskimage.model import Disc, Session, TocRow, Track
from diskimage.words import rounded

VERSION = b"\x02\x01"
GROUP = 16  # frames compressed at once, as in the images of others
_PSEC = {"CDI": 0x10, "CDROM_XA": 0x20}
_FIRST, _LAST, _LEAD_OUT, _TRACKS = 0xA0, 0xA1, 0xA2, 99
_NOWHERE = (0, 0, 0)
_FIELDS = 32  # extra blocks and names are filled up to whole ones


def descriptor(disc: Disc, lying: Sequence[Lying], sealed: bytes, *, inside: bool) -> bytes:
    """Header, sessions, rows, lengths of tracks, footers, the name of the MDF, CD-TEXT, keys."""
    dvd, packs = is_dvd(disc), cdtext.of(disc)
    rows = [_rows(disc, session, dvd=dvd) for session in disc.sessions]
    at = DESCRIPTOR.sizeof() + len(rows) * SESSION.sizeof()
    rows_at = [at + ROW.sizeof() * sum(map(len, rows[:i])) for i in range(len(rows) + 1)]
    extra_at = rows_at[-1]
    footers_at = extra_at + (0 if dvd else rounded(8 * len(lying), _FIELDS))
    name_at = footers_at + FOOTER.sizeof() * len(lying)
    name = b"" if inside else "*.mdf\0".encode("utf-16-le")
    cdtext_at = name_at + rounded(len(name), _FIELDS)
    keys_at = cdtext_at + rounded(len(packs), _FIELDS)
    head = DESCRIPTOR.build({
        "prefix": SIGNATURE + VERSION, "medium": 3 if dvd else 0, "sessions": len(rows),
        "two": 2, "cdtext_size": len(packs), "cdtext_at": cdtext_at if packs else 0,
        "structures_at": 0, "sessions_at": DESCRIPTOR.sizeof(), "dpm_at": 0,
        "keys_at": keys_at if sealed else 0,
    })  # fmt: skip
    sessions = b"".join(
        _session(disc, session, len(own), where)
        for session, own, where in zip(disc.sessions, rows, rows_at, strict=False)
    )
    places = {one.part.track.number: i for i, one in enumerate(lying)}
    written = b"".join(
        _row(row, lying, places.get(row.point), extra_at, footers_at, dvd=dvd)
        for own in rows
        for row in own
    )
    extras = b"" if dvd else b"".join(map(_lengths, lying)).ljust(footers_at - extra_at, b"\0")
    footers = b"".join(_footer(one, 0 if inside else name_at) for one in lying)
    return b"".join((
        head, sessions, written, extras, footers, name.ljust(cdtext_at - name_at, b"\0"),
        packs.ljust(keys_at - cdtext_at, b"\0"), sealed,
    ))  # fmt: skip


def _rows(disc: Disc, session: Session, *, dvd: bool) -> list[TocRow]:
    """The rows of a session: those of the lead-in as stored, else made; then its tracks."""
    tracks = [track for track in disc.tracks if track.number in session.tracks]
    of_tracks = [
        TocRow(session.number, 1, control(t), t.number, _NOWHERE,
               _NOWHERE if dvd else disc_time(t.lba))
        for t in tracks
    ]  # fmt: skip
    if dvd:
        return of_tracks
    told = [row for row in disc.toc if row.session == session.number and row.point > _TRACKS]
    return [*(told or _lead_in(session, tracks)), *of_tracks]


def _lead_in(session: Session, tracks: Sequence[Track]) -> list[TocRow]:
    first, last, number = tracks[0], tracks[-1], session.number
    kind = _PSEC.get(session.kind or "", 0)
    return [
        TocRow(number, 1, control(first), _FIRST, _NOWHERE, (first.number, kind, 0)),
        TocRow(number, 1, control(last), _LAST, _NOWHERE, (last.number, 0, 0)),
        TocRow(number, 1, control(last), _LEAD_OUT, _NOWHERE, disc_time(session.leadout)),
    ]


def _session(disc: Disc, session: Session, rows: int, rows_at: int) -> bytes:
    first = next(track for track in disc.tracks if track.number == session.tracks[0])
    before = max(first.pregap, PREGAP) if session != disc.sessions[0] else first.lba + PREGAP
    return bytes(
        SESSION.build({
            "start": first.lba - before, "number": session.number, "rows": rows,
            "others": rows - len(session.tracks), "first": session.tracks[0],
            "last": session.tracks[-1], "rows_at": rows_at, "end": session.leadout,
        })
    )  # fmt: skip


def _row(
    row: TocRow, lying: Sequence[Lying], place: int | None, extra_at: int, footers_at: int, *,
    dvd: bool,
) -> bytes:  # fmt: skip
    """A row; of a track (the `place`-th) where it lies and where its other fields are."""
    values: dict[str, object] = dict.fromkeys(
        ("mode", "subchannel", "tno", "extra_at", "pitch", "words", "lba", "at", "footers",
         "footers_at", "first", "length"), 0,
    )  # fmt: skip
    values |= {
        "adr_control": row.adr << 4 | row.control, "point": row.point, "time": row.time,
        "pointed": row.pointed,
    }  # fmt: skip
    if place is not None and row.point <= _TRACKS:
        part, at, _ = lying[place]
        values |= {
            "mode": TYPES[part.mode.name], "subchannel": SUBS[part.layout] << 3,
            "extra_at": 0 if dvd else extra_at + 8 * place, "pitch": part.pitch, "words": 2,
            "lba": part.track.lba, "at": at, "footers": 1,
            "footers_at": footers_at + FOOTER.sizeof() * place, "first": part.first,
            "length": part.frames if dvd else 0,
        }  # fmt: skip
    return bytes(ROW.build(values))


def _lengths(one: Lying) -> bytes:
    part = one.part
    return binary.pack("<II", part.pregap, part.frames - (part.track.lba - part.first))


def _footer(one: Lying, name_at: int) -> bytes:
    return bytes(
        FOOTER.build({
            "name_at": name_at, "flags": 0 if one.table is None else COMPRESSED,
            "group": 0 if one.table is None else GROUP, "frames": one.part.frames,
            "table": one.table or 0,
        })
    )  # fmt: skip
