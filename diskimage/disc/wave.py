"""RIFF WAVE around audio frames: 44.1 kHz, 16 bits, two channels, as a disc plays them.

Multimedia Programming Interface and Data Specifications 1.0 (RIFF), and the `fmt ` chunk of WAVE.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from diskimage.disc.modes import RAW
from diskimage.errors import CorruptError, TruncatedError, UnsupportedError
from diskimage.model import Source
from diskimage.parse import read

HEADER = 44
_PCM, _EXTENSIBLE = 1, 0xFFFE
_CHUNKS = 64  # real files have below 10 before `data`
_LONGEST = (1 << 32) - 1 - HEADER


class Samples(NamedTuple):
    """Where the samples of a WAVE file lie: `length` bytes at `at`."""

    at: int
    length: int

    @property
    def frames(self) -> int:
        """Frames of the disc, the last one padded."""
        return -(-self.length // RAW)

    @property
    def tail(self) -> int:
        """Bytes that the last frame lacks."""
        return -self.length % RAW


def header(frames: int) -> bytes:
    """The 44 bytes before `frames` frames of audio. Raises UnsupportedError beyond 4 GiB."""
    length = frames * RAW
    if length > _LONGEST:
        raise UnsupportedError(f"{length} bytes of audio do not fit a WAVE file of 4 GiB")
    head = struct.pack("<4sI4s", b"RIFF", length + HEADER - 8, b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 2, 44100, 176400, 4, 16)
    return head + form + struct.pack("<4sI", b"data", length)


def is_riff(source: Source) -> bool:
    """Whether `source` begins as a WAVE file does."""
    if source.size < HEADER:
        return False
    head = read(source, 0, 12, "the first bytes")
    return head[:4] == b"RIFF" and head[8:] == b"WAVE"


def samples(source: Source) -> Samples:
    """The samples of a WAVE file.

    Raises UnsupportedError for other codings, rates, widths and channels, which it names, and
    CorruptError or TruncatedError for a broken file.
    """
    if not is_riff(source):
        raise UnsupportedError("is not a WAVE file", file=source.name, at=0)
    at, known = 12, False
    for _ in range(_CHUNKS):
        name, length = struct.unpack("<4sI", read(source, at, 8, "a RIFF chunk"))
        if name == b"fmt ":
            _demand(source, at + 8, length)
            known = True
        elif name == b"data":
            if not known:
                break
            return _bounded(source, at + 8, length)
        at += 8 + length + length % 2
    raise CorruptError("no samples after a format chunk", file=source.name, at=at)


def _bounded(source: Source, at: int, length: int) -> Samples:
    """The data chunk; a length of 0 or of all ones was never filled in by whoever streamed it."""
    there = source.size - at
    if length in (0, 0xFFFFFFFF):
        length = there
    if length > there:
        raise TruncatedError(
            f"the data chunk has {length} bytes, the file holds {there} of them",
            file=source.name,
            at=source.size,
            remedy="the file is cut short: copy it again",
        )
    return Samples(at, length)


def _demand(source: Source, at: int, length: int) -> None:
    if length < 16:
        raise CorruptError("a format chunk below 16 bytes", file=source.name, at=at)
    coding, channels, rate, _, _, bits = struct.unpack(
        "<HHIIHH", read(source, at, 16, "the format chunk")
    )
    if coding == _EXTENSIBLE and length >= 26:
        (coding,) = struct.unpack("<H", read(source, at + 24, 2, "the sub-format"))
    if (coding, channels, rate, bits) != (_PCM, 2, 44100, 16):
        raise UnsupportedError(
            f"WAVE coding {coding}, {channels} channels, {rate} Hz, {bits} bits; "
            "a disc has 16-bit stereo PCM at 44100 Hz",
            file=source.name,
            at=at,
            remedy="convert it, for example: ffmpeg -i IN -ar 44100 -ac 2 -sample_fmt s16 OUT.wav",
        )
