"""cloop images of version 2 written byte by byte from compressed_loop.h and QEMU's cloop.c."""

from __future__ import annotations

import struct
import zlib

from tests.makers.sample import Sample

SCRIPT = b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"


def cloop(guest: bytes, *, block: int = 4096, script: bytes = SCRIPT, level: int = 9) -> bytes:
    """An image of `guest`, a whole number of blocks."""
    parts = [zlib.compress(guest[at : at + block], level) for at in range(0, len(guest), block)]
    offsets = [136 + 8 * (len(parts) + 1)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    head = script.ljust(128, b"\0") + struct.pack(">II", block, len(parts))
    return head + struct.pack(f">{len(offsets)}Q", *offsets) + b"".join(parts)


def samples() -> list[Sample]:
    """Blocks that compress, that do not, and of zeros."""
    noise = zlib.compress(bytes(range(256)) * 64, 1)
    guest = b"one." * 1024 + bytes(8192) + (noise * 20)[:4096] + b"two" * 2000 + bytes(2192 - 1904)
    guest += bytes(-len(guest) % 4096)
    image = cloop(guest)
    borders = (0, 22, 128, 136, 144, 136 + 8 * (len(guest) // 4096 + 1), len(image) - 20)
    odd = b"abc" * 512  # three sectors a block
    return [
        Sample("plain", {"a.cloop": image}, guest, 160, borders),
        Sample("odd blocks", {"a.cloop": cloop(odd * 3, block=1536, level=0)}, odd * 3),
    ]
