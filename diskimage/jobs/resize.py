"""Another size for a guest, in place."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Unpack

from diskimage.engine.compare import differing
from diskimage.errors import LossError, UnsupportedError, UsageError
from diskimage.image import Image, open
from diskimage.jobs.create import demand_guest_size
from diskimage.jobs.opening import Opening, told, work
from diskimage.layers.blank import Blank
from diskimage.layers.slice import Slice
from diskimage.model import Finding, Resizable
from diskimage.words import size_text

DATA = "data"
"""The loss of what is cut off."""


@dataclass(frozen=True, slots=True)
class Resized:
    """The size of a guest, before and now."""

    file: str
    format: str
    before: int
    size: int
    warnings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "file": self.file, "format": self.format, "before": self.before, "size": self.size,
            "warnings": told(self.warnings),
        }  # fmt: skip


def resize(
    image: str | os.PathLike[str],
    size: int,
    *,
    relative: bool = False,
    shrink: bool = False,
    lossy: Iterable[str] = (),
    **how: Unpack[Opening],
) -> Resized:
    """Make the guest of `image` `size` bytes, or `size` more where `relative`.

    What it gains reads as zeros. It becomes smaller only with `shrink`, and what is cut off has to
    be zeros unless "data" is `lossy`. Raises UsageError, LossError, UnsupportedError.
    """
    unknown = sorted(set(lossy) - {DATA})
    if unknown:
        text = f"nothing is lost by the name {unknown[0]!r}"
        raise UsageError(text, remedy=f"the one thing is {DATA}")
    with open(image, mode="r+", **how) as one:
        before = one.size
        size = demand_guest_size(before + size if relative else size)
        if not isinstance(one.device, Resizable):
            text = f"the size of this kind of {one.format} is not changed in place"
            raise UnsupportedError(text, file=one.name, remedy="convert it to raw or qcow2 first")
        if size < before:
            _demand_shrinkable(one, size, shrink, DATA in lossy)
        if size != before:
            one.change(one.device.plan_resize(size))
        return Resized(one.name, one.format, before, size, one.warnings)


def _demand_shrinkable(image: Image, size: int, shrink: bool, lossy: bool) -> None:
    if not shrink:
        text = f"{size_text(size)} are less than its {size_text(image.size)}"
        raise UsageError(text, file=image.name, remedy="say --shrink, after the guest made room")
    rest = image.size - size
    found = differing(Slice(image.device, size, rest), Blank(rest), work(), 1)
    if found and not lossy:
        first = size + next(iter(found)).start
        raise LossError(
            f"what is cut off holds data, from {first} on [{DATA}]", file=image.name, at=first,
            remedy=f"make the file systems in it smaller first, or give it up with --lossy {DATA}",
        )  # fmt: skip
