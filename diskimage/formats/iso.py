"""ISO images: a disc's user data, 2048 bytes a sector; and files of bare frames without a sheet.

A 2048-byte image is a device, byte for byte the file. A file of 2324, 2336, 2332, 2352, 2368 or
2448-byte frames is a disc of one data track, whatever its suffix. ECMA-119 (volume descriptors),
ECMA-130 (frames). Not supported: files of audio alone, which nothing marks.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.disc import volume
from diskimage.disc.bare import marked, mode_of, opened, packs
from diskimage.disc.content import shown
from diskimage.disc.modes import MODE2_2332, MODE2_2336, SYNC, USER, cooks
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import UnsupportedError
from diskimage.model import (
    Bid,
    Copy,
    Device,
    Disc,
    Finding,
    Format,
    Gate,
    Look,
    Loss,
    Plan,
    Size,
    Source,
)
from diskimage.sources.memory import MemorySource


def probe(look: Look) -> Bid | None:
    """A volume descriptor at sector 16 of any frame size, or two syncs a frame apart."""
    if marked(look.head, volume.FIRST * USER):
        return Bid(90, f"{_standard(look.head, volume.FIRST * USER)} at 32769 (2048-byte frames)")
    head = MemorySource(look.head)
    found = shown(head, 0, len(look.head)) if look.head[:12] == SYNC else None
    if found is not None and cooks(found):
        return Bid(90, f"sync every {found.size} bytes ({found.name} frames)")
    for mode in (MODE2_2336, MODE2_2332):
        at = volume.FIRST * mode.size + mode.user_at
        if marked(look.head, at):
            return Bid(90, f"{_standard(look.head, at)} at {at + 1} ({mode.size}-byte frames)")
    if packs(head):
        return Bid(60, "an MPEG pack every 2324 bytes (Form 2 frames)")
    if look.suffix == ".iso" and look.size:
        return Bid(20, "suffix .iso, and no volume descriptor")
    return None


def _standard(head: bytes, at: int) -> str:
    return head[at + 1 : at + 6].decode("ascii")


def open_iso(source: Source, gate: Gate) -> Device | Disc:
    """The device or one-track disc in `source`. Raises CorruptError for impossible descriptors."""
    return opened(source, gate)


def check(source: Source, _gate: Gate) -> Iterator[Finding]:
    """What the descriptors' place shows; the file system's own check says the rest."""
    if mode_of(source) is None and not volume.present(source):
        yield Finding("corrupt", "no volume descriptor, of ISO 9660 or UDF", volume.FIRST * USER)


def losses(what: Device | Disc, **_options: object) -> list[Loss]:
    """What an ISO cannot hold of `what`, as its metadata tells; Form 2 only the pass can tell."""
    return reduced(what)


def create(what: Device | Disc, stem: str, **_options: object) -> Plan:
    """An ISO of `what`: the first data track of a disc, or the whole of a device.

    Raises UsageError for a disc without data, UnsupportedError for a device that is no multiple of
    2048 bytes.
    """
    device = user_bytes(what)
    if device.size % USER:
        raise UnsupportedError(
            f"{device.size} bytes are no multiple of the 2048-byte sectors of {stem or 'an ISO'}",
            remedy="convert to raw, or pad it first",
        )
    yield Size(device.size)
    yield Copy(device.runs(), 0)


FORMAT = Format(
    name="iso",
    title="ISO image (2048-byte sectors) or bare CD frames",
    suffixes=(".iso",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_iso,
    losses=losses,
    create=create,
    check=check,
    in_order=True,
)
