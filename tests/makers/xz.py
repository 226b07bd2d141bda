"""xz files: blocks by the standard library, in streams as The .xz File Format 1.2 has them."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Sequence

from tests.makers.gzip import disk
from tests.makers.sample import Sample


def number(value: int) -> bytes:
    """An integer of variable length."""
    digits = []
    while True:
        digits.append(value % 128)
        value //= 128
        if not value:
            return bytes([*(digit | 128 for digit in digits[:-1]), digits[-1]])


def block(plain: bytes, check: int, preset: int = 1) -> tuple[bytes, int]:
    """A block with its padding, and its length without."""
    stream = lzma.compress(plain, lzma.FORMAT_XZ, check, preset=preset)
    index = 4 * struct.unpack_from("<I", stream, len(stream) - 8)[0] + 4
    whole = stream[12 : len(stream) - 12 - index]
    record = stream[len(stream) - 12 - index + 2 :]
    unpadded = shift = 0
    for byte in record:
        unpadded |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    return whole, unpadded


def stream(pieces: Sequence[bytes], check: int = lzma.CHECK_CRC32) -> bytes:
    """A stream of a block a piece."""
    flags = bytes([0, check])
    body, records = b"", b""
    for piece in pieces:
        whole, unpadded = block(piece, check)
        body += whole
        records += number(unpadded) + number(len(piece))
    index = b"\0" + number(len(pieces)) + records
    index += bytes(-len(index) % 4)
    index += struct.pack("<I", zlib.crc32(index))
    head = b"\xfd7zXZ\0" + flags + struct.pack("<I", zlib.crc32(flags))
    tail = struct.pack("<I", len(index) // 4 - 1) + flags
    return head + body + index + struct.pack("<I", zlib.crc32(tail)) + tail + b"YZ"


def samples() -> list[Sample]:
    """One block, many blocks, and several streams with padding behind them."""
    guest = disk(300_000, 3)
    single = lzma.compress(guest, lzma.FORMAT_XZ, preset=0)
    pieces = [guest[at : at + 70_000] for at in range(0, len(guest), 70_000)]
    many = stream(pieces, lzma.CHECK_CRC64)
    row = (
        stream(pieces[:2])
        + bytes(8)
        + stream([])
        + stream(pieces[2:], lzma.CHECK_SHA256)
        + bytes(4)
    )
    inside = (0, 5, 6, 11, 12, 24, len(single) // 2, len(single) - 12, len(single) - 3)
    return [
        Sample("one block", {"a.img.xz": single}, guest, 24, inside),
        Sample("blocks", {"a.img.xz": many}, guest, 12, (12, len(many) - 40, len(many) - 8)),
        Sample("streams", {"a.img.xz": row}, guest),
        Sample("no check", {"a.img.xz": stream(pieces, lzma.CHECK_NONE)}, guest),
        Sample("a set", {"a.img.xz.001": many[:9999], "a.img.xz.002": many[9999:]}, guest),
    ]
