"""A VHDX as a device: its log replayed in memory, its blocks, and its parent below them."""

from __future__ import annotations

from uuid import UUID

from diskimage.errors import CorruptError
from diskimage.formats.vhdx import layout, log
from diskimage.formats.vhdx.blocks import Blocks
from diskimage.formats.vhdx.layout import SIGNATURE, Disk, Header
from diskimage.formats.vhdx.write import Headers, Table
from diskimage.layers.growing import Growing
from diskimage.layers.overlay import Overlay
from diskimage.model import Bid, Device, Gate, Look, Source
from diskimage.parse import read
from diskimage.sources.pending import Pending
from diskimage.words import size_text

NAMES = ("relative_path", "volume_path", "absolute_win32_path")
"""The keys of a parent's names, the one to be believed first ([MS-VHDX] 2.6.2.6.3)."""
LINKS = ("parent_linkage", "parent_linkage2")


def probe(look: Look) -> Bid | None:
    """The signature at 0."""
    return Bid(95, "vhdxfile at 0") if look.head[:8] == SIGNATURE else None


def begun(source: Source, gate: Gate) -> tuple[Header, Source, int]:
    """The header, the file as its log says it is to be, and how many entries were replayed."""
    if read(source, 0, 8, "VHDX signature") != SIGNATURE:
        raise CorruptError("it does not begin with vhdxfile", file=source.name, at=0)
    header = layout.header(source, gate)
    if header.log == layout.NOBODY:
        return header, source, 0
    patched, entries = log.replayed(source, header, gate.limits)
    return header, patched, entries


def open_vhdx(source: Source, gate: Gate) -> Device:
    """The disk; a differencing one over its parent, which the gate opens as a VHDX."""
    header, file, entries = begun(source, gate)
    if entries:
        text = f"its writer did not end: {entries} entries of its log are replayed in memory"
        gate.warn("log", text, header.log_at)
    regions = layout.regions(file, gate)
    disk = layout.disk(file, regions[layout.METADATA], gate.limits)
    table = regions[layout.BAT]
    if 8 * disk.entries > table.length:
        text = f"a block table of {table.length} bytes, the disk needs {disk.entries} entries"
        raise CorruptError(text, file=source.name, at=table.at)
    pending = Pending(file, log.SECTOR)
    shown = info(header, disk, entries, source)
    layer = Blocks(disk, file, pending, layout.parts(header, regions), gate, shown)
    parent = _parent(disk, source, gate) if disk.differencing else None
    whole = layer if parent is None else Overlay(layer, parent)
    room = Table(layer, whole, disk, table, Headers(header), source, file, pending)
    return Growing(layer, whole, room)


def info(header: Header, disk: Disk, entries: int, source: Source) -> dict[str, object]:
    """What `info` shows."""
    kind = "differencing" if disk.differencing else "fixed" if disk.fixed else "dynamic"
    shown: dict[str, object] = {
        "variant": f"{kind}, {size_text(disk.block)} blocks",
        "type": kind,
        "creator": _creator(source),
        "block_size": disk.block,
        "blocks": disk.blocks,
        "sector_size": disk.sector,
        "physical_sector_size": disk.physical,
        "uuid": str(disk.id),
        "data_write_guid": str(header.data_write),
    }
    if entries:
        shown["log_entries"] = entries
    if disk.differencing:
        shown["parent_locators"] = dict(disk.names)
    return shown


def _creator(source: Source) -> str:
    """The name of the program that wrote the file."""
    raw = bytes(read(source, 8, 512, "VHDX creator"))
    return raw.decode("utf-16-le", "replace").partition("\0")[0]


def _parent(disk: Disk, source: Source, gate: Gate) -> Device | None:
    """The parent, of which the content is that which the image was made over; None unopened."""
    name = next((disk.names[key] for key in NAMES if disk.names.get(key)), None)
    if name is None:
        raise CorruptError("a differencing disk that names no parent", file=source.name)
    parent = gate.parent(name, role="parent", format="vhdx")
    if parent is None:
        return None
    links = {_link(disk.names[key]) for key in LINKS if key in disk.names}
    if str(parent.info.get("data_write_guid")) not in links:
        raise CorruptError(
            f"the parent's content is {parent.info.get('data_write_guid')}, "
            f"the image was made over {' or '.join(sorted(links)) or 'none'}",
            file=source.name,
            remedy="give the disk that it was made over, unchanged since",
        )
    if parent.size != disk.size:
        gate.warn("size", f"the parent has {parent.size} bytes, the image {disk.size}")
    return parent


def _link(text: str) -> str:
    """A GUID in braces as `info` shows one; what is none stays as it is."""
    try:
        return str(UUID(text))
    except ValueError:
        return text
