"""Subchannel: one layout as another, P and Q made from the tracks, Q held against them.

IEC 60908 clause 17 and ECMA-130 clause 22 (P and Q), MMC (formatted Q of 16 bytes). Q of a frame
is 12 bytes: control and ADR; for ADR 1 track, index, time in the track, zero, time on the disc, all
in BCD; CRC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from diskimage.disc.address import of_header, times
from diskimage.errors import UnsupportedError
from diskimage.kernels.frames import gather, scatter
from diskimage.kernels.subchannel import SUB, Q, q_check, q_seal, sub_interleave, sub_pack
from diskimage.model import Disc, Layout, Piece, Source, Subchannel, Track
from diskimage.sources.made import Made, whole

SAMPLES = 16
BATCH = 4096  # frames of one look: 384 KiB
FLAGS = {"PRE": 1, "DCP": 2, "4CH": 8}  # of the control nibble
DATA = 4
_Q16 = 16  # bytes of formatted Q
_PAUSE = 0x80  # P in the last byte of formatted Q
_POSITION = 1  # ADR
_FIRST = 150  # frames before LBA 0


def control(track: Track) -> int:
    """The control nibble of a track's Q."""
    return sum(bit for flag, bit in FLAGS.items() if flag in track.flags) + (
        0 if track.mode.audio else DATA
    )


class Stretch(NamedTuple):
    """The frames [start, stop) of a track that have one index, its `point`."""

    track: Track
    point: int
    start: int
    stop: int


def stretches(disc: Disc) -> Iterator[Stretch]:
    """Every track's pregap and indexes in turn."""
    for track in disc.tracks:
        marks = [(0, track.lba - track.pregap)] if track.pregap else []
        marks += [mark for mark in track.indexes if mark[0]]
        ends = [lba for _, lba in marks[1:]] + [track.lba + track.length + track.postgap]
        for (index, start), stop in zip(marks, ends, strict=True):
            if start < stop:
                yield Stretch(track, index, start, stop)


def position(stretch: Stretch, start: int, stop: int) -> bytearray:
    """The Q of frames [start, stop) of a stretch, 12 bytes each.

    The time in a pause counts down, to zero in its last frame (ECMA-130 22.3.3).
    """
    count, track = stop - start, stretch.track
    number, index = (int(f"{n:02}", 16) for n in (track.number, stretch.point))
    made = bytearray(
        bytes([control(track) << 4 | _POSITION, number, index]).ljust(Q, b"\0") * count
    )
    on_disc = times(start, count)
    if stretch.point:
        in_track = times(start - track.lba - _FIRST, count)
    else:
        up = times(track.lba - stop - _FIRST, count)
        in_track = bytearray(len(up))
        for i in range(3):
            in_track[i::3] = up[i::3][::-1]
    for i in range(3):
        made[3 + i :: Q] = in_track[i::3]
        made[7 + i :: Q] = on_disc[i::3]
    q_seal(made, Q)
    return made


def made(disc: Disc, start: int, stop: int, layout: Layout) -> Source:
    """The subchannel of frames [start, stop) as the tracks of `disc` tell it, R to W zero.

    P marks pauses. Frames of no track (a gap between sessions) have none. Every Q is a position:
    catalogue number and ISRC are not spread into it.
    """
    known = list(stretches(disc))

    def frames(first: int, count: int, out: memoryview) -> None:
        low = start + first
        q, p = bytearray(Q * count), bytearray(count)
        for stretch in known:
            one, two = max(low, stretch.start), min(low + count, stretch.stop)
            if one < two:
                q[Q * (one - low) : Q * (two - low)] = position(stretch, one, two)
                p[one - low : two - low] = bytes([0 if stretch.point else 0xFF]) * (two - one)
        _place(q, p, out, layout)

    return Made("<subchannel>", _Q16 if layout == "q16" else SUB, stop - start, frames)


def _place(q: bytearray, p: bytearray, out: memoryview, layout: Layout) -> None:
    """P (a byte a frame) and Q in `layout`."""
    if layout == "q16":
        scatter(q, out, _Q16, 0, Q)
        scatter(bytes(3 * len(p)), out, _Q16, Q, 3)
        out[_Q16 - 1 :: _Q16] = bytes(byte & _PAUSE for byte in p)
        return
    packed = bytearray(SUB * len(p))
    scatter(q, packed, SUB, Q, Q)
    for i in range(Q):
        packed[i::SUB] = p
    if layout == "packed":
        out[:] = packed
    else:
        sub_interleave(packed, out)


def converted(sub: Subchannel, frames: int, layout: Layout) -> Subchannel:
    """The subchannel of `frames` frames in another layout.

    Formatted Q gives P and Q alone. Raises UnsupportedError for packs of R to W, whose interleaving
    over neighbouring frames is gone, and where Q is to become such.
    """
    if sub.layout == layout:
        return sub
    if "rw" in (sub.layout, layout):
        raise UnsupportedError(
            f"subchannel stored as {sub.layout} cannot become {layout}", file=sub.source.name
        )

    def make(first: int, count: int, out: memoryview) -> None:
        q, p, packed = _taken(sub, first, count)
        if packed is None or layout == "q16":
            _place(q, p, out, layout)
        elif layout == "packed":
            out[:] = packed
        else:
            sub_interleave(packed, out)

    size = _Q16 if layout == "q16" else SUB
    return Subchannel(Made(sub.source.name, size, frames, make), 0, size, layout)


def stored(sub: Subchannel, first: int, count: int) -> bytearray:
    """The bytes of `count` frames from the `first` on, one behind the other."""
    raw = whole(sub.source, sub.at + first * sub.pitch, (count - 1) * sub.pitch + sub.size)
    if sub.pitch == sub.size:
        return raw
    out = bytearray(count * sub.size)
    gather(raw, sub.pitch, 0, sub.size, out)
    return out


def _taken(
    sub: Subchannel, first: int, count: int
) -> tuple[bytearray, bytearray, bytearray | None]:
    """Q, P by its first byte, and all channels packed where they are stored."""
    raw, q = stored(sub, first, count), bytearray(Q * count)
    if sub.layout == "q16":
        gather(raw, _Q16, 0, Q, q)
        return q, bytearray(0xFF if b & _PAUSE else 0 for b in raw[_Q16 - 1 :: _Q16]), None
    packed = raw
    if sub.layout == "interleaved":
        packed = bytearray(len(raw))
        sub_pack(raw, packed)
    gather(packed, SUB, Q, Q, q)
    return q, packed[0::SUB], packed


def with_sub(disc: Disc, piece: Piece, layout: Layout) -> Piece:
    """`piece` with its subchannel in `layout`: what is stored where it can be, else made."""
    sub = piece.sub
    if sub is None or (sub.layout != layout and "rw" in (sub.layout, layout)):
        source = made(disc, piece.lba, piece.stop, layout)
        size = _Q16 if layout == "q16" else SUB
        return replace(piece, sub=Subchannel(source, 0, size, layout))
    return replace(piece, sub=converted(sub, piece.frames, layout))


def lacks(disc: Disc) -> bool:
    """Whether a frame has no subchannel of its own, or packs of R to W alone."""
    return any(
        piece.sub is None or piece.sub.layout == "rw" for t in disc.tracks for piece in t.pieces
    )


def carries(disc: Disc) -> bool:
    """Whether stored subchannel holds what the tracks do not say: anything in R to W, a Q that is
    wrong or contradicts them. Catalogue number and ISRC in it are theirs.
    """
    pieces = [(piece, piece.sub) for track in disc.tracks for piece in track.pieces]
    for piece, sub in pieces:
        for done in range(0, piece.frames, BATCH) if sub is not None else ():
            assert sub is not None
            packed = _taken(sub, done, min(BATCH, piece.frames - done))[2]
            if packed is not None and any(map(any, (packed[i::SUB] for i in range(2 * Q, SUB)))):
                return True
    return next(faults(disc), None) is not None


def layout_of(source: Source, at: int, pitch: int, frames: int) -> Layout:
    """Whether 96 bytes a frame are packed or interleaved: by the CRC of Q in up to 16 frames.

    Packed where neither holds, as subchannel files are.
    """
    held: Counter[Layout] = Counter()
    layouts: tuple[Layout, ...] = ("packed", "interleaved")
    for layout in layouts:
        for q in _sampled(Subchannel(source, at, pitch, layout), frames):
            held[layout] += any(q) and _sound(q)
    return "interleaved" if held["interleaved"] > held["packed"] else "packed"


def _sound(q: bytearray) -> bool:
    wrong = bytearray(1)
    q_check(q, Q, wrong)
    return not wrong[0]


def weight(disc: Disc) -> int:
    """Stored bytes of the subchannel that `faults` looks at."""
    return sum(p.frames * p.sub.size for p in _told(disc) if p.sub is not None)


def faults(disc: Disc, passed: Callable[[int], object] = int) -> Iterator[tuple[int, str, str]]:
    """LBA, kind and what of each stored Q that is wrong: its CRC, or a position that contradicts
    the tracks. `passed` is told the bytes of each batch that was read.
    """
    known = list(stretches(disc))
    for piece in _told(disc):
        sub = piece.sub
        assert sub is not None
        for done in range(0, piece.frames, BATCH):
            count = min(BATCH, piece.frames - done)
            q, _, _ = _taken(sub, done, count)
            yield from _faults(q, piece.lba + done, known)
            passed(count * sub.size)


def _told(disc: Disc) -> Iterator[Piece]:
    """The pieces whose frames have a Q. Where all that are sampled are zeros, none was read."""
    for track in disc.tracks:
        for piece in track.pieces:
            sub = piece.sub
            if (
                sub is not None
                and sub.layout != "rw"
                and any(map(any, _sampled(sub, piece.frames)))
            ):
                yield piece


def _sampled(sub: Subchannel, frames: int) -> Iterator[bytearray]:
    """Q of up to 16 frames, spread over all."""
    taken = min(SAMPLES, frames)
    for i in range(taken):
        yield _taken(sub, i * (frames - 1) // max(1, taken - 1), 1)[0]


def _faults(q: bytearray, lba: int, known: list[Stretch]) -> Iterator[tuple[int, str, str]]:
    """LBA, kind and what of each wrong Q. One that is as it would be made costs nothing."""
    count = len(q) // Q
    wrong, expected = bytearray(count), bytearray(len(q))
    q_check(q, Q, wrong)
    for stretch in known:
        one, two = max(lba, stretch.start), min(lba + count, stretch.stop)
        if one < two:
            expected[Q * (one - lba) : Q * (two - lba)] = position(stretch, one, two)
    if q == expected:
        return
    for i in range(count):
        row, want = q[i * Q : i * Q + Q], expected[i * Q : i * Q + Q]
        if row == want:
            continue
        if wrong[i]:
            yield lba + i, "checksum", "the CRC of Q does not match"
        elif row[0] & 15 == _POSITION and any(want):
            text = _contradicts(row, want, lba + i)
            if text:
                yield lba + i, "corrupt", text


def _contradicts(row: bytearray, want: bytearray, lba: int) -> str | None:
    """What a position says that its place denies."""
    if row[1] != want[1]:
        return f"Q says track {row[1]:02X}, the tracks say {want[1]:02X}"
    told = of_header(row[7:10])
    if told != lba:
        off = "no address" if told is None else f"an address {told - lba:+d} frames off"
        return f"Q holds {off}"
    if bool(row[2]) != bool(want[2]):
        inside = "its pregap" if want[2] else "the track itself"
        return f"Q says {inside}, where index {want[2]:02X} is"
    return None
