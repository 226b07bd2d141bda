"""How large a converted image would be, without reading or writing content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

from diskimage.disc.framing import taken
from diskimage.engine.estimate import estimate
from diskimage.engine.read import source as device_source
from diskimage.image import Image
from diskimage.jobs.convert import demand_options, plan_of
from diskimage.jobs.create import demand_guest_size
from diskimage.jobs.opening import Opening, opened
from diskimage.layers.blank import Blank
from diskimage.layers.records import Placed
from diskimage.model import Device, Format, Plan
from diskimage.registry import named
from diskimage.runs import whole
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
        required = _total(_device_plan(Blank(demand_guest_size(what)), rules, options))
        return Measured(what, to, required, _full(what, rules, options))
    with opened(what, **how) as image:
        required = _total(plan_of(image, image.content, rules, "image", options))
        most = required if image.disc is not None else _full(image.size, rules, options)
        return Measured(image.size, to, required, most)


def _full(size: int, rules: Format, options: Mapping[str, object]) -> int:
    """The bytes for any content of `size`: told by the format, else by its plan's every step."""
    if rules.full is not None:
        return rules.full(size, **options)
    return _total(_device_plan(full(size), rules, options))


def full(size: int) -> Device:
    """A device of `size` bytes that all take space, and read as zeros where a writer looks."""
    return Placed(whole(size, device_source(Blank(size))), 512)


def _device_plan(device: Device, rules: Format, options: Mapping[str, object]) -> Plan:
    assert rules.create is not None
    what, left, _ = taken(rules, device, lambda: device_source(device), options)
    return rules.create(what, "image", **left)


def _total(plan: Plan) -> int:
    return sum(estimate(plan).values())
