"""QCOW version 1, the first copy-on-write disk of QEMU: two levels of tables, deflate, a backing.

Facts: QEMU block/qcow.c, libyal/libqcow's documentation. Big-endian. docs/formats/qcow1.md draws
it. The guest may be under the old AES of QEMU.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from construct import Const, Int8ub, Int16ub, Int32ub, Int64ub, Struct

from diskimage import codecs
from diskimage.encryption import qemu
from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.layers.claims import Claims
from diskimage.layers.overlay import BACKING_FORMAT, Overlay
from diskimage.layers.table import (
    Flat,
    Match,
    Nested,
    Pages,
    Piece,
    Rule,
    TableDevice,
    words,
    written,
)
from diskimage.limits import Limits
from diskimage.model import HOLE, Bid, Device, Finding, Format, Gate, Kind, Look, Source
from diskimage.parse import demand, read, struct
from diskimage.words import size_text

MAGIC = b"QFI\xfb\0\0\0\1"
HEADER = Struct(
    "magic" / Const(MAGIC), "backing_at" / Int64ub, "backing_length" / Int32ub,
    "modified" / Int32ub, "size" / Int64ub, "cluster_bits" / Int8ub, "l2_bits" / Int8ub,
    "padding" / Int16ub, "encryption" / Int32ub, "l1_at" / Int64ub,
)  # fmt: skip
COMPRESSED = 1 << 63
PLACE = COMPRESSED - 1
WINDOW = 12  # bits of the window of a cluster's raw deflate (QEMU)
SPLIT = 54  # where the kernel's count of sectors begins: places have 54 bits at most
NAME_MOST = 1023  # bytes of the name of a backing file (QEMU)
SECTOR = 512
ENCRYPTIONS = range(2)  # none, AES


class Header(NamedTuple):
    """What the header says. Offsets and sizes in bytes."""

    size: int
    cluster_bits: int
    l2_bits: int
    l1_at: int
    backing: str | None
    encrypted: bool = False

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def per_table(self) -> int:
        """Entries of an L2 table."""
        return 1 << self.l2_bits

    @property
    def tables(self) -> int:
        """L2 tables that the guest reaches: entries of the L1 table, which the header omits."""
        return -(-self.size >> (self.cluster_bits + self.l2_bits))


def load(source: Source, limits: Limits) -> Header:
    """The header, held against the file. UnsupportedError, CorruptError, LimitError."""
    raw, name = struct(HEADER, source, 0, "QCOW header"), source.name
    if not 9 <= raw.cluster_bits <= 16:
        raise CorruptError(f"clusters of 2^{raw.cluster_bits} bytes", file=name, at=32)
    if not 6 <= raw.l2_bits <= 13:
        raise CorruptError(f"tables of 2^{raw.l2_bits} entries", file=name, at=33)
    if raw.size > limits.guest_size:
        raise LimitError(f"guest size {raw.size} is over guest_size", file=name, at=24)
    if raw.encryption not in ENCRYPTIONS:
        raise UnsupportedError(f"encrypted by method {raw.encryption}", file=name, at=36)
    backing = _backing(source, raw.backing_at, raw.backing_length) if raw.backing_at else None
    encrypted = bool(raw.encryption)
    header = Header(raw.size, raw.cluster_bits, raw.l2_bits, raw.l1_at, backing, encrypted)
    if 8 * header.tables > limits.l1_table:
        text = f"an L1 table of {header.tables} entries, over l1_table {limits.l1_table} bytes"
        raise LimitError(text, file=name, at=24)
    if raw.l1_at < HEADER.sizeof():
        raise CorruptError(f"the L1 table is at {raw.l1_at}", file=name, at=40)
    demand(source, raw.l1_at, 8 * header.tables, "the L1 table")
    return header


def _backing(source: Source, at: int, length: int) -> str | None:
    if length > NAME_MOST:
        text = f"a backing file name of {length} bytes"
        raise CorruptError(text, file=source.name, at=16)
    name = read(source, at, length, "name of the backing file")
    return name.decode("utf-8", "surrogateescape") or None


def probe(look: Look) -> Bid | None:
    """The magic and version 1."""
    return Bid(95, "the magic QFI FB and version 1") if look.head[:8] == MAGIC else None


class Recoded(NamedTuple):
    """Tables whose compressed entries count bytes, in the notation of a rule, which counts sectors.

    What is stored is rounded up to a sector by it: a codec ignores what follows its stream.
    """

    inner: Nested
    split: int

    def pieces(self, first: int, last: int) -> Iterator[Piece]:
        """The entries of blocks [first, last)."""
        for piece in self.inner.pieces(first, last):
            if piece.entries is None:
                yield piece
                continue
            values = words(bytes(piece.entries), "Q", big_endian=True)
            if max(values) < COMPRESSED:
                yield piece
                continue
            again = written(array("Q", [self._recoded(one) for one in values]), big_endian=True)
            yield piece._replace(entries=memoryview(again))

    def _recoded(self, entry: int) -> int:
        if entry < COMPRESSED:
            return entry
        at, stored = place(entry, self.split)
        sectors = max(0, (at % SECTOR + stored - 1) // SECTOR)
        return COMPRESSED | sectors << SPLIT | at


def place(entry: int, split: int) -> tuple[int, int]:
    """(where, stored bytes) of a compressed cluster: the low `split` bits, and those above."""
    return entry & ((1 << split) - 1), (entry & PLACE) >> split


def tables(header: Header, pages: Pages) -> Nested:
    """Where the entries of clusters are."""
    return Nested(
        directory=Flat(pages, header.l1_at, header.tables, 8, "L1 table"),
        per_table=header.per_table,
        width=8,
        mask=PLACE,
        reserved=COMPRESSED,
        big_endian=True,
        what="L2 table",
    )


def open_qcow1(source: Source, gate: Gate, *, backing_format: str | None = None) -> Device:
    """The disk, over its backing where it has one and the gate opens it.

    `backing_format` is that of a backing of which the image names none. Raises what the gate does.
    """
    header = load(source, gate.limits)
    empty = HOLE if header.backing is None else Kind.ABSENT
    pages = Pages(source, gate.limits.table_resident)
    table = TableDevice(
        size=header.size,
        block=header.cluster,
        data=source,
        entries=Recoded(tables(header, pages), 63 - header.cluster_bits),
        rule=Rule(
            width=8,
            big_endian=True,
            matches=(Match(PLACE | COMPRESSED, 0, empty),),
            mask=PLACE,
            coded=COMPRESSED,
            coded_split=SPLIT,
            clip=source.size,
        ),
        empty=empty,
        codec=codecs.deflate(WINDOW),
        floor=HEADER.sizeof(),
        info=info(header),
    )
    layer = qemu.deciphered(table, source, gate) if header.encrypted else table
    if header.backing is None:
        return layer
    backing = gate.parent(header.backing, role="backing", format=backing_format)
    return layer if backing is None else Overlay(layer, backing)


def info(header: Header) -> dict[str, object]:
    """What `info` shows."""
    return {
        "variant": f"v1, {size_text(header.cluster)} clusters",
        "cluster_size": header.cluster,
        "backing": header.backing,
        "encryption": "AES" if header.encrypted else None,
    }


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Tables and plain clusters share no bytes; all that is stored lies in the file."""
    header = load(source, gate.limits)
    claims = Claims(source, 0, SECTOR, gate.limits)
    yield from claims.take(0, header.l1_at + 8 * header.tables, "the header", 0)
    size = 8 * header.per_table
    table = words(read(source, header.l1_at, 8 * header.tables, "L1 table"), "Q", big_endian=True)
    for number, entry in enumerate(table):
        if not entry:
            continue
        at = header.l1_at + 8 * number
        wrong = list(claims.take(entry, size, f"L2 table {number}", at))
        yield from wrong
        if not wrong:
            yield from _check_table(header, source, claims, number, entry)


def _check_table(
    header: Header, source: Source, claims: Claims, number: int, table_at: int
) -> Iterator[Finding]:
    raw = read(source, table_at, 8 * header.per_table, "L2 table")
    for index, entry in enumerate(words(raw, "Q", big_endian=True)):
        cluster, at = number * header.per_table + index, table_at + 8 * index
        left = min(header.cluster, header.size - cluster * header.cluster)
        if left <= 0:
            return
        if entry & COMPRESSED:
            to, stored = place(entry, 63 - header.cluster_bits)
            if to > source.size - stored:
                text = f"compressed cluster {cluster} at {to} ends past the end of the file"
                yield Finding("truncated", text, at)
        elif entry:
            yield from claims.take(entry, left, f"cluster {cluster}", at)


FORMAT = Format(
    name="qcow1",
    title="QEMU copy-on-write disk, version 1",
    suffixes=(".qcow",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_qcow1,
    check=check,
    opens=(BACKING_FORMAT,),
)
