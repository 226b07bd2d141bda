"""Ranges of one file descriptor to another, as far as possible inside the operating system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, checked, column, lib, need, size_of, writable

if TYPE_CHECKING:
    from array import array

    from _typeshed import WriteableBuffer

if not NATIVE:
    from diskimage.reference import copying as twin


def copy_range(src: int, at: int, dst: int, to: int, length: int) -> int:
    """Copy `length` bytes by copy_file_range, else by reads and writes of 256 KiB.

    Gives the bytes copied, fewer only where the source ends. The ranges must not overlap in one
    file. Raises OSError.
    """
    if not NATIVE:
        return twin.copy_range(src, at, dst, to, length)
    return checked(lib.di_copy_range(src, at, dst, to, length))


def clone_range(src: int, at: int, dst: int, to: int, length: int) -> bool:
    """Share blocks between two files (FICLONERANGE); False where that cannot be. Raises OSError."""
    if not NATIVE:
        return twin.clone_range(src, at, dst, to, length)
    return bool(checked(lib.di_clone_range(src, at, dst, to, length)))


def copy_runs(
    src: int, at: array[int], length: array[int], dst: int, to: array[int], buffer: WriteableBuffer
) -> int:
    """Copy many ranges; `to` ascends. Short ones whose targets touch are written together.

    `at`, `length`, `to` are columns of 64-bit integers; `buffer` (256 KiB serves well) gathers.
    Gives the bytes copied; where the source ends, those before. Raises OSError, ValueError.
    """
    need(len(at) == len(length) == len(to), "columns of unequal length")
    need(size_of(buffer) > 0, "no room to gather in")
    if not NATIVE:
        return twin.copy_runs(src, at, length, dst, to, buffer)
    room = writable(buffer)
    rows = column(at), column(length), column(to)
    return checked(lib.di_copy_runs(src, *rows, len(at), dst, room, len(room)))


def read_runs(src: int, at: array[int], length: array[int], buffer: WriteableBuffer) -> int:
    """Read many ranges, one behind the other, into `buffer`; rows that touch by one read.

    Gives the bytes read; where the source ends, those before. Raises OSError, ValueError.
    """
    need(len(at) == len(length), "columns of unequal length")
    need(sum(length) <= size_of(buffer), "the rows do not fit into the buffer")
    if not NATIVE:
        return twin.read_runs(src, at, length, buffer)
    room = writable(buffer)
    return checked(lib.di_read_runs(src, column(at), column(length), len(at), room, len(room)))


def punch(fd: int, at: int, length: int) -> bool:
    """Make a range a hole, the size kept; False where that cannot be. Raises OSError."""
    if not NATIVE:
        return twin.punch(fd, at, length)
    return bool(checked(lib.di_punch(fd, at, length)))


def zero_range(fd: int, at: int, length: int) -> bool:
    """Make a range read as zeros and keep its space; False where that cannot be. Raises OSError."""
    if not NATIVE:
        return twin.zero_range(fd, at, length)
    return bool(checked(lib.di_zero_range(fd, at, length)))
