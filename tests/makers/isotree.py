"""ISO 9660 volumes byte by byte, from ECMA-119, SUSP and RRIP: shapes that writers do not make.

    volume(Dir({"A.TXT;1": File(b"text"), "D": Dir({})}), block=1024)

It shares nothing with the reader under test.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

SECTOR = 2048
XA = b"\0\0\0\0\x05\x55XA\0\0\0\0\0\0"
SP = b"SP\x07\x01\xbe\xef"
DATE = bytes([100, 2, 29, 12, 30, 15, 4])  # 2000-02-29 12:30:15 one hour east of Greenwich
ER = b"ER\x12\x01\x0a\0\0\x01RRIP_1991A"


Entries: TypeAlias = "dict[str | bytes, File | Dir]"


@dataclass
class File:
    """Content, in one record or several, with flags and a system use field."""

    content: bytes = b""
    flags: int = 0
    system: bytes = b""
    cuts: tuple[int, ...] = ()  # where a further extent begins; each on a block of its own
    attributes: int = 0  # blocks of an extended attribute record before the content
    unit: int = 0


@dataclass
class Dir:
    """Entries by name as recorded (bytes or ASCII text)."""

    entries: Entries = field(default_factory=dict)
    system: bytes = b""
    dot: bytes = b""  # system use field of its own record


def both(value: int, width: int) -> bytes:
    """A number in both byte orders."""
    return value.to_bytes(width, "little") + value.to_bytes(width, "big")


def record(
    name: bytes, block: int, size: int, flags: int = 0, system: bytes = b"",
    *, attributes: int = 0, unit: int = 0, volume: int = 1, date: bytes = DATE,
) -> bytes:  # fmt: skip
    """A directory record."""
    body = bytes([attributes]) + both(block, 4) + both(size, 4) + date
    body += bytes([flags, unit, 0]) + both(volume, 2) + bytes([len(name)]) + name
    body += b"\0" * ((len(body) + 1) % 2) + system
    body += b"\0" * ((len(body) + 1) % 2)
    return bytes([len(body) + 1]) + body


def packed(records: list[bytes]) -> bytes:
    """Records in sectors, none across an edge; whole sectors."""
    data = b""
    for one in records:
        if len(data) % SECTOR + len(one) > SECTOR:
            data += bytes(-len(data) % SECTOR)
        data += one
    return data + bytes(-len(data) % SECTOR)


# entries of SUSP and RRIP
def susp(signature: bytes, body: bytes) -> bytes:
    return signature + bytes([4 + len(body), 1]) + body


def nm(name: bytes, flags: int = 0) -> bytes:
    return susp(b"NM", bytes([flags]) + name)


def px(mode: int, uid: int = 0, gid: int = 0, serial: int | None = None) -> bytes:
    numbers = [mode, 1, uid, gid] + ([] if serial is None else [serial])
    return susp(b"PX", b"".join(both(number, 4) for number in numbers))


def ce(block: int, offset: int, length: int) -> bytes:
    return susp(b"CE", both(block, 4) + both(offset, 4) + both(length, 4))


def sl(*components: tuple[int, bytes]) -> bytes:
    return susp(b"SL", b"\0" + b"".join(bytes([f, len(t)]) + t for f, t in components))


class _Layout:
    def __init__(self, block: int, start: int) -> None:
        self.block, self.next = block, start // block
        self.image = bytearray(start)

    def put(self, data: bytes, align: int = 1) -> int:
        """Append `data` on a block whose number `align` divides; that number."""
        self.next += -self.next % align
        at, self.next = self.next, self.next + -(-len(data) // self.block)
        self.image[at * self.block : at * self.block + len(data)] = data
        self.image += bytes(self.next * self.block - len(self.image))
        return at


def volume(
    root: Dir, *, block: int = SECTOR, joliet: Dir | None = None, xa: bool = False,
    areas: dict[int, bytes] | None = None, label: bytes = b"TREE",
) -> bytes:  # fmt: skip
    """A volume whose sectors 32 and up hold `areas` by sector, then everything else."""
    layout = _Layout(block, 64 * SECTOR)
    for sector, data in (areas or {}).items():
        layout.image[sector * SECTOR : sector * SECTOR + len(data)] = data
    trees = [(1, b"", _tree(layout, root))]
    if joliet is not None:
        trees.append((2, b"%/E", _tree(layout, joliet)))
    layout.image += bytes(-len(layout.image) % SECTOR)
    for sector, (kind, escape, where) in enumerate(trees, 16):
        table = struct.pack("<BBIHxx", 1, 0, where[0], 1), struct.pack(">BBIHxx", 1, 0, where[0], 1)
        tables = [layout.put(one, SECTOR // block) for one in table]
        descriptor = _descriptor(kind, escape, where, tables, block, label, xa)
        layout.image[sector * SECTOR : (sector + 1) * SECTOR] = descriptor
    end = (16 + len(trees)) * SECTOR
    layout.image[end : end + 7] = b"\xffCD001\x01"
    for sector in range(16, 16 + len(trees)):
        space = both(len(layout.image) // block, 4)
        layout.image[sector * SECTOR + 80 : sector * SECTOR + 88] = space
    return bytes(layout.image)


def _descriptor(
    kind: int, escape: bytes, root: tuple[int, int], tables: list[int], block: int,
    label: bytes, xa: bool,
) -> bytes:  # fmt: skip
    data = bytearray(SECTOR)
    data[0:7] = bytes([kind]) + b"CD001\x01"
    data[40:72] = (label.decode().encode("utf-16-be") if escape else label).ljust(32, b" ")
    data[88 : 88 + len(escape)] = escape
    data[120:132] = both(1, 2) + both(1, 2) + both(block, 2)
    data[132:140] = both(10, 4)
    data[140:144], data[148:152] = struct.pack("<I", tables[0]), struct.pack(">I", tables[1])
    data[156:190] = record(b"\0", *root, 2)
    data[813:830] = b"2001020304050607\0"
    data[881] = 1
    if xa:
        data[1024:1032] = b"CD-XA001"
    return bytes(data)


def _tree(layout: _Layout, root: Dir) -> tuple[int, int]:
    """Lay out a tree, the deepest first; block and size of its root."""
    return _directory(layout, root, None)


def _directory(layout: _Layout, directory: Dir, parent: int | None) -> tuple[int, int]:
    kept = [r for name, node in sorted(directory.entries.items(), key=lambda e: _key(e[0]))
            for r in _records(layout, _key(name), node)]  # fmt: skip
    head = [record(b"\0", 0, 0, 2, directory.dot), record(b"\1", 0, 0, 2)]
    size = len(packed(head + kept))
    at = layout.put(bytes(size), SECTOR // layout.block)
    head = [record(b"\0", at, size, 2, directory.dot), record(b"\1", parent or at, size, 2)]
    layout.image[at * layout.block : at * layout.block + size] = packed(head + kept)
    return at, size


def _key(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode()


def _records(layout: _Layout, name: bytes, node: File | Dir) -> list[bytes]:
    if isinstance(node, Dir):
        return [record(name, *_directory(layout, node, 0), 2, node.system)]
    edges = [0, *node.cuts, len(node.content)]
    made = []
    for begin, end in pairwise(edges):
        head = bytes(node.attributes * layout.block)
        at = layout.put(head + node.content[begin:end]) if end > begin or head else 0
        layout.put(bytes(1))  # so that extents do not touch
        flags = node.flags | (0x80 if end != edges[-1] else 0)
        made.append(record(name, at, end - begin, flags, node.system,
                           attributes=node.attributes, unit=node.unit))  # fmt: skip
    return made
