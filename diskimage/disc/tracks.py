"""From tracks as a format lays them to a `Disc`: lengths checked, devices made, sessions closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise

from diskimage.disc.cdtext import texts
from diskimage.disc.modes import USER, bare, cooks
from diskimage.errors import CorruptError, TruncatedError
from diskimage.layers.records import Placed
from diskimage.model import (
    Device,
    Disc,
    Extent,
    Kind,
    Layout,
    Mode,
    Piece,
    Records,
    Session,
    Subchannel,
    TocRow,
    Track,
)
from diskimage.model.discs import SessionKind


@dataclass(frozen=True, slots=True)
class Lay:
    """One track as a format lays it: `pieces` from its first pregap frame to its last postgap
    frame, contiguous in LBA; the last `postgap` frames are made up. Index 1 is among `indexes`.

    A piece whose mode has subchannel (MODE1/2448, CDG) stands for frames that it follows, as
    interleaved or as 16 bytes of Q, by its size; the disc then has it as the piece's `sub`."""

    number: int
    session: int
    mode: Mode
    pieces: tuple[Piece, ...]
    indexes: tuple[tuple[int, int], ...]
    postgap: int = 0
    flags: frozenset[str] = frozenset()
    isrc: str | None = None
    text: Mapping[str, str] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """The LBA of the first frame, pregap included."""
        return self.pieces[0].lba

    @property
    def stop(self) -> int:
        """The LBA after the last frame, postgap included."""
        return self.pieces[-1].lba + self.pieces[-1].frames


def assemble(
    lays: Sequence[Lay],
    *,
    file: str,
    medium: str = "CD",
    catalog: str | None = None,
    text: Mapping[str, str] | None = None,
    cdtext: bytes | None = None,
    toc: tuple[TocRow, ...] = (),
    kinds: Mapping[int, SessionKind] | None = None,
    info: Mapping[str, object] | None = None,
) -> Disc:
    """The disc of `lays`. `file` is the name that errors carry; `kinds` are those of sessions.

    What `cdtext` says of disc and tracks is their text, where none is given.

    Raises CorruptError where tracks overlap or hold nothing, TruncatedError where a source ends
    before its frames do; both name the track and the LBA.
    """
    if not lays:
        raise CorruptError("the disc has no track", file=file)
    titles, by_track = texts(cdtext)
    lays = [
        replace(
            lay,
            pieces=tuple(map(_parted, lay.pieces)),
            text={**by_track.get(lay.number, {}), **lay.text},
        )
        for lay in lays
    ]
    for lay in lays:
        _hold(lay, file)
    for before, after in pairwise(lays):
        if after.start < before.stop:
            raise CorruptError(
                f"track {after.number} begins at LBA {after.start}, before track "
                f"{before.number} ends at LBA {before.stop}",
                file=file,
                remedy="put the indexes in order",
            )
    tracks = tuple(map(_track, lays))
    data = next((user_data(track) for track in tracks if cooks(track.mode)), None)
    return Disc(
        medium, _sessions(lays, kinds or {}), tracks, data, _space(tracks, lays[-1].stop),
        catalog, {**titles, **(text or {})}, cdtext, toc, dict(info or {}),
    )  # fmt: skip


def _parted(piece: Piece) -> Piece:
    """`piece` with the subchannel that follows each of its frames told apart from them."""
    mode = piece.mode
    if not mode.subchannel:
        return piece
    sub, main = piece.sub, bare(mode)
    if sub is None and piece.source is not None:
        layout: Layout = "q16" if mode.subchannel == 16 else "interleaved"
        sub = Subchannel(piece.source, piece.at + main.size, piece.pitch, layout)
    return replace(piece, mode=main, sub=sub)


def _hold(lay: Lay, file: str) -> None:
    """Refuse a track without frames, and one whose frames are not all in their source."""
    if lay.stop - lay.postgap <= dict(lay.indexes)[1]:
        raise CorruptError(f"track {lay.number} has no frames", file=file, remedy="mend its index")
    for piece in lay.pieces:
        if piece.source is None:
            continue
        size, have = piece.mode.size, piece.source.size - piece.at
        if (piece.frames - 1) * piece.pitch + size - piece.tail > have:
            whole = max(0, have) // piece.pitch
            raise TruncatedError(
                f"track {lay.number} needs {piece.frames} frames of {size} bytes, the file ends "
                f"in the frame at LBA {piece.lba + whole}",
                file=piece.source.name,
                at=piece.source.size,
                remedy="the file is cut short, or the sheet belongs to another one",
            )


def _track(lay: Lay) -> Track:
    first = dict(lay.indexes)[1]
    length = lay.stop - lay.postgap - first
    inside = between(lay.pieces, first, first + length)
    return Track(
        lay.number, lay.session, bare(lay.mode), first, length, first - lay.start, lay.postgap,
        lay.indexes, lay.pieces, lay.flags, lay.isrc, lay.text,
        Placed(frames(inside), bare(lay.mode).size, {"mode": bare(lay.mode).name}),
    )  # fmt: skip


def between(pieces: Iterable[Piece], start: int, stop: int) -> Iterator[Piece]:
    """The parts of `pieces` that hold the frames [start, stop)."""
    for piece in pieces:
        first, last = max(start, piece.lba), min(stop, piece.stop)
        if first >= last:
            continue
        by, sub = first - piece.lba, piece.sub
        yield replace(
            piece, lba=first, frames=last - first, at=piece.at + by * piece.pitch,
            tail=piece.tail if last == piece.stop else 0,
            sub=None if sub is None else replace(sub, at=sub.at + by * sub.pitch),
        )  # fmt: skip


def frames(pieces: Iterable[Piece]) -> Iterator[Extent]:
    """The frames of `pieces` as stored, one behind the other from guest byte 0."""
    start = 0
    for piece in pieces:
        size = piece.mode.size
        length = piece.frames * size
        if piece.source is None:
            yield Extent(start, length, Kind.ZERO, hole=True)
        elif piece.pitch != size:
            records = Records(size, piece.pitch, origin=piece.at, lba=piece.lba)
            yield Extent(start, length, Kind.DATA, piece.source, piece.at, records=records)
        else:
            stored = length - piece.tail
            yield Extent(start, stored, Kind.DATA, piece.source, piece.at)
            if piece.tail:
                yield Extent(start + stored, piece.tail, Kind.ZERO)
        start += length


def kept(track: Track) -> tuple[int, int]:
    """The frames of a track that a file of its own holds: all but made up pregap and postgap.

    Frames before LBA 0 are in none: dumps begin there, and a sheet has no time for them.
    """
    start, stop = track.lba - track.pregap, track.lba + track.length
    if track.pieces[0].source is None:
        start = min(track.lba, start + track.pieces[0].frames)
    return max(start, min(0, track.lba)), stop


def whole_track(track: Track) -> Device:
    """The stored frames of a track with its pregap, as databases of dumps count them."""
    return Placed(frames(between(track.pieces, *kept(track))), track.mode.size)


def user_data(track: Track) -> Device:
    """The 2048 user bytes of each frame of a data track: index 1 to the next track's first one."""
    inside = between(track.pieces, track.lba, track.lba + track.length)
    return Placed(_cooked(inside, track.lba), USER, {"track": track.number})


def _cooked(pieces: Iterable[Piece], base: int) -> Iterator[Extent]:
    """The user data of `pieces` where guest byte 0 is that of frame `base`."""
    for piece in pieces:
        start, length = (piece.lba - base) * USER, piece.frames * USER
        mode = piece.mode
        if piece.source is None:
            yield Extent(start, length, Kind.ZERO, hole=True)
        elif piece.pitch == USER:
            yield Extent(start, length, Kind.DATA, piece.source, piece.at)
        else:
            at = piece.at + mode.user_at
            records = Records(USER, piece.pitch, mode, at, piece.lba)
            yield Extent(start, length, Kind.DATA, piece.source, at, records=records)


def _space(tracks: Iterable[Track], stop: int) -> Device:
    """2048 bytes for each LBA from 0; what is not user data of a track is ABSENT."""
    return Placed(_filled(_known(tracks), stop * USER), USER)


def _known(tracks: Iterable[Track]) -> Iterator[Extent]:
    for track in tracks:
        if cooks(track.mode):
            start = max(0, track.lba)
            yield from _cooked(between(track.pieces, start, track.lba + track.length), 0)


def _filled(extents: Iterable[Extent], size: int) -> Iterator[Extent]:
    """`extents` with ABSENT between them and up to `size`."""
    done = 0
    for extent in extents:
        if extent.start > done:
            yield Extent(done, extent.start - done, Kind.ABSENT)
        yield extent
        done = extent.stop
    if size > done:
        yield Extent(done, size - done, Kind.ABSENT)


def _sessions(lays: Sequence[Lay], kinds: Mapping[int, SessionKind]) -> tuple[Session, ...]:
    """Sessions by number; the lead-out begins where the last track ends."""
    made = []
    for number, group in groupby(lays, key=lambda lay: lay.session):
        inside = list(group)
        numbers = tuple(lay.number for lay in inside)
        made.append(Session(number, numbers, inside[-1].stop, kinds.get(number)))
    return tuple(made)


def describe(track: Track) -> dict[str, object]:
    """`track` as a mapping for JSON: addresses and lengths in frames, `stored_frame` in bytes."""
    return {
        "number": track.number,
        "session": track.session,
        "mode": track.mode.name,
        "lba": track.lba,
        "length": track.length,
        "pregap": track.pregap,
        "postgap": track.postgap,
        "indexes": [{"number": number, "lba": lba} for number, lba in track.indexes],
        "flags": sorted(track.flags),
        "isrc": track.isrc,
        "text": dict(track.text),
        "stored_frame": track.mode.size,
        "subchannel": track.subchannel,
    }
