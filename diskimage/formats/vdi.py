"""VDI, the disk image of VirtualBox: dynamic, fixed and differencing, versions 0.1 and 1.1.

Facts: VirtualBox src/VBox/Storage/VDICore.h and VDI.cpp, QEMU block/vdi.c. Little-endian. A map of
one u32 a block says where each block of (usually) 1 MiB lies; docs/formats/vdi.md draws it.
Not supported: undo images (type 3), sectors other than 512 bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from construct import Bytes, Const, Int32ul, Int64ul, Padded, Struct

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import CorruptError, LimitError, UnsupportedError, UsageError
from diskimage.layers.overlay import Overlay
from diskimage.layers.parts import CONTENT, filled
from diskimage.layers.table import Flat, Match, Pages, Rule, TableDevice, words, written
from diskimage.limits import Limits
from diskimage.model import (
    HOLE,
    Barrier,
    Bid,
    Copy,
    Device,
    Disc,
    Finding,
    Format,
    Gate,
    Kind,
    Look,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
    Size,
    Source,
    Step,
)
from diskimage.parse import demand, read, struct
from diskimage.words import rounded, size_text

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
    demand(source, header.map_at, 4 * header.blocks, "the block map")
    end = header.map_at + 4 * header.blocks
    if header.blocks and header.data_at < end:
        raise CorruptError(f"data from {header.data_at} overlap the map to {end}", file=name)


def probe(look: Look) -> Bid | None:
    """The signature at 0x40."""
    if look.head[SIGNATURE_AT : SIGNATURE_AT + 4] == SIGNATURE:
        return Bid(95, "the VDI signature BEDA107F at 64")
    return None


def open_vdi(source: Source, gate: Gate) -> Device:
    """The disk; a differencing one over its parent, which is asked for by UUID."""
    header = load(source, gate.limits)
    layer = TableDevice(
        size=header.size,
        block=header.block,
        data=source,
        entries=Flat(Pages(source, gate.limits.table_resident), header.map_at, header.blocks, 4),
        rule=rule(header),
        empty=HOLE,
        info=info(header),
    )
    parent = _parent(header, source, gate) if header.type == DIFFERENCING else None
    return layer if parent is None else Overlay(layer, parent)


def rule(header: Header) -> Rule:
    """What a map entry means. A free block is the parent's, or zeros where there is none."""
    free = Kind.ABSENT if header.type == DIFFERENCING else HOLE
    return Rule(
        width=4,
        matches=(Match(FREE, FREE, free), Match(FREE, ZEROED, HOLE)),
        mask=FREE,
        scale=header.pitch,
        base=header.data_at + header.extra,
    )


def info(header: Header) -> dict[str, object]:
    """What `info` shows."""
    shown: dict[str, object] = {
        "variant": f"{TYPES[header.type]}, {size_text(header.block)} blocks",
        "version": header.version,
        "type": TYPES[header.type],
        "block_size": header.block,
        "blocks": header.blocks,
        "allocated_blocks": header.allocated,
        "uuid": str(header.image),
        "modification_uuid": str(header.modified),
    }
    if header.comment:
        shown["comment"] = header.comment
    if header.parent != NOBODY:
        shown["parent_uuid"] = str(header.parent)
    return shown


def _parent(header: Header, source: Source, gate: Gate) -> Device | None:
    """The parent with the UUID that the image names. CorruptError where it is another disk."""
    if header.parent == NOBODY:
        raise CorruptError("a differencing image that names no parent", file=source.name)
    parent = gate.parent(f"{{{header.parent}}}", role="parent", format="vdi")
    if parent is None:
        return None
    for key, uuid in (("uuid", header.parent), ("modification_uuid", header.parent_modified)):
        found = parent.info.get(key)
        if uuid != NOBODY and found is not None and found != str(uuid):
            raise CorruptError(
                f"the parent's {key.replace('_', ' ')} is {found}, the image was made over {uuid}",
                file=source.name,
                remedy="give the disk that it was made over, unchanged since",
            )
    return parent


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Each block of the file belongs to one entry at most, and lies inside the file.

    A bit for each block that the file can hold is kept: LimitError where they pass `metadata`.
    """
    header = load(source, gate.limits)
    room = min(ZEROED, max(0, source.size - header.data_at) // header.pitch)
    if room // 8 > gate.limits.metadata:
        text = f"a check of {room} blocks needs {room // 8} bytes, over metadata"
        raise LimitError(f"{text} {gate.limits.metadata}", file=source.name)
    taken = bytearray(room // 8 + 1)  # a bit for each block that the file can hold
    allocated = 0
    for index, entry in enumerate(_map(source, header)):
        if entry >= ZEROED:
            continue
        allocated += 1
        at = header.map_at + 4 * index
        if entry >= room and not _last_cut(header, source, index, entry):
            yield Finding("truncated", f"block {index} is stored past the end of the file", at)
        elif entry < room and taken[entry >> 3] >> (entry & 7) & 1:
            yield Finding("corrupt", f"block {index} shares stored block {entry}", at)
        elif entry < room:
            taken[entry >> 3] |= 1 << (entry & 7)
    if allocated != header.allocated:
        message = f"the header counts {header.allocated} stored blocks, the map {allocated}"
        yield Finding("corrupt", message, 0x184)


def _last_cut(header: Header, source: Source, index: int, entry: int) -> bool:
    """Whether it is the guest's last block, cut in the file behind the last guest byte."""
    rest = header.size - index * header.block
    end = header.data_at + entry * header.pitch + header.extra + rest
    return index == header.used - 1 and end <= source.size


def _map(source: Source, header: Header) -> Iterator[int]:
    """The entries, a megabyte at a time."""
    for first in range(0, header.blocks, BLOCK // 4):
        count = min(BLOCK // 4, header.blocks - first)
        yield from words(read(source, header.map_at + 4 * first, 4 * count, "VDI block map"), "I")


GROUP = 1 << 16
"""Blocks of which the map is held at once while writing: 256 KiB of map, 64 GiB of guest."""


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """Sizes are whole sectors."""
    return reduced(what, SECTOR, "a VDI has whole sectors")


def _layout(size: int, type: int) -> Header:
    """The header of a new image, with no block stored."""
    blocks = -(-size // BLOCK)
    data_at = rounded(BLOCK + 4 * blocks, BLOCK)
    if data_at > FREE:
        raise UsageError(f"{size_text(size)} is more than a VDI's map can be", remedy="use qcow2")
    return Header(
        "1.1", type, "", BLOCK, data_at, SECTOR, size, BLOCK, 0, blocks, 0,
        uuid4(), uuid4(), NOBODY, NOBODY,
    )  # fmt: skip


def create(what: Device | Disc, stem: str, *, type: str = "dynamic") -> Plan:
    """Blocks in guest order; map and data begin at multiples of 1 MiB; the header comes last."""
    device = user_bytes(what)
    if type not in ("dynamic", "fixed"):
        raise UsageError(f"type {type!r}", remedy="type is dynamic or fixed")
    kind = FIXED if type == "fixed" else DYNAMIC
    header = _layout(rounded(device.size, SECTOR), kind)
    allocated = yield from (_fixed if kind == FIXED else _dynamic)(device, header)
    yield Barrier()
    yield Put(0, header_bytes(header, allocated))


def _fixed(device: Device, header: Header) -> Generator[Step, Any, int]:
    yield Copy(device.runs(), header.data_at)
    yield Size(header.data_at + header.blocks * BLOCK)
    for first in range(0, header.blocks, GROUP):
        entries = array("I", range(first, min(header.blocks, first + GROUP)))
        yield Put(header.map_at + 4 * first, written(entries))
    return header.blocks


def _dynamic(device: Device, header: Header) -> Generator[Step, Any, int]:
    stored, done = 0, 0
    yield Size(header.data_at)
    for group in filled(device, GROUP * BLOCK, CONTENT):
        yield from _free(header, done, group * GROUP)
        first, done = group * GROUP, min(header.blocks, (group + 1) * GROUP)
        runs = device.runs(first * BLOCK, min(device.size, done * BLOCK))
        to = header.data_at + stored * BLOCK
        packed: Packed = yield Pack(runs, chunk=BLOCK, codecs=(), to=to, align=BLOCK)
        entries = array("I", [
            FREE if at < 0 else (at - header.data_at) // BLOCK for at in packed.to
        ])  # fmt: skip
        stored = (packed.end - header.data_at) // BLOCK
        yield Put(header.map_at + 4 * first, written(entries))
    yield from _free(header, done, header.blocks)
    return stored


def _free(header: Header, first: int, last: int) -> Generator[Step, Any, None]:
    """Entries of blocks that are not stored."""
    for begin in range(first, last, GROUP):
        count = min(GROUP, last - begin)
        yield Put(header.map_at + 4 * begin, b"\xff" * (4 * count))


def header_bytes(header: Header, allocated: int) -> bytes:
    """The first sector of a new image. The geometry of the guest is left to the reader: zeros."""
    no_disk = {"cylinders": 0, "heads": 0, "sectors": 0, "sector": SECTOR}
    return bytes(
        WRITTEN.build({
            "prefix": {
                "text": b"<<< py-diskimage VDI >>>\n".ljust(64, b"\0"),
                "version": 0x00010001,
            },
            "header": {
                "header_size": 400, "type": header.type, "flags": 0, "comment": bytes(256),
                "map_at": header.map_at, "data_at": header.data_at, "geometry": no_disk,
                "dummy": 0, "size": header.size, "block": header.block, "extra": 0,
                "blocks": header.blocks, "allocated": allocated,
                "image": header.image.bytes_le, "modified": header.modified.bytes_le,
                "parent": bytes(16), "parent_modified": bytes(16),
            },
            "chs": no_disk,
        })
    )  # fmt: skip


FORMAT = Format(
    name="vdi",
    title="VirtualBox disk image",
    suffixes=(".vdi",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_vdi,
    losses=losses,
    create=create,
    check=check,
    options=(Option("type", "dynamic|fixed", "store only what is not zero, or every block"),),
)
