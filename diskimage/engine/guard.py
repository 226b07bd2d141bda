"""The one place where what a device says of itself is checked before it is believed.

A row outside its source is the file's fault (`truncated`); any other broken rule is the reader's, an
AssertionError that names the rule.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import TruncatedError
from diskimage.kernels import columns
from diskimage.model import Device, Kind, Runs
from diskimage.runs import stop_of, view

Broken = columns.Broken


def guarded(device: Device, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
    """`device.runs(start, stop)`, each block checked against the rules of extents."""
    stop = device.size if stop is None else stop
    yield from checked(device.runs(start, stop), start, stop)


def checked(blocks: Iterator[Runs], start: int, stop: int | None = None) -> Iterator[Runs]:
    """`blocks`, each checked to go on where the one before it stopped and to end by `stop`."""
    at = start
    limit = (1 << 63) - 1 if stop is None else stop
    for runs in blocks:
        if runs.records is not None:
            _check_records(runs)
        _check(runs, at, limit)
        at = stop_of(runs)
        yield runs
    if stop is not None and at != stop:
        raise AssertionError(f"extents end at {at}, asked to {stop}")


def _check(runs: Runs, at: int, limit: int) -> None:
    records = runs.records is not None
    size = runs.source.size if runs.source is not None and not records else (1 << 63) - 1
    rows = columns.Columns(runs.start, runs.length, runs.at, runs.kind, runs.stored)
    row, broken = columns.guard(rows, at, limit, size)
    if broken == Broken.NONE or (records and broken == Broken.APART):
        return
    if broken == Broken.OUTSIDE:
        raise _outside(runs, row, runs.stored[row] if runs.kind[row] == Kind.CODED else runs.length[row])
    raise AssertionError(
        f"extent {row} at {runs.start[row]} (+{runs.length[row]}, kind {runs.kind[row]})"
        f" breaks the rule {broken.name}; expected to go on at {at}"
    )


def _check_records(runs: Runs) -> None:
    assert runs.records is not None and runs.source is not None
    take, pitch = runs.records.take, runs.records.pitch
    for row, extent in enumerate(view(runs)):
        if extent.kind != Kind.DATA:
            continue
        whole, rest = divmod(extent.skip + extent.length - 1, take)
        if extent.at < 0 or extent.at + whole * pitch + rest + 1 > runs.source.size:
            raise _outside(runs, row, whole * pitch + rest + 1)


def _outside(runs: Runs, row: int, length: int) -> TruncatedError:
    assert runs.source is not None
    at, size = runs.at[row], runs.source.size
    return TruncatedError(
        f"guest bytes from {runs.start[row]} are stored at {at} to {at + length},"
        f" past the end of the file at {size}",
        file=runs.source.name,
        at=min(at, size),
        remedy="the file is cut short: copy or download it again",
    )
