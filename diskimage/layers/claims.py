"""Which parts of a file are taken: a check that no two entries of a table share one."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import LimitError
from diskimage.limits import Limits
from diskimage.model import Finding, Source


class Claims:
    """A bit for each unit of `unit` bytes that `source` can hold from `first` on.

    Raises LimitError where these bits pass `metadata`.
    """

    def __init__(self, source: Source, first: int, unit: int, limits: Limits) -> None:
        self._size, self._first, self._unit = source.size, first, unit
        room = -(-max(0, source.size - first) // unit)
        if room // 8 > limits.metadata:
            text = f"a check of {room} blocks needs {room // 8} bytes, over metadata"
            raise LimitError(f"{text} {limits.metadata}", file=source.name)
        self._taken = bytearray(room // 8 + 1)

    def take(self, at: int, length: int, what: str, entry_at: int) -> Iterator[Finding]:
        """Take `length` bytes at `at` for `what`, whose entry is at `entry_at`; what is wrong."""
        number, skip = divmod(at - self._first, self._unit)
        if number < 0:
            text = f"{what} is stored at {at}, before the data at {self._first}"
            yield Finding("corrupt", text, entry_at)
        elif skip:
            yield Finding("corrupt", f"{what} is stored at {at}, which is not aligned", entry_at)
        elif at > self._size - length:
            text = f"{what} is stored at {at}, past the end of the file"
            yield Finding("truncated", text, entry_at)
        elif self._mark(number, -(-length // self._unit)):
            yield Finding("corrupt", f"{what} shares the bytes at {at} with another", entry_at)

    def holds(self, at: int) -> bool:
        """Whether the unit at `at` is taken; one past the end of the file is not."""
        number = (at - self._first) // self._unit
        byte = number >> 3
        return 0 <= byte < len(self._taken) and bool(self._taken[byte] >> (number & 7) & 1)

    def give(self, at: int) -> None:
        """The unit at `at` is not taken any more."""
        number = (at - self._first) // self._unit
        if self.holds(at):
            self._taken[number >> 3] &= ~(1 << (number & 7))

    def _mark(self, number: int, units: int) -> bool:
        """Set the bits of some units; whether one was set before."""
        shared = False
        for unit in range(number, number + units):
            byte, bit = unit >> 3, 1 << (unit & 7)
            shared |= bool(self._taken[byte] & bit)
            self._taken[byte] |= bit
        return shared
