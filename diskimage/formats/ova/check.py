"""What is wrong with an appliance: its manifest, its files, each of its disks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from diskimage.disc.database import Listed, listed
from diskimage.errors import DiskImageError, MissingError
from diskimage.formats.ova.envelope import Disk, format_of
from diskimage.formats.ova.opening import (
    Appliance,
    appliance,
    content_of,
    one,
    opened,
    stored_bytes,
)
from diskimage.layers.unread import unread
from diskimage.limits import MIB
from diskimage.model import Checking, Finding, Gate, Held, Source

MANIFEST = ".mf"


def check(source: Source, gate: Gate) -> Checking:
    """Structure (every file is there, of its size), the whole (digests of the manifest), and what
    the formats of its disks find. Raises what opening does."""
    found = appliance(source, gate)
    yield from _sizes(found, gate)
    rows = _manifest(found, gate)
    for row in rows:
        yield from _digests(found, row, gate)
    chunks, disks = set[str](), found.envelope.disks
    for disk in disks:
        held = yield from _disk(found, disk, gate)
        if held.chunks:
            chunks.add(held.chunks)
        elif held.chunks is None and len(disks) > 1:  # of one alone, all is read anyway
            chunks.add("all compressed ones decode")
            yield from _read(found, disk, gate)
    names = sorted({name for row in rows for name in row.digests})
    whole = f"{' and '.join(names)} of {len(rows)} files in its manifest" if rows else ""
    return Held(" and ".join(sorted(chunks)) or None, whole)


def _sizes(found: Appliance, gate: Gate) -> Iterator[Finding]:
    for file in found.envelope.files:
        try:
            stored = stored_bytes(found, file, gate)
        except DiskImageError as error:
            yield Finding(error.kind, error.message, error.at)
            continue
        if file.size not in (None, stored.size):
            text = f"{file.name!r} has {stored.size} bytes, the OVF says {file.size}"
            yield Finding("corrupt", text)


def _manifest(found: Appliance, gate: Gate) -> list[Listed]:
    """The rows of the manifest, which has the name of the OVF; none where there is none."""
    plain = found.text.name.replace("\\", "/").rpartition("/")[2]
    if found.beside is not None:
        plain = next(name for name, text in found.beside.items() if text is found.text)
    name = plain[: plain.rfind(".")] + MANIFEST
    if name not in (gate.siblings() if found.beside is None else found.beside):
        return []
    rows = list(listed(one(found, name, gate), gate.limits))
    told = {row.name for row in rows}
    left = [file.name for file in found.envelope.files if file.name not in told and not file.chunk]
    if left:
        gate.warn("manifest", f"its manifest does not have {', '.join(left[:8])}")
    return rows


def _digests(found: Appliance, row: Listed, gate: Gate) -> Iterator[Finding]:
    """Whether a file has the digests that the manifest says."""
    own = found.text.name.replace("\\", "/").rpartition("/")[2]
    try:
        at_hand = found.beside is None and row.name == own
        source = found.text if at_hand else one(found, row.name, gate)
    except MissingError as error:
        yield Finding(error.kind, f"its manifest {error.message}", part="whole")
        return
    for name, digest in row.digests.items():
        running = hashlib.new(name, usedforsecurity=False)
        buffer = memoryview(bytearray(MIB))
        for at in range(0, source.size, MIB):
            running.update(buffer[: source.read_into(at, buffer)])
        if running.hexdigest() != digest:
            text = f"{name} of {row.name} is {running.hexdigest()}, the manifest says {digest}"
            yield Finding("checksum", text, part="whole")


def _read(found: Appliance, disk: Disk, gate: Gate) -> Iterator[Finding]:
    """What of a disk cannot be read."""
    try:
        device = opened(found, disk, gate)
    except DiskImageError as error:
        yield Finding(error.kind, f"disk {disk.id}: {error.message}", error.at)
        return
    image, buffer = gate.reading(device, disk.id), memoryview(bytearray(MIB))
    for start in range(0, device.size, MIB):
        part = buffer[: min(MIB, device.size - start)]
        yield from unread(image, start, part, MIB, f"disk {disk.id}: MiB")


def _disk(found: Appliance, disk: Disk, gate: Gate) -> Checking:
    """What the format of a disk finds."""
    if disk.file is None:
        return Held()
    try:
        content, format = content_of(found, disk.file, gate), format_of(disk, found.text)
        problems = gate.examined(content, format=format, beside=found.beside)
        while True:
            problem = next(problems)
            yield problem._replace(message=f"disk {disk.id}: {problem.message}")
    except StopIteration as done:
        return done.value if isinstance(done.value, Held) else Held()
    except DiskImageError as error:
        yield Finding(error.kind, f"disk {disk.id}: {error.message}", error.at)
    return Held()
