"""Where an image's guest bytes are, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Unpack

from diskimage.engine.guard import guarded
from diskimage.engine.picture import Piece, Tally, kind_of, svg, tally
from diskimage.engine.salvage import salvaged
from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, unasked, work
from diskimage.layers.overlay import overlay_of
from diskimage.model import Device, Extent, Finding, Kind
from diskimage.ranges import Ranges
from diskimage.runs import joined, view
from diskimage.sources.anything import What

GOOD = Ranges()
WIDTH = 800  # cells of a picture that nobody gave a width


class Record(NamedTuple):
    """One row of a map, with the fields of `qemu-img map --output=json` and `kind`.

    `depth` counts layers from the image itself, `present` says that a layer answers; `offset` is
    that of plain bytes in their file.
    """

    start: int
    length: int
    depth: int
    present: bool
    zero: bool
    data: bool
    offset: int | None
    kind: str

    def to_json(self) -> dict[str, object]:
        """The row; `offset` only where there is one."""
        row = self._asdict()
        if self.offset is None:
            del row["offset"]
        return row


@dataclass(frozen=True, slots=True)
class Map:
    """An image's map. No row of it is kept: each look at the rows opens the image again.

    A map of millions of rows takes no more memory than one of a few. What opening raises, and what
    the image's tables are wrong in, is raised where the rows are taken. `faults` is what was wrong
    in opening an image that is salvaged.
    """

    name: str
    size: int
    _image: What | Image = field(repr=False)
    _how: Opening = field(repr=False)
    bad: Ranges = field(default_factory=Ranges)
    faults: tuple[Finding, ...] = ()
    _salvage: bool = field(default=False, repr=False)

    @property
    def records(self) -> Iterator[Record]:
        """The rows, in order, as they are read."""
        with opened(self._image, salvage=self._salvage, **self._how) as image:
            yield from records(image, self.bad)

    @property
    def bytes_of(self) -> dict[str, int]:
        """Guest bytes of each kind."""
        return self.tally().totals

    def tally(self, width: int = WIDTH) -> Tally:
        """The rows counted into `width` cells."""
        pieces = (Piece(r.start, r.length, r.kind) for r in self.records)
        return tally(pieces, self.size, width)

    def svg(self, width: int = WIDTH) -> str:
        """The map as an SVG document."""
        return svg(self.tally(width), self.name)

    def to_json(self) -> list[dict[str, object]]:
        """The bare array, with all rows in memory."""
        return [record.to_json() for record in self.records]


def map(
    image: What | Image, *, layer: bool = False, salvage: bool = False, **how: Unpack[Opening]
) -> Map:
    """The map of `image`; with `layer` of this layer alone, parents unopened.

    `salvage` reads all of it first: what cannot be read is `bad`, and rows of that kind. The rows
    are read when they are asked for; an Image has to be open until then.
    """
    if layer:
        how["references"] = "list"
    unasked(how)
    with opened(image, salvage=salvage, **how) as found:
        bad = salvaged(found.device, work(policy=found.policy))[1].bad if salvage else Ranges()
        return Map(found.name, found.size, image, how, bad, found.faults, salvage)


def records(image: Image, bad: Ranges = GOOD) -> Iterator[Record]:
    """The rows of an open image's map, as few as their fields allow; nothing is asked of `bad`."""
    last: Record | None = None
    files = image.source.fd is not None  # what has no descriptor then is computed
    for record in _less(image, bad, files):
        if last is not None and _continues(last, record):
            last = last._replace(length=last.length + record.length)
            continue
        if last is not None:
            yield last
        last = record
    if last is not None:
        yield last


def _less(image: Image, bad: Ranges, files: bool) -> Iterator[Record]:
    """The rows of an image, those of `bad` as they were found to be."""
    at = 0
    for start, length in (*bad, (image.size, 0)):
        if at < start:
            yield from _rows(image.device, at, start, 0, files)
        if length:
            yield Record(start, length, 0, True, False, True, None, "bad")
        at = start + length


def _continues(a: Record, b: Record) -> bool:
    if a[2:6] != b[2:6] or a.kind != b.kind or (a.offset is None) != (b.offset is None):
        return False
    return a.offset is None or a.offset + a.length == b.offset


def _rows(device: Device, start: int, stop: int, depth: int, files: bool) -> Iterator[Record]:
    """The rows of [start, stop): what a layer does not answer is asked of the one below it."""
    over = overlay_of(device)
    if over is None:
        # with no backing such formats read as zeros what they do not hold at all
        layered = device.info.get("backing", "") is None
        parts = device.info.get("parts")
        flat = isinstance(parts, list) and len(parts) == 1  # raw: a hole has its place too
        for runs in guarded(device, start, stop):
            for extent in joined(view(runs)):
                record = _record(extent, depth, layered, flat)
                computed = files and extent.source is not None and extent.source.fd is None
                yield record._replace(offset=None) if computed else record
        return
    for row in _rows(over.top, start, stop, depth, files):
        if row.kind != "absent":
            yield row
            continue
        end = row.start + row.length
        below = min(end, over.bottom.size)
        if row.start < below:
            yield from _rows(over.bottom, row.start, below, depth + 1, files)
        if max(row.start, below) < end:
            at = max(row.start, below)
            yield Record(at, end - at, depth, False, True, False, None, "hole")


def _record(extent: Extent, depth: int, layered: bool, flat: bool) -> Record:
    zero = extent.kind == Kind.ZERO
    data = extent.kind in (Kind.DATA, Kind.CODED, Kind.BAD)
    present = extent.kind != Kind.ABSENT and not (extent.hole and layered)
    plain = extent.kind == Kind.DATA and extent.records is None
    offset = extent.at if plain else extent.start if zero and flat else None
    return Record(extent.start, extent.length, depth, present, zero, data, offset, kind_of(extent))
