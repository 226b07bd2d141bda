"""A VMDK as a plan: sparse extents, flat ones, sets of 2 GiB, or the stream that ESXi takes.

A sparse extent: its tables' room, grains in guest order, tables and directories, its header last.
A stream is written from its first byte to its last: each table follows its grains, the directory
and the footer follow all of them. docs/formats/vmdk.md draws both.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Generator, Iterator, Mapping
from typing import Any, NamedTuple

from diskimage import codecs
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import UsageError
from diskimage.formats.vmdk import layout
from diskimage.formats.vmdk.describe import NO_CID, ROOM as TEXT, describe
from diskimage.formats.vmdk.layout import MARKER, PER_TABLE, SECTOR, SPARSE
from diskimage.layers.gather import hole
from diskimage.layers.parts import ANSWERED, filled
from diskimage.layers.slice import Slice
from diskimage.layers.table import written
from diskimage.limits import LIMITS, MIB
from diskimage.model import (
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
    Size,
    Step,
)
from diskimage.words import rounded, size_text

GRAIN = 64 << 10
COVER = GRAIN * PER_TABLE  # guest bytes of a table: 32 MiB
GROUP = 64  # tables written at once: 128 KiB of entries, 2 GiB of guest
EXTENT = 2047 * MIB  # of a set of 2 GiB: a file stays below 2^31 bytes
LINE = 512  # of a descriptor, at most
TABLE = 4 * PER_TABLE
FIRST = 128 * SECTOR  # of a stream: where VMware begins its grains
TOP = 1 << 32  # sectors that an entry can name
CONTENT = bytes(kind & 0x7F != Kind.ZERO for kind in range(256))  # absent ones too: an error
SUBFORMATS = ("monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
              "streamOptimized")  # fmt: skip
ONE_FILE = ("monolithicSparse", "streamOptimized")
ADAPTERS = ("lsilogic", "buslogic", "ide", "legacyESX", "pvscsi")
PROFILES = {"esxi": "streamOptimized"}

OPTIONS = (
    Option("subformat", "|".join(SUBFORMATS), "how it is stored; monolithicSparse unless said"),
    Option("profile", "esxi", "a stream that ESXi and OVF take, by its specification"),
    Option("level", "0 to 12", "effort of a stream's compression; 6 unless said"),
    Option("adapter", "|".join(ADAPTERS), "the disk's controller; lsilogic unless said"),
    Option("backing", "NAME", "the parent of a monolithicSparse disk, relative to the image"),
    Option("backing_format", "vmdk", "the parent's format; needed with backing"),
)

Written = Generator[Step, Any, bytes]
"""A plan whose result is the header that makes its extent whole."""


class Shape(NamedTuple):
    """What is to be written, judged."""

    subformat: str
    size: int
    level: int
    adapter: str
    backing: str = ""
    parent_cid: str = NO_CID

    @property
    def extents(self) -> list[int]:
        """Sizes of the extents; one at least."""
        if not self.subformat.startswith("twoGb"):
            return [self.size]
        full, rest = divmod(self.size, EXTENT)
        return [EXTENT] * full + ([rest] if rest or not full else [])


class Places(NamedTuple):
    """Where the parts of a sparse extent are, in bytes."""

    size: int
    text: int
    tables: int

    @property
    def directory(self) -> int:
        """Bytes of a directory with its tables."""
        return rounded(4 * self.tables, SECTOR) + self.tables * TABLE

    @property
    def copy_at(self) -> int:
        """The copy of the directory, its tables behind it."""
        return SECTOR + self.text

    @property
    def directory_at(self) -> int:
        """The directory that is used, its tables behind it."""
        return self.copy_at + self.directory

    @property
    def data_at(self) -> int:
        """The first grain."""
        return rounded(self.directory_at + self.directory, GRAIN)

    def tables_at(self, directory_at: int) -> int:
        """The tables of a directory."""
        return directory_at + rounded(4 * self.tables, SECTOR)


def places(size: int, text: int) -> Places:
    """Of an extent with `size` guest bytes and a descriptor of `text` bytes, or none."""
    return Places(size, text, -(-size // COVER))


def shape(
    size: int,
    *,
    subformat: str | None = None,
    profile: str | None = None,
    level: int | str = 6,
    adapter: str = "lsilogic",
    backing: str | None = None,
    backing_format: str | None = None,
    parent: Mapping[str, object] | None = None,
) -> Shape:
    """The options, held against each other. UsageError."""
    if profile is not None and profile not in PROFILES:
        raise UsageError(f"profile {profile!r}", remedy="it is esxi")
    if subformat is None:
        subformat = SUBFORMATS[0] if profile is None else PROFILES[profile]
    names = {name.lower(): name for name in SUBFORMATS}
    chosen = names.get(str(subformat).lower())
    if chosen is None:
        raise UsageError(f"subformat {subformat!r}", remedy=f"one of: {', '.join(SUBFORMATS)}")
    if profile is not None and chosen != PROFILES[profile]:
        raise UsageError(f"profile {profile} as {chosen}", remedy=f"it is {PROFILES[profile]}")
    if adapter not in ADAPTERS:
        raise UsageError(f"adapter {adapter!r}", remedy=f"one of: {', '.join(ADAPTERS)}")
    text = str(level)
    if not (text.isascii() and text.isdecimal() and len(text) < 3 and int(text) <= 12):
        raise UsageError(f"level {level!r}", remedy="a number from 0 to 12")
    made = Shape(chosen, rounded(size, SECTOR), int(text), adapter)
    if backing is not None:
        made = _over(made, backing, backing_format, parent)
    if chosen in ONE_FILE and stored(made) > TOP * SECTOR:
        raise UsageError(
            f"{size_text(size)} do not fit in {chosen}, whose files end at 2 TiB",
            remedy="use subformat monolithicFlat",
        )
    if len(made.extents) > LIMITS.text_entries:
        text = f"{len(made.extents)} extents, over {LIMITS.text_entries}"
        raise UsageError(text, remedy="use subformat monolithicFlat")
    return made


def _over(
    made: Shape, backing: str, format: str | None, parent: Mapping[str, object] | None
) -> Shape:
    """A disk over its parent, which has to be there: its CID is written down. UsageError."""
    if made.subformat != SUBFORMATS[0]:
        raise UsageError(f"{made.subformat} over a parent", remedy=f"use {SUBFORMATS[0]}")
    if format != "vmdk":
        raise UsageError(f"a parent of format {format!r}", remedy="say backing_format=vmdk")
    below = backing.replace("\\", "/").split("/")
    if below[0] == "" or ".." in below or ":" in backing:
        raise UsageError(f"a parent called {backing!r}",
                         remedy="name it below the image's directory")  # fmt: skip
    cid = None if parent is None else parent.get("cid")
    if parent is None or not isinstance(cid, str):
        raise UsageError("the parent's CID is not known", remedy="put it in place")
    if parent.get("size") != made.size:
        raise UsageError(f"a disk of {made.size} bytes over a parent of {parent.get('size')}",
                         remedy="a disk is as large as its parent")  # fmt: skip
    return made._replace(backing=backing, parent_cid=cid)


def full(size: int, **options: Any) -> int:
    """The bytes of all files with every grain of `size` guest bytes stored."""
    parent = {"cid": NO_CID, "size": rounded(size, SECTOR)}
    return stored(shape(size, **{"parent": parent, **options}))


def stored(made: Shape) -> int:
    """The bytes of all files, at most."""
    alone = made.subformat not in ONE_FILE
    text = alone * (TEXT + LINE * len(made.extents))
    if made.subformat.endswith("Flat"):
        return text + made.size
    if made.subformat == "streamOptimized":
        tables, grain = -(-made.size // COVER), len(_marked(0, bytes(GRAIN)))
        ends = rounded(4 * tables, SECTOR) + 4 * SECTOR
        return FIRST + -(-made.size // GRAIN) * grain + tables * (SECTOR + TABLE) + ends
    inner = 0 if alone else TEXT
    return text + sum(places(size, inner).data_at + rounded(size, GRAIN) for size in made.extents)


def in_order(**options: Any) -> bool:
    """Whether what these options make is written from its first byte to its last."""
    chosen = {name: options[name] for name in ("subformat", "profile") if name in options}
    return shape(0, **chosen).subformat == "streamOptimized"


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """Sizes are whole sectors, of 512 bytes."""
    return reduced(what, SECTOR, "a VMDK has whole sectors", told=SECTOR)


def create(what: Device | Disc, stem: str, **options: Any) -> Plan:
    """The plan of `what` under the main file's `stem`: options as `shape` has them."""
    device = user_bytes(what)
    made = shape(device.size, **options)
    name = made.subformat
    if name == "streamOptimized":
        yield from _stream(device, made, stem)
    elif name == "monolithicSparse":
        lines = [(made.size, "SPARSE", f"{stem}.vmdk")]
        text = describe(name, lines, made.size, made.adapter, made.parent_cid, made.backing)
        over = bool(made.backing)
        header = yield from _sparse(device, places(made.size, TEXT), "", text, over=over)
        yield Barrier()
        yield Put(0, header)
    else:
        yield from _set(device, made, stem)


def _set(device: Device, made: Shape, stem: str) -> Plan:
    """Extents in files of their own, then the descriptor that names them."""
    flat, lines, start = made.subformat.endswith("Flat"), [], 0
    for number, size in enumerate(made.extents, 1):
        suffix = "flat" if made.subformat == "monolithicFlat" else f"{'sf'[flat]}{number:03}"
        file = f"{stem}-{suffix}.vmdk"
        part = Slice(device, start, min(size, device.size - start))
        if flat:
            yield Copy(part.runs(), 0, file=file)
            yield Size(size, file=file)
        else:
            header = yield from _sparse(part, places(size, 0), file, b"")
            yield Put(0, header, file=file)
        lines.append((size, "FLAT" if flat else "SPARSE", file))
        start += size
    yield Barrier()
    yield Put(0, describe(made.subformat, lines, made.size, made.adapter))


def _sparse(device: Device, at: Places, file: str, text: bytes, *, over: bool = False) -> Written:
    """All of a sparse extent, `over` a parent or not, but its header, which is the result."""
    if at.directory:
        yield Copy(iter((hole(0, 2 * at.directory),)), at.copy_at, file=file)
    end = at.data_at
    yield Size(end, file=file)
    for group in filled(device, GROUP * COVER, ANSWERED if over else CONTENT):
        first = group * GROUP
        start, stop = first * COVER, min(device.size, (first + GROUP) * COVER)
        runs = device.runs(start, stop)
        packed: Packed = yield Pack(runs, GRAIN, (), end, align=GRAIN, file=file, absent=over)
        end = packed.end
        entries = written(_entries_over(packed) if over else _entries(packed))
        for directory in (at.copy_at, at.directory_at):
            yield Put(at.tables_at(directory) + first * TABLE, entries, file=file)
    for directory in (at.copy_at, at.directory_at):
        tables = at.tables_at(directory) // SECTOR
        yield from _directory(directory, tables, at.tables, file)
    if text:
        yield Put(SECTOR, text.ljust(at.text, b"\0"), file=file)
    return _header(
        at.size, at.directory_at, descriptor=at.text, overhead=at.data_at, copy_at=at.copy_at,
        zeros=over,
    )  # fmt: skip


def _directory(at: int, first: int, tables: int, file: str) -> Iterator[Step]:
    """The places of tables that lie one behind the other from sector `first` on."""
    step, page = TABLE // SECTOR, 1 << 16
    for begin in range(0, tables, page):
        count = min(page, tables - begin)
        start = first + begin * step
        entries = array("I", range(start, start + count * step, step))
        yield Put(at + 4 * begin, written(entries), file=file)


def _entries(packed: Packed) -> array[int]:
    """Where each grain is, in sectors."""
    return array("I", [0 if to < 0 else to // SECTOR for to in packed.to])


def _entries_over(packed: Packed) -> array[int]:
    """Where each grain is; 1 where zeros hide what a parent holds, 0 where nothing does."""
    return array("I", [to // SECTOR if to >= 0 else to + 2 for to in packed.to])


def _header(
    size: int, directory_at: int, *, descriptor: int, overhead: int, copy_at: int = 0,
    stream: bool = False, zeros: bool = False,
) -> bytes:  # fmt: skip
    """The first sector, or the footer. Places in bytes; -1: the footer knows."""
    flags = layout.NEWLINE_TEST
    flags |= layout.COMPRESSED | layout.MARKERS if stream else layout.REDUNDANT
    flags |= zeros * layout.ZERO_GRAINS
    where = layout.IN_FOOTER if directory_at < 0 else directory_at // SECTOR
    made: bytes = SPARSE.build({
        "version": 3 if stream else 1 + zeros, "flags": flags, "capacity": size // SECTOR,
        "grain": GRAIN // SECTOR, "descriptor_at": 1 if descriptor else 0,
        "descriptor_sectors": descriptor // SECTOR, "per_table": PER_TABLE,
        "redundant_at": copy_at // SECTOR, "directory_at": where, "overhead": overhead // SECTOR,
        "unclean": 0, "newlines": layout.NEWLINES, "compression": layout.DEFLATE if stream else 0,
    })  # fmt: skip
    return made.ljust(SECTOR, b"\0")


def _stream(device: Device, made: Shape, stem: str) -> Plan:
    """Header, grains, each table behind its grains, directory, footer, end."""
    text = describe(made.subformat, [(made.size, "SPARSE", f"{stem}.vmdk")], made.size,
                    made.adapter)  # fmt: skip

    def head(directory_at: int) -> bytes:
        return _header(made.size, directory_at, descriptor=TEXT, overhead=FIRST, stream=True)

    yield Put(0, (head(-1) + text).ljust(FIRST, b"\0"))
    codec, at = codecs.zlib(made.level), FIRST
    directory = array("I", bytes(4 * -(-made.size // COVER)))
    for number in filled(device, COVER, CONTENT):
        start, stop = number * COVER, min(device.size, (number + 1) * COVER)
        packed: Packed = yield Pack(device.runs(start, stop), GRAIN, (codec,), at, seal=_marked)
        entries = written(_entries(packed)).ljust(TABLE, b"\0")
        if packed.end == at:
            continue  # nothing but zeros
        yield Put(packed.end, _marker(TABLE, layout.TABLE_MARKER) + entries)
        directory[number] = packed.end // SECTOR + 1
        at = packed.end + SECTOR + TABLE
    rows = written(directory)
    rows = rows.ljust(rounded(len(rows), SECTOR), b"\0")
    yield Put(at, _marker(len(rows), layout.DIRECTORY_MARKER) + rows)
    end = at + SECTOR + len(rows)
    yield Barrier()
    yield Put(end, _marker(SECTOR, layout.FOOTER_MARKER) + head(at + SECTOR) + bytes(SECTOR))


def _marker(length: int, kind: int) -> bytes:
    """The marker of metadata of `length` bytes."""
    made: bytes = MARKER.build({"sectors": length // SECTOR, "size": 0, "type": kind})
    return made.ljust(SECTOR, b"\0")


def _marked(start: int, chunk: bytes | memoryview) -> bytes:
    """A grain as a stream has it: its sector, its length and its deflated bytes, in whole sectors.

    One that no deflating makes smaller comes plain, and a stream has no plain ones.
    """
    data = zlib.compress(chunk, 0) if len(chunk) == GRAIN else bytes(chunk)
    head = (start // SECTOR).to_bytes(8, "little") + len(data).to_bytes(4, "little")
    return (head + data).ljust(rounded(len(head) + len(data), SECTOR), b"\0")
