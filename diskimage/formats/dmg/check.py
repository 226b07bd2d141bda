"""What is wrong with a UDIF: structure, chunks, and every checksum that is stored in it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from diskimage.codecs.crc32 import zeros
from diskimage.errors import DiskImageError
from diskimage.formats.dmg.layout import CRC32, IGNORE, ZERO, Koly, Sum, Table
from diskimage.formats.dmg.open import Udif
from diskimage.limits import MIB
from diskimage.model import Checking, Finding, Held, Part, Source

STEP = 4 * MIB  # of a fused chunk that is read at once


def check(found: Udif, image: Source) -> Checking:
    """Every chunk decodes and lies in its file; the sums of tables, of the tables' sums (master)
    and of the data fork of every part as it is stored. `image` is the guest."""
    for table in found.tables:
        yield from _table(table, image)
    master = found.koly.master
    if found.tables and master.crc is not None and all(t.sum.crc is not None for t in found.tables):
        crc = zlib.crc32(b"".join(table.raw_sum for table in found.tables))
        yield from _compared("the tables' sums have", crc, master, found.koly.at + 352)
    for number, (part, koly) in enumerate(found.parts, 1):
        what = "the data fork" if len(found.parts) == 1 else f"the data fork of segment {number}"
        if koly.data_sum.crc is not None:
            crc = _fork(part, koly)
            yield from _compared(f"{what} has", crc, koly.data_sum, koly.at + 80)
    return held(found)


def held(found: Udif) -> Held:
    """The checksums that are stored: those of tables stand for their chunks."""
    tables = any(table.sum.crc is not None for table in found.tables)
    whole = [("the data fork", any(koly.data_sum.crc is not None for _, koly in found.parts)),
             ("the tables' sums", found.koly.master.crc is not None)]  # fmt: skip
    named = " and ".join(name for name, stored in whole if stored)
    return Held("CRC-32 of each table" if tables else None, named and f"CRC-32 of {named}")


def unverified(found: Udif) -> list[str]:
    """What has a checksum of a kind that is not known, or none."""
    sums = [(table.name, table.sum) for table in found.tables]
    sums += [("the data fork", found.koly.data_sum), ("the master checksum", found.koly.master)]
    return [name for name, one in sums if one.crc is None and one.type not in (0, CRC32)]


def _compared(what: str, crc: int, stored: Sum, at: int, part: Part = "whole") -> Iterator[Finding]:
    if crc != stored.crc:
        text = f"{what} the CRC-32 {crc:08x}, the image says {stored.crc:08x}"
        yield Finding("checksum", text, at, part)


def _table(table: Table, image: Source) -> Iterator[Finding]:
    """Chunks decode; their plain bytes, all but the ignored, have the sum of the table."""
    crc, whole, buffer = 0, True, memoryview(bytearray(STEP))
    rows = table.entries
    for number, (start, length, at, kind) in enumerate(
        zip(rows.start, rows.length, rows.at, rows.kind, strict=True)
    ):
        if kind == IGNORE:
            continue
        if kind == ZERO:
            crc = zeros(crc, length)
            continue
        try:
            for begin in range(start, start + length, STEP):
                part = buffer[: min(STEP, start + length - begin)]
                image.read_into(begin, part)
                crc = zlib.crc32(part, crc)
        except DiskImageError as error:
            whole = False
            message = f"chunk {number} of {table.name!r}: {error.message}"
            where = error.at if error.at is not None else at
            yield Finding(error.kind, message, where, "chunks")
    if whole and table.sum.crc is not None:
        what = f"the chunks of {table.name!r} have"
        yield from _compared(what, crc, table.sum, table.at, "chunks")


def _fork(part: Source, koly: Koly) -> int:
    """The CRC-32 of a part's data fork as it is stored."""
    crc, buffer = 0, memoryview(bytearray(STEP))
    at, stop = koly.data_at, koly.data_at + koly.data_size
    while at < stop:
        got = part.read_into(at, buffer[: min(STEP, stop - at)])
        crc = zlib.crc32(buffer[:got], crc)
        at += got or stop
    return crc
