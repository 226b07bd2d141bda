"""From the bytes of a header to frozen values, with errors that name the file and the offset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from diskimage.errors import CorruptError, TruncatedError
from diskimage.limits import MIB
from diskimage.model import Source

if TYPE_CHECKING:
    from construct import Construct

STEP = MIB  # bytes that are searched at once


def read(source: Source, at: int, length: int, what: str) -> bytearray:
    """Exactly `length` bytes of `source` from `at`; TruncatedError names `what` they should be.

    The range is checked against the source before anything is allocated.
    """
    demand(source, at, length, what)
    buffer = bytearray(length)
    got = source.read_into(at, memoryview(buffer))
    if got != length:
        raise TruncatedError(
            f"{what}: {got} of {length} bytes could be read", file=source.name, at=at + got
        )
    return buffer


def demand(source: Source, at: int, length: int, what: str) -> None:
    """`source` has to have `length` bytes at `at`: CorruptError, TruncatedError name `what`."""
    if at < 0 or length < 0:
        raise CorruptError(f"{what} at a negative offset or length", file=source.name, at=at)
    if length > source.size or at > source.size - length:
        raise TruncatedError(
            f"{what} needs bytes {at} to {at + length}, the file has {source.size}",
            file=source.name,
            at=min(at, source.size),
            remedy="the file is cut short: copy or download it again",
        )


def positions(source: Source, at: int, mark: bytes) -> Iterator[int]:
    """Where `mark` stands in `source` from byte `at` on, ascending."""
    over = len(mark) - 1
    while at < source.size - over:
        window = read(source, at, min(STEP + over, source.size - at), "a search")
        found = window.find(mark)
        while found >= 0:
            yield at + found
            found = window.find(mark, found + 1)
        at += STEP


def struct(layout: Construct[Any, Any], source: Source, at: int, what: str) -> Any:
    """The fixed-size `layout` (construct) at `at` of `source`, as a container of its fields."""
    return fields(layout, read(source, at, layout.sizeof(), what), source, at, what)


def fields(
    layout: Construct[Any, Any], data: bytes | bytearray, source: Source, at: int, what: str
) -> Any:
    """`data` as `layout` says. Raises CorruptError, TruncatedError where `data` ends before it."""
    from construct import ConstructError, StreamError  # 75 ms: only once a header is really read

    try:
        return layout.parse(bytes(data))
    except StreamError:
        text = f"{what}: {len(data)} bytes, which do not hold it whole"
        raise TruncatedError(text, file=source.name, at=at + len(data)) from None
    except ConstructError as error:
        reason = str(error).splitlines()[-1]
        raise CorruptError(f"{what}: {reason}", file=source.name, at=at) from None
