"""CD-TEXT packs made by hand, with the CRC of MMC."""

from __future__ import annotations

from collections.abc import Sequence


def crc16(content: bytes) -> bytes:
    """Polynomial 0x1021 from 0, inverted, high byte first: of Q and of CD-Text packs."""
    value = 0
    for byte in content:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x1021 if value & 0x8000 else 0)) & 0xFFFF
    return (value ^ 0xFFFF).to_bytes(2, "big")


def titles(names: Sequence[str], performers: Sequence[str] = ()) -> bytes:
    """CD-Text packs of one English block: the disc's first, then each track's, and sizes (0x8F)."""
    kinds = [(0x80, names)] + ([(0x81, performers)] if performers else [])
    packs: list[bytes] = []
    counts = [0] * 16
    for kind, texts in kinds:
        whole = b"".join(text.encode("latin-1") + b"\0" for text in texts)
        for at in range(0, len(whole), 12):
            track = whole[:at].count(0)
            begun = at - (whole.rfind(b"\0", 0, at) + 1)
            head = bytes((kind, track, len(packs), min(15, begun)))
            packs.append(head + whole[at : at + 12].ljust(12, b"\0"))
            counts[kind - 0x80] += 1
    counts[15] = 3
    last = len(packs) + 2
    sizes = bytes((0, 1, len(names) - 1, 0, *counts, last, *bytes(7), 9, *bytes(7)))
    for part in range(3):
        head = bytes((0x8F, part, len(packs), 0))
        packs.append(head + sizes[12 * part : 12 * part + 12])
    return b"".join(pack + crc16(pack) for pack in packs)
