"""A VHDX as a plan: fixed, dynamic or differencing; signature, headers and region tables come last.

signature, headers, region tables | log, empty | metadata | block table | blocks
0                                   1 MiB        2 MiB      3 MiB         whole MiB
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from construct import Array

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import UsageError
from diskimage.formats.vhdx import differencing, layout
from diskimage.formats.vhdx.layout import MIB, Disk
from diskimage.layers.gather import hole
from diskimage.layers.parts import CONTENT, filled
from diskimage.layers.table import written
from diskimage.model import (
    Barrier,
    Copy,
    Device,
    Disc,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
    Size,
    Step,
)
from diskimage.options import size_option
from diskimage.words import rounded, size_text

LOG_AT, METADATA_AT, TABLE_AT = MIB, 2 * MIB, 3 * MIB
PHYSICAL = 4096
GROUP = 1 << 16
"""Blocks of which the table is held at once while writing: 512 KiB of it. It is whole chunks of
blocks, of which the smallest has 64 and the largest 32,768."""
BLOCKS = 1 << 20  # of a disk whose block size is not said, at most: a table of 8 MiB
LARGEST = 64 * MIB  # a block: one is held in memory
CREATOR = "py-diskimage"
VIRTUAL = 2  # flag of a metadata row: it is of the disk, not of the file

OPTIONS = (
    Option("type", "dynamic|fixed", "store only blocks that are not zero, or every byte"),
    Option("block_size", "1M to 64M", "the granule, a power of two; 1M up to a disk of 1 TiB"),
    Option("sector_size", "512|4096", "bytes of a logical sector; the source's unless said"),
    Option("backing", "NAME", "the parent of a differencing disk, relative to the image"),
    Option("backing_format", "vhdx", "the parent's format; needed with backing"),
)


class Shape(NamedTuple):
    """What is to be written, judged."""

    disk: Disk

    @property
    def data_at(self) -> int:
        """Where blocks begin."""
        return TABLE_AT + self.table

    @property
    def table(self) -> int:
        """Bytes of the block table's region: whole MiB."""
        return max(MIB, rounded(8 * self.disk.entries, MIB))


def shape(
    size: int, *, type: str | None = None, block_size: int | str | None = None,
    sector_size: int | str = 512, backing: str | None = None, backing_format: str | None = None,
    parent: Mapping[str, object] | None = None,
) -> Shape:  # fmt: skip
    """The options, held against each other; `parent` is what it says of itself. UsageError."""
    if type not in (None, "dynamic", "fixed"):
        raise UsageError(f"type {type!r}", remedy="type is dynamic or fixed")
    if type == "fixed" and backing is not None:
        raise UsageError("a fixed disk has no parent", remedy="leave type or backing out")
    sector = _sector(sector_size)
    size = rounded(size, sector)
    if size > layout.MOST:
        text = f"{size_text(size)} are more than a VHDX can be"
        raise UsageError(text, remedy="use qcow2 or raw")
    block, names = _block(size, block_size), {}
    if backing is not None:
        names = differencing.names(size, sector, backing, backing_format, parent)
    return Shape(Disk(size, block, sector, PHYSICAL, type == "fixed", bool(names), uuid4(), names))


def _sector(value: int | str) -> int:
    if str(value) not in ("512", "4096"):
        raise UsageError(f"sectors of {value}", remedy="sector_size is 512 or 4096")
    return int(value)


def _block(size: int, value: int | str | None) -> int:
    """The block size that is said, or that which keeps the table small."""
    if value is None:
        block = MIB
        while size > BLOCKS * block:
            block *= 2
        return block
    block = size_option("block_size", value, "2M")
    if block.bit_count() != 1 or not MIB <= block <= LARGEST:
        raise UsageError(f"blocks of {value}", remedy="a power of two from 1M to 64M")
    return block


def _kept(what: Device | Disc, options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` with a sector size: the parent's, or the source's where a VHDX can have it."""
    parent = options.get("parent") or {}
    wide = 4096 in (parent.get("sector_size"), what.info.get("sector_size"))
    return {"sector_size": 4096 if wide else 512, **options}


def losses(what: Device | Disc, **options: Any) -> list[Loss]:
    """Sizes are whole sectors; sectors of 4096 bytes stay such unless 512 is said."""
    sector = _sector(_kept(what, options)["sector_size"])
    lost = reduced(what, sector, "a VHDX has whole sectors")
    if what.info.get("sector_size") == 4096 != sector:
        lost.append(Loss("sectors", f"its sectors of 4096 bytes become such of {sector}"))
    return lost


def full(size: int, **options: Any) -> int:
    """The bytes of a file in which every block of `size` guest bytes is stored."""
    said = {name: value for name, value in options.items() if not name.startswith("backing")}
    made = shape(size, **{**said, "parent": None})
    disk = made.disk._replace(differencing="backing" in options)
    bitmaps = -(-disk.blocks // disk.ratio) * MIB if disk.differencing else 0
    return Shape(disk).data_at + disk.blocks * disk.block + bitmaps


def create(what: Device | Disc, stem: str, **options: Any) -> Plan:
    """The plan that writes `what`. UsageError where options do not fit; ABSENT needs a backing."""
    device = user_bytes(what)
    return _write(device, shape(device.size, **_kept(what, options)))


def _write(device: Device, made: Shape) -> Plan:
    yield Copy(iter((hole(0, made.data_at),)), 0)  # an empty log, and blocks that are not there
    yield Put(METADATA_AT, metadata_bytes(made.disk))
    if made.disk.differencing:
        yield from differencing.steps(device, made.disk, TABLE_AT, made.data_at)
    else:
        yield from _fixed(device, made) if made.disk.fixed else _dynamic(device, made)
    yield Barrier()
    yield Put(0, begin_bytes(made))


def _fixed(device: Device, made: Shape) -> Generator[Step, Any, None]:
    disk = made.disk
    yield Copy(device.runs(), made.data_at)
    yield Size(made.data_at + disk.blocks * disk.block)
    for first in range(0, disk.blocks, GROUP):
        last = min(disk.blocks, first + GROUP)
        step = disk.block
        places = range(made.data_at + first * step, made.data_at + last * step, step)
        yield _entries(disk, first, places)


def _dynamic(device: Device, made: Shape) -> Generator[Step, Any, None]:
    disk, end = made.disk, made.data_at
    yield Size(end)
    for group in filled(device, GROUP * disk.block, CONTENT):
        first = group * GROUP
        stop = min(device.size, (first + GROUP) * disk.block)
        runs = device.runs(first * disk.block, stop)
        packed: Packed = yield Pack(runs, disk.block, (), end, align=MIB)
        yield _entries(disk, first, packed.to)
        end = packed.end


def _entries(disk: Disk, first: int, places: range | array[int]) -> Step:
    """The entries of blocks from `first`, the first of a chunk, on; -1 is one of zeros."""
    entries = array("Q")
    for begin in range(0, len(places), disk.ratio):
        chunk = places[begin : begin + disk.ratio]
        if begin:
            entries.append(0)  # of the sector bitmap of the chunk before
        entries.extend(0 if place < 0 else place | layout.PRESENT for place in chunk)
    return Put(TABLE_AT + 8 * disk.payload(first), written(entries))


def begin_bytes(made: Shape) -> bytes:
    """The signature, both headers, both region tables."""
    raw = bytearray(layout.REGIONS_AT[1] + layout.TABLE_SIZE)
    start = layout.SIGNATURE + CREATOR.encode("utf-16-le")
    raw[: len(start)] = start
    empty = layout.Header(0, 0, uuid4(), uuid4(), layout.NOBODY, LOG_AT, MIB)
    rows = [
        {"kind": kind.bytes_le, "at": at, "length": length, "required": 1}
        for kind, at, length in (
            (layout.BAT, TABLE_AT, made.table), (layout.METADATA, METADATA_AT, MIB),
        )
    ]  # fmt: skip
    table = layout.TABLE.build({"checksum": 0, "count": len(rows), "reserved": 0})
    table += Array(len(rows), layout.REGION).build(rows)
    for sequence, at in enumerate(layout.HEADERS_AT, 1):
        header = empty._replace(sequence=sequence)
        raw[at : at + layout.HEADER_SIZE] = layout.header_bytes(header)
    for at in layout.REGIONS_AT:
        raw[at : at + layout.TABLE_SIZE] = layout.summed(table, layout.TABLE_SIZE)
    return bytes(raw)


def metadata_bytes(disk: Disk) -> bytes:
    """The metadata table and what it names."""
    parameters = disk.block.to_bytes(4, "little")
    flags = layout.FIXED * disk.fixed | layout.HAS_PARENT * disk.differencing
    parameters += flags.to_bytes(4, "little")
    items: list[tuple[UUID, bytes, int]] = [
        (layout.PARAMETERS, parameters, 0),
        (layout.DISK_SIZE, disk.size.to_bytes(8, "little"), VIRTUAL),
        (layout.DISK_ID, disk.id.bytes_le, VIRTUAL),
        (layout.LOGICAL, disk.sector.to_bytes(4, "little"), VIRTUAL),
        (layout.PHYSICAL, disk.physical.to_bytes(4, "little"), VIRTUAL),
    ]
    if disk.names:
        items.append((layout.LOCATOR, _locator(disk.names), 0))
    rows, body = [], b""
    for kind, content, flags in items:
        rows.append({
            "kind": kind.bytes_le, "at": layout.TABLE_SIZE + len(body), "length": len(content),
            "flags": flags | layout.REQUIRED_ITEM, "reserved": 0,
        })  # fmt: skip
        body += content
    head = layout.ITEMS.build({"reserved": 0, "count": len(rows), "rest": bytes(20)})
    head += Array(len(rows), layout.ITEM).build(rows)
    return bytes(head.ljust(layout.TABLE_SIZE, b"\0") + body)


def _locator(names: Mapping[str, str]) -> bytes:
    """The keys and values that tell where the parent is."""
    rows, body = [], b""
    first = layout.NAMES.sizeof() + len(names) * layout.NAME.sizeof()
    for pair in names.items():
        key, value = (text.encode("utf-16-le") for text in pair)
        at = first + len(body)
        rows.append({"key_at": at, "value_at": at + len(key), "key_length": len(key),
                     "value_length": len(value)})  # fmt: skip
        body += key + value
    head = {"type": layout.LOCATOR_TYPE.bytes_le, "reserved": 0, "count": len(rows)}
    return bytes(layout.NAMES.build(head) + Array(len(rows), layout.NAME).build(rows) + body)
