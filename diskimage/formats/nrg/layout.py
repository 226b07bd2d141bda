"""The chunks at the end of a Nero image as frozen values, every count held against its chunk.

Big-endian, save one copy of a length. The last bytes of the file tell where the chunks begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from construct import (
    Bytes,
    Default,
    Int8ub,
    Int16ub,
    Int32sb,
    Int32ub,
    Int32ul,
    Int64ub,
    Padding,
    Struct,
)

from diskimage.disc.address import lba as disc_lba
from diskimage.errors import CorruptError, LimitError
from diskimage.limits import Limits
from diskimage.model import Gate, Look, Source
from diskimage.parse import demand, fields, read, struct

MARK_2, MARK_1 = b"NER5", b"NERO"
END = b"END!"
LEAD_IN, LEAD_OUT = 0x00, 0xAA  # in the place of a track's number
KNOWN = (
    b"CUEX", b"CUES", b"DAOX", b"DAOI", b"ETN2", b"ETNF", b"TINF", b"SINF", b"MTYP", b"CDTX",
    b"DINF", b"TOCT", b"RELO", END,
)  # fmt: skip

CHUNK = Struct("name" / Bytes(4), "length" / Int32ub)
CUEX = Struct("control" / Int8ub, "track" / Int8ub, "index" / Int8ub, Padding(1), "lba" / Int32sb)
CUES = Struct("control" / Int8ub, "track" / Int8ub, "index" / Int8ub, Padding(2), "time" / Bytes(3))
DAO = Struct(
    "length" / Int32ul, "catalog" / Bytes(13), Padding(1), "kind" / Int8ub,
    "one" / Default(Int8ub, 1), "first" / Int8ub, "last" / Int8ub,
)  # fmt: skip
_DAO_TRACK = (
    "isrc" / Bytes(12), "size" / Int16ub, "mode" / Int8ub, Padding(1), "one" / Default(Int16ub, 1),
)  # fmt: skip
DAOX_TRACK = Struct(*_DAO_TRACK, "gap_at" / Int64ub, "at" / Int64ub, "stop" / Int64ub)
DAOI_TRACK = Struct(*_DAO_TRACK, "gap_at" / Int32ub, "at" / Int32ub, "stop" / Int32ub)
ETN2 = Struct(
    "at" / Int64ub, "length" / Int64ub, "mode" / Int32ub, "lba" / Int32sb, Padding(4),
    "sectors" / Int32ub,
)  # fmt: skip
ETNF = Struct(
    "at" / Int32ub, "length" / Int32ub, "mode" / Int32ub, "lba" / Int32sb, Padding(4)
)  # fmt: skip
TINF = Struct("at" / Int32ub, "length" / Int32ub, "mode" / Int32ub)
MOST_TRACKS = 99
_TAO = {b"ETN2": ETN2, b"ETNF": ETNF, b"TINF": TINF}


class Mark(NamedTuple):
    """An entry of a cue chunk: where index `point` of a track is (both as stored: track 0 is the
    lead-in, 0xAA the lead-out). `other` is the LBA where a time is read as binary, not as BCD."""

    control: int
    track: int
    point: int
    lba: int | None
    other: int | None


class DaoTrack(NamedTuple):
    """A track written disc at once; offsets in the file."""

    isrc: str | None
    size: int
    mode: int
    gap_at: int
    at: int
    stop: int


class TaoTrack(NamedTuple):
    """A track written track at once. `sectors` is 0 where the chunk does not tell them."""

    at: int
    length: int
    mode: int
    lba: int | None
    sectors: int


@dataclass(frozen=True, slots=True)
class Block:
    """The tracks of one chunk: a session, unless SINF says otherwise."""

    dao: tuple[DaoTrack, ...] = ()
    tao: tuple[TaoTrack, ...] = ()
    first: int = 1
    catalog: str | None = None
    kind: int | None = None
    marks: tuple[Mark, ...] = ()

    @property
    def count(self) -> int:
        """How many tracks it has."""
        return len(self.dao) + len(self.tao)


@dataclass(slots=True)
class Listed:
    """All that the chunks say. Frames lie before `stop`, where the chunks begin."""

    version: int
    stop: int
    blocks: list[Block] = field(default_factory=list)
    marks: list[tuple[Mark, ...]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    medium: int = 0
    packs: bytes | None = None


def footer(tail: bytes) -> tuple[int, int] | None:
    """Version, and where the chunks begin, from the last 12 bytes of a file."""
    if tail[-12:-8] == MARK_2:
        return 2, int.from_bytes(tail[-8:], "big")
    if tail[-8:-4] == MARK_1:
        return 1, int.from_bytes(tail[-4:], "big")
    return None


def begins(look: Look) -> bool | None:
    """Whether chunks that Nero writes are where the footer of `look` says; None out of sight."""
    told = footer(look.tail)
    if told is None:
        return False
    if told[1] > look.size - 2 * CHUNK.sizeof():
        return False
    place = told[1] - (look.size - len(look.tail))
    if place < 0:
        return None
    while place + CHUNK.sizeof() <= len(look.tail):
        if look.tail[place : place + 4] in KNOWN:
            return True
        place += CHUNK.sizeof() + int.from_bytes(look.tail[place + 4 : place + 8], "big")
    return False


def listed(source: Source, gate: Gate) -> Listed:
    """What the chunks of `source` say.

    Raises CorruptError for chunks that contradict themselves, TruncatedError where they pass the
    footer, LimitError for too many of them.
    """
    tail = bytes(read(source, max(0, source.size - 12), min(12, source.size), "the NRG footer"))
    told = footer(tail)
    if told is None:
        raise CorruptError(
            "no NER5 or NERO at its end",
            file=source.name,
            at=max(0, source.size - 12),
            remedy="the file is cut short, or no Nero image",
        )
    found = Listed(*told)
    for name, at, length in _chunks(source, found, gate):
        _take(found, name, at, length, source, gate.limits)
    if not found.blocks:
        raise CorruptError("its chunks name no track", file=source.name, at=found.stop)
    at_once = [i for i, block in enumerate(found.blocks) if block.dao]
    for i, marks in zip(at_once, found.marks, strict=False):
        found.blocks[i] = replace(found.blocks[i], marks=marks)
    return found


def _chunks(source: Source, found: Listed, gate: Gate) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of the body of each chunk up to END!."""
    at, stop = found.stop, source.size - (12 if found.version == 2 else 8)
    if at < 0 or at > stop - CHUNK.sizeof():
        raise CorruptError(
            f"its chunks should begin at {at}, the footer is at {stop}", file=source.name, at=stop
        )
    for _ in range(gate.limits.text_entries):
        if at > stop - CHUNK.sizeof():
            gate.warn("chunk", "the list of chunks does not end with END!", at)
            return
        head = struct(CHUNK, source, at, "NRG chunk")
        body = at + CHUNK.sizeof()
        if head.name == END:
            return
        if head.length > stop - body:
            raise CorruptError(
                f"the chunk {_text(head.name)!r} has {head.length} bytes, {stop - body} are left",
                file=source.name,
                at=at,
                remedy="the file is damaged, or its end was cut out",
            )
        yield head.name, body, head.length
        at = body + head.length
    raise LimitError(
        f"more than {gate.limits.text_entries} chunks", file=source.name, at=at,
        remedy="no disc needs so many",
    )  # fmt: skip


def _take(found: Listed, name: bytes, at: int, length: int, source: Source, limits: Limits) -> None:
    """Note what one chunk says; unknown ones say nothing."""
    if name not in KNOWN:
        return
    if length > limits.text_file:
        raise LimitError(
            f"the chunk {_text(name)} has {length} bytes, above the limit of {limits.text_file}",
            file=source.name, at=at, remedy="no disc needs so many",
        )  # fmt: skip
    demand(source, at, length, f"the chunk {_text(name)}")
    if name in (b"CUEX", b"CUES"):
        found.marks.append(tuple(_marks(name, at, length, source)))
    elif name in (b"DAOX", b"DAOI"):
        found.blocks.append(_dao(name, at, length, source))
    elif name in _TAO:
        found.blocks.append(_tao(name, at, length, source))
    elif name in (b"SINF", b"MTYP"):
        value = int.from_bytes(read(source, at, min(4, length), _text(name)), "big")
        if name == b"SINF":
            found.counts.append(value)
        else:
            found.medium = value
    elif name == b"CDTX" and length:
        found.packs = bytes(read(source, at, length, "CD-TEXT packs"))


def _rows(
    name: bytes, layout: Struct[Any, Any], at: int, length: int, source: Source
) -> Iterator[Any]:
    """The rows of a chunk that is nothing else. CorruptError where they are not whole."""
    size = layout.sizeof()
    if length % size:
        raise CorruptError(
            f"the chunk {_text(name)} has {length} bytes, which are no whole rows of {size}",
            file=source.name,
            at=at,
        )
    content = bytes(read(source, at, length, _text(name)))
    for skip in range(0, length, size):
        yield fields(layout, content[skip : skip + size], source, at + skip, _text(name))


def _marks(name: bytes, at: int, length: int, source: Source) -> Iterator[Mark]:
    for row in _rows(name, CUEX if name == b"CUEX" else CUES, at, length, source):
        if name == b"CUEX":
            told: tuple[int | None, int | None] = (row.lba, None)
        else:
            digits = [_decimal(byte) for byte in row.time]
            other = disc_lba(*row.time)
            told = (None if None in digits else disc_lba(*(d or 0 for d in digits)), other)
        yield Mark(row.control, row.track, row.index, *told)


def _decimal(byte: int) -> int | None:
    """The number in two BCD digits; None where they are none."""
    high, low = byte >> 4, byte & 15
    return high * 10 + low if high < 10 and low < 10 else None


def number(stored: int) -> int:
    """The number of a track in a cue chunk: BCD, binary where it is no BCD."""
    told = _decimal(stored)
    return stored if told is None else told


def _dao(name: bytes, at: int, length: int, source: Source) -> Block:
    head, row = DAO.sizeof(), DAOX_TRACK if name == b"DAOX" else DAOI_TRACK
    if length < head:
        raise CorruptError(
            f"the chunk {_text(name)} has {length} bytes, its header {head}",
            file=source.name, at=at,
        )  # fmt: skip
    told = struct(DAO, source, at, _text(name))
    tracks = tuple(
        DaoTrack(_code(one.isrc), one.size, one.mode, one.gap_at, one.at, one.stop)
        for one in _rows(name, row, at + head, length - head, source)
    )
    if not 1 <= told.first <= told.last <= MOST_TRACKS:
        raise CorruptError(
            f"the chunk {_text(name)} has tracks {told.first} to {told.last}",
            file=source.name, at=at + head - 2,
        )  # fmt: skip
    if told.last - told.first + 1 != len(tracks):
        raise CorruptError(
            f"tracks {told.first} to {told.last} have {len(tracks)} rows in {_text(name)}",
            file=source.name, at=at + head,
        )  # fmt: skip
    return Block(tracks, (), told.first, _code(told.catalog), told.kind)


def _tao(name: bytes, at: int, length: int, source: Source) -> Block:
    rows = tuple(
        TaoTrack(one.at, one.length, one.mode, one.get("lba"), one.get("sectors", 0))
        for one in _rows(name, _TAO[name], at, length, source)
    )
    if not 1 <= len(rows) <= MOST_TRACKS:
        raise CorruptError(
            f"the chunk {_text(name)} has {len(rows)} tracks", file=source.name, at=at
        )
    return Block((), rows)


def _code(stored: bytes) -> str | None:
    """A catalogue number or ISRC; None where there is none."""
    text = stored.partition(b"\0")[0].decode("ascii", "replace").strip()
    return text if text.strip("0") else None


def _text(name: bytes) -> str:
    return name.decode("ascii", "replace")
