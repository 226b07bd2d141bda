"""The parent of a differencing disk: its names, and whether it is the disk that was meant."""

from __future__ import annotations

from urllib.parse import unquote

from diskimage.errors import CorruptError, LimitError
from diskimage.formats.vhd.layout import EPOCH, Header, Locator
from diskimage.limits import Limits
from diskimage.model import Device, Gate, Source
from diskimage.parse import read

RELATIVE, ABSOLUTE, URL = b"W2ru", b"W2ku", b"MacX"
WAYS = (RELATIVE, ABSOLUTE, URL)
"""The locators that are names, the one to be believed first."""
SLACK = 2  # seconds: the granule of FAT's times


def opened(header: Header, source: Source, gate: Gate) -> Device | None:
    """The parent, which has to be the disk that the image was made over; None where unopened.

    Raises CorruptError for another disk, and what the gate raises.
    """
    name = name_of(header, source, gate.limits)
    if not name:
        raise CorruptError("a differencing disk that names no parent", file=source.name)
    parent = gate.parent(name, role="parent", format="vhd")
    if parent is None:
        return None
    found = parent.info.get("uuid")
    if found != str(header.parent):
        raise CorruptError(
            f"the parent's UUID is {found}, the image was made over {header.parent}",
            file=source.name,
            remedy="give the disk that it was made over",
        )
    _same_time(header, parent, gate)
    if parent.size != header.size:
        gate.warn("size", f"the parent has {parent.size} bytes, the image {header.size}")
    return parent


def _same_time(header: Header, parent: Device, gate: Gate) -> None:
    """A warning where the parent is of another time than the image says.

    Some writers keep the time in the parent's footer, some that of its file (VirtualBox, VHD.cpp).
    """
    times = [parent.info.get("time"), parent.info.get("modified")]
    known = [int(time) for time in times if isinstance(time, int | float)]
    said = header.parent_time + EPOCH
    if header.parent_time and known and all(abs(time - said) > SLACK for time in known):
        gate.warn(
            "parent-time", "the parent was written or copied since the image was made over it"
        )


def name_of(header: Header, source: Source, limits: Limits) -> str:
    """The parent's name: of its locators the relative path before others, else the bare name."""
    by_way = {one.platform: one for one in reversed(header.locators) if one.length}
    for way in WAYS:
        if way in by_way:
            return _stored(by_way[way], source, limits)
    return header.parent_name


def names(header: Header, source: Source, limits: Limits) -> dict[str, str]:
    """Every locator that is a name, by its platform's code."""
    return {
        one.platform.decode("ascii"): _stored(one, source, limits)
        for one in header.locators
        if one.platform in WAYS and one.length
    }


def _stored(locator: Locator, source: Source, limits: Limits) -> str:
    """The name at a locator. CorruptError, LimitError, TruncatedError."""
    if locator.length > limits.path_bytes:
        text = f"the name of the parent has {locator.length} bytes, over path_bytes"
        raise LimitError(f"{text} {limits.path_bytes}", file=source.name, at=locator.at)
    raw = bytes(read(source, locator.at, locator.length, "the parent's name"))
    try:
        if locator.platform == URL:
            return unquote(raw.decode("utf-8").partition("\0")[0], errors="strict")
        return raw.decode("utf-16-le").partition("\0")[0]
    except UnicodeDecodeError:
        what = locator.platform.decode("ascii")
        raise CorruptError(
            f"the parent's name ({what}) is no text", file=source.name, at=locator.at
        ) from None
