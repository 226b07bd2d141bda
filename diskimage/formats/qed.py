"""QED, QEMU's enhanced disk: two levels of tables, a backing file, no snapshots.

Facts: QEMU docs/interop/qed_spec. Little-endian. docs/formats/qed.md draws it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from construct import Const, Int32ul, Int64ul, Struct

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.kernels.scan import first_nonzero
from diskimage.layers.claims import Claims
from diskimage.layers.overlay import BACKING_FORMAT, Overlay
from diskimage.layers.table import Flat, Match, Nested, Pages, Rule, TableDevice, words
from diskimage.limits import Limits
from diskimage.model import HOLE, Bid, Device, Finding, Format, Gate, Kind, Look, Source
from diskimage.parse import demand, read, struct
from diskimage.words import size_text

MAGIC = b"QED\0"
BACKING, NEED_CHECK, RAW_BACKING = 1, 2, 4
KNOWN = BACKING | NEED_CHECK | RAW_BACKING
ZERO = 1  # an entry of a second table
WORD = (1 << 64) - 1
SECTOR = 512
NAME_MOST = 1023  # bytes of the name of a backing file (QEMU)
LEAST, MOST, TABLES_MOST = 4096, 64 << 20, 16  # bytes of a cluster; clusters of a table
GROUP = 1 << 16
"""Entries that a check holds at once."""

HEADER = Struct(
    "magic" / Const(MAGIC), "cluster" / Int32ul, "table" / Int32ul, "header" / Int32ul,
    "features" / Int64ul, "compatible" / Int64ul, "autoclear" / Int64ul, "l1_at" / Int64ul,
    "size" / Int64ul, "backing_at" / Int32ul, "backing_length" / Int32ul,
)  # fmt: skip


class Header(NamedTuple):
    """What the header says. Offsets and sizes in bytes."""

    cluster: int
    table: int
    first: int  # where the header's clusters end
    features: int
    l1_at: int
    size: int
    backing: str | None

    @property
    def per_table(self) -> int:
        """Entries of a table, on both levels."""
        return self.table // 8

    @property
    def tables(self) -> int:
        """Second tables that the guest reaches."""
        return -(-self.size // (self.cluster * self.per_table))


def load(source: Source, limits: Limits) -> Header:
    """The header, held against the file. UnsupportedError, CorruptError, LimitError."""
    raw, name = struct(HEADER, source, 0, "QED header"), source.name
    if raw.features & ~KNOWN:
        raise UnsupportedError(f"feature bits {raw.features & ~KNOWN:#x}", file=name, at=16)
    if not LEAST <= raw.cluster <= MOST or raw.cluster.bit_count() != 1:
        raise CorruptError(f"clusters of {raw.cluster} bytes", file=name, at=4)
    if raw.cluster > limits.chunk:
        text = f"clusters of {raw.cluster} bytes, over chunk {limits.chunk}"
        raise LimitError(text, file=name, at=4)
    if not 1 <= raw.table <= TABLES_MOST or raw.table.bit_count() != 1:
        raise CorruptError(f"tables of {raw.table} clusters", file=name, at=8)
    if raw.size > limits.guest_size:
        raise LimitError(f"guest size {raw.size} is over guest_size", file=name, at=48)
    if raw.size % SECTOR:
        raise CorruptError(f"{raw.size} bytes, which are no whole sectors", file=name, at=48)
    first = raw.header * raw.cluster
    header = Header(
        raw.cluster, raw.table * raw.cluster, first, raw.features, raw.l1_at, raw.size,
        _backing(source, raw.backing_at, raw.backing_length, first)
        if raw.features & BACKING else None,
    )  # fmt: skip
    if header.tables > header.per_table:
        raise CorruptError(f"{raw.size} bytes are more than its tables reach", file=name, at=48)
    if raw.l1_at % raw.cluster or raw.l1_at < max(first, raw.cluster):
        raise CorruptError(f"the L1 table is at {raw.l1_at}", file=name, at=40)
    demand(source, header.l1_at, 8 * header.tables, "the L1 table")
    return header


def _backing(source: Source, at: int, length: int, end: int) -> str:
    if not 0 < length <= NAME_MOST or at < HEADER.sizeof() or at > end - length:
        text = f"a backing file name of {length} bytes at {at}"
        raise CorruptError(text, file=source.name, at=56)
    name = read(source, at, length, "name of the backing file")
    return name.decode("utf-8", "surrogateescape")


def probe(look: Look) -> Bid | None:
    """The magic at 0."""
    return Bid(90, "the magic QED at 0") if look.head[:4] == MAGIC else None


def open_qed(source: Source, gate: Gate, *, backing_format: str | None = None) -> Device:
    """The disk, over its backing where it has one and the gate opens it.

    `backing_format` is that of a backing of which the image names none. Raises what the gate does.
    """
    header = load(source, gate.limits)
    if header.features & NEED_CHECK:
        gate.warn("dirty", "was not closed: its tables may be stale", 16)
    empty = HOLE if header.backing is None else Kind.ABSENT
    layer = TableDevice(
        size=header.size,
        block=header.cluster,
        data=source,
        entries=tables(header, Pages(source, gate.limits.table_resident)),
        rule=Rule(
            width=8,
            matches=(Match(WORD, 0, empty), Match(WORD, ZERO, HOLE)),
            mask=WORD,
            align=header.cluster,
        ),
        empty=empty,
        floor=header.first,
        info=info(header),
    )
    if header.backing is None:
        return layer
    backing = gate.parent(header.backing, role="backing", format=_format(header) or backing_format)
    return layer if backing is None else Overlay(layer, backing)


def _format(header: Header) -> str | None:
    """What the backing is said to be: raw, or nothing."""
    return "raw" if header.features & RAW_BACKING else None


def tables(header: Header, pages: Pages) -> Nested:
    """Where the entries of clusters are."""
    return Nested(
        directory=Flat(pages, header.l1_at, header.tables, 8, "L1 table"),
        per_table=header.per_table,
        width=8,
        mask=WORD,
        align=header.cluster,
        what="L2 table",
    )


def info(header: Header) -> dict[str, object]:
    """What `info` shows."""
    return {
        "variant": f"{size_text(header.cluster)} clusters, tables of {size_text(header.table)}",
        "cluster_size": header.cluster,
        "table_size": header.table,
        "backing": header.backing,
        "backing_format": _format(header),
    }


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Each cluster of the file is one table's or one guest cluster's, aligned and in the file."""
    header = load(source, gate.limits)
    claims = Claims(source, header.first, header.cluster, gate.limits)
    yield from claims.take(header.l1_at, header.table, "the L1 table", 40)
    for number, entry, at in _entries(source, header.l1_at, header.tables):
        if not entry:
            continue
        wrong = list(claims.take(entry, header.table, f"L2 table {number}", at))
        yield from wrong
        if not wrong:
            yield from _check_table(header, source, claims, number, entry)


def _check_table(
    header: Header, source: Source, claims: Claims, number: int, table_at: int
) -> Iterator[Finding]:
    first = number * header.per_table
    count = min(header.per_table, -(-header.size // header.cluster) - first)
    for index, entry, at in _entries(source, table_at, count):
        if entry > ZERO:
            length = min(header.cluster, header.size - (first + index) * header.cluster)
            yield from claims.take(entry, length, f"cluster {first + index}", at)


def _entries(source: Source, at: int, count: int) -> Iterator[tuple[int, int, int]]:
    """(number, entry, where it is) of a table; stretches of it that are zeros are passed by."""
    for first in range(0, count, GROUP):
        some = min(GROUP, count - first)
        raw = read(source, at + 8 * first, 8 * some, "QED table")
        told = first_nonzero(raw) < len(raw)
        for number, entry in enumerate(words(raw, "Q") if told else (), first):
            yield number, entry, at + 8 * number


FORMAT = Format(
    name="qed",
    title="QEMU enhanced disk",
    suffixes=(".qed",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_qed,
    check=check,
    opens=(BACKING_FORMAT,),
)
