"""A compressed file whose plain bytes are a disk: what gzip, bzip2, xz and zstd have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from diskimage.errors import CorruptError, DiskImageError, LimitError
from diskimage.layers.salvaged import Salvaged
from diskimage.layers.series import is_first, parts
from diskimage.limits import Limits
from diskimage.model import Checking, Device, Faults, Finding, Gate, Held, Option, Runs, Source
from diskimage.ranges import Ranges
from diskimage.runs import pack, whole
from diskimage.sources.entries import Entries, entries_of
from diskimage.sources.joined import Joined, Stretch
from diskimage.sources.unpacked import Unpacked

SECTOR = 512
INDEX = Option(
    "index", "FILE", "where one can begin to decode: read from FILE, else found and kept there"
)


class Way(NamedTuple):
    """How a file is packed. `find(source, gate)` tells where one can begin, `decode(source,
    entries, number)` gives a stretch piece by piece, `facts(source, entries)` what is told of it.
    """

    name: str
    find: Callable[[Source, Gate], Entries]
    decode: Callable[[Source, Entries, int], Iterator[memoryview | bytes]]
    facts: Callable[[Source, Entries], dict[str, object]]


class PackedDevice:
    """The plain bytes of a compressed file as a disk."""

    block = SECTOR

    def __init__(self, source: Unpacked, info: Mapping[str, object]) -> None:
        self._source, self.size, self.info = source, source.size, info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """Each byte where it is decoded to."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            yield from pack(row._replace(start=start, at=start)
                            for row in whole(stop - start, self._source))  # fmt: skip


def whole_file(source: Source, gate: Gate) -> Source:
    """The file, or the set of parts that its name begins, as one."""
    found = parts(source, gate)
    if len(found) == 1:
        return source
    return Joined(source.name, (Stretch(part, 0, part.size) for part in found))


def open_packed(source: Source, gate: Gate, way: Way, index: str | None = None) -> Device:
    """The plain bytes of a file as a disk. Raises what finding entries does."""
    file = whole_file(source, gate)
    find = partial(way.find, file, gate)
    index = None if gate.faults.salvaging else index  # of a damaged file none is kept
    entries, how = entries_of(file, way.name, find, index, gate.limits)
    if gate.faults.found and not entries.size:
        raise CorruptError(f"nothing of it can be read: {gate.faults.found[0].message}")
    if how == "found again":
        gate.warn("index", f"{index} was of the file as it was, and has been made again")
    unpacked = unpacked_of(file, way, entries)
    if entries.size % SECTOR:
        gate.warn("size", f"{entries.size} plain bytes are no whole number of sectors")
    bad = _lost(unpacked, entries, gate.faults)
    if not bad:
        _judge(unpacked, gate)
    facts = {key: fact for key, fact in way.facts(file, entries).items() if fact is not None}
    facts |= {"packed_size": file.size, "entries": len(entries.starts)}
    device = PackedDevice(unpacked, facts)
    return Salvaged(device, bad) if bad else device


def _lost(unpacked: Unpacked, entries: Entries, faults: Faults) -> Ranges:
    """The stretches that do not decode, where somebody salvages; all are decoded then.

    Such a stretch is lost whole: what comes of it before its fault is held against no sum.
    """
    bad: list[tuple[int, int]] = []
    for number, error in unpacked.verify() if faults.salvaging else ():
        if entries.places[number] >= 0:  # else it is noted
            with faults.surviving():
                raise error
        start, stop = unpacked.stretch(number)
        bad.append((start, stop - start))
    return Ranges(bad)


def _judge(unpacked: Unpacked, gate: Gate) -> None:
    """Warn of plain bytes that are no disk as they stand: one wrapping is taken off, no more."""
    name = _inner_name(unpacked.name)
    within = gate.content(unpacked, name, tail=unpacked.tail_is_near)
    if within:
        gate.warn("content", f"what is inside is {within}, here read as its plain bytes:"
                  " unpack the file to open it as that")  # fmt: skip
    elif within is not None:
        gate.warn("content", "what is inside shows neither partitions nor a file system")


def _inner_name(name: str) -> str:
    """What the file would be called once it is unpacked, as gunzip calls it."""
    name = name.replace("\\", "/").rpartition("/")[2]
    if is_first(name.rpartition(".")[2]):
        name = name.rpartition(".")[0]
    return name.rpartition(".")[0] or name


def unpacked_of(file: Source, way: Way, entries: Entries) -> Unpacked:
    """The plain bytes between `entries`."""

    def decode(number: int) -> Iterator[memoryview | bytes]:
        if entries.places[number] < 0:
            raise CorruptError("plain bytes of what is damaged", file=file.name)
        return way.decode(file, entries, number)

    return Unpacked(file.name, entries.starts, entries.size, decode)


def judged(source: Source, size: int, limits: Limits) -> None:
    """LimitError for `size` plain bytes that nothing but decoding tells, where they are many for a
    file of its length: what deflate can give at most is taken for a bomb of others."""
    most = max(limits.blind, limits.blind_ratio * source.size)
    if size > most:
        text = f"more than {most} plain bytes, found by decoding (limits blind, blind_ratio)"
        raise LimitError(text, file=source.name)


def check_packed(source: Source, gate: Gate, way: Way, what: str) -> Checking:
    """Every stretch decoded, each of which has `what` to be held against."""
    file = whole_file(source, gate)
    for _, error in unpacked_of(file, way, way.find(file, gate)).verify():
        yield problem(error)
    return Held(what)


def problem(error: DiskImageError) -> Finding:
    """An error of a member, block or frame as a finding."""
    return Finding(error.kind, str(error), error.at, "chunks")
