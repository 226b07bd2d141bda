"""MDX and MDS of version 2 taken apart with no code of ours: AES by the wheel's CBC and ECB."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.makers.mdx import derived, times, xor


class Found(NamedTuple):
    """The stored frames of a track in clear, and what its row, lengths and footer say."""

    point: int
    mode: int
    subchannel: int
    pitch: int
    lba: int
    first: int
    lengths: tuple[int, int]
    flags: int
    frames: bytes


def chained(key: bytes, data: bytes) -> bytes:
    bare = xor(data, key[8:16] * (len(data) // 8))
    return Cipher(algorithms.AES(key[32:64]), modes.CBC(key[:16])).decryptor().update(bare)


def tweaked(key: bytes, number: int, data: bytes) -> bytes:
    whole = len(data) - len(data) % 16
    tweak = int.from_bytes(key[:16], "big")
    masks = b"".join(times(tweak, number + i).to_bytes(16, "big") for i in range(whole // 16))
    aes = Cipher(algorithms.AES(key[32:64]), modes.ECB()).decryptor()
    return xor(aes.update(xor(data[:whole], masks)), masks) + data[whole:]


def descriptor(main: bytes) -> bytes:
    """The descriptor of a file, in clear, every length held against what is there."""
    assert main[:17] == b"MEDIA DESCRIPTOR\x02"
    (header_at,) = struct.unpack_from("<I", main, 44)
    start = 48
    if header_at == 0xFFFFFFFF:
        start, length = struct.unpack_from("<QQ", main, 48)
        header_at = start + length - 64
    data, header = main[start:header_at], main[header_at:]
    assert len(header) == 512
    keys, coded, plain = opened(chained(derived(header[:64], None), header[64:]))
    assert -(-coded // 16) * 16 == len(data)
    bare = b"".join(chained(keys, data[at : at + 512]) for at in range(0, len(data), 512))
    found = main[:18] + zlib.decompress(bare[:coded])
    assert len(found) == plain + 18
    return found


def opened(secret: bytes) -> tuple[bytes, int, int]:
    checksum, magic, one, length, zero = struct.unpack_from("<IIHHI", secret)
    assert (magic, one, length, zero) == (0x54525545, 1, 256, 0)
    keys = secret[16:272]
    assert zlib.crc32(keys) == checksum
    assert not any(secret[280:])
    coded, plain = struct.unpack_from("<II", secret, 272)
    return keys, coded, plain


def tracks(main: bytes, part: bytes | None = None, password: str | None = None) -> list[Found]:
    """Every track of a file; `part` is the data file of an MDS."""
    told, data = descriptor(main), main if part is None else part
    (keys_at,) = struct.unpack_from("<I", told, 88)
    keys = None
    if keys_at:
        header = told[keys_at : keys_at + 512]
        assert len(header) == 512
        keys, _, _ = opened(tweaked(derived(header[:64], password), 1, header[64:]))
    medium, sessions = struct.unpack_from("<HH", told, 18)
    (at,) = struct.unpack_from("<I", told, 80)
    found = []
    for i in range(sessions):
        rows, _, _, _, rows_at = struct.unpack_from("<BBHH4xI", told, at + 32 * i + 10)
        for row in range(rows):
            place = rows_at + 80 * row
            if 1 <= told[place + 4] <= 99:
                found.append(track(told, place, data, keys, dvd=medium >= 3))
    return found


def track(told: bytes, at: int, data: bytes, keys: bytes | None, *, dvd: bool) -> Found:
    mode, sub, point = told[at], told[at + 1] >> 3, told[at + 4]
    extra_at, pitch, words = struct.unpack_from("<IHB", told, at + 12)
    lba, place, count, footer_at, first, long = struct.unpack_from("<IQIIQQ", told, at + 36)
    assert count == 1
    lengths = (0, long)
    if not dvd:
        assert words == 2
        lengths = struct.unpack_from("<II", told, extra_at)
    name_at, flags, group, frames, table = struct.unpack_from("<IB7xIQQ", told, footer_at)
    if name_at:
        name, _, _ = told[name_at:].decode("utf-16-le", "replace").partition("\0")
        assert name == "*.mdf"
    size = frames * pitch
    if flags & 1:
        content = groups(data, place, table, size, pitch, group, keys)
    else:
        content = data[place : place + size]
        if keys is not None:
            content = b"".join(
                tweaked(keys, 1 + i * (pitch // 16), content[i * pitch : (i + 1) * pitch])
                for i in range(frames)
            )
    assert len(content) == size
    return Found(point, mode, sub, pitch, lba, first, lengths, flags, content)


def groups(
    data: bytes, at: int, table: int, size: int, pitch: int, group: int, keys: bytes | None
) -> bytes:
    count = -(-size // (group * pitch))
    entries = struct.unpack(f"<{count}H", zlib.decompressobj().decompress(data[at + table :]))
    out, place = b"", at
    for number, entry in enumerate(entries):
        want = min(group * pitch, size - len(out))
        if entry & 0x8000:
            out += bytes([entry & 0xFF]) * want
            continue
        stored = data[place : place + (entry or want)]
        place += len(stored)
        if keys is not None:
            stored = tweaked(keys, 1 + number * group * (pitch // 16), stored)
        out += zlib.decompressobj(-15).decompress(stored)[:want] if entry else stored
    assert place == at + table, "groups lie one behind the other up to their table"
    return out
