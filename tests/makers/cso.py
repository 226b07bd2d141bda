"""CSO, ZSO and DAX images written from their layouts, LZ4 blocks included, with no code of ours."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Collection

from tests.makers.iso import volume
from tests.makers.sample import Sample

Coder = Callable[[bytes], bytes]


def deflated(plain: bytes) -> bytes:
    """Raw deflate."""
    coder = zlib.compressobj(9, wbits=-15)
    return coder.compress(plain) + coder.flush()


def lz4(plain: bytes) -> bytes:
    """An LZ4 block: matches that a table of four bytes' places finds, and literals at last."""
    out, places = bytearray(), dict[bytes, int]()
    at = begin = 0
    while at < len(plain) - 12:  # the last match begins 12 bytes before the end, or earlier
        four = plain[at : at + 4]
        found = places.get(four, -1)
        places[four] = at
        if found < 0 or at - found > 65535:
            at += 1
            continue
        length = 4
        while at + length < len(plain) - 5 and plain[at + length] == plain[found + length]:
            length += 1
        token = min(15, at - begin) << 4 | min(15, length - 4)
        out += bytes([token]) + _more(at - begin) + plain[begin:at]
        out += struct.pack("<H", at - found) + _more(length - 4)
        at += length
        begin = at
    rest = plain[begin:]
    return bytes(out + bytes([min(15, len(rest)) << 4]) + _more(len(rest)) + rest)


def _more(length: int) -> bytes:
    """The bytes of a length behind its four bits."""
    if length < 15:
        return b""
    return b"\xff" * ((length - 15) // 255) + bytes([(length - 15) % 255])


def cso(
    guest: bytes,
    *,
    magic: bytes = b"CISO",
    version: int = 1,
    chunk: int = 2048,
    shift: int = 0,
    header: int = 24,
    plain: Collection[int] = (),
    other: Collection[int] = (),
    gap: bytes = b"",
) -> bytes:
    """A CSO or ZSO: chunks of `plain` are stored, those of `other` (version 2) are LZ4 blocks.

    Chunks that a codec does not make smaller are stored too. `gap` stands before the first one.
    """
    count = -(-len(guest) // chunk)
    out = bytearray(24 + 4 * (count + 1)) + gap
    entries = []
    for number in range(count):
        out += bytes(-len(out) % (1 << shift))
        part = guest[chunk * number : chunk * number + chunk]
        by_lz4 = magic == b"ZISO" or number in other
        coded = lz4(part) if by_lz4 else deflated(part)
        stored = number in plain or len(coded) >= len(part)
        out_at = len(out) >> shift
        out += part if stored else coded
        flag = by_lz4 and not stored if version == 2 else stored
        entries.append(out_at | flag << 31)
    out += bytes(-len(out) % (1 << shift))
    entries.append(len(out) >> shift)
    out[:24] = struct.pack("<4sIQIBBH", magic, header, len(guest), chunk, version, shift, 0)
    out[24 : 24 + 4 * len(entries)] = struct.pack(f"<{len(entries)}I", *entries)
    return bytes(out)


def dax(guest: bytes, *, version: int = 1, areas: Collection[tuple[int, int]] = ()) -> bytes:
    """A DAX: chunks in `areas` (first, count) are stored, which version 1 tells."""
    count = -(-len(guest) // 8192)
    stored = {first + i for first, chunks in areas for i in range(chunks)}
    parts = [guest[8192 * i : 8192 * i + 8192] for i in range(count)]
    coded = [part if i in stored else zlib.compress(part) for i, part in enumerate(parts)]
    table = 32 + 6 * count + 8 * len(areas)
    places = [table + sum(map(len, coded[:i])) for i in range(count)]
    head = struct.pack("<4sIII16x", b"DAX\0", len(guest), version, len(areas))
    head += struct.pack(f"<{count}I", *places) + struct.pack(f"<{count}H", *map(len, coded))
    head += b"".join(struct.pack("<II", *area) for area in areas)
    return head + b"".join(coded)


def content() -> bytes:
    """A volume; then zeros, text, noise: whole sectors."""
    noise = random.Random(9).randbytes(16384)
    text = b"".join(b"verse %d of a song\n" % i for i in range(2000))[:30720]
    return volume(32) + bytes(16384) + text + noise + text[:6144]


def samples() -> list[Sample]:
    """Each version, codec, chunk size and unit of offsets."""
    guest = content()
    first = cso(guest, plain=(3, 20))
    images = {
        "version 1": first,
        "version 0, no header size": cso(guest, version=0, header=0),
        "large chunks": cso(guest, chunk=16384),
        "offsets in units": cso(guest, shift=3, plain=(1, 2)),
        "a gap before the chunks": cso(guest, gap=bytes(100)),
        "zso": cso(guest, magic=b"ZISO"),
        "zso in units": cso(guest, magic=b"ZISO", shift=2, chunk=4096),
        "version 2": cso(guest, version=2, other=range(0, 60, 2), plain=range(30, 35)),
        "dax": dax(guest, version=0),
        "dax with plain areas": dax(guest, areas=((0, 1), (4, 3))),
    }
    borders = (0, 4, 24, 24 + 4 * 20, len(first) - 5)
    return [
        Sample(label, {"a.cso": image}, guest, *((24, borders) if label == "version 1" else ()))
        for label, image in images.items()
    ]
