"""Codecs: pure encode and decode of one chunk, safe in many threads at once."""

from __future__ import annotations

from diskimage.codecs.deflate import Deflate
from diskimage.codecs.zstd import Zstd
from diskimage.limits import LIMITS
from diskimage.model import Codec


def deflate(window_bits: int = 15, level: int | None = None) -> Codec:
    """Raw deflate (RFC 1951) with a window of 2^window_bits; level None is the usual one."""
    return Deflate(window_bits, level)


def zstd(level: int = 3, window_log: int = LIMITS.window_log) -> Codec:
    """Zstandard (RFC 8878) that decodes frames of a window up to 2^window_log."""
    return Zstd(level, window_log)
