"""An OVA as a plan: the disk first, behind the room of what describes it, then that.

The archive is read from its front: the OVF, its manifest, the disk. The digest of the disk is known
when it is written, so the front comes last. The elements are those that VirtualBox, VMware and
virt-v2v ask for: a system with a processor, memory, a controller and the disk at it (DSP0243).
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from diskimage.disc.reduce import user_bytes
from diskimage.errors import UsageError
from diskimage.formats.ova import tar
from diskimage.formats.ova.tar import BLOCK, RECORD
from diskimage.model import (
    Barrier,
    Device,
    Disc,
    Format,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
    Size,
)
from diskimage.words import rounded

MOST = (
    10**19 - 1
)  # stored bytes: room for the digits of their number is kept, and filled with spaces
LONGEST = 80  # bytes of the name that all files begin with
STREAM = {"subformat": "streamOptimized", "profile": "esxi"}
URL = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

OPTIONS = (
    Option("name", "TEXT", "what the machine is called; the target's name unless said"),
    Option("memory", "MIB", "mebibytes of memory; 1024 unless said"),
    Option("cpus", "N", "processors; 1 unless said"),
    Option("level", "0 to 12", "effort of the disk's compression; 6 unless said"),
)

_OVF = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
 <References>
  <File ovf:id="file1" ovf:href={disk} ovf:size="{stored}"/>
 </References>
 <DiskSection>
  <Info>The disks</Info>
  <Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="{size}" ovf:format="{url}"/>
 </DiskSection>
 <VirtualSystem ovf:id={name}>
  <Info>A virtual machine</Info>
  <OperatingSystemSection ovf:id="1">
   <Info>The kind of its operating system: another one</Info>
  </OperatingSystemSection>
  <VirtualHardwareSection>
   <Info>Its hardware</Info>
   <System>
    <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
    <vssd:InstanceID>0</vssd:InstanceID>
    <vssd:VirtualSystemIdentifier>{text}</vssd:VirtualSystemIdentifier>
    <vssd:VirtualSystemType>vmx-07</vssd:VirtualSystemType>
   </System>
{items}  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>
"""


class Machine(NamedTuple):
    """What the archive describes: names of the machine and of files, MiB, processors."""

    name: str
    stem: str
    memory: int
    cpus: int

    @property
    def texts(self) -> tuple[str, str, str]:
        """The names of the OVF, the manifest and the disk."""
        return f"{self.stem}.ovf", f"{self.stem}.mf", f"{self.stem}-disk1.vmdk"


class Front(NamedTuple):
    """The bytes before the disk: its header is the last of them."""

    data: bytes

    @classmethod
    def of(cls, machine: Machine, size: int, stored: int, digest: str) -> Front:
        """For a disk of `size` guest bytes in `stored` ones with that SHA-256."""
        ovf, manifest, disk = machine.texts
        text = _text(machine, size, stored)
        sums = ((ovf, hashlib.sha256(text).hexdigest()), (disk, digest))
        lines = "".join(f"SHA256({name})= {digits}\n" for name, digits in sums).encode()
        data = tar.header(ovf, len(text)) + text.ljust(rounded(len(text), BLOCK), b"\0")
        data += tar.header(manifest, len(lines)) + lines.ljust(rounded(len(lines), BLOCK), b"\0")
        return cls(data + tar.header(disk, stored))


def machine_of(
    stem: str, *, name: str | None = None, memory: int | str = 1024, cpus: int | str = 1
) -> Machine:
    """The options, judged. UsageError."""
    numbers = []
    for what, value, most in (("memory", memory, 1 << 24), ("cpus", cpus, 1024)):
        text = str(value)
        if not (text.isascii() and text.isdecimal() and len(text) < 9 and 0 < int(text) <= most):
            raise UsageError(f"{what} {value!r}", remedy=f"a number from 1 to {most}")
        numbers.append(int(text))
    called = stem if name is None else str(name)
    if not called.isprintable() or len(called.encode(errors="replace")) > 255:
        raise UsageError(f"a machine called {called[:40]!a}", remedy="use a plainer name")
    plain = stem.isprintable() and not set(stem) & set('()="\\') and len(stem.encode()) <= LONGEST
    return Machine(called, stem if plain else "image", *numbers)


def losses(what: Device | Disc, *, inner: Format, **_: object) -> list[Loss]:
    """What the disk loses in its format."""
    assert inner.losses is not None
    return inner.losses(what)


def full(size: int, *, inner: Format, level: int | str = 6, **_: object) -> int:
    """The bytes of an archive whose disk has `size` guest bytes, all of them stored."""
    assert inner.full is not None
    stored = inner.full(size, **STREAM, level=level)
    front = Front.of(machine_of("image"), size, stored, "0" * 64)
    return rounded(len(front.data) + rounded(stored, BLOCK) + 2 * BLOCK, RECORD)


def create(
    what: Device | Disc, stem: str, *, inner: Format, level: int | str = 6, **options: Any
) -> Plan:
    """The plan of an archive with `what` as its disk, which `inner` writes as a stream."""
    machine = machine_of(stem, **options)
    size = rounded(user_bytes(what).size, BLOCK)
    at = len(Front.of(machine, size, 0, "0" * 64).data)
    digest = hashlib.sha256()
    assert inner.create is not None
    disk = machine.texts[2].removesuffix(".vmdk")
    stored = yield from _moved(inner.create(what, disk, **STREAM, level=level), at, digest)
    yield Size(rounded(at + rounded(stored, BLOCK) + 2 * BLOCK, RECORD))
    yield Barrier()
    yield Put(0, Front.of(machine, size, stored, digest.hexdigest()).data)


def _moved(plan: Plan, by: int, digest: Any) -> Generator[Any, Any, int]:
    """`plan`, which writes one output in order, `by` bytes further on; its bytes in `digest`.

    Answers where it ends.
    """
    result, end = None, 0
    try:
        while True:
            step = plan.send(result)
            if isinstance(step, Put):
                digest.update(step.data)
                end = step.to + len(step.data)
                result = yield step._replace(to=step.to + by)
            elif isinstance(step, Pack):
                sums = (*step.stored_sums, digest)
                packed = yield step._replace(to=step.to + by, stored_sums=sums)
                result = _back(packed, by)
                end = result.end
            else:
                assert isinstance(step, Barrier), "a stream has no other steps"
                result = yield step
    except StopIteration:
        return end
    finally:
        plan.close()


def _back(packed: Packed, by: int) -> Packed:
    """What a step answers, as if it had not been moved."""
    to = packed.to[:]
    for row, place in enumerate(to):
        if place >= 0:
            to[row] = place - by
    return packed._replace(to=to, end=packed.end - by)


def _text(machine: Machine, size: int, stored: int) -> bytes:
    """The OVF, which is as long whatever is stored."""
    longest, told = (
        _OVF.format(
            disk=quoteattr(machine.texts[2]), stored=number, size=size, url=URL,
            name=quoteattr(machine.name), text=escape(machine.name), items=_items(machine),
        ).encode()
        for number in (MOST, stored)
    )  # fmt: skip
    return told.ljust(len(longest))


def _items(machine: Machine) -> str:
    """The hardware: processors (3), memory (4), a SCSI controller (6), the disk (17) at it."""
    rows = (
        {"ElementName": "CPU", "InstanceID": 1, "ResourceType": 3,
         "VirtualQuantity": machine.cpus},
        {"AllocationUnits": "byte * 2^20", "ElementName": "memory", "InstanceID": 2,
         "ResourceType": 4, "VirtualQuantity": machine.memory},
        {"Address": 0, "ElementName": "SCSI controller", "InstanceID": 3,
         "ResourceSubType": "lsilogic", "ResourceType": 6},
        {"AddressOnParent": 0, "ElementName": "disk", "HostResource": "ovf:/disk/vmdisk1",
         "InstanceID": 4, "Parent": 3, "ResourceType": 17},
    )  # fmt: skip
    lines = []
    for row in rows:
        told = "".join(f"    <rasd:{key}>{value}</rasd:{key}>\n" for key, value in row.items())
        lines.append(f"   <Item>\n{told}   </Item>\n")
    return "".join(lines)
