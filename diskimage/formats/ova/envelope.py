"""The OVF of an appliance: which disks it has, in which files and formats.

Facts: DMTF DSP0243 (Open Virtualization Format 1.1 and 2.1), References and DiskSection; names are
told without their prefixes, so that the drafts of 0.9 and the schemas of 1 and 2 read alike.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import read
from diskimage.xml import Node, tree

DEPTH = 64
_UNITS = re.compile(r"byte(?:\s*\*\s*(2|10)\s*\^\s*([0-9]{1,2}))?")
_OLD = {"bytes": 1, "kilobytes": 1 << 10, "megabytes": 1 << 20, "gigabytes": 1 << 30}
_TOLD = (
    # (what the URL of a format has in it, the format): the specification names none but VMDK
    ("vmdk", "vmdk"),
    ("qcow", "qcow2"),
    ("bb676673", "vhd"),  # of Microsoft's page on VHD
    ("LinkId=137171", "vhd"),  # VirtualBox's of the same
    ("vhdx", "vhdx"),
    ("vhd", "vhd"),
    ("vdi", "vdi"),
)
_SUFFIXES = {
    ".vmdk": "vmdk", ".vhd": "vhd", ".vhdx": "vhdx", ".qcow2": "qcow2", ".vdi": "vdi",
    ".img": "raw", ".raw": "raw",
}  # fmt: skip


class File(NamedTuple):
    """A file of the appliance: `compression` "" where there is none, `chunk` the bytes of each of
    its parts, 0 where it is one file."""

    id: str
    name: str
    size: int | None
    compression: str
    chunk: int


class Disk(NamedTuple):
    """A disk: `file` None where it is empty; `parent` the disk that it is a delta of."""

    id: str
    file: File | None
    format: str
    capacity: int | None
    parent: str


class Envelope(NamedTuple):
    """An appliance: its name, its files, its disks in order."""

    name: str
    files: tuple[File, ...]
    disks: tuple[Disk, ...]


def load(source: Source, limits: Limits) -> Envelope:
    """What the OVF in `source` says. Raises CorruptError, LimitError, UnsupportedError."""
    if source.size > limits.text_file:
        raise LimitError(f"an OVF of {source.size} bytes, over text_file", file=source.name)
    data = read(source, 0, source.size, "the OVF")
    root = tree(data, source, what="its OVF", depth=DEPTH)
    if root.tag != "Envelope":
        raise CorruptError(f"its element is <{root.tag}>, not <Envelope>", file=source.name)
    files = [_file(node, source) for node in root.child("References").children]
    if len({file.id for file in files}) < len(files):
        raise CorruptError("two of its files have one id", file=source.name)
    known = {file.id: file for file in files}
    rows = [node for section in _sections(root) for node in section.children if node.tag == "Disk"]
    if len(rows) + len(files) > limits.text_entries:
        raise LimitError("more files and disks than text_entries", file=source.name)
    disks = tuple(_disk(node, known, source) for node in rows)
    if len({disk.id for disk in disks}) < len(disks):
        raise CorruptError("two of its disks have one id", file=source.name)
    whole = sum(disk.capacity or 0 for disk in disks)
    if whole > limits.guest_size:
        raise LimitError(f"disks of {whole} bytes, over guest_size", file=source.name)
    return Envelope(_name(root), tuple(files), disks)


def _sections(root: Node) -> list[Node]:
    """The sections of disks: by their element, or in drafts of 0.9 by their type."""
    return [
        node
        for node in root.children
        if node.tag == "DiskSection" or "DiskSection" in node.attributes.get("type", "")
    ]


def _name(root: Node) -> str:
    """What the appliance is called."""
    for node in root.children:
        if node.tag in ("VirtualSystem", "VirtualSystemCollection", "Content"):
            return (node.child("Name").text or node.attributes.get("id", "")).strip()
    return ""


def _file(node: Node, source: Source) -> File:
    told = node.attributes
    if not told.get("id") or not told.get("href"):
        raise CorruptError("a file without an id or a name", file=source.name)
    compression = told.get("compression", "")
    return File(
        told["id"], told["href"], _number(told.get("size"), "size", source),
        "" if compression == "identity" else compression,
        _number(told.get("chunkSize"), "chunkSize", source) or 0,
    )  # fmt: skip


def _disk(node: Node, files: dict[str, File], source: Source) -> Disk:
    told = node.attributes
    id, reference = told.get("diskId"), told.get("fileRef")
    if not id:
        raise CorruptError("a disk without an id", file=source.name)
    if reference and reference not in files:
        raise CorruptError(f"the disk {id!r} is in no file that it names", file=source.name)
    return Disk(
        id, files[reference] if reference else None, told.get("format", ""),
        _capacity(told, source), told.get("parentRef", ""),
    )  # fmt: skip


def _number(text: str | None, what: str, source: Source) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 19:
        raise CorruptError(f"{what} is {text[:40]!r}, no number", file=source.name)
    return int(text)


def _capacity(told: dict[str, str], source: Source) -> int | None:
    """Bytes of a disk; None where a property of the appliance is to say them."""
    text = told.get("capacity", "").strip()
    if text.startswith("${"):
        return None
    number, units = _number(text, "capacity", source), told.get("capacityAllocationUnits", "byte")
    if number is None:
        return None
    if units.strip().lower() in _OLD:
        return number * _OLD[units.strip().lower()]
    match = _UNITS.fullmatch(units.strip())
    if match is None:
        raise CorruptError(f"a capacity in {units[:40]!r}", file=source.name)
    return number * int(match[1]) ** int(match[2]) if match[1] else number


def format_of(disk: Disk, source: Source) -> str:
    """The name of the format that the OVF says a disk has, else that its file's suffix says.

    UnsupportedError where neither is one of ours.
    """
    assert disk.file is not None
    for part, name in _TOLD:
        if part.lower() in disk.format.lower():
            return name
    plain = disk.file.name.removesuffix(".gz") if disk.file.compression else disk.file.name
    for suffix, name in _SUFFIXES.items():
        if plain.lower().endswith(suffix):
            return name
    raise UnsupportedError(
        f"the disk {disk.id!r} is in the format {disk.format or 'of ' + plain!r}", file=source.name,
        remedy="unpack the archive and open the disk's file",
    )  # fmt: skip
