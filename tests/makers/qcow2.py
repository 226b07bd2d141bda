"""qcow2 images written byte by byte from QEMU's docs/interop/qcow2, without the package's writer.

Clusters are placed in an order that the caller may shuffle; refcounts come from a plain count of
references at the end.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import zstandard

from tests.makers.sample import Sample

COPIED, COMPRESSED = 1 << 63, 1 << 62


@dataclass(frozen=True)
class Cluster:
    """A guest cluster: `kind` is data, coded, zero, or zero-kept (a zero with a place).

    With extended L2, `allocated` and `zeroed` are its bitmaps.
    """

    kind: str
    content: bytes = b""
    allocated: int = 0
    zeroed: int = 0


def deflated(plain: bytes) -> bytes:
    """A raw stream with a window of 4 KiB."""
    coder = zlib.compressobj(6, wbits=-12)
    return coder.compress(plain) + coder.flush()


def frame(plain: bytes) -> bytes:
    """A zstd frame that does not say its size."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(plain)


@dataclass
class Maker:
    """An image of `size` guest bytes; `clusters` by guest number. Call `image()`."""

    size: int
    clusters: Mapping[int, Cluster] = field(default_factory=dict)
    bits: int = 16
    version: int = 3
    zstd: bool = False
    extended: bool = False
    order: int = 4
    incompatible: int = 0
    compatible: int = 0
    autoclear: int = 0
    encryption: int = 0
    backing: bytes = b""
    extensions: Sequence[tuple[int, bytes]] = ()
    outside: bool = False  # guest data are in an external file, at their guest offset
    snapshots: Sequence[bytes] = ()  # names; each has the guest of the image
    luks: bytes = b""  # a LUKS header, which lies behind the first cluster
    seal: Callable[[int, int, bytes], bytes] = lambda _guest, _at, plain: plain
    # what is stored for a cluster, by its place in the guest and in the file
    pad: bool = True  # the last cluster is whole in the file
    seed: int | None = None  # shuffles where clusters lie

    def image(self) -> bytes:
        """The file."""
        self.cluster = 1 << self.bits
        self.out = bytearray(self.cluster)
        self.references: dict[int, int] = {0: 1}
        self.tail = 0  # where the next coded chunk goes, 0 for a new cluster
        if self.luks:
            at = self._take(-(-len(self.luks) // self.cluster))
            self._put(at, self.luks)
            place = struct.pack(">QQ", at, len(self.luks))
            self.extensions = [*self.extensions, (0x0537BE77, place)]
        l1 = self._l1(self._tables(self._placed()))
        l1_at = self._take(len(l1) // self.cluster)
        self._put(l1_at, l1)
        rows = b"".join(self._snapshot(i, name, l1) for i, name in enumerate(self.snapshots))
        rows_at = self._take(-(-len(rows) // self.cluster)) if rows else 0
        self._put(rows_at, rows)
        if self.snapshots:
            self._share(l1_at, len(l1))
        table_at, table_clusters = self._refcounts()
        self._header(l1_at, rows_at, table_at, table_clusters)
        return bytes(self.out)

    def _take(self, count: int) -> int:
        """`count` new clusters with one reference each."""
        at = len(self.out)
        self.out.extend(bytes(count * self.cluster))
        for number in range(count):
            self.references[at // self.cluster + number] = 1
        self.tail = 0
        return at

    def _put(self, at: int, data: bytes) -> None:
        self.out[at : at + len(data)] = data

    def _placed(self) -> dict[int, tuple[int, int]]:
        """Guest cluster to L2 entry (two words)."""
        order = sorted(self.clusters)
        if self.seed is not None:
            random.Random(self.seed).shuffle(order)
        return {number: self._entry(number, self.clusters[number]) for number in order}

    def _entry(self, number: int, one: Cluster) -> tuple[int, int]:
        bitmap = one.zeroed << 32 | one.allocated
        if one.kind == "zero":
            return (0, bitmap) if self.extended else (1, 0)
        if one.kind == "coded":
            return self._coded(one.content), 0
        if self.outside:
            return COPIED | number * self.cluster, bitmap
        at = self._take(1)
        self._put(at, self.seal(number << self.bits, at, one.content))
        if self.extended:
            return COPIED | at, bitmap
        return COPIED | at | (one.kind == "zero-kept"), 0

    def _coded(self, plain: bytes) -> int:
        """A chunk straight behind the one before, as QEMU packs them."""
        data = (frame if self.zstd else deflated)(plain.ljust(self.cluster, b"\0"))
        if not self.tail:
            self.tail = self._take(1)
            self.references[self.tail // self.cluster] = 0
        at = self.tail
        end = at + len(data)
        while len(self.out) < end:
            self._take(1)
            self.references[len(self.out) // self.cluster - 1] = 0
        for cluster in range(at // self.cluster, (end - 1) // self.cluster + 1):
            self.references[cluster] += 1
        self._put(at, data)
        self.tail = end if end % self.cluster else 0
        sectors = (end - 1) // 512 - at // 512
        return COMPRESSED | sectors << (62 - (self.bits - 8)) | at

    def _tables(self, entries: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """L1 index to the place of its L2 table."""
        width = 16 if self.extended else 8
        per = self.cluster // width
        tables: dict[int, bytearray] = {}
        for number, words in entries.items():
            table = tables.setdefault(number // per, bytearray(self.cluster))
            raw = struct.pack(">QQ", *words)[:width]
            table[number % per * width : (number % per + 1) * width] = raw
        places = {}
        for index, table in tables.items():
            places[index] = self._take(1)
            self._put(places[index], bytes(table))
        self.per, self.entries = per, entries
        return places

    def _l1(self, tables: Mapping[int, int]) -> bytes:
        count = max(1, -(-self.size // (self.cluster * self.per)))
        rows = [COPIED | tables[i] if i in tables else 0 for i in range(count)]
        self.l1_entries, self.places = count, tables
        raw = struct.pack(f">{count}Q", *rows)
        return raw.ljust(-(-len(raw) // self.cluster) * self.cluster, b"\0")

    def _snapshot(self, index: int, name: bytes, l1: bytes) -> bytes:
        """A row whose L1 table is a copy; `_share` counts what it names."""
        at = self._take(len(l1) // self.cluster)
        self._put(at, l1)
        raw = struct.pack(
            ">QIHHIIQII", at, self.l1_entries, 1, len(name), 1_600_000_000, 0, 0, 0, 16
        )
        raw += struct.pack(">QQ", 0, self.size) + str(index).encode() + name
        return raw.ljust(-(-len(raw) // 8) * 8, b"\0")

    def _share(self, l1_at: int, length: int) -> None:
        """Count what snapshots share once more each, and clear the copied flags."""
        more = len(self.snapshots)
        for place in self.places.values():
            self.references[place // self.cluster] += more
            self._clear(place, self.cluster, 16 if self.extended else 8)
        self._clear(l1_at, length, 8)
        split = 62 - (self.bits - 8)
        for entry, _ in self.entries.values():
            if entry & COMPRESSED:
                at = entry & ((1 << split) - 1)
                sectors = (entry & (COMPRESSED - 1)) >> split
                end = (at // 512 + sectors + 1) * 512
                for cluster in range(at // self.cluster, (end - 1) // self.cluster + 1):
                    self.references[cluster] += more
            elif entry & 0x00FFFFFFFFFFFE00:
                self.references[(entry & 0x00FFFFFFFFFFFE00) // self.cluster] += more

    def _clear(self, at: int, length: int, width: int) -> None:
        for row in range(at, at + length, width):
            if not self.out[row] & 0x40:
                self.out[row] &= 0x7F

    def _refcounts(self) -> tuple[int, int]:
        """Blocks and their table behind everything else: (place, clusters) of the table."""
        per_block = self.cluster * 8 >> self.order
        blocks = table = 0
        while True:
            total = len(self.out) // self.cluster + blocks + table
            need = -(-total // per_block)
            wide = -(-need * 8 // self.cluster)
            if (need, wide) == (blocks, table):
                break
            blocks, table = need, wide
        at = self._take(blocks + table)
        for number in range(blocks):
            counts = [self.references.get(number * per_block + i, 0) for i in range(per_block)]
            self._put(at + number * self.cluster, self._packed(counts))
        places = [at + number * self.cluster for number in range(blocks)]
        self._put(at + blocks * self.cluster, struct.pack(f">{blocks}Q", *places))
        return at + blocks * self.cluster, table

    def _packed(self, counts: Sequence[int]) -> bytes:
        bits = 1 << self.order
        if bits >= 8:
            return b"".join(count.to_bytes(bits // 8, "big") for count in counts)
        whole = sum(count << (i * bits) for i, count in enumerate(counts))
        return whole.to_bytes(self.cluster, "little")

    def _header(self, l1_at: int, rows_at: int, table_at: int, table_clusters: int) -> None:
        length = 112 if self.version == 3 else 72
        exts = b"".join(
            struct.pack(">II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0")
            for kind, data in self.extensions
        ) + bytes(8)
        head = b"QFI\xfb" + struct.pack(
            ">IQIIQIIQQIIQ", self.version, length + len(exts) if self.backing else 0,
            len(self.backing), self.bits, self.size, self.encryption, self.l1_entries, l1_at,
            table_at, table_clusters, len(self.snapshots), rows_at,
        )  # fmt: skip
        if self.version == 3:
            flags = self.incompatible | self.zstd * 8 | self.extended * 16 | self.outside * 4
            head += struct.pack(">QQQII", flags, self.compatible, self.autoclear, self.order, 112)
            head += bytes([self.zstd]).ljust(8, b"\0")
        self._put(0, head + exts + self.backing)


def patched(image: bytes, at: int, value: int, width: int = 4) -> bytes:
    """`image` with one field changed."""
    return image[:at] + value.to_bytes(width, "big") + image[at + width :]


def entry_at(image: bytes, guest: int) -> int:
    """Where the L2 entry of a guest cluster lies (entries of 8 bytes)."""
    bits = int.from_bytes(image[20:24], "big")
    l1_at = int.from_bytes(image[40:48], "big")
    per = (1 << bits) // 8
    l1 = int.from_bytes(image[l1_at + guest // per * 8 :][:8], "big") & 0x00FFFFFFFFFFFE00
    return l1 + guest % per * 8


def edited(image: bytes, guest: int, change: Callable[[int], int]) -> bytes:
    """`image` with one L2 entry changed."""
    at = entry_at(image, guest)
    return patched(image, at, change(int.from_bytes(image[at : at + 8], "big")), 8)


def samples() -> list[Sample]:
    """Data out of order, coded and zero clusters, version 2, small clusters, subclusters."""
    plain = {0: b"zero" * 16384, 2: bytes(range(256)) * 256, 5: b"five" * 16384}
    data = {number: Cluster("data", content) for number, content in plain.items()}
    coded = {number: Cluster("coded", content) for number, content in plain.items()}
    size = 6 * 65536 - 1536
    zero = bytes(65536)
    guest = b"".join(plain.get(number, zero) for number in range(6))[:size]
    shuffled = Maker(size, data, seed=4).image()
    cuts = (0, 4, 72, 104, 112, 65536, 2 * 65536, 3 * 65536, len(shuffled) - 2048)
    small = {number: Cluster("data", bytes([number]) * 512) for number in (1, 3, 4)}
    return [
        Sample("plain", {"a.qcow2": shuffled}, guest, 112, cuts),
        Sample("zlib", {"a.qcow2": Maker(size, coded).image()}, guest),
        Sample("zstd", {"a.qcow2": Maker(size, coded, zstd=True).image()}, guest),
        Sample("v2", {"a.qcow2": Maker(size, coded, version=2).image()}, guest, 72),
        Sample(
            "zero clusters",
            {"a.qcow2": Maker(size, data | {1: Cluster("zero"), 3: Cluster("zero-kept")}).image()},
            guest,
        ),
        Sample(
            "512",
            {"a.qcow2": Maker(2560, small, bits=9).image()},
            b"".join(bytes([n if n in small else 0]) * 512 for n in range(5)),
        ),
    ]
