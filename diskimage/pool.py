"""Work on a pool: results in order, a bounded number under way, the first error the last word."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


def default_threads() -> int:
    """As many as the process may use, at most 8: the codecs' gain ends where the medium's does."""
    if hasattr(os, "sched_getaffinity"):
        return min(8, len(os.sched_getaffinity(0)))
    return min(8, os.cpu_count() or 1)


def ordered(
    work: Callable[..., T], tasks: Iterable[tuple[object, ...]], threads: int
) -> Iterator[T]:
    """`work(*task)` for each of `tasks`, in order, at most `2 * threads` under way.

    One thread means none: the caller's own. After an error nothing new is begun, what is under
    way is waited for, and the error raised.
    """
    if threads <= 1:
        for task in tasks:
            yield work(*task)
        return
    from concurrent.futures import ThreadPoolExecutor  # loads logging: only who has a pool pays

    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="diskimage") as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(work, *task))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
