"""Records that are made when they are read: the one way to be a source by computing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from diskimage.errors import TruncatedError
from diskimage.limits import MIB
from diskimage.model import Source

Make = Callable[[int, int, memoryview], None]
"""Fills a buffer with the records from a first one on, so many."""


class Made:
    """`count` records of `take` bytes, which `make` makes; batches of about 1 MiB at most.

    Reads of any range; `make` sees whole records alone, and must be safe from several threads.
    """

    fd: int | None = None

    def __init__(self, name: str, take: int, count: int, make: Make) -> None:
        self.name, self.size = name, take * count
        self._take, self._make = take, make
        self._batch = max(1, MIB // take)

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises what `make` does."""
        stop, take = min(at + len(buffer), self.size), self._take
        done = at
        while done < stop:
            record, skip = divmod(done, take)
            room = buffer[done - at : stop - at]
            count = 0 if skip else min(self._batch, len(room) // take)
            if count:
                self._make(record, count, room[: count * take])
                done += count * take
                continue
            whole = memoryview(bytearray(take))  # a record of which a part is asked for
            self._make(record, 1, whole)
            part = whole[skip : skip + len(room)]
            room[: len(part)] = part
            done += len(part)
        return max(0, stop - at)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """What is made is there."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """What it is made of stays its owner's."""

    def __repr__(self) -> str:
        return f"Made({self.name!r}, {self.size // max(1, self._take)} of {self._take} bytes)"


def whole(source: Source, at: int, length: int) -> bytearray:
    """`length` bytes from `at`. TruncatedError where the source has fewer now."""
    buffer = bytearray(length)
    got = source.read_into(at, memoryview(buffer))
    if got != length:
        raise TruncatedError(
            f"{got} of {length} bytes could be read",
            file=source.name,
            at=at + got,
            remedy="the file became shorter while it was read",
        )
    return buffer
