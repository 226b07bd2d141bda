"""Which guest bytes a dirty bitmap inside an image says were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Unpack

from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, unasked
from diskimage.ranges import Ranges
from diskimage.sources.anything import What


@dataclass(frozen=True, slots=True)
class Dirty:
    """What the bitmap `name` of an image of `size` guest bytes says."""

    file: str
    name: str
    size: int
    ranges: Ranges

    def rows(self) -> Iterator[dict[str, object]]:
        """The whole guest in order: `start`, `length`, `dirty`."""
        clean = ((*one, False) for one in self.ranges.invert(self.size))
        for start, length, dirty in sorted([*((*one, True) for one in self.ranges), *clean]):
            yield {"start": start, "length": length, "dirty": dirty}

    def to_json(self) -> list[dict[str, object]]:
        """The bare array."""
        return list(self.rows())


def bitmap(image: What | Image, name: str, **how: Unpack[Opening]) -> Dirty:
    """The bitmap `name` of `image`. Raises what `Image.bitmap` does; parents are not opened."""
    how.setdefault("references", "list")
    unasked(how)
    with opened(image, **how) as found:
        return Dirty(found.name, name, found.size, found.bitmap(name))
