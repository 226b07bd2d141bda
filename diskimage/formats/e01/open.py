"""A set of segments as a device: its chunks by their tables, what could not be read as BAD."""

from __future__ import annotations

from typing import NamedTuple

from diskimage import codecs
from diskimage.errors import UnsupportedError
from diskimage.formats.e01 import gathering, second, texts
from diskimage.formats.e01.chunks import Chunks, Entries, Last, by_code, most
from diskimage.formats.e01.gathering import Found
from diskimage.formats.e01.layout import LOGICAL, MAGIC, SEALED, lost
from diskimage.layers.chunks import ChunkDevice
from diskimage.layers.salvaged import Salvaged
from diskimage.limits import MIB
from diskimage.model import Bid, Device, Gate, Look, Source
from diskimage.ranges import Ranges
from diskimage.sources.joined import Joined, Stretch
from diskimage.words import size_text

PROVEN = 4 * MIB  # bytes of tables whose sums are held on opening: of 32 GiB in 32 KiB chunks
MEDIA = {0: "removable", 1: "fixed", 3: "optical", 0xE: "logical", 0x10: "memory"}
ZLIB, BZIP2 = 1, 2


class Opened(NamedTuple):
    """A set: `chunks` answers for every byte, those that could not be read as they are stored."""

    device: Device
    chunks: ChunkDevice
    found: Found
    tables: Chunks
    entries: Entries | second.Rows
    bad: Ranges


def probe(look: Look) -> Bid | None:
    """The magic at 0: of version 1, of version 2, of sets of files, of encrypted ones."""
    told = (MAGIC, second.MAGIC, *LOGICAL, SEALED)
    return Bid(95, "the magic of EWF at 0") if look.head[:8] in told else None


def open_e01(source: Source, gate: Gate) -> Device:
    """The disk; its further segments are parts beside the first."""
    return opened(source, gate).device


def opened(source: Source, gate: Gate) -> Opened:
    """The disk and what a check of it needs. Raises DiskImageError."""
    head = bytearray(8)
    source.read_into(0, memoryview(head))
    if bytes(head) in LOGICAL:
        text = "holds files, not a disk (logical evidence)"
        raise UnsupportedError(text, file=source.name, at=0)
    if head == SEALED:
        raise UnsupportedError("is encrypted (AD encryption)", file=source.name, at=0)
    newer = head == second.MAGIC
    found = (second if newer else gathering).gathered(source, gate)
    if newer and found.compression not in (ZLIB, BZIP2):
        text = f"compression {found.compression} of version 2"
        raise UnsupportedError(text, file=source.name, at=10)
    gathering.complete(found, source, gate)
    return _device(source, gate, found, newer=newer)


def _device(source: Source, gate: Gate, found: Found, *, newer: bool) -> Opened:
    volume = found.volume
    parts = found.sources
    data: Source = source
    if len(parts) > 1:
        data = Joined(source.name, [Stretch(part, 0, part.size) for part in parts])
    length = volume.size - (volume.chunks - 1) * volume.chunk
    last = Last(volume.chunks - 1, length)
    entries: Entries | second.Rows = (
        second.Rows(data, volume.chunk, last) if newer else Entries(data, gate, volume.chunk, last)
    )
    _prove(found, entries, gate)
    inner = codecs.bzip2() if newer and found.compression == BZIP2 else codecs.zlib()
    tables = Chunks(found.tables, volume.chunks, entries.columns)
    bad = Ranges([
        *((first * volume.sector, count * volume.sector) for first, count in found.faults),
        *((one.first * volume.chunk, one.chunks * volume.chunk) for one in found.tables
          if one.at < 0),
    ]).clip(0, volume.size)  # fmt: skip
    chunks = ChunkDevice(
        size=volume.size,
        chunk=volume.chunk,
        data=data,
        page=tables.page,
        codecs=by_code(inner, volume.chunk),
        most=most(volume.chunk),
        info=_info(found, bad, newer=newer),
    )
    device: Device = Salvaged(chunks, bad) if bad else chunks
    return Opened(device, chunks, found, tables, entries, bad)


def _prove(found: Found, entries: Entries | second.Rows, gate: Gate) -> None:
    """Hold the first tables to their sums; where it is salvaged all, and lose those that fail."""
    room = PROVEN
    for number, table in enumerate(found.tables):
        room -= 4 * table.chunks
        if room < 0 and not gate.faults.salvaging:
            break
        with gate.faults.surviving():
            if table.at >= 0:
                entries.proven(table)
            continue
        found.tables[number] = lost(table.first, table.chunks)


def _info(found: Found, bad: Ranges, *, newer: bool) -> dict[str, object]:
    """What `info` shows."""
    volume = found.volume
    kind = "Ex01" if newer else "E01" if volume.guid else "s01"
    told = [kind, size_text(volume.chunk) + " chunks"]
    if len(found.sources) > 1:
        told.append(f"{len(found.sources)} segments")
    shown: dict[str, object] = {
        "variant": ", ".join(told),
        "sector_size": volume.sector,
        "chunk_size": volume.chunk,
        "segments": len(found.sources),
        "media": MEDIA.get(volume.media, str(volume.media)),
        **{name: value.hex() for name, value in sorted(found.hashes.items())},
        **texts.shown(found.values),
    }
    if bad:
        shown["unreadable"] = bad.total
    return shown
