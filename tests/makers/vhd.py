"""VHD images written byte by byte from Microsoft's specification, without the package's writer."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from tests.makers.sample import Sample

MIB = 1 << 20
BLOCK = 2 * MIB
NOWHERE = (1 << 64) - 1
UUID = bytes(range(1, 17))


def summed(raw: bytes, at: int) -> bytes:
    """`raw` with the ones' complement of the sum of its bytes at `at`."""
    clear = raw[:at] + bytes(4) + raw[at + 4 :]
    return clear[:at] + struct.pack(">I", 0xFFFFFFFF - sum(clear)) + clear[at + 4 :]


def footer(
    size: int, kind: int, *, creator: bytes = b"win ", geometry: tuple[int, int, int] = (9, 4, 17),
    uuid: bytes = UUID, saved: int = 0, version: int = 0x10000, time: int = 600_000_000,
    header_at: int | None = None, original: int | None = None,
) -> bytes:  # fmt: skip
    """The 512 bytes that end an image."""
    at = NOWHERE if kind == 2 else 512
    raw = b"conectix" + struct.pack(
        ">IIQI", 2, version, at if header_at is None else header_at, time
    )
    raw += creator + struct.pack(">I4s", 0xA0000, b"Wi2k")
    raw += struct.pack(">QQ", size if original is None else original, size)
    raw += struct.pack(">HBBII", *geometry, kind, 0) + uuid + bytes([saved])
    return summed(raw.ljust(512, b"\0"), 64)


def fixed(content: bytes, **how: object) -> bytes:
    """The content and its footer."""
    return content + footer(len(content), 2, **how)  # type: ignore[arg-type]  # the caller's words


def bitmap(present: Sequence[int], block: int) -> bytes:
    """A bit a sector, the most significant first; `present` are the numbers of sectors."""
    bits = bytearray(max(512, -(-block // 512 // 8 // 512) * 512))
    for sector in present:
        bits[sector // 8] |= 0x80 >> sector % 8
    return bytes(bits)


def sparse(
    size: int, blocks: Mapping[int, tuple[int, bytes]], *, block: int = BLOCK, kind: int = 3,
    present: Mapping[int, Sequence[int]] | None = None, special: Mapping[int, int] | None = None,
    entries: int | None = None, parent: tuple[bytes, int, str] = (bytes(16), 0, ""),
    locators: Sequence[tuple[bytes, bytes]] = (), tail: bool = True, copy: bytes | None = None,
    end: bytes | None = None, lead: int = 0, **how: object,
) -> bytes:  # fmt: skip
    """A dynamic (3) or differencing (4) disk; `blocks` maps a block to (stored index, content).

    `present` gives the sectors of a block whose bits are set, all where it does not name it;
    `lead` bytes lie unused before the first stored block.
    """
    count = -(-size // block) if entries is None else entries
    table = [0xFFFFFFFF] * count
    uuid, time, name = parent
    raw = b"cxsparse" + struct.pack(">QQIIII", NOWHERE, 1536, 0x10000, count, block, 0)
    raw += uuid + struct.pack(">II", time, 0) + name.encode("utf-16-be").ljust(512, b"\0")
    at = 1536 + -(-4 * count // 512) * 512
    names = b""
    for platform, text in locators:
        raw += struct.pack(">4sIIIQ", platform, 512, len(text), 0, at + len(names))
        names += text.ljust(512, b"\0")
    header = summed(raw.ljust(1024, b"\0"), 36)
    first = at + len(names) + lead
    bits = len(bitmap((), block))
    stored = max((place + 1 for place, _ in blocks.values()), default=0)
    image = bytearray(first + stored * (bits + block))
    for index, (place, content) in blocks.items():
        table[index] = (first + place * (bits + block)) // 512
        to = first + place * (bits + block)
        sectors = range(block // 512) if present is None or index not in present else present[index]
        image[to : to + bits] = bitmap(sectors, block)
        image[to + bits : to + bits + len(content)] = content
    for index, entry in (special or {}).items():
        table[index] = entry
    foot = footer(size, kind, **how)  # type: ignore[arg-type]  # the caller's words
    image[:512] = foot if copy is None else copy
    image[512:1536] = header
    image[1536 : 1536 + 4 * count] = struct.pack(f">{count}I", *table)
    image[1536 + 4 * count : at] = b"\xff" * (at - 1536 - 4 * count)
    image[at : at + len(names)] = names
    if tail:
        image += foot if end is None else end
    return bytes(image)


def samples() -> list[Sample]:
    """Fixed; blocks out of order, one short; a bitmap with clear bits; small blocks; 511 bytes."""
    one, half = b"one." * (BLOCK // 4), b"half" * (MIB // 4)
    content = bytes(range(256)) * 40
    size = 3 * BLOCK + MIB
    guest = one + bytes(BLOCK) + one[::-1] + half
    blocks = {0: (1, one), 2: (0, one[::-1]), 3: (2, half.ljust(BLOCK, b"\0"))}
    dynamic = sparse(size, blocks)
    borders = (0, 512, 1536, 2048, 2560, 2048 + BLOCK, len(dynamic) - 512, len(dynamic) - BLOCK)
    small = {i: (2 - i, bytes([65 + i]) * 4096) for i in range(3)}
    parts = b"A" * 512 + bytes(1024) + b"A" * 2560 + b"B" * 4096 + b"C" * 512 + bytes(2560)
    partial = sparse(
        11264, small, block=4096, present={0: [0, 3, 4, 5, 6, 7], 2: [0, 6, 7]},
    )  # fmt: skip
    edge = (len(content) - 1, len(content), len(content) + 510)
    return [
        Sample("dynamic", {"a.vhd": dynamic}, guest, 100, borders),
        Sample("fixed", {"a.vhd": fixed(content)}, content, 0, edge),
        Sample("short footer", {"a.vhd": fixed(content)[:-1]}, content),
        Sample("bitmaps", {"a.vhd": partial}, parts, 600, (2048, 2560, 6656, 11264)),
    ]
