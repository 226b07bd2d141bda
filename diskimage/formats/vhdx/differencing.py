"""A differencing VHDX as steps: the blocks that a layer answers, chunk by chunk, and their bits."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from diskimage.errors import UsageError
from diskimage.formats.vhdx import layout
from diskimage.formats.vhdx.layout import MIB, Disk
from diskimage.kernels.columns import coalesce
from diskimage.layers.parts import ANSWERED, filled
from diskimage.layers.table import written
from diskimage.model import HOLE, Copy, Device, Kind, Put, Runs, Size, Step
from diskimage.words import rounded

PRESENT = bytes(HOLE if kind == Kind.ABSENT else kind for kind in range(256))
"""Kind codes with what is absent made a hole, as a table."""


def names(
    size: int, sector: int, backing: str, format: str | None, parent: Mapping[str, object] | None
) -> dict[str, str]:
    """The locator of the parent, which lies below the image's directory. UsageError."""
    if format != "vhdx":
        raise UsageError(f"a parent of format {format!r}", remedy="say backing_format=vhdx")
    plain = backing.replace("/", "\\").removeprefix(".\\")
    bad = plain.startswith("\\") or ".." in plain.split("\\") or ":" in plain or not plain
    if bad or not plain.isprintable() or len(plain) > 1024:
        raise UsageError(f"a parent called {backing!r}",
                         remedy="name it below the image's directory")  # fmt: skip
    if parent is None or "data_write_guid" not in parent:
        raise UsageError("what the parent says of itself is not known", remedy="put it in place")
    if (parent.get("size"), parent.get("sector_size")) != (size, sector):
        raise UsageError(
            f"a disk of {size} bytes in sectors of {sector} over a parent of "
            f"{parent.get('size')} in sectors of {parent.get('sector_size')}",
            remedy="a differencing disk is as its parent is",
        )
    link = f"{{{parent['data_write_guid']}}}".upper()
    return {"parent_linkage": link, "relative_path": f".\\{plain}"}


def steps(device: Device, disk: Disk, table: int, end: int) -> Generator[Step, Any, None]:
    """Every block with a byte of this layer, to `end` and behind it, and its entries in `table`.

    A block of zeros takes no space; one that is not answered whole has bits in its chunk's bitmap.
    """
    for chunk in filled(device, disk.ratio * disk.block, ANSWERED):
        entries = array("Q", bytes(8 * (disk.ratio + 1)))
        bitmap = bytearray(MIB)
        for block in _answered(device, disk, chunk):
            start = block * disk.block
            rows = list(device.runs(start, min(device.size, start + disk.block)))
            state = _state(rows)
            if state == layout.PARTIAL:
                _mark(bitmap, rows, block, disk)
            if state != layout.ZERO:
                yield Copy([coalesce(_shown(runs)) for runs in rows], end)
                state, end = state | end, end + disk.block
            entries[block % disk.ratio] = state
        if any(bitmap):
            yield Put(end, bitmap)
            entries[disk.ratio] = layout.PRESENT | end
            end += MIB
        yield Put(table + 8 * chunk * (disk.ratio + 1), written(entries))
    yield Size(end)


def _answered(device: Device, disk: Disk, chunk: int) -> list[int]:
    """The numbers of the blocks of a chunk with a byte of this layer."""
    first = chunk * disk.ratio * disk.block
    found: set[int] = set()
    for runs in device.runs(first, min(device.size, first + disk.ratio * disk.block)):
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if kind != Kind.ABSENT:
                found.update(range(start // disk.block, -(-(start + length) // disk.block)))
    return sorted(found)


def _state(rows: list[Runs]) -> int:
    """The state of a block with such rows."""
    kinds = {kind for runs in rows for kind in runs.kind}
    if kinds <= {HOLE, Kind.ZERO}:
        return layout.ZERO
    return layout.PARTIAL if Kind.ABSENT in kinds else layout.PRESENT


def _shown(runs: Runs) -> Runs:
    return replace(runs, kind=array("B", runs.kind.tobytes().translate(PRESENT)))


def _mark(bitmap: bytearray, rows: list[Runs], block: int, disk: Disk) -> None:
    """Set the bits of the sectors that a layer has of a block. UsageError for parts of sectors."""
    bits, base, sector = 0, block * disk.block, disk.sector
    for runs in rows:
        for begin, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if kind == Kind.ABSENT:
                continue
            stop = begin + length
            if begin % sector or (stop % sector and rounded(stop, sector) != disk.size):
                raise UsageError(f"bytes {begin} to {stop} of the layer are no whole sectors",
                                 remedy="flatten the chain")  # fmt: skip
            first, last = (begin - base) // sector, -(-(stop - base) // sector)
            bits |= (1 << last) - (1 << first)
    at = block % disk.ratio * disk.bits
    bitmap[at : at + disk.bits] = bits.to_bytes(disk.bits, "little")
