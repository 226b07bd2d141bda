"""Tracks whose content is held against what their container says of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from diskimage.disc.content import BY_PITCH, SAMPLES, has_edc, samples
from diskimage.disc.modes import AUDIO, RAW, SYNC, whole
from diskimage.disc.tracks import Lay
from diskimage.errors import CorruptError
from diskimage.model import Gate, Mode, Piece

_MODE = 15  # where a header names it
_NUMBERS = 3  # of its bits: the others mark linking blocks


def raw_mode_shown(lay: Lay) -> Mode | None:
    """The mode that whole frames of a track show: AUDIO where none has a sync; None without any.

    Up to 16 frames from index 1 on are looked at, more than half of which have to agree. A track
    that is declared data may end in the next one's gap: of it only frames with a sync are counted,
    where there are any.
    """
    seen: Counter[Mode | None] = Counter()
    first = dict(lay.indexes)[1]
    for piece in lay.pieces:
        if piece.source is None or piece.mode.size < RAW or piece.stop <= first:
            continue
        skip = max(0, first - piece.lba)
        at, stop = piece.at + skip * piece.pitch, piece.at + piece.frames * piece.pitch
        for frame in samples(piece.source, at, min(stop, piece.source.size), piece.pitch):
            synced = frame[: len(SYNC)] == SYNC
            number = frame[_MODE] & _NUMBERS if synced else 0
            seen[BY_PITCH.get((RAW, number)) if synced else AUDIO] += 1
    if not lay.mode.audio and len(seen) > 1:
        del seen[AUDIO]
    if not seen:
        return None
    mode, count = seen.most_common(1)[0]
    return mode if 2 * count > seen.total() else None


def confirmed(lay: Lay, file: str, gate: Gate, *, trust: bool = True) -> Lay:
    """`lay`, once its content does not contradict the mode that `file` says it has.

    Without `trust` the content has the last word, and a warning tells. Tracks written without EDC
    and ECC are so marked, with a warning. Frames of fewer than 2352 bytes are not told apart.
    Raises CorruptError naming the track and both modes.
    """
    mode = lay.mode
    shown = raw_mode_shown(lay)
    if shown is not None and whole_kind(mode) not in (None, shown.name):
        text = f"track {lay.number} is declared {mode.name}, its content is {shown.name}"
        if trust:
            raise CorruptError(
                text, file=file, remedy="the data file belongs to another image, or is damaged"
            )
        gate.warn("mode", text, lay.start)
        mode = replace(shown, subchannel=0)
        lay = replace(lay, mode=mode, pieces=tuple(_as(p, mode) for p in lay.pieces))
    return _with_edc(lay, gate)


def whole_kind(mode: Mode) -> str | None:
    """The name that whole frames of `mode` show by themselves; None for shorter frames."""
    if mode.audio:
        return AUDIO.name
    return mode.name.replace("CDI", "MODE2").partition("/")[0] + "/2352" if whole(mode) else None


def _as(piece: Piece, mode: Mode) -> Piece:
    return replace(piece, mode=mode) if piece.mode.size >= RAW else piece


def _with_edc(lay: Lay, gate: Gate) -> Lay:
    """`lay`, its modes marked where frames were written without EDC and ECC."""
    marked = []
    for piece in lay.pieces:
        mode, source = piece.mode, piece.source
        if (
            source is None
            or mode.check == "none"
            or has_edc(source, piece.at, piece.at + piece.frames * piece.pitch, mode, piece.pitch)
        ):
            marked.append(piece)
        else:
            marked.append(replace(piece, mode=replace(mode, edc=False)))
    if all(piece.mode.edc for piece in marked):
        return lay
    gate.warn("checksum", f"track {lay.number}: none of {SAMPLES} frames carries an EDC", lay.start)
    return replace(lay, mode=replace(lay.mode, edc=False), pieces=tuple(marked))
