"""A qcow2 file as a plan: data, L2 tables and refcounts in one ascending pass, the header last.

    header | L1 table | data, L2 tables, refcount blocks ... | refcount blocks | refcount table

The guest is written in groups of L2 tables. A group's clusters are packed, then its tables follow;
a refcount block follows as soon as the clusters it counts are final. Held in memory: the entries of
one group, the counts of one refcount block, and the pages of the L1 table that are not zero.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

from diskimage.codecs import deflate, zstd
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import LimitError, UsageError
from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.amend import demand_room, extension, stored
from diskimage.formats.qcow2.layout import COMPRESSED, COPIED, LENGTH_V2
from diskimage.formats.qcow2.refcounts import Refcounts, closing
from diskimage.layers.gather import hole
from diskimage.layers.parts import ANSWERED, CONTENT, filled
from diskimage.layers.table import written
from diskimage.limits import LIMITS
from diskimage.model import (
    Barrier,
    Copy,
    Device,
    Disc,
    Encoder,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
    Step,
)
from diskimage.options import size_option
from diskimage.words import rounded, size_text

SECTOR = 512
GROUP = 64 << 20
"""Guest bytes of a group, where one L2 table covers less: a step costs more than its bytes."""
L1_PAGE = 8192  # entries
VERSIONS = {"2": 2, "3": 3, "0.10": 2, "1.1": 3}
LENGTH = 112  # of a version 3 header with its compression type
LEVELS = {"none": range(0), "zlib": range(10), "zstd": range(1, 23)}

OPTIONS = (
    Option("version", "2|3 (also 0.10|1.1)", "3 has zero clusters, zstd and feature bits"),
    Option("cluster_size", "512 to 2M", "the granule, a power of two; 64K unless said"),
    Option("compression", "none|zlib|zstd", "how clusters are stored"),
    Option("level", "0 to 9, zstd 1 to 22", "effort of the compression"),
    Option("backing", "NAME", "what absent clusters are read from, relative to the image"),
    Option("backing_format", "NAME", "its format; needed with backing, it is never guessed"),
    Option("refcount_bits", "1|2|4|8|16|32|64", "width of a refcount; 16 unless said"),
)


class Shape(NamedTuple):
    """What is to be written, judged."""

    version: int
    cluster_bits: int
    size: int
    refcount_order: int
    codec: Encoder | None
    zstd: bool
    backing: str | None
    backing_format: str | None

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def per_table(self) -> int:
        """Entries of an L2 table."""
        return self.cluster // 8

    @property
    def cover(self) -> int:
        """Guest bytes of an L2 table."""
        return self.cluster * self.per_table

    @property
    def l1_entries(self) -> int:
        """Entries of the L1 table; one at least, as QEMU writes it."""
        return max(1, -(-self.size // self.cover))

    @property
    def data_at(self) -> int:
        """Where the header and the L1 table end."""
        return self.cluster + rounded(8 * self.l1_entries, self.cluster)


def full(size: int, **options: Any) -> int:
    """The bytes of a file in which every cluster of `size` guest bytes is stored plain."""
    made = shape(size, **options)
    tables = -(-made.size // made.cover)
    clusters = made.data_at // made.cluster + -(-made.size // made.cluster) + tables
    blocks, table = closing(clusters, 0, made.cluster * 8 >> made.refcount_order, made.cluster)
    return (clusters + blocks + table) * made.cluster


def shape(
    size: int,
    *,
    version: int | str = 3,
    cluster_size: int | str = 65536,
    compression: str = "none",
    level: int | str | None = None,
    backing: str | None = None,
    backing_format: str | None = None,
    refcount_bits: int | str = 16,
) -> Shape:
    """The options, held against each other. UsageError, LimitError."""
    number = VERSIONS.get(str(version))
    cluster = size_option("cluster_size", cluster_size, "64K")
    width = size_option("refcount_bits", refcount_bits, "16")
    if number is None:
        raise UsageError(f"version {version!r}", remedy="version is 2 or 3")
    if cluster.bit_count() != 1 or not SECTOR <= cluster <= 1 << 21:
        raise UsageError(
            f"clusters of {cluster_size}", remedy="a power of two from 512 bytes to 2 MiB"
        )
    if width.bit_count() != 1 or width > 64 or (number == 2 and width != 16):
        raise UsageError(
            f"refcounts of {refcount_bits} bits", remedy="a power of two up to 64; 16 in version 2"
        )
    if compression not in tuple(LEVELS):
        raise UsageError(f"compression {compression!r}", remedy="it is none, zlib or zstd")
    if compression == "zstd" and number == 2:
        raise UsageError("zstd in version 2", remedy="use version 3, or zlib")
    if compression != "none" and width < 16:
        raise UsageError(
            "compressed clusters share a host cluster more often than "
            f"{width} bits can count", remedy="use refcount_bits 16 or more",
        )  # fmt: skip
    for text in (backing, backing_format):
        if not isinstance(text, str | None):
            raise UsageError(f"{text!r} is no name", remedy="backing and its format are texts")
    if backing is not None and not backing_format:
        raise UsageError(
            "a backing file without its format", remedy="say backing_format: it is never guessed"
        )
    made = Shape(
        number, cluster.bit_length() - 1, rounded(size, SECTOR), width.bit_length() - 1,
        _codec(compression, level), compression == "zstd", backing, backing_format,
    )  # fmt: skip
    if made.l1_entries * 8 > LIMITS.l1_table:
        raise LimitError(
            f"{size_text(size)} in clusters of {size_text(cluster)} need an L1 table of "
            f"{size_text(made.l1_entries * 8)}, over l1_table {size_text(LIMITS.l1_table)}",
            remedy="use larger clusters",
        )
    return made


def _codec(compression: str, level: int | str | None) -> Encoder | None:
    effort = None if level is None else size_option("level", level, "9")
    if effort is not None and effort not in LEVELS[compression]:
        raise UsageError(f"level {level} of compression {compression}",
                         remedy="zlib has levels 0 to 9, zstd 1 to 22")  # fmt: skip
    if compression == "zlib":
        return deflate(12, effort)
    return zstd(3 if effort is None else effort) if compression == "zstd" else None


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """Sizes are whole sectors: QEMU cuts others off when it opens them."""
    return reduced(what, SECTOR, "QEMU reads whole sectors")


def create(what: Device | Disc, stem: str, **options: Any) -> Plan:
    """The plan that writes `what`. UsageError where options do not fit; ABSENT needs a backing."""
    device = user_bytes(what)
    return _write(device, shape(device.size, **options))


def _write(device: Device, made: Shape) -> Plan:
    header = header_bytes(made, 0, 0)  # fails now, not after the data
    counts = Refcounts(made.refcount_order, made.cluster_bits)
    l1: dict[int, array[int]] = {}
    end = made.data_at
    counts.add(end)
    yield Copy(iter((hole(0, end),)), 0)
    tables = max(1, GROUP // made.cover)
    wanted = CONTENT if made.backing is None else ANSWERED
    for group in filled(device, tables * made.cover, wanted):
        end = yield from _group(device, made, group * tables, tables, l1, counts, end)
        end = yield from counts.flush(end)
    refcounts_at, clusters, end = yield from counts.close(end)
    for page, entries in sorted(l1.items()):
        yield Put(made.cluster + page * 8 * L1_PAGE, written(entries, big_endian=True))
    header = header_bytes(made, refcounts_at, clusters)
    yield Barrier()
    yield Put(0, header)


def _group(
    device: Device, made: Shape, first: int, tables: int, l1: dict[int, array[int]],
    counts: Refcounts, end: int,
) -> Generator[Step, Any, int]:  # fmt: skip
    """The clusters of `tables` L2 tables from `first` on, then these; the new end of the file."""
    start, stop = first * made.cover, min(device.size, (first + tables) * made.cover)
    codecs = () if made.codec is None else (made.codec,)
    packed: Packed = yield Pack(
        device.runs(start, stop), chunk=made.cluster, codecs=codecs, to=end, align=made.cluster,
        absent=made.backing is not None,
    )  # fmt: skip
    counts.add_packed(packed)
    end = rounded(packed.end, made.cluster)
    entries, end = yield from _entries(made, packed, start, end)
    counts.add(end)
    stored = bytearray()
    for table in range(0, len(entries), made.per_table):
        part = entries[table : table + made.per_table]
        if any(part):
            part.extend(array("Q", bytes(8 * (made.per_table - len(part)))))
            _note(l1, made, first + table // made.per_table, end + len(stored))
            stored += written(part, big_endian=True)
    yield Put(end, stored)
    counts.add(end + len(stored))
    return end + len(stored)


def _note(l1: dict[int, array[int]], made: Shape, index: int, at: int) -> None:
    """Write down in the L1 table where an L2 table lies."""
    page = index // L1_PAGE
    if page not in l1:
        l1[page] = array("Q", bytes(8 * min(L1_PAGE, made.l1_entries - page * L1_PAGE)))
    l1[page][index % L1_PAGE] = at | COPIED


def _entries(
    made: Shape, packed: Packed, start: int, end: int
) -> Generator[Step, Any, tuple[array[int], int]]:
    """The L2 entries of packed chunks. Zeros over a backing are said, and stored in version 2."""
    split = 62 - (made.cluster_bits - 8)
    zero = layout.ZERO if made.backing is not None else 0
    spelled = zero and made.version == 2
    first_zero, entries = end, array("Q")
    for row, to in enumerate(packed.to):
        if to == -1 and spelled:
            entries.append(end | COPIED)
            end += made.cluster
        elif to == -1:
            entries.append(zero)
        elif to < 0:
            entries.append(0)
        elif packed.codec[row] < 0:
            entries.append(to | COPIED)
        else:
            sectors = (to + packed.stored[row] - 1) // SECTOR - to // SECTOR
            entries.append(COMPRESSED | sectors << split | to)
    if end > first_zero:
        yield Copy(iter((hole(0, end - first_zero),)), first_zero)
    return entries, end


def header_bytes(made: Shape, refcounts_at: int, refcount_clusters: int) -> bytes:
    """The first cluster as far as it is not zero. UsageError where a name does not fit in it."""
    extensions = b""
    if made.backing is not None and made.backing_format is not None:
        extensions += extension(layout.BACKING_FORMAT, stored(made.backing_format))
    extensions += extension(layout.END, b"")
    name = b"" if made.backing is None else stored(made.backing)
    length = LENGTH if made.version == 3 else LENGTH_V2
    name_at = demand_room(length + len(extensions), name, made.cluster)
    fields = {
        "version": made.version, "backing_at": name_at, "backing_length": len(name),
        "cluster_bits": made.cluster_bits, "size": made.size, "encryption": 0,
        "l1_entries": made.l1_entries, "l1_at": made.cluster, "refcounts_at": refcounts_at,
        "refcount_clusters": refcount_clusters, "snapshots": 0, "snapshots_at": 0,
    }  # fmt: skip
    head: bytes = layout.V2.build(fields)
    if made.version == 3:
        head += layout.V3.build(_v3(made)) + bytes([made.zstd]).ljust(LENGTH - 104, b"\0")
    return head + extensions + name


def _v3(made: Shape) -> Mapping[str, int]:
    return {
        "incompatible": layout.COMPRESSION if made.zstd else 0, "compatible": 0, "autoclear": 0,
        "refcount_order": made.refcount_order, "length": LENGTH,
    }  # fmt: skip
