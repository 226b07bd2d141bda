"""zstd files: frames of plain and repeated bytes from RFC 8878 alone, others by the wheel."""

from __future__ import annotations

import struct

import zstandard

from tests.makers.gzip import disk
from tests.makers.sample import Sample

MAGIC = struct.pack("<I", 0xFD2FB528)


def plain_frame(plain: bytes, *, told: bool = True, window: int = 0x48) -> bytes:
    """A frame of blocks as they stand, one that is a run of a byte as such."""
    flags = (2 << 6) if told else 0
    head = MAGIC + bytes([flags, window]) + (struct.pack("<I", len(plain)) if told else b"")
    blocks = b""
    pieces = [plain[at : at + 65536] for at in range(0, len(plain), 65536)] or [b""]
    for row, piece in enumerate(pieces):
        last = row == len(pieces) - 1
        same = bool(piece) and piece == piece[:1] * len(piece)
        header = int(last) | int(same) << 1 | len(piece) << 3
        blocks += header.to_bytes(3, "little") + (piece[:1] if same else piece)
    return head + blocks


def skipped(content: bytes, which: int = 0) -> bytes:
    """A frame to be skipped."""
    return struct.pack("<II", 0x184D2A50 + which, len(content)) + content


def seekable(frames: list[tuple[bytes, int]], *, sums: bool = False) -> bytes:
    """(frame, plain bytes) with a seek table behind them."""
    rows = b"".join(
        struct.pack("<II", len(frame), length) + b"\0\0\0\0" * sums for frame, length in frames
    )
    footer = struct.pack("<IBI", len(frames), 0x80 * sums, 0x8F92EAB1)
    return b"".join(frame for frame, _ in frames) + skipped(rows + footer, 14)


def samples() -> list[Sample]:
    """Frames that tell their length and that do not, with and without a table."""
    guest = disk(300_000, 4)
    single = zstandard.ZstdCompressor(write_checksum=True).compress(guest)
    silent = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True)
    pieces = [guest[:100_000], guest[100_000:100_001], guest[100_001:]]
    row = skipped(b"hello") + plain_frame(pieces[0]) + silent.compress(pieces[1])
    row += skipped(b"") + plain_frame(pieces[2], told=False)
    table = seekable([(zstandard.compress(piece), len(piece)) for piece in pieces], sums=True)
    zeros = bytes(3 << 20)
    inside = (0, 3, 4, 5, 9, 12, len(single) // 2, len(single) - 4, len(single) - 1)
    return [
        Sample("one frame", {"a.img.zst": single}, guest, 12, inside),
        Sample("frames", {"a.img.zst": row}, guest, 30, (len(row) - 3, 100)),
        Sample("seekable", {"a.img.zst": table}, guest, 12, (len(table) // 2,)),
        Sample("repeated", {"a.img.zst": plain_frame(zeros)}, zeros),
        Sample("a set", {"a.img.zst.001": single[:999], "a.img.zst.002": single[999:]}, guest),
    ]
