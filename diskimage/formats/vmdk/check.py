"""What is wrong with the structure of a VMDK. It stores no sums; that grains decode, a check of any
format tells."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import DiskImageError, LimitError
from diskimage.formats.vmdk import layout
from diskimage.formats.vmdk.grains import sparse_tables
from diskimage.formats.vmdk.layout import SECTOR, Sparse
from diskimage.formats.vmdk.opening import sparse_extents
from diskimage.layers.table import Nested, Pages
from diskimage.limits import Limits
from diskimage.model import Device, Finding, Gate, Kind, Runs, Source
from diskimage.parse import read


class Sectors:
    """The sectors of a file that belong to something: a bit for each."""

    def __init__(self, source: Source, limits: Limits) -> None:
        room = source.size // SECTOR // 8 + 1
        if room > limits.metadata:
            text = f"a check of {source.size} bytes needs {room} bytes, over metadata"
            raise LimitError(f"{text} {limits.metadata}", file=source.name)
        self._bits = bytearray(room)

    def take(self, at: int, length: int) -> bool:
        """Note the sectors of `length` bytes at `at`, inside the file; whether all were free."""
        first, last = at // SECTOR, -(-(at + length) // SECTOR)
        last = min(last, 8 * len(self._bits))
        edge, whole = -(-first // 8), last // 8
        free = True
        for sector in (*range(first, min(last, edge * 8)), *range(max(edge, whole) * 8, last)):
            byte, bit = sector >> 3, 1 << (sector & 7)
            free = free and not self._bits[byte] & bit
            self._bits[byte] |= bit
        if whole > edge:
            free = free and not any(self._bits[edge:whole])
            self._bits[edge:whole] = b"\xff" * (whole - edge)
        return free


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Problems of structure of every sparse extent.

    A bit for each sector of a file is kept: LimitError where they pass `metadata`.
    """
    for part, device in sparse_extents(source, gate):
        try:
            yield from _extent(part, device, gate)
        except DiskImageError as error:  # the next extent has problems of its own
            yield Finding(error.kind, error.message, error.at)


def _extent(source: Source, device: Device, gate: Gate) -> Iterator[Finding]:
    taken = Sectors(source, gate.limits)
    if read(source, 0, 4, "VMDK header") == layout.MAGIC:
        header = layout.load(source, gate.limits)
        yield from _metadata(header, source, taken, gate.limits)
    for runs in device.runs():
        for row, kind in enumerate(runs.kind):
            if kind in (Kind.DATA, Kind.CODED):
                yield from _grain(runs, row, taken)


def _metadata(header: Sparse, source: Source, taken: Sectors, limits: Limits) -> Iterator[Finding]:
    """Note where header, descriptor, directory and tables are; compare the copies of tables."""
    pages = Pages(source, limits.table_resident)
    main = sparse_tables(header, pages, redundant=layout.lost_directory(header, source))
    taken.take(0, SECTOR if header.compressed else max(SECTOR, header.overhead))
    taken.take(header.descriptor_at, header.descriptor_length)
    taken.take(main.directory.at, 4 * header.tables)
    for _, at in _tables(main):
        taken.take(at, main.per_table * main.width)
    if header.flags & layout.REDUNDANT and not layout.lost_directory(header, source):
        yield from _copies(main, sparse_tables(header, pages, redundant=True), source)


def _tables(nested: Nested) -> Iterator[tuple[int, int]]:
    """(number, place) of each table that is there."""
    directory = nested.directory
    for piece in directory.pieces(0, directory.entries):
        assert piece.entries is not None
        for row in range(piece.blocks):
            entry = int.from_bytes(piece.entries[4 * row : 4 * row + 4], "little")
            at = nested.place(entry, piece.at + 4 * row)
            if at:
                yield piece.first + row, at


def _copies(main: Nested, copy: Nested, source: Source) -> Iterator[Finding]:
    """Tables that differ from their copy, or that there is only one of."""
    length, places = main.per_table * main.width, dict(_tables(copy))
    for number, at in _tables(main):
        where = places.pop(number, None)
        if where is None:
            yield Finding("corrupt", f"grain table {number} has no copy", at)
        elif read(source, at, length, "grain table") != read(source, where, length, "its copy"):
            yield Finding("corrupt", f"grain table {number} and its copy differ", where)
    for number, at in places.items():
        yield Finding("corrupt", f"grain table {number} is there as a copy alone", at)


def _grain(runs: Runs, row: int, taken: Sectors) -> Iterator[Finding]:
    """A row that is stored: its sectors are its own."""
    at, start = runs.at[row], runs.start[row]
    length = runs.stored[row] if runs.kind[row] == Kind.CODED else runs.length[row]
    if not taken.take(at, length):
        yield Finding("corrupt", f"guest byte {start} shares its sectors with others", at)
