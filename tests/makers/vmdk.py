"""VMDK images written byte by byte from VMware's specification, without the package's writer.

`grains` maps a grain's number to (place among the stored ones, content).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from tests.makers.sample import Sample

SECTOR = 512
KIB = 1 << 10
GRAIN = 8 * KIB
Stored = Mapping[int, tuple[int, bytes]]
Special = Mapping[int, int] | None


def descriptor(
    extents: list[str], *, kind: str = "monolithicSparse", cid: str = "12345678",
    parent: str = "ffffffff", hint: str = "", line: str = "\n", more: str = "",
) -> bytes:  # fmt: skip
    """The text, with lines ended by `line`."""
    lines = ["# Disk DescriptorFile", "version=1", f"CID={cid}", f"parentCID={parent}",
             f'createType="{kind}"']  # fmt: skip
    if hint:
        lines.append(f'parentFileNameHint="{hint}"')
    lines += ["", "# Extent description", *extents, "", 'ddb.adapterType = "ide"', more]
    return (line.join(lines) + line).encode()


def header(
    size: int, *, directory: int, grain: int = GRAIN, flags: int = 1, version: int = 1,
    text: int = 20, redundant: int = 0, overhead: int = 64, per_table: int = 512,
    unclean: int = 0, compression: int = 0,
) -> bytes:  # fmt: skip
    """A hosted sparse header; places in sectors."""
    raw = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", version, flags, size // SECTOR, grain // SECTOR,
                      1 if text else 0, text, per_table, redundant, directory, overhead, unclean,
                      b"\n \r\n", compression)  # fmt: skip
    return raw.ljust(SECTOR, b"\0")


def put(image: bytearray, sector: int, data: bytes) -> None:
    """Write at a sector."""
    at = sector * SECTOR
    image.extend(bytes(max(0, at + len(data) - len(image))))
    image[at : at + len(data)] = data


def sparse(
    size: int, grains: Stored, *, text: bytes | None = None, special: Special = None,
    copies: bool = True, grain: int = GRAIN, flags: int = 1, per_table: int = 512, **fields: int,
) -> bytes:  # fmt: skip
    """A hosted sparse extent: header, descriptor, directory copy, tables, directory, grains."""
    count = -(-size // grain)
    tables, width = -(-count // per_table), -(-4 * per_table // SECTOR)
    text = descriptor([f'RW {size // SECTOR} SPARSE "a.vmdk"']) if text is None else text
    image, place, starts = bytearray(), 21, []
    for _ in range(1 + copies):
        directory = place
        place += -(-4 * tables // SECTOR)
        starts.append((directory, place))
        place += tables * width
    first = -(-place // (grain // SECTOR)) * (grain // SECTOR)
    entries = [0] * (tables * per_table)
    for index, (stored, _) in grains.items():
        entries[index] = first + stored * (grain // SECTOR)
    for index, entry in (special or {}).items():
        entries[index] = entry
    for directory, table in starts:
        put(
            image,
            directory,
            struct.pack(f"<{tables}I", *(table + i * width for i in range(tables))),
        )
        for number in range(tables):
            row = entries[number * per_table : (number + 1) * per_table]
            put(image, table + number * width, struct.pack(f"<{per_table}I", *row))
    put(image, first, b"")
    for stored, content in grains.values():
        put(image, first + stored * (grain // SECTOR), content.ljust(grain, b"\0"))
    copy, main = (starts[0][0], starts[1][0]) if copies else (0, starts[0][0])
    fields = {"overhead": first, "text": 20 if text else 0, "redundant": copy} | fields
    put(image, 1, text)
    head = header(size, directory=main, grain=grain, flags=flags | 2 * copies,
                  per_table=per_table, **fields)  # fmt: skip
    put(image, 0, head)
    return bytes(image)


def marker(sectors: int, kind: int) -> bytes:
    """A metadata marker."""
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def stream(
    size: int, grains: Mapping[int, bytes], *, grain: int = GRAIN, footer: bool = True,
    sectors: Mapping[int, int] | None = None, flags: int = 0x30001, padding: int = 0,
    text: bytes | None = None, coded: Mapping[int, bytes] | None = None, special: Special = None,
) -> bytes:  # fmt: skip
    """A streamOptimized extent; `sectors` are wrong ones for markers, `coded` the deflated bytes
    of a grain where they are not those of zlib. Grains are stored in the order given."""
    count = -(-size // grain)
    tables = -(-count // 512)
    if text is None:
        text = descriptor([f'RW {size // SECTOR} SPARSE "a.vmdk"'], kind="streamOptimized")
    image, place = bytearray(), 128
    entries = [0] * (tables * 512)
    for index, content in grains.items():
        data = (coded or {}).get(index, zlib.compress(content))
        entries[index] = place
        sector = (sectors or {}).get(index, index * (grain // SECTOR))
        named = (
            struct.pack("<QI", sector, len(data))
            if flags & 0x20000
            else struct.pack("<I", len(data))
        )
        put(image, place, named + data)
        place = -(-len(image) // SECTOR)
    for index, entry in (special or {}).items():
        entries[index] = entry
    directory = []
    for number in range(tables):
        row = entries[number * 512 : (number + 1) * 512]
        if not any(row):
            directory.append(0)
            continue
        put(image, place, marker(4, 1) + struct.pack("<512I", *row))
        directory.append(place + 1)
        place += 5
    width = -(-4 * tables // SECTOR)
    put(image, place, marker(width, 2) + struct.pack(f"<{tables}I", *directory))
    at, place = place + 1, place + 1 + width
    fields = {"grain": grain, "flags": flags, "version": 3, "overhead": 128, "compression": 1}
    if footer:
        put(image, place, marker(1, 3) + header(size, directory=at, **fields))
        put(image, place + 2, bytes(SECTOR))
    put(image, 0, header(size, directory=(1 << 64) - 1 if footer else at, **fields))
    put(image, 1, text)
    return bytes(image) + bytes(-len(image) % SECTOR + padding)


def cow(
    size: int, grains: Stored, *, grain: int = SECTOR, dirty: int = 0, parent: str = ""
) -> bytes:
    """A COWD extent; its tables have 4,096 entries."""
    count = -(-size // grain)
    tables = -(-count // 4096)
    table = 4 + -(-4 * tables // SECTOR)
    first = table + 32 * tables
    entries = [0] * (tables * 4096)
    image = bytearray()
    put(image, first, b"")
    for index, (stored, content) in grains.items():
        entries[index] = first + stored * (grain // SECTOR)
        put(image, entries[index], content.ljust(grain, b"\0"))
    head = struct.pack("<4sIIIIIII", b"COWD", 1, 3, size // SECTOR, grain // SECTOR, 4, tables, 0)
    named = parent.encode() if parent else struct.pack("<III", 100, 16, 63)
    put(image, 0, (head + named).ljust(1648, b"\0") + bytes([dirty]))
    put(image, 4, struct.pack(f"<{tables}I", *(table + 32 * i for i in range(tables))))
    put(image, table, struct.pack(f"<{len(entries)}I", *entries))
    return bytes(image)


def se_sparse(
    size: int, grains: Stored, *, special: Mapping[int, int] | None = None, replay: int = 0,
    directory: Mapping[int, int] | None = None,
) -> bytes:  # fmt: skip
    """A seSparse extent: grains of 4 KiB, tables of 4,096 entries."""
    count = -(-size // 4096)
    tables = -(-count // 4096)
    at, table = 8, 16
    first = table + 64 * tables
    fields = [0xCAFEBABE, 0x200000001, size // SECTOR, 8, 64, 0, 0, 0, 0, 0, 1, 1, 2, 1, 3, 1,
              at, 8, table, 64 * tables, 0, 0, 0, 0, first, 8 * count]  # fmt: skip
    image = bytearray()
    put(image, first, b"")
    put(image, 0, struct.pack("<26Q", *fields))
    put(image, 1, struct.pack("<4Q", 0xCAFECAFE, 0, 1, replay))
    entries = [0] * (tables * 4096)
    for index, (stored, content) in grains.items():
        entries[index] = 3 << 60 | (stored & 0xFFF) << 48 | stored >> 12
        put(image, first + 8 * stored, content.ljust(4096, b"\0"))
    for index, entry in (special or {}).items():
        entries[index] = entry
    rows = {i: 1 << 60 | i for i in range(tables)} | dict(directory or {})
    put(image, at, struct.pack(f"<{tables}Q", *(rows[i] for i in range(tables))))
    put(image, table, struct.pack(f"<{len(entries)}Q", *entries))
    return bytes(image)


def _pattern(letter: bytes, size: int = GRAIN) -> bytes:
    return (letter * 7 + b"\n") * (size // 8)


def _flat() -> Sample:
    """Two stretches of one file in the wrong order, zeros between them; tabs, CRLF, odd case."""
    one, two = _pattern(b"1", 4096), _pattern(b"2", 2048)
    text = descriptor(
        ['RW\t4  FLAT "a b-flat.vmdk" 8', "RW 6 ZERO", 'rdonly 8 Flat "a b-flat.vmdk" 0'],
        kind="custom", line="\r\n",
    )  # fmt: skip
    text = text.replace(b"version=1", b" Version = 1").replace(b"createType=", b"CREATETYPE = ")
    files = {"a.vmdk": text, "a b-flat.vmdk": one + two}
    return Sample("flat", files, two + bytes(3072) + one, 0, (0, 4096, 6144), "a b-flat.vmdk")


def samples() -> list[Sample]:
    """Each kind of extent: grains out of order, holes, a last grain that is short."""
    one, two, half = _pattern(b"1"), _pattern(b"2"), _pattern(b"3", GRAIN // 2)
    size = 3 * GRAIN + GRAIN // 2
    guest = one + bytes(GRAIN) + two + half
    grains = {0: (1, one), 2: (0, two), 3: (2, half)}
    plain = sparse(size, grains)
    end = len(plain)
    streamed = stream(size, {0: one, 2: two, 3: half})
    se_guest = _pattern(b"s", 4096) + bytes(8192) + _pattern(b"t", 4096)
    se_grains = {0: (1, se_guest[:4096]), 3: (0, se_guest[-4096:])}
    split = descriptor([f'RW {2 * GRAIN // SECTOR} SPARSE "a-s001.vmdk"',
                        f'RW {(size - 2 * GRAIN) // SECTOR} SPARSE "a-s002.vmdk"'],
                       kind="twoGbMaxExtentSparse")  # fmt: skip
    rest = {0: (0, two), 1: (1, half)}
    zeroed = sparse(size, grains, special={1: 1}, flags=5, version=2)
    padded = stream(size, {2: two, 0: one, 3: half}, padding=9 * KIB)
    unmarked = stream(size, {0: one, 2: two, 3: half}, flags=0x10001, footer=False)
    return [
        Sample("sparse", {"a.vmdk": plain}, guest, 79, (0, 79, 512, 10752, end - GRAIN - 1)),
        Sample("zeroed", {"a.vmdk": zeroed}, guest),
        Sample("stream", {"a.vmdk": streamed}, guest, 79, (0, 512, 65536, len(streamed) - 1025)),
        Sample("padded", {"a.vmdk": padded}, guest),
        Sample("unmarked", {"a.vmdk": unmarked}, guest),
        _flat(),
        Sample("split", {"a.vmdk": split,
                         "a-s001.vmdk": sparse(2 * GRAIN, {0: (0, one)}, text=b""),
                         "a-s002.vmdk": sparse(size - 2 * GRAIN, rest, text=b"")}, guest),
        _one("vmfs", "VMFS", "a-flat.vmdk", guest, guest),
        _one("vmfsSparse", "VMFSSPARSE", "a-delta.vmdk", cow(size, grains, grain=GRAIN), guest),
        _one("seSparse", "SESPARSE", "a-se.vmdk", se_sparse(16384, se_grains), se_guest),
    ]  # fmt: skip


def _one(kind: str, extent: str, name: str, content: bytes, guest: bytes) -> Sample:
    """A descriptor of one extent."""
    text = descriptor([f'RW {len(guest) // SECTOR} {extent} "{name}"'], kind=kind)
    return Sample(kind, {"a.vmdk": text, name: content}, guest)
