"""MP3 files as their decoder is given them: their frames alone, and how many there are.

A decoder guesses the length of a file that does not tell it, and passes over what is damaged. So
the frames are counted here, header by header (ISO/IEC 11172-3, 2.4.1.3); where no Info frame counts
them, one is put in front that does. Facts about that frame: what encoders write.
"""

from __future__ import annotations

from typing import NamedTuple

from diskimage.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from diskimage.limits import MIB
from diskimage.model import Source
from diskimage.parse import read
from diskimage.sources.joined import Joined, Stretch
from diskimage.sources.memory import MemorySource

SAMPLES = 1152  # of a frame
_HEADER = 4
_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)  # kbit/s
_HERTZ = (44100, 48000, 32000)
_SIDE = 36  # bytes of a header and of the side information of two channels
_DELAY = 529  # samples by which a decoder is late, which it leaves out where a delay is told
_MADE = 417  # bytes of a frame of 128 kbit/s
_BEHIND = (b"TAG", b"APETAGEX", b"LYRICS", b"ID3")  # tags that may follow the frames


class Told(NamedTuple):
    """`samples` of each channel; None where the decoder knows what to leave out at both ends."""

    source: Source
    samples: int | None


def told(inner: Source, most: int) -> Told:
    """The stream in `inner`, which begins with a frame; at most `most` samples.

    Raises UnsupportedError for what a disc does not play, CorruptError, TruncatedError and
    LimitError for frames that are fewer or more than they should be.
    """
    first = bytes(read(inner, 0, min(256, inner.size), "an MPEG frame"))
    _demand(first, inner)
    length = _length(first)
    mark = _info(first[:length])
    stop, count = _walked(inner, most // SAMPLES)
    count -= bool(mark)
    counted = int.from_bytes(mark[8:12], "big") if mark[7:8] and mark[7] & 1 else None
    if mark[:4] == b"VBRI":
        counted = None
    if counted is None:
        _demand_end(inner, stop, count)
        begin = length if mark else 0
        head = _head(count, first)
        parts = (Stretch(MemorySource(head), 0, len(head)), Stretch(inner, begin, stop - begin))
        return Told(Joined(inner.name, parts), count * SAMPLES)
    if counted > count:
        raise TruncatedError(
            f"its head counts {counted} frames, {count} of them are there",
            file=inner.name,
            remedy="it is cut short or damaged: copy it again",
        )
    if counted < count:
        raise CorruptError(
            f"its head counts {counted} frames, {count} are there",
            file=inner.name,
            remedy="several files were joined: decode it to WAVE",
        )
    return Told(Joined(inner.name, [Stretch(inner, 0, stop)]), None)


def _demand(first: bytes, inner: Source) -> None:
    """Layer III of MPEG 1, 44100 Hz, two channels."""
    if len(first) < _HEADER or first[0] != 0xFF or first[1] & 0xE0 != 0xE0:
        raise CorruptError("does not begin with an MPEG frame", file=inner.name)
    layer, rate = 4 - (first[1] >> 1 & 3), first[2] >> 2 & 3
    named = []
    if first[1] & 0x18 != 0x18:
        named.append("MPEG 2, at most 24000 Hz")
    elif rate and rate < len(_HERTZ):
        named.append(f"{_HERTZ[rate]} Hz")
    if layer != 3:
        named.append(f"layer {layer}")
    if first[3] >> 6 == 3:
        named.append("1 channels")
    if not first[2] >> 4:
        named.append("of no told bit rate")
    if named:
        raise UnsupportedError(
            f"MP3 of {', '.join(named)}; a disc has 16-bit stereo at 44100 Hz",
            file=inner.name,
            remedy="convert it, for example: ffmpeg -i IN -ar 44100 -ac 2 -sample_fmt s16 OUT.wav",
        )
    if not _length(first):
        raise CorruptError("does not begin with an MPEG frame", file=inner.name)


def _length(header: bytes) -> int:
    """Bytes of the frame that begins so; 0 where none does that could follow the first one."""
    if header[0] != 0xFF or header[1] & 0xFE != 0xFA or header[2] & 0x0C or header[3] >> 6 == 3:
        return 0
    rate = _RATES[header[2] >> 4]
    return rate and 144000 * rate // 44100 + (header[2] >> 1 & 1)


def _info(frame: bytes) -> bytes:
    """What a frame holds that counts the others and no sound, from its mark on; else nothing."""
    for at in (_SIDE, _SIDE + 2):  # 2 bytes of a checksum come before
        if frame[at : at + 4] in (b"Info", b"Xing", b"VBRI"):
            return frame[at:]
    return b""


def _walked(inner: Source, most: int) -> tuple[int, int]:
    """Where the last of the frames ends that follow one another from 0 on, and how many."""
    at, count, low, window = 0, 0, 0, b""
    while at + _HEADER <= inner.size and count <= most:
        skip = at - low
        if skip + _HEADER > len(window):
            low, skip = at, 0
            window = bytes(read(inner, at, min(MIB, inner.size - at), "an MPEG frame"))
        length = _length(window[skip : skip + _HEADER])
        if not length or at + length > inner.size:
            break
        at, count = at + length, count + 1
    if count > most:
        raise LimitError(f"more than {most} frames are more than a disc holds", file=inner.name)
    return at, count


def _demand_end(inner: Source, stop: int, count: int) -> None:
    """Behind frames that nothing counts are tags or zeros, or it is not their end."""
    rest = bytes(read(inner, stop, min(MIB, inner.size - stop), "what follows the frames"))
    if rest.startswith(_BEHIND) or not any(rest):
        return
    whole = _length(rest) if len(rest) >= _HEADER else 0
    if whole > len(rest):
        raise TruncatedError(f"frame {count + 1} has {len(rest)} of {whole} bytes", file=inner.name)
    raise CorruptError(
        f"after {count} frames it goes on with what is none",
        file=inner.name,
        remedy="it is damaged: copy it again, or decode it to WAVE",
    )


def _head(count: int, first: bytes) -> bytes:
    """Two frames of no sound: one that counts `count`, and one that is left out with the delay."""
    header = bytes((0xFF, 0xFB, 0x90, first[3] & 0xC0))
    silent = header + bytes(_MADE - _HEADER)
    told = b"Info" + (1).to_bytes(4, "big") + (count + 1).to_bytes(4, "big")
    encoder = b"LAME3.100".ljust(21, b"\0") + ((SAMPLES - _DELAY) << 12).to_bytes(3, "big")
    counting = header + bytes(_SIDE - _HEADER) + told + encoder
    return counting.ljust(_MADE, b"\0") + silent
