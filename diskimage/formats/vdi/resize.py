"""A larger VDI, as far as there is room for its map before the data."""

from __future__ import annotations

from diskimage.errors import TooSmallError, UnsupportedError, UsageError
from diskimage.formats.vdi.layout import (
    DIFFERENCING,
    FIXED,
    FREE,
    SECTOR,
    ZEROED,
    Header,
)
from diskimage.layers.gather import hole
from diskimage.layers.growing import Room
from diskimage.layers.overlay import overlay_of
from diskimage.layers.table import words
from diskimage.model import Barrier, Copy, Device, Plan, Put, Source
from diskimage.parse import read
from diskimage.words import size_text

SIZE_AT = 368  # of the header of version 1: the size, a block's two sizes, the blocks


def resized(header: Header, source: Source, whole: Device, room: Room, size: int) -> Plan:
    """The entries that the disk gains first, then the header that reaches them.

    `whole` is what the guest reads. UsageError for no whole number of sectors, TooSmallError where
    the map has no room, UnsupportedError for a smaller disk, a static one, and one whose new part
    a larger parent would fill.
    """
    blocks = -(-size // header.block)
    _demand_resizable(header, source, whole, size)
    yield from room.begin()
    yield from room.flush()
    yield from _cleared(header, source)
    entry = ZEROED if header.type == DIFFERENCING else FREE
    gained = entry.to_bytes(4, "little") * max(0, blocks - header.used)
    yield Put(header.map_at + 4 * header.used, gained)
    yield Barrier()
    said = size.to_bytes(8, "little") + header.block.to_bytes(4, "little")
    said += header.extra.to_bytes(4, "little") + max(blocks, header.blocks).to_bytes(4, "little")
    yield Put(SIZE_AT, said)
    yield Barrier()


def _demand_resizable(header: Header, source: Source, whole: Device, size: int) -> None:
    name, over = source.name, overlay_of(whole)
    if size % SECTOR:
        raise UsageError(f"{size} bytes are no whole number of sectors", file=name)
    wrong = ""
    if size < header.size:
        wrong = "does not become smaller in place"
    elif header.type == FIXED or header.version.startswith("0."):
        wrong = "of this type or version does not grow in place"
    elif over is not None and over.bottom.size > header.size:
        wrong = "does not grow in place over a larger parent"
    elif _stored_beyond(header, source):
        wrong = "stores blocks behind its end"
    if wrong:
        remedy = "convert it to a new one: from a raw copy of that size"
        raise UnsupportedError(f"a VDI {wrong}", file=name, remedy=remedy)
    most = (header.data_at - header.map_at) // 4 * header.block
    if size > most:
        raise TooSmallError(
            f"its map has room for {size_text(most)}: {most} bytes", file=name,
            remedy="convert it to raw, resize that, and convert it back",
        )  # fmt: skip


def _stored_beyond(header: Header, source: Source) -> bool:
    """Whether entries that the guest does not reach yet name stored blocks."""
    count = header.blocks - header.used
    raw = read(source, header.map_at + 4 * header.used, 4 * count, "VDI block map")
    return any(entry < ZEROED for entry in words(raw, "I"))


def _cleared(header: Header, source: Source) -> Plan:
    """Zeros in the last block behind the guest's last byte, where that block is stored."""
    skip = header.size % header.block
    if skip == 0:
        return
    raw = read(source, header.map_at + 4 * (header.used - 1), 4, "VDI block map")
    entry = words(raw, "I")[0]
    if entry >= ZEROED:
        return
    at = header.data_at + entry * header.pitch + header.extra
    if source.size < at + header.block:  # the last block of the file may be cut there
        yield Put(at + header.block - 1, b"\0")
    yield Copy(iter((hole(0, header.block - skip),)), at + skip)
