"""An appliance as one of its disks: an OVA is a tar archive, an OVF a text beside its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from diskimage.errors import CorruptError, MissingError, UnsupportedError, UsageError
from diskimage.formats.ova import tar
from diskimage.formats.ova.envelope import Disk, Envelope, File, format_of, load
from diskimage.layers.blank import Blank
from diskimage.model import Bid, Device, Gate, Kind, Look, Source
from diskimage.parse import read
from diskimage.sources.joined import Joined, Stretch
from diskimage.words import rounded, size_text

SUFFIX = ".ovf"
PARTS = 9  # digits in the suffix of a file that is cut in parts (DSP0243, chunkSize)


class Appliance(NamedTuple):
    """What is in it: `beside` its files by name, where they are members of an archive, as are those
    in `odd`, which are no plain files or stand there twice, with the reason."""

    envelope: Envelope
    text: Source
    beside: Mapping[str, Source] | None
    odd: Mapping[str, str]


def probe(look: Look) -> Bid | None:
    """An archive that begins with an OVF, or one of that suffix; a text that is an OVF."""
    if tar.is_header(look.head):
        if tar.first_name(look.head).lower().endswith(SUFFIX):
            return Bid(90, "a tar archive whose first file is an OVF")
        return Bid(85, "a tar archive") if look.suffix == ".ova" else None
    if look.suffix == SUFFIX and b"<" in look.head[:64] and b"Envelope" in look.head[:4096]:
        return Bid(80, "a text with the element of an OVF")
    return None


def open_ova(source: Source, gate: Gate, *, disk: object = None) -> Device:
    """One disk of the appliance: `disk` is its id, its file's name, or its number from 1 on.

    Without it the only disk. Raises UsageError that names the disks where there are several; where
    this image is looked at by itself, all of them are ABSENT, and a warning says so.
    """
    found = appliance(source, gate)
    disks = found.envelope.disks
    if not disks:
        raise UnsupportedError("is an appliance without a disk", file=source.name)
    if disk is None and len(disks) > 1:
        if not gate.alone:
            raise UsageError(f"holds {len(disks)} disks: {_named(disks)}", file=source.name,
                             remedy=f"say which with --open-option disk={disks[0].id}")  # fmt: skip
        gate.warn("disk", f"none of {len(disks)} disks was opened: {_named(disks)}")
        whole = sum(one.capacity or 0 for one in disks)
        return Blank(whole, Kind.ABSENT, _info(found, None))
    chosen = disks[0] if disk is None else _chosen(disks, str(disk), source)
    inner = opened(found, chosen, gate)
    if chosen.capacity not in (None, inner.size):
        text = f"the disk {chosen.id} has {inner.size} bytes, the OVF says {chosen.capacity}"
        gate.warn("capacity", text)
    return _Told(inner, _info(found, chosen) | _inner_info(inner))


class _Told:
    """A disk, and what is said of it and of the appliance."""

    def __init__(self, device: Device, info: Mapping[str, object]) -> None:
        self.size, self.block, self.info = device.size, device.block, info
        self.runs = device.runs


def appliance(source: Source, gate: Gate) -> Appliance:
    """What `source`, an archive or an OVF, says of itself. Raises what reading it does."""
    if not tar.is_header(bytes(read(source, 0, min(tar.BLOCK, source.size), "a header"))):
        return Appliance(load(source, gate.limits), source, None, {})
    beside, odd = dict[str, Source](), dict[str, str]()
    for member in tar.members(source, gate.limits):
        if member.kind:
            odd[member.name] = f"is {member.kind} in the archive"
            continue
        if member.name in beside:
            odd[member.name] = "is in the archive twice"
        tar.stands(member, source)
        where = [Stretch(source, member.at, member.size)]
        beside[member.name] = Joined(f"{source.name}:{member.name}", where)
    texts = [name for name in beside if name.lower().endswith(SUFFIX)]
    if len(texts) != 1:
        raise UnsupportedError(f"is an archive of {len(texts)} OVFs", file=source.name,
                               remedy="unpack it and open what is in it")  # fmt: skip
    if texts[0] in odd:
        raise CorruptError(f"{texts[0]!r} {odd[texts[0]]}", file=source.name)
    text = beside[texts[0]]
    return Appliance(load(text, gate.limits), text, beside, odd)


def opened(found: Appliance, disk: Disk, gate: Gate) -> Device:
    """A disk of the appliance as its format reads it; one without a file is empty."""
    if disk.file is None:
        if disk.capacity is None:
            text = f"the disk {disk.id} has neither a file nor a capacity"
            raise UnsupportedError(text, file=found.text.name)
        return Blank(disk.capacity)
    format = format_of(disk, found.text)
    return gate.inner(content_of(found, disk.file, gate), format=format, beside=found.beside)


def content_of(found: Appliance, file: File, gate: Gate) -> Source:
    """The bytes of a file of the appliance, its parts joined, its compression undone."""
    stored = stored_bytes(found, file, gate)
    if not file.compression:
        return stored
    if file.compression != "gzip":
        text = f"{file.name!r} is compressed by {file.compression!r}"
        raise UnsupportedError(text, file=found.text.name)
    return gate.reading(gate.inner(stored, format="gzip"), stored.name)


def stored_bytes(found: Appliance, file: File, gate: Gate) -> Source:
    """The bytes of a file as they are stored."""
    if not file.chunk:
        return one(found, file.name, gate)
    if file.size is None:
        text = f"{file.name!r} is in parts, and its size is not said"
        raise UnsupportedError(text, file=found.text.name)
    count = rounded(file.size, file.chunk) // file.chunk
    if count > gate.limits.text_entries:
        raise UnsupportedError(f"{file.name!r} is in {count} parts", file=found.text.name)
    parts = [one(found, f"{file.name}.{number:0{PARTS}}", gate) for number in range(count)]
    return Joined(file.name, [Stretch(part, 0, part.size) for part in parts])


def one(found: Appliance, name: str, gate: Gate) -> Source:
    """A file by its name: a member of the archive, or a part beside the OVF."""
    plain = unquote(name)
    if found.beside is None:
        return gate.part(name, instead=(plain,) if plain != name else ())
    for told in (name, plain):
        if told in found.odd:
            text = f"its file {told!r} {found.odd[told]}"
            raise UnsupportedError(text, file=found.text.name, remedy="unpack the archive")
        if told in found.beside:
            return found.beside[told]
    raise MissingError(f"names {name!r}, which is not in the archive", file=found.text.name)


def _chosen(disks: tuple[Disk, ...], text: str, source: Source) -> Disk:
    """The disk of that id, file or number. UsageError."""
    for disk in disks:
        if text == disk.id or (disk.file is not None and text == disk.file.name):
            return disk
    if text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= len(disks):
        return disks[int(text[:9]) - 1]
    remedy = f"its disks: {_named(disks)}"
    raise UsageError(f"has no disk {text!r}", file=source.name, remedy=remedy)


def _named(disks: tuple[Disk, ...]) -> str:
    """The disks for people."""
    told = []
    for disk in disks[:16]:
        file = disk.file.name if disk.file is not None else "empty"
        size = "" if disk.capacity is None else f", {size_text(disk.capacity)}"
        told.append(f"{disk.id} ({file}{size})")
    return ", ".join(told) + (f" and {len(disks) - 16} more" if len(disks) > 16 else "")


def _info(found: Appliance, disk: Disk | None) -> dict[str, object]:
    """What `info` shows of the appliance."""
    kind, disks = "OVF" if found.beside is None else "OVA", found.envelope.disks
    count = "1 disk" if len(disks) == 1 else f"{len(disks)} disks"
    return {
        "variant": f"{kind}, {count}",
        "appliance": found.envelope.name,
        "disk": None if disk is None else disk.id,
        "disks": [
            {"id": one.id, "file": None if one.file is None else one.file.name,
             "capacity": one.capacity, "format": one.format}
            for one in disks
        ],
    }  # fmt: skip


def _inner_info(inner: Device) -> dict[str, object]:
    """What its format says of the disk; its sectors are the appliance's."""
    told: dict[str, object] = {"disk_info": dict(inner.info)}
    sector = inner.info.get("sector_size")
    return told if sector is None else {**told, "sector_size": sector}
