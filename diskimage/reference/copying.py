"""Twins of `kernels.copying`: ranges of one descriptor to another, with no kernel of ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import WriteableBuffer

PIECE = 1 << 18


def copy_range(src: int, at: int, dst: int, to: int, length: int) -> int:
    """Copy `length` bytes; the count is short only where the source ends."""
    done = 0
    while done < length:
        piece = os.pread(src, min(PIECE, length - done), at + done)
        if not piece:
            break
        write_all(dst, memoryview(piece), to + done)
        done += len(piece)
    return done


def clone_range(src: int, at: int, dst: int, to: int, length: int) -> bool:
    """Answer False: sharing of blocks needs an ioctl, which only the kernel has."""
    return False


def copy_runs(
    src: int,
    at: Sequence[int],
    length: Sequence[int],
    dst: int,
    to: Sequence[int],
    buffer: WriteableBuffer,
) -> int:
    """Copy row by row; stop where the source ends."""
    done = 0
    for row_at, row_length, row_to in zip(at, length, to, strict=True):
        count = copy_range(src, row_at, dst, row_to, row_length)
        done += count
        if count < row_length:
            break
    return done


def read_runs(src: int, at: Sequence[int], length: Sequence[int], buffer: WriteableBuffer) -> int:
    """Read row by row into the buffer, one after the other; stop where the source ends."""
    view = memoryview(buffer).cast("B")
    done = 0
    for row_at, row_length in zip(at, length, strict=True):
        end = done + row_length
        while done < end:
            count = _read_into(src, view[done:end], row_at + row_length - (end - done))
            if not count:
                return done
            done += count
    return done


def punch(fd: int, at: int, length: int) -> bool:
    """Answer False: fallocate with a mode is not in the standard library."""
    return False


def zero_range(fd: int, at: int, length: int) -> bool:
    """Answer False: fallocate with a mode is not in the standard library."""
    return False


def _read_into(fd: int, view: memoryview, at: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, [view], at)
    piece = os.pread(fd, min(len(view), PIECE), at)
    view[: len(piece)] = piece
    return len(piece)


def write_all(fd: int, view: memoryview, to: int) -> None:
    """Write all of `view` at `to`."""
    while view:
        count = os.pwrite(fd, view, to)
        view, to = view[count:], to + count
