"""From the descriptor of a DiscJuggler image to a disc: frames back to back from byte 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from diskimage.disc import cdtext
from diskimage.disc.address import PREGAP, between_sessions
from diskimage.disc.confirm import confirmed
from diskimage.disc.modes import (
    AUDIO,
    MODE1_2048,
    MODE1_2352,
    MODE2_2048,
    MODE2_2336,
    MODE2_2352,
    followed,
)
from diskimage.disc.subchannel import FLAGS
from diskimage.disc.tracks import Lay, assemble
from diskimage.disc.volume import weigh_disc
from diskimage.errors import CorruptError, UnsupportedError
from diskimage.formats.cdi.layout import MEDIA, Entry, Told, begins, load, trailer
from diskimage.model import Bid, Disc, Gate, Layout, Look, Mode, Piece, Source, Subchannel
from diskimage.model.discs import SessionKind

MODES = {
    (0, 2): AUDIO, (1, 0): MODE1_2048, (1, 2): MODE1_2352, (2, 0): MODE2_2048,
    (2, 1): MODE2_2336, (2, 2): MODE2_2352,
}  # fmt: skip
"""The frames of a track by its mode and how it was read."""

SUBS: Mapping[int, tuple[int, Layout]] = {3: (16, "q16"), 4: (96, "interleaved")}
"""Ways of reading whole frames with the subchannel behind each: its bytes and layout."""

KINDS: Mapping[int, SessionKind] = {0: "CDDA", 1: "CDROM", 2: "CDROM_XA"}


@dataclass(frozen=True, slots=True)
class Placed:
    """A track with its place: number, session, byte in the file, and LBA of its first frame."""

    entry: Entry
    number: int
    session: int
    mode: Mode
    at: int
    lba: int

    @property
    def pitch(self) -> int:
        """Stored bytes of a frame."""
        return self.mode.size + SUBS.get(self.entry.read, (0, ""))[0]

    @property
    def one(self) -> int:
        """The LBA of index 1."""
        return self.lba + self.entry.indexes[0]

    @property
    def stop(self) -> int:
        """The LBA after the last frame."""
        return self.lba + self.entry.total


def probe(look: Look) -> Bid | None:
    """The version word, and a descriptor where the trailer says. A suffix alone is not enough."""
    sure = begins(look)
    if sure:
        return Bid(95, "a DiscJuggler trailer and the descriptor it tells")
    if sure is False and look.suffix == ".cdi":
        return Bid(60, "a DiscJuggler version word, suffix .cdi")
    told = trailer(look.tail, look.size)
    out_of_sight = told is not None and 0 < told[1] < look.size - len(look.tail)
    return Bid(40, "a DiscJuggler version word") if out_of_sight else None


def open_cdi(source: Source, gate: Gate) -> Disc:
    """The disc in `source`. Raises CorruptError, TruncatedError, LimitError, UnsupportedError."""
    told = load(source, gate.limits)
    placed = _placed(told, source.name, gate)
    end = placed[-1].at + placed[-1].entry.total * placed[-1].pitch
    if end > told.stop:
        raise CorruptError(
            f"its tracks have {end} bytes, the descriptor begins at {told.stop}",
            file=source.name,
            at=told.stop,
            remedy="the file is cut short at its beginning, or damaged",
        )
    if end < told.stop:
        text = f"{told.stop - end} bytes between the last track and the descriptor are in no track"
        gate.warn("size", text, end)
    packs = _packs(told, source.name, gate)
    text_of_disc, texts = cdtext.texts(packs)
    lays = [
        confirmed(_lay(track, texts.get(track.number, {}), source), source.name, gate)
        for track in placed
    ]
    disc = assemble(
        lays,
        file=source.name,
        medium=MEDIA.get(placed[0].entry.medium or 0, "CD"),
        catalog=told.catalog,
        text=text_of_disc,
        cdtext=packs,
        kinds=dict(_kinds(told, placed)),
        info={"variant": f"version {told.version}; {', '.join(_modes(lays))}"},
    )
    weigh_disc(disc, gate)
    return disc


def _modes(lays: Sequence[Lay]) -> Mapping[str, None]:
    return dict.fromkeys(lay.mode.name for lay in lays)


def _packs(told: Told, file: str, gate: Gate) -> bytes | None:
    if not told.packs:
        return None
    try:
        return cdtext.packs(told.packs, file)
    except CorruptError as error:
        gate.warn("cdtext", error.message)
        return None


def _kinds(told: Told, placed: Sequence[Placed]) -> Iterator[tuple[int, SessionKind]]:
    """What the last track of each session says of it, unless its tracks deny it."""
    for number, entries in enumerate(told.sessions, 1):
        kind = KINDS.get(entries[-1].kind)
        data = any(not track.mode.audio for track in placed if track.session == number)
        if kind is not None and data == (kind != "CDDA"):
            yield number, kind


def _placed(told: Told, file: str, gate: Gate) -> list[Placed]:
    """Every track where the descriptor says, or where the tracks before it end."""
    first = told.sessions[0][0]
    shift = min(PREGAP, first.start + first.indexes[0])  # some writers count from LBA 0
    by_field = list(_chained(told, file, -shift))
    if all(map(_follows, by_field, by_field[1:])):
        return by_field
    gate.warn("address", "its addresses contradict its lengths: tracks are counted from these")
    return list(_chained(told, file, None))


def _follows(before: Placed, track: Placed) -> bool:
    """Whether `track` begins where the one before it ends, or behind it in a later session."""
    gap = track.lba - before.stop
    return gap == 0 or (gap > 0 and track.session != before.session)


def _chained(told: Told, file: str, shift: int | None) -> Iterator[Placed]:
    """Tracks at their own addresses moved by `shift`, or at the end of the one before."""
    at = number = 0
    lba = -min(PREGAP, told.sessions[0][0].indexes[0])
    for session, entries in enumerate(told.sessions, 1):
        for i, entry in enumerate(entries):
            number += 1
            _hold(entry, number, file)
            if number > 1 and i == 0:
                lba = between_sessions(lba, session - 1, entry.indexes[0])
            if shift is not None:
                lba = entry.start + shift
            yield (track := Placed(entry, number, session, _mode(entry, number, file), at, lba))
            at, lba = at + entry.total * track.pitch, track.stop


def _mode(entry: Entry, number: int, file: str) -> Mode:
    """The mode of a track's main channel."""
    how = 2 if entry.read in SUBS else entry.read
    mode = MODES.get((entry.mode, how))
    if mode is None:
        raise UnsupportedError(
            f"track {number} has mode {entry.mode} read as {entry.read}", file=file, at=entry.at
        )
    return mode


def _hold(entry: Entry, number: int, file: str) -> None:
    if sum(entry.indexes) != entry.total:
        raise CorruptError(
            f"track {number} has {entry.total} frames, its indexes {sum(entry.indexes)}",
            file=file,
            at=entry.at,
            remedy="the descriptor is damaged",
        )


def _lay(track: Placed, texts: Mapping[str, str], source: Source) -> Lay:
    entry, mode = track.entry, track.mode
    indexes = [(0, track.lba)] if entry.indexes[0] else []
    lba = track.one
    for number, length in enumerate(entry.indexes[1:], 1):
        if length or number == 1:
            indexes.append((number, lba))
        lba += length
    text = dict(texts)
    isrc = text.pop("ISRC", None)
    if entry.title:
        text.setdefault("TITLE", entry.title)
    flags = frozenset(flag for flag, bit in FLAGS.items() if entry.control & bit)
    return Lay(
        track.number, track.session, mode, (_piece(track, source),), tuple(indexes), 0, flags,
        entry.isrc or isrc, text,
    )  # fmt: skip


def _piece(track: Placed, source: Source) -> Piece:
    """All frames of a track, with the subchannel behind each told apart."""
    mode, frames = track.mode, track.entry.total
    if track.entry.read not in SUBS:
        return Piece(track.lba, frames, source, track.at, mode)
    size, layout = SUBS[track.entry.read]
    known = followed(mode, size)
    if known.subchannel:  # the mode says it all
        return Piece(track.lba, frames, source, track.at, known)
    sub = Subchannel(source, track.at + mode.size, track.pitch, layout)
    return Piece(track.lba, frames, source, track.at, mode, pitch=track.pitch, sub=sub)
