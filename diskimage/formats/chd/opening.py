"""From the bytes of a CHD to a disc or a disk, and what is wrong with its sums."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import NamedTuple

from diskimage.disc.volume import weigh_disc
from diskimage.errors import CorruptError, LimitError, LoopError, RefusedReferenceError
from diskimage.formats.chd.facts import TAG, Facts, parsed
from diskimage.formats.chd.hunks import Hunks, NewMap, old_rows
from diskimage.formats.chd.layer import Layer
from diskimage.formats.chd.layout import (
    CODECS,
    MAGIC,
    NOBODY,
    PLAIN_ROW,
    SECTOR,
    UNIT,
    Header,
    Metadata,
    load,
    metadata,
)
from diskimage.formats.chd.tracks import BINARY, TEXTS, Told, disc_of, told_binary, told_text
from diskimage.layers.overlay import Overlay
from diskimage.layers.records import Placed
from diskimage.layers.table import Flat, Match, Pages, Rule, TableDevice
from diskimage.layers.unread import unread
from diskimage.limits import MIB
from diskimage.model import (
    HOLE,
    Bid,
    Checking,
    Device,
    Disc,
    Extent,
    Finding,
    Gate,
    Held,
    Kind,
    Look,
    Source,
)

DISK, DVD = b"GDDD", b"DVD "
_GEOMETRY = re.compile(rb"CYLS:(\d+),HEADS:(\d+),SECS:(\d+),BPS:(\d+)")
_SECTORS = (512, 1024, 2048, 4096)
_FULL = 0xFFFFFFFF


def probe(look: Look) -> Bid | None:
    """The magic at 0."""
    return Bid(95, "MComprHD at 0") if look.head[: len(MAGIC)] == MAGIC else None


class Store(NamedTuple):
    """A CHD as guest bytes, without a look at what they are: `device`, or `units`, as a source.
    `whole` is False where its parent was not to be opened."""

    header: Header
    device: Device
    units: Source | None
    whole: bool

    def source(self, gate: Gate) -> Source:
        """The guest bytes as a source."""
        name = self.units.name if self.units else "<chd>"
        return self.units or gate.reading(self.device, name)


def open_chd(source: Source, gate: Gate) -> Device | Disc:
    """The disc, where the metadata tells tracks; else the disk, or the DVD of 2048-byte sectors.

    Raises UnsupportedError, CorruptError, LimitError, LoopError, TruncatedError, and what the gate
    says of a parent.
    """
    header = load(source, gate.limits)
    entries = list(metadata(source, header, gate.limits))
    info = _info(header, entries)
    store = _store(source, header, gate, info, ())
    tracks = list(_tracks(source, entries, gate))
    if tracks:
        if header.unit not in (0, UNIT):
            raise CorruptError(f"tracks in units of {header.unit} bytes", file=source.name, at=60)
        units = store.source(gate)
        disc = disc_of(
            tracks, units, _facts(source, entries, gate), gate, info=info,
            high_density=any(one.tag in (b"CHGD", b"CHGT") for one in entries), seen=store.whole,
        )  # fmt: skip
        if store.whole:
            weigh_disc(disc, gate)
        return disc
    info["sector_size"] = _sector(source, header, entries)
    return store.device


def _info(header: Header, entries: list[Metadata]) -> dict[str, object]:
    names = ", ".join(header.codecs) or "not compressed"
    shown: dict[str, object] = {
        "variant": f"version {header.version}, {names}",
        "version": header.version,
        "hunk_size": header.hunk,
        "hunks": header.hunks,
        "codecs": list(header.codecs),
        "metadata": [one.tag.decode("ascii", "backslashreplace") for one in entries],
    }
    if header.unit:
        shown["unit_size"] = header.unit
    sums = {"raw_sha1": header.raw_sha1, "sha1": header.sha1, "parent_sha1": header.parent}
    return shown | {name: one.hex() for name, one in sums.items() if one != NOBODY}


def _store(
    source: Source, header: Header, gate: Gate, info: dict[str, object], below: tuple[bytes, ...]
) -> Store:
    """The guest bytes of `source`; `below` are the parents asked for on the way to it."""
    parent = None
    if header.parent != NOBODY:
        parent = _parent(source, header, gate, below)
    whole = header.parent == NOBODY or (parent is not None and parent.whole)
    if header.version == 5 and not header.codecs:
        return Store(header, _table(source, header, gate, info, parent), None, whole)
    rows = (
        NewMap(header, source).rows
        if header.version == 5
        else old_rows(header, source, gate.limits)
    )
    codecs = [CODECS[name]() for name in header.codecs]
    hunks = Hunks(header, source, rows, codecs, parent.source(gate) if parent else None)
    if header.parent != NOBODY:
        layer = Layer(hunks, header.hunk, info, parent.device.size if parent else None)
        device = layer if parent is None else Overlay(layer, parent.device)
        return Store(header, device, hunks, whole)
    extents = [Extent(0, hunks.size, Kind.DATA, hunks)] if hunks.size else []
    return Store(header, Placed(extents, header.hunk, info), hunks, whole)


def _table(
    source: Source, header: Header, gate: Gate, info: dict[str, object], parent: Store | None
) -> Device:
    """Hunks that are stored as they are: a table of their places, counted in hunks."""
    empty = HOLE if header.parent == NOBODY else Kind.ABSENT
    layer = TableDevice(
        size=header.size,
        block=header.hunk,
        data=source,
        entries=Flat(
            Pages(source, gate.limits.table_resident), header.map_at, header.hunks, PLAIN_ROW,
            "the map of hunks",
        ),
        rule=Rule(
            width=PLAIN_ROW, big_endian=True, matches=(Match(_FULL, 0, empty),), mask=_FULL,
            scale=header.hunk,
        ),
        empty=empty,
        info=info,
    )  # fmt: skip
    if parent is None:
        return layer
    if parent.device.size < header.size:
        text = f"has {header.size} bytes over a parent of {parent.device.size}"
        raise CorruptError(text, file=source.name)
    return Overlay(layer, parent.device)


def _parent(source: Source, header: Header, gate: Gate, below: tuple[bytes, ...]) -> Store | None:
    """The CHD with the SHA-1 that the header names, by which it is asked for: it has no name."""
    if header.parent in below:
        raise LoopError("its chain of parents comes back to itself", file=source.name)
    if len(below) >= gate.limits.chain_depth:
        raise LimitError(
            f"more than {gate.limits.chain_depth} images under one another (limit chain_depth)",
            file=source.name,
        )
    found = gate.source(
        header.parent.hex(), role="parent",
        known=lambda other: load(other, gate.limits).identity == header.parent,
    )  # fmt: skip
    if found is None:
        return None
    above = load(found, gate.limits)
    if above.identity != header.parent:
        raise CorruptError(
            f"the parent's SHA-1 is {above.identity.hex()}, the image was made over"
            f" {header.parent.hex()}",
            file=source.name,
            remedy="give the CHD that it was made over",
        )
    if header.unit and above.unit and header.unit != above.unit:
        raise CorruptError(
            f"counts its parent in units of {header.unit} bytes, the parent has {above.unit}",
            file=source.name,
        )
    if header.codecs and above.hunk > header.hunk:
        gate.warn("parent", f"its hunks of {header.hunk} bytes are smaller than its parent's of"
                  f" {above.hunk}: chdman makes such files wrong, a check tells")  # fmt: skip
    return _store(found, above, gate, {}, (*below, header.parent))


def _tracks(source: Source, entries: list[Metadata], gate: Gate) -> Iterator[Told]:
    """What the metadata says of tracks."""
    for one in entries:
        if one.tag in TEXTS:
            _bounded(one, source, gate)
            yield told_text(one.data(source), one.tag, source.name)
        elif one.tag == BINARY:
            _bounded(one, source, gate)
            yield from told_binary(one.data(source), source.name)


def _bounded(one: Metadata, source: Source, gate: Gate) -> None:
    if one.length > gate.limits.text_file:
        raise LimitError(
            f"metadata {one.tag!r} of {one.length} bytes, over text_file {gate.limits.text_file}",
            file=source.name,
            at=one.at,
        )


def _facts(source: Source, entries: list[Metadata], gate: Gate) -> Facts | None:
    """What our own metadata says, if it is there."""
    mine = next((one for one in entries if one.tag == TAG), None)
    if mine is None:
        return None
    _bounded(mine, source, gate)
    try:
        return parsed(mine.data(source))
    except ValueError as error:
        gate.warn("metadata", f"its PYDI metadata is left out: {error}", mine.at)
        return None


def _sector(source: Source, header: Header, entries: list[Metadata]) -> int:
    """Bytes of a sector: as the disk's geometry says, 2048 of a DVD, else the unit's."""
    for one in entries:
        if one.tag == DVD:
            return 2048
        if one.tag == DISK and one.length < SECTOR:
            found = _GEOMETRY.match(one.data(source))
            if found and int(found[4]) in _SECTORS:
                return int(found[4])
    return header.unit if header.unit in _SECTORS else SECTOR


def check(source: Source, gate: Gate) -> Checking:
    """The SHA-1 of all guest bytes, and that of this sum and of the metadata that count for it.

    Every hunk is decoded, and held to its CRC on the way; without its parent those that are no part
    of one. Version 3 has the sum of the guest alone.
    """
    header = load(source, gate.limits)
    entries = list(metadata(source, header, gate.limits))
    store = _store(source, header, gate, {}, ())
    if isinstance(store.units, Hunks) and header.hunks:
        store.units.rows(0, 1)  # a wrong map is one fault, not one of each hunk
    if header.raw_sha1 == NOBODY:
        return Held()
    if not store.whole:
        yield from _own(store.source(gate), header.hunk)
        return Held("a CRC of each compressed hunk of its own", None)
    raw = yield from _digest(store.source(gate), header.hunk)
    if raw is not None and raw != header.raw_sha1:
        text = f"the SHA-1 of its bytes is {raw.hex()}, the header says {header.raw_sha1.hex()}"
        yield Finding("checksum", text, part="whole")
    found = None if raw is None else combined(raw, source, entries)
    if found is not None and header.sha1 not in (NOBODY, found):
        text = f"its combined SHA-1 is {found.hex()}, the header says {header.sha1.hex()}"
        yield Finding("checksum", text, part="whole")
    return Held("a CRC of each compressed hunk", "SHA-1")


def _digest(units: Source, hunk: int) -> Generator[Finding, None, bytes | None]:
    """The SHA-1 of all bytes; None where hunks do not decode, which are told."""
    sha1, whole = hashlib.sha1(), True
    buffer = memoryview(bytearray(max(hunk, MIB // hunk * hunk)))
    for start in range(0, units.size, len(buffer)):
        part = buffer[: min(len(buffer), units.size - start)]
        for problem in unread(units, start, part, hunk, "hunk"):
            whole = False
            yield problem
        if whole:
            sha1.update(part)
    return sha1.digest() if whole else None


def _own(units: Source, hunk: int) -> Iterator[Finding]:
    """The hunks that do not decode, those of a parent that was not opened left out."""
    buffer = memoryview(bytearray(hunk))
    for start in range(0, units.size, hunk):
        with suppress(RefusedReferenceError):
            yield from unread(units, start, buffer[: units.size - start], hunk, "hunk")


def combined(raw: bytes, source: Source, entries: list[Metadata]) -> bytes:
    """The SHA-1 of the SHA-1 `raw` and of tag and SHA-1 of each metadata that counts, sorted."""
    return total(raw, [(one.tag, one.data(source)) for one in entries if one.summed])


def total(raw: bytes, counted: list[tuple[bytes, bytes]]) -> bytes:
    """The SHA-1 of the SHA-1 `raw` and of tag and SHA-1 of each of `counted`, sorted."""
    rows = sorted(tag + hashlib.sha1(data).digest() for tag, data in counted)
    return hashlib.sha1(b"".join((raw, *rows))).digest()
