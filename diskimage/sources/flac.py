"""FLAC files as their decoder is given them: how many samples they have, and the MD5 of these.

A stream that was written to a pipe does not tell its length, and a decoder believes one that does.
The last frame knows better: its header counts what is before it (RFC 9639, 8.2 and 9.1).
"""

from __future__ import annotations

from typing import NamedTuple

from diskimage.errors import CorruptError, TruncatedError
from diskimage.model import Source
from diskimage.parse import read
from diskimage.sources.joined import Joined, Stretch
from diskimage.sources.memory import MemorySource

_HEAD = 42  # bytes: the mark, a block's header, STREAMINFO
_TOTAL = (1 << 36) - 1  # bits of the count of samples
_TAG = 128  # bytes of an ID3v1 tag, which some programs put behind
_SHORTEST = 9  # bytes of a frame: header with a number, a subframe, both sums
_SAMPLE = 5  # bytes of one of both channels: as stored, and a bit more of their difference
_TRIES = 64  # places in the last frames that look like the beginning of one


class Told(NamedTuple):
    """`samples` of each channel; `md5` of all of them as they are decoded, None where not told."""

    source: Source
    samples: int
    md5: bytes | None


def told(inner: Source) -> Told:
    """The stream in `inner`, its count of samples put into the head where that has none.

    Raises CorruptError where the head and the last frame differ, TruncatedError where neither
    tells a length.
    """
    head = bytearray(read(inner, 0, _HEAD, "the head of a FLAC"))
    if head[:4] != b"fLaC" or head[4] & 0x7F or int.from_bytes(head[5:8], "big") != 34:
        raise CorruptError("does not begin with STREAMINFO", file=inner.name)
    count = int.from_bytes(head[18:26], "big") & _TOTAL
    found = _end(inner, bytes(head))
    if count and found not in (None, count):
        raise CorruptError(
            f"its head counts {count} samples, its last frame ends at {found}", file=inner.name
        )
    if not count and found is None:
        raise TruncatedError(
            "does not tell how many samples it has, and does not end in a whole frame",
            file=inner.name,
            remedy="it is cut short: encode or copy it again",
        )
    md5 = bytes(head[26:42])
    known = md5 if any(md5) else None
    if count or found is None:
        return Told(inner, count, known)
    told = int.from_bytes(head[18:26], "big") | found
    head[18:26] = told.to_bytes(8, "big")
    parts = (Stretch(MemorySource(head), 0, _HEAD), Stretch(inner, _HEAD, inner.size - _HEAD))
    return Told(Joined(inner.name, parts), found, known)


def _end(inner: Source, head: bytes) -> int | None:
    """The samples up to the end of the last frame; None where the file does not end in one."""
    block = int.from_bytes(head[10:12], "big")  # the largest, which is that of all but the last
    most = block * _SAMPLE + _HEAD  # what is told of a frame's bytes may be anything
    largest = min(int.from_bytes(head[15:18], "big") or most, most)
    length = min(inner.size - _HEAD, largest + _TAG)
    tail = bytes(read(inner, inner.size - length, length, "the last frame"))
    if tail[-_TAG:].startswith(b"TAG"):
        tail = tail[:-_TAG]
    at = len(tail)
    for _ in range(_TRIES):
        at = max(tail.rfind(b"\xff\xf8", 0, at + 1), tail.rfind(b"\xff\xf9", 0, at + 1))
        if at < 0:
            return None
        end = _frame_end(tail[at:], block)
        if end is not None:
            return end
    return None


def _frame_end(frame: bytes, block: int) -> int | None:
    """The samples up to the end of `frame`; None where its sums say that it is none."""
    size = frame[2] >> 4 if len(frame) >= _SHORTEST else 0
    number = frame[4] if size else 0
    more = 8 - (number ^ 0xFF).bit_length()  # ones that it begins with: bytes of the number
    if not size or more in (1, 8):
        return None
    number &= 0x7F >> more
    for byte in frame[5 : 4 + more]:
        number = number << 6 | byte & 0x3F
    after = 4 + max(1, more)
    samples, after = _block(size, frame, after)
    after += (0, 1, 2)[max(0, (frame[2] & 15) - 12)] if frame[2] & 15 < 15 else 0
    if _crc8(frame[: after + 1]) or _crc16(frame):
        return None
    end = samples + (number if frame[1] & 1 else number * block)
    return end if end <= _TOTAL else None


def _block(code: int, frame: bytes, at: int) -> tuple[int, int]:
    """Samples of a frame by the code of its header, and where this goes on."""
    if code in (6, 7):
        width = code - 5
        return int.from_bytes(frame[at : at + width], "big") + 1, at + width
    return (192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8), at


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 ^ (0x107 if value & 0x80 else 0)
    return value


def _crc16(data: bytes) -> int:
    value = 0
    for byte in data:
        value = value << 8 & 0xFFFF ^ _CRC16[value >> 8 ^ byte]
    return value


def _row(value: int) -> int:
    value <<= 8
    for _ in range(8):
        value = value << 1 ^ (0x18005 if value & 0x8000 else 0)
    return value


_CRC16 = tuple(_row(value) for value in range(256))
