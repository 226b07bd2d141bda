"""Whole-stream digests, fed from the pass that reads, each in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from diskimage.errors import UnsupportedError, UsageError
from diskimage.limits import MIB

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

ZEROS = bytes(MIB)


class Sum(Protocol):
    """A running digest, as hashlib's."""

    def update(self, data: memoryview | bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


_WHEELS = {  # of the extra `hash`: name, module and maker
    "blake3": ("blake3", "blake3"),
    "xxh64": ("xxhash", "xxh64"),
    "xxh128": ("xxhash", "xxh128"),
}


def names() -> list[str]:
    """Every digest that can be asked for, those of the extra `hash` included."""
    import hashlib  # loads OpenSSL, as in `new`: only who asks for a digest pays

    ours = {"crc32", *_WHEELS}
    return sorted({n for n in hashlib.algorithms_guaranteed if "shake" not in n} | ours)


def canonical(name: str) -> str:
    """The one spelling of a digest's name: SHA-256 is sha256."""
    return name.lower().replace("sha-", "sha")


def running(wanted: Iterable[str]) -> dict[str, Sum]:
    """A running digest for each name, by its one spelling. Raises as `new`."""
    return {canonical(name): new(name) for name in wanted}


def new(name: str) -> Sum:
    """A running digest. UsageError for an unknown name, UnsupportedError without its wheel."""
    import hashlib

    plain = canonical(name)
    if plain == "crc32":
        from diskimage.codecs.crc32 import Crc32  # a copy of bytes loads no codecs

        return Crc32()
    if plain in _WHEELS:
        module, attribute = _WHEELS[plain]
        try:
            maker = getattr(__import__(module), attribute)
        except ImportError:
            raise UnsupportedError(
                f"the digest {plain} needs the extra `hash`",
                remedy="pip install 'py-diskimage[hash]'",
            ) from None
        made: Sum = maker()
        return made
    if plain not in names():
        raise UsageError(f"no digest named {name}", remedy=f"one of: {', '.join(names())}")
    return hashlib.new(plain, usedforsecurity=False)


def _worker() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # loads logging, as in `batch.ordered`

    return ThreadPoolExecutor(1, thread_name_prefix="digest")


@runtime_checkable
class _Quick(Protocol):
    """A sum that needs no bytes to go on with zeros."""

    def zeros(self, count: int) -> None: ...


class Feeder:
    """Feeds every sum the same bytes in order while the caller goes on reading.

    At most `ahead` buffers wait; a buffer must stay as it is until `feed` of `ahead` later ones, or
    `finish`, has returned: `feed` hands back the buffers that are free again.
    """

    def __init__(self, sums: Iterable[Sum], ahead: int = 4) -> None:
        self._sums = tuple(sums)
        self._ahead = ahead
        self._pools = [_worker() for _ in self._sums]
        self._waiting: deque[tuple[memoryview, list[Future[None]]]] = deque()

    def feed(self, data: memoryview) -> list[memoryview]:
        """Queue `data`; returns the buffers that no sum needs any more."""
        futures = [p.submit(s.update, data) for p, s in zip(self._pools, self._sums, strict=True)]
        self._waiting.append((data, futures))
        return self._drain(self._ahead)

    def zeros(self, length: int) -> list[memoryview]:
        """Queue `length` zeros, which nobody has read; sums with a `zeros` take them at once."""
        quick = [s.zeros for s in self._sums if isinstance(s, _Quick)]
        if len(quick) == len(self._sums):
            futures = [p.submit(go, length) for p, go in zip(self._pools, quick, strict=True)]
            self._waiting.append((memoryview(ZEROS), futures))
            return [view for view in self._drain(self._ahead) if view.obj is not ZEROS]
        free: list[memoryview] = []
        while length:
            piece = min(length, len(ZEROS))
            free += self.feed(memoryview(ZEROS)[:piece])
            length -= piece
        return [view for view in free if view.obj is not ZEROS]

    def finish(self) -> list[memoryview]:
        """Wait until every sum has had everything."""
        free = self._drain(0)
        for pool in self._pools:
            pool.shutdown()
        return free

    def _drain(self, keep: int) -> list[memoryview]:
        free = []
        while len(self._waiting) > keep:
            data, futures = self._waiting.popleft()
            for future in futures:
                future.result()
            free.append(data)
        return free

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)
