"""The header of a VDI, both versions, held against the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from construct import Bytes, Const, Int32ul, Int64ul, Padded, Struct

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.layers.table import words
from diskimage.limits import Limits
from diskimage.model import Faults, Source
from diskimage.parse import demand, read, struct
from diskimage.words import size_text

SIGNATURE = b"\x7f\x10\xda\xbe"
SIGNATURE_AT = 0x40
FREE, ZEROED = 0xFFFFFFFF, 0xFFFFFFFE
DYNAMIC, FIXED, UNDO, DIFFERENCING = 1, 2, 3, 4
TYPES = {DYNAMIC: "dynamic", FIXED: "fixed", DIFFERENCING: "differencing"}
SECTOR = 512
BLOCK = 1 << 20
NOBODY = UUID(int=0)

PREFIX = Struct("text" / Bytes(64), "signature" / Const(SIGNATURE), "version" / Int32ul)
GEOMETRY = Struct("cylinders" / Int32ul, "heads" / Int32ul, "sectors" / Int32ul, "sector" / Int32ul)
OLD = Struct(
    "type" / Int32ul, "flags" / Int32ul, "comment" / Bytes(256), "geometry" / GEOMETRY,
    "size" / Int64ul, "block" / Int32ul, "blocks" / Int32ul, "allocated" / Int32ul,
    "image" / Bytes(16), "modified" / Bytes(16), "parent" / Bytes(16),
)  # fmt: skip
NEW = Struct(
    "header_size" / Int32ul, "type" / Int32ul, "flags" / Int32ul, "comment" / Bytes(256),
    "map_at" / Int32ul, "data_at" / Int32ul, "geometry" / GEOMETRY, "dummy" / Int32ul,
    "size" / Int64ul, "block" / Int32ul, "extra" / Int32ul, "blocks" / Int32ul,
    "allocated" / Int32ul, "image" / Bytes(16), "modified" / Bytes(16), "parent" / Bytes(16),
    "parent_modified" / Bytes(16),
)  # fmt: skip
WRITTEN = Padded(SECTOR, Struct("prefix" / PREFIX, "header" / NEW, "chs" / GEOMETRY))


class Header(NamedTuple):
    """What the header says, both versions alike. Offsets and sizes in bytes."""

    version: str
    type: int
    comment: str
    map_at: int
    data_at: int
    sector: int
    size: int
    block: int
    extra: int
    blocks: int
    allocated: int
    image: UUID
    modified: UUID
    parent: UUID
    parent_modified: UUID

    @property
    def allocated_at(self) -> int:
        """Where the count of stored blocks is; the UUIDs follow it."""
        return 368 if self.version.startswith("0.") else 388

    @property
    def modified_at(self) -> int:
        """Where the UUID of the last change is."""
        return self.allocated_at + 20

    @property
    def pitch(self) -> int:
        """Stored bytes of a block."""
        return self.block + self.extra

    @property
    def used(self) -> int:
        """Blocks that the guest reaches."""
        return -(-self.size // self.block)


def load(source: Source, limits: Limits) -> Header:
    """The header of `source`, held against the file and `limits`.

    Raises UnsupportedError, CorruptError, LimitError, TruncatedError.
    """
    prefix = struct(PREFIX, source, 0, "VDI header")
    major, minor = prefix.version >> 16, prefix.version & 0xFFFF
    at = PREFIX.sizeof()
    if major > 1:
        raise UnsupportedError(f"VDI version {major}.{minor}", file=source.name, at=at - 4)
    raw = struct(OLD if major == 0 else NEW, source, at, "VDI header")
    map_at = raw.map_at if major else at + OLD.sizeof()
    header = Header(
        version=f"{major}.{minor}",
        type=raw.type,
        comment=bytes(raw.comment).partition(b"\0")[0].decode("utf-8", "replace"),
        map_at=map_at,
        data_at=raw.data_at if major else map_at + 4 * raw.blocks,
        sector=raw.geometry.sector,
        size=raw.size,
        block=raw.block,
        extra=raw.extra if major else 0,
        blocks=raw.blocks,
        allocated=raw.allocated,
        image=UUID(bytes_le=raw.image),
        modified=UUID(bytes_le=raw.modified),
        parent=UUID(bytes_le=raw.parent),
        parent_modified=UUID(bytes_le=raw.parent_modified) if major else NOBODY,
    )
    _judge(header, source, limits)
    return header


def demand_map(source: Source, header: Header, faults: Faults) -> None:
    """The map lies in the file, unless that is survived, and before the data.

    Raises TruncatedError, CorruptError.
    """
    with faults.surviving():  # blocks whose entries are not there are lost one by one
        demand(source, header.map_at, 4 * header.blocks, "the block map")
    end = header.map_at + 4 * header.blocks
    if header.blocks and header.data_at < end:
        text = f"data from {header.data_at} overlap the map to {end}"
        raise CorruptError(text, file=source.name)


def entries(source: Source, header: Header) -> Iterator[int]:
    """The entries of the map, a megabyte at a time."""
    for first in range(0, header.blocks, BLOCK // 4):
        count = min(BLOCK // 4, header.blocks - first)
        yield from words(read(source, header.map_at + 4 * first, 4 * count, "VDI block map"), "I")


def _judge(header: Header, source: Source, limits: Limits) -> None:
    name = source.name
    if header.type not in TYPES:
        what = "undo" if header.type == UNDO else f"type {header.type}"
        raise UnsupportedError(f"a VDI of version {header.version}, {what}", file=name)
    if header.sector not in (0, SECTOR):
        raise UnsupportedError(f"sectors of {header.sector} bytes", file=name)
    if header.size > limits.guest_size:
        raise LimitError(f"guest size {header.size} is over guest_size", file=name)
    if header.block == 0 or header.block % SECTOR:
        raise CorruptError(f"blocks of {header.block} bytes", file=name)
    if header.block > limits.chunk:
        raise LimitError(f"blocks of {header.block} bytes, over chunk {limits.chunk}", file=name)
    if header.blocks < header.used:
        raise CorruptError(
            f"{header.blocks} blocks of {size_text(header.block)} "
            f"for a disk of {header.size} bytes, which needs {header.used}",
            file=name,
        )
    end = header.map_at + 4 * header.blocks
    if header.data_at % SECTOR and header.data_at != end:
        text = f"data from {header.data_at}, no sector's beginning and not the map's end"
        raise CorruptError(text, file=name, at=0x158)
