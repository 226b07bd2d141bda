"""The windows that work is cut into, and buffers for them."""

from __future__ import annotations

from mmap import mmap
from threading import Lock

from diskimage.limits import MIB

WINDOW = 2 * MIB  # guest bytes of one task: 256 KiB ones cost 30 %, 4 MiB ones gain nothing


class Buffers:
    """Buffers of one size, used again: clearing a fresh one costs as much as a read.

    `aligned` ones begin on a page, as direct I/O wants them.
    """

    def __init__(self, size: int = WINDOW, *, aligned: bool = False) -> None:
        self.size = size
        self._aligned = aligned
        self._free: list[bytearray | mmap] = []
        self._lock = Lock()

    def take(self, length: int) -> memoryview:
        """A view of `length` bytes with any content; give it back with `give`."""
        if length > self.size:
            return memoryview(bytearray(length))
        with self._lock:
            buffer = self._free.pop() if self._free else None
        return memoryview(self._fresh() if buffer is None else buffer)[:length]

    def _fresh(self) -> bytearray | mmap:
        return mmap(-1, self.size) if self._aligned else bytearray(self.size)

    def give(self, view: memoryview) -> None:
        """Take back what `take` gave."""
        buffer = view.obj
        if isinstance(buffer, bytearray | mmap) and len(buffer) == self.size:
            with self._lock:
                self._free.append(buffer)
