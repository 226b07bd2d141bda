"""Whether header, log, regions and blocks of a VHDX lie apart and inside the file."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import CorruptError, LimitError
from diskimage.formats.vhdx import layout
from diskimage.formats.vhdx.layout import MIB, PLACE, STATE, Disk, Region
from diskimage.formats.vhdx.open import begun
from diskimage.layers.table import words
from diskimage.model import Finding, Gate, Source
from diskimage.parse import read

PIECE = 1 << 20
STORED = (layout.PRESENT, layout.PARTIAL)


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Problems of structure. A byte is kept for each MiB of the file: LimitError over `metadata`.

    A log that is to be replayed is one, and the rest is judged as it says.
    """
    header, file, entries = begun(source, gate)
    for places, length, signature, what in (
        (layout.HEADERS_AT, layout.HEADER_SIZE, b"head", "header"),
        (layout.REGIONS_AT, layout.TABLE_SIZE, b"regi", "region table"),
    ):
        if len(layout.copies(file, places, length, signature, f"VHDX {what}")) == 1:
            yield Finding("checksum", f"one of the two copies of the {what} is damaged", places[0])
    if entries:
        yield Finding("corrupt", f"{entries} entries of its log were not carried out",
                      header.log_at)  # fmt: skip
    if file.size // MIB > gate.limits.metadata:
        raise LimitError(f"a check of {file.size} bytes is over metadata", file=source.name)
    regions = layout.regions(file, gate)
    disk = layout.disk(file, regions[layout.METADATA], gate.limits)
    table = regions[layout.BAT]
    if 8 * disk.entries > table.length:
        raise CorruptError("the block table is too short", file=source.name, at=table.at)
    taken = _Taken(file.size)
    for name, part in layout.parts(header, regions).items():
        yield from taken.by(name, part.at, part.length, part.at)
    yield from _blocks(disk, file, table, taken)


class _Taken:
    """Which MiB of the file are somebody's."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._marks = bytearray(-(-size // MIB))

    def by(self, name: str, place: int, length: int, at: int) -> Iterator[Finding]:
        """Mark what `name` takes, and tell where it was taken or ends past the file."""
        first, last = place // MIB, -(-(place + length) // MIB)
        if place + length > self._size:
            yield Finding("truncated", f"{name} lies past the end of the file", at)
            last = len(self._marks)
        if 1 in self._marks[first:last]:
            yield Finding("corrupt", f"{name} shares bytes with another part of the file", at)
        if first < last:
            self._marks[first:last] = b"\1" * (last - first)


def _blocks(disk: Disk, file: Source, table: Region, taken: _Taken) -> Iterator[Finding]:
    for number, entry in _entries(disk, file, table):
        at, chunk = table.at + 8 * number, number // (disk.ratio + 1)
        state, place = entry & STATE, entry & PLACE
        if number % (disk.ratio + 1) == disk.ratio:
            if state == layout.PRESENT:
                yield from taken.by(f"sector bitmap {chunk}", place, MIB, at)
            continue
        block = number - chunk
        lone = state == layout.PARTIAL and not disk.differencing
        if lone or state in (4, 5):
            yield Finding("corrupt", f"block {block} is in state {state}", at)
        elif state in STORED and block < disk.blocks:
            length = min(disk.block, disk.size - block * disk.block)
            yield from taken.by(f"block {block}", place, length, at)


def _entries(disk: Disk, file: Source, table: Region) -> Iterator[tuple[int, int]]:
    """(number, entry) of each entry that is not 0."""
    for first in range(0, disk.entries, PIECE // 8):
        count = min(PIECE // 8, disk.entries - first)
        raw = read(file, table.at + 8 * first, 8 * count, "the block table")
        if any(raw):
            yield from (
                (number, entry) for number, entry in enumerate(words(raw, "Q"), first) if entry
            )
