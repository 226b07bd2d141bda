"""A disk as compressed chunks, one behind the other: what writers of gzip, xz and zstd share."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator
from typing import Any

from diskimage.errors import UsageError
from diskimage.layers.stored import without_holes
from diskimage.model import Device, Pack, Packed, Step
from diskimage.options import size_option

GROUP = 1 << 16
"""Chunks of one step: its table is held at once."""


def chunks(
    device: Device, size: int, to: int, seal: Callable[[int, bytes | memoryview], bytes]
) -> Generator[Step, Any, tuple[int, array[int]]]:
    """Steps that store every chunk of `size` guest bytes as `seal(start, plain)` gives it, zeros
    too, the last one as short as it is. Gives the end, and the bytes that each chunk takes."""
    lengths, end = array("q"), device.size // size * size
    starts = range(0, end, GROUP * size)
    pieces = [(start, min(start + GROUP * size, end), size) for start in starts]
    if end < device.size:
        pieces.append((end, device.size, device.size - end))
    for start, stop, chunk in pieces:
        packed: Packed = yield Pack(
            without_holes(device, start, stop), chunk, (), to, seal=seal, keep_zeros=True
        )
        if min(packed.to, default=0) < 0:
            raise UsageError("has bytes that are not in this layer", remedy="flatten the chain")
        lengths.extend(packed.stored)
        to = packed.end
    return to, lengths


def level_of(level: object, most: int, usual: int | None = None) -> int | None:
    """The effort of a codec, 1 to `most`; `usual` where none is given. Raises UsageError."""
    if level is None:
        return usual
    if not str(level).isdecimal() or not 1 <= int(str(level)) <= most:
        raise UsageError(f"level {level}", remedy=f"1 to {most}")
    return int(str(level))


def chunk_of(chunk: object, least: int, most: int, usual: int) -> int:
    """Bytes that are coded at once, `least` to `most`; `usual` where none are given."""
    if chunk is None:
        return usual
    found = size_option("chunk", chunk, "1M")
    if not least <= found <= most:
        raise UsageError(f"chunk {chunk}", remedy=f"a size from {least} to {most} bytes")
    return found
