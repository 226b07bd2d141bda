"""The structures of a VHD: footer, header of a sparse disk, names of parents. Big-endian.

Facts: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0; QEMU block/vpc.c for the size
rule; libvhdi's documentation of the format.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from construct import Array, Bytes, Const, Int8ub, Int16ub, Int32ub, Int64ub, Struct

from diskimage.errors import ChecksumError, CorruptError, LimitError, UnsupportedError
from diskimage.model import Gate, Source
from diskimage.parse import demand, fields, read, struct
from diskimage.words import size_text

COOKIE, SPARSE = b"conectix", b"cxsparse"
NOWHERE = 0xFFFFFFFFFFFFFFFF
FREE = 0xFFFFFFFF
VERSION = 0x00010000
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
TYPES = {FIXED: "fixed", DYNAMIC: "dynamic", DIFFERENCING: "differencing"}
SECTOR = 512
FOOTER = 512
ALIGN = 4096
"""Of the blocks that are written, their bitmaps before them."""
PADDING = 8 * SECTOR
"""How far before the end of a file a footer is looked for: some files are padded behind it."""
BY_GEOMETRY = frozenset({b"vpc ", b"qemu"})
"""Creators whose disks are as large as their geometry says (QEMU block/vpc.c)."""
WIDEST = (65535, 16, 255)
"""The geometry that says nothing: the largest there is."""
EPOCH = 946684800
"""Times are seconds since 2000-01-01 UTC; this is that day in Unix seconds."""

TAIL = Struct(
    "cookie" / Const(COOKIE), "features" / Int32ub, "version" / Int32ub, "header_at" / Int64ub,
    "time" / Int32ub, "creator" / Bytes(4), "creator_version" / Int32ub, "creator_os" / Bytes(4),
    "original" / Int64ub, "current" / Int64ub, "cylinders" / Int16ub, "heads" / Int8ub,
    "sectors" / Int8ub, "type" / Int32ub, "checksum" / Int32ub, "uuid" / Bytes(16),
    "saved" / Int8ub, "rest" / Bytes(427),
)  # fmt: skip
LOCATOR = Struct(
    "platform" / Bytes(4), "space" / Int32ub, "length" / Int32ub, "reserved" / Int32ub,
    "at" / Int64ub,
)  # fmt: skip
HEADER = Struct(
    "cookie" / Const(SPARSE), "next" / Int64ub, "table_at" / Int64ub, "version" / Int32ub,
    "entries" / Int32ub, "block" / Int32ub, "checksum" / Int32ub, "parent" / Bytes(16),
    "parent_time" / Int32ub, "reserved" / Int32ub, "parent_name" / Bytes(512),
    "locators" / Array(8, LOCATOR), "rest" / Bytes(256),
)  # fmt: skip
TAIL_SUM_AT, HEADER_SUM_AT = 64, 36


class Footer(NamedTuple):
    """What the footer says. `at`: where the one that is used lies; `copy`: it is that at 0."""

    at: int
    copy: bool
    header_at: int
    time: int
    creator: bytes
    original: int
    current: int
    geometry: tuple[int, int, int]
    type: int
    uuid: UUID
    saved: bool
    raw: bytes

    @property
    def by_geometry(self) -> int:
        """Bytes of the disk that cylinders, heads and sectors span."""
        cylinders, heads, sectors = self.geometry
        return SECTOR * cylinders * heads * sectors

    @property
    def size(self) -> int:
        """Bytes of the guest: the current size, save where the creator goes by geometry."""
        geometry = self.by_geometry
        if self.creator in BY_GEOMETRY and self.geometry != WIDEST and geometry:
            return min(geometry, self.current)
        return self.current


class Locator(NamedTuple):
    """Where a name of the parent lies, and in which of the ways of its platform."""

    platform: bytes
    length: int
    at: int


class Header(NamedTuple):
    """What the header of a dynamic or differencing disk says, and the footer; in bytes."""

    footer: Footer
    table_at: int
    entries: int
    block: int
    parent: UUID
    parent_time: int
    parent_name: str
    locators: tuple[Locator, ...]

    @property
    def size(self) -> int:
        """Bytes of the guest."""
        return self.footer.size

    @property
    def used(self) -> int:
        """Blocks that the guest reaches."""
        return -(-self.size // self.block)

    @property
    def headers(self) -> tuple[tuple[int, int], ...]:
        """(place, end) of the footer's copy, the header, and the table as far as it is used: no
        block lies over them."""
        at, table = self.footer.header_at, self.table_at
        return (0, FOOTER), (at, at + HEADER.sizeof()), (table, table + 4 * self.used)

    @property
    def bitmap(self) -> int:
        """Bytes of the sector bitmap before each block: a bit a sector, in whole sectors."""
        return bitmap_size(self.block)

    @property
    def pitch(self) -> int:
        """Stored bytes of a block and its bitmap."""
        return self.block + self.bitmap


def bitmap_size(block: int) -> int:
    """Bytes of the bitmap of a block of `block` bytes."""
    return -(-block // (SECTOR * 8 * SECTOR)) * SECTOR


def checksum(raw: bytes | bytearray, at: int) -> int:
    """The ones' complement of the sum of bytes, the four of the checksum at `at` left out."""
    return ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF


def holds(raw: bytes | bytearray) -> bool:
    """Whether `raw`, 511 bytes at least, is a footer whose checksum holds."""
    if len(raw) < FOOTER - 1 or raw[:8] != COOKIE:
        return False
    return checksum(raw, TAIL_SUM_AT) == int.from_bytes(raw[TAIL_SUM_AT : TAIL_SUM_AT + 4], "big")


def trailing(end: bytes, size: int) -> tuple[int, bytes] | None:
    """(place, bytes) of the footer that ends a file of `size` bytes, of which `end` are the last.

    At the end; a byte short, as before Virtual PC 2004; or one whose checksum holds, up to eight
    sectors before: padding follows it.
    """
    for back in (FOOTER, FOOTER - 1, *range(2 * SECTOR, PADDING + 1, SECTOR)):
        raw = end[len(end) - back :][:FOOTER] if back <= len(end) else b""
        if raw.startswith(COOKIE) and (back <= FOOTER or holds(raw)):
            return size - back, raw.ljust(FOOTER, b"\0")
    return None


def footer_of(raw: bytes, source: Source, at: int, *, copy: bool = False) -> Footer:
    """The values of a footer's 512 bytes, which lie at `at`."""
    said = fields(TAIL, raw, source, at, "VHD footer")
    return Footer(
        at, copy, said.header_at, said.time, bytes(said.creator), said.original, said.current,
        (said.cylinders, said.heads, said.sectors), said.type, UUID(bytes=bytes(said.uuid)),
        bool(said.saved), raw,
    )  # fmt: skip


def footer(source: Source, gate: Gate) -> Footer:
    """The footer at the end or, with a warning, its copy at the beginning.

    Raises ChecksumError where neither holds, CorruptError, UnsupportedError, LimitError.
    """
    length = min(PADDING, source.size)
    end = bytes(read(source, source.size - length, length, "VHD footer"))
    start = bytes(read(source, 0, min(FOOTER, source.size), "copy of the VHD footer"))
    last = trailing(end, source.size)
    copied = holds(start) and int.from_bytes(start[60:64], "big") in (DYNAMIC, DIFFERENCING)
    if last is not None and holds(last[1]):
        found = footer_of(last[1], source, last[0])
        if found.type != FIXED and start != last[1][: len(start)]:
            gate.warn("footer", "the copy of the footer at the beginning is another or damaged", 0)
    elif copied:
        what = "there is no footer at the end" if last is None else "the footer's checksum is wrong"
        gate.warn("footer", f"{what}: its copy at the beginning is used", source.size)
        found = footer_of(start, source, 0, copy=True)
    elif last is None and start[:8] != COOKIE:
        raise CorruptError("no VHD footer at the end nor at the beginning", file=source.name)
    else:
        at, raw = last if last is not None else (0, start)
        stored, right = int.from_bytes(raw[64:68], "big"), checksum(raw, TAIL_SUM_AT)
        raise ChecksumError(
            f"the footer's checksum is {stored:#010x}, its bytes make {right:#010x}",
            file=source.name, at=at,
            remedy="copy it again, or read a fixed disk's bytes with --format raw",
        )  # fmt: skip
    _judge(found, source, gate)
    return found


def _judge(found: Footer, source: Source, gate: Gate) -> None:
    version = int.from_bytes(found.raw[12:16], "big")
    if version >> 16 != VERSION >> 16:
        text = f"VHD version {version >> 16}.{version & 0xFFFF}"
        raise UnsupportedError(text, file=source.name, at=found.at + 12)
    if found.type not in TYPES:
        raise UnsupportedError(f"a VHD of type {found.type}", file=source.name, at=found.at + 60)
    if found.current > gate.limits.guest_size:
        text = f"guest size {found.current} is over guest_size"
        raise LimitError(text, file=source.name, at=found.at + 48)
    if found.size != found.current:
        gate.warn(
            "size", f"its creator goes by geometry: {found.size} bytes are the disk, "
            f"{found.current - found.size} more are in its size field", found.at + 48,
        )  # fmt: skip
    if found.saved:
        gate.warn("saved-state", "belongs to a machine that was suspended with it")


def header(found: Footer, source: Source) -> Header:
    """The header of a dynamic or differencing disk, held against the file.

    Raises ChecksumError, CorruptError, TruncatedError, UnsupportedError.
    """
    at, name = found.header_at, source.name
    said = struct(HEADER, source, at, "VHD header")
    right = checksum(read(source, at, HEADER.sizeof(), "VHD header"), HEADER_SUM_AT)
    if right != said.checksum:
        text = f"the header's checksum is {said.checksum:#010x}, its bytes make {right:#010x}"
        raise ChecksumError(text, file=name, at=at + HEADER_SUM_AT)
    if said.version >> 16 != VERSION >> 16:
        text = f"a VHD header of version {said.version >> 16}"
        raise UnsupportedError(text, file=name, at=at + 24)
    if said.block < SECTOR or said.block.bit_count() != 1:
        raise CorruptError(f"blocks of {said.block} bytes", file=name, at=at + 32)
    made = Header(
        found, said.table_at, said.entries, said.block, UUID(bytes=bytes(said.parent)),
        said.parent_time, _text(bytes(said.parent_name)),
        tuple(Locator(bytes(one.platform), one.length, one.at) for one in said.locators),
    )  # fmt: skip
    if made.entries < made.used:
        raise CorruptError(
            f"a table of {made.entries} blocks of {size_text(made.block)} "
            f"for a disk of {made.size} bytes, which needs {made.used}",
            file=name, at=at + 28,
        )  # fmt: skip
    demand(source, made.table_at, 4 * made.entries, "the VHD block table")
    return made


def _text(raw: bytes) -> str:
    """A name of 16-bit characters as far as its first NUL."""
    return raw.decode("utf-16-be", "replace").partition("\0")[0]
