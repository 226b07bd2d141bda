"""The one place where what a device says of itself is checked before it is believed.

A row outside its source is the file's fault (`truncated`); any other broken rule is the reader's,
an AssertionError that names the rule.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import TruncatedError
from diskimage.kernels import columns
from diskimage.model import Device, Kind, Runs
from diskimage.runs import past, stop_of

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
        _check(runs, at, limit)
        at = stop_of(runs)
        yield runs
    if stop is not None and at != stop:
        raise AssertionError(f"extents end at {at}, asked to {stop}")


def _check(runs: Runs, at: int, limit: int) -> None:
    size = (1 << 63) - 1 if runs.source is None else runs.source.size
    row, broken = columns.guard(runs, at, limit, size)
    if broken == Broken.NONE:
        return
    if broken == Broken.OUTSIDE:
        coded = runs.kind[row] == Kind.CODED
        raise _outside(runs, row, runs.stored[row] if coded else runs.length[row])
    raise AssertionError(
        f"extent {row} at {runs.start[row]} (+{runs.length[row]}, kind {runs.kind[row]})"
        f" breaks the rule {broken.name}; expected to go on at {at}"
    )


def _outside(runs: Runs, row: int, length: int) -> TruncatedError:
    assert runs.source is not None
    at, size = runs.at[row], runs.source.size
    error = TruncatedError(
        f"guest bytes from {runs.start[row]} are stored at {at} to {at + length},"
        f" past the end of the file at {size}",
        file=runs.source.name,
        at=min(at, size),
        remedy="the file is cut short: copy or download it again",
    )
    error.lost = past(runs, row, size)
    return error
