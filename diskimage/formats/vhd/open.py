"""A VHD as a device: a fixed one is a slice of its file, others are blocks under sector bitmaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.errors import CorruptError, TruncatedError
from diskimage.formats.vhd import layout, parents
from diskimage.formats.vhd.layout import FREE, SECTOR, Footer, Header
from diskimage.layers.bits import stretches
from diskimage.layers.gather import gathered
from diskimage.layers.overlay import Overlay
from diskimage.layers.plain import Plain
from diskimage.layers.slice import Slice
from diskimage.layers.table import Flat, Match, Pages, Rule, TableDevice
from diskimage.model import HOLE, Bid, Device, Extent, Gate, Kind, Look, Runs, Source
from diskimage.runs import pack, view
from diskimage.sources.file import FileSource
from diskimage.words import size_text

BITMAPS = 1 << 20
"""Bytes of bitmaps kept: those of 4 GiB in blocks of 2 MiB."""


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
    layer = Blocks(header, source, gate, info(header, source, gate))
    if footer.type == layout.DYNAMIC:
        return layer
    parent = parents.opened(header, source, gate)
    return layer if parent is None else Overlay(layer, parent)


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
        self._disk = Slice(Plain(source), 0, footer.size)
        self.size = footer.size
        self.info: Mapping[str, object] = {"variant": "fixed", **_told(footer, source)}

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """DATA where the file has bytes, holes where it says it has none."""
        return self._disk.runs(start, stop)


class Blocks:
    """Blocks where the table says, as far as their bitmaps say that sectors are there.

    A sector that is not there is zeros in a dynamic disk, the parent's in a differencing one.
    """

    def __init__(
        self, header: Header, source: Source, gate: Gate, shown: Mapping[str, object]
    ) -> None:
        self.size, self.block, self.info = header.size, header.block, shown
        self._header, self._source = header, source
        differencing = header.footer.type == layout.DIFFERENCING
        self._clear = Kind.ABSENT if differencing else Kind.ZERO
        self._whole = b"\xff" * header.bitmap
        self._bitmaps = Pages(source, BITMAPS)
        free = Kind.ABSENT if differencing else HOLE
        self._table = TableDevice(
            size=header.size,
            block=header.block,
            data=source,
            entries=Flat(
                Pages(source, gate.limits.table_resident), header.table_at, header.used, 4
            ),
            rule=Rule(
                width=4, big_endian=True, matches=(Match(FREE, FREE, free),), scale=SECTOR,
                base=header.bitmap,
            ),
            empty=free,
        )  # fmt: skip

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop). Raises CorruptError, TruncatedError for what is in it."""
        return gathered(self._pieces(start, self.size if stop is None else stop))

    def _pieces(self, start: int, stop: int) -> Iterator[Runs]:
        for runs in self._table.runs(start, stop):
            partial = {
                row: bitmap
                for row, kind in enumerate(runs.kind)
                if kind == Kind.DATA and (bitmap := self._bitmap(runs, row)) != self._whole
            }
            yield from pack(self._rows(runs, partial)) if partial else (runs,)

    def _bitmap(self, runs: Runs, row: int) -> bytearray:
        """The bitmap of the block that a stored row is in."""
        start, skip = runs.start[row], runs.start[row] % self.block
        place, wrong = runs.at[row] - skip - self._header.bitmap, ""
        if place < layout.FOOTER:
            wrong = f"over the headers, at {place}"
        elif skip + runs.length[row] > self.block:  # neighbours with no bitmap between them
            wrong = "over another"
        if wrong:
            at = self._header.table_at + 4 * (start // self.block)
            raise CorruptError(
                f"the block of guest byte {start} is stored {wrong}", file=self._source.name, at=at
            )
        return self._bitmaps.read(place, self._header.bitmap, "a sector bitmap")

    def _rows(self, runs: Runs, partial: Mapping[int, bytearray]) -> Iterator[Extent]:
        """The rows of a block of columns, those with a partial bitmap in pieces."""
        for row, extent in enumerate(view(runs)):
            if row in partial:
                yield from self._parts(extent, partial[row])
            else:
                yield extent

    def _parts(self, extent: Extent, bitmap: bytearray) -> Iterator[Extent]:
        skip = extent.start % self.block
        first, last = skip // SECTOR, -(-(skip + extent.length) // SECTOR)
        base = extent.start - skip
        for bit, end, there in stretches(bitmap, first, last, high_first=True):
            start = max(extent.start, base + bit * SECTOR)
            length = min(extent.stop, base + end * SECTOR) - start
            if there:
                at = extent.at + start - extent.start
                yield Extent(start, length, Kind.DATA, source=self._source, at=at)
            else:
                yield Extent(start, length, self._clear)


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
