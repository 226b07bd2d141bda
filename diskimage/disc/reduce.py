"""A disc as the bytes of its first data track: what every format of plain bytes makes of one."""

from __future__ import annotations

from collections.abc import Mapping

from diskimage.disc.losses import lacking
from diskimage.errors import UsageError
from diskimage.model import Device, Disc, Loss
from diskimage.words import rounded

_NAMED = 5  # snapshots that a loss lists


def user_bytes(what: Device | Disc) -> Device:
    """A device as it is, a disc's first data track. UsageError for a disc without one."""
    if not isinstance(what, Disc):
        return what
    if what.data is None:
        raise UsageError("the disc has no data track", remedy="convert it to BIN/CUE")
    return what.data


def _states(device: Device) -> list[Loss]:
    """The snapshots inside of an image; of the one that was opened the state of its machine."""
    chosen, listed = device.info.get("snapshot"), device.info.get("snapshots")
    if isinstance(chosen, Mapping):
        state = chosen.get("vm_state_size")
        return [Loss("snapshots", f"the state of its machine, {state} bytes")] if state else []
    rows = listed if isinstance(listed, list) else []
    # those of a bundle have no name here: they are the layers of a chain, which is flattened
    names = [str(row["name"]) for row in rows if "name" in row]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    told = f"its snapshots {', '.join(names[:_NAMED])}{more}"
    return [Loss("snapshots", told)] if names else []


def losses(
    what: Device | Disc, sector: int = 1, why: str = "", *, told: int | None = None
) -> list[Loss]:
    """What of `what` is not in those bytes of whole sectors (`why`), as its metadata tells.

    `told` are the bytes of a sector that the format tells its guest, where it tells any. Raises
    UsageError for a disc without data.
    """
    size = user_bytes(what).size
    lost = lacking(what, {"toc"}) if isinstance(what, Disc) else _states(what)
    if size % sector:
        text = f"{size} bytes become {rounded(size, sector)}: {why}"
        lost.append(Loss("size", text, content=False))
    if told == 512 and what.info.get("sector_size") == 4096:
        # of a disk; a disc's 2048 bytes are no such promise
        lost.append(Loss("sectors", f"its sectors of 4096 bytes become such of {told}"))
    return lost
