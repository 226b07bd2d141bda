"""A disc as a Nero image of version 2: disc at once, or one track of a DVD track at once.

What lies between the tracks of a session is stored as Nero stores it: the 150 frames before a
session's first track, a pause that was not stored, a postgap as the pause of the next track.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from diskimage.disc import cdtext
from diskimage.disc.address import LONGEST, PREGAP
from diskimage.disc.losses import MADE, lacking
from diskimage.disc.modes import AUDIO, MODE1_2352, MODE2_2352, USER
from diskimage.disc.recast import raw_mode, recast, units
from diskimage.disc.subchannel import control, lacks, with_sub
from diskimage.disc.tracks import frames
from diskimage.errors import UnsupportedError
from diskimage.formats.nrg.layout import CHUNK, CUEX, DAO, DAOX_TRACK, END, ETN2, LEAD_OUT, MARK_2
from diskimage.formats.nrg.opening import KINDS, MODES
from diskimage.layers.records import Placed
from diskimage.model import Barrier, Copy, Device, Disc, Loss, Mode, Piece, Plan, Put, Size, Track
from diskimage.model.discs import SessionKind

_HOLDS = {
    "audio", "tracks", "sessions", "subchannel", "subheaders", "pregap", "indexes", "index2",
    "postgap", "titles", "cdtext", "catalog", "number", "isrc", "flags",
}  # fmt: skip
_CODES = {mode.name: code for code, mode in reversed(MODES.items())}
_WITH_SUB = {AUDIO.name: 0x10, MODE1_2352.name: 0x0F, MODE2_2352.name: 0x11}
_MEDIA = {"CD": 0x01, "DVD": 0x200, "BD": 0x100000}
_KINDS = {name: number for number, name in KINDS.items()}
_MOST_FRAMES = 0x7FFFFFFF  # fields of 32 bits tell positions, signed ones on a CD
_ADR = 1  # of an entry that tells a position


class Row(NamedTuple):
    """A track and where its frames are in the file: from index 0, from index 1, their end."""

    track: Track
    code: int
    size: int
    gap_at: int
    at: int
    stop: int


def losses(what: Disc, **_options: object) -> list[Loss]:
    """What an NRG does not tell of a disc, and what is told otherwise."""
    lost = lacking(what, _HOLDS)
    if any(track.postgap for track in what.tracks):
        text = "postgaps become the pause before the next track, the last one is left out"
        lost.append(Loss("gaps", text, content=False))
    if any(track.subchannel for track in what.tracks) and lacks(what):
        lost.append(MADE)
    return lost


def create(what: Disc, stem: str, **_options: object) -> Plan:
    """Frames in their order, then chunks and footer behind a barrier.

    Raises UnsupportedError for frames that no mode of Nero's is for, and for more than it counts.
    """
    if any(session.leadout > _MOST_FRAMES for session in what.sessions):
        text = "the disc has more frames than an NRG counts"
        raise UnsupportedError(text, remedy="choose another format, as iso or chd")
    disc = _joined(what) if _medium(what) == "CD" else what
    rows: list[Row] = []
    devices: list[Device] = []
    for track in disc.tracks:
        code, device = _stored(disc, track)
        at, size = rows[-1].stop if rows else 0, MODES[code].size
        before = track.lba - track.pieces[0].lba
        rows.append(Row(track, code, size, at, at + before * size, at + device.size))
        devices.append(device)
    end = rows[-1].stop
    tail = _chunks(disc, rows) + MARK_2 + end.to_bytes(8, "big")
    yield Size(end + len(tail))
    for row, device in zip(rows, devices, strict=True):
        yield Copy(device.runs(), row.gap_at)
    yield Barrier()
    yield Put(end, tail)


def _medium(disc: Disc) -> str:
    """CD, DVD or BD: the only track of sectors that no CD has room for is a DVD's."""
    only = disc.tracks[0] if len(disc.tracks) == 1 else None
    if only is None or disc.medium in ("DVD", "BD"):
        return "CD" if only is None else disc.medium
    return "DVD" if only.mode.size == USER and only.lba + only.length > LONGEST else "CD"


def _joined(disc: Disc) -> Disc:
    """`disc` with all frames that Nero stores between tracks: made up where it has none."""
    tracks: list[Track] = []
    for track in disc.tracks:
        first, start = _start(disc, tracks, track), track.pieces[0].lba
        pieces = tuple(piece for piece in track.pieces if piece.lba < track.lba + track.length)
        if first < start:
            pieces = (Piece(first, start - first, None, 0, raw_mode(track.mode)), *pieces)
        tracks.append(replace(track, pieces=pieces, pregap=track.lba - first, postgap=0))
    return replace(disc, tracks=tuple(tracks))


def _start(disc: Disc, before: Sequence[Track], track: Track) -> int:
    """The LBA of the first frame that is stored of a track."""
    start, usual = track.pieces[0].lba, track.lba - PREGAP
    if not before:
        return min(start, usual) if start > 0 else -PREGAP
    if before[-1].session != track.session:
        return min(start, max(usual, before[-1].lba + before[-1].length))
    last = disc.tracks[len(before) - 1]
    end = last.lba + last.length
    return end if start == end + last.postgap else start


def _stored(disc: Disc, track: Track) -> tuple[int, Device]:
    """The code of a track's mode, and its frames as they are stored."""
    mode = MODES.get(_code(track), track.mode)
    if track.subchannel:
        whole = raw_mode(track.mode)
        pieces = [with_sub(disc, recast(piece, whole), "interleaved") for piece in track.pieces]
        return _WITH_SUB[_plain(whole)], Placed(units(pieces), USER)
    return _code(track), Placed(frames([recast(p, mode) for p in track.pieces]), USER)


def _code(track: Track) -> int:
    """The mode that a track is stored in, without subchannel."""
    name = _plain(track.mode)
    code = _CODES.get(name, _CODES.get(_plain(raw_mode(track.mode))))
    if code is None:
        raise UnsupportedError(
            f"track {track.number} has frames of {name}, for which Nero has no mode",
            remedy="write a format that keeps frames as they are, such as cue",
        )
    return code


def _plain(mode: Mode) -> str:
    return mode.name.replace("CDI", "MODE2")


def _chunks(disc: Disc, rows: Sequence[Row]) -> bytes:
    """All chunks, from the first session's to the end."""
    out = b""
    for session in disc.sessions:
        inside = [row for row in rows if row.track.session == session.number]
        if _medium(disc) == "CD":
            out += _chunk(b"CUEX", _cues(inside))
            out += _chunk(b"DAOX", _dao(inside, disc.catalog, session.kind))
        else:
            out += _chunk(b"ETN2", _etn(inside))
        out += _chunk(b"SINF", len(inside).to_bytes(4, "big"))
    packs = cdtext.of(disc)
    if packs:
        out += _chunk(b"CDTX", packs)
    out += _chunk(b"MTYP", _MEDIA[_medium(disc)].to_bytes(4, "big"))
    return out + _chunk(END, b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return bytes(CHUNK.build({"name": name, "length": len(body)})) + body


def _cues(rows: Sequence[Row]) -> bytes:
    """Where every index is, between lead-in and lead-out."""
    first, last = rows[0].track, rows[-1].track
    out = _cue(first, 0, 0, first.lba - first.pregap)
    for row in rows:
        track, number = row.track, _bcd(row.track.number)
        out += _cue(track, number, 0, track.lba - track.pregap)
        for index, lba in track.indexes:
            if index:
                out += _cue(track, number, index, lba)
    return out + _cue(last, LEAD_OUT, 1, last.lba + last.length)


def _cue(track: Track, number: int, index: int, lba: int) -> bytes:
    entry = {"control": control(track) << 4 | _ADR, "track": number, "index": _bcd(index)}
    return bytes(CUEX.build({**entry, "lba": lba}))


def _bcd(number: int) -> int:
    return number // 10 << 4 | number % 10


def _dao(rows: Sequence[Row], catalog: str | None, kind: SessionKind | None) -> bytes:
    """The tracks of a session by their places in the file."""
    told: Mapping[str, object] = {
        "catalog": _code_bytes(catalog, 13),
        "kind": _KINDS.get(kind or _kind(rows), 0),
        "first": rows[0].track.number,
        "last": rows[-1].track.number,
    }
    length = DAO.sizeof() + len(rows) * DAOX_TRACK.sizeof()
    return bytes(DAO.build({**told, "length": length})) + b"".join(map(_dao_row, rows))


def _dao_row(row: Row) -> bytes:
    return bytes(
        DAOX_TRACK.build({
            "isrc": _code_bytes(row.track.isrc, 12),
            "size": row.size,
            "mode": row.code,
            "gap_at": row.gap_at,
            "at": row.at,
            "stop": row.stop,
        })
    )  # fmt: skip


def _kind(rows: Sequence[Row]) -> SessionKind:
    """What a session is by its tracks' modes."""
    names = {_plain(row.track.mode).partition("/")[0] for row in rows}
    return "CDROM_XA" if "MODE2" in names else "CDROM" if "MODE1" in names else "CDDA"


def _code_bytes(code: str | None, length: int) -> bytes:
    plain = (code or "").replace("-", "").encode("ascii", "replace")
    return plain[:length].ljust(length, b"\0")


def _etn(rows: Sequence[Row]) -> bytes:
    """The tracks of a session written at once."""
    return b"".join(
        bytes(
            ETN2.build({
                "at": row.at, "length": row.stop - row.at, "mode": row.code,
                "lba": row.track.lba, "sectors": row.track.length,
            })
        )
        for row in rows
    )  # fmt: skip
