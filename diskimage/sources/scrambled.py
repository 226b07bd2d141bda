"""Frames as they lie on the disc, scrambled, made plain on reading (ECMA-130 annex B)."""

from __future__ import annotations

from diskimage.kernels.frames import RAW, scramble
from diskimage.model import Source
from diskimage.sources.made import Made, whole


def unscrambled(inner: Source, at: int, count: int) -> Made:
    """`count` frames of 2352 bytes at `at` of `inner`, each but its sync out of the scrambler."""

    def frames(first: int, many: int, out: memoryview) -> None:
        out[:] = whole(inner, at + first * RAW, many * RAW)
        scramble(out)

    return Made(inner.name, RAW, count, frames)
