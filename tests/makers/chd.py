"""CHD files written byte by byte from what is known of the format, without the package's writer."""

from __future__ import annotations

import hashlib
import struct
import zlib
from binascii import crc_hqx
from collections.abc import Sequence

from tests.makers import frames
from tests.makers.iso import volume
from tests.makers.sample import Sample

HUNK, UNIT = 4096, 512
NOBODY = bytes(20)
Coded = tuple[int, bytes | int]
"""A hunk: (0 to 3, its coded bytes), (4, its bytes), (5, a hunk), (6, a unit of the parent), or one
of the map's own words for copies and parts: (9 to 13, 0)."""


def deflated(plain: bytes) -> bytes:
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(plain) + coder.flush()


def crc(plain: bytes) -> int:
    return crc_hqx(plain, 0xFFFF)


def listed(entries: Sequence[tuple[bytes, int, bytes]], at: int) -> bytes:
    """Metadata one behind the other, the first at `at`: tag, flags, data."""
    out = b""
    for i, (tag, flags, data) in enumerate(entries):
        after = 0 if i == len(entries) - 1 else at + len(out) + 16 + len(data)
        out += tag + struct.pack(">I", flags << 24 | len(data)) + struct.pack(">Q", after) + data
    return out


def sums(guest: bytes, entries: Sequence[tuple[bytes, int, bytes]]) -> tuple[bytes, bytes]:
    """The SHA-1 of the guest, and that of it and the metadata that count."""
    raw = hashlib.sha1(guest).digest()
    rows = sorted(tag + hashlib.sha1(data).digest() for tag, flags, data in entries if flags & 1)
    return raw, hashlib.sha1(raw + b"".join(rows)).digest()


def head5(
    size: int, map_at: int, meta_at: int, *, tags: Sequence[bytes], hunk: int, unit: int,
    shas: tuple[bytes, bytes] = (NOBODY, NOBODY), parent: bytes = NOBODY,
) -> bytes:  # fmt: skip
    codecs = b"".join(tags).ljust(16, b"\0")
    return (
        b"MComprHD" + struct.pack(">II", 124, 5) + codecs
        + struct.pack(">QQQII", size, map_at, meta_at, hunk, unit) + shas[0] + shas[1] + parent
    )  # fmt: skip


def plain5(
    guest: bytes, *, entries: Sequence[tuple[bytes, int, bytes]] = (), hunk: int = HUNK,
    unit: int = UNIT, parent: bytes = NOBODY, absent: Sequence[int] = (),
) -> bytes:  # fmt: skip
    """Version 5, nothing compressed: hunks of zeros, and `absent` ones, are not stored."""
    count = -(-len(guest) // hunk)
    meta_at = 124 + 4 * count
    meta = listed(entries, meta_at)
    out = bytearray(-(-(meta_at + len(meta)) // hunk) * hunk)
    table = []
    for i in range(count):
        block = guest[i * hunk : (i + 1) * hunk].ljust(hunk, b"\0")
        if i in absent or (parent == NOBODY and not any(block)):
            table.append(0)
            continue
        table.append(len(out) // hunk)
        out += block
    head = head5(
        len(guest), 124, meta_at if meta else 0, tags=(), hunk=hunk, unit=unit, parent=parent
    )
    out[:124] = head
    out[124:meta_at] = struct.pack(f">{count}I", *table)
    out[meta_at : meta_at + len(meta)] = meta
    return bytes(out)


def map5(coded: Sequence[Coded], plain: Sequence[bytes], first: int, units: int = 8) -> bytes:
    """The compressed map: every word of the map has a code of four bits, its own number."""
    bits, details, rows, at = "0100" * 16, "", b"", first
    own = parent = 0
    for i, (kind, value) in enumerate(coded):
        bits += f"{kind:04b}"
        length, check, place = 0, 0, at
        if kind <= 4:
            assert isinstance(value, bytes)
            length, check = len(value), crc(plain[i])
            details += (f"{length:016b}" if kind < 4 else "") + f"{check:016b}"
            at += length
        elif kind == 5:
            place = own = int(value)
            details += f"{own:012b}"
        elif kind == 6:
            place = parent = int(value)
            details += f"{parent:020b}"
        elif kind in (9, 10):
            place = own = own + kind - 9
        else:
            parent = i * units if kind == 11 else parent + (units if kind == 13 else 0)
            place = parent
        stored = kind if kind <= 6 else 5 if kind < 11 else 6
        rows += bytes([stored]) + length.to_bytes(3, "big") + place.to_bytes(6, "big")
        rows += check.to_bytes(2, "big")
    text = bits + details
    text += "0" * (-len(text) % 8)
    body = int(text, 2).to_bytes(len(text) // 8, "big")
    head = struct.pack(">I", len(body)) + first.to_bytes(6, "big") + struct.pack(">H", crc(rows))
    return head + bytes([16, 12, 20, 0]) + body


def coded5(
    guest: bytes, coded: Sequence[Coded], *, tags: Sequence[bytes] = (b"zlib",),
    entries: Sequence[tuple[bytes, int, bytes]] = (), hunk: int = HUNK, unit: int = UNIT,
    parent: bytes = NOBODY, crcs: Sequence[bytes] | None = None,
) -> bytes:  # fmt: skip
    """Version 5, compressed: hunks as `coded` has them, the map and the metadata behind them."""
    plain = [guest[i : i + hunk].ljust(hunk, b"\0") for i in range(0, len(guest), hunk)]
    body = b"".join(value for _, value in coded if isinstance(value, bytes))
    map_at = 124 + len(body)
    table = map5(coded, crcs or plain, 124, hunk // unit)
    meta_at = map_at + len(table)
    meta = listed(entries, meta_at)
    head = head5(
        len(guest), map_at, meta_at if meta else 0, tags=tags, hunk=hunk, unit=unit,
        shas=sums(guest, entries), parent=parent,
    )  # fmt: skip
    return head + body + table + meta


def old(
    guest: bytes, kinds: Sequence[tuple[int, int]], *, version: int = 4, hunk: int = HUNK,
    entries: Sequence[tuple[bytes, int, bytes]] = (), parent: bytes = NOBODY,
) -> bytes:  # fmt: skip
    """Versions 3 and 4: a row of 16 bytes a hunk. Kind 1 is compressed, 2 plain, 3 a pattern of 8
    bytes, 4 a copy of hunk `value`, 5 hunk `value` of the parent."""
    length = 120 if version == 3 else 108
    rows, body, at = b"", b"", length + 16 * len(kinds) + 16
    for i, (kind, value) in enumerate(kinds):
        plain = guest[i * hunk : (i + 1) * hunk].ljust(hunk, b"\0")
        stored = {1: deflated(plain), 2: plain}.get(kind, b"")
        place = {3: int.from_bytes(plain[:8], "big"), 4: value, 5: value}.get(kind, at + len(body))
        rows += struct.pack(">QIHBB", place, zlib.crc32(plain), len(stored) & 0xFFFF,
                            len(stored) >> 16, kind)  # fmt: skip
        body += stored
    meta_at = at + len(body)
    meta = listed(entries, meta_at)
    raw, total = sums(guest, entries)
    head = b"MComprHD" + struct.pack(">IIIII", length, version, parent != NOBODY, 1, len(kinds))
    head += struct.pack(">QQ", len(guest), meta_at if meta else 0)
    if version == 3:
        head += hashlib.md5(guest).digest() + bytes(16) + struct.pack(">I", hunk) + raw + parent
    else:
        head += struct.pack(">I", hunk) + total + parent + raw
    return head + rows + b"EndOfListCookie\0" + body + meta


def units(tracks: Sequence[tuple[bytes, int, bytes | None]]) -> bytes:
    """Frames of so many bytes as units of 2448, each track filled up to four; 96 of subchannel."""
    out = b""
    for content, size, sub in tracks:
        count = len(content) // size
        for i in range(count):
            behind = sub[i * 96 : (i + 1) * 96] if sub else bytes(96)
            out += content[i * size : (i + 1) * size].ljust(2352, b"\0") + behind
        out += bytes(-count % 4 * 2448)
    return out


def swapped(sound: bytes) -> bytes:
    out = bytearray(sound)
    out[0::2], out[1::2] = sound[1::2], sound[0::2]
    return bytes(out)


def track(number: int, kind: str, count: int, more: str | None = None, sub: str = "NONE") -> bytes:
    """The text of a track; `more` is what CHT2 has and CHTR lacks."""
    text = f"TRACK:{number} TYPE:{kind} SUBTYPE:{sub} FRAMES:{count}"
    if more is not None:
        text += f" {more}" if more else " PREGAP:0 PGTYPE:MODE1 PGSUB:NONE POSTGAP:0"
    return text.encode() + b"\0"


def cd_hunk(plain: bytes, *, mend: bool) -> bytes:
    """A hunk as `cdzl` has it; `mend`: whole data frames have no sync and parity."""
    count, marks, main, sub = len(plain) // 2448, 0, b"", b""
    for i in range(count):
        frame = plain[i * 2448 : i * 2448 + 2352]
        sub += plain[i * 2448 + 2352 : (i + 1) * 2448]
        if mend and frame[:12] == frames.SYNC:
            marks |= 1 << i
            frame = bytes(12) + frame[12:2076] + bytes(276)
        main += frame
    coded = deflated(main)
    head = marks.to_bytes((count + 7) // 8, "little")
    return head + len(coded).to_bytes(2 if len(plain) < 65536 else 3, "big") + coded + deflated(sub)


def samples() -> list[Sample]:
    """Every version and word of the maps; a disk, a disc with sound, cooked sectors."""
    numbers = frames.sectors(12, seed=5)
    guest = b"".join(
        [numbers[0] * 2, bytes(4096), numbers[1] * 2, bytes(4096), b"ABCDEFGH" * 512, numbers[2]]
    )
    disk = [(b"GDDD", 1, b"CYLS:5,HEADS:1,SECS:1,BPS:512\0")]
    coded: list[Coded] = [
        (0, deflated(guest[:4096])), (4, bytes(4096)), (0, deflated(guest[8192:12288])),
        (5, 1), (4, guest[16384:20480]), (0, deflated(numbers[2].ljust(4096, b"\0"))),
    ]  # fmt: skip
    packed = coded5(guest, coded, entries=disk)
    rows = [(1, 0), (3, 0), (2, 0), (4, 1), (3, 0), (1, 0)]
    user = volume()
    count = len(user) // 2048
    data = b"".join(frames.mode1(user[i * 2048 : (i + 1) * 2048], i) for i in range(count))
    sound = frames.audio(9)
    mixed = units([(data, 2352, None), (swapped(sound), 2352, bytes(range(96)) * 9)])
    told = [
        (b"CHT2", 1, track(1, "MODE1_RAW", count, "")),
        (
            b"CHT2",
            1,
            track(2, "AUDIO", 9, "PREGAP:3 PGTYPE:VAUDIO PGSUB:RW_RAW POSTGAP:0", "RW_RAW"),
        ),
    ]
    parts = [mixed[i : i + 19584].ljust(19584, b"\0") for i in range(0, len(mixed), 19584)]
    disc = coded5(
        mixed, [(0, cd_hunk(one, mend=True)) for one in parts], tags=(b"cdzl",), entries=told,
        hunk=19584, unit=2448,
    )  # fmt: skip
    cooked = units([(user, 2048, None)])
    old_track = [(b"CHTR", 1, track(1, "MODE1", count))]
    return [
        Sample("packed", {"a.chd": packed}, guest, 124, (16, 124, 130, len(packed) - 50)),
        Sample("plain", {"a.chd": plain5(guest)}, guest, 124, (124, 140, 4096, 8191)),
        Sample("version 4", {"a.chd": old(guest, rows, entries=disk)}, guest, 108),
        Sample("version 3", {"a.chd": old(guest, rows, version=3)}, guest, 120),
        Sample("disc", {"a.chd": disc}, user),
        Sample("cooked", {"a.chd": plain5(cooked, entries=old_track, hunk=9792, unit=2448)}, user),
    ]
