"""How large a converted image would be, without reading or writing content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Unpack

from diskimage.engine.estimate import estimate
from diskimage.engine.read import source as device_source
from diskimage.errors import UsageError
from diskimage.image import Image
from diskimage.jobs.convert import demand_options, plan_of
from diskimage.jobs.opening import Opening, opened
from diskimage.layers.blank import Blank
from diskimage.layers.plain import Plain
from diskimage.limits import LIMITS
from diskimage.model import Device, Format, Plan
from diskimage.registry import named
from diskimage.sources.anything import What


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
        if not 0 <= what <= LIMITS.guest_size:
            raise UsageError(f"a size of {what} bytes", remedy="a size from 0 to 8 EiB")
        full = _full(what, rules, options)
        return Measured(what, to, _total(_device_plan(Blank(what), rules, options)), full)
    with opened(what, **how) as image:
        required = _total(plan_of(image, rules, "image", options))
        full = required
        if image.disc is None:
            full = _full(image.size, rules, options)
        return Measured(image.size, to, required, full)


def _full(size: int, rules: Format, options: Mapping[str, object]) -> int:
    """The bytes for any content of `size`: told by the format, else by its plan's every step."""
    if rules.full is not None:
        return rules.full(size, **options)
    return _total(_device_plan(Full(size), rules, options))


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


def _total(plan: Plan) -> int:
    return sum(estimate(plan).values())
