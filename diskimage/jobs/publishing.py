"""Where a job's output goes, and what must hold before it is published."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from diskimage.errors import BusyError, UsageError
from diskimage.model import Finding, Format, Plan, Source
from diskimage.sinks.file import FileSink
from diskimage.sinks.pipe import PipeSink
from diskimage.sources.device import is_device
from diskimage.sources.file import FileSource, refuse_same
from diskimage.words import escape

if TYPE_CHECKING:
    from diskimage.image import Image

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


def refuse(sources: Iterable[Source], parents: Iterable[str] = ()) -> Callable[[str], None]:
    """A check of output paths: BusyError for one that is among `sources` or `parents`."""
    files = [source for source in sources if isinstance(source, FileSource)]
    kept = {os.path.realpath(parent) for parent in parents if "\0" not in parent}

    def check(path: str) -> None:
        if os.path.realpath(path) in kept:
            remedy = "name another target"
            raise BusyError("is a parent of source or target", file=path, remedy=remedy)
        if os.path.lexists(path):
            for file in files:
                refuse_same(file, path)

    return check


def named_by(image: Image) -> list[str]:
    """Paths of the files that `image` names and that were not opened: still its parents."""
    first = image.source
    if not isinstance(first, FileSource):
        return []
    folder = Path(first.name).parent
    return [str(folder / row.name) for row in image.references if not row.opened]


def backed(
    rules: Format, path: str, options: Mapping[str, object]
) -> tuple[list[str], list[Finding], Mapping[str, object]]:
    """The path of the backing that a target at `path` is to have, a warning if none is there, and
    `options`, with what the backing says of itself where the format writes that down.

    UsageError for a format of it that is none: as backings are never probed, what names such a
    one could not be opened again.
    """
    from diskimage import registry  # a copy of bytes knows no formats

    format, name = options.get("backing_format"), options.get("backing")
    if isinstance(format, str):
        registry.named(format)
    if not isinstance(name, str):
        return [], [], options
    options = _with_parent(rules, path, options)
    backing = str(Path(path).parent / name)
    if path == PIPE or ("\0" not in name and os.path.lexists(os.path.realpath(backing))):
        return [backing], [], options
    return [backing], [Finding("missing", f"its backing {escape(name)} does not exist")], options


def _with_parent(rules: Format, path: str, options: Mapping[str, object]) -> Mapping[str, object]:
    """`options`, and what the backing says of itself. Raises what opening it raises."""
    name, format = options.get("backing"), options.get("backing_format")
    if not (rules.parented and isinstance(name, str) and isinstance(format, str)):
        return options
    from diskimage.image import open  # a copy of bytes opens none

    with open(Path(path).parent / name, format=format, references="list") as parent:
        return {**options, "parent": {**parent.info, "size": parent.size}}


def settled(plan: Plan, image: Image) -> Plan:
    """`plan`, then ChangedError where a file of `image` is not as it was when it was opened."""
    yield from plan
    image.unchanged()
