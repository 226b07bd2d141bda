"""What is wrong with a sparse image: every sum that is stored in it or in a part of its set."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from diskimage.codecs.crc32 import Crc32
from diskimage.formats.simg.layout import CRC, FILL, PATTERN, RAW, Chunk, walk
from diskimage.formats.simg.open import Part, opened
from diskimage.limits import MIB
from diskimage.model import Checking, Finding, Gate, Held, Source
from diskimage.parse import read

STEP = 4 * MIB


def check(source: Source, gate: Gate) -> Checking:
    """The sums in chunks and headers. Raises what opening does: that is the structure.

    A sum is of the guest so far, zeros where no chunk cares, whatever another part of the set says.
    """
    summed = False
    for part in opened(source, gate):
        summed |= yield from _part(part)
    return Held(whole="CRC-32" if summed else "")


def _part(part: Part) -> Generator[Finding, None, bool]:
    """Whether any sum is stored."""
    source, header = part.source, part.header
    if not header.crc and not part.rows.sums:
        return False
    running = Crc32()
    for chunk in walk(source, header):
        if chunk.kind == CRC:
            what = f"the guest before byte {chunk.start}"
            yield from _compared(what, running.value, chunk.value, chunk.at)
        else:
            _sum(running, chunk, source)
    if header.crc:
        yield from _compared("the guest", running.value, header.crc, header.base + 24)
    return True


def _sum(running: Crc32, chunk: Chunk, source: Source) -> None:
    if chunk.kind == FILL:
        running.repeated(chunk.value.to_bytes(PATTERN, "little"), chunk.length // PATTERN)
    elif chunk.kind != RAW:
        running.zeros(chunk.length)
    else:
        stop = chunk.at + chunk.length
        for at in range(chunk.at, stop, STEP):
            piece = read(source, at, min(STEP, stop - at), f"chunk {chunk.number}")
            running.update(memoryview(piece))


def _compared(what: str, crc: int, stored: int, at: int) -> Iterator[Finding]:
    if crc != stored:
        text = f"{what} has the CRC-32 {crc:08x}, the image says {stored:08x}"
        yield Finding("checksum", text, at, "whole")
