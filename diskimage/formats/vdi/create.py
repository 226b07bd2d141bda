"""Writing a VDI: header, map, blocks in guest order; over a parent, what the layer answers."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Mapping
from typing import Any
from uuid import UUID, uuid4

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import UsageError
from diskimage.formats.vdi.layout import (
    BLOCK,
    DIFFERENCING,
    DYNAMIC,
    FIXED,
    FREE,
    NOBODY,
    SECTOR,
    WRITTEN,
    ZEROED,
    Header,
)
from diskimage.layers.parts import ANSWERED, CONTENT, filled
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
from diskimage.words import rounded, size_text

OPTIONS = (
    Option("type", "dynamic|fixed", "store only what is not zero, or every block"),
    Option("backing", "NAME", "the parent of a differencing disk, relative to the image"),
    Option("backing_format", "vdi", "the parent's format; needed with backing"),
)
GROUP = 1 << 16
"""Blocks of which the map is held at once while writing: 256 KiB of map, 64 GiB of guest."""


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """Sizes are whole sectors."""
    return reduced(what, SECTOR, "a VDI has whole sectors", told=SECTOR)


def _layout(size: int, type: int, parent: tuple[UUID, UUID]) -> Header:
    """The header of a new image, with no block stored; `parent` is what it names of its parent."""
    blocks = -(-size // BLOCK)
    data_at = rounded(BLOCK + 4 * blocks, BLOCK)
    if data_at > FREE:
        raise UsageError(f"{size_text(size)} is more than a VDI's map can be", remedy="use qcow2")
    return Header(
        "1.1", type, "", BLOCK, data_at, SECTOR, size, BLOCK, 0, blocks, 0,
        uuid4(), uuid4(), *parent,
    )  # fmt: skip


def create(
    what: Device | Disc, stem: str, *, type: str | None = None, backing: str | None = None,
    backing_format: str | None = None, parent: Mapping[str, object] | None = None,
) -> Plan:  # fmt: skip
    """Blocks in guest order; map and data begin at multiples of 1 MiB; the header comes last.

    With `backing` the blocks that `what` answers, over a parent that is named by its UUIDs:
    `parent` is what it says of itself. UsageError where options do not fit.
    """
    device = user_bytes(what)
    if type not in (None, "dynamic", "fixed"):
        raise UsageError(f"type {type!r}", remedy="type is dynamic or fixed")
    kind, size, named = FIXED if type == "fixed" else DYNAMIC, rounded(device.size, SECTOR), None
    if backing is not None:
        if kind == FIXED:
            raise UsageError("a fixed disk has no parent", remedy="leave type or backing out")
        kind, named = DIFFERENCING, _named(size, backing_format, parent)
    header = _layout(size, kind, named or (NOBODY, NOBODY))
    allocated = yield from (_fixed if kind == FIXED else _dynamic)(device, header)
    yield Barrier()
    yield Put(0, header_bytes(header, allocated))


def _named(size: int, format: str | None, parent: Mapping[str, object] | None) -> tuple[UUID, UUID]:
    """The UUIDs by which a parent is named: its own, and that of its last change."""
    if format != "vdi":
        raise UsageError(f"a parent of format {format!r}", remedy="say backing_format=vdi")
    if parent is None or "uuid" not in parent:
        raise UsageError("what the parent says of itself is not known", remedy="put it in place")
    if parent.get("size") != size:
        raise UsageError(f"a disk of {size} bytes over a parent of {parent.get('size')}",
                         remedy="a differencing disk is as large as its parent")  # fmt: skip
    return UUID(str(parent["uuid"])), UUID(str(parent["modification_uuid"]))


def _fixed(device: Device, header: Header) -> Generator[Step, Any, int]:
    yield Copy(device.runs(), header.data_at)
    yield Size(header.data_at + header.blocks * BLOCK)
    for first in range(0, header.blocks, GROUP):
        entries = array("I", range(first, min(header.blocks, first + GROUP)))
        yield Put(header.map_at + 4 * first, written(entries))
    return header.blocks


def _dynamic(device: Device, header: Header) -> Generator[Step, Any, int]:
    stored, done, over = 0, 0, header.type == DIFFERENCING
    yield Size(header.data_at)
    for group in filled(device, GROUP * BLOCK, ANSWERED if over else CONTENT):
        yield from _free(header, done, group * GROUP)
        first, done = group * GROUP, min(header.blocks, (group + 1) * GROUP)
        runs = device.runs(first * BLOCK, min(device.size, done * BLOCK))
        to = header.data_at + stored * BLOCK
        packed: Packed = yield Pack(runs, chunk=BLOCK, codecs=(), to=to, align=BLOCK, absent=over)
        unstored = {-1: ZEROED if over else FREE, -2: FREE}
        entries = array("I", [
            unstored[at] if at < 0 else (at - header.data_at) // BLOCK for at in packed.to
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
                "parent": header.parent.bytes_le,
                "parent_modified": header.parent_modified.bytes_le,
            },
            "chs": no_disk,
        })
    )  # fmt: skip
