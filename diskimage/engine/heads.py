"""Which chunks of a plain row are zero, told by their first bytes where these are not.

A chunk that begins with anything but zeros is kept, whatever follows: its other bytes need not pass
through memory, and the kernel copies them.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator

from diskimage.engine.copy import Work
from diskimage.engine.windows import Window
from diskimage.errors import from_os
from diskimage.kernels import copying, scan
from diskimage.model import Kind

HEAD = 4096
LEAST = 4 * HEAD  # of a chunk: smaller ones are read whole
PIECE = 1 << 18  # bytes read at once where heads are zero: they stay in the second-level cache


def zero_chunks(window: Window, chunk: int, work: Work) -> bytearray | None:
    """One byte a chunk, 1 where it is zero; None where a window is no plain row of whole chunks."""
    if len(window.parts) != 1 or window.length % chunk or chunk < LEAST:
        return None
    runs = window.parts[0]
    source = runs.source
    if source is None or source.fd is None or runs.records is not None:
        return None
    if len(runs) != 1 or runs.kind[0] != Kind.DATA:
        return None
    at, count = runs.at[0], window.length // chunk
    _ahead(source.fd, at, window.length)
    buffer = work.buffers.take(max(chunk, PIECE, count * HEAD))
    try:
        heads = buffer[: count * HEAD]
        places = array("q", range(at, at + window.length, chunk))
        if copying.read_runs(source.fd, places, array("q", [HEAD]) * count, heads) != len(heads):
            return None  # who reads it whole says why
        zero = scan.zero_blocks(heads, HEAD)
        for first, last in _stretches(zero, max(1, PIECE // chunk)):
            piece = buffer[: (last - first) * chunk]
            if source.read_into(at + first * chunk, piece) != len(piece):
                return None
            zero[first:last] = scan.zero_blocks(piece, chunk)
        return zero
    except OSError as error:
        raise from_os(error, source.name) from error
    finally:
        work.buffers.give(buffer)


def _stretches(zero: bytearray, most: int) -> Iterator[tuple[int, int]]:
    """(first, last) of neighbouring chunks with zero heads, at most `most` at a time."""
    first = zero.find(1)
    while first >= 0:
        stop = zero.find(0, first)
        last = min(first + most, len(zero) if stop < 0 else stop)
        yield first, last
        first = zero.find(1, last)


def _ahead(fd: int, at: int, length: int) -> None:
    """Have it read in one go: reads of every chunk's head alone would make a disk seek."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, at, length, os.POSIX_FADV_WILLNEED)
