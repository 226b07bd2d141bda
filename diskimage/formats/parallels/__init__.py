"""Parallels: expandable images (`.hds`) of both magics, and `.hdd` bundles of them.

Facts: QEMU docs/interop/parallels and prl-xml. Little-endian. docs/formats/parallels.md draws it.
Not supported: encrypted disks, padding, opening a snapshot other than the current state.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.parallels import bundle, layout
from diskimage.formats.parallels.create import create, full, losses
from diskimage.model import HOLE, Bid, Device, Finding, Format, Gate, Look, Source
from diskimage.parse import read

LOOKED = 4096  # bytes of a descriptor in which its element begins
DESCRIPTOR = "DiskDescriptor.xml"


def probe(look: Look) -> Bid | None:
    """One of the magics at 0, or the element of a bundle's descriptor."""
    if look.head[:16] in (layout.OLD, layout.NEW):
        return Bid(95, f"the magic {look.head[:16].decode()} at 0")
    if _described(look.head[:LOOKED]):
        return Bid(90, f"an element <{bundle.ROOT}>")
    return None


def _described(head: bytes) -> bool:
    element = f"<{bundle.ROOT}".encode()
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and element in head


def open_parallels(source: Source, gate: Gate) -> Device:
    """The disk; a bundle's is what its current images say over those below them."""
    if _is_bundle(source):
        return bundle.open_bundle(source, gate)
    header = layout.load(source, gate.limits)
    layout.warn(header, source, gate)
    if DESCRIPTOR in gate.siblings():
        gate.warn("bundle", "is a part of a bundle, read alone: open its directory for the disk")
    return layout.layer(header, source, gate.limits, HOLE)


def _is_bundle(source: Source) -> bool:
    return _described(bytes(read(source, 0, min(LOOKED, source.size), "Parallels image")))


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Each stored cluster belongs to one entry; of a bundle, in each image that is current."""
    if not _is_bundle(source):
        yield from layout.check(layout.load(source, gate.limits), source, gate.limits)
        return
    found = bundle.load(source, gate.limits)
    for storage in found.storages:
        for file in bundle.chain(found, storage, source, gate.limits):
            if file.type == bundle.COMPRESSED:
                part = gate.part(file.name)
                header = layout.load(part, gate.limits)
                for one in layout.check(header, part, gate.limits):
                    yield one._replace(message=f"{file.name}: {one.message}")


FORMAT = Format(
    name="parallels",
    title="Parallels disk image",
    suffixes=(".hds", ".hdd"),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_parallels,
    losses=losses,
    create=create,
    check=check,
    full=full,
)
