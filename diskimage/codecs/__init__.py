"""Codecs: pure encode and decode of one chunk, safe in many threads at once."""

from __future__ import annotations

from diskimage.codecs.bzip2 import Bzip2
from diskimage.codecs.deflate import Deflate
from diskimage.codecs.ecb import Ecb
from diskimage.codecs.lz4 import Lz4
from diskimage.codecs.zlib import Zlib
from diskimage.codecs.zstd import Zstd
from diskimage.limits import LIMITS
from diskimage.model import Codec


def deflate(window_bits: int = 15, level: int | None = None) -> Codec:
    """Raw deflate (RFC 1951) with a window of 2^window_bits; level None is the usual one."""
    return Deflate(window_bits, level)


def zstd(level: int = 3, window_log: int = LIMITS.window_log) -> Codec:
    """Zstandard (RFC 8878) that decodes frames of a window up to 2^window_log."""
    return Zstd(level, window_log)


def zlib(level: int | None = None) -> Codec:
    """Deflate in a zlib stream (RFC 1950), its sum checked; level None is the usual one."""
    return Zlib(level)


def bzip2(level: int = 9) -> Codec:
    """bzip2, its sums checked."""
    return Bzip2(level)


def lz4() -> Codec:
    """LZ4 blocks, decoded alone."""
    return Lz4()


def ecb(inner: Codec | None, key: bytes) -> Codec:
    """`inner`, or plain bytes, enciphered by AES in ECB mode. UnsupportedError without `crypto`."""
    return Ecb(inner, key)
