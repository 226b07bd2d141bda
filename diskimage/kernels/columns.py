"""The rules of runs, checked and applied to whole columns."""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, column, ffi, lib, need, readable, writable
from diskimage.reference import columns as twin
from diskimage.reference.columns import Broken

if TYPE_CHECKING:
    from typing import Any

    from diskimage.model import Runs

__all__ = ["Broken", "coalesce", "count_by_kind", "guard", "shift"]


def guard(runs: Runs, first: int, stop: int, size: int) -> tuple[int, Broken]:
    """Find the first row that breaks a rule of runs; (-1, NONE) where none does.

    The first row has to start at `first`, none may end after `stop`, what is stored has to lie
    within `size` bytes of the source. Raises ValueError for columns of unequal length.
    """
    _check(runs)
    if not NATIVE:
        return twin.guard(runs, first, stop, size)
    broken = ffi.new("int32_t *")
    columns, _alive = _columns(runs)
    row = lib.di_guard(columns, first, stop, size, broken)
    return row, Broken(broken[0])


def coalesce(runs: Runs) -> Runs:
    """Join neighbours that could be one; the columns of the answer are new."""
    _check(runs)
    if not NATIVE:
        return twin.coalesce(runs)
    made = replace(
        runs,
        start=runs.start[:], length=runs.length[:], at=runs.at[:],
        kind=runs.kind[:], stored=runs.stored[:], skip=runs.skip[:],
    )  # fmt: skip
    columns, _alive = _columns(made)
    rows = lib.di_coalesce(columns)
    del columns, _alive
    cut(made, rows)
    return made


def shift(values: array[int], by: int) -> array[int]:
    """Give a new column with `by` added to each row."""
    if not NATIVE:
        return twin.shift(values, by)
    made = values[:]
    lib.di_shift(column(made), len(made), by)
    return made


def count_by_kind(runs: Runs) -> dict[int, int]:
    """Give the guest bytes of each kind (HOLE apart from ZERO) that occurs."""
    _check(runs)
    if not NATIVE:
        return twin.count_by_kind(runs)
    totals = array("q", bytes(8 * 256))
    seen = bytearray(256)
    lib.di_count_by_kind(
        column(runs.length), readable(runs.kind), len(runs), column(totals), writable(seen)
    )
    return {code: totals[code] for code in range(256) if seen[code]}


def cut(runs: Runs, rows: int) -> None:
    """Drop the rows from `rows` on."""
    for values in (runs.start, runs.length, runs.at, runs.kind, runs.stored, runs.skip):
        del values[rows:]


def _check(runs: Runs) -> None:
    rows = len(runs)
    need(len(runs.length) == len(runs.at) == len(runs.kind) == rows, "columns of unequal length")
    need(len(runs.stored) in (0, rows), "a column of unequal length: stored")
    need(len(runs.skip) in (0, rows), "a column of unequal length: skip")


def _columns(runs: Runs) -> tuple[Any, list[Any]]:
    """Give a C view of columns, and what has to live as long as it."""
    alive = [column(runs.start), column(runs.length), column(runs.at), readable(runs.kind)]
    alive += [column(values) if values else ffi.NULL for values in (runs.stored, runs.skip)]
    take, pitch = (runs.records.take, runs.records.pitch) if runs.records else (0, 0)
    return ffi.new("di_columns *", (*alive, len(runs), take, pitch)), alive
