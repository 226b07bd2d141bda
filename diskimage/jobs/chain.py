"""What jobs on an image over a backing ask and do."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from diskimage.engine.compare import differing
from diskimage.engine.copy import Work
from diskimage.errors import LoopError, LossError, RefusedReferenceError, UnsupportedError
from diskimage.image import Image
from diskimage.kernels.columns import coalesce
from diskimage.kernels.scan import is_zero
from diskimage.layers.overlay import Overlay, overlay_of
from diskimage.layers.slice import Slice
from diskimage.model import HOLE, Device, Kind, Layered, Reference, Runs
from diskimage.ranges import Ranges
from diskimage.sources.file import FileSource, same_file
from diskimage.words import rounded

PIECE = 4 << 20
"""Bytes that are read and then written at once."""
STRETCH = 256 << 20
"""Guest bytes whose differences are held in memory: half a million ranges at most."""
PARENTS = ("backing", "parent")
ALONE = "it is whole by itself: make an overlay with diskimage create -o backing=..."


def parent_of(image: Image) -> tuple[Reference, FileSource]:
    """The backing of an image that was opened with it, and the file where that is.

    UnsupportedError where it has none, RefusedReferenceError where it was not opened as a file.
    """
    found = [row for row in image.references if row.role in PARENTS]
    if not found:
        raise UnsupportedError("has no backing", file=image.name, remedy=ALONE)
    opened = [row for row in image.references if row.opened]
    pairs = zip(opened, image.sources[1:], strict=False)  # files are opened in this order
    for row, source in pairs:
        if row.role in PARENTS and isinstance(source, FileSource):
            return row, source
    raise RefusedReferenceError(
        f"its backing {found[0].name!r} was not opened as a file", file=image.name,
        remedy="allow it with --references siblings, or a directory",
    )  # fmt: skip


def demand_layered(image: Image) -> Layered:
    """The device of an image whose backing can be changed. UnsupportedError for others."""
    if not isinstance(image.device, Layered) and not any(
        row.role in PARENTS for row in image.references
    ):
        raise UnsupportedError("has no backing", file=image.name, remedy=ALONE)
    if not isinstance(image.device, Layered):
        text = f"the backing of a {image.format} is not changed in place"
        raise UnsupportedError(text, file=image.name, remedy="convert it: that flattens it")
    return image.device


def demand_no_snapshots(image: Image) -> None:
    """LossError for an image with snapshots, which read from its backing too."""
    rows = image.info.get("snapshots")
    if isinstance(rows, list) and rows:
        raise LossError(
            f"its {len(rows)} snapshots read from its backing too, and would read other bytes"
            " [snapshots]", file=image.name,
            remedy="delete them with qemu-img snapshot -d, or convert each with snapshot=NAME",
        )  # fmt: skip


def demand_not_among(image: Image, others: Image) -> None:
    """LoopError where the file of `image` is one of those that `others` is read from."""
    mine = image.source
    if isinstance(mine, FileSource) and any(
        isinstance(one, FileSource) and same_file(one, mine) for one in others.sources
    ):
        raise LoopError("would lead back to itself", file=image.name, remedy="name another backing")


def pieces(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(start, length) of ranges, cut into pieces."""
    for start, length in ranges:
        for at in range(start, start + length, PIECE):
            yield at, min(PIECE, start + length - at)


def moved(image: Image, to: Image, ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Write ranges of `image` to the same places of `to`, zeros as such; the bytes of each piece.

    One buffer serves them all: fresh memory costs more than the copy.
    """
    buffer = memoryview(bytearray(PIECE))
    for start, length in pieces(ranges):
        data = buffer[:length]
        image.read_into(start, data)
        if is_zero(data):
            to.zero(start, length)
        else:
            to.write(start, data)
        yield length


def kept(image: Image, new: Device, work: Work) -> int:
    """Write into the layer of `image` what its backing holds there and `new` does not, so that the
    guest is the same over `new`; the bytes written, which are durable.

    LossError for one with snapshots; what `parent_of` raises.
    """
    device, over = demand_layered(image), overlay_of(image.device)
    demand_no_snapshots(image)
    parent_of(image)
    assert over is not None, "a backing was opened"
    silent, written = _Silent(device.layer), 0
    work.watch.begin("compare", image.size)
    for start in range(0, image.size, STRETCH):
        length = min(STRETCH, image.size - start)
        old, now = (Slice(Overlay(silent, one), start, length) for one in (over.bottom, new))
        found = differing(old, now, work)
        written += sum(moved(image, image, Ranges(_blocks(image, start, found))))
    image.flush()
    return written


def _blocks(image: Image, start: int, found: Ranges) -> Iterator[tuple[int, int]]:
    """The whole blocks of ranges that count from `start`."""
    block = image.device.block
    for one in found:
        first = (start + one.start) // block * block
        last = min(image.size, rounded(start + one.stop, block))
        yield first, last - first


class _Silent:
    """`layer` with holes for all that it answers."""

    def __init__(self, layer: Device) -> None:
        self._layer = layer
        self.size, self.block, self.info = layer.size, layer.block, layer.info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """ABSENT, or a hole."""
        none = array("q")
        for runs in self._layer.runs(start, stop):
            kinds = array("B", runs.kind.tobytes().translate(_ANSWERED))
            nowhere = array("q", bytes(8 * len(runs)))
            yield coalesce(Runs(runs.start, runs.length, nowhere, kinds, none, none))


_ANSWERED = bytes(Kind.ABSENT if kind == Kind.ABSENT else HOLE for kind in range(256))
