"""bzip2 files by the standard library, in streams of one block and of many."""

from __future__ import annotations

import bz2

from tests.makers.gzip import disk
from tests.makers.sample import Sample


def samples() -> list[Sample]:
    """Streams of several blocks, several streams, an empty one among them."""
    guest = disk(400_000, 2)
    blocks = bz2.compress(guest, 1)
    row = bz2.compress(guest[:1000], 9) + bz2.compress(b"") + bz2.compress(guest[1000:], 2)
    zeros = bytes(6 << 20)
    inside = (0, 3, 4, 9, 10, 14, len(blocks) // 2, len(blocks) - 10, len(blocks) - 2)
    return [
        Sample("blocks", {"a.img.bz2": blocks}, guest, 20, inside),
        Sample("streams", {"a.img.bz2": row}, guest, 8, (len(row) - 5, len(row) - 200)),
        Sample("zeros", {"a.img.bz2": bz2.compress(zeros)}, zeros),
        Sample("a set", {"a.img.bz2.aa": blocks[:5000], "a.img.bz2.ab": blocks[5000:]}, guest),
    ]
