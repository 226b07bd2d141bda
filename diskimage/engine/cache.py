"""Decoded chunks kept by bytes, least recently used first out; thread-safe."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from diskimage.limits import MIB

DEFAULT = 32 * MIB


class ChunkCache:
    """At most `room` bytes of decoded chunks, by a hashable key."""

    def __init__(self, room: int = DEFAULT) -> None:
        self._room = room
        self._used = 0
        self._chunks: OrderedDict[object, bytes | bytearray | memoryview] = OrderedDict()
        self._lock = Lock()

    def get(
        self, key: object, make: Callable[[], bytes | bytearray | memoryview]
    ) -> bytes | bytearray | memoryview:
        """The chunk of `key`, made (outside the lock) where it is not kept."""
        with self._lock:
            chunk = self._chunks.get(key)
            if chunk is not None:
                self._chunks.move_to_end(key)
                return chunk
        chunk = make()
        with self._lock:
            if key not in self._chunks and len(chunk) <= self._room:
                self._chunks[key] = chunk
                self._used += len(chunk)
            while self._used > self._room:
                self._used -= len(self._chunks.popitem(last=False)[1])
        return chunk
