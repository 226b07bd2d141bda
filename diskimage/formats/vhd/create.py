"""A VHD as a plan: fixed, dynamic or differencing; the footer and its copy come last.

    fixed     guest | footer
    others    copy of the footer | header | table | name of the parent | bitmap, block ... | footer

Blocks begin at multiples of 4 KiB, their bitmaps right before them.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import UsageError
from diskimage.formats.vhd import layout
from diskimage.formats.vhd.layout import ALIGN, FOOTER, FREE, SECTOR
from diskimage.kernels.columns import coalesce
from diskimage.layers.bits import marked
from diskimage.layers.parts import ANSWERED, CONTENT, filled
from diskimage.layers.table import written
from diskimage.model import (
    HOLE,
    Barrier,
    Copy,
    Device,
    Disc,
    Kind,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
    Runs,
    Size,
    Step,
)
from diskimage.options import size_option
from diskimage.words import rounded, size_text

MIB = 1 << 20
MOST = 2040 << 30  # bytes of the guest of a dynamic disk: what Hyper-V takes
TABLE_AT = 1536
GROUP = 1 << 16
"""Blocks of which the table is held at once while writing: 256 KiB of it, 128 GiB of guest."""
NAME_MOST = 256  # characters of the parent's name in the header
PRESENT = bytes(HOLE if kind == Kind.ABSENT else kind for kind in range(256))
"""Kind codes with what is absent made a hole, as a table."""

OPTIONS = (
    Option("type", "dynamic|fixed", "store only blocks that are not zero, or every byte"),
    Option("block_size", "4K to 256M", "the granule, a power of two; 2M unless said"),
    Option("profile", "azure", "fixed, padded to whole MiB, as Azure takes it"),
    Option("backing", "NAME", "the parent of a differencing disk, relative to the image"),
    Option("backing_format", "vhd", "the parent's format; needed with backing"),
)


class Shape(NamedTuple):
    """What is to be written, judged. `parent`: what the parent says of itself."""

    type: int
    size: int
    block: int
    backing: str
    parent: Mapping[str, object]

    @property
    def blocks(self) -> int:
        """Blocks that the guest reaches."""
        return -(-self.size // self.block)

    @property
    def bitmap(self) -> int:
        """Bytes of a bitmap."""
        return layout.bitmap_size(self.block)

    @property
    def name_at(self) -> int:
        """Where the table ends, and the parent's name begins."""
        return TABLE_AT + rounded(4 * self.blocks, SECTOR)

    @property
    def locator(self) -> bytes:
        """The parent's name as Windows has a relative path."""
        return f".\\{self.backing}".replace("/", "\\").encode("utf-16-le") if self.backing else b""

    @property
    def data_at(self) -> int:
        """Where blocks begin."""
        return self.name_at + rounded(len(self.locator), SECTOR)

    def place(self, end: int) -> int:
        """Where the block goes that follows a file of `end` bytes, its bitmap right before it."""
        return rounded(end + self.bitmap, ALIGN)


def shape(
    size: int, *, type: str | None = None, block_size: int | str = 2 * MIB,
    profile: str | None = None, backing: str | None = None, backing_format: str | None = None,
    parent: Mapping[str, object] | None = None,
) -> Shape:  # fmt: skip
    """The options, held against each other. UsageError."""
    if profile not in (None, "azure"):
        raise UsageError(f"profile {profile!r}", remedy="profile is azure, or not said")
    if type not in (None, "dynamic", "fixed"):
        raise UsageError(f"type {type!r}", remedy="type is dynamic or fixed")
    if profile and (type == "dynamic" or backing is not None):
        raise UsageError("Azure takes fixed disks alone", remedy="leave type and backing out")
    if type == "fixed" and backing is not None:
        raise UsageError("a fixed disk has no parent", remedy="leave type or backing out")
    size = rounded(size, MIB if profile else SECTOR)
    if profile and not size:
        raise UsageError("Azure takes no empty disk", remedy="give it a size")
    if profile or type == "fixed":
        return Shape(layout.FIXED, size, SECTOR, "", {})
    block = _block(block_size)
    kind = layout.DYNAMIC if backing is None else layout.DIFFERENCING
    name = "" if backing is None else _name(backing, backing_format)
    made = Shape(kind, size, block, name, _parent(size, parent) if name else {})
    last = made.data_at + made.blocks * rounded(block + made.bitmap, ALIGN) + ALIGN
    if size > MOST or last // SECTOR >= FREE:
        raise UsageError(f"{size_text(size)} are more than a dynamic VHD can be",
                         remedy="use vhdx or qcow2, or larger blocks")  # fmt: skip
    return made


def _block(value: int | str) -> int:
    block = size_option("block_size", value, "2M")
    if block.bit_count() != 1 or not ALIGN <= block <= 256 * MIB:
        raise UsageError(f"blocks of {value}", remedy="a power of two from 4K to 256M")
    return block


def _name(backing: str, format: str | None) -> str:
    """The parent's name, which stays below the image's directory."""
    if format != "vhd":
        raise UsageError(f"a parent of format {format!r}", remedy="say backing_format=vhd")
    plain = backing.replace("\\", "/")
    bad = plain.startswith("/") or ".." in plain.split("/") or ":" in plain or not plain
    if bad or not plain.isprintable() or len(plain) >= NAME_MOST:
        raise UsageError(f"a parent called {backing!r}",
                         remedy="name it below the image's directory")  # fmt: skip
    return plain.removeprefix("./")


def _parent(size: int, parent: Mapping[str, object] | None) -> Mapping[str, object]:
    if parent is None or "uuid" not in parent:
        raise UsageError("what the parent says of itself is not known", remedy="put it in place")
    if parent.get("size") != size:
        raise UsageError(f"a disk of {size} bytes over a parent of {parent.get('size')}",
                         remedy="a differencing disk is as large as its parent")  # fmt: skip
    return parent


def losses(what: Device | Disc, *, profile: str | None = None, **_: object) -> list[Loss]:
    """Sizes are whole sectors, for Azure whole MiB; sectors have 512 bytes."""
    why = "Azure takes whole MiB" if profile else "a VHD has whole sectors"
    return reduced(what, MIB if profile else SECTOR, why, told=SECTOR)


def full(size: int, **options: Any) -> int:
    """The bytes of a file in which every block of `size` guest bytes is stored."""
    made = shape(size, **{"parent": {"uuid": "", "size": rounded(size, SECTOR)}, **options})
    if made.type == layout.FIXED:
        return made.size + FOOTER
    end = made.data_at
    if made.blocks:
        pitch = rounded(made.block + made.bitmap, ALIGN)
        end = made.place(end) + (made.blocks - 1) * pitch + made.block
    return end + FOOTER


def create(what: Device | Disc, stem: str, **options: Any) -> Plan:
    """The plan that writes `what`. UsageError where options do not fit; ABSENT needs a backing."""
    device = user_bytes(what)
    return _write(device, shape(device.size, **options))


def _write(device: Device, made: Shape) -> Plan:
    if made.type == layout.FIXED:
        yield Copy(device.runs(), 0)
        yield Size(made.size)
        yield Barrier()
        yield Put(made.size, footer_bytes(made))
        return
    yield Put(SECTOR, header_bytes(made))
    if made.locator:
        yield Put(made.name_at, made.locator)
    end = yield from _blocks(device, made)
    footer = footer_bytes(made)
    yield Barrier()
    yield Put(end, footer)
    yield Put(0, footer)


def _blocks(device: Device, made: Shape) -> Generator[Step, Any, int]:
    """Every block that is stored, and the whole table; where the file ends."""
    end, done = made.data_at, 0
    entries_of = _packed if made.type == layout.DYNAMIC else _copied
    wanted = CONTENT if made.type == layout.DYNAMIC else ANSWERED
    for group in filled(device, GROUP * made.block, wanted):
        first = group * GROUP
        yield from _free(TABLE_AT + 4 * done, TABLE_AT + 4 * first)
        done = min(made.blocks, first + GROUP)
        entries, end = yield from entries_of(device, made, first, done, end)
        yield Put(TABLE_AT + 4 * first, written(entries, big_endian=True))
    yield from _free(TABLE_AT + 4 * done, made.name_at)
    return end


def _free(first: int, last: int) -> Iterator[Step]:
    """Entries of blocks that are not stored, in the file from `first` to `last`."""
    for begin in range(first, last, 4 * GROUP):
        yield Put(begin, b"\xff" * min(4 * GROUP, last - begin))


def _packed(
    device: Device, made: Shape, first: int, last: int, end: int
) -> Generator[Step, Any, tuple[array[int], int]]:
    """Entries of blocks [first, last) of a dynamic disk, those of zeros left out."""
    runs = device.runs(first * made.block, min(device.size, last * made.block))
    lead = b"\xff" * made.bitmap
    packed: Packed = yield Pack(runs, made.block, (), end, align=ALIGN, lead=lead)
    places = [FREE if to < 0 else (to - made.bitmap) // SECTOR for to in packed.to]
    return array("I", places), packed.end


def _copied(
    device: Device, made: Shape, first: int, last: int, end: int
) -> Generator[Step, Any, tuple[array[int], int]]:
    """Entries of blocks [first, last) of a differencing disk: blocks with a byte of this layer."""
    entries = array("I", [FREE]) * (last - first)
    for block in _answered(device, made, first, last):
        start = block * made.block
        rows = list(device.runs(start, min(device.size, start + made.block)))
        place = made.place(end)
        yield Put(place - made.bitmap, _bitmap(rows, start, made))
        present = [replace(runs, kind=_present(runs)) for runs in rows]
        yield Copy((coalesce(runs) for runs in present), place)
        entries[block - first] = (place - made.bitmap) // SECTOR
        end = place + made.block
    return entries, end


def _answered(device: Device, made: Shape, first: int, last: int) -> list[int]:
    """The numbers of blocks of [first, last) with a byte of this layer."""
    found: set[int] = set()
    for runs in device.runs(first * made.block, min(device.size, last * made.block)):
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if kind != Kind.ABSENT:
                found.update(range(start // made.block, -(-(start + length) // made.block)))
    return sorted(found)


def _present(runs: Runs) -> array[int]:
    return array("B", runs.kind.tobytes().translate(PRESENT))


def _bitmap(rows: list[Runs], start: int, made: Shape) -> bytes:
    """The bits of the sectors that a layer has of the block that begins at `start`."""
    bits = 0
    for runs in rows:
        for begin, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            stop = begin + length
            if kind == Kind.ABSENT:
                continue
            if begin % SECTOR or (stop % SECTOR and rounded(stop, SECTOR) != made.size):
                raise UsageError(f"bytes {begin} to {stop} of the layer are no whole sectors",
                                 remedy="flatten the chain")  # fmt: skip
            first, last = (begin - start) // SECTOR, -(-(stop - start) // SECTOR)
            row = marked(made.bitmap, first, last, high_first=True)
            bits |= int.from_bytes(row, "big")
    return bits.to_bytes(made.bitmap, "big")


def geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors of a disk (the specification's appendix); the largest where
    their product would not be the size: readers by geometry would lose its end."""
    sectors = size // SECTOR
    if sectors >= 65535 * 16 * 63:
        per_track, heads = 255, 16
    else:
        per_track = 17
        heads = max(4, -(-(sectors // per_track) // 1024))
        if sectors // per_track >= heads * 1024 or heads > 16:
            per_track, heads = 31, 16
        if sectors // per_track >= heads * 1024:
            per_track, heads = 63, 16
    cylinders = sectors // per_track // heads
    exact = cylinders * heads * per_track == sectors and cylinders <= 65535
    return (cylinders, heads, per_track) if exact else layout.WIDEST


def footer_bytes(made: Shape) -> bytes:
    """The footer of a new disk. Its creator is `win `, for whom the size field counts."""
    cylinders, heads, sectors = geometry(made.size)
    fixed = made.type == layout.FIXED
    raw: bytes = layout.TAIL.build({
        "features": 2, "version": layout.VERSION, "header_at": layout.NOWHERE if fixed else SECTOR,
        "time": max(0, int(time.time()) - layout.EPOCH), "creator": b"win ",
        "creator_version": 0x000A0000, "creator_os": b"Wi2k", "original": made.size,
        "current": made.size, "cylinders": cylinders, "heads": heads, "sectors": sectors,
        "type": made.type, "checksum": 0, "uuid": uuid4().bytes, "saved": 0, "rest": bytes(427),
    })  # fmt: skip
    return _summed(raw, layout.TAIL_SUM_AT)


def header_bytes(made: Shape) -> bytes:
    """The header of a new dynamic or differencing disk."""
    nothing = {"platform": bytes(4), "space": 0, "length": 0, "reserved": 0, "at": 0}
    locators = [nothing] * 8
    if made.locator:
        length, at = len(made.locator), made.name_at
        space = rounded(length, SECTOR)
        locators[0] = {**nothing, "platform": b"W2ru", "space": space, "length": length, "at": at}
    base = made.backing.rpartition("/")[2]
    raw: bytes = layout.HEADER.build({
        "next": layout.NOWHERE, "table_at": TABLE_AT, "version": layout.VERSION,
        "entries": made.blocks, "block": made.block, "checksum": 0,
        "parent": UUID(str(made.parent["uuid"])).bytes if made.parent else bytes(16),
        "parent_time": _time(made.parent), "reserved": 0,
        "parent_name": base.encode("utf-16-be").ljust(512, b"\0"), "locators": locators,
        "rest": bytes(256),
    })  # fmt: skip
    return _summed(raw, layout.HEADER_SUM_AT)


def _time(parent: Mapping[str, object]) -> int:
    """The time of the parent's file, or of its footer, as a VHD counts."""
    known = parent.get("modified", parent.get("time", layout.EPOCH))
    return max(0, int(known) - layout.EPOCH) if isinstance(known, int | float) else 0


def _summed(raw: bytes, at: int) -> bytes:
    return raw[:at] + layout.checksum(raw, at).to_bytes(4, "big") + raw[at + 4 :]
