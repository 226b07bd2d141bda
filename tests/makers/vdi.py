"""VDI images written byte by byte from VirtualBox's VDICore.h, without the package's writer."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.makers.sample import Sample

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


def samples() -> list[Sample]:
    """Blocks out of order and short of a block at the end; zero blocks; fixed; version 0."""
    one, two, half = b"one." * (MIB // 4), b"2222" * (MIB // 4), b"half" * (MIB // 8)
    blocks = {0: (1, one), 2: (0, two), 3: (2, half.ljust(MIB, b"\0"))}
    size = 3 * MIB + MIB // 2
    guest = one + bytes(MIB) + two + half
    dynamic = vdi(size, blocks)
    borders = (0, 64, 72, 400, 512, 520, 4096, 4096 + MIB, len(dynamic) - MIB // 2 - 1)
    filled = {i: (i, guest[i * MIB : (i + 1) * MIB].ljust(MIB, b"\0")) for i in range(4)}
    return [
        Sample("dynamic", {"a.vdi": dynamic}, guest, 400, borders),
        Sample("zeroed", {"a.vdi": vdi(size, blocks, special={1: 0xFFFFFFFE})}, guest),
        Sample("extra", {"a.vdi": vdi(size, blocks, extra=512)}, guest),
        Sample("fixed", {"a.vdi": vdi(size, filled, kind=2)}, guest),
        Sample("version 0", {"a.vdi": vdi(size, blocks, version=1)}, guest),
    ]
