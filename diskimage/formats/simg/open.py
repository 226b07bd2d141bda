"""From the chunks of one sparse image, or of a set of them, to the guest."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from operator import sub
from typing import NamedTuple

from diskimage.errors import ContentError, CorruptError, MissingError, UnsupportedError
from diskimage.formats.simg.layout import FILLED, MAGIC_BYTES, PATTERN, Header, Rows, load
from diskimage.layers.blank import Blank
from diskimage.layers.gather import gathered
from diskimage.layers.overlay import Overlay
from diskimage.layers.salvaged import Salvaged
from diskimage.limits import RUNS_ROWS
from diskimage.model import HOLE, Bid, Device, Gate, Kind, Look, Runs, Source
from diskimage.ranges import Ranges
from diskimage.runs import clip

SET = re.compile(
    r"(?P<stem>.+?)(?P<mark>_sparsechunk\.?|[._])(?P<number>[0-9]{1,4})(?P<tail>\.s?img|)",
    re.IGNORECASE | re.DOTALL,
)
NAMED = re.compile(r"(_sparsechunk\.)s?img", re.IGNORECASE)  # a first part's suffix, for its number
SURE = "_sparsechunk"  # a mark that nothing but a set has
TOGETHER = "put the parts of one set in a directory, and no others"
ALONE = bytes(range(256))
IN_SET = ALONE.replace(bytes([HOLE]), bytes([Kind.ABSENT]))  # another part may hold it


class Part(NamedTuple):
    """One sparse image, read and judged."""

    source: Source
    header: Header
    rows: Rows


class Fills:
    """The patterns of all fill chunks, each at the guest bytes that it fills."""

    fd: int | None = None

    def __init__(self, name: str, size: int, rows: Rows) -> None:
        self.name, self.size, self._rows = f"{name} (fills)", size, rows

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from guest byte `at`; fewer bytes only at the end."""
        stop, done, rows = min(self.size, at + len(buffer)), at, self._rows
        while done < stop:
            row = rows.row(done)
            end = min(stop, rows.start[row + 1])
            skip, length = done % PATTERN, end - done
            value = rows.at[row] if rows.kind[row] == FILLED else 0
            whole = value.to_bytes(PATTERN, "little") * (length // PATTERN + 2)
            buffer[done - at : end - at] = whole[skip : skip + length]
            done = end
        return max(0, stop - at)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """What is filled is there."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Nothing is held open."""


class SparseDevice:
    """The guest of one sparse image: what is raw in its file, what is filled, and the rest."""

    def __init__(self, part: Part, info: Mapping[str, object], *, alone: bool) -> None:
        self.size, self.block, self.info = part.header.size, part.header.block, info
        self._source, self._rows = part.source, part.rows
        self._kinds = ALONE if alone else IN_SET
        self._fills = Fills(part.source.name, self.size, part.rows)

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            first, last = self._rows.row(start), bisect_left(self._rows.start, stop)
            yield from gathered(clip(piece, start, stop) for piece in self._pieces(first, last))

    def _pieces(self, first: int, last: int) -> Iterator[Runs]:
        """Rows [first, last): those that are filled apart from the others."""
        kinds = self._rows.kind
        while first < last:
            if kinds[first] == FILLED:
                stop = first + 1
                while stop < last and kinds[stop] == FILLED:
                    stop += 1
                yield self._filled(first, stop)
            else:
                found = kinds.find(FILLED, first, last)
                stop = min(last if found < 0 else found, first + RUNS_ROWS)
                yield self._laid(first, stop)
            first = stop

    def _filled(self, first: int, stop: int) -> Runs:
        """Neighbouring rows that are filled: one row of the source of patterns."""
        start, end = self._rows.start[first], self._rows.start[stop]
        none = array("q")
        return Runs(array("q", [start]), array("q", [end - start]), array("q", [start]),
                    array("B", [Kind.DATA]), none, none, self._fills)  # fmt: skip

    def _laid(self, first: int, stop: int) -> Runs:
        rows, none = self._rows, array("q")
        lengths = array("q", map(sub, rows.start[first + 1 : stop + 1], rows.start[first:stop]))
        kinds = array("B", bytes(rows.kind[first:stop].translate(self._kinds)))
        return Runs(rows.start[first:stop], lengths, rows.at[first:stop], kinds, none, none,
                    self._source)  # fmt: skip


def probe(look: Look) -> Bid | None:
    """The magic of version 1 at 0."""
    if look.head.startswith(MAGIC_BYTES):
        return Bid(90, "the magic 0xED26FF3A of Android sparse images at 0")
    return None


def open_simg(source: Source, gate: Gate) -> Device:
    """The guest, of all parts where the image is the first of a set.

    Raises UnsupportedError, CorruptError, TruncatedError, LimitError; MissingError for a gap.
    """
    parts = opened(source, gate)
    header, several = parts[0].header, len(parts) > 1
    text = f", {len(parts)} parts" if several else ""
    info = {
        "variant": f"version 1.{header.minor}, {header.block}-byte blocks{text}",
        "block_size": header.block,
        "chunks": sum(part.header.chunks for part in parts),
        "parts": [part.source.name for part in parts],
    }
    layers = [SparseDevice(part, info, alone=not several) for part in parts]
    device: Device = Blank(header.size) if several else layers.pop()
    for layer in layers:  # as they are flashed: a later part lies over an earlier one
        device = Overlay(layer, device)
    bad = _lost(parts)
    return Salvaged(device, bad) if bad else device


def _lost(parts: list[Part]) -> Ranges:
    """What no part tells of: from where one is cut to where the next one begins."""
    bad, stop = [], parts[0].header.size
    for part in reversed(parts):
        if part.rows.cut < stop:
            bad.append((part.rows.cut, stop - part.rows.cut))
        stop = part.rows.reach()[0] if any(part.rows.reach()) else stop
    return Ranges(reversed(bad))


def opened(source: Source, gate: Gate) -> list[Part]:
    """The image, and behind it the other parts of the set that its name begins."""
    header = load(source, gate.limits)
    first = Part(source, header, Rows(source, header, gate.limits, gate.faults))
    if header.base:
        gate.warn("offset", f"{header.base} bytes stand before its header", 0)
    if source.size > first.rows.end:
        text = f"{source.size - first.rows.end} bytes follow its last chunk"
        gate.warn("size", text, first.rows.end)
    name = source.name.replace("\\", "/").rpartition("/")[2]
    found = SET.fullmatch(NAMED.sub(r"\g<1>0", name))
    return [first] if found is None else [first, *_others(first, found, gate)]


def _others(first: Part, found: re.Match[str], gate: Gate) -> Iterator[Part]:
    """The parts after the first. Parts of a set have as many blocks each, and follow one another.

    A name with the mark that only sets have is held to that. Other names may be alike by chance:
    an image that does not fit ends the set, and is said.
    """
    own, sure = int(found["number"]), found["mark"].lower().startswith(SURE)
    names = _numbered(found, gate.siblings())
    if own > 1 or own - 1 in names:
        gate.warn("set", "its name is that of a later part of a set: the others are not read")
        return
    last, before, stop = own, first, first.rows.reach()[1]
    for number in sorted(number for number in names if number > own):
        part, wrong = _judged(gate.part(names[number]), first, stop, gate)
        if part is None:
            if sure:
                before.rows.cut = min(before.rows.cut, stop)
                with gate.faults.surviving():
                    raise CorruptError(wrong, file=names[number], remedy=TOGETHER)
                continue
            gate.warn("set", f"{names[number]} is not a part of what begins here: it {wrong}")
            return
        if number != last + 1:
            before.rows.cut = min(before.rows.cut, stop)
            with gate.faults.surviving():
                raise MissingError(
                    f"part {last + 1} of its set is missing, {names[number]} is there",
                    file=first.source.name, remedy="put the part beside the others",
                )  # fmt: skip
        yield part
        last, before, stop = number, part, max(stop, part.rows.reach()[1])


def _judged(source: Source, first: Part, stop: int, gate: Gate) -> tuple[Part | None, str]:
    """The part after those that end at `stop`; None, and why, where it is none of this set.

    Raises what is wrong with the chunks of one that is.
    """
    try:
        header = load(source, gate.limits)
    except (ContentError, UnsupportedError) as error:
        return None, f"is no sparse image: {error.message}"
    if (header.block, header.blocks) != (first.header.block, first.header.blocks):
        return None, "has other blocks than the first part"
    part = Part(source, header, Rows(source, header, gate.limits, gate.faults))
    if any(part.rows.reach()) and part.rows.reach()[0] < stop:
        return None, "holds bytes that come before the end of the part before it"
    return part, ""


def _numbered(found: re.Match[str], siblings: tuple[str, ...]) -> dict[int, str]:
    """The files beside an image whose names differ from its own in the number alone."""
    same = [one for one in map(SET.fullmatch, siblings) if one is not None]
    rest = ("stem", "mark", "tail")
    return {int(one["number"]): one[0] for one in same if one.group(*rest) == found.group(*rest)}
