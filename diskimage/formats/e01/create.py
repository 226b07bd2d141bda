"""An E01 set as a plan, as EnCase 6 lays it out: chunks first, the first file's header last.

    header2, header2, header, volume | sectors, table, table2 | ... | next
    data | sectors, table, table2 | ... | data, error2, digest, hash, done

docs/formats/e01.md draws the sections.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import time
from array import array
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4
from zlib import adler32

from diskimage import codecs
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import LimitError, UsageError
from diskimage.formats.e01 import texts
from diskimage.formats.e01.chunks import SUM
from diskimage.formats.e01.layout import BEGIN, COMPRESSED, FILE, HEAD, MAGIC, ROWS, SECTION, VOLUME
from diskimage.formats.e01.names import segment_name
from diskimage.layers.stored import without_holes
from diskimage.layers.table import written
from diskimage.limits import MIB
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
    Step,
)
from diskimage.options import size_option
from diskimage.ranges import Ranges
from diskimage.words import rounded, size_text

GROUP = 16375  # chunks of a table: what FTK Imager and EnCase before 6 take
SECTIONS_END = (1 << 31) - (1 << 20)  # bytes of chunks that a table reaches
TABLES: int = 2 * (HEAD + ROWS + SUM)  # of no chunk
TAIL = 4096  # room for the last sections of a segment
SEGMENT = 1500 * MIB
LEAST = 1 * MIB
SECTORS = 64  # of a chunk
FIXED, OPTICAL, PHYSICAL = 1, 3, 3
CASE = ("case_number", "evidence_number", "description", "examiner", "notes")

OPTIONS = (
    Option("level", "0 to 12", "effort of zlib, 0 stores plain; 1 unless said"),
    Option("chunk", "16K to 1M", "bytes that are coded at once; 32K unless said"),
    Option("segment_size", "1M and more, or 0", "bytes of a file; 1500M unless said, 0 for one"),
    *(Option(name, "TEXT", f"{name.replace('_', ' ')} of the case data") for name in CASE),
)


class Shape(NamedTuple):
    """What is to be written, judged. Sizes in bytes; `segment` 0 for one file."""

    size: int
    sector: int
    chunk: int
    codecs: tuple[Encoder, ...]
    level: int
    segment: int
    values: dict[str, str]

    @property
    def chunks(self) -> int:
        """How many there are."""
        return -(-self.size // self.chunk)

    @property
    def group(self) -> int:
        """Chunks of one table at most."""
        return min(GROUP, SECTIONS_END // (self.chunk + SUM))


@dataclass(slots=True)
class Made:
    """What a plan has written so far: `done` chunks; the next section goes to `at` of `file`."""

    at: int
    number: int = 1
    file: str = ""
    done: int = 0
    bad: dict[int, int] = field(default_factory=dict)
    md5: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    sha1: Any = field(default_factory=lambda: hashlib.sha1(usedforsecurity=False))


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """What is not in the first data track; sizes are whole sectors."""
    sector = _sector(user_bytes(what))
    return reduced(what, sector, f"an E01 has whole sectors of {sector} bytes")


def _sector(device: Device) -> int:
    told = device.info.get("sector_size", 512)
    return told if isinstance(told, int) and told in (512, 1024, 2048, 4096) else 512


def full(size: int, **options: str) -> int:
    """The bytes of all files where every chunk of `size` guest bytes is stored plain."""
    made = shape(size, 512, **options)
    groups = -(-made.chunks // made.group) + 1
    segments = 1 + (made.size // made.segment if made.segment else 0)
    return made.size + made.chunks * (SUM + 8) + groups * (TABLES + HEAD) + segments * TAIL


def shape(
    size: int,
    sector: int,
    *,
    level: str | int = 1,
    chunk: str | int = "",
    segment_size: str | int = SEGMENT,
    **values: str,
) -> Shape:
    """The options judged. Raises UsageError, LimitError."""
    if not str(level).isdecimal() or not 0 <= int(level) <= 12:
        raise UsageError(f"level {level}", remedy="0 to 12")
    whole = size_option("chunk", chunk, "32K") if chunk else SECTORS * sector
    if whole & (whole - 1) or not 16 << 10 <= whole <= MIB:
        raise UsageError(f"chunk {chunk}", remedy="a power of two from 16K to 1M")
    segment = size_option("segment_size", segment_size, "32K")
    if segment and segment < max(LEAST, 16 * whole):
        least = size_text(max(LEAST, 16 * whole))
        raise UsageError(f"segment_size {segment_size}", remedy=f"{least} at least, or 0")
    for name, text in values.items():
        if any(ord(character) < 0x20 for character in text):
            raise UsageError(f"{name} has a control character", remedy="one line, no tabs")
    coder = (codecs.zlib(int(level)),) if int(level) else ()
    made = Shape(rounded(size, sector), sector, whole, coder, int(level), segment, values)
    if made.chunks >= COMPRESSED:
        raise LimitError(f"{size_text(size)} are more chunks than an E01 counts", remedy="chunk=1M")
    return made


def create(what: Device | Disc, stem: str, **options: str) -> Plan:
    """Segment after segment; the header of the first file when all else is there."""
    device = user_bytes(what)
    wanted = shape(device.size, _sector(device), **options)
    volume = _volume(wanted)
    head = _texts(wanted.values, BEGIN)
    head += _section(b"volume", BEGIN + len(head), volume)
    made = Made(BEGIN + len(head))
    while made.done < wanted.chunks:
        if not (yield from _group(device, wanted, made)):
            yield Put(made.at, _section(b"next", made.at, None), made.file)
            made.number += 1
            made.file = _name(stem, made.number)
            begin = _file(made.number) + _section(b"data", BEGIN, volume)
            yield Put(0, begin, made.file)
            made.at = len(begin)
    for running in (made.md5, made.sha1):
        running.update(bytes(wanted.size - device.size))
    yield Put(made.at, _tail(wanted, made, volume), made.file)
    yield Barrier()
    yield Put(0, _file(1) + head)


def _name(stem: str, number: int) -> str:
    name = segment_name(f"{stem}.E01", number)
    if name is None:
        raise UsageError(f"more than {number - 1} segments", remedy="a larger segment_size")
    return name


def _group(device: Device, wanted: Shape, made: Made) -> Generator[Step, Any, bool]:
    """The next chunks with their tables; False where the segment has no room for one more.

    The last chunk, where it is short, is a group by itself.
    """
    whole, rest = divmod(wanted.size, wanted.chunk)
    goal = min(whole, made.done + wanted.group) if made.done < whole else wanted.chunks
    chunk = wanted.chunk if made.done < whole else rest
    start, stop = made.done * wanted.chunk, min(device.size, goal * wanted.chunk)
    room = None
    if wanted.segment:
        room = wanted.segment - TAIL - TABLES - made.at - HEAD
        count = min(goal - made.done, room // 32)  # the tables of as many have to fit too
        room -= 8 * max(0, count)
        if room < chunk + SUM:
            return False
    packed: Packed = yield Pack(
        without_holes(device, start, stop, made.bad), chunk, wanted.codecs, made.at + HEAD,
        room=room, sums=(made.md5, made.sha1), seal=_seal(chunk), keep_zeros=True, file=made.file,
    )  # fmt: skip
    if not packed.done:
        return False
    yield Put(made.at, _head(b"sectors", made.at, packed.end - made.at), made.file)
    entries = _entries(packed, made.at)
    for kind in (b"table", b"table2"):
        yield Put(packed.end, table := _section(kind, packed.end, entries), made.file)
        packed = packed._replace(end=packed.end + len(table))
    made.done, made.at = made.done + packed.done, packed.end
    return made.done == goal


def _seal(chunk: int) -> Callable[[int, bytes | memoryview], bytes]:
    """What puts its Adler-32 behind a chunk that is stored as it is."""

    def seal(_start: int, stored: bytes | memoryview) -> bytes:
        if len(stored) < chunk:  # a coded one has a sum of its own
            return bytes(stored)
        return b"".join((stored, adler32(stored).to_bytes(SUM, "little")))

    return seal


def _entries(packed: Packed, base: int) -> bytes:
    """A table's content: its head, and of each chunk its place from `base` on."""
    if min(packed.to, default=0) < 0:
        raise UsageError("has bytes that are not in this layer", remedy="flatten the chain")
    head = struct.pack("<IIQI", len(packed.to), 0, base, 0)
    rows = written(array("I", [
        to - base | (COMPRESSED if codec >= 0 else 0)
        for to, codec in zip(packed.to, packed.codec, strict=True)
    ]))  # fmt: skip
    return _summed(head) + _summed(rows)


def _summed(data: bytes) -> bytes:
    """A structure with its Adler-32 behind."""
    return data + adler32(data).to_bytes(SUM, "little")


def _head(kind: bytes, at: int, length: int) -> bytes:
    """The head of a section of `length` bytes at `at`; the last one of a file leads to itself."""
    raw = SECTION.build(
        {"type": kind.ljust(16, b"\0"), "next": at + length, "size": length, "sum": 0}
    )
    return _summed(raw[:-SUM])


def _section(kind: bytes, at: int, content: bytes | None) -> bytes:
    """A section at `at`; without `content` the last one of a file."""
    if content is None:
        return _head(kind, at, 0)
    return _head(kind, at, HEAD + len(content)) + content


def _file(number: int) -> bytes:
    return bytes(FILE.build({"magic": MAGIC, "one": 1, "segment": number, "zero": 0}))


def _volume(wanted: Shape) -> bytes:
    """The content of the sections volume and data."""
    told = VOLUME.build({
        "media": OPTICAL if wanted.sector == 2048 else FIXED, "chunks": wanted.chunks,
        "per_chunk": wanted.chunk // wanted.sector, "sector": wanted.sector,
        "sectors": wanted.size // wanted.sector, "flags": PHYSICAL,
        "compression": 0 if not wanted.level else 1 if wanted.level < 6 else 2,
        "granularity": wanted.chunk // wanted.sector, "guid": uuid4().bytes,
    })  # fmt: skip
    return _summed(told.ljust(1048, b"\0"))


def _texts(values: dict[str, str], at: int) -> bytes:
    """The sections header2, twice, and header."""
    now = int(time.time())
    case, evidence, description, examiner, notes = (values.get(name, "") for name in CASE)
    program = {"av": "py-diskimage", "ov": sys.platform}
    new = {
        "a": description, "c": case, "n": evidence, "e": examiner, "t": notes, "md": "", "sn": "",
        **program, "m": str(now), "u": str(now), "p": "0", "dc": "",
    }  # fmt: skip
    date = " ".join(map(str, time.gmtime(now)[:6]))
    old = {
        "c": case, "n": evidence, "a": description, "e": examiner, "t": notes,
        **program, "m": date, "u": date, "p": "0",
    }  # fmt: skip
    rest = (
        "\nsrce\n0\t1\np\tn\tid\tev\ttb\tlo\tpo\tah\tgu\taq\n0\t0\n\t\t\t\t\t-1\t-1\t\t\t\n"
        "\nsub\n0\t1\np\tn\tid\tnu\tco\tgu\n0\t0\n\t\t\t\t1\t\n\n"
    )
    wide = texts.packed(3, new, rest, wide=True)
    made = _section(b"header2", at, wide)
    made += _section(b"header2", at + len(made), wide)
    return made + _section(b"header", at + len(made), texts.packed(1, old, "\r\n", wide=False))


def _tail(wanted: Shape, made: Made, volume: bytes) -> bytes:
    """What follows the last table: the volume again, unreadable sectors, hashes, the end."""
    sections = [] if made.number > 1 else [(b"data", volume)]
    if made.bad:
        sections.append((b"error2", _faults(wanted, made.bad)))
    md5, sha1 = made.md5.digest(), made.sha1.digest()
    sections.append((b"digest", _summed(md5 + sha1 + bytes(40))))
    sections.append((b"hash", _summed(md5 + bytes(16))))
    tail = b""
    for kind, content in sections:
        tail += _section(kind, made.at + len(tail), content)
    return tail + _section(b"done", made.at + len(tail), None)


def _faults(wanted: Shape, bad: dict[int, int]) -> bytes:
    """The ranges that could not be read, in sectors; what they touch counts whole."""
    rows = array("I")
    for start, length in Ranges(bad.items()):
        first = start // wanted.sector
        if first >> 32:
            raise LimitError("unreadable sectors that lie too high for an E01 to name them")
        rows.extend((first, -(-(start + length) // wanted.sector) - first))
    head = struct.pack("<I", len(rows) // 2).ljust(516, b"\0")
    return _summed(head) + _summed(written(rows))
