"""A disc as the bytes of its first data track: what every format of plain bytes makes of one."""

from __future__ import annotations

from diskimage.disc.losses import lacking
from diskimage.errors import UsageError
from diskimage.model import Device, Disc, Loss
from diskimage.words import rounded


def user_bytes(what: Device | Disc) -> Device:
    """A device as it is, a disc's first data track. UsageError for a disc without one."""
    if not isinstance(what, Disc):
        return what
    if what.data is None:
        raise UsageError("the disc has no data track", remedy="convert it to BIN/CUE")
    return what.data


def losses(what: Device | Disc, sector: int = 1, why: str = "") -> list[Loss]:
    """What of `what` is not in those bytes of whole sectors (`why`), as its metadata tells.

    Raises UsageError for a disc without data.
    """
    size = user_bytes(what).size
    lost = lacking(what, {"toc"}) if isinstance(what, Disc) else []
    if size % sector:
        text = f"{size} bytes become {rounded(size, sector)}: {why}"
        lost.append(Loss("size", text, content=False))
    return lost
