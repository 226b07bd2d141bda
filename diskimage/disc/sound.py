"""Files of audio, whatever they are packed in: WAVE and AIFF, and FLAC and MP3 decoded.

What a file is its content says. The two bytes that begin an MP3 without a tag say too little: they
count only in a file that is called one.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from diskimage.disc import aiff, wave
from diskimage.errors import UnsupportedError
from diskimage.model import Source
from diskimage.parse import read
from diskimage.sources.decoded import Decoded
from diskimage.sources.joined import Joined, Stretch
from diskimage.sources.swap import Swap

KINDS = ("WAVE", "AIFF", "FLAC", "MP3")
_SUFFIXES = {
    ".wav": "WAVE", ".aif": "AIFF", ".aiff": "AIFF", ".aifc": "AIFF", ".flac": "FLAC",
    ".mp3": "MP3",
}  # fmt: skip
_OTHERS = {
    b"OggS": "Ogg", b"MAC ": "Monkey's Audio", b"wvpk": "WavPack", b"TTA1": "True Audio",
}  # fmt: skip
_ID3, _FOOTER = 10, 0x10  # bytes of its header, and the flag that they are there once more
_TAGS, _FILLED = 16, 1 << 16  # most tags, one behind the other, and zeros behind them


class Sound(NamedTuple):
    """Samples as a disc plays them, little-endian: `length` bytes at `at` of `source`."""

    source: Source
    at: int
    length: int


def by_suffix(name: str) -> str | None:
    """The kind that a file's name says; None where it says none."""
    return _SUFFIXES.get(name.lower()[max(0, name.rfind(".")) :])


def told(source: Source, called: Container[str | None] = ()) -> str | None:
    """What the content is: one of KINDS, or the name of another sort of file; None for samples
    without any header. `called`: the kinds that a sheet and a name say."""
    head = bytes(read(source, 0, min(12, source.size), "the first bytes"))
    if wave.is_riff(source):
        return "WAVE"
    if aiff.is_aiff(head):
        return "AIFF"
    begin = _tagged(source)
    head = bytes(read(source, begin, min(4, source.size - begin), "what is behind a tag"))
    if head == b"fLaC":
        return "FLAC"
    if begin or ("MP3" in called and head[:1] == b"\xff" and head[1] & 0xE0 == 0xE0):
        return "MP3"
    return _OTHERS.get(head[:4])


def _tagged(source: Source) -> int:
    """Where what ID3v2 tags in front are of begins, zeros behind them left out; 0 without any."""
    at = 0
    for _ in range(_TAGS):
        head = read(source, at, min(_ID3, source.size - at), "a tag").ljust(_ID3, b"\0")
        if head[:3] != b"ID3" or max(head[3:5]) == 0xFF or max(head[6:]) >= 0x80:
            break
        size = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        at = min(source.size, at + size + _ID3 * (2 if head[5] & _FOOTER else 1))
    if at:
        filled = read(source, at, min(_FILLED, source.size - at), "what is behind a tag")
        at += len(filled) - len(filled.lstrip(b"\0"))
    return at


def sound(source: Source, kind: str) -> Sound:
    """The samples of a file of one of KINDS, or of another sort, which is refused by name.

    Raises UnsupportedError too for what a disc does not play as it is, and without a decoder;
    CorruptError and TruncatedError for a broken file.
    """
    if kind == "WAVE":
        return Sound(source, *wave.samples(source))
    if kind == "AIFF":
        at, length, big = aiff.samples(source)
        if not big:
            return Sound(source, at, length)
        return Sound(Swap(Joined(source.name, [Stretch(source, at, length)])), 0, length)
    if kind in KINDS:
        begin = _tagged(source)
        inside = Joined(source.name, [Stretch(source, begin, source.size - begin)])
        decoded = Decoded(inside if begin else source, kind)
        return Sound(decoded, 0, decoded.size)
    raise UnsupportedError(
        f"is {kind}, which is not decoded", file=source.name, remedy="decode it to WAVE"
    )
