"""A UDIF as a device: its segments as one data fork, its tables as one disk."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from diskimage.errors import CorruptError, LimitError
from diskimage.formats.dmg import layout
from diskimage.formats.dmg.chunks import BARE, DmgDevice, laid, together
from diskimage.formats.dmg.forks import blobs
from diskimage.formats.dmg.layout import (
    ADC,
    BZIP2,
    GAP,
    LZFSE,
    LZMA,
    RAW,
    SECTOR,
    ZLIB,
    Entries,
    Koly,
    Table,
)
from diskimage.layers.plain import Plain
from diskimage.layers.slice import Slice
from diskimage.limits import KIB, Limits
from diskimage.model import Device, Gate, Source
from diskimage.sources.joined import Joined, Stretch
from diskimage.words import size_text

LOOKED = 64 * KIB  # from the end, where the trailer is looked for
NAMES = {RAW: "UDRO", ADC: "UDCO", ZLIB: "UDZO", BZIP2: "UDBZ", LZFSE: "ULFO", LZMA: "ULMO"}
"""What hdiutil calls an image by the kind of its chunks."""


@dataclass(frozen=True, slots=True)
class Udif:
    """An image: its trailer, its tables, its device, and every part with its trailer."""

    koly: Koly
    tables: tuple[Table, ...]
    device: Device
    parts: tuple[tuple[Source, Koly], ...] = field(default=())


def trailer(source: Source) -> int | None:
    """Where `source` has its trailer."""
    head = bytearray(min(layout.TRAILER, source.size))
    source.read_into(0, memoryview(head))
    tail = bytearray(min(LOOKED, source.size))
    source.read_into(source.size - len(tail), memoryview(tail))
    return layout.find(bytes(head), bytes(tail), source.size)


def opened(source: Source, at: int, gate: Gate) -> Udif:
    """The image whose trailer is at `at`. Raises DiskImageError."""
    koly = layout.koly(source, at)
    if at and at + layout.TRAILER != source.size:
        gate.warn("size", f"{source.size - at - layout.TRAILER} bytes follow its trailer", at)
    parts = ((source, koly), *_further(source, koly, gate))
    if len(parts) == 1:
        data, base = source, koly.data_at
    else:
        stretches = (Stretch(part, one.data_at, one.data_size) for part, one in parts)
        data, base = Joined(source.name, stretches), 0
    if not koly.plist_size and not koly.fork_size:
        return Udif(koly, (), _plain(source, koly), parts)
    most = gate.limits.guest_size
    tables = tuple(
        layout.table(blob.name, blob.data, source, blob.at, base, most)
        for blob in blobs(source, koly, gate.limits)
    )
    size = _size(koly, tables, source, gate)
    entries = laid(together(tables, data, gate.limits), size, data)
    _tell_gaps(entries, gate)
    return Udif(koly, tables, DmgDevice(size, data, entries, _info(koly, tables, entries)), parts)


def _size(koly: Koly, tables: tuple[Table, ...], source: Source, gate: Gate) -> int:
    """The guest's size: the trailer's, unless that says none."""
    ends = max((table.start + table.length for table in tables), default=0)
    if koly.sectors == 0 and ends:
        gate.warn("size", f"its trailer counts no sectors, its tables end at {ends}", koly.at)
        return ends
    if koly.sectors > gate.limits.guest_size // SECTOR:
        raise CorruptError(f"{koly.sectors} sectors", file=source.name, at=koly.at + 492)
    if ends > koly.sectors * SECTOR:
        text = f"its tables end at {ends}, its trailer says {koly.sectors} sectors"
        raise CorruptError(text, file=source.name, at=koly.at + 492)
    return koly.sectors * SECTOR


def _tell_gaps(entries: Entries, gate: Gate) -> None:
    """Bytes that no chunk covers are zeros that nobody wrote."""
    gaps = [row for row, kind in enumerate(entries.kind) if kind == GAP]
    if gaps:
        total = sum(entries.length[row] for row in gaps)
        first = entries.start[gaps[0]]
        gate.warn("gap", f"{total} bytes are in no chunk and read as zeros, the first at {first}")


def _plain(source: Source, koly: Koly) -> Device:
    """An image without tables: the data fork is the disk (UDRW)."""
    if koly.data_size == 0 or koly.data_size != koly.sectors * SECTOR:
        text = f"no tables, {koly.data_size} bytes of data for {koly.sectors} sectors"
        raise CorruptError(text, file=source.name, at=koly.at)
    device = Slice(Plain(source), koly.data_at, koly.data_size)
    device.info = {"variant": "UDRW, no tables", "sector_size": SECTOR}
    return device


def _info(koly: Koly, tables: tuple[Table, ...], entries: Entries) -> dict[str, object]:
    """What `info` shows."""
    used = sorted(set(entries.kind) - BARE)
    names = [NAMES[kind] for kind in used]
    coded = [name for name in names if name != "UDRO"] or names
    chunk = max((n for n, kind in zip(entries.length, entries.kind, strict=True) if kind >= ADC),
                default=0)  # fmt: skip
    told = ["+".join(coded) or "UDIF, empty"]
    if chunk:
        told.append(f"{size_text(chunk)} chunks")
    if koly.segments > 1:
        told.append(f"{koly.segments} segments")
    return {
        "variant": ", ".join(told),
        "sector_size": SECTOR,
        "chunk_size": chunk or None,
        "segments": max(1, koly.segments),
        "tables": [
            {"name": table.name, "start": table.start, "length": table.length,
             "checksum": table.sum.told}
            for table in tables
        ],
        "data_checksum": koly.data_sum.told,
        "master_checksum": koly.master.told,
    }  # fmt: skip


def segment_name(name: str, number: int) -> str:
    """The name of segment `number`, from 2 on, of the set that `name` begins."""
    stem = re.sub(r"(?i)\.dmg$", "", name)
    return f"{stem}.{number:03d}.dmgpart"


def _further(source: Source, koly: Koly, gate: Gate) -> list[tuple[Source, Koly]]:
    """The segments behind the first one, parts beside it. Raises MissingError, CorruptError."""
    if koly.segments <= 1:
        return []
    if koly.segment > 1:
        raise CorruptError(
            f"is segment {koly.segment} of {koly.segments}, not the first", file=source.name,
            remedy="open the first segment, the .dmg",
        )  # fmt: skip
    _counted(koly.segments, gate.limits, source)
    name = source.name.replace("\\", "/").rpartition("/")[2]
    found, running = [], koly.running + koly.data_size
    for number in range(2, koly.segments + 1):
        part = gate.part(segment_name(name, number))
        at = trailer(part)
        if at is None:
            raise CorruptError("is no segment: it has no trailer", file=part.name)
        one = layout.koly(part, at)
        if (one.set, one.segment, one.running) != (koly.set, number, running):
            text = f"is segment {one.segment} from byte {one.running} of its set"
            wanted = f"wanted {number} from {running} of the first one's"
            raise CorruptError(f"{text}, {wanted}", file=part.name, at=at)
        running += one.data_size
        found.append((part, one))
    return found


def _counted(segments: int, limits: Limits, source: Source) -> None:
    if segments > limits.split_parts:
        text = f"{segments} segments, over split_parts {limits.split_parts}"
        raise LimitError(text, file=source.name)
