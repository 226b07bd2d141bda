"""An ISZ image as a plan: chunks first, segment after segment, then tables and headers.

    header | table of segments, where there are any | table of chunks | chunks
    header of a further segment | chunks

Chunks are not divided between segments, and a table of segments has room for all that there can be.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import randbits
from typing import NamedTuple

from diskimage import codecs
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import LimitError, UsageError
from diskimage.formats.isz import layout
from diskimage.formats.isz.layout import (
    HEADER,
    KEYS,
    MAGIC,
    SECTOR,
    SEGMENT,
    SEGMENTS,
    SUMS,
    segment_name,
    unmasked,
)
from diskimage.model import (
    Barrier,
    Device,
    Disc,
    Encoder,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
)
from diskimage.options import size_option
from diskimage.words import rounded, size_text

POINTER = 3  # bytes: 22 bits of length
CHUNK = 128 << 10
LARGEST = 2 << 20  # a chunk, and what a coding may add to it, in 22 bits
GROUP = 1 << 16  # chunks of which the table is held at once
WHOLE: int = HEADER.sizeof() + SUMS.sizeof()
ROW: int = SEGMENT.sizeof()
LEAST_SEGMENT = 16 << 20  # room for the largest table of segments and a few chunks
AES_256 = 4
WAYS = {"zlib": (2,), "bzip2": (3,), "smallest": (2, 3), "none": ()}
"""Kinds of pointers in the order of the codecs, by the option."""

OPTIONS = (
    Option("compression", "zlib|bzip2|smallest|none", "smallest tries both for each chunk"),
    Option("level", "1 to 12 (bzip2 1 to 9)", "effort of the compression; 6 and 9 unless said"),
    Option("chunk", "2K to 2M", "bytes that are coded at once; 128K unless said"),
    Option("segment_size", "16M and more", "bytes of a file, for a set of files; one unless said"),
    Option("new_password", "TEXT", "encrypts the chunks (AES-256), not the tables"),
)


class Crc:
    """CRC-32 (ISO 3309) as a running digest."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: memoryview | bytes) -> None:
        """Go on with `data`."""
        self.value = zlib.crc32(data, self.value)


class Shape(NamedTuple):
    """What is to be written, judged."""

    size: int
    chunk: int
    kinds: tuple[int, ...]
    codecs: tuple[Encoder, ...]
    segment: int
    seal: Callable[[int, bytes | memoryview], bytes] | None

    @property
    def chunks(self) -> int:
        """How many there are."""
        return -(-self.size // self.chunk)

    @property
    def table_at(self) -> int:
        """Where the table of chunks begins."""
        return WHOLE + (ROW * (SEGMENTS + 1) if self.segment else 0)

    @property
    def data_at(self) -> int:
        """Where the chunks of the first file begin."""
        return rounded(self.table_at + POINTER * self.chunks, 4)


@dataclass(slots=True)
class Made:
    """What a plan has written so far: its sums, and the files that are done."""

    image: Crc = field(default_factory=Crc)
    stored: Crc = field(default_factory=Crc)
    segments: list[layout.Segment] = field(default_factory=list)


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """What is not in the first data track; sizes are whole sectors."""
    return reduced(what, SECTOR, "an ISZ has whole sectors")


def full(size: int, **options: str) -> int:
    """The bytes of a file in which every chunk of `size` guest bytes is stored plain."""
    made = shape(size, **options)
    return made.data_at + made.size


def shape(
    size: int,
    *,
    compression: str = "zlib",
    level: str | int | None = None,
    chunk: str | int = CHUNK,
    segment_size: str | int = 0,
    new_password: str | None = None,
) -> Shape:
    """The options judged. Raises UsageError, LimitError."""
    padded, bytes_ = rounded(size, SECTOR), size_option("chunk", chunk, "128K")
    if padded // SECTOR > 0xFFFFFFFF:
        text = f"{size_text(size)} are more sectors than an ISZ can count"
        raise LimitError(text, remedy="choose another format, as chd or qcow2")
    if bytes_ % SECTOR or not SECTOR <= bytes_ <= LARGEST:
        raise UsageError(f"chunk {chunk}", remedy="a multiple of 2048 bytes, 2M at most")
    segment = size_option("segment_size", segment_size, "128K")
    if segment and segment < LEAST_SEGMENT:
        raise UsageError(f"segment_size {segment_size}", remedy="segments have 16M at least")
    seal = None if new_password is None else codecs.ecb(None, _key(new_password)).seal
    made = Shape(padded, bytes_, *_ways(compression, level), segment, seal)
    if segment and made.data_at + 2 * made.chunk > segment:
        raise UsageError(f"segment_size {segment_size}: the table alone needs {made.data_at} bytes")
    if made.data_at > 0xFFFFFFFF:
        raise LimitError("the table of chunks is too large", remedy="larger chunks")
    return made


def _ways(compression: str, level: str | int | None) -> tuple[tuple[int, ...], tuple[Encoder, ...]]:
    """Kinds of pointers and their codecs."""
    if compression not in WAYS:
        raise UsageError(f"compression {compression}", remedy=f"one of {', '.join(WAYS)}")
    kinds = WAYS[compression]
    most = 9 if 3 in kinds else 12
    if level is not None and (not str(level).isdecimal() or not 1 <= int(level) <= most):
        raise UsageError(f"level {level} of {compression}", remedy=f"1 to {most}")
    effort = None if level is None else int(level)
    return kinds, tuple(
        codecs.zlib(effort) if kind == 2 else codecs.bzip2(effort or 9) for kind in kinds
    )


def _key(password: str) -> bytes:
    """Of AES-256. A longer password would be cut, and a shorter one open the image."""
    key = password.encode()
    if not 0 < len(key) <= KEYS[AES_256]:
        raise UsageError(f"a password of {len(key)} bytes", remedy="1 to 32 bytes are taken")
    return key.ljust(KEYS[AES_256], b"\0")


def create(what: Device | Disc, stem: str, **options: str) -> Plan:
    """Chunks in guest order; then the tables, and the header of the first file last."""
    device = user_bytes(what)
    made, wanted = Made(), shape(device.size, **options)
    name, done, begin = f"{stem}.isz", 0, wanted.data_at
    while done < wanted.chunks or not made.segments:
        number = len(made.segments)
        if number == SEGMENTS:
            raise UsageError(f"more than {SEGMENTS} segments", remedy="a larger segment_size")
        file = segment_name(name, number) if number else ""
        first, end, room = done, begin, True
        while done < wanted.chunks and room:
            goal, step = _step(device, wanted, made, done, end, file)
            packed: Packed = yield step
            yield Put(wanted.table_at + POINTER * done, _pointers(packed, wanted, done, step.chunk))
            room = done + packed.done == goal
            done, end = done + packed.done, packed.end
        made.segments.append(layout.Segment(end, done - first, first, begin, 0))
        begin = WHOLE
    made.image.update(bytes(wanted.size - device.size))
    yield from _heads(wanted, made, name)


def _step(
    device: Device, wanted: Shape, made: Made, done: int, to: int, file: str
) -> tuple[int, Pack]:
    """Packs the chunks from `done` up to the one it answers; the short last one by itself."""
    whole, rest = divmod(wanted.size, wanted.chunk)
    goal = min(whole, done + GROUP) if done < whole else wanted.chunks
    runs = device.runs(done * wanted.chunk, min(device.size, goal * wanted.chunk))
    return goal, Pack(
        runs,
        wanted.chunk if done < whole else rest,
        wanted.codecs,
        to,
        room=wanted.segment - to if wanted.segment else None,
        sums=(made.image,),
        stored_sums=(made.stored,),
        seal=wanted.seal,
        file=file,
    )


def _pointers(packed: Packed, wanted: Shape, first: int, chunk: int) -> bytes:
    """The table's entries of chunks from `first` on, under its mask.

    One of zeros has no bytes, and its pointer the length of what it stands for.
    """
    out = bytearray()
    for to, stored, codec in zip(packed.to, packed.stored, packed.codec, strict=True):
        if to < -1:
            raise UsageError("has bytes that are not in this layer", remedy="flatten the chain")
        kind = 0 if to < 0 else wanted.kinds[codec] if codec >= 0 else 1
        out += (kind << 8 * POINTER - 2 | (stored or chunk)).to_bytes(POINTER, "little")
    return unmasked(out, POINTER * first)


def _heads(wanted: Shape, made: Made, name: str) -> Plan:
    """The table of segments; the headers, that of the first file when all else is there."""
    serial = randbits(32)
    if wanted.segment:
        rows = b"".join(SEGMENT.build(row._asdict()) for row in made.segments)
        yield Put(WHOLE, unmasked(rows.ljust(ROW * (SEGMENTS + 1), b"\0")))
    for number in range(1, len(made.segments)):
        yield Put(0, _head(wanted, made, number, serial), segment_name(name, number))
    yield Barrier()
    yield Put(0, _head(wanted, made, 0, serial))


def _head(wanted: Shape, made: Made, number: int, serial: int) -> bytes:
    fields = {
        "magic": MAGIC, "header_size": WHOLE, "version": 1, "serial": serial, "sector": SECTOR,
        "sectors": wanted.size // SECTOR, "encryption": AES_256 if wanted.seal else 0,
        "segment_size": wanted.segment, "chunks": wanted.chunks, "chunk": wanted.chunk,
        "pointer": POINTER, "segment": number, "table_at": wanted.table_at,
        "segments_at": WHOLE if wanted.segment else 0, "data_at": made.segments[number].at,
    }  # fmt: skip
    sums = {
        "image": ~made.image.value & 0xFFFFFFFF,
        "size": wanted.size & 0xFFFFFFFF,
        "reserved": bytes(4),
        "stored": ~made.stored.value & 0xFFFFFFFF,
    }
    return bytes(HEADER.build(fields) + SUMS.build(sums))
