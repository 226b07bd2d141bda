"""Another backing under an image, its guest unchanged."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Unpack

from diskimage import registry
from diskimage.engine.progress import Report
from diskimage.image import open
from diskimage.jobs.chain import demand_layered, demand_not_among, kept
from diskimage.jobs.opening import Opening, told, work
from diskimage.model import Finding
from diskimage.words import escape


@dataclass(frozen=True, slots=True)
class Rebased:
    """What an image lies over now (None: nothing), and the bytes that were `written` into it."""

    file: str
    backing: str | None
    backing_format: str | None
    written: int
    seconds: float
    warnings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "file": self.file, "backing": self.backing, "backing_format": self.backing_format,
            "written": self.written, "seconds": round(self.seconds, 3),
            "warnings": told(self.warnings),
        }  # fmt: skip


def rebase(
    image: str | os.PathLike[str],
    backing: str,
    backing_format: str,
    *,
    unsafe: bool = False,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> Rebased:
    """Let `image` lie over `backing`, a name relative to its directory, of format `backing_format`.

    What its present backing holds and the new one does not is written into it first, so that its
    guest stays the same, at every moment; `references` has to allow both. `unsafe` changes the name
    alone, for a backing that was moved. Raises DiskImageError.
    """
    began = time.monotonic()
    registry.named(backing_format)  # a name that is none could not be opened again
    if unsafe:
        how["references"] = "list"
    with open(image, mode="r+", **how) as one:
        place = Path(one.name).parent / backing
        written, said = 0, list[Finding]()
        if unsafe and not os.path.lexists(place):
            said = [Finding("missing", f"its backing {escape(backing)} does not exist")]
        if not unsafe or not said:
            over: Opening = {**how, "format": backing_format, "open_options": {}}
            with open(place, **over) as new:
                demand_not_among(one, new)
                if not unsafe:
                    written = kept(one, new.device, work(progress, cancel))
        one.change(demand_layered(one).plan_backing(backing, backing_format))
        said = [*(w for w in one.warnings if not unsafe or w.kind != "reference"), *said]
        spent = time.monotonic() - began
        return Rebased(one.name, backing, backing_format, written, spent, tuple(said))
