"""A `.hdd` bundle: the files that DiskDescriptor.xml names, as one disk.

Facts: QEMU docs/interop/prl-xml. A disk is one or more storages, one behind the other; each has a
root image and the images of the snapshots over it.
"""

from __future__ import annotations

from typing import NamedTuple

from diskimage.errors import (
    CorruptError,
    LimitError,
    LoopError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.parallels import layout
from diskimage.layers.concat import Concat
from diskimage.layers.overlay import Overlay
from diskimage.layers.plain import Plain
from diskimage.layers.slice import Slice
from diskimage.limits import Limits
from diskimage.model import HOLE, Device, Gate, Kind, Source
from diskimage.parse import read
from diskimage.xml import Node, tree

ROOT = "Parallels_disk_image"
TOP = "{5fbaabe3-6958-40ff-92a7-860e329aab41}"
NOBODY = "{00000000-0000-0000-0000-000000000000}"
SECTOR = 512
DEPTH = 32  # levels of a descriptor
COMPRESSED, PLAIN = "Compressed", "Plain"


class File(NamedTuple):
    """One image of a storage."""

    type: str
    name: str


class Storage(NamedTuple):
    """Guest bytes [start, stop), and the images that hold them by GUID."""

    start: int
    stop: int
    cluster: int
    files: dict[str, File]


class Bundle(NamedTuple):
    """What the descriptor says. `parents`: each snapshot's GUID to its parent's."""

    size: int
    storages: tuple[Storage, ...]
    parents: dict[str, str]
    top: str | None


def load(source: Source, limits: Limits) -> Bundle:
    """The descriptor. Raises CorruptError, LimitError, UnsupportedError."""
    if source.size > limits.text_file:
        raise LimitError(f"a descriptor of {source.size} bytes, over text_file", file=source.name)
    text = read(source, 0, source.size, "DiskDescriptor.xml")
    root = tree(text, source, what="its descriptor", depth=DEPTH)
    if root.tag != ROOT:
        raise CorruptError(f"its element is <{root.tag}>, not <{ROOT}>", file=source.name)
    _understood(root.child("Disk_Parameters"), source)
    data, snapshots = root.child("StorageData"), root.child("Snapshots")
    storages = [_storage(node, source) for node in data.children if node.tag == "Storage"]
    if not storages or len(storages) > limits.text_entries:
        raise CorruptError(f"{len(storages)} storages", file=source.name)
    storages.sort(key=lambda storage: storage.start)
    at = 0
    for storage in storages:
        if storage.start != at or storage.stop <= at:
            raise CorruptError(f"storages that leave a gap or overlap at byte {at}",
                               file=source.name)  # fmt: skip
        at = storage.stop
    size = _sectors(root.child("Disk_Parameters").child("Disk_size"), source)
    if size != at:
        raise CorruptError(f"{at} bytes of storages for a disk of {size}", file=source.name)
    shots = [node for node in snapshots.children if node.tag == "Shot"]
    return Bundle(
        size=size,
        storages=tuple(storages),
        parents={_guid(one.child("GUID")): _guid(one.child("ParentGUID")) for one in shots},
        top=_guid(snapshots.child("TopGUID")) or None,
    )


def _guid(node: Node) -> str:
    return node.text.strip().lower()


def _understood(parameters: Node, source: Source) -> None:
    """Refuse what changes the meaning of the bytes."""
    padding = parameters.child("Padding").text.strip()
    if padding not in ("", "0"):
        raise UnsupportedError(f"padding {padding!r}", file=source.name)
    engine = _guid(parameters.child("Encryption").child("Engine"))
    if engine not in ("", NOBODY):
        raise UnsupportedError(f"is encrypted by the engine {engine}", file=source.name,
                               remedy="decrypt it with the software that made it")  # fmt: skip
    sector = parameters.child("LogicSectorSize").text.strip()
    if sector not in ("", str(SECTOR)):
        raise UnsupportedError(f"sectors of {sector} bytes", file=source.name)


def _storage(node: Node, source: Source) -> Storage:
    files = {
        _guid(image.child("GUID")): File(
            image.child("Type").text.strip(), image.child("File").text.strip()
        )
        for image in node.children
        if image.tag == "Image"
    }
    if not files:
        raise CorruptError("a storage without an image", file=source.name)
    return Storage(
        _sectors(node.child("Start"), source), _sectors(node.child("End"), source),
        _sectors(node.child("Blocksize"), source), files,
    )  # fmt: skip


def _sectors(node: Node, source: Source) -> int:
    """A number of sectors, in bytes."""
    text = node.text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 16:
        raise CorruptError(f"<{node.tag}> is {text[:40]!r}, no number", file=source.name)
    return int(text) * SECTOR


def chain(bundle: Bundle, storage: Storage, source: Source, limits: Limits) -> list[File]:
    """The images of the current state of a storage, its root first."""
    guid = bundle.top or TOP
    if guid not in storage.files and not bundle.parents and len(storage.files) == 1:
        return list(storage.files.values())
    found: list[File] = []
    seen: set[str] = set()
    while guid not in ("", NOBODY):
        if guid in seen:
            raise LoopError(f"the snapshot {guid} is its own ancestor", file=source.name)
        if len(seen) >= limits.chain_depth:
            text = f"more than {limits.chain_depth} snapshots (limit chain_depth)"
            raise LimitError(text, file=source.name)
        if guid not in storage.files:
            raise CorruptError(f"no image has the GUID {guid}", file=source.name)
        seen.add(guid)
        found.append(storage.files[guid])
        guid = bundle.parents.get(guid, NOBODY)
    return found[::-1]


def open_bundle(source: Source, gate: Gate) -> Device:
    """The disk as it is now, over all snapshots."""
    bundle = load(source, gate.limits)
    if bundle.size > gate.limits.guest_size:
        raise LimitError(f"guest size {bundle.size} is over guest_size", file=source.name)
    parts = [_opened(bundle, storage, source, gate) for storage in bundle.storages]
    return Disk(Concat(parts), bundle)


class Disk:
    """A bundle's guest bytes."""

    def __init__(self, content: Concat, bundle: Bundle) -> None:
        self.size, self.block, self._content = content.size, content.block, content
        self.runs = content.runs
        shots = len(bundle.parents)
        self.info = {
            "variant": f"bundle, {len(bundle.storages)} storages, {shots} snapshots",
            "storages": len(bundle.storages),
            "snapshots": [
                {"id": guid, "parent": parent} for guid, parent in bundle.parents.items()
            ],
        }


def _opened(bundle: Bundle, storage: Storage, source: Source, gate: Gate) -> Device:
    device: Device | None = None
    for file in chain(bundle, storage, source, gate.limits):
        layer = _layer(file, storage, device is None, gate, source)
        device = layer if device is None else Overlay(layer, device)
    assert device is not None
    return device


def _layer(file: File, storage: Storage, lowest: bool, gate: Gate, source: Source) -> Device:
    """One image of a storage, as long as the storage."""
    if file.type not in (COMPRESSED, PLAIN):
        raise UnsupportedError(f"an image of type {file.type!r}", file=source.name)
    if file.type == PLAIN and not lowest:
        raise CorruptError(f"the snapshot {file.name!r} is a plain file", file=source.name)
    part, want = gate.part(file.name), storage.stop - storage.start
    device: Device = Plain(part)
    if file.type == COMPRESSED:
        header = layout.load(part, gate.limits)
        layout.warn(header, part, gate)
        if header.cluster != storage.cluster:
            text = f"{header.cluster} bytes in {file.name}, {storage.cluster} in the descriptor"
            gate.warn("cluster", f"clusters of {text}")
        device = layout.layer(header, part, gate.limits, HOLE if lowest else Kind.ABSENT)
    if device.size < want:
        text = f"holds {device.size} bytes, its storage has {want}"
        raise TruncatedError(text, file=part.name, at=device.size)
    return device if device.size == want else Slice(device, 0, want)
