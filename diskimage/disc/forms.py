"""Which form each frame of a Mode 2 track has, by its subheader (CD-ROM XA 4.3.2.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from diskimage.kernels.frames import gather
from diskimage.limits import MIB
from diskimage.model import Piece, Track
from diskimage.sources.made import whole

_SUBHEADER = 16  # of a whole frame; the second copy follows the first
_FORM2 = 0x20  # of the third byte
FORMS = ("formless", "form 1", "form 2")


class Stretch(NamedTuple):
    """`frames` neighbouring frames from `lba` on that are all of one of FORMS."""

    lba: int
    frames: int
    form: str


def of(track: Track, passed: Callable[[int], object] = int) -> Iterator[Stretch]:
    """The forms of a track's frames from index 1 on; nothing for one of another mode.

    A frame whose two subheaders differ is formless. Frames that are not stored have none. `passed`
    is told the bytes of each batch that was read. Raises TruncatedError, IoError.
    """
    held: Stretch | None = None
    for piece in track.pieces:
        for one in _of_piece(piece, track, passed):
            if held is not None and (held.form, held.lba + held.frames) == (one.form, one.lba):
                held = held._replace(frames=held.frames + one.frames)
                continue
            if held is not None:
                yield held
            held = one
    if held is not None:
        yield held


def _of_piece(piece: Piece, track: Track, passed: Callable[[int], object]) -> Iterator[Stretch]:
    """Stretches of one piece, those of two batches not joined."""
    mode, lead = piece.mode, _SUBHEADER - piece.mode.missing
    if piece.source is None or mode.check != "mode2" or lead < 0:
        return
    first, last = max(piece.lba, track.lba), min(piece.stop, track.lba + track.length)
    batch = max(1, MIB // piece.pitch)
    for lba in range(first, last, batch):
        count = min(batch, last - lba)
        begin = piece.at + (lba - piece.lba) * piece.pitch
        raw = whole(piece.source, begin, (count - 1) * piece.pitch + mode.size)
        passed(len(raw))
        headers = bytearray(8 * count)
        gather(raw, piece.pitch, lead, 8, headers)
        codes = bytes(_form(headers[8 * i : 8 * i + 8]) for i in range(count))
        at = lba
        for form, group in groupby(codes):
            frames = sum(1 for _ in group)
            yield Stretch(at, frames, FORMS[form])
            at += frames


def _form(subheaders: bytearray) -> int:
    if subheaders[:4] != subheaders[4:]:
        return 0
    return 2 if subheaders[2] & _FORM2 else 1
