"""A new image: empty of a given size, or an ISO of a directory."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from pathlib import Path
from threading import Event

from diskimage.disc.framing import taken
from diskimage.engine.progress import Report
from diskimage.engine.read import source as device_source
from diskimage.engine.run import run
from diskimage.errors import MissingError, UsageError
from diskimage.filesystems.iso9660_author import author
from diskimage.image import open
from diskimage.jobs.convert import stem_of, target_rules
from diskimage.jobs.opening import told, work
from diskimage.jobs.publishing import PIPE, backed, refuse, sink_for
from diskimage.layers.blank import Blank
from diskimage.limits import LIMITS
from diskimage.model import HOLE, Finding, Format, Kind, Plan
from diskimage.registry import named, of_suffix


@dataclass(frozen=True, slots=True)
class Created:
    """What was made: `size` of its guest, the published `files`, the main one last."""

    target: str
    format: str
    size: int
    files: tuple[str, ...]
    seconds: float
    warnings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "target": self.target, "format": self.format, "size": self.size,
            "files": list(self.files), "seconds": round(self.seconds, 3),
            "warnings": told(self.warnings),
        }  # fmt: skip


def create(
    target: str | os.PathLike[str],
    size: int | None = None,
    *,
    from_tree: str | os.PathLike[str] | None = None,
    to: str | None = None,
    overwrite: bool = False,
    durable: bool = True,
    progress: Report | None = None,
    cancel: Event | None = None,
    options: Mapping[str, object] | None = None,
    **more: object,
) -> Created:
    """Make `target`: an empty image of `size` bytes, or an ISO of the directory `from_tree`.

    With a backing among the options and no `size`, it is the backing's. `options` and further
    keywords are the format's; those of a tree are joliet, rock_ridge (both true) and volume_id.
    Raises UsageError, UnsupportedError, ExistsError, NoSpaceError.
    """
    began, path, options = time.monotonic(), os.fspath(target), {**(options or {}), **more}
    if from_tree is not None:
        size = _of_tree(path, from_tree, size, to, options, overwrite)
        return Created(path, "iso", size, (path,), time.monotonic() - began)
    rules = target_rules(path, to, options)
    parents, missing, options = backed(rules, path, options)
    guard = refuse((), parents)
    sink = sink_for(path, overwrite=overwrite, durable=durable, guard=guard)
    size = _size(size, path, options)
    made = work(progress, cancel)
    made.in_order = path == PIPE
    run(_plan(rules, path, size, options), sink, made)
    files = tuple(getattr(sink, "names", [path]))
    return Created(path, rules.name, size, files, time.monotonic() - began, tuple(missing))


def _size(size: int | None, path: str, options: Mapping[str, object]) -> int:
    if size is not None:
        return demand_guest_size(size)
    name, format = options.get("backing"), options.get("backing_format")
    if not isinstance(name, str):
        raise UsageError("an empty image needs a size", file=path, remedy="say --size 10G")
    if not isinstance(format, str):
        text = "the size is the backing's, whose format is not known"
        raise UsageError(text, file=path, remedy="say -o backing_format=raw, or what it is")
    with open(Path(path).parent / name, format=format, references="siblings") as backing:
        return backing.size


def demand_guest_size(size: int) -> int:
    """`size`. UsageError for one that no image of ours has: offsets are signed 64 bits."""
    size = index(size)  # a TypeError is what others have for a text or a fraction
    if not 0 <= size <= LIMITS.guest_size:
        raise UsageError(f"a size of {size} bytes", remedy=f"from 0 to {LIMITS.guest_size} bytes")
    return size


def _plan(rules: Format, path: str, size: int, options: Mapping[str, object]) -> Plan:
    """The plan for an empty device; over a backing it answers nothing."""
    assert rules.create is not None
    device = Blank(size, Kind.ABSENT if options.get("backing") else HOLE)
    what, left, _ = taken(rules, device, lambda: device_source(device), options)
    return rules.create(what, stem_of(path), **left)


def _of_tree(
    path: str, tree: str | os.PathLike[str], size: int | None, to: str | None,
    options: Mapping[str, object], overwrite: bool,
) -> int:  # fmt: skip
    """An ISO of a directory; its size."""
    if path == PIPE:
        raise UsageError("a tree is written to a file, not to a pipe", remedy="name a file")
    if size is not None:
        raise UsageError("a tree becomes an ISO of the size it takes", remedy="leave out --size")
    rules = named(to) if to is not None else of_suffix(path)
    if rules is None or rules.name != "iso":
        raise UsageError("a tree becomes an ISO", file=path, remedy="call it .iso, or say --to iso")
    unknown = sorted(set(options) - {"joliet", "rock_ridge", "volume_id"})
    if unknown:
        raise UsageError(f"no option {unknown[0]}", remedy="joliet, rock_ridge or volume_id")
    if not Path(tree).is_dir():
        raise MissingError("no such directory", file=os.fspath(tree), remedy="check the name")
    for name in ("joliet", "rock_ridge"):
        if not isinstance(options.get(name, True), bool):
            raise UsageError(f"{name} {options[name]}", remedy="it is true or false")
    author(
        tree, path, joliet=options.get("joliet", True) is True,
        rock_ridge=options.get("rock_ridge", True) is True,
        volume_id=str(options.get("volume_id", "DISC")), overwrite=overwrite,
    )  # fmt: skip
    return Path(path).stat().st_size
