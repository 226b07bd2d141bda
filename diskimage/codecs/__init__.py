"""Codecs: pure decoding, and mostly encoding, of one chunk, safe in many threads at once."""

from __future__ import annotations

from diskimage.codecs.adc import Adc
from diskimage.codecs.bzip2 import Bzip2
from diskimage.codecs.cd import CdFrames, CdSound
from diskimage.codecs.deflate import Deflate
from diskimage.codecs.ecb import Ecb
from diskimage.codecs.flac import Flac
from diskimage.codecs.huffman import Huffman
from diskimage.codecs.lz4 import Lz4
from diskimage.codecs.lzfse import Lzfse
from diskimage.codecs.lzma import Lzma
from diskimage.codecs.snappy import Snappy
from diskimage.codecs.xz import Xz
from diskimage.codecs.zlib import Zlib
from diskimage.codecs.zstd import Zstd
from diskimage.limits import LIMITS
from diskimage.model import Codec, Encoder


def deflate(window_bits: int = 15, level: int | None = None) -> Encoder:
    """Raw deflate (RFC 1951) with a window of 2^window_bits; level None is the usual one."""
    return Deflate(window_bits, level)


def zstd(level: int = 3, window_log: int = LIMITS.window_log) -> Encoder:
    """Zstandard (RFC 8878) that decodes frames of a window up to 2^window_log."""
    return Zstd(level, window_log)


def zlib(level: int | None = None) -> Encoder:
    """Deflate in a zlib stream (RFC 1950), its sum checked; level None is the usual one."""
    return Zlib(level)


def bzip2(level: int = 9) -> Encoder:
    """bzip2, its sums checked."""
    return Bzip2(level)


def lz4() -> Codec:
    """LZ4 blocks, decoded alone."""
    return Lz4()


def snappy() -> Codec:
    """Snappy blocks, decoded alone."""
    return Snappy()


def ecb(inner: Codec | None, key: bytes) -> Ecb:
    """`inner`, or plain bytes, under AES in ECB mode. UnsupportedError without `crypto`."""
    return Ecb(inner, key)


def lzma(level: int = 9) -> Encoder:
    """LZMA without a header."""
    return Lzma(level)


def huffman() -> Codec:
    """Bytes coded one by one, decoded alone."""
    return Huffman()


def flac() -> Encoder:
    """FLAC frames behind a byte that tells the byte order."""
    return Flac()


def cd_frames(frames: Encoder, sub: Encoder) -> Encoder:
    """CD frames and their subchannel, each by a codec of its own."""
    return CdFrames(frames, sub)


def cd_sound() -> Encoder:
    """CD frames of sound by FLAC, their subchannel by raw deflate."""
    return CdSound()


def adc() -> Codec:
    """Apple Data Compression, decoded alone."""
    return Adc()


def lzfse() -> Encoder:
    """LZFSE streams. Their chunks raise UnsupportedError without the extra `apple`."""
    return Lzfse()


def xz(level: int = 6) -> Encoder:
    """xz streams, their sums checked."""
    return Xz(level)
