"""How large the outputs of a plan are, without reading or writing content."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from diskimage.model import HOLE, Barrier, Copy, Kind, Pack, Packed, Plan, Put, Runs, Size, Step

_FRESH = -2
_EMPTY = frozenset({int(Kind.ZERO), HOLE, int(Kind.ABSENT)})


def estimate(plan: Plan) -> dict[str, int]:
    """The bytes of each output of `plan` by name, the main one "".

    Content is not read: a chunk that holds something counts whole and uncompressed.
    """
    ends: dict[str, int] = {}
    result: Any = None
    try:
        while True:
            step = plan.send(result)
            result = _step(step, ends)
    except StopIteration:
        return ends
    finally:
        plan.close()


def _step(step: Step, ends: dict[str, int]) -> Packed | None:
    if isinstance(step, Barrier):
        return None
    end, packed = 0, None
    if isinstance(step, Put):
        end = step.to + len(step.data)
    elif isinstance(step, Size):
        end = step.size
    elif isinstance(step, Pack):
        packed = _packed(step)
        end = packed.end
    else:
        end = _copied(step)
    ends[step.file] = max(ends.get(step.file, 0), end)
    return packed


def _copied(step: Copy) -> int:
    """Where the last stored byte of a copy lands."""
    first: int | None = None
    end = 0
    for runs in step.extents:
        first = runs.start[0] if first is None else first
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if kind not in _EMPTY:
                end = step.to + start + length - first
    return end


def _packed(step: Pack) -> Packed:
    """The answer to a Pack whose filled chunks are all stored plain."""
    to, stored, end = array("q"), array("q"), step.to
    stride = -(-step.chunk // step.align) * step.align
    for count, code in _chunks(step.extents, step.chunk):
        if code is not None:
            to.extend(array("q", [code]) * count)
            stored.extend(array("q", bytes(8 * count)))
            continue
        first = -(-end // step.align) * step.align
        to.extend(range(first, first + count * stride, stride))
        stored.extend(array("q", [step.chunk]) * count)
        end = first + (count - 1) * stride + step.chunk
    return Packed(to, stored, array("b", b"\xff" * len(to)), len(to), end)


def _chunks(blocks: Iterable[Runs], chunk: int) -> Iterator[tuple[int, int | None]]:
    """(count, code) of chunks in order: -2 absent, -1 zeros, None where they hold something."""
    base: int | None = None
    part: int | None = _FRESH  # what is known of the chunk under way
    done = stop = 0  # whole chunks told; where the last row ends
    for runs in blocks:
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            base = start if base is None else base
            code = None if kind not in _EMPTY else -2 if kind == Kind.ABSENT else -1
            at, stop = start - base, start - base + length
            if at > done * chunk:
                part = _merged(part, code)
                if stop < (done + 1) * chunk:
                    continue
                yield 1, part
                done += 1
            whole = max(0, stop // chunk - done)
            if whole:
                yield whole, code
                done += whole
            part = _merged(_FRESH, code)
    if stop > done * chunk:
        yield 1, part


def _merged(known: int | None, code: int | None) -> int | None:
    """A chunk holds something where any row does, and is absent only where all are."""
    return None if known is None or code is None else max(known, code)
