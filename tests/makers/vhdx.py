"""VHDX images written byte by byte from [MS-VHDX], without the package's reader or writer."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from uuid import UUID

from tests.makers.sample import Sample

MIB = 1 << 20
BAT_ROW = "2dc27766-f623-4200-9d64-115e9bfd4a08"
META_ROW = "8b7ca206-4790-4b9a-b8fe-575f050f886e"
PARAMETERS = "caa16737-fa36-4d43-b3b6-33f0aa44e76b"
SIZE = "2fa54224-cd1b-4876-b211-5dbed83bf4b8"
DISK_ID = "beca12ab-b2e6-4523-93ef-c309e000c746"
LOGICAL = "8141bf1d-a96f-4709-ba47-f233a8faab5f"
PHYSICAL = "cda348c7-445d-4471-9cc9-e9885251c556"
LOCATOR = "a8d35f2d-b30b-454d-abf7-d3d84834ab0c"
LOCATOR_TYPE = "b04aefb7-d19e-4a81-b789-25b8e9445913"
CONTENT = "00112233-4455-6677-8899-aabbccddeeff"
LOG = "10111213-1415-1617-1819-1a1b1c1d1e1f"
NONE = "00000000-0000-0000-0000-000000000000"
LOG_AT, META_AT, BAT_AT, FIRST = MIB, 2 * MIB, 3 * MIB, 4 * MIB

_TABLE = []
for _value in range(256):
    for _ in range(8):
        _value = _value >> 1 ^ (0x82F63B78 if _value & 1 else 0)
    _TABLE.append(_value)


def crc(raw: bytes) -> int:
    """CRC-32C, a byte at a time; RFC 3720 B.4."""
    value = 0xFFFFFFFF
    for byte in raw:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def guid(text: str) -> bytes:
    return UUID(text).bytes_le


def summed(raw: bytes) -> bytes:
    """`raw` with its sum at 4."""
    clear = raw[:4] + bytes(4) + raw[8:]
    return clear[:4] + struct.pack("<I", crc(clear)) + clear[8:]


def header(
    sequence: int, *, log: str = NONE, content: str = CONTENT, version: int = 1,
    log_version: int = 0, log_length: int = MIB,
) -> bytes:  # fmt: skip
    """The 4 KiB of a header."""
    raw = b"head" + bytes(4) + struct.pack("<Q", sequence) + guid(LOCATOR) + guid(content)
    raw += guid(log) + struct.pack("<HHIQ", log_version, version, log_length, LOG_AT)
    return summed(raw.ljust(4096, b"\0"))


def regions(rows: Sequence[tuple[str, int, int, int]], count: int | None = None) -> bytes:
    """The 64 KiB of a region table."""
    raw = b"regi" + struct.pack("<III", 0, len(rows) if count is None else count, 0)
    raw += b"".join(guid(kind) + struct.pack("<QII", *rest) for kind, *rest in rows)
    return summed(raw.ljust(65536, b"\0"))


REGIONS = regions([(BAT_ROW, BAT_AT, MIB, 1), (META_ROW, META_AT, MIB, 1)])


def metadata(items: Mapping[str, bytes]) -> bytes:
    """The table and the items behind it."""
    table, body = b"metadata" + struct.pack("<HH20x", 0, len(items)), b""
    for kind, content in items.items():
        table += guid(kind) + struct.pack("<IIII", 65536 + len(body), len(content), 4, 0)
        body += content
    return table.ljust(65536, b"\0") + body


def locator(names: Mapping[str, str]) -> bytes:
    """The names of a parent."""
    head = guid(LOCATOR_TYPE) + struct.pack("<HH", 0, len(names))
    at, body = len(head) + 12 * len(names), b""
    for pair in names.items():
        key, value = (text.encode("utf-16-le") for text in pair)
        place = at + len(body)
        head += struct.pack("<IIHH", place, place + len(key), len(key), len(value))
        body += key + value
    return head + body


def bits(sectors: Sequence[int]) -> bytes:
    """A sector bitmap of 1 MiB, the least significant bit of a byte first."""
    raw = bytearray(MIB)
    for sector in sectors:
        raw[sector // 8] |= 1 << sector % 8
    return bytes(raw)


def vhdx(
    size: int, blocks: Mapping[int, tuple[int, bytes]], *, block: int = MIB, sector: int = 512,
    flags: int = 0, states: Mapping[int, int] | None = None,
    bitmaps: Mapping[int, tuple[int, Sequence[int]]] | None = None,
    parent: Mapping[str, str] | None = None, headers: tuple[bytes, bytes] | None = None,
    tables: tuple[bytes, bytes] = (REGIONS, REGIONS), log: bytes = b"",
    items: Mapping[str, bytes] | None = None, end: int = 0,
) -> bytes:  # fmt: skip
    """`blocks` maps a block to (MiB of the payload area, content), `bitmaps` a chunk likewise to
    the numbers of its sectors that are present; `states` gives entries of blocks as they are.
    """
    ratio = (1 << 23) * sector // block
    entries: dict[int, int] = {}
    pieces = []
    for number, (place, content) in blocks.items():
        entries[number + number // ratio] = FIRST + place * MIB | 6
        pieces.append((FIRST + place * MIB, content.ljust(block, b"\0")))
    for chunk, (place, sectors) in (bitmaps or {}).items():
        entries[(chunk + 1) * ratio + chunk] = FIRST + place * MIB | 6
        pieces.append((FIRST + place * MIB, bits(sectors)))
    for number, state in (states or {}).items():
        entry = number + number // ratio
        entries[entry] = entries.get(entry, 0) & ~7 | state
    described = {
        PARAMETERS: struct.pack("<II", block, flags), SIZE: struct.pack("<Q", size),
        DISK_ID: guid(CONTENT), LOGICAL: struct.pack("<I", sector),
        PHYSICAL: struct.pack("<I", 4096), **(items or {}),
    }  # fmt: skip
    if parent is not None:
        described[LOCATOR] = locator(parent)
    image = bytearray(max([FIRST, end, *(at + len(content) for at, content in pieces)]))
    first, second = headers or (header(1), header(2))
    whole = [
        (0, b"vhdxfile" + "maker".encode("utf-16-le")), (65536, first), (131072, second),
        (196608, tables[0]), (262144, tables[1]), (LOG_AT, log), (META_AT, metadata(described)),
        *((BAT_AT + 8 * number, struct.pack("<Q", entry)) for number, entry in entries.items()),
        *pieces,
    ]  # fmt: skip
    for at, content in whole:
        image[at : at + len(content)] = content
    return bytes(image)


Change = tuple[int, bytes | int]


def log_entry(
    sequence: int, changes: Sequence[Change], *, tail: int = 0, log: str = LOG, flushed: int = 0,
    last: int = 0, count: int | None = None,
) -> bytes:  # fmt: skip
    """An entry of the log: `changes` are (place, 4 KiB), or (place, length) for zeros."""
    rows, data = b"", b""
    for at, what in changes:
        if isinstance(what, int):
            rows += b"zero" + bytes(4) + struct.pack("<QQQ", what, at, sequence)
        else:
            rows += b"desc" + what[-4:] + what[:8] + struct.pack("<QQ", at, sequence)
            high, low = divmod(sequence, 1 << 32)
            data += b"data" + struct.pack("<I", high) + what[8:-4] + struct.pack("<I", low)
    described = -(-(64 + len(rows)) // 4096) * 4096
    head = b"loge" + struct.pack(
        "<IIIQII", 0, described + len(data), tail, sequence,
        len(changes) if count is None else count, 0,
    )  # fmt: skip
    head += guid(log) + struct.pack("<QQ", flushed, last)
    return summed((head + rows).ljust(described, b"\0") + data)


def samples() -> list[Sample]:
    """Blocks out of order, one short; the same by an entry of the log; wide sectors."""
    one, half = b"one." * (MIB // 4), b"half" * (MIB // 8)
    size = 3 * MIB + len(half)
    guest = one + bytes(MIB) + one[::-1] + half
    blocks = {0: (2, one), 2: (0, one[::-1]), 3: (1, half)}
    plain = vhdx(size, blocks)
    borders = (0, 65536, 131072, 262144, META_AT, META_AT + 65536, BAT_AT, FIRST, FIRST + MIB,
               len(plain) - 1)  # fmt: skip
    table = struct.pack("<4Q", FIRST + 2 * MIB | 6, 3, FIRST | 6, FIRST + MIB | 6)
    dirty = vhdx(
        size, blocks, states={0: 0, 2: 2}, headers=(header(7), header(8, log=LOG)),
        log=log_entry(5, [(BAT_AT, table.ljust(4096, b"\0"))], flushed=len(plain)),
    )  # fmt: skip
    wide = vhdx(size, {0: (0, one), 2: (2, one[::-1]), 3: (4, half)}, sector=4096, block=MIB)
    return [
        Sample("dynamic", {"a.vhdx": plain}, guest, 8, borders),
        Sample("dirty log", {"a.vhdx": dirty}, guest, 0, (LOG_AT, LOG_AT + 4096, len(dirty) - 1)),
        Sample("4096-byte sectors", {"a.vhdx": wide}, guest),
    ]
