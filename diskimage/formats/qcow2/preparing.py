"""Before the first change of a file: its tables are found, and it says that it will change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.layout import OFFSET, Header
from diskimage.layers.claims import Claims
from diskimage.layers.table import words
from diskimage.limits import Limits
from diskimage.model import Barrier, Finding, Gate, Plan, Put, Source
from diskimage.parse import read

AUTOCLEAR_AT = 88  # of the header
BITMAP_FLAGS_AT = 12  # of a row of the bitmap directory
IN_USE = 1


def claimed(
    header: Header, source: Source, limits: Limits, claims: Claims, blocks: Iterable[int]
) -> Iterator[Finding]:
    """Claim the clusters of the header, of all directories, and of the tables that they name.

    Those of a snapshot's L2 tables are not asked for: they share them with the guest.
    """
    yield from _of_guest(header, source, claims, blocks)
    yield from _of_snapshots(header, source, limits, claims)
    directory = layout.bitmap_directory(header, source)
    if directory is None or not header.autoclear & layout.BITMAPS:
        return
    yield from claims.take(directory.at, directory.size, "the bitmap directory", 0)
    for row in layout.bitmaps(header, source, limits):
        if row.entries:
            yield from claims.take(row.table_at, 8 * row.entries, "a bitmap's table", row.at)


def _of_snapshots(
    header: Header, source: Source, limits: Limits, claims: Claims
) -> Iterator[Finding]:
    end = header.snapshots_at
    for row in layout.snapshots(header, source, limits):
        if row.l1_entries:
            yield from claims.take(row.l1_at, 8 * row.l1_entries, "a snapshot's L1 table", end)
        end = row.end
    if header.snapshots:
        length = end - header.snapshots_at
        yield from claims.take(header.snapshots_at, length, "the snapshot table", 64)


def _of_guest(
    header: Header, source: Source, claims: Claims, blocks: Iterable[int]
) -> Iterator[Finding]:
    cluster = header.cluster
    yield from claims.take(0, 1, "the header", 0)
    length = header.refcount_clusters * cluster
    yield from claims.take(header.refcounts_at, length, "the refcount table", 48)
    for row, at in enumerate(blocks):
        if at:
            entry_at = header.refcounts_at + 8 * row
            yield from claims.take(at, cluster, "a refcount block", entry_at)
    if header.l1_entries == 0:
        return
    raw = read(source, header.l1_at, 8 * header.l1_entries, "L1 table")
    yield from claims.take(header.l1_at, len(raw), "the L1 table", 40)
    for row, entry in enumerate(words(raw, "Q", big_endian=True)):
        if entry & OFFSET:
            entry_at = header.l1_at + 8 * row
            yield from claims.take(entry & OFFSET, cluster, "an L2 table", entry_at)


def announced(header: Header, source: Source, gate: Gate) -> Plan:
    """Bitmaps do not follow what is written: they are in use from now on, as after a crash.

    Autoclear bits that are not known to stay true are cleared.
    """
    followed = header.autoclear & layout.BITMAPS
    if header.autoclear != followed:
        yield Put(AUTOCLEAR_AT, followed.to_bytes(8, "big"))
    rows = list(layout.bitmaps(header, source, gate.limits)) if followed else []
    for row in rows:
        at = row.at + BITMAP_FLAGS_AT
        flags = int.from_bytes(read(source, at, 4, "bitmap directory"), "big")
        yield Put(at, (flags | IN_USE).to_bytes(4, "big"))
    if rows:
        gate.warn("bitmaps", f"{len(rows)} bitmaps do not know what is written now")
    yield Barrier()
