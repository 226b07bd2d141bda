"""Bochs growing images written byte by byte from hdimage.h and QEMU's bochs.c."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping

from tests.makers.sample import Sample

EXTENT = 4096


def bochs(
    size: int,
    extents: Mapping[int, tuple[int, bytes]],
    *,
    present: Mapping[int, Collection[int]] | None = None,
    version: int = 2,
    extent: int = EXTENT,
    bitmap: int = 1,
    subtype: bytes = b"Growing",
    entries: int | None = None,
    special: Mapping[int, int] | None = None,
) -> bytes:
    """An image of `size` guest bytes; `extents` maps an extent to (stored index, content).

    `present` are the sectors of an extent whose bit is set; all of them where it is not named.
    """
    count = -(-size // extent) if entries is None else entries
    catalog = [0xFFFFFFFF] * count
    room = -(-bitmap // 512) * 512
    data_at, pitch = 512 + 4 * count, room + extent
    stored = max((place + 1 for place, _ in extents.values()), default=0)
    image = bytearray(data_at + stored * pitch)
    head = struct.pack("<32s16s16sII", b"Bochs Virtual HD Image", b"Redolog", subtype,
                       version << 16, 512)  # fmt: skip
    head += struct.pack("<III", count, bitmap, extent)
    head += struct.pack("<IQ", 77, size) if version == 2 else struct.pack("<Q", size)
    image[: len(head)] = head
    for number, (place, content) in extents.items():
        catalog[number] = place
        at = data_at + place * pitch
        for sector in (present or {}).get(number, range(extent // 512)):
            image[at + sector // 8] |= 1 << sector % 8
        image[at + room : at + room + len(content)] = content
    for number, entry in (special or {}).items():
        catalog[number] = entry
    struct.pack_into(f"<{count}I", image, 512, *catalog)
    return bytes(image)


def samples() -> list[Sample]:
    """Extents out of order, sectors that are not there, both versions, a short end."""
    one, two, half = b"one." * 1024, b"2222" * 1024, b"half" * 256
    extents = {0: (1, one), 2: (0, two), 3: (2, half)}
    present = {2: [1, 2, 7]}
    size = 3 * EXTENT + 1024
    seen = b"".join(two[:512] if s in present[2] else bytes(512) for s in range(8))
    guest = one + bytes(EXTENT) + seen + half
    image = bochs(size, extents, present=present)
    borders = (0, 32, 64, 96, 512, 528, 1040, len(image) - EXTENT + 1023)
    old = bochs(size, extents, present=present, version=1)
    return [
        Sample("version 2", {"a.bochs": image}, guest, 96, borders),
        Sample("version 1", {"a.bochs": old}, guest, 92),
    ]
