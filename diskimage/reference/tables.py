"""Twins of `kernels.tables`: a table of one integer a block, as runs."""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

from diskimage.model import HOLE, Kind, Runs

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

WORD = (1 << 64) - 1
TOP = (1 << 63) - 1
SUBCLUSTERS = 32


class Match(NamedTuple):
    """An entry with `entry & mask == value` is a run of `kind`."""

    mask: int
    value: int
    kind: int


class Rule(NamedTuple):
    """How an entry becomes a run, tried in this order.

    1. `coded` is set in the entry: CODED. With x = `coded_split`, `at` is its low x bits and the
       bits from there up to `coded` count further 512-byte sectors (qcow2: x = 62 - (bits - 8)).
    2. `reserved` bits are set: illegal.
    3. The first of at most four `matches`: its kind.
    4. DATA at base + ((entry & mask) >> shift) * scale, which has to be a multiple of `align`.

    `width` is 4 or 8 bytes, or 16 for qcow2's extended entries: the entry, then a word whose bit i
    says that subcluster i of 32 is allocated and bit 32 + i that it reads as zeros. There a match
    of kind ABSENT is a cluster without a place, whose zeros are holes. `clip` (0: no bound) is
    where stored bytes of CODED end at the latest: a sector count rounds up past a file's end.
    """

    width: int = 4
    big_endian: bool = False
    matches: tuple[Match, ...] = ()
    mask: int = WORD
    shift: int = 0
    scale: int = 1
    base: int = 0
    align: int = 1
    reserved: int = 0
    coded: int = 0
    coded_split: int = 0
    clip: int = 0


class Illegal(IntEnum):
    """Why an entry is none."""

    NONE = 0
    RESERVED = 1  # reserved bits are set
    ALIGN = 2  # a position that is no multiple of `align`
    RANGE = 3  # a position that does not fit in 63 bits
    SUBCLUSTERS = 4  # allocated and zero at once, or allocated in a cluster without a place


class Found(NamedTuple):
    """Runs, how many entries they took, and what is wrong with the entry after these."""

    runs: Runs
    taken: int
    illegal: Illegal


class _Row(NamedTuple):
    length: int
    kind: int
    at: int = 0
    stored: int = 0


def table_runs(
    rule: Rule,
    table: ReadableBuffer,
    first_block: int,
    block: int,
    size: int,
    *,
    limit: int = 4096,
) -> Found:
    """Turn entries into coalesced runs until table, guest or `limit` ends."""
    view = memoryview(table).cast("B")
    runs = Runs(array("q"), array("q"), array("q"), array("B"), array("q"), array("q"))
    taken, illegal = 0, Illegal.NONE
    count = len(view) // rule.width
    while taken < count and (first_block + taken) * block < size:
        start = (first_block + taken) * block
        raw = view[taken * rule.width : (taken + 1) * rule.width]
        rows = _rows(rule, raw, block, min(block, size - start))
        if isinstance(rows, Illegal):
            illegal = rows
            break
        if rule.width == 16:
            if len(runs) + SUBCLUSTERS > limit:
                break
        elif len(runs) == limit and not _joins(runs, rows[0]):
            break
        for row in rows:
            _add(runs, start, row)
            start += row.length
        taken += 1
    if Kind.CODED not in runs.kind:
        del runs.stored[:], runs.skip[:]
    return Found(runs, taken, illegal)


def _joins(runs: Runs, row: _Row) -> bool:
    if not len(runs) or runs.kind[-1] != row.kind or row.kind == Kind.CODED:
        return False
    return row.kind != Kind.DATA or runs.at[-1] + runs.length[-1] == row.at


def _add(runs: Runs, start: int, row: _Row) -> None:
    if _joins(runs, row):
        runs.length[-1] += row.length
        return
    runs.start.append(start)
    runs.length.append(row.length)
    runs.at.append(row.at)
    runs.kind.append(row.kind)
    runs.stored.append(row.stored)
    runs.skip.append(0)


def _rows(rule: Rule, raw: memoryview, block: int, room: int) -> list[_Row] | Illegal:
    order: Literal["big", "little"] = "big" if rule.big_endian else "little"
    entry = int.from_bytes(raw[:8], order)
    if entry & rule.coded:
        at = entry & ((1 << rule.coded_split) - 1)
        sectors = (entry & (rule.coded - 1)) >> rule.coded_split
        stored = (sectors + 1) * 512 - (at & 511)
        if rule.clip:
            stored = min(stored, max(0, rule.clip - at))
        return [_Row(room, Kind.CODED, at, stored)]
    if entry & rule.reserved:
        return Illegal.RESERVED
    kind, at = Kind.DATA.value, 0
    for match in rule.matches:
        if entry & match.mask == match.value:
            kind = match.kind
            break
    if kind == Kind.DATA:
        scaled = ((entry & rule.mask) >> rule.shift) * rule.scale
        at = rule.base + scaled
        if scaled > TOP or at < 0 or at > TOP - block:
            return Illegal.RANGE
        if at % rule.align:
            return Illegal.ALIGN
    if rule.width == 16:
        return _subclusters(int.from_bytes(raw[8:], order), kind, at, block, room)
    return [_Row(room, kind, at)]


def _subclusters(bitmap: int, kind: int, at: int, block: int, room: int) -> list[_Row] | Illegal:
    """Give the 32 parts of a cluster (QEMU docs/interop/qcow2.txt, extended L2 entries)."""
    allocated, zero = bitmap & 0xFFFFFFFF, bitmap >> 32
    if allocated & zero or (allocated and kind != Kind.DATA):
        return Illegal.SUBCLUSTERS
    rows, part = [], block // SUBCLUSTERS
    for i in range(SUBCLUSTERS):
        length = min(part, room - i * part)
        if length <= 0:
            break
        if allocated >> i & 1:
            rows.append(_Row(length, Kind.DATA, at + i * part))
        elif zero >> i & 1:
            rows.append(_Row(length, Kind.ZERO if kind == Kind.DATA else HOLE))
        else:
            rows.append(_Row(length, Kind.ABSENT))
    return rows
