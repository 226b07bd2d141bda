"""VDI, the disk image of VirtualBox: dynamic, fixed and differencing, versions 0.1 and 1.1.

Facts: VirtualBox src/VBox/Storage/VDICore.h and VDI.cpp, QEMU block/vdi.c. Little-endian. A map of
one u32 a block says where each block of (usually) 1 MiB lies; docs/formats/vdi.md draws it.
Not supported: undo images (type 3), sectors other than 512 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from diskimage.errors import CorruptError, LimitError
from diskimage.formats.vdi.create import OPTIONS, create, losses
from diskimage.formats.vdi.layout import (
    DIFFERENCING,
    FREE,
    NOBODY,
    SIGNATURE,
    SIGNATURE_AT,
    TYPES,
    ZEROED,
    Header,
    demand_map,
    entries,
    load,
)
from diskimage.formats.vdi.resize import resized
from diskimage.formats.vdi.write import Map
from diskimage.layers.growing import Growing
from diskimage.layers.overlay import Overlay
from diskimage.layers.table import Flat, Match, Pages, Rule, TableDevice
from diskimage.model import (
    HOLE,
    Barrier,
    Bid,
    Device,
    Finding,
    Format,
    Gate,
    Kind,
    Look,
    Put,
    Repair,
    Source,
)
from diskimage.sources.pending import Pending
from diskimage.words import size_text


def probe(look: Look) -> Bid | None:
    """The signature at 0x40."""
    if look.head[SIGNATURE_AT : SIGNATURE_AT + 4] == SIGNATURE:
        return Bid(95, "the VDI signature BEDA107F at 64")
    return None


def open_vdi(source: Source, gate: Gate) -> Device:
    """The disk; a differencing one over its parent, which is asked for by UUID."""
    header = load(source, gate.limits)
    demand_map(source, header, gate.faults)
    end = header.map_at + 4 * header.blocks  # where blocks may begin
    pending = Pending(source, stop=end)
    flat = Flat(Pages(pending, gate.limits.table_resident), header.map_at, header.blocks, 4)
    layer = TableDevice(
        size=header.size,
        block=header.block,
        data=source,
        entries=flat,
        rule=rule(header),
        empty=HOLE,
        info=info(header),
    )
    parent = _parent(header, source, gate) if header.type == DIFFERENCING else None
    whole = layer if parent is None else Overlay(layer, parent)
    room = Map(flat, whole, header, source, pending, gate.limits)
    return Growing(layer, whole, room, partial(resized, header, source, whole, room))


def rule(header: Header) -> Rule:
    """What a map entry means. A free block is the parent's, or zeros where there is none."""
    free = Kind.ABSENT if header.type == DIFFERENCING else HOLE
    return Rule(
        width=4,
        matches=(Match(FREE, FREE, free), Match(FREE, ZEROED, HOLE)),
        mask=FREE,
        scale=header.pitch,
        base=header.data_at + header.extra,
    )


def info(header: Header) -> dict[str, object]:
    """What `info` shows."""
    shown: dict[str, object] = {
        "variant": f"{TYPES[header.type]}, {size_text(header.block)} blocks",
        "version": header.version,
        "type": TYPES[header.type],
        "block_size": header.block,
        "blocks": header.blocks,
        "allocated_blocks": header.allocated,
        "uuid": str(header.image),
        "modification_uuid": str(header.modified),
    }
    if header.comment:
        shown["comment"] = header.comment
    if header.parent != NOBODY:
        shown["parent_uuid"] = str(header.parent)
    return shown


def _parent(header: Header, source: Source, gate: Gate) -> Device | None:
    """The parent with the UUID that the image names. CorruptError where it is another disk."""
    if header.parent == NOBODY:
        raise CorruptError("a differencing image that names no parent", file=source.name)
    parent = gate.parent(
        f"{{{header.parent}}}", role="parent", format="vdi",
        known=lambda other: load(other, gate.limits).image == header.parent,
    )  # fmt: skip
    if parent is None:
        return None
    for key, uuid in (("uuid", header.parent), ("modification_uuid", header.parent_modified)):
        found = parent.info.get(key)
        if uuid != NOBODY and found is not None and found != str(uuid):
            raise CorruptError(
                f"the parent's {key.replace('_', ' ')} is {found}, the image was made over {uuid}",
                file=source.name,
                remedy="give the disk that it was made over, unchanged since",
            )
    return parent


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Each block of the file belongs to one entry at most, and lies inside the file.

    A bit for each block that the file can hold is kept: LimitError where they pass `metadata`.
    """
    header = load(source, gate.limits)
    demand_map(source, header, gate.faults)
    room = min(ZEROED, max(0, source.size - header.data_at) // header.pitch)
    if room // 8 > gate.limits.metadata:
        text = f"a check of {room} blocks needs {room // 8} bytes, over metadata"
        raise LimitError(f"{text} {gate.limits.metadata}", file=source.name)
    taken = bytearray(room // 8 + 1)  # a bit for each block that the file can hold
    allocated = 0
    for index, entry in enumerate(entries(source, header)):
        if entry >= ZEROED:
            continue
        allocated += 1
        at = header.map_at + 4 * index
        if entry >= room and not _last_cut(header, source, index, entry):
            yield Finding("truncated", f"block {index} is stored past the end of the file", at)
        elif entry < room and taken[entry >> 3] >> (entry & 7) & 1:
            yield Finding("corrupt", f"block {index} shares stored block {entry}", at)
        elif entry < room:
            taken[entry >> 3] |= 1 << (entry & 7)
    if allocated != header.allocated:
        message = f"the header counts {header.allocated} stored blocks, the map {allocated}"
        yield Finding("corrupt", message, 0x184)


def _last_cut(header: Header, source: Source, index: int, entry: int) -> bool:
    """Whether it is the guest's last block, cut in the file behind the last guest byte."""
    rest = header.size - index * header.block
    end = header.data_at + entry * header.pitch + header.extra + rest
    return index == header.used - 1 and end <= source.size


def repair(source: Source, gate: Gate) -> Repair:
    """The count of stored blocks, by which other writers find the place of the next one."""
    header = load(source, gate.limits)
    demand_map(source, header, gate.faults)
    number = count = 0
    for entry in entries(source, header):
        if entry < ZEROED:
            number, count = number + 1, max(count, entry + 1)
    if header.allocated in (number, count):
        return Repair()
    text = f"the header counts {header.allocated} stored blocks, {count} are right"
    step = Put(header.allocated_at, count.to_bytes(4, "little"))
    return Repair((Finding("count", text, header.allocated_at),), (step, Barrier()))


FORMAT = Format(
    name="vdi",
    title="VirtualBox disk image",
    suffixes=(".vdi",),
    can=frozenset({"read", "create", "write"}),
    probe=probe,
    open=open_vdi,
    losses=losses,
    create=create,
    check=check,
    repair=repair,
    options=OPTIONS,
    parented=True,
    binds=True,
)
