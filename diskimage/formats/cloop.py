"""cloop version 2, the compressed loop image of live discs: zlib streams behind a shell script.

Facts: cloop's compressed_loop.h, QEMU block/cloop.c. Big-endian. docs/formats/cloop.md draws it.
Not supported: versions 3 and 4, whose table stands at the end.
"""

from __future__ import annotations

import re
from array import array
from operator import sub

from construct import Int32ub, Struct

from diskimage import codecs
from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.layers.chunks import PAGE, ChunkDevice, Columns
from diskimage.layers.table import words
from diskimage.model import Bid, Device, Format, Gate, Look, Source
from diskimage.parse import demand, read, struct
from diskimage.words import size_text

SCRIPT = re.compile(rb"#!/bin/sh\n#V([0-9])\.[0-9]+ Format\n")
PREAMBLE = 128
HEADER = Struct("block" / Int32ub, "blocks" / Int32ub)
INDEX_AT = PREAMBLE + HEADER.sizeof()
SECTOR = 512


def probe(look: Look) -> Bid | None:
    """The script's first two lines."""
    found = SCRIPT.match(look.head)
    return Bid(95, f"a cloop script, version {found[1].decode()}") if found else None


def open_cloop(source: Source, gate: Gate) -> Device:
    """The disk. Raises UnsupportedError, CorruptError, LimitError, TruncatedError."""
    name = source.name
    found = SCRIPT.match(bytes(read(source, 0, min(PREAMBLE, source.size), "cloop script")))
    if not found:
        raise CorruptError("begins with no script of a cloop image", file=name, at=0)
    if found[1] != b"2":
        raise UnsupportedError(f"a cloop image of version {found[1].decode()}", file=name, at=10)
    header = struct(HEADER, source, PREAMBLE, "cloop header")
    block, blocks = header.block, header.blocks
    if not block or block % SECTOR:
        raise CorruptError(f"blocks of {block} bytes", file=name, at=PREAMBLE)
    if block > gate.limits.chunk:
        text = f"blocks of {block} bytes, over chunk {gate.limits.chunk}"
        raise LimitError(text, file=name, at=PREAMBLE)
    demand(source, INDEX_AT, 8 * (blocks + 1), "the index")

    def page(number: int) -> Columns:
        first = number * PAGE
        return columns(source, first, min(PAGE, blocks - first), blocks)

    return ChunkDevice(
        size=block * blocks, chunk=block, data=source, page=page, codecs=(codecs.zlib(),),
        most=2 * block + 1024,
        info={"variant": f"version 2, {size_text(block)} blocks", "version": 2,
              "block_size": block, "blocks": blocks},
    )  # fmt: skip


def columns(source: Source, first: int, count: int, blocks: int) -> Columns:
    """Blocks [first, first + count): each ends where the next begins.

    CorruptError where the index goes back, or into itself.
    """
    at = INDEX_AT + 8 * first
    places = words(read(source, at, 8 * (count + 1), "the index"), "Q", big_endian=True)
    if max(places) >= 1 << 63:
        raise CorruptError("a place that does not fit in 63 bits", file=source.name, at=at)
    ends = array("q", places)
    stored = array("q", map(sub, ends[1:], ends[:-1]))
    if ends[0] < INDEX_AT + 8 * (blocks + 1) or min(stored, default=0) < 0:
        text = "the index goes back, or leads into itself"
        raise CorruptError(text, file=source.name, at=at)
    return Columns(ends[:-1], stored, bytes(count))


FORMAT = Format(
    name="cloop",
    title="compressed loop image",
    suffixes=(".cloop",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_cloop,
)
