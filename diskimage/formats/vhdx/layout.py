"""The structures of a VHDX: headers, region tables, metadata, names of parents. Little-endian.

Facts: Microsoft, [MS-VHDX] "Virtual Hard Disk v2 File Format"; QEMU block/vhdx.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from construct import Array, Bytes, Const, Int16ul, Int32ul, Int64ul, Struct

from diskimage.errors import ChecksumError, CorruptError, LimitError, UnsupportedError
from diskimage.kernels.checksums import crc32c
from diskimage.limits import Limits
from diskimage.model import Gate, Source
from diskimage.parse import demand, fields, read, struct
from diskimage.words import size_text

SIGNATURE = b"vhdxfile"
MIB = 1 << 20
SECTORS = (512, 4096)
HEADERS_AT, REGIONS_AT = (64 << 10, 128 << 10), (192 << 10, 256 << 10)
HEADER_SIZE, TABLE_SIZE = 4096, 64 << 10
MOST_ROWS = 2047  # of a region table or a metadata table
CHUNK_SECTORS = 1 << 23  # that a sector bitmap of 1 MiB has bits for
MOST = 64 << 40  # bytes of a disk
SMALLEST, LARGEST = MIB, 256 * MIB  # blocks
NOBODY = UUID(int=0)

PLACE = ~0xFFFFF & (1 << 64) - 1
"""The bits of an entry that are a place: whole MiB, which makes it bytes."""
STATE = 7
ABSENT, UNDEFINED, ZERO, UNMAPPED, PRESENT, PARTIAL = 0, 1, 2, 3, 6, 7

BAT = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
DISK_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
DISK_ID = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL = UUID("cda348c7-445d-4471-9cc9-e9885251c556")
LOCATOR = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
LOCATOR_TYPE = UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")
FIXED, HAS_PARENT = 1, 2  # flags of the parameters
REQUIRED_ITEM = 4  # flag of a metadata row

HEADER = Struct(
    "signature" / Const(b"head"), "checksum" / Int32ul, "sequence" / Int64ul,
    "file_write" / Bytes(16), "data_write" / Bytes(16), "log" / Bytes(16),
    "log_version" / Int16ul, "version" / Int16ul, "log_length" / Int32ul, "log_at" / Int64ul,
)  # fmt: skip
TABLE = Struct("signature" / Const(b"regi"), "checksum" / Int32ul, "count" / Int32ul,
               "reserved" / Int32ul)  # fmt: skip
REGION = Struct("kind" / Bytes(16), "at" / Int64ul, "length" / Int32ul, "required" / Int32ul)
ITEMS = Struct("signature" / Const(b"metadata"), "reserved" / Int16ul, "count" / Int16ul,
               "rest" / Bytes(20))  # fmt: skip
ITEM = Struct("kind" / Bytes(16), "at" / Int32ul, "length" / Int32ul, "flags" / Int32ul,
              "reserved" / Int32ul)  # fmt: skip
NAMES = Struct("type" / Bytes(16), "reserved" / Int16ul, "count" / Int16ul)
NAME = Struct("key_at" / Int32ul, "value_at" / Int32ul, "key_length" / Int16ul,
              "value_length" / Int16ul)  # fmt: skip


class Header(NamedTuple):
    """The header that counts, which lies at `at`. `log`: the identity of the log's entries, NOBODY
    for an empty one."""

    at: int
    sequence: int
    file_write: UUID
    data_write: UUID
    log: UUID
    log_at: int
    log_length: int


class Region(NamedTuple):
    """Where a region lies, in bytes of the file."""

    at: int
    length: int


class Disk(NamedTuple):
    """What the metadata says of the disk; in bytes. `names`: of a parent, by key."""

    size: int
    block: int
    sector: int
    physical: int
    fixed: bool
    differencing: bool
    id: UUID
    names: dict[str, str]

    @property
    def blocks(self) -> int:
        """Blocks of the disk."""
        return -(-self.size // self.block)

    @property
    def ratio(self) -> int:
        """Blocks that share a sector bitmap; its entry comes behind theirs."""
        return CHUNK_SECTORS * self.sector // self.block

    @property
    def bits(self) -> int:
        """Bytes of a block's part of a sector bitmap."""
        return self.block // self.sector // 8

    @property
    def entries(self) -> int:
        """Entries that the table needs ([MS-VHDX] 2.5)."""
        if self.differencing:
            return -(-self.blocks // self.ratio) * (self.ratio + 1)
        return self.blocks + max(0, self.blocks - 1) // self.ratio

    def payload(self, block: int) -> int:
        """The number of the entry of a block."""
        return block + block // self.ratio

    def bitmap(self, block: int) -> int:
        """The number of the entry of the sector bitmap that a block has a part of."""
        chunk = block // self.ratio
        return (chunk + 1) * self.ratio + chunk


def guid(raw: bytes | bytearray) -> UUID:
    """A GUID as Microsoft stores it."""
    return UUID(bytes_le=bytes(raw))


def checksum(raw: bytes | bytearray) -> int:
    """The CRC-32C of a structure, the four bytes of the checksum at 4 taken as zeros."""
    return crc32c(raw[8:], crc32c(bytes(4), crc32c(raw[:4])))


def _sound(raw: bytes | bytearray, signature: bytes) -> bool:
    return raw[:4] == signature and checksum(raw) == int.from_bytes(raw[4:8], "little")


def summed(raw: bytes, length: int) -> bytes:
    """A structure of `length` bytes with its checksum."""
    raw = raw.ljust(length, b"\0")
    return raw[:4] + checksum(raw).to_bytes(4, "little") + raw[8:]


def copies(
    source: Source, places: tuple[int, int], length: int, signature: bytes, what: str
) -> list[tuple[int, bytes]]:
    """(place, bytes) of the sound ones of two copies of a structure; ChecksumError without one."""
    found = [(at, bytes(read(source, at, length, what))) for at in places]
    sound = [(at, raw) for at, raw in found if _sound(raw, signature)]
    if not sound:
        text = f"neither {what} has a right signature and checksum"
        raise ChecksumError(text, file=source.name, at=places[0])
    return sound


def header(source: Source, gate: Gate) -> Header:
    """The sound header of the higher sequence. ChecksumError, CorruptError, UnsupportedError."""
    sound = copies(source, HEADERS_AT, HEADER_SIZE, b"head", "VHDX header")
    if len(sound) == 1:
        gate.warn("header", "one of its two headers is damaged, the other one is used")
    parsed = [(fields(HEADER, raw, source, at, "VHDX header"), at) for at, raw in sound]
    last, place = max(parsed, key=_sequence)
    same = len(sound) == 2 and parsed[0][0].sequence == parsed[1][0].sequence
    if same and sound[0][1] != sound[1][1]:
        raise CorruptError("its two headers are of one sequence and differ", file=source.name,
                           at=HEADERS_AT[0])  # fmt: skip
    if last.version != 1:
        raise UnsupportedError(f"a VHDX of version {last.version}", file=source.name)
    if last.log_version and any(last.log):
        raise UnsupportedError(f"a VHDX log of version {last.log_version}", file=source.name)
    return Header(
        place, last.sequence, guid(last.file_write), guid(last.data_write), guid(last.log),
        last.log_at, last.log_length,
    )  # fmt: skip


def _sequence(parsed: tuple[Any, int]) -> int:
    return int(parsed[0].sequence)


def header_bytes(header: Header) -> bytes:
    """The 4 KiB of a header."""
    raw = HEADER.build({
        "checksum": 0, "sequence": header.sequence, "file_write": header.file_write.bytes_le,
        "data_write": header.data_write.bytes_le, "log": header.log.bytes_le, "log_version": 0,
        "version": 1, "log_length": header.log_length, "log_at": header.log_at,
    })  # fmt: skip
    return summed(raw, HEADER_SIZE)


def regions(source: Source, gate: Gate) -> dict[UUID, Region]:
    """The regions that are known, held against the file.

    Raises ChecksumError, CorruptError, TruncatedError, UnsupportedError.
    """
    sound = copies(source, REGIONS_AT, TABLE_SIZE, b"regi", "VHDX region table")
    if len(sound) == 1:
        gate.warn("region-table", "one of its two region tables is damaged, the other one is used")
    at = REGIONS_AT[0]
    found: dict[UUID, Region] = {}
    for row in _rows(sound[0][1], TABLE, REGION, source, at, "VHDX region table"):
        kind = guid(row.kind)
        if kind not in (BAT, METADATA):
            if row.required & 1:
                raise UnsupportedError(f"an unknown region {kind} that it requires",
                                       file=source.name, at=at)  # fmt: skip
            continue
        if kind in found:
            raise CorruptError(f"the region {kind} is listed twice", file=source.name, at=at)
        if row.at % MIB or row.at < MIB:
            raise CorruptError(f"a region at {row.at}", file=source.name, at=at)
        demand(source, row.at, row.length, "a VHDX region")
        found[kind] = Region(row.at, row.length)
    for kind, name in ((BAT, "block table"), (METADATA, "metadata")):
        if kind not in found:
            raise CorruptError(f"there is no region of its {name}", file=source.name, at=at)
    return found


def parts(header: Header, regions: Mapping[UUID, Region]) -> dict[str, Region]:
    """What of the file is no block's, by name."""
    return {
        "the header": Region(0, MIB),
        "the log": Region(header.log_at, header.log_length),
        "the metadata": regions[METADATA],
        "the block table": regions[BAT],
    }


def _rows(raw: bytes, head: Any, row: Any, source: Source, at: int, what: str) -> list[Any]:
    """The rows of a table of 64 KiB."""
    count = fields(head, raw[: head.sizeof()], source, at, what).count
    if count > MOST_ROWS:
        raise CorruptError(f"{what}: {count} rows, at most {MOST_ROWS} fit", file=source.name,
                           at=at)  # fmt: skip
    first = 16 if head is TABLE else 32
    part = raw[first : first + count * row.sizeof()]
    return list(fields(Array(count, row), part, source, at + first, what))


def disk(source: Source, region: Region, limits: Limits) -> Disk:
    """What the metadata region says. CorruptError, LimitError, TruncatedError, UnsupportedError."""
    items = _items(source, region)
    block, flags = (_number(items[PARAMETERS], source, 4, skip=skip) for skip in (0, 4))
    physical = _number(items[PHYSICAL], source, 4) if PHYSICAL in items else 0
    names = (
        _names(items[LOCATOR], source, limits) if flags & HAS_PARENT and LOCATOR in items else {}
    )
    made = Disk(
        size=_number(items[DISK_SIZE], source, 8),
        block=block,
        sector=_number(items[LOGICAL], source, 4),
        physical=physical,
        fixed=bool(flags & FIXED),
        differencing=bool(flags & HAS_PARENT),
        id=guid(read(source, items[DISK_ID].at, 16, "the disk's GUID")) if DISK_ID in items
        else NOBODY,
        names=names,
    )  # fmt: skip
    _judge(made, source, region, limits)
    return made


def _judge(made: Disk, source: Source, region: Region, limits: Limits) -> None:
    wrong = ""
    if made.block.bit_count() != 1 or not SMALLEST <= made.block <= LARGEST:
        wrong = f"blocks of {made.block} bytes"
    elif made.sector not in SECTORS:
        wrong = f"sectors of {made.sector} bytes"
    elif made.size % made.sector:
        wrong = f"a disk of {made.size} bytes, which is not in sectors of {made.sector}"
    elif made.size > MOST:
        wrong = f"a disk of {made.size} bytes, over {size_text(MOST)}"
    if wrong:
        raise CorruptError(wrong, file=source.name, at=region.at)
    if made.size > limits.guest_size:
        raise LimitError(f"guest size {made.size} is over guest_size", file=source.name)


def _items(source: Source, region: Region) -> dict[UUID, Region]:
    """Where the known items of the metadata lie in the file."""
    at, name = region.at, source.name
    raw = bytes(read(source, at, min(TABLE_SIZE, region.length), "VHDX metadata table"))
    known = {PARAMETERS, DISK_SIZE, DISK_ID, LOGICAL, PHYSICAL, LOCATOR}
    found: dict[UUID, Region] = {}
    for row in _rows(raw, ITEMS, ITEM, source, at, "VHDX metadata table"):
        kind = guid(row.kind)
        if kind not in known:
            if row.flags & REQUIRED_ITEM:
                raise UnsupportedError(
                    f"unknown metadata {kind} that it requires", file=name, at=at
                )
            continue
        if kind in found:
            raise CorruptError(f"metadata {kind} is listed twice", file=name, at=at)
        if row.at < TABLE_SIZE or row.length > region.length or row.at > region.length - row.length:
            text = (
                f"metadata {kind} of {row.length} bytes at {row.at} of a region of {region.length}"
            )
            raise CorruptError(text, file=name, at=at)
        found[kind] = Region(at + row.at, row.length)
    for kind in (PARAMETERS, DISK_SIZE, LOGICAL):
        if kind not in found:
            raise CorruptError(f"its metadata lack {kind}", file=name, at=at)
    return found


def _number(item: Region, source: Source, width: int, skip: int = 0) -> int:
    if item.length < skip + width:
        raise CorruptError(f"metadata of {item.length} bytes", file=source.name, at=item.at)
    return int.from_bytes(read(source, item.at + skip, width, "VHDX metadata"), "little")


def _names(item: Region, source: Source, limits: Limits) -> dict[str, str]:
    """The keys and values of a parent locator. CorruptError, LimitError, UnsupportedError."""
    said = struct(NAMES, source, item.at, "the parent locator")
    if guid(said.type) != LOCATOR_TYPE:
        raise UnsupportedError(f"a parent named in the way {guid(said.type)}", file=source.name,
                               at=item.at)  # fmt: skip
    first = NAMES.sizeof()
    if first + said.count * NAME.sizeof() > item.length or said.count > limits.text_entries:
        raise CorruptError(f"a parent locator of {said.count} names", file=source.name, at=item.at)
    raw = read(source, item.at + first, said.count * NAME.sizeof(), "the parent locator")
    rows = fields(Array(said.count, NAME), raw, source, item.at, "the parent locator")
    return {
        _text(item, row.key_at, row.key_length, source, limits):
        _text(item, row.value_at, row.value_length, source, limits)
        for row in rows
    }  # fmt: skip


def _text(item: Region, at: int, length: int, source: Source, limits: Limits) -> str:
    if at + length > item.length:
        raise CorruptError("a name of the parent lies outside its locator", file=source.name,
                           at=item.at)  # fmt: skip
    if length > limits.path_bytes:
        text = f"a name of the parent has {length} bytes, over path_bytes {limits.path_bytes}"
        raise LimitError(text, file=source.name, at=item.at + at)
    try:
        return read(source, item.at + at, length, "the parent's name").decode("utf-16-le")
    except UnicodeDecodeError:
        raise CorruptError("a name of the parent is no text", file=source.name,
                           at=item.at + at) from None  # fmt: skip
