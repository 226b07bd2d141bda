"""From a sheet and its files to tracks with addresses.

The indexes of one FILE cut it into segments. A segment belongs to the track of the index that
begins it, and has that track's frame size; what lies before the first index belongs to that index's
track. Gaps that no file holds (PREGAP, POSTGAP) are made up. The LBA is the running count of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from diskimage.disc.address import LEAD_IN, LEAD_OUT, PREGAP, between_sessions, time
from diskimage.disc.content import agrees, has_edc, lattice, shown, synced
from diskimage.disc.modes import RAW, SYNC, whole
from diskimage.disc.tracks import Lay
from diskimage.errors import CorruptError, TruncatedError
from diskimage.formats.cue.sheet import Entry, Index, Named
from diskimage.model import Gate, Mode, Piece, Source
from diskimage.parse import read

Mark = tuple[int, Index]
"""An index, and the place of its track in the sheet."""
_GAPS = {LEAD_IN + length + pregap for length in LEAD_OUT for pregap in (0, PREGAP)}


@dataclass(frozen=True, slots=True)
class Opened:
    """A FILE: frames lie in [at, stop) of `source`; `swapped` is the source of its audio tracks;
    `padded` says that a short last frame ends in zeros (WAVE)."""

    named: Named
    source: Source
    swapped: Source
    at: int
    stop: int
    padded: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """`frames` frames of `track` at `at` of a file, from `index` on (None: before any index).
    `jump`: frames between the end of the last session and here, where the sheet says how many."""

    track: int
    index: Index | None
    frames: int
    file: Opened
    at: int
    jump: int | None = None


def lay_out(
    tracks: Sequence[Entry], files: Mapping[int, Opened], sheet: str, gate: Gate
) -> list[Lay]:
    """The tracks of a sheet with their addresses; `files` by the number that indexes give.

    Raises CorruptError where indexes go back or content is not what the sheet declares,
    TruncatedError where an index lies after the end of its file.
    """
    marks: dict[int, list[Mark]] = {number: [] for number in files}
    for i, entry in enumerate(tracks):
        for index in entry.indexes:
            marks[index.file].append((i, index))
    segments = [
        part
        for number, file in files.items()
        for part in _segments(tracks, file, marks[number], sheet)
    ]
    modes = [
        _confirmed(entry, [part for part in segments if part.track == i], sheet, gate)
        for i, entry in enumerate(tracks)
    ]
    for part in segments:
        _inside(part, tracks[part.track], sheet)
    for i, entry in enumerate(tracks):
        if not any(p.track == i and p.index and p.index.number and p.frames for p in segments):
            raise CorruptError(
                f"line {entry.line}: track {entry.number} has no frames",
                file=sheet,
                remedy="mend its INDEX 01, or that of the next track",
            )
    return list(_addressed(tracks, modes, segments))


def _segments(
    tracks: Sequence[Entry], file: Opened, marks: Sequence[Mark], sheet: str
) -> Iterator[Segment]:
    """The segments of one file, in order. The last one runs to its end, and may be negative."""
    at, done = file.at, 0
    before: tuple[int, Index | None] = (marks[0][0], None)
    jump: int | None = None
    for track, index in marks:
        entry = tracks[track]
        if index.at < done:
            raise CorruptError(
                f"line {index.line}: INDEX {index.number:02} of track {entry.number} at "
                f"{time(index.at)} is before the index above it",
                file=sheet,
                remedy="put the indexes of a file in order",
            )
        gap = _gap(entry, index, done)
        frames = index.at - done - gap
        size = tracks[before[0]].mode.size
        if frames or before[1] is not None:
            yield Segment(*before, frames, file, at, jump)
        at += frames * size
        if gap and _gap_is_stored(file, at, entry.mode, marks[-1][1].at - index.at + gap):
            at += gap * RAW
        done, before, jump = index.at, (track, index), gap or None
    size, left = tracks[before[0]].mode.size, file.stop - at
    yield Segment(*before, -(-left // size), file, at, jump)


def _gap(entry: Entry, index: Index, done: int) -> int:
    """Frames between two sessions, where REM LEAD-OUT tells a place in this file, no length.

    A standard length is a place only where the next index is as far from it as the standard says.
    """
    leadout = entry.borders.get("LEAD-OUT")
    if leadout is None or index is not entry.indexes[0] or _lengths(entry) is not None:
        return 0
    gap = index.at - leadout
    if leadout in LEAD_OUT and gap not in _GAPS:
        return 0
    return gap if done < leadout and gap >= LEAD_IN else 0


def _lengths(entry: Entry) -> int | None:
    """Frames between two sessions where all three of REM LEAD-OUT, LEAD-IN and PREGAP say them."""
    if len(entry.borders) < 3 or entry.borders["LEAD-OUT"] not in LEAD_OUT:
        return None
    return sum(entry.borders.values())


def _gap_is_stored(file: Opened, at: int, mode: Mode, needed: int) -> bool:
    """Whether a session gap's frames are in the file: by a data track's sync, else by the size."""
    if whole(mode):
        for skip in (0, needed):
            place = at + skip * RAW
            if place + RAW <= file.stop and read(file.source, place, 12, "a frame") == SYNC:
                return bool(skip)
    return at + needed * RAW < file.stop


def _inside(part: Segment, entry: Entry, sheet: str) -> None:
    if part.frames > 0 or (part.frames == 0 and part.index and part.index.number == 0):
        return
    if part.frames == 0 and part.at < part.file.stop:
        return
    line = part.index.line if part.index else entry.line
    raise TruncatedError(
        f"line {line}: track {entry.number} continues at byte {part.at} of "
        f"{part.file.named.name!r}, which ends at byte {part.file.stop}",
        file=sheet,
        remedy="the file is cut short, or the sheet belongs to another one",
    )


def _confirmed(entry: Entry, parts: Iterable[Segment], sheet: str, gate: Gate) -> Mode:
    """The track's mode, once its content does not contradict it."""
    stored = [p for p in parts if p.frames > 0 and p.at < p.file.stop]
    counted = [p for p in stored if p.index and p.index.number]
    if not counted:
        return entry.mode
    mode, file = entry.mode, max(counted, key=lambda p: p.frames).file
    inside = [p for p in stored if p.file is file]
    gap, at = inside[0].at, next(p.at for p in inside if p in counted)
    stop = min(file.stop, inside[-1].at + inside[-1].frames * mode.size)
    found = shown(file.source, at, stop, declared=mode)
    if found is None:
        found = _elsewhere(entry, file, gap, at, stop, sheet)
    if found is not None and not agrees(mode, found):
        raise CorruptError(
            f"line {entry.line}: track {entry.number} is declared {mode.name}, its content is "
            f"{found.name}",
            file=sheet,
            remedy=f"write TRACK {entry.number:02} {found.name}",
        )
    if found is None and not synced(file.source, at, stop, mode):
        raise CorruptError(
            f"line {entry.line}: track {entry.number} is declared {mode.name}, and none of its "
            "sampled frames begins with a sync",
            file=sheet,
            remedy="the file is not what the sheet was written for",
        )
    if not has_edc(file.source, at, stop, mode):
        gate.warn("checksum", f"track {entry.number} was written without EDC and ECC", at)
        return replace(mode, edc=False)
    return mode


def _elsewhere(entry: Entry, file: Opened, gap: int, at: int, stop: int, sheet: str) -> Mode | None:
    """The mode of whole frames that are not where the sheet puts them, from `at` or its gap on.

    A wrong frame size moves everything after the first frame. Frames of the declared size in the
    gap alone are none of the track's: data before hidden audio, the end of the track before.
    """
    mode = entry.mode
    strayed = lattice(file.source, gap, stop)
    if strayed is None or strayed[0].size == mode.size:
        strayed = lattice(file.source, at, stop)
    if strayed is None:
        return None
    found, phase = strayed
    if phase and agrees(mode, found):
        raise CorruptError(
            f"line {entry.line}: the frames of track {entry.number} begin {phase} bytes after "
            "where the sheet puts them",
            file=sheet,
            remedy="mend the modes and indexes of the tracks before it",
        )
    return found


def _addressed(
    tracks: Sequence[Entry], modes: Sequence[Mode], segments: Sequence[Segment]
) -> Iterator[Lay]:
    """Tracks with addresses, counted from LBA 0."""
    lba, session = 0, tracks[0].session
    for i, (entry, mode) in enumerate(zip(tracks, modes, strict=True)):
        parts = [part for part in segments if part.track == i]
        if entry.session != session:
            lba, session = _next_session(entry, parts, lba, session), entry.session
        if entry.area is not None:
            lba = max(lba, entry.area - _pregap(entry, parts))
        if i == 0 and not mode.audio and entry.pregap <= PREGAP:
            lba = -entry.pregap  # of a data track it is the pregap that every disc has before LBA 0
        lay = _lay(entry, mode, parts, lba)
        lba = lay.stop
        yield lay


def _pregap(entry: Entry, parts: Iterable[Segment]) -> int:
    before = sum(part.frames for part in parts if part.index is None or part.index.number == 0)
    return entry.pregap + before


def _next_session(entry: Entry, parts: Sequence[Segment], lba: int, session: int) -> int:
    """Where a new session's first track begins."""
    if parts and parts[0].jump is not None:
        return lba + parts[0].jump - entry.pregap
    lengths = _lengths(entry)
    if lengths is not None:
        return lba + lengths
    return between_sessions(lba, session, _pregap(entry, parts))


def _lay(entry: Entry, mode: Mode, parts: Sequence[Segment], lba: int) -> Lay:
    pieces, indexes = [], []
    if entry.pregap:
        pieces.append(Piece(lba, entry.pregap, None, 0, mode))
        lba += entry.pregap
    for part in parts:
        if part.index is not None:
            indexes.append((part.index.number, lba))
        if part.frames == 0:
            continue
        source = part.file.swapped if mode.audio else part.file.source
        short = part.at + part.frames * mode.size - part.file.stop
        tail = short if part.file.padded and 0 < short < mode.size else 0
        pieces.append(Piece(lba, part.frames, source, part.at, mode, tail))
        lba += part.frames
    if entry.postgap:
        pieces.append(Piece(lba, entry.postgap, None, 0, mode))
    return Lay(
        entry.number, entry.session, mode, tuple(pieces), tuple(indexes), entry.postgap,
        entry.flags, entry.isrc, entry.text,
    )  # fmt: skip
