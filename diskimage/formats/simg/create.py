"""A sparse image as a plan: chunks in guest order, the header of the first file last.

Zeros are written as such, also where the source has holes: what a chunk does not care for keeps on
a used device what was there before. docs/formats/simg.md draws the parts of a set.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from sys import byteorder
from typing import Any, NamedTuple

from diskimage.codecs.crc32 import Crc32
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import LimitError, UsageError
from diskimage.formats.simg.layout import CRC, FILL, HEAD, HEADER, MAGIC, PATTERN, RAW, SKIP
from diskimage.kernels.scan import filled_blocks
from diskimage.layers.stored import without_holes
from diskimage.limits import MIB
from diskimage.model import (
    HOLE,
    Barrier,
    Device,
    Disc,
    Kind,
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
from diskimage.runs import extents
from diskimage.words import rounded, size_text

BLOCK = 4096
UNIT = MIB  # guest bytes that become chunks at once
GROUP = 1024 * UNIT  # of one step
BLANK = 4 * MIB  # zeros that are worth a step's end
LEAST = 4 * MIB  # of a part
MOST = (1 << 32) - 1  # blocks
MARK = "_sparsechunk"
END = 2 * HEAD.size + PATTERN  # of what ends a part
STORED, HOLES = -1, -2  # in place of the value that fills a block

OPTIONS = (
    Option("block", "512 to 1M", "bytes of a block, a power of two; 4K, or less where the size is "
           "no multiple of it"),
    Option("holes", "fill or skip", "what takes no space in the source: zeros that are flashed, or "
           "nothing that is, on a target that reads as zeros; fill unless said"),
    Option("crc", "true or false", "a CRC-32 of the guest at the end; false unless said"),
    Option("part_size", "4M and more", "bytes of a file at most; more files follow the first, "
           "which has to be called NAME_sparsechunk.0"),
)  # fmt: skip


class Shape(NamedTuple):
    """What is to be written, judged. Sizes in bytes; `part` 0 for one file."""

    size: int
    block: int
    skip: bool
    crc: bool
    part: int

    @property
    def blocks(self) -> int:
        """How many there are."""
        return -(-self.size // self.block)


@dataclass(slots=True)
class Made:
    """The file under way: `chunks` of it are written, the next goes to `at`."""

    file: str = ""
    at: int = HEADER.sizeof()
    chunks: int = 0
    sum: Crc32 = field(default_factory=Crc32)


class Area(NamedTuple):
    """Guest bytes that are zeros, holes if they take no space; or whatever is there."""

    start: int
    stop: int
    zeros: bool = False
    hole: bool = False


def losses(what: Device | Disc, **options: Any) -> list[Loss]:
    """What is not in the first data track; sizes are whole blocks."""
    block = shape(user_bytes(what).size, **options).block
    return reduced(what, block, f"a sparse image has whole blocks of {block} bytes")


def full(size: int, **options: Any) -> int:
    """The bytes of all files where every block of `size` guest bytes is stored."""
    made = shape(size, **options)
    parts = 1 + (size // (made.part - UNIT) if made.part else 0)
    stored = made.blocks * made.block + (-(-size // UNIT)) * HEAD.size
    each: int = HEADER.sizeof() + HEAD.size + END
    return stored + parts * each


def shape(
    size: int,
    *,
    block: str | int = "",
    holes: str = "fill",
    crc: str | bool = False,
    part_size: str | int = 0,
) -> Shape:
    """The options judged. Raises UsageError, LimitError."""
    unit = size_option("block", block, "4K") if block else BLOCK
    while not block and unit > 512 and size % unit:
        unit //= 2
    if unit & (unit - 1) or not 512 <= unit <= UNIT:
        raise UsageError(f"block {block}", remedy="a power of two from 512 to 1M")
    if holes not in ("fill", "skip"):
        raise UsageError(f"holes {holes}", remedy="fill or skip")
    if not isinstance(crc, bool):
        raise UsageError(f"crc {crc}", remedy="true or false")
    part = size_option("part_size", part_size, "4K")
    if part and part < LEAST:
        raise UsageError(f"part_size {part_size}", remedy=f"{size_text(LEAST)} at least")
    made = Shape(size, unit, holes == "skip", crc, part)
    if made.blocks > MOST:
        raise LimitError(f"{size_text(size)} are more than {MOST} blocks of {unit} bytes",
                         remedy="a larger block, as -o block=64K")  # fmt: skip
    return made


def create(what: Device | Disc, stem: str, **options: Any) -> Plan:
    """Part after part; the header of the first when all else is there."""
    device = user_bytes(what)
    wanted = shape(device.size, **options)
    if wanted.part and not stem.endswith(MARK):
        raise UsageError("the first of several parts is not called so",
                         remedy=f"name the target NAME{MARK}.0, and say --to simg")  # fmt: skip
    made, number, first = Made(), 0, b""
    for area in areas(device, wanted.block):
        done = area.start
        while done < area.stop:
            if wanted.part and made.at + UNIT + HEAD.size + END > wanted.part:
                header = yield from _ended(done, wanted, made)
                first, number = first or header, number + 1
                made = yield from _begun(f"{stem}.{number}", done, wanted)
            if area.zeros:
                done = yield from _zeros(area, wanted, made)
            else:
                done = yield from _packed(device, done, area.stop, wanted, made)
    header = yield from _ended(rounded(device.size, wanted.block), wanted, made)
    yield Barrier()
    yield Put(0, first or header)


def areas(device: Device, block: int) -> Iterator[Area]:
    """All of a device: long zeros in whole blocks by themselves, the rest in pieces."""
    done = 0
    for runs in device.runs():
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if length < BLANK or kind not in (HOLE, Kind.ZERO):
                continue
            first, stop = rounded(start, block), start + length
            last = stop if stop == device.size else stop // block * block
            yield from _pieces(done, first)
            yield Area(first, last, zeros=True, hole=kind == HOLE)
            done = last
    yield from _pieces(done, device.size)


def _pieces(start: int, stop: int) -> Iterator[Area]:
    for at in range(start, stop, GROUP):
        yield Area(at, min(stop, at + GROUP))


def _begun(file: str, done: int, wanted: Shape) -> Generator[Step, None, Made]:
    """A further part: what the earlier ones hold it does not care for."""
    made = Made(file)
    yield Put(made.at, HEAD.pack(SKIP, done // wanted.block, HEAD.size), file)
    made.at, made.chunks = made.at + HEAD.size, 1
    made.sum.zeros(done if wanted.crc else 0)
    return made


def _ended(done: int, wanted: Shape, made: Made) -> Generator[Step, None, bytes]:
    """The end of a part whose blocks reach to guest byte `done`; its header, not yet in the first.

    The part does not care for the blocks of later ones.
    """
    left, tail = wanted.blocks - done // wanted.block, b""
    if left:
        tail = HEAD.pack(SKIP, left, HEAD.size)
    if wanted.crc:
        made.sum.zeros(left * wanted.block)
        tail += HEAD.pack(CRC, 0, HEAD.size + PATTERN) + made.sum.value.to_bytes(4, "little")
    if tail:
        yield Put(made.at, tail, made.file)
    header: bytes = HEADER.build({
        "magic": MAGIC, "major": 1, "minor": 0, "size": HEADER.sizeof(), "head": HEAD.size,
        "block": wanted.block, "blocks": wanted.blocks,
        "chunks": made.chunks + bool(left) + wanted.crc, "crc": 0,
    })  # fmt: skip
    if made.file:
        yield Put(0, header, made.file)
    return header


def _zeros(area: Area, wanted: Shape, made: Made) -> Generator[Step, None, int]:
    """One chunk of zeros; where it ends."""
    stop = rounded(area.stop, wanted.block)
    blocks = (stop - area.start) // wanted.block
    chunk = _chunk(HOLES if wanted.skip and area.hole else 0, blocks)
    yield Put(made.at, chunk, made.file)
    made.at, made.chunks = made.at + len(chunk), made.chunks + 1
    if wanted.crc:
        made.sum.zeros(stop - area.start)
    return stop


def _packed(
    device: Device, start: int, stop: int, wanted: Shape, made: Made
) -> Generator[Step, Any, int]:
    """Chunks of what is stored from `start` on, while the part has room; where they end."""
    holes = Ranges()
    if wanted.skip:
        holes = Ranges((e.start, e.length) for e in extents(device, start, stop) if e.hole)
    end, block = rounded(stop, wanted.block), wanted.block
    counts: dict[int, int] = {}  # chunks that a unit became, by its first guest byte

    def seal(at: int, plain: bytes | memoryview) -> bytes:
        """The chunks of a unit, without what pads the last one."""
        part = memoryview(plain)[: end - at]
        counts[at], coded = encoded(part, block, holes.clip(at, at + len(part)), at)
        return coded

    room = wanted.part - made.at - END if wanted.part else None
    packed: Packed = yield Pack(
        without_holes(device, start, stop), UNIT, (), made.at, room=room, seal=seal,
        sums=(made.sum,) if wanted.crc else (), keep_zeros=True, file=made.file,
    )  # fmt: skip
    done = start + packed.done * UNIT
    made.chunks += sum(counts.get(at, 1) for at in range(start, min(done, end), UNIT))
    made.at = packed.end
    if done < end:
        return done
    if wanted.crc:
        made.sum.zeros(end - stop)
    return end


def encoded(part: memoryview, block: int, holes: Ranges, start: int) -> tuple[int, bytes]:
    """How many chunks the blocks of `part` make, and these: raw ones, and ones that one value
    fills. `holes`, in guest bytes as `start`, are for nobody to care."""
    out: list[bytes | memoryview] = []
    count = at = 0
    for key, group in groupby(_keys(part, block, holes, start)):
        blocks = sum(1 for _ in group)
        out.append(_chunk(key, blocks, block))
        if key == STORED:
            out.append(part[at : at + blocks * block])
        count, at = count + 1, at + blocks * block
    return count, b"".join(out)


def _chunk(key: int, blocks: int, block: int = 0) -> bytes:
    """A chunk's head, and the value that fills it."""
    if key == STORED:
        return HEAD.pack(RAW, blocks, HEAD.size + blocks * block)
    if key == HOLES:
        return HEAD.pack(SKIP, blocks, HEAD.size)
    return HEAD.pack(FILL, blocks, HEAD.size + PATTERN) + key.to_bytes(PATTERN, byteorder)


def _keys(part: memoryview, block: int, holes: Ranges, start: int) -> list[int]:
    """Of each block STORED, HOLES, or the value that fills it."""
    filled, words, step = filled_blocks(part, block), part.cast("I"), block // PATTERN
    keys = [STORED] * len(filled)
    number = filled.find(1)
    while number >= 0:
        keys[number] = words[number * step]
        number = filled.find(1, number + 1)
    for hole in holes:
        last = -(-(hole.stop - start) // block) if hole.stop == start + len(part) else 0
        last = max(last, (hole.stop - start) // block)
        for number in range(rounded(hole.start - start, block) // block, last):
            keys[number] = HOLES
    return keys
