"""Appliances written with the standard library's tarfile, their disks by the makers of those."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
from collections.abc import Mapping, Sequence

from tests.makers import vhd, vmdk
from tests.makers.sample import Sample

VMDK = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
VHD = "http://technet.microsoft.com/en-us/virtualserver/bb676673.aspx"
VIRTUALBOX_VHD = "http://go.microsoft.com/fwlink/?LinkId=137171"


def ovf(
    files: Sequence[str], disks: Sequence[str], *, inside: str = "", prefix: str = "ovf"
) -> bytes:
    """An envelope; `files` and `disks` are the attributes of the elements, `{p}` their prefix."""
    told = "".join(f"<File {one}/>\n" for one in files).replace("{p}", prefix)
    held = "".join(f"<Disk {one}/>\n" for one in disks).replace("{p}", prefix)
    return f"""<?xml version="1.0"?>{inside}
<Envelope {prefix}:version="1.0" xml:lang="en-US" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:{prefix}="http://schemas.dmtf.org/ovf/envelope/1">
<References>{told}</References>
<DiskSection><Info>disks</Info>{held}</DiskSection>
<VirtualSystem {prefix}:id="box"><Info>a machine</Info><Name>the box</Name></VirtualSystem>
</Envelope>
""".encode()


def file(number: int, name: str, more: str = "") -> str:
    """The attributes of a file."""
    return f'{{p}}:id="file{number}" {{p}}:href="{name}" {more}'


def disk(
    number: int, capacity: int | str, *, url: str = VMDK, file: int = 0, more: str = ""
) -> str:
    """The attributes of a disk in the file of its number, or in another."""
    told = f'{{p}}:diskId="disk{number}" {{p}}:capacity="{capacity}" {{p}}:format="{url}"'
    return f'{told} {{p}}:fileRef="file{file or number}" {more}'


def manifest(files: Mapping[str, bytes], algorithm: str = "sha256") -> bytes:
    """A line a file, as ovftool and VirtualBox write it."""
    return "".join(
        f"{algorithm.upper()} ({name}) = {hashlib.new(algorithm, content).hexdigest()}\n"
        for name, content in files.items()
    ).encode()


def archive(files: Mapping[str, bytes], *, format: int = tarfile.GNU_FORMAT) -> bytes:
    """The files in an archive, in their order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as made:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def stream() -> tuple[bytes, bytes]:
    """A disk of 1 MiB as a stream, and its bytes."""
    draw = random.Random("ova")
    grains = {0: draw.randbytes(1 << 16), 9: b"nine" * (1 << 14)}
    guest = bytearray(1 << 20)
    for index, content in grains.items():
        guest[index << 16 : (index + 1) << 16] = content
    return vmdk.stream(1 << 20, grains, grain=1 << 16), bytes(guest)


def two() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of an appliance with two disks, and the guest of each by its id."""
    first, guest = stream()
    other = random.Random("other").randbytes(1 << 19)
    second = vhd.fixed(other)
    text = ovf(
        [file(1, "one.vmdk", f'{{p}}:size="{len(first)}"'), file(2, "two.vhd")],
        [disk(1, 1 << 20), disk(2, 512, url=VHD, more='{p}:capacityAllocationUnits="byte * 2^10"')],
    )
    files = {"box.ovf": text, "one.vmdk": first, "two.vhd": second}
    told = {"box.ovf": text, "box.mf": manifest(files), "one.vmdk": first, "two.vhd": second}
    return told, {"disk1": guest, "disk2": other}


def samples() -> list[Sample]:
    """An archive of each sort, and an OVF beside its disk."""
    stored, guest = stream()
    text = ovf([file(1, "box-disk1.vmdk")], [disk(1, 1 << 20)])
    parts = {"box.ovf": text, "box.mf": manifest({"box-disk1.vmdk": stored}, "sha1"),
             "box-disk1.vmdk": stored}  # fmt: skip
    plain = random.Random("vhd").randbytes(1 << 18)
    old = ovf([file(1, "a.vhd")], [disk(1, 1 << 18, url=VIRTUALBOX_VHD)], prefix="o")
    named = {"x" * 120 + ".ovf": old, "a.vhd": vhd.fixed(plain)}
    return [
        Sample("archive", {"a.ova": archive(parts)}, guest, header=512,
               borders=(512, 2048, 4096, len(archive(parts)) - 10240)),
        Sample("pax", {"a.ova": archive(named, format=tarfile.PAX_FORMAT)}, plain, header=512),
        Sample("gnu long name", {"b.ova": archive(named)}, plain),
        Sample("beside", {"box.ovf": text, "box-disk1.vmdk": stored}, guest,
               cut="box-disk1.vmdk", borders=(512, 70000)),
    ]  # fmt: skip


def zipped(content: bytes) -> bytes:
    """Content by gzip."""
    return gzip.compress(content, mtime=0)
