"""Evidence files written byte by byte from libewf's description of EWF, with no code of ours.

Version 1: a file header of 13 bytes, then sections with a head of 76 bytes that tells the next one.
Version 2: a file header of 32 bytes, then contents, each with a head of 64 bytes behind it.
"""

from __future__ import annotations

import bz2
import hashlib
import random
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.makers.sample import Sample

SECTOR = 512
GUID = bytes(range(16))
CODED, PLAIN, FILL = "coded", "plain", "fill"


@dataclass(frozen=True)
class Shape:
    """How a set is to be written. `kinds` says of each chunk how it is stored, the last one for all
    that follow; `table` and `segment` are chunks of a table and of a file; `padded`: the last chunk
    is filled up; `faults`: (sector, sectors) that could not be read."""

    per_chunk: int = 8
    kinds: Sequence[str] = (CODED,)
    table: int = 1000
    segment: int = 1000
    padded: bool = False
    base: bool = True
    copies: bool = True
    smart: bool = False
    faults: Sequence[tuple[int, int]] = ()
    sums: bool = True
    bzip2: bool = False


def summed(data: bytes) -> bytes:
    """With its Adler-32 behind."""
    return data + struct.pack("<I", zlib.adler32(data))


def section(kind: str, at: int, content: bytes | None) -> bytes:
    """A section of version 1; without content the last one, which leads to itself."""
    size = 0 if content is None else 76 + len(content)
    head = kind.encode().ljust(16, b"\0") + struct.pack("<QQ", at + size, size) + bytes(40)
    return summed(head) + (content or b"")


def pieces(guest: bytes, shape: Shape) -> list[tuple[str, bytes]]:
    """Each chunk as stored: how, and its bytes."""
    size, made = shape.per_chunk * SECTOR, []
    for number, at in enumerate(range(0, len(guest), size)):
        kind = shape.kinds[min(number, len(shape.kinds) - 1)]
        plain = guest[at : at + size].ljust(size if shape.padded else 0, b"\0")
        if kind == CODED:
            made.append((kind, (bz2.compress if shape.bzip2 else zlib.compress)(plain)))
        elif kind == PLAIN:
            made.append((kind, summed(plain) if shape.sums else plain))
        else:
            assert plain == (plain[:8] * len(plain))[: len(plain)]
            made.append((kind, plain[:8]))
    return made


def volume(guest: bytes, shape: Shape, chunks: int) -> bytes:
    """The content of volume and data, long or short."""
    sectors = len(guest) // SECTOR
    head = struct.pack("<B3xIII", 1, chunks, shape.per_chunk, SECTOR)
    if shape.smart:
        return summed((head + struct.pack("<I", sectors)).ljust(85, b"\0") + b"SMART")
    told = (head + struct.pack("<Q", sectors)).ljust(36, b"\0") + b"\x03"
    told = told.ljust(52, b"\0") + b"\x01"
    return summed((told.ljust(64, b"\0") + GUID).ljust(1048, b"\0"))


def e01(guest: bytes, shape: Shape | None = None) -> dict[str, bytes]:
    """The files of a set of version 1, the first one first."""
    shape = shape or Shape()
    chunks = pieces(guest, shape)
    head = volume(guest, shape, len(chunks))
    text = zlib.compress(
        b"1\nmain\nc\tn\ta\te\tt\tav\tov\tm\tu\tp\nseven\t\tdisk\t\t\t1\tx\t\t\t0\n\n"
    )
    files: dict[str, bytes] = {}
    starts = range(0, len(chunks), shape.segment) or range(1)
    for number, start in enumerate(starts, 1):
        out = b"EVF\x09\x0d\x0a\xff\0" + struct.pack("<BHH", 1, number, 0)
        if number == 1:
            out += section("header", len(out), text)
        if number == 1 or not shape.smart:
            out += section("volume" if number == 1 else "data", len(out), head)
        some = chunks[start : start + shape.segment]
        for first in range(0, len(some), shape.table):
            out = tables(out, some[first : first + shape.table], shape)
        out += (
            tail(guest, shape, len(out))
            if number == len(starts)
            else section("next", len(out), None)
        )
        suffix = "s" if shape.smart else "E"
        files[f"a.{suffix}{number:02}"] = out
    return files


def tables(out: bytes, chunks: Sequence[tuple[str, bytes]], shape: Shape) -> bytes:
    """`out` with chunks and their tables behind it."""
    stored = b"".join(data for _, data in chunks)
    base = len(out) if shape.base else 0
    place = len(out) + 76 + (24 + 4 * len(chunks) if shape.smart else 0)
    entries = b""
    for kind, data in chunks:
        entries += struct.pack("<I", place - base | (kind == CODED) << 31)
        place += len(data)
    head = summed(struct.pack("<IIQI", len(chunks), 0, base, 0))
    if shape.smart:
        return out + section("table", len(out), head + entries + stored)
    out += section("sectors", len(out), stored)
    for kind in ("table", "table2")[: 1 + shape.copies]:
        out += section(kind, len(out), head + summed(entries))
    return out


def tail(guest: bytes, shape: Shape, at: int) -> bytes:
    """The last sections of a set."""
    out = b""
    if shape.faults:
        rows = b"".join(struct.pack("<II", *row) for row in shape.faults)
        head = summed(struct.pack("<I", len(shape.faults)).ljust(516, b"\0"))
        out += section("error2", at, head + summed(rows))
    md5, sha1 = hashlib.md5(guest).digest(), hashlib.sha1(guest).digest()
    out += section("digest", at + len(out), summed(md5 + sha1 + bytes(40)))
    out += section("hash", at + len(out), summed(md5 + bytes(16)))
    return out + section("done", at + len(out), None)


def ex01(guest: bytes, shape: Shape | None = None) -> dict[str, bytes]:
    """The files of a set of version 2, the first one first."""
    shape = shape or Shape()
    chunks = pieces(guest, shape)
    files: dict[str, bytes] = {}
    starts = range(0, len(chunks), shape.segment) or range(1)
    for number, start in enumerate(starts, 1):
        out = b"EVF2\x0d\x0a\x81\0" + struct.pack("<BBHI", 2, 1, 1 + shape.bzip2, number) + GUID
        chain = _Chain(out)
        if number == 1:
            sizes = f"\t{len(guest) // SECTOR}\t{SECTOR}"
            chain.add(1, _text(f"1\nmain\nsn\tts\tbp\n{sizes}\n\n", shape))
            chain.add(
                2, _text(f"1\nmain\ncn\ttb\tsb\nseven\t{len(chunks)}\t{shape.per_chunk}\n\n", shape)
            )
        some = chunks[start : start + shape.segment]
        for first in range(0, len(some), shape.table):
            _rows(chain, start + first, some[first : first + shape.table], shape)
        last = number == len(starts)
        if last and shape.faults:
            rows = b"".join(struct.pack("<QII", *row, 0) for row in shape.faults)
            head = summed(struct.pack("<I12x", len(shape.faults))).ljust(32, b"\0")
            chain.add(5, head + summed(rows).ljust(len(rows) + 16, b"\0"))
        if last:
            chain.add(8, summed(hashlib.md5(guest).digest()).ljust(32, b"\0"))
            chain.add(9, summed(hashlib.sha1(guest).digest()).ljust(32, b"\0"))
        chain.add(0xF if last else 0xD, b"")
        files[f"a.Ex{number:02}"] = chain.out
    return files


def _text(text: str, shape: Shape) -> bytes:
    plain = b"\xff\xfe" + text.encode("utf-16-le")
    return bz2.compress(plain) if shape.bzip2 else zlib.compress(plain)


class _Chain:
    """A file of version 2 under construction."""

    def __init__(self, out: bytes) -> None:
        self.out, self._last = out, 0

    def add(self, kind: int, content: bytes, flags: int = 0) -> None:
        """A section: its content, then its head, which tells the one before."""
        self.out += content
        at = len(self.out)
        head = struct.pack("<IIQQII", kind, flags, self._last, len(content), 64, 0)
        self.out += summed(head.ljust(60, b"\0"))
        self._last = at


def _rows(chain: _Chain, first: int, chunks: Sequence[tuple[str, bytes]], shape: Shape) -> None:
    place, rows, stored = len(chain.out), b"", b""
    flags = {CODED: 1, PLAIN: 2 if shape.sums else 0, FILL: 5}
    for kind, data in chunks:
        if kind == FILL:
            rows += data + struct.pack("<II", 0, flags[kind])
            continue
        rows += struct.pack("<QII", place + len(stored), len(data), flags[kind])
        stored += data
    chain.add(3, stored + bytes(-len(stored) % 16))
    head = summed(struct.pack("<QI4x", first, len(chunks))).ljust(32, b"\0")
    chain.add(4, head + summed(rows).ljust(len(rows) + 16, b"\0"))


def content(sectors: int = 77) -> bytes:
    """A guest with text, zeros, noise and a repeated word, whose last chunk is short."""
    draw = random.Random(5)
    parts = [b"evidence %d\n" % number * 40 for number in range(20)]
    parts += [bytes(5000), draw.randbytes(9000), b"abcdefgh" * 1024]
    return (b"".join(parts) * 9)[: sectors * SECTOR]


SMALL = Shape(per_chunk=4)
MIXED = (CODED, PLAIN, PLAIN, CODED, CODED, PLAIN, CODED)


def samples() -> list[Sample]:
    """What the conformance suite reads."""
    guest, made = content(), []
    shapes = {
        "coded": SMALL,
        "mixed": replace(SMALL, kinds=MIXED, table=5, base=False),
        "padded": replace(SMALL, kinds=(CODED, PLAIN), padded=True),
        "segments": replace(SMALL, kinds=MIXED, table=3, segment=6),
        "smart": replace(SMALL, smart=True),
    }
    for label, shape in shapes.items():
        files = e01(guest, shape)
        main = next(iter(files.values()))
        made.append(Sample(label, files, guest, header=120, borders=(13, 89, 400, len(main) - 80)))
    filled = b"patterns" * 512 + bytes(4096) + guest
    kinds = (FILL, FILL, FILL, FILL, *MIXED)
    second = {
        "second": replace(SMALL, kinds=kinds),
        "second-bzip2": replace(SMALL, kinds=kinds, bzip2=True, table=4),
        "second-segments": replace(SMALL, kinds=kinds, segment=9, sums=False),
    }
    for label, shape in second.items():
        files = ex01(filled, shape)
        main = next(iter(files.values()))
        made.append(Sample(label, files, filled, header=120, borders=(32, 96, 400, len(main) - 64)))
    return made
