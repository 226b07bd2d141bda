"""The blocks of an xz file: its own index tells where each is and what it holds."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from diskimage.errors import ChecksumError, CorruptError, LimitError, UnsupportedError
from diskimage.formats.xz.forward import MEMORY, rest, survived
from diskimage.formats.xz.layout import CHECKS, coded, end_of, header, padded, streams
from diskimage.layers.unpacked import Way, check_packed, open_packed
from diskimage.limits import MIB
from diskimage.model import Checking, Device, Gate, Source
from diskimage.parse import read
from diskimage.sources.entries import Entries


def open_xz(source: Source, gate: Gate) -> Device:
    """The plain bytes as a disk. Raises ContentError."""
    return open_packed(source, gate, WAY)


def check(source: Source, gate: Gate) -> Checking:
    """Every block against its check."""
    return check_packed(source, gate, WAY, "the check of each block")


def find(source: Source, gate: Gate) -> Entries:
    """The blocks, as the indexes of all streams tell them, or what is salvaged without; in `notes`
    unpadded bytes and check."""
    with gate.faults.surviving():
        return _indexed(source, gate)
    return survived(source, gate)


def _indexed(source: Source, gate: Gate) -> Entries:
    starts, places, notes, size = array("q"), array("q"), array("q"), 0
    for stream in streams(source, gate.limits):
        at = stream.at + 12
        for unpadded, plain in stream.blocks:
            if plain:
                starts.append(size)
                places.append(8 * at)
                notes.append(unpadded << 4 | stream.check)
            at, size = at + padded(unpadded), size + plain
        if size > gate.limits.guest_size:
            raise LimitError(f"{size} plain bytes, over guest_size", file=source.name)
    return Entries(starts, places, size, notes, [])


def facts(_source: Source, entries: Entries) -> dict[str, object]:
    """The checks that blocks have, and how large blocks are."""
    checks = Counter(note & 15 for note in entries.notes)
    borders = [*entries.starts, entries.size]
    largest = max((stop - start for start, stop in pairwise(borders)), default=0)
    names = [CHECKS.get(check, f"check {check}") for check in sorted(checks)]
    return {"variant": " and ".join(names) or "empty", "block_size": largest}


def decode(source: Source, entries: Entries, number: int) -> Iterator[bytes]:
    """The plain bytes of a block, decoded as a stream of one block, its check held at the end."""
    import lzma  # a library of its own: loaded once a block is read

    starts, note, at = entries.starts, entries.notes[number], entries.places[number] >> 3
    unpadded, check = note >> 4, note & 15
    left = (starts[number + 1] if number + 1 < len(starts) else entries.size) - starts[number]
    if not unpadded:
        yield from _as_far(rest(source, at, check), left)
        return
    tail = end_of(coded(unpadded) + coded(left), 1, check)
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
    try:
        for piece in _fed(source, at, padded(unpadded), header(check), tail):
            feed = piece
            while left and not (decoder.needs_input and not feed):
                # its last byte alone: what fails with it is the check
                plain = decoder.decompress(feed, min(MIB, left - 1) or 1)
                feed = b""
                left -= len(plain)
                if plain:
                    yield plain
            if not left and decoder.decompress(feed, 1 if not decoder.eof else -1):
                raise CorruptError(
                    "a block is longer than its index tells", file=source.name, at=at
                )
    except lzma.LZMAError as error:
        raise _refused(error, source, at, left) from None
    except EOFError:
        pass  # what follows its end is not fed
    if left or not decoder.eof:
        raise CorruptError("a block is shorter than its index tells", file=source.name, at=at)


def _as_far(pieces: Iterator[bytes], left: int) -> Iterator[bytes]:
    """The first `left` bytes of `pieces`: what was there of a block when it was salvaged."""
    while left:
        piece = next(pieces)[:left]
        left -= len(piece)
        yield piece


def _fed(source: Source, at: int, length: int, head: bytes, tail: bytes) -> Iterator[bytes]:
    yield head
    for low in range(at, at + length, MIB):
        yield bytes(read(source, low, min(MIB, at + length - low), "a block"))
    yield tail


def _refused(error: Exception, source: Source, at: int, left: int) -> Exception:
    """The error for what the decoder refuses, with `left` plain bytes to come."""
    why = str(error)
    if "emory" in why:
        text = f"a block needs a decoder of more than {MEMORY} bytes"
        return LimitError(text, file=source.name, at=at)
    if "nsupported" in why:
        return UnsupportedError(f"a block: {why}", file=source.name, at=at)
    if left <= 1:
        return ChecksumError("a block has not its check", file=source.name, at=at)
    return CorruptError(f"a block does not decode: {why}", file=source.name, at=at)


WAY = Way("xz", find, decode, facts)
