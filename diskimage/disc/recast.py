"""Frames of one shape as frames of another: what is stored of them, what is made again of them.

Nothing is checked here, and nothing cooked: user data of whole frames comes from
`disc.tracks.user_data`, whose records the engine holds against their EDC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from diskimage.disc.address import headers
from diskimage.disc.modes import (
    CDI_2352,
    MODE0_2352,
    MODE1_2352,
    MODE2_2324,
    MODE2_2332,
    MODE2_2352,
    RAW,
    SYNC,
    USER,
    number,
)
from diskimage.errors import UnsupportedError
from diskimage.kernels.frames import ecc, edc, gather, scatter
from diskimage.model import Extent, Kind, Mode, Piece, Source, Subchannel
from diskimage.sources.made import Made, whole
from diskimage.sources.uncook import uncook
from diskimage.sources.zeros import Zeros

_LEAD = 16  # sync and header
_FORM2 = bytes((0, 0, 0x20, 0)) * 2  # a subheader that says nothing but Form 2
_FORM2_BODY = 8 + 2324  # what the EDC of Form 2 covers: subheader and data


def raw_mode(mode: Mode) -> Mode:
    """The mode of whole frames of the same kind."""
    if mode.audio or mode.size == RAW:
        return mode
    if mode.name.startswith("CDI"):
        return CDI_2352
    return MODE1_2352 if mode.name.startswith("MODE1") else MODE2_2352


def recast(piece: Piece, mode: Mode) -> Piece:
    """`piece` as frames of `mode`: a part of each where it holds them, else made from what it has.

    Made up pieces become stored ones: silence, or frames of zeros that hold to their rules. Sync,
    header, EDC and ECC are made as ECMA-130 has them; a subheader that is not stored is that of
    Form 1 or Form 2 data without any mark. Raises UnsupportedError between audio and data.
    """
    have = piece.mode
    if have.audio != mode.audio:
        raise UnsupportedError(f"frames of {have.name} cannot become {mode.name}")
    if piece.source is None:
        return recast(_blank(piece), mode)
    if (have.missing, have.size) == (mode.missing, mode.size):
        return replace(piece, mode=replace(mode, edc=have.edc))
    if have.missing <= mode.missing and have.missing + have.size >= mode.missing + mode.size:
        return replace(
            piece, mode=replace(mode, edc=have.edc), at=piece.at + mode.missing - have.missing
        )
    return recast(_whole(piece), mode)


def compact(piece: Piece) -> Source:
    """The main channel of a stored piece, its frames one behind the other."""
    source, size, pitch, at = piece.source, piece.mode.size, piece.pitch, piece.at
    assert source is not None

    def frames(first: int, count: int, out: memoryview) -> None:
        start = at + first * pitch
        tail = piece.tail if first + count == piece.frames else 0
        raw = whole(source, start, (count - 1) * pitch + size - tail) + bytes(tail)
        gather(raw, pitch, 0, size, out)

    return Made(source.name, size, piece.frames, frames)


def woven(piece: Piece) -> Piece:
    """`piece` with its subchannel behind each frame, as one source; it must have one."""
    sub, size = piece.sub, piece.mode.size
    assert sub is not None
    pitch, main = size + sub.size, compact(piece)
    if sub.source is piece.source and (sub.at, sub.pitch) == (piece.at + size, pitch):
        return piece

    def frames(first: int, count: int, out: memoryview) -> None:
        scatter(whole(main, first * size, count * size), out, pitch, 0, size)
        subs = whole(sub.source, sub.at + first * sub.pitch, (count - 1) * sub.pitch + sub.size)
        plain = bytearray(count * sub.size)
        gather(subs, sub.pitch, 0, sub.size, plain)
        scatter(plain, out, pitch, size, sub.size)

    made = Made(main.name, pitch, piece.frames, frames)
    return replace(
        piece, source=made, at=0, pitch=pitch, tail=0,
        sub=Subchannel(made, size, pitch, sub.layout),
    )  # fmt: skip


def units(pieces: Iterable[Piece]) -> Iterator[Extent]:
    """Frames with the subchannel behind each (`woven`), one unit behind the other from byte 0."""
    start = 0
    for piece in map(woven, pieces):
        length = piece.frames * piece.pitch
        yield Extent(start, length, Kind.DATA, piece.source, piece.at)
        start += length


def _blank(piece: Piece) -> Piece:
    """A made up piece as stored frames of zeros."""
    mode = raw_mode(piece.mode)
    if mode.audio or mode == MODE0_2352:
        source: Source = Zeros(piece.frames * RAW)
    else:
        source = uncook(Zeros(piece.frames * USER), number(mode), lba=piece.lba)
    return replace(piece, source=source, at=0, pitch=0, mode=mode)


def _whole(piece: Piece) -> Piece:
    """A piece that lacks something of its frames as whole ones."""
    have, mode = piece.mode, raw_mode(piece.mode)
    inner = compact(piece)
    if have.size == USER:
        made = uncook(inner, number(mode), lba=piece.lba)
    else:
        made = _completed(inner, have, piece.lba, piece.frames)
    return replace(piece, source=made, at=0, pitch=RAW, mode=mode, tail=0)


def _completed(inner: Source, have: Mode, lba: int, count: int) -> Made:
    """Frames of Mode 2 with sync, header, and what else of them is not stored."""

    def frames(first: int, count: int, out: memoryview) -> None:
        scatter(
            whole(inner, first * have.size, count * have.size), out, RAW, have.missing, have.size
        )
        lead = bytearray(count * _LEAD)
        scatter(SYNC * count, lead, _LEAD, 0, len(SYNC))
        scatter(headers(lba + first, count, 2), lead, _LEAD, len(SYNC), 4)
        scatter(lead, out, RAW, 0, _LEAD)
        if have.size in (MODE2_2332.size, MODE2_2324.size):
            for i in range(count):
                _close(out[i * RAW : (i + 1) * RAW], have)

    return Made(inner.name, RAW, count, frames)


def _close(frame: memoryview, have: Mode) -> None:
    """Make what a frame of 2324 or 2332 bytes lacks at its edges."""
    if have.size == MODE2_2324.size:
        frame[16:24] = _FORM2
    body = frame[_LEAD : _LEAD + _FORM2_BODY]
    if body[2] & _FORM2[2]:
        frame[-4:] = edc(body).to_bytes(4, "little")
    else:
        ecc(frame, 2)
