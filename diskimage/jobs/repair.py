"""What a writer left half done, or has twice: mended in a copy, or in place where that is asked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from threading import Event
from typing import Unpack

from diskimage.engine.progress import Report
from diskimage.engine.run import run
from diskimage.errors import UnsupportedError, UsageError
from diskimage.image import Image, open
from diskimage.jobs.opening import Opening, told, work
from diskimage.jobs.publishing import PIPE, refuse, settled, sink_for
from diskimage.layers.plain import Plain
from diskimage.model import Copy, Finding, Plan, Repair, Size


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was `mended` in `file`, the copy or the image itself, and what its format still finds
    wrong with the structure: `left`."""

    source: str
    file: str
    format: str
    mended: tuple[Finding, ...]
    left: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no problem is left."""
        return not self.left

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "ok": self.ok, "source": self.source, "file": self.file, "format": self.format,
            "mended": told(self.mended), "left": told(self.left), "warnings": [],
        }  # fmt: skip


def repair(
    image: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    in_place: bool = False,
    overwrite: bool = False,
    durable: bool = True,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> Repaired:
    """Mend the structure of `image` as far as the image itself says how: in a copy at `target`, or
    where it is with `in_place`.

    The log of a VHDX is carried out; damaged copies of headers and footers are made again; a wrong
    count of blocks is corrected. Guest bytes that are lost stay lost. Raises UnsupportedError for a
    format of which nothing is mended, and DiskImageError.
    """
    if in_place is (target is not None):
        text = "either a copy is mended or the image itself"
        raise UsageError(text, remedy="name a target, or say --in-place, and not both")
    how.setdefault("references", "list")
    path = os.fspath(image)
    with open(image, mode="r+" if in_place else "r", **how) as one:
        found = _found(one)
        source, format = one.name, one.format
        if target is None:
            if found.mended:
                one.change(_steps(found))
        else:
            path = os.fspath(target)
            if path == PIPE:
                raise UsageError("an image is not mended into a pipe", remedy="name a file")
            made = work(progress, cancel)
            made.watch.begin("copy", one.source.size)
            sink = sink_for(path, overwrite=overwrite, durable=durable, guard=refuse(one.sources))
            run(settled(_copied(one, found), one), sink, made)
    again: Opening = {**how, "format": format}
    with open(path, **again) as mended:
        left = tuple(mended.problems())
    return Repaired(source, path, format, found.mended, left)


def _found(image: Image) -> Repair:
    """What can be mended. UnsupportedError where the format has no way to."""
    found = image.mendable()
    if found is not None:
        return found
    text = f"nothing of a {image.format} is mended here"
    if image.disc is not None:
        remedy = "its frames are, by their ECC: diskimage convert --repair"
    else:
        remedy = "see what is readable with: diskimage convert --salvage"
    raise UnsupportedError(text, file=image.name, remedy=remedy)


def _steps(found: Repair) -> Plan:
    yield from found.steps


def _copied(image: Image, found: Repair) -> Plan:
    """The file as it is, and over it what mends it."""
    yield Copy(Plain(image.source).runs(), 0)
    yield Size(image.source.size)
    yield from _steps(found)
