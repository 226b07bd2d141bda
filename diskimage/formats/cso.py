"""CSO, ZSO and DAX: images of 2048-byte sectors in small chunks, made for handheld consoles.

Facts: maxcso's README of versions 1 and 2, the sources of emulators that read them;
docs/formats/cso.md draws them. Little-endian: a header, an index of chunks, the chunks. Not
supported: JSO, and the CISO of GameCube discs, which has the magic of CSO and nothing else of it.
"""

from __future__ import annotations

from array import array
from operator import lshift, sub
from typing import Any, NamedTuple

from construct import Bytes, Int8ul, Int32ul, Int64ul, Padding, Struct

from diskimage import codecs
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import (
    CorruptError,
    LimitError,
    UnsupportedError,
    UsageError,
)
from diskimage.layers.chunks import PAGE, PLAIN, ChunkDevice, Columns
from diskimage.layers.stored import without_holes
from diskimage.layers.table import words, written
from diskimage.limits import Limits
from diskimage.model import (
    Barrier,
    Bid,
    Codec,
    Device,
    Disc,
    Encoder,
    Format,
    Gate,
    Look,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
    Size,
    Source,
)
from diskimage.options import size_option
from diskimage.parse import demand, read, struct
from diskimage.words import rounded, size_text

SECTOR = 2048
HEADER = Struct(
    "magic" / Bytes(4), "header_size" / Int32ul, "size" / Int64ul, "chunk" / Int32ul,
    "version" / Int8ul, "shift" / Int8ul, Padding(2),
)  # fmt: skip
DAX = Struct("magic" / Bytes(4), "size" / Int32ul, "version" / Int32ul, "areas" / Int32ul,
             Padding(16))  # fmt: skip
DAX_CHUNK = 8192
MAGICS = {b"CISO": "CSO", b"ZISO": "ZSO", b"DAX\0": "DAX", b"JISO": "JSO"}
FLAG = 0x80  # of an entry's last byte
CLEARED = bytes(byte & 0x7F for byte in range(256))
FLAGGED = bytes(int(byte >= FLAG) for byte in range(256))
LARGEST = 1 << 20  # of a chunk: real ones have 2 to 64 KiB


class Header(NamedTuple):
    """What the header of a CSO or ZSO says. Offsets count in units of `1 << shift` bytes."""

    kind: str
    version: int
    size: int
    chunk: int
    shift: int

    @property
    def chunks(self) -> int:
        """How many there are; the index has an entry more."""
        return -(-self.size // self.chunk)


def probe(look: Look) -> Bid | None:
    """One of the magics at 0; a GameCube CISO is claimed so that it is refused by name."""
    kind = MAGICS.get(look.head[:4])
    return None if kind is None else Bid(90, f"{kind}: {look.head[:4]!r} at 0")


def open_cso(source: Source, gate: Gate) -> Device:
    """The image. Raises UnsupportedError, CorruptError, LimitError, TruncatedError."""
    magic = bytes(read(source, 0, 4, "the magic"))
    kind = MAGICS.get(magic)
    if kind is None:
        raise CorruptError("none of CISO, ZISO, DAX", file=source.name, at=0)
    if kind == "JSO":
        raise UnsupportedError("a JSO, whose layout nobody tells", file=source.name)
    return _dax(source, gate.limits) if kind == "DAX" else _cso(source, kind, gate.limits)


def load(source: Source, kind: str, limits: Limits) -> Header:
    """The header of a CSO or ZSO, held against the file and `limits`."""
    if kind == "CSO" and _gamecube(source):
        raise UnsupportedError(
            "a CISO of a GameCube or Wii disc, not a CSO", file=source.name,
            remedy="unpack it with a tool for such discs",
        )  # fmt: skip
    raw = struct(HEADER, source, 0, f"{kind} header")
    header = Header(kind, max(1, raw.version), raw.size, raw.chunk, raw.shift)
    if header.version > 2:
        raise UnsupportedError(f"{kind} version {raw.version}", file=source.name, at=20)
    _judge(header, source, limits)
    return header


def _judge(header: Header, source: Source, limits: Limits) -> None:
    name, chunk = source.name, header.chunk
    if chunk & (chunk - 1) or not chunk >= 512:
        raise CorruptError(f"chunks of {chunk} bytes", file=name, at=16)
    if chunk > min(LARGEST, limits.chunk):
        raise LimitError(f"chunks of {chunk} bytes, over {LARGEST}", file=name, at=16)
    if header.shift > 20:
        raise CorruptError(f"offsets in units of 2^{header.shift} bytes", file=name, at=21)
    if header.size > limits.guest_size:
        raise LimitError(f"guest size {header.size} is over guest_size", file=name, at=8)
    demand(source, HEADER.sizeof(), 4 * (header.chunks + 1), "the index")


def _gamecube(source: Source) -> bool:
    """A block size of 32 KiB or more, then a byte of 0 or 1 for each block."""
    head = bytes(read(source, 0, min(source.size, 64), "the header"))
    block = int.from_bytes(head[4:8], "little")
    return block >= 1 << 15 and block & (block - 1) == 0 and not head[8:40].strip(b"\0\1")


def _cso(source: Source, kind: str, limits: Limits) -> Device:
    header = load(source, kind, limits)
    ways: tuple[Codec, ...] = (codecs.lz4(),) if kind == "ZSO" else (codecs.deflate(),)
    if kind == "CSO" and header.version == 2:
        ways = (codecs.deflate(), codecs.lz4())

    def page(number: int) -> Columns:
        first = number * PAGE
        count = min(PAGE, header.chunks - first)
        at = HEADER.sizeof() + 4 * first
        raw = read(source, at, 4 * (count + 1), "the index")
        return columns(header, raw, source, at)

    variant = f"{kind} version {header.version}, {size_text(header.chunk)} chunks"
    return ChunkDevice(
        size=header.size, chunk=header.chunk, data=source, page=page, codecs=ways,
        most=_most(header.chunk) + (1 << header.shift),
        info={"variant": variant, "sector_size": SECTOR, "chunk_size": header.chunk,
              "version": header.version},
    )  # fmt: skip


def _most(chunk: int) -> int:
    """Stored bytes that a chunk can have: what either codec adds to noise, and some more."""
    return 2 * chunk + 1024


def columns(header: Header, raw: bytearray, source: Source, at: int) -> Columns:
    """A page of the index: entries, one more than chunks. CorruptError where they go back.

    An entry's highest bit is a flag, the rest a place. The flag means a plain chunk; in version 2 a
    chunk by LZ4, and one that is stored in as many bytes as it has is plain.
    """
    flags = bytes(raw[3:-4:4]).translate(FLAGGED)
    raw[3::4] = raw[3::4].translate(CLEARED)
    places = words(raw, "I")
    shift = header.shift
    ends = array("q", map(lshift, places, [shift] * len(places)) if shift else places)
    stored = array("q", map(sub, ends[1:], ends[:-1]))
    if min(stored, default=0) < 0:
        row = next(i for i, length in enumerate(stored) if length < 0)
        raise CorruptError(
            f"the index goes back, from {ends[row]} to {ends[row + 1]}",
            file=source.name, at=at + 4 * row,
        )  # fmt: skip
    if header.kind == "CSO" and header.version == 2:
        whole = header.chunk
        code = bytes(PLAIN if n >= whole else flag for n, flag in zip(stored, flags, strict=True))
    else:
        code = flags.translate(bytes((0, PLAIN)).ljust(256, b"\0"))
    return Columns(ends[:-1], stored, code)


def _dax(source: Source, limits: Limits) -> Device:
    raw = struct(DAX, source, 0, "DAX header")
    count = -(-raw.size // DAX_CHUNK)
    table = DAX.sizeof()
    if raw.version > 1:
        raise UnsupportedError(f"DAX version {raw.version}", file=source.name, at=8)
    areas = raw.areas if raw.version else 0
    demand(source, table, 6 * count + 8 * areas, "the index")
    if areas > count:
        raise CorruptError(f"{areas} plain areas of {count} chunks", file=source.name, at=12)
    whole = _areas(words(read(source, table + 6 * count, 8 * areas, "the areas"), "I"), count)
    if whole is None:
        raise CorruptError("plain areas past the last chunk", file=source.name, at=table)

    def page(number: int) -> Columns:
        first = number * PAGE
        rows = min(PAGE, count - first)
        at = words(read(source, table + 4 * first, 4 * rows, "the index"), "I")
        lengths = read(source, table + 4 * count + 2 * first, 2 * rows, "the index")
        code = bytes(whole[first : first + rows])
        return Columns(array("q", at), array("q", words(lengths, "H")), code)

    return ChunkDevice(
        size=raw.size, chunk=DAX_CHUNK, data=source, page=page, codecs=(codecs.zlib(),),
        most=_most(DAX_CHUNK),
        info={"variant": f"DAX version {raw.version}", "sector_size": SECTOR,
              "chunk_size": DAX_CHUNK, "version": raw.version},
    )  # fmt: skip


def _areas(pairs: array[int], count: int) -> bytearray | None:
    """The code of each of `count` chunks: PLAIN in areas of (first, chunks); None past the last."""
    code, left = bytearray(count), count
    for first, chunks in zip(pairs[::2], pairs[1::2], strict=True):
        left -= chunks
        if left < 0 or first + chunks > count:
            return None
        code[first : first + chunks] = bytes([PLAIN]) * chunks
    return code


SHIFTS = 12  # units of 1 byte to 2 KiB
GROUP = 1 << 16
"""Chunks of which the index is held at once while writing."""
OPTIONS = (
    Option("chunk", "2K to 64K", "bytes that are coded at once, a power of two; 2K unless said"),
    Option("level", "1 to 12", "effort of the compression; 6 unless said"),
)


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """What is not in the first data track; sizes are whole sectors."""
    return reduced(what, SECTOR, "a CSO has whole sectors")


def full(size: int, **options: Any) -> int:
    """The bytes of a file in which every chunk of `size` guest bytes is stored plain."""
    made, _ = shape(size, **options)
    return _data_at(made) + made.chunks * made.chunk


def shape(
    size: int, *, chunk: str | int = SECTOR, level: str | int | None = None
) -> tuple[Header, Encoder]:
    """The header of a new image, and its codec. Raises UsageError, LimitError."""
    whole = size_option("chunk", chunk, "16K")
    if whole & (whole - 1) or not SECTOR <= whole <= 1 << 16:
        raise UsageError(f"chunk {chunk}", remedy="a power of two from 2K to 64K")
    if level is not None and (not str(level).isdecimal() or not 1 <= int(level) <= 12):
        raise UsageError(f"level {level}", remedy="1 to 12")
    made = Header("CSO", 1, rounded(size, SECTOR), whole, 0)
    most = _data_at(made) + made.chunks * made.chunk
    for shift in range(SHIFTS):  # each chunk may be moved by a unit
        if most + (made.chunks << shift) <= 0x7FFFFFFF << shift:
            return made._replace(shift=shift), codecs.deflate(level=int(level) if level else None)
    text = f"{size_text(size)} are more than a CSO's index can tell"
    raise LimitError(text, remedy="choose another format, as chd or qcow2")


def _data_at(header: Header) -> int:
    end: int = HEADER.sizeof() + 4 * (header.chunks + 1)
    return rounded(end, 1 << header.shift)


def create(what: Device | Disc, stem: str, **options: Any) -> Plan:
    """Chunks in guest order, zeros among them, each group with its index; the header last."""
    device = user_bytes(what)
    header, codec = shape(device.size, **options)
    end, table, unit = _data_at(header), HEADER.sizeof(), 1 << header.shift
    for first in range(0, header.chunks, GROUP):
        stop = min(header.size, (first + GROUP) * header.chunk)
        packed: Packed = yield Pack(
            without_holes(device, first * header.chunk, min(stop, device.size)),
            header.chunk, (codec,), end, align=unit, align_coded=unit, keep_zeros=True,
        )  # fmt: skip
        yield Put(table + 4 * first, _entries(packed, header))
        end = rounded(packed.end, unit)
    yield Size(end)
    yield Put(table + 4 * header.chunks, written(array("I", [end >> header.shift])))
    yield Barrier()
    yield Put(0, HEADER.build({
        "magic": b"CISO", "header_size": HEADER.sizeof(), "size": header.size,
        "chunk": header.chunk, "version": 1, "shift": header.shift,
    }))  # fmt: skip


def _entries(packed: Packed, header: Header) -> bytes:
    """The index of the chunks of a step."""
    if min(packed.to, default=0) < 0:
        raise UsageError("has bytes that are not in this layer", remedy="flatten the chain")
    return written(array("I", [
        to >> header.shift | (FLAG << 24 if codec < 0 else 0)
        for to, codec in zip(packed.to, packed.codec, strict=True)
    ]))  # fmt: skip


FORMAT = Format(
    name="cso",
    title="compressed ISO of handheld consoles: CSO, ZSO, DAX",
    suffixes=(".cso", ".ciso", ".zso", ".dax"),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_cso,
    losses=losses,
    create=create,
    full=full,
    options=OPTIONS,
)
