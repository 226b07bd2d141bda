"""ASIF images written byte by byte from what readers of others know; small chunks for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from tests.makers.sample import Sample

BLOCK = 512
CHUNK = 32768  # one group of 2,048 chunks a table
PER = 4 * BLOCK


def asif(
    size: int,
    chunks: Mapping[int, tuple[int, bytes]],
    *,
    partial: Mapping[int, Sequence[int]] | None = None,
    special: Mapping[int, int] | None = None,
    version: int = 1,
    flags: int = 0,
    versions: tuple[int, int] = (1, 2),
    bitmap_entry: int | None = None,
) -> bytes:
    """An image of `size` guest bytes; `chunks` maps a chunk to (stored index, content).

    `partial` are the states of a chunk's blocks, two bits each; `special` are entries as they
    stand. The first directory is empty, the second one leads to one table.
    """
    partial = partial or {}
    stored = max((place + 1 for place, _ in chunks.values()), default=0)
    image = bytearray((3 + stored) * CHUNK)  # header, table, bitmap, chunks
    one, two = 512, 1024
    struct.pack_into(
        ">4sIIIQQ16sQQIHHQ", image, 0, b"shdw", version, 512, flags, one, two, bytes(range(16)),
        size // BLOCK, 1 << 40, CHUNK, BLOCK, 0, 0,
    )  # fmt: skip
    struct.pack_into(">QQ", image, one, versions[0], 0)
    struct.pack_into(">QQ", image, two, versions[1], 1)
    entries = [0] * (PER + 1)
    for number, (place, content) in chunks.items():
        at = (3 + place) * CHUNK
        entries[number] = (3 if number in partial else 1) << 62 | 3 + place
        image[at : at + len(content)] = content
    for number, states in partial.items():
        for block, state in enumerate(states):
            at = 2 * CHUNK + number * (CHUNK // BLOCK // 4) + block // 4
            image[at] |= state << 2 * (block % 4)
    entries[PER] = (1 << 62 | 2) if bitmap_entry is None else bitmap_entry
    for number, entry in (special or {}).items():
        entries[number] = entry
    struct.pack_into(f">{PER + 1}Q", image, CHUNK, *entries)
    return bytes(image)


def samples() -> list[Sample]:
    """Chunks out of order, one of which three blocks were written, a short end."""
    one, two, half = b"one." * 8192, b"2222" * 8192, b"half" * 256
    chunks = {0: (1, one), 2: (0, two), 3: (2, half)}
    states = [0, 1, 1, 0, 0, 1] + [0] * 58
    size = 3 * CHUNK + 1024
    image = asif(size, chunks, partial={2: states})
    seen = b"".join(two[:BLOCK] if state else bytes(BLOCK) for state in states)
    guest = one + bytes(CHUNK) + seen + half
    borders = (0, 16, 80, 1024, 1040, CHUNK, 2 * CHUNK, 3 * CHUNK, len(image) - CHUNK + 1023)
    return [Sample("partial", {"a.asif": image}, guest, 80, borders)]
