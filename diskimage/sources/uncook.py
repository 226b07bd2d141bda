"""2048-byte sectors as whole frames: sync, header, EDC and ECC made on reading (ECMA-130 14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from diskimage.errors import TruncatedError
from diskimage.kernels.frames import RAW, SUBHEADER, USER, make
from diskimage.model import Source

BATCH = 1024  # frames of one kernel call: 2.3 MiB made, some milliseconds


class Uncook:
    """`inner`, a multiple of 2048 bytes, as frames of 2352 bytes from `lba` on; their addresses
    start again after 99:59:74.

    `mode` 1 is Mode 1; 2 is Mode 2 Form 1 with `subheader` (4 bytes, stored twice) in each frame.
    Reads of any range; made in batches of 2 MiB.
    """

    fd: int | None = None

    def __init__(
        self, inner: Source, mode: Literal[1, 2] = 1, *, lba: int = 0, subheader: bytes = SUBHEADER
    ) -> None:
        assert inner.size % USER == 0
        assert len(subheader) == len(SUBHEADER)
        self._inner, self._mode, self._lba, self._subheader = inner, mode, lba, subheader
        self.name = inner.name
        self.size = inner.size // USER * RAW

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end."""
        stop = min(at + len(buffer), self.size)
        done = at
        while done < stop:
            frame, skip = divmod(done, RAW)
            room = buffer[done - at : stop - at]
            count = 0 if skip else min(BATCH, len(room) // RAW)
            if count:
                self._make(frame, count, room[: count * RAW])
                done += count * RAW
                continue
            whole = memoryview(bytearray(RAW))  # a frame of which a part is asked for
            self._make(frame, 1, whole)
            part = whole[skip : skip + len(room)]
            room[: len(part)] = part
            done += len(part)
        return max(0, stop - at)

    def _make(self, first: int, count: int, out: memoryview) -> None:
        user = bytearray(count * USER)
        got = self._inner.read_into(first * USER, memoryview(user))
        if got != len(user):
            raise TruncatedError(
                f"{got} of {len(user)} bytes could be read",
                file=self.name,
                at=first * USER + got,
                remedy="the file became shorter while it was read",
            )
        make(user, out, self._mode, self._lba + first, self._subheader)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """Every frame has a sync: nothing is a hole."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Close the inner source."""
        self._inner.close()

    def __repr__(self) -> str:
        return f"Uncook({self._inner!r}, mode {self._mode})"
