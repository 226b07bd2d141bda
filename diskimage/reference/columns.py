"""Twins of `kernels.columns`: the rules of runs, checked and applied row by row."""

from __future__ import annotations

from array import array
from dataclasses import replace
from enum import IntEnum
from typing import TYPE_CHECKING

from diskimage.model import HOLE, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diskimage.model import Records, Runs

KINDS = frozenset((*Kind, HOLE))


class Broken(IntEnum):
    """The rule of runs that a row breaks."""

    NONE = 0
    LENGTH = 1  # not positive
    ORDER = 2  # does not start where the row before it stopped, or where the answer has to start
    BEYOND = 3  # ends after `stop`
    KIND = 4  # no such kind
    OUTSIDE = 5  # DATA or CODED that does not lie inside its source, or a negative skip
    APART = 6  # could be one with the row before it


def guard(runs: Runs, first: int, stop: int, size: int) -> tuple[int, Broken]:
    """Find the first row that breaks a rule of runs; (-1, NONE) where none does."""
    expected = first
    for row, start in enumerate(runs.start):
        broken = _broken(runs, row, expected, stop, size)
        if broken:
            return row, broken
        expected = start + runs.length[row]
    return -1, Broken.NONE


def _broken(runs: Runs, row: int, expected: int, stop: int, size: int) -> Broken:
    start, length, kind = runs.start[row], runs.length[row], runs.kind[row]
    if length <= 0:
        return Broken.LENGTH
    if start != expected:
        return Broken.ORDER
    if start + length > stop:
        return Broken.BEYOND
    if kind not in KINDS:
        return Broken.KIND
    if kind in (Kind.DATA, Kind.CODED) and _outside(runs, row, size):
        return Broken.OUTSIDE
    if row and _one(runs, row - 1, row):
        return Broken.APART
    return Broken.NONE


def _outside(runs: Runs, row: int, size: int) -> bool:
    at, skip = runs.at[row], _skip(runs, row)
    if runs.kind[row] == Kind.CODED:
        span = runs.stored[row] if runs.stored else 0
    else:
        span = _span(runs.length[row], skip, runs.records)
    return skip < 0 or at < 0 or span <= 0 or at + span > size


def _span(length: int, skip: int, records: Records | None) -> int:
    """Give the host bytes from a DATA row's first record to the end of its last taken byte."""
    if records is None:
        return length if not skip else 0
    whole, rest = divmod(skip + length - 1, records.take)
    return whole * records.pitch + rest + 1


def _one(runs: Runs, a: int, b: int) -> bool:
    """Tell whether row `b` could be one with the row `a` before it."""
    kind = runs.kind[a]
    if kind != runs.kind[b]:
        return False
    if kind == Kind.CODED:
        before = runs.at[a], runs.stored[a], _skip(runs, a) + runs.length[a]
        return before == (runs.at[b], runs.stored[b], _skip(runs, b))
    if kind != Kind.DATA:
        return True
    at, skip = runs.at[a], _skip(runs, a) + runs.length[a]
    if runs.records is None:
        return runs.at[b] == at + runs.length[a]
    whole, skip = divmod(skip, runs.records.take)
    return (runs.at[b], _skip(runs, b)) == (at + whole * runs.records.pitch, skip)


def _skip(runs: Runs, row: int) -> int:
    return runs.skip[row] if runs.skip else 0


def coalesce(runs: Runs) -> Runs:
    """Join neighbours that could be one."""
    keep, length = array("q"), array("q")
    for row, size in enumerate(runs.length):
        adjacent = row and runs.start[row] == runs.start[row - 1] + runs.length[row - 1]
        if adjacent and _one(runs, row - 1, row):
            length[-1] += size
        else:
            keep.append(row)
            length.append(size)
    return replace(
        runs,
        start=array("q", [runs.start[row] for row in keep]),
        length=length,
        at=array("q", [runs.at[row] for row in keep]),
        kind=array("B", [runs.kind[row] for row in keep]),
        stored=array("q", [runs.stored[row] for row in keep] if runs.stored else []),
        skip=array("q", [runs.skip[row] for row in keep] if runs.skip else []),
    )


def shift(column: Sequence[int], by: int) -> array[int]:
    """Give a new column with `by` added to each row."""
    return array("q", (value + by for value in column))


def count_by_kind(runs: Runs) -> dict[int, int]:
    """Give the guest bytes of each kind that occurs."""
    totals: dict[int, int] = {}
    for size, kind in zip(runs.length, runs.kind, strict=True):
        totals[kind] = totals.get(kind, 0) + size
    return totals
