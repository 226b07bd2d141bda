"""Before the first change of a file: its tables are found, and it says that it will change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.layout import OFFSET, Header
from diskimage.layers.claims import Claims
from diskimage.layers.table import words
from diskimage.model import Barrier, Finding, Gate, Plan, Put, Source
from diskimage.parse import read

AUTOCLEAR_AT = 88  # of the header
BITMAP_FLAGS_AT = 12  # of a row of the bitmap directory
IN_USE = 1


def claimed(
    header: Header, source: Source, claims: Claims, blocks: Iterable[int]
) -> Iterator[Finding]:
    """Claim the clusters of the header, of both directories and of the tables they name."""
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
