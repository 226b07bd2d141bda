"""Files of audio, whatever they are packed in: WAVE and AIFF, and FLAC and MP3 decoded.

What a file is its content says. The two bytes that begin an MP3 without a tag say too little: they
count only in a file that is called one.
"""

from __future__ import annotations

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
_ID3 = 10  # bytes of its header; what it tags follows


class Sound(NamedTuple):
    """Samples as a disc plays them, little-endian: `length` bytes at `at` of `source`."""

    source: Source
    at: int
    length: int


def by_suffix(name: str) -> str | None:
    """The kind that a file's name says; None where it says none."""
    return _SUFFIXES.get(name.lower()[max(0, name.rfind(".")) :])


def told(source: Source, called: str | None = None) -> str | None:
    """What the content is: one of KINDS, or the name of another sort of file; None for samples
    without any header. `called`: the kind that a sheet or a name says."""
    head = bytes(read(source, 0, min(12, source.size), "the first bytes"))
    if wave.is_riff(source):
        return "WAVE"
    if aiff.is_aiff(head):
        return "AIFF"
    if head[:3] == b"ID3" and max(head[3:5]) < 0xFF and max(head[6:10]) < 0x80:
        size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        inside = min(source.size, _ID3 + size)
        after = bytes(read(source, inside, min(4, source.size - inside), "what a tag is of"))
        return "FLAC" if after == b"fLaC" else "MP3"
    if head[:4] == b"fLaC":
        return "FLAC"
    if called == "MP3" and head[:1] == b"\xff" and head[1] & 0xE0 == 0xE0:
        return "MP3"
    return _OTHERS.get(head[:4])


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
        decoded = Decoded(source, kind)
        return Sound(decoded, 0, decoded.size)
    raise UnsupportedError(
        f"is {kind}, which is not decoded", file=source.name, remedy="decode it to WAVE"
    )
