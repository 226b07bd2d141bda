"""The header of an expandable Parallels image, and what an entry of its table means.

Facts: QEMU docs/interop/parallels. Little-endian. Positions count sectors in images of the old
magic, clusters in those of the new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from typing import NamedTuple

from construct import Bytes, Int32ul, Int64ul, Struct

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.kernels.scan import first_nonzero
from diskimage.layers.claims import Claims
from diskimage.layers.table import Flat, Match, Pages, Rule, TableDevice, words
from diskimage.limits import Limits
from diskimage.model import Finding, Gate, Source
from diskimage.parse import demand, read, struct
from diskimage.words import rounded, size_text

OLD, NEW = b"WithoutFreeSpace", b"WithouFreSpacExt"
SECTOR = 512
IN_USE, CLOSED = 0x746F6E59, 0x312E3276
EMPTY = 1  # the one flag that is defined
ENTRY = 0xFFFFFFFF
EXTENSION = 0xAB234CEF23DCEA87
DIRTY_BITMAP = 0x20385FAE252CB34A
GROUP = 1 << 16
"""Entries of a table that are held at once: 256 KiB of them."""

HEADER = Struct(
    "magic" / Bytes(16), "version" / Int32ul, "heads" / Int32ul, "cylinders" / Int32ul,
    "tracks" / Int32ul, "entries" / Int32ul, "sectors" / Int64ul, "in_use" / Int32ul,
    "data_off" / Int32ul, "flags" / Int32ul, "extension" / Int64ul,
)  # fmt: skip
FEATURE = Struct("magic" / Int64ul, "flags" / Int64ul, "size" / Int32ul, "unused" / Int32ul)


class Header(NamedTuple):
    """What the header says. Offsets and sizes in bytes."""

    magic: bytes
    cluster: int
    entries: int
    size: int
    in_use: int
    data_at: int
    flags: int
    extension: int

    @property
    def scale(self) -> int:
        """Bytes that an entry counts."""
        return self.cluster if self.magic == NEW else SECTOR

    @property
    def used(self) -> int:
        """Entries that the guest reaches."""
        return -(-self.size // self.cluster)


def load(source: Source, limits: Limits) -> Header:
    """The header of `source`, held against the file and `limits`.

    Raises UnsupportedError, CorruptError, LimitError, TruncatedError.
    """
    raw, name = struct(HEADER, source, 0, "Parallels header"), source.name
    if raw.magic not in (OLD, NEW):
        raise CorruptError("has no magic of a Parallels image", file=name, at=0)
    if raw.version != 2:
        raise UnsupportedError(f"a Parallels image of version {raw.version}", file=name, at=16)
    cluster, end = raw.tracks * SECTOR, HEADER.sizeof() + 4 * raw.entries
    if not cluster:
        raise CorruptError("clusters of 0 bytes", file=name, at=28)
    if cluster > limits.chunk:
        raise LimitError(f"clusters of {cluster} bytes, over chunk {limits.chunk}", file=name,
                         at=28)  # fmt: skip
    sectors = raw.sectors & 0xFFFFFFFF if raw.magic == OLD else raw.sectors
    if sectors * SECTOR > limits.guest_size:
        raise LimitError(f"guest size {sectors * SECTOR} is over guest_size", file=name, at=36)
    data_at = raw.data_off * SECTOR or rounded(end, SECTOR)
    header = Header(
        raw.magic, cluster, raw.entries, sectors * SECTOR, raw.in_use, data_at, raw.flags,
        raw.extension * SECTOR,
    )  # fmt: skip
    if header.used > header.entries:
        text = f"{header.entries} entries for {header.size} bytes, which need {header.used}"
        raise CorruptError(text, file=name, at=32)
    demand(source, HEADER.sizeof(), 4 * header.entries, "the block table")
    if data_at < end:
        raise CorruptError(f"data from {data_at} overlap the table to {end}", file=name, at=48)
    return header


def layer(header: Header, source: Source, limits: Limits, empty: int) -> TableDevice:
    """The clusters that this file stores; others are `empty` (a kind code)."""
    return TableDevice(
        size=header.size,
        block=header.cluster,
        data=source,
        entries=Flat(
            Pages(source, limits.table_resident), HEADER.sizeof(), header.entries, 4, "block table"
        ),
        rule=Rule(width=4, matches=(Match(ENTRY, 0, empty),), mask=ENTRY, scale=header.scale),
        empty=empty,
        floor=header.data_at,
        info=info(header),
    )


def info(header: Header) -> dict[str, object]:
    """What `info` shows of one file."""
    return {
        "variant": f"{header.magic.decode()}, {size_text(header.cluster)} clusters",
        "magic": header.magic.decode(),
        "cluster_size": header.cluster,
        "clusters": header.entries,
    }


def warn(header: Header, source: Source, gate: Gate) -> None:
    """What is odd and survived."""
    if header.in_use == IN_USE:
        gate.warn("dirty", f"{source.name} was not closed by the software that wrote it", 44)
    if header.flags & EMPTY:
        gate.warn("flags", f"{source.name} is marked as empty; its table is read all the same", 52)
    if header.extension:
        wrong = _extension(header, source)
        if wrong:
            text = f"the format extension of {source.name} {wrong}: its bitmaps are not to be used"
            gate.warn("extension", text, header.extension)


def _extension(header: Header, source: Source) -> str:
    """What is wrong with the cluster of extensions, which the guest does not need."""
    if header.extension > source.size - header.cluster:
        return "is past the end of the file"
    content = read(source, header.extension, header.cluster, "format extension")
    if int.from_bytes(content[:8], "little") != EXTENSION:
        return "has another magic"
    if md5(content[24:], usedforsecurity=False).digest() != content[8:24]:
        return "does not match its MD5"
    at = 24
    while at <= len(content) - FEATURE.sizeof():
        feature = FEATURE.parse(bytes(content[at : at + FEATURE.sizeof()]))
        if feature.magic == 0:
            return ""
        if feature.magic != DIRTY_BITMAP:
            return f"has the unknown feature {feature.magic:#018x}"
        at = rounded(at + FEATURE.sizeof() + feature.size, 8)
    return "does not end"


def check(header: Header, source: Source, limits: Limits) -> Iterator[Finding]:
    """Each cluster of the file belongs to one entry at most, is aligned and in the file."""
    claims = Claims(source, header.data_at, header.cluster, limits)
    for first in range(0, header.used, GROUP):
        at, count = HEADER.sizeof() + 4 * first, min(GROUP, header.used - first)
        raw = read(source, at, 4 * count, "block table")
        told = first_nonzero(raw) < len(raw)
        for number, entry in enumerate(words(raw, "I") if told else (), first):
            if entry:
                length = min(header.cluster, header.size - number * header.cluster)
                yield from claims.take(
                    entry * header.scale, length, f"cluster {number}", HEADER.sizeof() + 4 * number
                )
