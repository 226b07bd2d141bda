"""AIFF and AIFF-C around samples as a disc plays them: 44.1 kHz, 16 bits, two channels.

Audio Interchange File Format 1.3 (COMM, SSND); AIFF-C for samples of the other byte order (sowt).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from diskimage.errors import CorruptError, TruncatedError, UnsupportedError
from diskimage.model import Source
from diskimage.parse import read

_RATE = bytes.fromhex("400eac44000000000000")  # 44100 as an 80-bit float
_CHUNKS = 64  # real files have below 20 before the samples
_BIG, _LITTLE = (b"NONE", b"twos"), b"sowt"


class Samples(NamedTuple):
    """Where the samples lie: `length` bytes at `at`; `big` their byte order."""

    at: int
    length: int
    big: bool


def is_aiff(head: bytes) -> bool:
    """Whether a file that begins so is one."""
    return head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")


def samples(source: Source) -> Samples:
    """The samples of an AIFF file.

    Raises UnsupportedError for other codings, rates, widths and channels, which it names, and
    CorruptError or TruncatedError for a broken file.
    """
    at, kind, known = 12, bytes(read(source, 8, 4, "the form")), None
    place: tuple[int, int] | None = None
    for _ in range(_CHUNKS):
        if at + 8 > source.size or (known and place):
            break
        name, length = struct.unpack(">4sI", read(source, at, 8, "an AIFF chunk"))
        if name == b"COMM":
            known = _common(source, at + 8, length, kind)
        elif name == b"SSND":
            (skip,) = struct.unpack(">I", read(source, at + 8, 4, "the sound chunk"))
            place = (at + 16 + skip, length - 8 - skip)
        at += 8 + length + length % 2
    if known is None or place is None:
        raise CorruptError("no samples with a common chunk", file=source.name, at=at)
    frames, big = known
    return Samples(*_bounded(source, place, 4 * frames), big)


def _bounded(source: Source, place: tuple[int, int], length: int) -> tuple[int, int]:
    """The samples that the common chunk counts. The sound chunk may be longer."""
    at, there = place[0], min(place[1], source.size - place[0])
    if length > there:
        raise TruncatedError(
            f"its header counts {length} bytes of samples, the file holds {max(0, there)} of them",
            file=source.name,
            at=source.size,
            remedy="the file is cut short: copy it again",
        )
    return at, length


def _common(source: Source, at: int, length: int, kind: bytes) -> tuple[int, bool]:
    """How many samples of each channel, and whether big-endian."""
    if length < 18:
        raise CorruptError("a common chunk below 18 bytes", file=source.name, at=at)
    fields = read(source, at, min(length, 22), "the common chunk")
    channels, frames, bits, rate = struct.unpack(">hIh10s", fields[:18])
    coding = bytes(fields[18:22]) if kind == b"AIFC" else _BIG[0]
    if (channels, bits, rate) != (2, 16, _RATE) or coding not in (*_BIG, _LITTLE):
        raise UnsupportedError(
            f"AIFF coding {coding.decode('latin-1')!r}, {channels} channels, {_hertz(rate)} Hz, "
            f"{bits} bits; a disc has 16-bit stereo PCM at 44100 Hz",
            file=source.name,
            at=at,
            remedy="convert it, for example: ffmpeg -i IN -ar 44100 -ac 2 -sample_fmt s16 OUT.wav",
        )
    return frames, coding != _LITTLE


def _hertz(rate: bytes) -> int:
    """An 80-bit float as a whole number; 0 beyond what a rate can be."""
    shift = 0x403E - int.from_bytes(rate[:2], "big")  # the mantissa's lowest bit, as a power of 2
    return int.from_bytes(rate[2:], "big") >> shift if 32 <= shift < 64 else 0
