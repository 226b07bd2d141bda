"""A disc whose damaged frames are mended by their ECC on reading (ECMA-130 annex A)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from diskimage.disc.modes import RAW, coded, number
from diskimage.disc.recast import compact
from diskimage.disc.tracks import between, frames
from diskimage.errors import ChecksumError
from diskimage.kernels.frames import Wrong, check, repair
from diskimage.layers.records import Placed
from diskimage.model import Disc, Piece, Track
from diskimage.sources.made import Made, whole

Say = Callable[[str, str, int], object]
"""Told of each mended frame: kind, message, LBA."""
_WRONG = int(Wrong.SYNC | Wrong.MODE | Wrong.EDC | Wrong.P | Wrong.Q)


def mended(disc: Disc, say: Say) -> Disc:
    """`disc`, its whole data frames from index 1 on mended where sync, EDC or ECC do not hold.

    Reading raises ChecksumError for a frame that its ECC cannot mend. Form 2 has no ECC, frames of
    other sizes are left as they are, and so are pregaps: those of data behind audio may be silence.
    """
    return replace(disc, tracks=tuple(_track(track, say) for track in disc.tracks))


def _track(track: Track, say: Say) -> Track:
    if track.mode.check == "none" or track.mode.size != RAW:
        return track
    first, last = track.pieces[0].lba, track.pieces[-1].stop
    judged = (_piece(piece, say) for piece in between(track.pieces, track.lba, last))
    pieces = (*between(track.pieces, first, track.lba), *judged)
    inside = between(pieces, track.lba, track.lba + track.length)
    return replace(
        track, pieces=pieces, main=Placed(frames(inside), RAW, {"mode": track.mode.name})
    )


def _piece(piece: Piece, say: Say) -> Piece:
    if piece.source is None or piece.mode.check == "none" or piece.mode.size != RAW:
        return piece
    inner, mode = compact(piece), number(piece.mode)

    def make(first: int, count: int, out: memoryview) -> None:
        out[:] = whole(inner, first * RAW, count * RAW)
        status = bytearray(count)
        check(out, RAW, 0, mode, status)
        for i in range(count):
            frame = out[i * RAW : (i + 1) * RAW]
            form2 = status[i] & Wrong.FORM2
            if status[i] & _WRONG and not form2 and coded(frame, piece.mode):
                _mend(frame, mode, piece.lba + first + i, inner.name, say)

    made = Made(inner.name, RAW, piece.frames, make)
    return replace(piece, source=made, at=0, pitch=RAW, tail=0)


def _mend(frame: memoryview, mode: int, lba: int, file: str, say: Say) -> None:
    changed = repair(frame, mode)
    if changed is None:
        raise ChecksumError(
            f"frame LBA {lba}: EDC does not match its content, and ECC cannot mend it",
            file=file,
            remedy="read the disc again; without --repair it is taken as it is",
        )
    if changed:
        say("repaired", f"frame LBA {lba}: mended by its ECC", lba)
