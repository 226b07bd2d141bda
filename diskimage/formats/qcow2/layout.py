"""The fixed parts of a qcow2 file: header, extensions, snapshot table, bitmap directory.

Facts: QEMU docs/interop/qcow2 and block/qcow2*.c. Big-endian. Each number is held against the file
and the limits before anything is read or allocated by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from construct import Bytes, Const, Int8ub, Int16ub, Int32ub, Int64ub, Struct

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import demand, fields, read, struct

MAGIC = b"QFI\xfb"
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16  # incompatible features
INCOMPATIBLE = ("dirty", "corrupt", "external data file", "compression type", "extended L2 entries")
COMPATIBLE = ("lazy refcounts",)
AUTOCLEAR = ("bitmaps", "raw external data")
BITMAPS, RAW_DATA_FILE = 1, 2  # autoclear features
COMPRESSIONS = ("zlib", "zstd")
ENCRYPTIONS = range(3)  # none, the old AES, LUKS

OFFSET = 0x00FFFFFFFFFFFE00  # bits 9 to 55 of L1, L2 and refcount table entries
COPIED = 1 << 63
COMPRESSED = 1 << 62
ZERO = 1
L1_RESERVED = 0x7F000000000001FF
L2_RESERVED = 0x3F000000000001FE

END, BACKING_FORMAT, FEATURES = 0, 0xE2792ACA, 0x6803F857
BITMAP_EXTENSION, LUKS_HEADER, DATA_NAME = 0x23852875, 0x0537BE77, 0x44415441
EXTENSIONS = {
    BACKING_FORMAT: "backing format", FEATURES: "feature names", BITMAP_EXTENSION: "bitmaps",
    LUKS_HEADER: "LUKS header", DATA_NAME: "data file name",
}  # fmt: skip
NAME_MOST = 1023  # bytes of the name of a backing file or a bitmap (QEMU)
SNAPSHOT_EXTRA = 1024  # bytes of a snapshot's extra data (QEMU)

V2 = Struct(
    "magic" / Const(MAGIC), "version" / Int32ub, "backing_at" / Int64ub, "backing_length" / Int32ub,
    "cluster_bits" / Int32ub, "size" / Int64ub, "encryption" / Int32ub, "l1_entries" / Int32ub,
    "l1_at" / Int64ub, "refcounts_at" / Int64ub, "refcount_clusters" / Int32ub,
    "snapshots" / Int32ub, "snapshots_at" / Int64ub,
)  # fmt: skip
V3 = Struct(
    "incompatible" / Int64ub, "compatible" / Int64ub, "autoclear" / Int64ub,
    "refcount_order" / Int32ub, "length" / Int32ub,
)  # fmt: skip
LENGTH_V2, LENGTH_V3 = V2.sizeof(), V2.sizeof() + V3.sizeof()
COMPRESSION_AT = LENGTH_V3  # one byte, then seven of padding, where the header is that long
EXTENSION = Struct("type" / Int32ub, "length" / Int32ub)
FEATURE = Struct("kind" / Int8ub, "bit" / Int8ub, "name" / Bytes(46))
SNAPSHOT = Struct(
    "l1_at" / Int64ub, "l1_entries" / Int32ub, "id_length" / Int16ub, "name_length" / Int16ub,
    "seconds" / Int32ub, "nanoseconds" / Int32ub, "clock" / Int64ub, "state_size" / Int32ub,
    "extra_length" / Int32ub,
)  # fmt: skip
LUKS_PLACE = Struct("at" / Int64ub, "length" / Int64ub)
BITMAP_HEAD = Struct("count" / Int32ub, "reserved" / Int32ub, "size" / Int64ub, "at" / Int64ub)
BITMAP = Struct(
    "table_at" / Int64ub, "entries" / Int32ub, "flags" / Int32ub, "type" / Int8ub,
    "granularity_bits" / Int8ub, "name_length" / Int16ub, "extra_length" / Int32ub,
)  # fmt: skip


class Header(NamedTuple):
    """What the first cluster says. Sizes and places in bytes."""

    version: int
    cluster_bits: int
    size: int
    encryption: int
    l1_at: int
    l1_entries: int
    refcounts_at: int
    refcount_clusters: int
    snapshots: int
    snapshots_at: int
    incompatible: int = 0
    compatible: int = 0
    autoclear: int = 0
    refcount_order: int = 4
    length: int = LENGTH_V2
    compression: int = 0
    backing: str | None = None
    extensions: tuple[tuple[int, bytes], ...] = ()

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def extended(self) -> bool:
        """Whether L2 entries have 16 bytes and clusters 32 parts."""
        return bool(self.incompatible & EXTENDED_L2)

    @property
    def entry(self) -> int:
        """Bytes of an L2 entry."""
        return 16 if self.extended else 8

    @property
    def per_table(self) -> int:
        """Entries of an L2 table."""
        return self.cluster // self.entry

    @property
    def tables(self) -> int:
        """L2 tables that the guest reaches: needed L1 entries."""
        return -(-self.size // (self.cluster * self.per_table))

    def extension(self, kind: int) -> bytes | None:
        """The data of the first extension of a type."""
        return next((data for found, data in self.extensions if found == kind), None)

    def text(self, kind: int) -> str | None:
        """An extension that is a name."""
        data = self.extension(kind)
        return None if data is None else data.decode("utf-8", "surrogateescape")


def load(source: Source, limits: Limits) -> Header:
    """The header of `source`. UnsupportedError, CorruptError, LimitError, TruncatedError."""
    old = struct(V2, source, 0, "qcow2 header")
    if old.version not in (2, 3):
        raise UnsupportedError(f"qcow version {old.version}", file=source.name, at=4)
    if not 9 <= old.cluster_bits <= 21:
        raise CorruptError(f"clusters of 2^{old.cluster_bits} bytes", file=source.name, at=20)
    cluster = 1 << old.cluster_bits
    first = read(source, 0, min(cluster, source.size), "first cluster")
    more = _v3(source, first) if old.version == 3 else {}
    length = more.get("length", LENGTH_V2)
    backing = _backing(source, first, old.backing_at, old.backing_length)
    stop = old.backing_at if backing is not None else len(first)
    header = Header(
        version=old.version, cluster_bits=old.cluster_bits, size=old.size,
        encryption=old.encryption, l1_at=old.l1_at, l1_entries=old.l1_entries,
        refcounts_at=old.refcounts_at, refcount_clusters=old.refcount_clusters,
        snapshots=old.snapshots, snapshots_at=old.snapshots_at, backing=backing,
        extensions=tuple(_extensions(source, first, length, stop)), **more,
    )  # fmt: skip
    _features(header, source)
    demand_bounds(header, source, limits)
    return header


def _v3(source: Source, first: bytearray) -> dict[str, int]:
    """The fields that version 3 adds."""
    more = fields(V3, first[LENGTH_V2:LENGTH_V3], source, LENGTH_V2, "qcow2 header")
    if more.length < LENGTH_V3 or more.length % 8 or more.length > len(first):
        raise CorruptError(f"a header of {more.length} bytes", file=source.name, at=100)
    if more.refcount_order > 6:
        text = f"refcounts of 2^{more.refcount_order} bits"
        raise CorruptError(text, file=source.name, at=96)
    return {
        "incompatible": more.incompatible, "compatible": more.compatible,
        "autoclear": more.autoclear, "refcount_order": more.refcount_order, "length": more.length,
        "compression": first[COMPRESSION_AT] if more.length > COMPRESSION_AT else 0,
    }  # fmt: skip


def _backing(source: Source, first: bytearray, at: int, length: int) -> str | None:
    if at == 0:
        return None
    if length > NAME_MOST or at > len(first) - length:
        text = f"a backing file name of {length} bytes at {at}"
        raise CorruptError(text, file=source.name, at=8)
    return first[at : at + length].decode("utf-8", "surrogateescape") or None


def _extensions(
    source: Source, first: bytearray, at: int, stop: int
) -> Iterator[tuple[int, bytes]]:
    """(type, data) up to the end mark, the backing name or the end of the first cluster."""
    while at + EXTENSION.sizeof() <= stop:
        head = fields(EXTENSION, first[at : at + 8], source, at, "header extension")
        at += EXTENSION.sizeof()
        if head.type == END:
            return
        if head.length > stop - at:
            raise CorruptError(
                f"header extension {head.type:#010x} of {head.length} bytes ends after {stop}",
                file=source.name,
                at=at - 4,
            )
        yield head.type, bytes(first[at : at + head.length])
        at += -(-head.length // 8) * 8


def feature_names(header: Header) -> dict[tuple[int, int], str]:
    """(kind, bit) to the name that the image gives it; kinds 0 to 2 as the header orders them."""
    table = header.extension(FEATURES) or b""
    names = {}
    for at in range(0, len(table) - FEATURE.sizeof() + 1, FEATURE.sizeof()):
        row = FEATURE.parse(table[at : at + FEATURE.sizeof()])
        names[row.kind, row.bit] = bytes(row.name).rstrip(b"\0").decode("utf-8", "replace")
    return names


def bits(value: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    return (bit for bit in range(64) if value >> bit & 1)


def _features(header: Header, source: Source) -> None:
    """Refuse what a reader has to understand and this one does not."""
    unknown = list(bits(header.incompatible >> len(INCOMPATIBLE) << len(INCOMPATIBLE)))
    if unknown:
        names = feature_names(header)
        listed = ", ".join(f"{bit} ({names.get((0, bit), 'no name')})" for bit in unknown)
        raise UnsupportedError(
            f"incompatible feature bits {listed}",
            file=source.name,
            at=LENGTH_V2,
            remedy="open it with the software that made it",
        )
    if header.compression >= len(COMPRESSIONS):
        text = f"compression type {header.compression}"
        raise UnsupportedError(text, file=source.name, at=COMPRESSION_AT)
    if bool(header.compression) != bool(header.incompatible & COMPRESSION):
        text = f"compression type {header.compression} against its feature bit"
        raise CorruptError(text, file=source.name, at=COMPRESSION_AT)
    if header.encryption not in ENCRYPTIONS:
        text = f"encrypted by method {header.encryption}"
        raise UnsupportedError(text, file=source.name, at=32)
    if header.extended and header.cluster_bits < 14:
        text = f"extended L2 entries in clusters of {header.cluster} bytes"
        raise CorruptError(text, file=source.name, at=20)


def demand_bounds(header: Header, source: Source, limits: Limits) -> None:
    """Hold the guest's size against the L1 table, and that against the file."""
    name = source.name
    if header.size > limits.guest_size:
        raise LimitError(f"guest size {header.size} is over guest_size", file=name, at=24)
    if header.l1_entries * 8 > limits.l1_table:
        text = f"an L1 table of {header.l1_entries} entries, over l1_table {limits.l1_table} bytes"
        raise LimitError(text, file=name, at=36)
    if header.l1_entries < header.tables:
        text = f"{header.l1_entries} L1 entries for {header.size} bytes that need {header.tables}"
        raise CorruptError(text, file=name, at=36)
    if header.l1_at % header.cluster:
        raise CorruptError(f"the L1 table at {header.l1_at} is not aligned", file=name, at=40)
    demand(source, header.l1_at, header.tables * 8, "the L1 table")
    if header.l1_at == 0 and header.tables:
        raise CorruptError("the L1 table is the header", file=name, at=40)


class Snapshot(NamedTuple):
    """One row of the snapshot table."""

    id: str
    name: str
    seconds: int
    state_size: int
    disk_size: int | None
    l1_at: int
    l1_entries: int
    end: int  # of the row in the file, not padded


def snapshots(header: Header, source: Source, limits: Limits) -> Iterator[Snapshot]:
    """The snapshot table. LimitError, CorruptError, TruncatedError."""
    count, at, left = header.snapshots, header.snapshots_at, limits.listing
    if count > limits.snapshots:
        text = f"{count} snapshots, over snapshots {limits.snapshots}"
        raise LimitError(text, file=source.name, at=60)
    if count and at % 8:
        raise CorruptError(f"the snapshot table at {at} is not aligned", file=source.name, at=64)
    for _ in range(count):
        row = struct(SNAPSHOT, source, at, "snapshot table")
        if row.extra_length > SNAPSHOT_EXTRA:
            text = f"a snapshot with {row.extra_length} bytes of extra data"
            raise LimitError(text, file=source.name, at=at + 36)
        _short(row.id_length, "id of a snapshot", source, at + 12)
        _short(row.name_length, "name of a snapshot", source, at + 14)
        body = at + SNAPSHOT.sizeof()
        names = row.id_length + row.name_length
        left -= SNAPSHOT.sizeof() + row.extra_length + names
        if left < 0:
            text = f"a snapshot table of more than listing {limits.listing} bytes"
            raise LimitError(text, file=source.name, at=at)
        rest = read(source, body, row.extra_length + names, "snapshot table")
        extra, text_at = rest[: row.extra_length], row.extra_length
        yield Snapshot(
            id=rest[text_at : text_at + row.id_length].decode("utf-8", "replace"),
            name=rest[text_at + row.id_length :].decode("utf-8", "replace"),
            seconds=row.seconds,
            state_size=int.from_bytes(extra[:8], "big") if len(extra) >= 8 else row.state_size,
            disk_size=int.from_bytes(extra[8:16], "big") if len(extra) >= 16 else None,
            l1_at=row.l1_at,
            l1_entries=row.l1_entries,
            end=body + len(rest),
        )
        at = body + -(-len(rest) // 8) * 8


def _short(length: int, what: str, source: Source, at: int) -> None:
    if length > NAME_MOST:
        raise LimitError(f"the {what} has {length} bytes", file=source.name, at=at)


class Bitmap(NamedTuple):
    """One row of the bitmap directory."""

    name: str
    granularity: int
    in_use: bool
    automatic: bool
    table_at: int
    entries: int
    at: int  # of the row in the file


class Directory(NamedTuple):
    """Where the bitmap directory is."""

    bitmaps: int
    size: int
    at: int


def bitmap_directory(header: Header, source: Source) -> Directory | None:
    """What the bitmaps extension says; None without one. CorruptError."""
    data = header.extension(BITMAP_EXTENSION)
    if data is None:
        return None
    head = fields(BITMAP_HEAD, data, source, header.length, "bitmaps extension")
    return Directory(head.count, head.size, head.at)


def bitmaps(header: Header, source: Source, limits: Limits) -> Iterator[Bitmap]:
    """The bitmap directory. LimitError, CorruptError, TruncatedError."""
    head = bitmap_directory(header, source)
    if head is None:
        return
    if head.bitmaps > limits.bitmaps or head.size > limits.listing:
        text = f"{head.bitmaps} bitmaps in a directory of {head.size} bytes"
        raise LimitError(text, file=source.name)
    directory, at = read(source, head.at, head.size, "bitmap directory"), 0
    for _ in range(head.bitmaps):
        raw = directory[at : at + BITMAP.sizeof()]
        row = fields(BITMAP, raw, source, head.at + at, "bitmap directory")
        _short(row.name_length, "name of a bitmap", source, head.at + at + 18)
        name_at = at + BITMAP.sizeof() + row.extra_length
        end = name_at + row.name_length
        if end > len(directory) or row.granularity_bits > 31:
            raise CorruptError("a bitmap that its directory does not hold", file=source.name,
                               at=head.at + at)  # fmt: skip
        yield Bitmap(
            name=directory[name_at:end].decode("utf-8", "replace"),
            granularity=1 << row.granularity_bits,
            in_use=bool(row.flags & 1),
            automatic=bool(row.flags & 2),
            table_at=row.table_at,
            entries=row.entries,
            at=head.at + at,
        )
        at = end + -end % 8
