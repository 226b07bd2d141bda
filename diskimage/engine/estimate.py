"""How large the outputs of a plan are, without reading or writing content."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from diskimage.model import HOLE, Barrier, Copy, Kind, Pack, Packed, Plan, Put, Runs, Size, Step
from diskimage.words import rounded

_FRESH = -2
_ZEROS, _PLAIN, _EQUAL = -1, -1, -2
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
    """The answer to a Pack whose filled chunks are all stored plain, no two of them equal."""
    to, stored, end = array("q"), array("q"), step.to
    codec = array("b")
    zeros: int | None = None  # the first chunk of zeros, where equal ones are stored once
    stride = rounded(step.chunk + len(step.lead), step.align)
    for count, code in _split(step):
        equal = code == _ZEROS and step.dedupe and zeros is not None
        codec.extend(array("b", [_EQUAL if equal else _PLAIN]) * count)
        if code is not None and (equal or not (code == _ZEROS and step.dedupe)):
            to.extend(array("q", [zeros if equal and zeros is not None else code]) * count)
            stored.extend(array("q", bytes(8 * count)))
            continue
        zeros = len(to) if code == _ZEROS else zeros
        first = rounded(end + len(step.lead), step.align)
        to.extend(range(first, first + count * stride, stride))
        stored.extend(array("q", [step.chunk]) * count)
        end = first + (count - 1) * stride + step.chunk
    sums = array("I", bytes(4 * len(to) if step.chunk_sum else 0))
    return Packed(to, stored, codec, len(to), end, sums)


def _split(step: Pack) -> Iterator[tuple[int, int | None]]:
    """Its chunks; the first of zeros by itself, where equal ones are stored once."""
    alone = step.dedupe
    for count, code in _chunks(step.extents, step.chunk):
        if alone and code == _ZEROS:
            alone = False
            yield 1, code
            if count > 1:
                yield count - 1, code
        else:
            yield count, code


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
