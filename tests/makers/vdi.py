"""VDI images written byte by byte from VirtualBox's VDICore.h, without the package's writer."""

from __future__ import annotations

import struct
from collections.abc import Mapping

MIB = 1 << 20
IMAGE, MODIFIED = bytes(range(16)), bytes(range(16, 32))


def vdi(
    size: int,
    blocks: Mapping[int, tuple[int, bytes]],
    *,
    block: int = MIB,
    special: Mapping[int, int] | None = None,
    kind: int = 1,
    extra: int = 0,
    version: int = 0x00010001,
    parent: tuple[bytes, bytes] = (bytes(16), bytes(16)),
    uuids: tuple[bytes, bytes] = (IMAGE, MODIFIED),
    map_at: int = 512,
    data_at: int = 4096,
) -> bytes:
    """An image of `size` guest bytes; `blocks` maps a guest block to (stored index, content)."""
    count = -(-size // block)
    table = [0xFFFFFFFF] * count
    for index, (place, _) in blocks.items():
        table[index] = place
    for index, entry in (special or {}).items():
        table[index] = entry
    head = b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0")
    head += struct.pack("<II", 0xBEDA107F, version)
    if version >> 16:
        head += struct.pack("<III256x", 400, kind, 0)
        head += struct.pack("<II", map_at, data_at)
        head += struct.pack("<IIIII", 0, 0, 0, 512, 0)
        head += struct.pack("<QIIII", size, block, extra, count, len(blocks))
        head += uuids[0] + uuids[1] + parent[0] + parent[1] + struct.pack("<IIII", 0, 0, 0, 512)
    else:
        head += struct.pack("<II256x", kind, 0)
        head += struct.pack("<IIII", 0, 0, 0, 512)
        head += struct.pack("<QIII", size, block, count, len(blocks))
        head += uuids[0] + uuids[1] + parent[0]
        map_at, data_at = len(head), len(head) + 4 * count
    stored = max((place + 1 for place, _ in blocks.values()), default=0)
    image = bytearray(max(data_at, map_at + 4 * count) + stored * (block + extra))
    image[: len(head)] = head
    image[map_at : map_at + 4 * count] = struct.pack(f"<{count}I", *table)
    for place, content in blocks.values():
        at = data_at + place * (block + extra) + extra
        image[at : at + len(content)] = content
    return bytes(image)
