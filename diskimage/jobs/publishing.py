"""Where a job's output goes, and what must hold before it is published."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

from diskimage.errors import UsageError
from diskimage.image import Image
from diskimage.model import Plan, Source
from diskimage.sinks.file import FileSink
from diskimage.sinks.pipe import PipeSink
from diskimage.sources.device import is_device
from diskimage.sources.file import FileSource, refuse_same

PIPE = "-"


def sink_for(
    path: str, *, overwrite: bool, durable: bool, guard: Callable[[str], None] | None = None
) -> FileSink | PipeSink:
    """The sink for a file, or for the standard output where `path` is "-".

    Raises ExistsError, BusyError for a file that the image is read from, UsageError for a device.
    """
    if path == PIPE:
        return PipeSink(sys.stdout.fileno(), "<standard output>")
    if is_device(path):
        remedy = "write to it with: diskimage copy --allow-device"
        raise UsageError("is a device", file=path, remedy=remedy)
    return FileSink(path, overwrite=overwrite, durable=durable, guard=guard)


def refuse(sources: Iterable[Source]) -> Callable[[str], None]:
    """A check of output paths: BusyError for one that is among `sources`."""
    files = [source for source in sources if isinstance(source, FileSource)]

    def check(path: str) -> None:
        if os.path.lexists(path):
            for file in files:
                refuse_same(file, path)

    return check


def settled(plan: Plan, image: Image) -> Plan:
    """`plan`, then ChangedError where a file of `image` is not as it was when it was opened."""
    yield from plan
    image.unchanged()
