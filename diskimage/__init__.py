"""Every disk image is a block device: open, map, hash, compare, convert, copy, check.

Names load on first use: `import diskimage` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from diskimage import errors
from diskimage.errors import DiskImageError

if TYPE_CHECKING:
    from diskimage.image import Image, open
    from diskimage.jobs.bench import bench
    from diskimage.jobs.cat import cat
    from diskimage.jobs.check import check
    from diskimage.jobs.commit import commit
    from diskimage.jobs.compare import compare
    from diskimage.jobs.convert import convert
    from diskimage.jobs.copy import copy
    from diskimage.jobs.create import create
    from diskimage.jobs.detect import detect
    from diskimage.jobs.extract import extract
    from diskimage.jobs.flatten import flatten
    from diskimage.jobs.formats import list_formats
    from diskimage.jobs.hash import hash
    from diskimage.jobs.info import info
    from diskimage.jobs.ls import ls
    from diskimage.jobs.map import map
    from diskimage.jobs.measure import measure
    from diskimage.jobs.rebase import rebase
    from diskimage.jobs.repair import repair
    from diskimage.jobs.resize import resize
    from diskimage.jobs.tree import tree
    from diskimage.jobs.verify import verify
    from diskimage.limits import LIMITS, Limits
    from diskimage.ranges import Ranges

__version__ = "0.1.0"

_VERBS = (
    "bench", "cat", "check", "commit", "compare", "convert", "copy", "create", "detect", "extract",
    "flatten", "hash", "info", "ls", "map", "measure", "rebase", "repair", "resize", "tree",
    "verify",
)  # fmt: skip
_PLACES = {
    "Image": "image", "open": "image", "Limits": "limits", "LIMITS": "limits", "Ranges": "ranges",
    "list_formats": "jobs.formats",
} | {verb: f"jobs.{verb}" for verb in _VERBS}  # fmt: skip

__all__ = [
    "LIMITS", "DiskImageError", "Image", "Limits", "Ranges", "bench", "cat", "check", "commit",
    "compare", "convert", "copy", "create", "detect", "errors", "extract", "flatten", "hash",
    "info", "list_formats", "ls", "map", "measure", "open", "rebase", "repair", "resize", "tree",
    "verify",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """A public name, from the module that makes it."""
    if name not in _PLACES:
        raise AttributeError(f"module 'diskimage' has no attribute {name!r}")
    value = getattr(import_module(f"diskimage.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
