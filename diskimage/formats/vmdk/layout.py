"""The fixed parts of VMDK extents: hosted sparse (KDMV), COWD and seSparse headers, as values.

Facts: VMware Virtual Disk Format 5.0, QEMU block/vmdk.c, libvmdk's documentation. Little-endian,
places in sectors of 512 bytes. Each number is held against the file and the limits before anything
is read or allocated by it.
"""

from __future__ import annotations

from typing import NamedTuple

from construct import Bytes, Const, Int8ul, Int16ul, Int32ul, Int64ul, Padding, Struct

from diskimage.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from diskimage.limits import MIB, Limits
from diskimage.model import Source
from diskimage.parse import demand, read, struct

SECTOR = 512
MAGIC, COWD, SESPARSE = b"KDMV", b"COWD", bytes.fromhex("bebafeca00000000")
VERSIONS = range(1, 4)
NEWLINES = b"\n \r\n"
NEWLINE_TEST, REDUNDANT, ZERO_GRAINS, COMPRESSED, MARKERS = 1, 2, 4, 1 << 16, 1 << 17
DEFLATE = 1
IN_FOOTER = (1 << 64) - 1  # as the place of the directory: the footer knows
END_OF_STREAM, TABLE_MARKER, DIRECTORY_MARKER, FOOTER_MARKER = range(4)
PER_TABLE = 512  # entries; the specification has no other number
ENTRIES_MOST = 1 << 16  # of a table: 256 KiB
PADDING_MOST = 64 * MIB  # zeros behind the end of a stream that are looked through

SPARSE = Struct(
    "magic" / Const(MAGIC), "version" / Int32ul, "flags" / Int32ul, "capacity" / Int64ul,
    "grain" / Int64ul, "descriptor_at" / Int64ul, "descriptor_sectors" / Int64ul,
    "per_table" / Int32ul, "redundant_at" / Int64ul, "directory_at" / Int64ul,
    "overhead" / Int64ul, "unclean" / Int8ul, "newlines" / Bytes(4), "compression" / Int16ul,
)  # fmt: skip
MARKER = Struct("sectors" / Int64ul, "size" / Int32ul, "type" / Int32ul)
COW = Struct(
    "magic" / Const(COWD), "version" / Int32ul, "flags" / Int32ul, "capacity" / Int32ul,
    "grain" / Int32ul, "directory_at" / Int32ul, "entries" / Int32ul, "free" / Int32ul,
    "parent" / Bytes(1024),
)  # fmt: skip
COW_DIRTY_AT = 1648
COW_PER_TABLE = 4096
SE = Struct(
    "magic" / Const(SESPARSE), "version" / Int64ul, "capacity" / Int64ul, "grain" / Int64ul,
    "table_sectors" / Int64ul, "flags" / Int64ul, Padding(32),
    "volatile_at" / Int64ul, "volatile_sectors" / Int64ul, Padding(32),
    "directory_at" / Int64ul, "directory_sectors" / Int64ul,
    "tables_at" / Int64ul, "tables_sectors" / Int64ul, Padding(32),
    "grains_at" / Int64ul, "grains_sectors" / Int64ul,
)  # fmt: skip
SE_VERSION, SE_GRAIN, SE_TABLE = 0x0000000200000001, 8, 64
SE_VOLATILE = Struct(
    "magic" / Const(bytes.fromhex("fecafeca00000000")), "free" / Int64ul, "next" / Int64ul,
    "replay" / Int64ul,
)  # fmt: skip


class Sparse(NamedTuple):
    """A hosted sparse header. Places and sizes in bytes; `footed`: it is a stream's footer, so
    that each table is behind a marker of its own."""

    version: int
    flags: int
    size: int
    grain: int
    descriptor_at: int
    descriptor_length: int
    per_table: int
    redundant_at: int
    directory_at: int
    overhead: int
    unclean: bool
    footed: bool = False

    @property
    def tables(self) -> int:
        """Entries of the directory."""
        return -(-self.size // (self.grain * self.per_table))

    @property
    def compressed(self) -> bool:
        """Whether grains are deflated."""
        return bool(self.flags & COMPRESSED)

    @property
    def marked(self) -> bool:
        """Whether a grain's marker names its sector."""
        return bool(self.flags & MARKERS)


class Cow(NamedTuple):
    """A COWD header. Places and sizes in bytes; `child`: it names a parent."""

    size: int
    grain: int
    directory_at: int
    tables: int
    child: bool
    unclean: bool


class Se(NamedTuple):
    """A seSparse header. Places and sizes in bytes."""

    size: int
    grain: int
    directory_at: int
    tables: int
    tables_at: int
    table: int
    grains_at: int


def load(source: Source, limits: Limits) -> Sparse:
    """The header of a hosted sparse extent, or the footer where that knows the directory.

    Raises UnsupportedError, CorruptError, LimitError, TruncatedError.
    """
    header = _sparse(source, 0, limits)
    if header.directory_at == IN_FOOTER * SECTOR:
        header = _sparse(source, footer_at(source), limits)._replace(footed=True)
    if header.directory_at == IN_FOOTER * SECTOR:
        raise CorruptError("a footer without a grain directory", file=source.name)
    if header.tables and not lost_directory(header, source):
        if header.directory_at == 0:
            raise CorruptError("no grain directory", file=source.name, at=56)
        demand(source, header.directory_at, 4 * header.tables, "the grain directory")
    demand(source, 0, header.overhead, "the metadata in front of its grains")
    return header


def lost_directory(header: Sparse, source: Source) -> bool:
    """Whether the directory lies outside the file, or begins with nothing where its copy, which is
    inside, has tables: a wrong place mostly leads to zeros, which would be a disk of zeros."""
    last = source.size - 4 * header.tables
    if not header.flags & REDUNDANT or not 0 < header.redundant_at <= last:
        return False
    if not 0 < header.directory_at <= last:
        return True
    some = min(4 * header.tables, SECTOR)
    own, copy = (read(source, at, some, "grain directory")
                 for at in (header.directory_at, header.redundant_at))  # fmt: skip
    return not any(own) and any(copy)


def _sparse(source: Source, at: int, limits: Limits) -> Sparse:
    raw = struct(SPARSE, source, at, "VMDK header")
    name = source.name
    if raw.version not in VERSIONS:
        raise UnsupportedError(f"a sparse extent of version {raw.version}", file=name, at=at + 4)
    if raw.flags & NEWLINE_TEST and raw.newlines != NEWLINES:
        raise CorruptError(
            f"its newline bytes are {bytes(raw.newlines)!r}, not {NEWLINES!r}: it was transferred"
            " as text", file=name, at=at + 73, remedy="copy it again, as binary",
        )  # fmt: skip
    if raw.flags & COMPRESSED and raw.compression != DEFLATE:
        raise UnsupportedError(f"compression {raw.compression}", file=name, at=at + 77)
    _shape(raw.grain, raw.per_table, source, at, limits)
    if raw.capacity > limits.guest_size // SECTOR:
        raise LimitError(f"{raw.capacity} sectors, over guest_size", file=name, at=at + 12)
    return Sparse(
        raw.version, raw.flags, raw.capacity * SECTOR, raw.grain * SECTOR,
        raw.descriptor_at * SECTOR, raw.descriptor_sectors * SECTOR, raw.per_table,
        raw.redundant_at * SECTOR, raw.directory_at * SECTOR, raw.overhead * SECTOR,
        bool(raw.unclean),
    )  # fmt: skip


def _shape(grain: int, per_table: int, source: Source, at: int, limits: Limits) -> None:
    if grain.bit_count() != 1:
        raise CorruptError(f"grains of {grain} sectors", file=source.name, at=at + 20)
    if grain * SECTOR > limits.chunk:
        raise LimitError(f"grains of {grain} sectors, over chunk {limits.chunk}",
                         file=source.name, at=at + 20)  # fmt: skip
    if per_table == 0:
        raise CorruptError("grain tables of no entry", file=source.name, at=at + 44)
    if per_table > ENTRIES_MOST:
        raise LimitError(f"grain tables of {per_table} entries, over {ENTRIES_MOST}",
                         file=source.name, at=at + 44)  # fmt: skip


def footer_at(source: Source) -> int:
    """Where the footer of a stream is: in front of its last sector, which is zeros, and of zeros
    that a tape or a block device has added behind. TruncatedError where there is none."""
    at = _last_written(source)
    if at >= 2 * SECTOR:
        sector = read(source, at - SECTOR, SECTOR + 4, "footer")
        marker = MARKER.parse(bytes(sector[: MARKER.sizeof()]))
        if sector[SECTOR:] == MAGIC and marker.type == FOOTER_MARKER:
            return at
    raise TruncatedError(
        "its header leaves the grain directory to a footer, which is not at its end",
        file=source.name,
        at=source.size,
        remedy="the stream was cut short: export or copy it again",
    )


def _last_written(source: Source) -> int:
    """The place of the last sector that is not zeros; 0 where none is near the end."""
    end, least = source.size // SECTOR * SECTOR, max(0, source.size - PADDING_MOST)
    while end > least:
        start = max(0, end - MIB)
        piece = read(source, start, end - start, "end of the stream").rstrip(b"\0")
        if piece:
            return start + (len(piece) - 1) // SECTOR * SECTOR
        end = start
    return 0


def load_cow(source: Source, limits: Limits) -> Cow:
    """The header of a COWD extent. UnsupportedError, CorruptError, LimitError, TruncatedError."""
    raw = struct(COW, source, 0, "COWD header")
    if raw.version != 1:
        raise UnsupportedError(f"a COWD extent of version {raw.version}", file=source.name, at=4)
    _shape(raw.grain, COW_PER_TABLE, source, 0, limits)
    size, grain = raw.capacity * SECTOR, raw.grain * SECTOR
    needed = -(-size // (grain * COW_PER_TABLE))
    if raw.entries < needed:
        text = f"a directory of {raw.entries} tables for {size} bytes, which need {needed}"
        raise CorruptError(text, file=source.name, at=24)
    demand(source, raw.directory_at * SECTOR, 4 * needed, "the grain directory")
    # a root has cylinders, heads and sectors here: the fourth byte of a small number is zero
    named = len(bytes(raw.parent).partition(b"\0")[0]) > 3
    dirty = read(source, COW_DIRTY_AT, 1, "COWD header")[0] if source.size > COW_DIRTY_AT else 0
    return Cow(size, grain, raw.directory_at * SECTOR, needed, named, bool(dirty))


def load_se(source: Source, limits: Limits) -> Se:
    """The header of a seSparse extent, whose journal has to be empty.

    Raises UnsupportedError, CorruptError, LimitError, TruncatedError.
    """
    raw = struct(SE, source, 0, "seSparse header")
    name = source.name
    if raw.version != SE_VERSION:
        raise UnsupportedError(f"seSparse of version {raw.version:#x}", file=name, at=8)
    if (raw.grain, raw.table_sectors) != (SE_GRAIN, SE_TABLE) or raw.flags:
        raise UnsupportedError(
            f"seSparse with grains of {raw.grain} sectors, tables of {raw.table_sectors}, flags"
            f" {raw.flags:#x}", file=name, at=24,
        )  # fmt: skip
    if raw.capacity > limits.guest_size // SECTOR:
        raise LimitError(f"{raw.capacity} sectors, over guest_size", file=name, at=16)
    _settled(source, raw.volatile_at * SECTOR)
    size, grain, table = raw.capacity * SECTOR, SE_GRAIN * SECTOR, SE_TABLE * SECTOR
    needed = -(-size // (grain * (table // 8)))
    if 8 * needed > raw.directory_sectors * SECTOR:
        text = f"a directory of {raw.directory_sectors} sectors, {needed} tables are needed"
        raise CorruptError(text, file=name, at=136)
    demand(source, raw.directory_at * SECTOR, 8 * needed, "the grain directory")
    return Se(size, grain, raw.directory_at * SECTOR, needed, raw.tables_at * SECTOR, table,
              raw.grains_at * SECTOR)  # fmt: skip


def _settled(source: Source, at: int) -> None:
    """UnsupportedError where the journal has to be replayed first: nobody has published it."""
    if struct(SE_VOLATILE, source, at, "seSparse volatile header").replay:
        raise UnsupportedError(
            "its journal was not replayed, and its layout is not public",
            file=source.name, at=at + 24, remedy="open it once with the program that wrote it",
        )  # fmt: skip
