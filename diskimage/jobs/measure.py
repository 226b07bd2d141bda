"""How large a converted image would be, without reading or writing content."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

from diskimage.engine.read import source as device_source
from diskimage.errors import UsageError
from diskimage.image import Image
from diskimage.jobs.convert import demand_options, plan_of
from diskimage.jobs.opening import Opening, opened
from diskimage.layers.blank import Blank
from diskimage.layers.plain import Plain
from diskimage.model import (
    HOLE,
    Barrier,
    Copy,
    Device,
    Format,
    Kind,
    Pack,
    Packed,
    Plan,
    Put,
    Runs,
    Size,
    Step,
)
from diskimage.registry import named
from diskimage.sources.anything import What

_FRESH = -2
_EMPTY = frozenset({int(Kind.ZERO), HOLE, int(Kind.ABSENT)})


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes of all output files: `required` for the content, `fully_allocated` for any content of
    that size. Chunks that hold something count whole and uncompressed, zeros in them unseen."""

    size: int
    format: str
    required: int
    fully_allocated: int

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "size": self.size, "format": self.format, "required": self.required,
            "fully_allocated": self.fully_allocated, "warnings": [],
        }  # fmt: skip


def measure(
    what: What | Image | int,
    to: str,
    *,
    options: Mapping[str, object] | None = None,
    **how: Unpack[Opening],
) -> Measured:
    """Measure an image of `what`, an image or a size in bytes, in the format `to`.

    The plan of a conversion is run without its content. Raises what opening and creating raise.
    """
    rules, options = named(to), options or {}
    demand_options(rules, options)
    if isinstance(what, int):
        full = _full(what, rules, options)
        return Measured(what, to, _length(_device_plan(Blank(what), rules, options)), full)
    with opened(what, **how) as image:
        required = _length(plan_of(image, rules, "image", options))
        full = required
        if image.disc is None:
            full = _full(image.size, rules, options)
        return Measured(image.size, to, required, full)


def _full(size: int, rules: Format, options: Mapping[str, object]) -> int:
    """The bytes for any content of `size`: told by the format, else by its plan's every step."""
    if rules.full is not None:
        return rules.full(size, **options)
    return _length(_device_plan(Full(size), rules, options))


class _Claim:
    """A source of which only the size is asked."""

    name = "<content>"
    fd: int | None = None

    def __init__(self, size: int) -> None:
        self.size = size

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Zeros: a writer that looks at content sees nothing in it."""
        count = max(0, min(len(buffer), self.size - at))
        buffer[:count] = bytes(count)
        return count

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """All of it is stored."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Nothing is open."""


class Full(Plain):
    """A device of `size` bytes that all take space."""

    def __init__(self, size: int) -> None:
        super().__init__(_Claim(size))


def _device_plan(device: Device, rules: Format, options: Mapping[str, object]) -> Plan:
    if rules.create is None:
        raise UsageError(f"the format {rules.name} is read, not created")
    if rules.needs_source:
        options = {**options, "source": device_source(device)}
    return rules.create(device, "image", **options)


def _length(plan: Plan) -> int:
    """The bytes of all outputs of `plan`."""
    ends: dict[str, int] = {}
    result: Any = None
    try:
        while True:
            step = plan.send(result)
            result = _step(step, ends)
    except StopIteration:
        return sum(ends.values())
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
