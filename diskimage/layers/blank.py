"""A device with nothing in it: what an image is created from where there is only a size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.layers.gather import filler
from diskimage.model import HOLE, Runs


class Blank:
    """`size` guest bytes of one kind code: holes, or ABSENT over a backing."""

    block = 512

    def __init__(
        self, size: int, kind: int = HOLE, info: Mapping[str, object] | None = None
    ) -> None:
        self.size = size
        self._kind = kind
        self.info: Mapping[str, object] = info or {}

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """One row."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            yield filler(start, stop, self._kind)
