"""What an overlay holds, written into its backing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Unpack

from diskimage.engine.copy import Work
from diskimage.engine.progress import Report
from diskimage.errors import TooSmallError, UnsupportedError
from diskimage.image import Image, open
from diskimage.jobs.chain import demand_no_snapshots, moved, parent_of
from diskimage.jobs.opening import Opening, told, work
from diskimage.model import Finding, Kind, Layered, Resizable


@dataclass(frozen=True, slots=True)
class Committed:
    """The backing that was written into, the guest bytes `written`, and whether the overlay was
    `emptied` of what its backing holds now."""

    file: str
    backing: str
    written: int
    emptied: bool
    seconds: float
    warnings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "file": self.file, "backing": self.backing, "written": self.written,
            "emptied": self.emptied, "seconds": round(self.seconds, 3),
            "warnings": told(self.warnings),
        }  # fmt: skip


def commit(
    image: str | os.PathLike[str],
    *,
    keep: bool = False,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> Committed:
    """Write what the layer `image` holds into its backing, which has to be one that is written in
    place and that `references` allows; then empty the layer, unless `keep`.

    The guest of `image` is the same at every moment. Other overlays of that backing show other
    bytes afterwards. Raises DiskImageError.
    """
    began = time.monotonic()
    with open(image, **how) as whole:
        demand_no_snapshots(whole)
        row, place = parent_of(whole)
        if whole.rules.binds:
            text = f"a {whole.format} is refused over a parent whose content changed"
            raise UnsupportedError(text, file=whole.name, remedy="convert it: that flattens it")
        path, empties = place.path, not keep and isinstance(whole.device, Layered)
    below: Opening = {**how, "format": row.format, "open_options": {}}
    how["references"] = "list"
    with open(image, mode="r+" if empties else "r", **how) as top:
        _grown(path, top.size, below)
        with open(path, mode="r+", **below) as base:
            written = _moved(top, base, work(progress, cancel))
            base.flush()
        if empties and isinstance(top.device, Layered):
            top.change(top.device.plan_forget(0, top.size))
            top.flush()
        said = tuple(one for one in top.warnings if one.kind != "reference")
        return Committed(top.name, path, written, empties, time.monotonic() - began, said)


def _grown(path: str, size: int, how: Opening) -> None:
    """Make a backing as large as what lies over it."""
    with open(path, mode="r+", **how) as base:
        if base.size >= size:
            return
        if not isinstance(base.device, Resizable):
            raise TooSmallError(
                f"has {base.size} bytes, what lies over it {size}, and a {base.format} does not"
                " grow in place", file=path, remedy="convert the overlay: that flattens it",
            )  # fmt: skip
        base.change(base.device.plan_resize(size))


def _moved(top: Image, base: Image, made: Work) -> int:
    """Write all that a layer answers into `base`; how much."""
    made.watch.begin("commit", top.size)
    written = 0
    for length in moved(top, base, _stored(top, base, made)):
        made.watch.passed(length, read=length, written=length)
        written += length
    return written


def _stored(top: Image, base: Image, made: Work) -> Iterator[tuple[int, int]]:
    """(start, length) of what a layer stores; its zeros are written on the way."""
    for extent in top.extents():
        if extent.kind not in (Kind.ABSENT, Kind.ZERO):
            yield extent.start, extent.length
            continue
        if extent.kind == Kind.ZERO:
            base.zero(extent.start, extent.length)
        made.watch.passed(extent.length)
