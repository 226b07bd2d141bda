"""What there is of an xz file whose last index is cut off or damaged, from its beginning on.

Facts: The .xz File Format 1.2, sections 2 to 4. A block whose header tells its sizes is passed by
them; what has none is decoded to find its end.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Generator, Iterator
from contextlib import suppress

from diskimage.errors import ContentError, CorruptError
from diskimage.formats.xz.layout import CHECKED, SIZE, header, index_end, number, padded
from diskimage.layers.unpacked import judged
from diskimage.limits import MIB
from diskimage.model import Gate, Source
from diskimage.parse import read
from diskimage.sources.entries import Entries

MEMORY = 128 * MIB  # of a decoder: the largest preset's dictionary of 64 MiB needs 65


def survived(source: Source, gate: Gate) -> Entries:
    """The blocks from the beginning on, as far as they are whole, and what there is of one that
    the end cuts: its note tells no bytes, and the place of its lost rest is -1."""
    starts, places, notes, size = array("q"), array("q"), array("q"), 0
    with suppress(ContentError):  # the fault that it ends with is the one that was noted
        for plain, place, note in _rows(source, gate):
            if plain:
                starts.append(size)
                places.append(place)
                notes.append(note)
            size += plain
            judged(source, size, gate.limits)
    return Entries(starts, places, size, notes, [])


def _rows(source: Source, gate: Gate) -> Iterator[tuple[int, int, int]]:
    """(plain bytes, place, note) of each stretch. ContentError where no more can be told."""
    at = 0
    while at < source.size:
        check = bytes(read(source, at, SIZE, "a stream's header"))[7]
        if bytes(read(source, at, SIZE, "a stream's header")) != header(check):
            raise CorruptError("no stream", file=source.name, at=at)
        at += SIZE
        while first := read(source, at, 1, "a block")[0]:
            stored, plain = _sizes(source, at, 4 * (first + 1))
            unpadded = 4 * (first + 1) + stored + CHECKED[check]
            if min(stored, plain) >= 0 and at + padded(unpadded) <= source.size:
                yield plain, 8 * at, unpadded << 4 | check
                at += padded(unpadded)
                continue
            got, end = _measured(source, at, check, gate)
            yield got, 8 * at, check
            if end < 0:
                yield max(0, plain - got), -1, check
                return
            at = end
            break
        else:
            at = index_end(source, at) + SIZE
        while at < source.size and not any(read(source, at, min(4, source.size - at), "padding")):
            at += 4


def _sizes(source: Source, at: int, length: int) -> tuple[int, int]:
    """Stored and plain bytes as a block's header tells them, -1 where it does not."""
    head = bytes(read(source, at, length, "a block's header"))
    if zlib.crc32(head[:-4]).to_bytes(4, "little") != head[-4:]:
        raise CorruptError("a block's header has not its CRC-32", file=source.name, at=at)
    place, told = 2, []
    for bit in (0x40, 0x80):
        value = -1
        if head[1] & bit:
            value, place = number(head, place)
        told.append(value)
    return told[0], told[1]


def _measured(source: Source, at: int, check: int, gate: Gate) -> tuple[int, int]:
    """The plain bytes of the rest of a stream, and where that ends; -1 where the file does."""
    size, walk = 0, rest(source, at, check)
    while True:
        try:
            size += len(next(walk))
        except StopIteration as end:
            return size, int(end.value)
        judged(source, size, gate.limits)


def rest(source: Source, at: int, check: int) -> Generator[bytes, None, int]:
    """The plain bytes of a stream from the block at `at` on; the byte behind it, -1 where the file
    ends before. CorruptError for a block that is damaged."""
    import lzma  # a library of its own: loaded once a block is read

    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
    feed = header(check)
    try:
        while not decoder.eof:
            if piece := decoder.decompress(feed, MIB):
                yield piece
            feed = b""
            if decoder.needs_input and not decoder.eof:
                if at == source.size:
                    return -1
                feed = bytes(read(source, at, min(MIB, source.size - at), "a block"))
                at += len(feed)
    except lzma.LZMAError as error:
        raise CorruptError(f"a block does not decode: {error}", file=source.name, at=at) from None
    return at - len(decoder.unused_data)
