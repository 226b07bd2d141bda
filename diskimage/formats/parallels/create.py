"""Writing an expandable Parallels image of the new magic: table, then clusters in guest order."""

from __future__ import annotations

from array import array
from collections.abc import Generator
from typing import Any

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import UsageError
from diskimage.formats.parallels.layout import CLOSED, GROUP, HEADER, NEW, SECTOR
from diskimage.layers.parts import CONTENT, filled
from diskimage.layers.table import written
from diskimage.model import Barrier, Device, Disc, Loss, Pack, Packed, Plan, Put, Size, Step
from diskimage.words import rounded, size_text

CLUSTER = 1 << 20
MOST = 1 << 29
"""Clusters: QEMU refuses a longer table."""
HEADS, SECTORS = 16, 32
"""The geometry that qemu-img writes."""


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """Sizes are whole sectors."""
    return reduced(what, SECTOR, "a Parallels image has whole sectors", told=SECTOR)


def full(size: int, **_: object) -> int:
    """The bytes of an image with every cluster stored."""
    clusters = -(-size // CLUSTER)
    return _data_at(clusters) + clusters * CLUSTER


def _data_at(clusters: int) -> int:
    return rounded(HEADER.sizeof() + 4 * clusters, CLUSTER)


def create(what: Device | Disc, stem: str) -> Plan:
    """Clusters that are not zero in guest order behind the table; the header comes last."""
    device = user_bytes(what)
    size = rounded(device.size, SECTOR)
    clusters = -(-size // CLUSTER)
    if clusters > MOST:
        raise UsageError(f"{size_text(size)} is more than a Parallels image holds",
                         remedy="use qcow2")  # fmt: skip
    yield Size(_data_at(clusters))
    yield from _clusters(device, clusters)
    yield Barrier()
    yield Put(0, _header(size, clusters))


def _clusters(device: Device, clusters: int) -> Generator[Step, Any, None]:
    """The table's zeros are a hole: only groups with something in them are put."""
    to = _data_at(clusters)
    for group in filled(device, GROUP * CLUSTER, CONTENT):
        first = group * GROUP
        stop = min(device.size, (first + GROUP) * CLUSTER)
        packed: Packed = yield Pack(
            device.runs(first * CLUSTER, stop), chunk=CLUSTER, codecs=(), to=to, align=CLUSTER
        )
        entries = array("I", [max(0, at) // CLUSTER for at in packed.to])
        to = packed.end
        yield Put(HEADER.sizeof() + 4 * first, written(entries))


def _header(size: int, clusters: int) -> bytes:
    return bytes(
        HEADER.build({
            "magic": NEW, "version": 2, "heads": HEADS,
            "cylinders": min(size // SECTOR // HEADS // SECTORS, 0xFFFFFFFF),
            "tracks": CLUSTER // SECTOR, "entries": clusters, "sectors": size // SECTOR,
            "in_use": CLOSED, "data_off": _data_at(clusters) // SECTOR, "flags": 0, "extension": 0,
        })
    )  # fmt: skip
