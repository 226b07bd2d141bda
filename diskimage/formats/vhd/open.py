"""A VHD as a device: a fixed one is a slice of its file, others are blocks under sector bitmaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.errors import TruncatedError
from diskimage.formats.vhd import layout, parents
from diskimage.formats.vhd.blocks import Blocks
from diskimage.formats.vhd.layout import SECTOR, Footer, Header
from diskimage.formats.vhd.resize import resized
from diskimage.formats.vhd.write import Table
from diskimage.layers.gather import hole
from diskimage.layers.growing import Growing
from diskimage.layers.overlay import Overlay
from diskimage.layers.plain import Plain
from diskimage.layers.slice import Slice
from diskimage.model import Barrier, Bid, Copy, Device, Gate, Look, Plan, Put, Runs, Source
from diskimage.sources.file import FileSource
from diskimage.sources.pending import Pending
from diskimage.words import size_text


def probe(look: Look) -> Bid | None:
    """The footer's cookie at the end, or that of its copy at the beginning."""
    last = layout.trailing(look.tail, look.size)
    if last is not None:
        sound = layout.holds(last[1])
        return Bid(95 if sound else 60, f"a VHD footer at {last[0]}{'' if sound else ', damaged'}")
    if look.head[:8] == layout.COOKIE:
        sound = layout.holds(look.head[: layout.FOOTER])
        return Bid(90 if sound else 60, "the copy of a VHD footer at 0, and none at the end")
    return None


def open_vhd(source: Source, gate: Gate) -> Device:
    """The disk; a differencing one over its parent, which the gate opens as a VHD."""
    footer = layout.footer(source, gate)
    if footer.type == layout.FIXED:
        return _fixed(footer, source)
    header = layout.header(footer, source)
    pending = Pending(source)
    layer = Blocks(header, source, pending, gate, info(header, source, gate))
    parent = None
    if footer.type == layout.DIFFERENCING:
        parent = parents.opened(header, source, gate)
    whole = layer if parent is None else Overlay(layer, parent)
    return Growing(layer, whole, Table(layer, whole, header, source, pending))


def _fixed(footer: Footer, source: Source) -> Device:
    if footer.size > footer.at:
        raise TruncatedError(
            f"a disk of {footer.size} bytes before its footer at {footer.at}",
            file=source.name, at=footer.at,
            remedy="the file is cut short: copy or download it again",
        )  # fmt: skip
    return Fixed(footer, source)


class Fixed:
    """The bytes of a fixed disk: those of the file before its footer."""

    block = SECTOR

    def __init__(self, footer: Footer, source: Source) -> None:
        self._footer, self._source = footer, source
        self._disk = Slice(Plain(source), 0, footer.size)
        self.size = footer.size
        self.info: Mapping[str, object] = {"variant": "fixed", **_told(footer, source)}

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """DATA where the file has bytes, holes where it says it has none."""
        return self._disk.runs(start, stop)

    def plan_write(self, start: int, data: memoryview) -> Plan:
        """Guest byte n is byte n of the file."""
        yield Put(start, data)

    def plan_zero(self, start: int, length: int) -> Plan:
        """A hole."""
        yield Copy(iter((hole(start, start + length),)), start)

    def plan_flush(self) -> Plan:
        """Nothing is held back."""
        yield Barrier()

    def plan_resize(self, size: int) -> Plan:
        """See `vhd.resize`."""
        return resized(self._footer, self._source, size)


def _told(footer: Footer, source: Source) -> dict[str, object]:
    """What `info` shows of every disk. Times are Unix seconds."""
    shown: dict[str, object] = {
        "type": layout.TYPES[footer.type],
        "creator": footer.creator.decode("latin-1").rstrip("\0 "),
        "uuid": str(footer.uuid),
        "time": footer.time + layout.EPOCH,
        "geometry": list(footer.geometry),
        "geometry_size": footer.by_geometry,
        "current_size": footer.current,
        "original_size": footer.original,
        "overhead": max(0, source.size - footer.size),
    }
    if isinstance(source, FileSource):
        shown["modified"] = source.modified
    return shown


def info(header: Header, source: Source, gate: Gate) -> dict[str, object]:
    """What `info` shows of a dynamic or differencing disk."""
    kind = layout.TYPES[header.footer.type]
    shown = {
        "variant": f"{kind}, {size_text(header.block)} blocks",
        **_told(header.footer, source),
        "block_size": header.block,
        "blocks": header.used,
    }
    if header.footer.type == layout.DIFFERENCING:
        shown["parent_uuid"] = str(header.parent)
        shown["parent_name"] = header.parent_name
        shown["parent_locators"] = parents.names(header, source, gate.limits)
    return shown
