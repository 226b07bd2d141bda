"""What a backing holds, pulled into the image over it, which lies over none then."""

from __future__ import annotations

import os
import time
from threading import Event
from typing import Unpack

from diskimage.engine.progress import Report
from diskimage.image import open
from diskimage.jobs.chain import demand_layered, kept
from diskimage.jobs.opening import Opening, work
from diskimage.jobs.rebase import Rebased
from diskimage.layers.blank import Blank


def flatten(
    image: str | os.PathLike[str],
    *,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> Rebased:
    """Write into `image` all that its backing holds, and let it lie over none.

    Its guest is the same at every moment. `references` has to allow the backing. Raises
    DiskImageError.
    """
    began = time.monotonic()
    with open(image, mode="r+", **how) as one:
        written = kept(one, Blank(0), work(progress, cancel))
        one.change(demand_layered(one).plan_backing(None, None))
        return Rebased(one.name, None, None, written, time.monotonic() - began, one.warnings)
