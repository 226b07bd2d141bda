"""A VMDK as a device: its descriptor, the extents that this names, its parent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.formats.vmdk import descriptor as text, grains, layout
from diskimage.formats.vmdk.descriptor import Descriptor, Extent
from diskimage.layers.blank import Blank
from diskimage.layers.concat import Concat
from diskimage.layers.overlay import Overlay
from diskimage.layers.plain import Plain
from diskimage.layers.slice import Slice
from diskimage.model import HOLE, Bid, Device, Gate, Kind, Look, Source
from diskimage.parse import demand, read
from diskimage.words import size_text

MAGICS = (layout.MAGIC, layout.COWD, layout.SESPARSE)
FLAT = ("FLAT", "VMFS")
SPARSE = ("SPARSE", "VMFSSPARSE", "SESPARSE")
DEVICES = ("VMFSRDM", "VMFSRAW")
NAMES = {layout.MAGIC: "hosted sparse", layout.COWD: "COWD", layout.SESPARSE: "seSparse"}


class Layer(NamedTuple):
    """A sparse extent opened, and its own descriptor where it has one."""

    device: Device
    descriptor: Descriptor | None
    note: str


def probe(look: Look) -> Bid | None:
    """A magic at 0, or a text that begins as a descriptor."""
    for magic in MAGICS:
        if look.head.startswith(magic):
            return Bid(90, f"the magic {magic.rstrip(bytes(1)).decode()} at 0")
    if text.is_text(look.head):
        return Bid(80, "a text that begins as a disk descriptor")
    return None


def open_vmdk(source: Source, gate: Gate) -> Device:
    """The disk: a descriptor's extents one behind the other, or a sparse extent that has its
    descriptor in it; over its parent, which the gate has to allow."""
    if read(source, 0, min(8, source.size), "VMDK header").startswith(MAGICS):
        return _of_extent(source, gate)
    told = text.load(source, 0, source.size, gate.limits)
    if not told.extents:
        raise CorruptError("a descriptor that names no extent", file=source.name)
    empty = HOLE if told.parent_cid is None else Kind.ABSENT
    device = Concat(list(_extents(told, source, gate, empty)))
    if device.size > gate.limits.guest_size:
        raise LimitError(f"{device.size} bytes, over guest_size", file=source.name)
    kinds = dict.fromkeys(extent.type for extent in told.extents)
    device.info = info(told, ", ".join(kinds).lower())
    return _over_parent(device, told, source, gate)


def _of_extent(source: Source, gate: Gate) -> Device:
    """A sparse extent that was opened itself."""
    own = embedded(source, gate)
    if own is None:
        # a seSparse extent is never but a snapshot over another disk
        snapshot = read(source, 0, 8, "VMDK header") == layout.SESPARSE
        layer = sparse(source, gate, Kind.ABSENT if snapshot else HOLE)
        gate.warn("extent", f"{layer.note} without a descriptor: perhaps one of several extents of"
                  " a disk, whose descriptor is to be opened instead")  # fmt: skip
        return layer.device
    layer = sparse(source, gate, HOLE if own.parent_cid is None else Kind.ABSENT, own)
    if len(own.extents) > 1:
        raise UnsupportedError(
            f"a sparse extent whose descriptor names {len(own.extents)}", file=source.name,
            remedy="write the descriptor to a file of its own and open that",
        )  # fmt: skip
    device = layer.device
    if own.extents and own.extents[0].size != device.size:
        device = _cut(device, own.extents[0], source, gate)
    return _over_parent(device, own, source, gate)


def embedded(source: Source, gate: Gate) -> Descriptor | None:
    """The descriptor inside a hosted sparse extent; None where there is none."""
    if not read(source, 0, min(8, source.size), "VMDK header").startswith(layout.MAGIC):
        return None
    header = layout.load(source, gate.limits)
    if header.descriptor_at == 0 or header.descriptor_length == 0:
        return None
    return text.load(source, header.descriptor_at, header.descriptor_length, gate.limits)


def sparse_extents(source: Source, gate: Gate) -> Iterator[tuple[Source, Device]]:
    """Each sparse extent of a disk and its file, without parents: what there is to check."""
    if read(source, 0, min(8, source.size), "VMDK header").startswith(MAGICS):
        yield source, sparse(source, gate, HOLE).device
        return
    for extent in text.load(source, 0, source.size, gate.limits).extents:
        if extent.type in SPARSE and extent.file:
            part = gate.part(extent.file)
            yield part, sparse(part, gate, HOLE).device


def sparse(
    source: Source, gate: Gate, empty: int, own: Descriptor | None = None, *, among: int = 1
) -> Layer:
    """A sparse extent by its magic, one `among` several; grains without a place are `empty`."""
    magic = bytes(read(source, 0, min(8, source.size), "VMDK header"))
    limits, room = gate.limits, gate.limits.table_resident // among
    device: Device
    if magic.startswith(layout.MAGIC):
        header = layout.load(source, limits)
        note = f"{'streamed' if header.compressed else 'hosted'} sparse extent"
        _note_odd(header, source, gate)
        shown = info(own, "sparse", header)
        device = grains.sparse(header, source, room, empty, shown)
    elif magic.startswith(layout.COWD):
        cow, note = layout.load_cow(source, limits), "COWD extent"
        if cow.unclean:
            gate.warn("unclean", "was not closed by the software that wrote it")
        empty = Kind.ABSENT if cow.child else empty
        device = grains.cow(cow, source, room, empty, info(own, note))
    elif magic == layout.SESPARSE:
        se, note = layout.load_se(source, limits), "seSparse extent"
        device = grains.se_sparse(se, source, room, empty, info(own, note))
    else:
        raise CorruptError(f"a sparse extent that begins with {magic!r}", file=source.name, at=0)
    return Layer(device, own, note)


def _note_odd(header: layout.Sparse, source: Source, gate: Gate) -> None:
    if header.unclean:
        gate.warn("unclean", "was not closed by the software that wrote it", 72)
    if layout.lost_directory(header, source):
        gate.warn("directory", "its grain directory is lost, the copy is used", 56)


def _extents(told: Descriptor, source: Source, gate: Gate, empty: int) -> Iterator[Device]:
    """The extents in order, each of the size that its line says."""
    parts: dict[str, Source] = {}
    for extent in told.extents:
        if extent.access == "NOACCESS":
            gate.warn("access", f"{size_text(extent.size)} of the disk are closed to every reader")
            yield Blank(extent.size, Kind.BAD)
        elif extent.type == "ZERO":
            yield Blank(extent.size)
        elif extent.type in DEVICES:
            raise UnsupportedError(
                f"its {extent.type} extent {extent.file!r} is a device of another machine",
                file=source.name, remedy="open a copy of the device itself",
            )  # fmt: skip
        elif extent.type not in (*FLAT, *SPARSE):
            raise UnsupportedError(f"extents of type {extent.type}", file=source.name)
        elif not extent.file:
            raise CorruptError(f"a {extent.type} extent that names no file", file=source.name)
        else:
            if extent.file not in parts:
                parts[extent.file] = gate.part(extent.file)
            part = parts[extent.file]
            if extent.type in FLAT:
                demand(part, extent.offset, extent.size, f"the extent that {source.name} describes")
                yield Slice(Plain(part), extent.offset, extent.size)
            else:
                yield _sparse_part(extent, part, gate, empty, len(told.extents))


def _sparse_part(extent: Extent, part: Source, gate: Gate, empty: int, among: int) -> Device:
    if extent.offset:
        gate.warn("offset", f"the sparse extent {extent.file} is said to begin at {extent.offset}:"
                  " it begins with its file")  # fmt: skip
    device = sparse(part, gate, empty, among=among).device
    return device if device.size == extent.size else _cut(device, extent, part, gate)


def _cut(device: Device, extent: Extent, file: Source, gate: Gate) -> Device:
    """`device` as long as its line says. CorruptError where it is shorter."""
    if device.size < extent.size:
        raise CorruptError(
            f"an extent of {extent.size} bytes, of which its header has {device.size}",
            file=file.name,
        )
    text = f"the descriptor has {extent.size} bytes of an extent of {device.size}"
    gate.warn("size", text)
    return Slice(device, 0, extent.size)


def _over_parent(device: Device, told: Descriptor, source: Source, gate: Gate) -> Device:
    """`device` over the parent that the descriptor names, which has to be as it was."""
    if told.parent_cid is None:
        return device
    name = told.values.get("parentfilenamehint")
    if not name:
        raise CorruptError("it has a parent, and does not name it", file=source.name)
    parent = gate.parent(name, role="parent", format="vmdk")
    if parent is None:
        return device
    found = parent.info.get("cid")
    if found != f"{told.parent_cid:08x}":
        raise CorruptError(
            f"the parent's CID is {found}, the image was made over {told.parent_cid:08x}",
            file=source.name,
            remedy="give the disk that it was made over, unchanged since",
        )
    return Overlay(device, parent)


def info(
    told: Descriptor | None, kinds: str, header: layout.Sparse | None = None
) -> dict[str, object]:
    """What `info` shows. Names of others are as stored: who prints them escapes them."""
    label = told.create_type if told is not None else ""
    variant = label or kinds
    shown: dict[str, object] = {"variant": variant, "create_type": label or None}
    if header is not None:
        shown |= {
            "variant": f"{variant}, {size_text(header.grain)} grains",
            "version": header.version,
            "grain_size": header.grain,
            "compressed": header.compressed,
        }
    if told is not None:
        parent = told.parent_cid
        shown |= {
            "cid": None if told.cid is None else f"{told.cid:08x}",
            "parent_cid": None if parent is None else f"{parent:08x}",
            "parent": told.values.get("parentfilenamehint"),
            "extents": [
                {"access": e.access, "size": e.size, "type": e.type, "file": e.file,
                 "offset": e.offset}
                for e in told.extents
            ],
            "ddb": {k.removeprefix("ddb."): v for k, v in told.values.items()
                    if k.startswith("ddb.")},
        }  # fmt: skip
    return shown
