"""CD frames of 2352 bytes with 96 of subchannel behind each, coded apart, as CHD has them.

Facts: MAME's chdcodec. A chunk is: a bit a frame, the lowest first, for those whose sync and
parity are made again (header and EDC are not); the length of the coded frames, of 2 bytes, or of 3
where a chunk has 65,536 or more; the coded frames; the coded subchannel. Sound (`CdSound`) has
neither bits nor length: FLAC frames of big-endian samples tell their own end.
"""

from __future__ import annotations

from diskimage.codecs.deflate import Deflate
from diskimage.codecs.flac import frame_samples
from diskimage.errors import CorruptError
from diskimage.kernels.chd import FRAME, SUB, UNIT, cd_join, cd_split
from diskimage.kernels.flac import flac_read, flac_write
from diskimage.model import Encoder

_WIDE = 1 << 16  # chunks of so many bytes have lengths of 3 bytes
_LONGEST = 2352  # samples of a FLAC frame


class CdFrames:
    """A codec of frames by `frames`, and of their subchannel by `sub`."""

    def __init__(self, frames: Encoder, sub: Encoder) -> None:
        self.name = f"CD {frames.name}"
        self._frames, self._sub = frames, sub

    def decode(self, coded: memoryview, want: int) -> bytearray:
        """Exactly `want` bytes. CorruptError."""
        count, out = _count(want), bytearray(want)
        marks, width = (count + 7) // 8, 2 if want < _WIDE else 3
        head = marks + width
        length = int.from_bytes(coded[marks:head], "big")
        if len(coded) < head or length > len(coded) - head:
            raise CorruptError(
                f"has {len(coded)} bytes, its frames alone are said to have {length}"
            )
        main = self._frames.decode(coded[head : head + length], count * FRAME)
        sub = self._sub.decode(coded[head + length :], count * SUB)
        cd_join(main, sub, coded[:marks], out)
        return out

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk; None where it would not be smaller."""
        count = _count(len(plain))
        main, sub = bytearray(count * FRAME), bytearray(count * SUB)
        marks = bytearray((count + 7) // 8)
        cd_split(plain, main, sub, marks)
        coded = self._frames.encode(memoryview(main))
        behind = self._sub.encode(memoryview(sub))
        if coded is None or behind is None:
            return None
        length = len(coded).to_bytes(2 if len(plain) < _WIDE else 3, "big")
        made = b"".join((marks, length, coded, behind))
        return made if len(made) < len(plain) else None


class CdSound:
    """A codec of sound by FLAC, and of its subchannel by raw deflate."""

    name = "CD FLAC"

    def __init__(self, sub: Encoder | None = None) -> None:
        self._sub = sub or Deflate()

    def decode(self, coded: memoryview, want: int) -> bytearray:
        """Exactly `want` bytes. CorruptError."""
        count, out = _count(want), bytearray(want)
        main = bytearray(count * FRAME)
        taken = flac_read(coded, main, big_endian=True)
        if taken < 0:
            raise CorruptError("holds no FLAC frames")
        cd_join(main, self._sub.decode(coded[taken:], count * SUB), None, out)
        return out

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk; None where it would not be smaller."""
        count = _count(len(plain))
        main, sub = bytearray(count * FRAME), bytearray(count * SUB)
        cd_split(plain, main, sub, None)
        coded = flac_write(main, frame_samples(len(main), _LONGEST), big_endian=True)
        behind = self._sub.encode(memoryview(sub))
        if coded is None or behind is None or len(coded) + len(behind) >= len(plain):
            return None
        return coded + behind


def _count(size: int) -> int:
    count, rest = divmod(size, UNIT)
    if rest:
        raise CorruptError(f"{size} bytes are no whole units of {UNIT}")
    return count
