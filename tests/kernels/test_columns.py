"""The rules of runs against their twin, on columns that a hostile table could make."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import columns
from diskimage.kernels.columns import Broken
from diskimage.model import HOLE, Kind, Records, Runs
from diskimage.reference import columns as twin

SMALL = st.integers(0, 6).map(lambda n: n * 512)
WIDE = st.one_of(SMALL, st.integers(-(2**63), 2**63 - 1))
CODES = st.sampled_from([*map(int, Kind), HOLE, 7, 255])
SHAPES = st.sampled_from([None, Records(512, 600), Records(2048, 2352)])


def runs_of(rows: list[tuple[int, ...]], records: Records | None = None) -> Runs:
    columns_of = [list(c) for c in zip(*rows, strict=True)] or [[] for _ in range(6)]
    start, length, at, kind, stored, skip = columns_of
    return Runs(
        array("q", start), array("q", length), array("q", at), array("B", kind),
        array("q", stored), array("q", skip), records=records,
    )  # fmt: skip


def rows(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[int, ...]]]:
    return st.lists(st.tuples(numbers, numbers, numbers, CODES, numbers, numbers), max_size=6)


@given(rows(WIDE), SHAPES, WIDE, WIDE, WIDE)
def test_guard_never_differs_from_its_twin(
    made: list[tuple[int, ...]], shape: Records | None, first: int, stop: int, size: int
) -> None:
    runs = runs_of(made, shape)
    assert columns.guard(runs, first, stop, size) == twin.guard(runs, first, stop, size)


@st.composite
def chained(draw: st.DrawFn) -> Runs:
    """Rows that follow each other, often so that they could be one."""
    shape = draw(SHAPES)
    made: list[tuple[int, ...]] = []
    start, at = 0, draw(SMALL)
    for _ in range(draw(st.integers(0, 8))):
        length = draw(st.sampled_from([512, 1024, 2048, 100]))
        kind = draw(st.sampled_from([Kind.DATA, Kind.DATA, Kind.ZERO, Kind.CODED, HOLE]))
        skip = draw(st.sampled_from([0, 0, 100, 512, 1024])) if shape or kind == Kind.CODED else 0
        made.append((start, length, at, int(kind), 512, skip))
        start += length
        if draw(st.booleans()):
            at += length if shape is None else (skip + length) // shape.take * shape.pitch
    return runs_of(made, shape)


@given(chained())
def test_coalesce_is_its_twin_and_leaves_nothing_apart(runs: Runs) -> None:
    before = [list(column) for column in (runs.start, runs.length, runs.at)]
    made = columns.coalesce(runs)
    assert made == twin.coalesce(runs)
    assert [list(column) for column in (runs.start, runs.length, runs.at)] == before
    stop = sum(runs.length)
    assert sum(made.length) == stop
    row, broken = columns.guard(made, 0, stop, 2**40)
    assert (row, broken) == twin.guard(made, 0, stop, 2**40)
    assert broken is not Broken.APART
    assert columns.count_by_kind(made) == columns.count_by_kind(runs) == twin.count_by_kind(runs)


@pytest.mark.parametrize(
    ("row", "broken"),
    [
        ((0, 0, 0, 0, 0, 0), Broken.LENGTH),
        ((1, 5, 0, 0, 0, 0), Broken.ORDER),
        ((0, 101, 0, 2, 0, 0), Broken.BEYOND),
        ((0, 100, 0, 9, 0, 0), Broken.KIND),
        ((0, 100, 0, 0, 0, 1), Broken.OUTSIDE),
        ((0, 100, 901, 0, 0, 0), Broken.OUTSIDE),
        ((0, 100, 990, 1, 11, 0), Broken.OUTSIDE),
        ((0, 100, 990, 1, 0, 0), Broken.OUTSIDE),
        ((0, 100, 900, 0, 0, 0), Broken.NONE),
        ((0, 100, 990, 1, 10, 7), Broken.NONE),
        ((0, 100, -1, 3, 0, 0), Broken.NONE),
    ],
)
def test_each_rule(row: tuple[int, ...], broken: Broken) -> None:
    want = (-1 if broken is Broken.NONE else 0, broken)
    assert columns.guard(runs_of([row]), 0, 100, 1000) == want


def test_neighbours_that_could_be_one() -> None:
    apart = runs_of([(0, 10, 0, 0, 0, 0), (10, 5, 10, 0, 0, 0), (15, 5, 40, 0, 0, 0)])
    assert columns.guard(apart, 0, 20, 100) == (1, Broken.APART)
    joined = columns.coalesce(apart)
    assert list(joined.length) == [15, 5]
    assert columns.guard(joined, 0, 20, 100) == (-1, Broken.NONE)


@given(st.lists(st.integers(-(2**62), 2**62), max_size=9), st.integers(-(2**61), 2**61))
def test_shift(values: list[int], by: int) -> None:
    column = array("q", values)
    assert columns.shift(column, by) == array("q", [value + by for value in values])
    assert list(column) == values


def test_columns_of_unequal_length_are_refused() -> None:
    runs = Runs(
        array("q", [0]), array("q"), array("q", [0]), array("B", [0]), array("q"), array("q")
    )
    with pytest.raises(ValueError, match="unequal"):
        columns.guard(runs, 0, 1, 1)
