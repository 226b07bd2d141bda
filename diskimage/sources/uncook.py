"""2048-byte sectors as whole frames: sync, header, EDC and ECC made on reading (ECMA-130 14)."""

from __future__ import annotations

from typing import Literal

from diskimage.kernels.frames import RAW, SUBHEADER, USER, make
from diskimage.model import Source
from diskimage.sources.made import Made, whole


def uncook(
    inner: Source, mode: Literal[1, 2] = 1, *, lba: int = 0, subheader: bytes = SUBHEADER
) -> Made:
    """`inner`, a multiple of 2048 bytes, as frames of 2352 bytes from `lba` on; their addresses
    start again after 99:59:74.

    `mode` 1 is Mode 1; 2 is Mode 2 Form 1 with `subheader` (4 bytes, stored twice) in each frame.
    """
    assert inner.size % USER == 0
    assert len(subheader) == len(SUBHEADER)

    def frames(first: int, count: int, out: memoryview) -> None:
        make(whole(inner, first * USER, count * USER), out, mode, lba + first, subheader)

    return Made(inner.name, RAW, inner.size // USER, frames)
