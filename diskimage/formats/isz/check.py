"""What is wrong with an ISZ image: chunks that do not decode, and the sums of the whole."""

from __future__ import annotations

import zlib

from diskimage.formats.isz.open import opened
from diskimage.layers.unread import unread
from diskimage.limits import MIB
from diskimage.model import Checking, Finding, Gate, Held, Source


def check(source: Source, gate: Gate) -> Checking:
    """Every chunk decodes to its length; the CRC-32 of the image and of the chunks as stored."""
    found = opened(source, gate)
    image = gate.reading(found.device, source.name)
    header, whole, crc = found.header, True, 0
    buffer = memoryview(bytearray(header.chunk))
    for start in range(0, header.size, header.chunk):
        part = buffer[: min(header.chunk, header.size - start)]
        for problem in unread(image, start, part, header.chunk):
            whole = False
            yield problem
        crc = zlib.crc32(part, crc)
    if whole and header.image is not None and crc != header.image:
        text = f"the CRC-32 of the image is {crc:08x}, the header says {header.image:08x}"
        yield Finding("checksum", text, 48, "whole")
    stored = _sum(found.data, found.begin, found.chunks.end) if whole else None
    if header.stored is not None and stored is not None and stored != header.stored:
        text = f"the CRC-32 of the chunks is {stored:08x}, the header says {header.stored:08x}"
        yield Finding("checksum", text, 60, "whole")
    sums = (("the image", header.image), ("the chunks as stored", header.stored))
    named = " and ".join(name for name, crc in sums if crc is not None)
    return Held("", named and f"CRC-32 of {named}")


def _sum(data: Source, at: int, stop: int) -> int:
    """The CRC-32 of bytes [at, stop)."""
    crc, buffer = 0, memoryview(bytearray(MIB))
    while at < stop:
        got = data.read_into(at, buffer[: min(MIB, stop - at)])
        crc = zlib.crc32(buffer[:got], crc)
        at += got or stop
    return crc
