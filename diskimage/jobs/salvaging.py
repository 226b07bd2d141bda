"""What of an image can be read, for the formats that are to hold it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from diskimage.engine.cache import ChunkCache
from diskimage.engine.copy import Work
from diskimage.engine.read import Reader, source as device_source
from diskimage.engine.salvage import WHOLE, Survey, salvaged
from diskimage.errors import UsageError
from diskimage.image import Image
from diskimage.model import Device, Disc, Format, Source


def salvaged_content(
    what: Device | Disc, rules: Format, work: Work, wanted: bool
) -> tuple[Device | Disc, Survey]:
    """What of `what` can be read, for a target of the format `rules`; as it is unless `wanted`.

    Of a disc that is its data. UsageError where the target keeps frames.
    """
    if not wanted:
        return what, WHOLE
    if not isinstance(what, Disc):
        return salvaged(what, work, blank=not rules.holds_bad)
    if rules.keeps_frames:
        text = f"frames are not salvaged, and {rules.name} holds frames"
        raise UsageError(text, remedy="salvage the disc's data into iso or raw, or take --no-check")
    if what.data is None:
        return what, WHOLE
    data, found = salvaged(what.data, work, blank=not rules.holds_bad)
    return replace(what, data=data), found


def source_of(image: Image, what: Device | Disc) -> Callable[[], Source]:
    """The bytes of `what`, the image's own or what of them can be read, as a source."""
    if isinstance(what, Disc) or what is image.device:
        return image.as_source
    device: Device = what
    return lambda: device_source(device, image.name, Reader(image.policy, ChunkCache()))
