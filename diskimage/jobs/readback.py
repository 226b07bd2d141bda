"""What was written, read back from the medium and held against what was to be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from diskimage.engine.compare import differing
from diskimage.engine.copy import Work, digest
from diskimage.engine.digest import Sum, new
from diskimage.engine.guard import guarded
from diskimage.errors import ChecksumError
from diskimage.layers.plain import Plain
from diskimage.layers.slice import Slice
from diskimage.model import Device
from diskimage.sources.device import is_device, open_device
from diskimage.sources.direct import DirectSource, open_direct
from diskimage.sources.file import open_file

if TYPE_CHECKING:
    from diskimage.layers.bmap import Bmap


def read_back(
    path: str, size: int, expected: Sum, name: str, work: Work, wanted: Device | None,
    bmap: Bmap | None = None,
) -> str:  # fmt: skip
    """Read `size` bytes of `path` past the cache and compare their digest `name` with `expected`.

    `wanted`, what was to be written, tells where a difference is; what a `bmap` leaves out counts
    as zeros. Gives how the cache was passed:
    "direct" (O_DIRECT) or "dropped" (posix_fadvise, a wish that the system may ignore). Raises
    ChecksumError with the first differing range.
    """
    plain = open_device(path) if is_device(path) else open_file(path)
    if plain.size < size:
        plain.close()
        raise _wrong(path, f": it ends at {plain.size} of {size} bytes", plain.size)
    direct = open_direct(path, os.O_RDONLY)
    source = plain if direct is None else DirectSource(plain, direct)
    try:
        if direct is None and hasattr(os, "posix_fadvise") and plain.fd is not None:
            os.posix_fadvise(plain.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        written: Device = Slice(Plain(source), 0, size)
        if bmap is not None:
            written = _mapped(written, bmap)
        work.watch.begin("verify", size)
        found = new(name)
        digest(guarded(written), (found,), work)
        if found.hexdigest() != expected.hexdigest():
            raise _differs(path, written, wanted, work)
    finally:
        if direct is not None:
            os.close(direct)
        plain.close()
    return "dropped" if direct is None else "direct"


def _mapped(device: Device, bmap: Bmap) -> Device:
    from diskimage.layers.bmap import Mapped  # few have one

    return Mapped(device, bmap.ranges)


def _differs(path: str, written: Device, wanted: Device | None, work: Work) -> ChecksumError:
    first = None
    if wanted is not None:
        first = next(iter(differing(written, wanted, work, most=1)), None)
    where = "" if first is None else f": {first.length} bytes from {first.start} differ"
    return _wrong(path, where, None if first is None else first.start)


def _wrong(path: str, where: str, at: int | None) -> ChecksumError:
    return ChecksumError(
        f"what is read back is not what was written{where}",
        file=path,
        at=at,
        remedy="the medium or the way to it fails: do not trust it",
    )
