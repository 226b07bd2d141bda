"""From the chunks of a Nero image to a disc: offsets tell its frames, cue chunks where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from diskimage.disc import cdtext
from diskimage.disc.address import LEAD_IN, LONGEST, PREGAP, between_sessions
from diskimage.disc.confirm import confirmed
from diskimage.disc.content import VOLUME
from diskimage.disc.modes import (
    AUDIO,
    CDG,
    MODE1_2048,
    MODE1_2352,
    MODE1_2448,
    MODE2_2048,
    MODE2_2336,
    MODE2_2352,
    MODE2_2448,
    RAW,
    USER,
)
from diskimage.disc.subchannel import FLAGS
from diskimage.disc.tracks import Lay, assemble
from diskimage.disc.volume import FIRST, weigh_disc
from diskimage.errors import CorruptError, UnsupportedError
from diskimage.formats.nrg.layout import (
    LEAD_OUT,
    Block,
    DaoTrack,
    Listed,
    Mark,
    TaoTrack,
    begins,
    listed,
    number,
)
from diskimage.model import Bid, Disc, Gate, Look, Mode, Piece, Source
from diskimage.model.discs import SessionKind
from diskimage.parse import read

MODES = {
    0x00: MODE1_2048, 0x02: MODE2_2048, 0x03: MODE2_2336, 0x05: MODE1_2352, 0x06: MODE2_2352,
    0x07: AUDIO, 0x08: AUDIO, 0x0F: MODE1_2448, 0x10: CDG, 0x11: MODE2_2448,
}  # fmt: skip
WHOLE = {0x00: MODE1_2352, 0x02: MODE2_2352, 0x03: MODE2_2352}
"""What MagicISO means by these where its frames have 2352 bytes."""

DVD, BD = 0x00C4021C, 0x00700000  # bits of MTYP
KINDS: Mapping[int, SessionKind] = {0: "CDDA", 1: "CDROM", 0x10: "CDI", 0x20: "CDROM_XA"}
Reading = dict[int, dict[int, int]]
"""The LBA of each index, by the number of the track."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A track as it lies in the file: `gap` frames of pregap at `at`, then `frames` from index 1.

    `told` is its number in the cue chunk; `lba` index 1 once it is known, `start` its first frame,
    of which those before the stored ones are made up.
    """

    number: int
    session: int
    mode: Mode
    at: int
    gap: int
    frames: int
    told: int
    isrc: str | None = None
    lba: int = 0
    start: int = 0

    @property
    def stop(self) -> int:
        """The LBA after the last frame."""
        return self.lba + self.frames


def probe(look: Look) -> Bid | None:
    """The footer, and a chunk that Nero writes where the footer says."""
    told = begins(look)
    if told is False:
        return Bid(60, "an NRG footer, and no chunk where it says") if _footed(look) else None
    return Bid(95, "an NRG footer and the chunks it tells") if told else Bid(80, "an NRG footer")


def _footed(look: Look) -> bool:
    return look.tail[-12:-8] == b"NER5" or look.tail[-8:-4] == b"NERO"


def open_nrg(source: Source, gate: Gate) -> Disc:
    """The disc in `source`. Raises CorruptError, TruncatedError, LimitError, UnsupportedError."""
    found = listed(source, gate)
    packs = _packs(found, source.name, gate)
    text, of_tracks = cdtext.texts(packs)
    lays = [
        replace(lay, text=titles, isrc=lay.isrc or isrc)
        for lay in _lays(found, source, gate)
        for titles in [dict(of_tracks.get(lay.number, {}))]
        for isrc in [titles.pop("ISRC", None)]
    ]
    disc = assemble(
        [confirmed(lay, source.name, gate) for lay in lays],
        file=source.name,
        medium=_medium(found, lays),
        catalog=next((block.catalog for block in found.blocks if block.catalog), None),
        text=text,
        cdtext=packs,
        kinds=_kinds(found.blocks, lays),
        info={"variant": _variant(found, lays)},
    )
    weigh_disc(disc, gate)
    return disc


def _packs(found: Listed, file: str, gate: Gate) -> bytes | None:
    if found.packs is None:
        return None
    try:
        return cdtext.packs(found.packs, file)
    except CorruptError as error:
        gate.warn("cdtext", error.message)
        return None


def _kinds(blocks: Sequence[Block], lays: Sequence[Lay]) -> dict[int, SessionKind]:
    """What the sessions are, where each has a chunk that says so."""
    sessions = sorted({lay.session for lay in lays})
    if len(sessions) != len(blocks):
        return {}
    told = zip(sessions, blocks, strict=True)
    return {n: KINDS[b.kind] for n, b in told if b.kind is not None and b.kind in KINDS}


def _medium(found: Listed, lays: Sequence[Lay]) -> str:
    if found.medium & BD:
        return "BD"
    only = len(lays) == 1 and lays[0].mode.size == USER
    long = only and lays[0].stop > LONGEST
    return "DVD" if found.medium & DVD or long else "CD"


def _variant(found: Listed, lays: Sequence[Lay]) -> str:
    ways = {"disc at once" if block.dao else "track at once" for block in found.blocks}
    modes = dict.fromkeys(lay.mode.name for lay in lays)
    return f"version {found.version}, {' and '.join(sorted(ways))}; {', '.join(modes)}"


def _lays(found: Listed, source: Source, gate: Gate) -> Iterator[Lay]:
    """The tracks in order, each with its address."""
    tracks = list(_tracks(found, source, gate))
    on_cd = not found.medium & (DVD | BD)
    leadout: int | None = None
    for session, group in groupby(tracks, key=lambda track: track.session):
        inside = list(group)
        block = next(b for b, first in _firsts(found.blocks) if first <= inside[0].number)
        if not on_cd:
            inside = [_unpadded(track, source, gate) for track in inside]
            base, pause = leadout or 0, 0
        elif leadout is None:
            base, pause = -min(PREGAP, inside[0].gap), PREGAP
        else:
            base, pause = between_sessions(leadout, session - 1, inside[0].gap), PREGAP
        placed, indexes = _placed(inside, block, base, leadout, pause, gate)
        leadout = placed[-1].stop
        if placed[-1].told == block.first + block.count - 1:
            _hold_leadout(block.marks, leadout, gate)
        for track in placed:
            yield _lay(track, indexes.get(track.told, {}), block.marks, source, gate)


def _firsts(blocks: Sequence[Block]) -> list[tuple[Block, int]]:
    """Each chunk's tracks and the number of the first of them, the last chunk first."""
    out, done = [], 0
    for block in blocks:
        first = max(block.first, done + 1)
        out.append((block, first))
        done = first + block.count - 1
    return out[::-1]


def _tracks(found: Listed, source: Source, gate: Gate) -> Iterator[Stored]:
    """Every track, by sessions: a chunk is one, save where SINF counts the tracks of one chunk in
    parts."""
    counts, blocks = found.counts, found.blocks
    parted = len(blocks) == 1 and len(counts) > 1 and sum(counts) == blocks[0].count
    if counts and not parted and counts != [block.count for block in blocks]:
        gate.warn("session", f"SINF counts {counts} tracks, the chunks have "
                  f"{[block.count for block in blocks]}", found.stop)  # fmt: skip
    for session, (block, first) in enumerate(reversed(_firsts(blocks)), 1):
        rows: tuple[DaoTrack | TaoTrack, ...] = block.dao or block.tao
        for i, row in enumerate(rows):
            part = sum(sum(counts[: n + 1]) <= i for n in range(len(counts))) if parted else 0
            track = _stored(row, first + i, session + part, block.first + i, source, gate)
            end = track.at + (track.gap + track.frames) * track.mode.size
            if end > found.stop:
                raise CorruptError(
                    f"track {track.number} ends at byte {end}, the chunks begin at {found.stop}",
                    file=source.name, at=found.stop, remedy="the file is cut short or damaged",
                )  # fmt: skip
            yield track


def _stored(
    row: DaoTrack | TaoTrack, at: int, session: int, told: int, source: Source, gate: Gate
) -> Stored:
    """A row of a chunk as track number `at`; frames counted from its bytes."""
    if isinstance(row, DaoTrack):
        mode = _mode(row.mode, row.size, at, source.name, gate)
        gap, rest = divmod(row.at - row.gap_at, mode.size)
        frames, odd = divmod(row.stop - row.at, mode.size)
        place, isrc = row.gap_at, row.isrc
    else:
        size = row.length // row.sectors if row.sectors else None
        mode = _mode(row.mode, size, at, source.name, gate)
        place, gap, rest, isrc = row.at, 0, 0, None
        frames, odd = divmod(row.length, mode.size)
    if rest or odd or gap < 0 or frames <= 0:
        raise CorruptError(
            f"track {at}: its offsets hold no whole frames of {mode.size} bytes",
            file=source.name, at=place, remedy="the chunks are damaged",
        )  # fmt: skip
    return Stored(at, session, mode, place, gap, frames, told, isrc)


def _mode(code: int, size: int | None, track: int, file: str, gate: Gate) -> Mode:
    """The mode of a track; its code decides, not the frame size, save where MagicISO wrote it."""
    mode = MODES.get(code)
    if mode is None:
        raise UnsupportedError(f"track {track} has mode {code:#x}", file=file)
    if size == 0:
        raise CorruptError(f"track {track} has frames of 0 bytes", file=file)
    if size is None or size == mode.size:
        return mode
    if size == RAW and code in WHOLE:
        return WHOLE[code]
    gate.warn("mode", f"track {track}: {mode.name} has no frames of {size} bytes; taken as such")
    return mode


def _unpadded(track: Stored, source: Source, gate: Gate) -> Stored:
    """A track of a DVD, which has no pregap: MagicISO puts 150 sectors before it."""
    at, frames = track.at + track.gap * track.mode.size, track.frames
    padding = PREGAP * USER
    room = track.mode.size == USER and not track.gap and frames > PREGAP + FIRST
    if room and not _is_volume(source, at) and _is_volume(source, at + padding):
        at, frames = at + padding, frames - PREGAP
    if at != track.at:
        text = f"track {track.number}: the sectors before a DVD's first are left out"
        gate.warn("padding", text, track.at)
    return replace(track, at=at, gap=0, frames=frames)


def _is_volume(source: Source, at: int) -> bool:
    return bytes(read(source, at + FIRST * USER + 1, 5, "a volume descriptor")) in VOLUME


def _placed(
    tracks: Sequence[Stored],
    block: Block,
    base: int,
    leadout: int | None,
    pause: int,
    gate: Gate,
) -> tuple[list[Stored], Reading]:
    """The tracks of a session with their addresses, and the indexes that its cue chunk tells.

    `base` is where its first stored frame should be; `pause` the frames before a track written at
    once, which are not stored. What is told holds where it puts no track into another.
    """
    lowest = -PREGAP if leadout is None else leadout
    readings = [
        (placed, reading)
        for reading in _readings(block.marks)
        if (placed := _told(tracks, reading)) and _ordered(placed, lowest)
    ]
    if readings:
        return max(readings, key=lambda one: _joined(one[0]))
    if block.marks:
        gate.warn("address", "its cue chunk contradicts its offsets: tracks are counted from these")
    rows = [block.tao[track.told - block.first] for track in tracks] if block.tao else []
    chain = _chained(tracks, rows, None if leadout is None else leadout + LEAD_IN)
    if chain and _ordered(chain, lowest):
        return chain, {}
    return _counted(tracks, base, pause if block.tao else 0), {}


def _readings(marks: Sequence[Mark]) -> list[Reading]:
    """What a cue chunk tells: of times as BCD and as binary numbers."""
    out = []
    for which in ("lba", "other"):
        reading: Reading = {}
        for mark in marks:
            at = getattr(mark, which)
            if mark.track not in (0, LEAD_OUT) and at is not None:
                reading.setdefault(number(mark.track), {})[number(mark.point)] = at
        if reading:
            out.append(reading)
    return out


def _told(tracks: Sequence[Stored], reading: Reading) -> list[Stored]:
    """`tracks` where the cue chunk says; none where it lacks one. A pause before a session's first
    track that is not stored is the one that every session has."""
    out: list[Stored] = []
    for track in tracks:
        indexes = reading.get(track.told, {})
        if 1 not in indexes:
            return []
        stored = indexes[1] - track.gap
        start = min(stored, indexes.get(0, stored)) if out else stored
        out.append(replace(track, lba=indexes[1], start=start))
    return out


def _ordered(tracks: Sequence[Stored], lowest: int) -> bool:
    inside = all(LONGEST >= after.start >= track.stop for track, after in pairwise(tracks))
    return inside and tracks[0].start >= lowest


def _joined(tracks: Sequence[Stored]) -> bool:
    """Whether each track begins where the one before it ends, with no pause that is not stored."""
    inside = all(after.start == track.stop for track, after in pairwise(tracks))
    return inside and all(track.start + track.gap == track.lba for track in tracks)


def _chained(tracks: Sequence[Stored], rows: Sequence[TaoTrack], far: int | None) -> list[Stored]:
    """Tracks written at once, where the chunk tells their addresses with the pauses between them.

    Where it counts none at all it leaves them out, but for a session of one track that begins
    behind a lead-in, at `far` or later.
    """
    out: list[Stored] = []
    for track, row in zip(tracks, rows, strict=False):
        before = out[-1].stop if out else row.lba
        if row.lba is None or before is None or row.lba < before:
            return []
        out.append(replace(track, lba=row.lba, start=before))
    alone = len(out) == 1 and far is not None and out[0].lba >= far
    return out if alone or any(track.start < track.lba for track in out) else []


def _counted(tracks: Sequence[Stored], base: int, pause: int) -> list[Stored]:
    """Tracks one behind the other from `base`, with `pause` frames before all but the first."""
    out: list[Stored] = []
    at = base
    for track in tracks:
        start = at
        at += track.gap + (pause if out else 0)
        out.append(replace(track, lba=at, start=start))
        at += track.frames
    return out


def _hold_leadout(marks: Sequence[Mark], leadout: int, gate: Gate) -> None:
    """Say where the cue chunk puts the lead-out elsewhere than behind the last frame."""
    told = [mark for mark in marks if mark.track == LEAD_OUT]
    if told and leadout not in (told[-1].lba, told[-1].other):
        gate.warn("address", f"its lead-out is said to be at LBA {told[-1].lba}, frames end "
                  f"before LBA {leadout}", leadout)  # fmt: skip


def _lay(
    track: Stored, told: Mapping[int, int], marks: Sequence[Mark], source: Source, gate: Gate
) -> Lay:
    pieces = []
    stored = track.lba - track.gap
    if track.start < stored:
        pieces.append(Piece(track.start, stored - track.start, None, 0, track.mode))
    pieces.append(Piece(stored, track.gap + track.frames, source, track.at, track.mode))
    indexes = [(0, track.start)] if track.start < track.lba else []
    indexes.append((1, track.lba))
    for index, lba in sorted(told.items()):
        if index > 1 and indexes[-1][1] < lba < track.stop:
            indexes.append((index, lba))
        elif index > 1:
            gate.warn("index", f"index {index} of track {track.number} is at LBA {lba}: left out")
    controls = [m.control >> 4 for m in marks if number(m.track) == track.told]
    control = controls[-1] if controls else 0
    flags = frozenset(flag for flag, bit in FLAGS.items() if control & bit)
    return Lay(
        track.number, track.session, track.mode, tuple(pieces), tuple(indexes), 0, flags, track.isrc
    )
