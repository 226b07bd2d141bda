"""VHDX, the disk image of Hyper-V: fixed, dynamic, differencing, sectors of 512 and 4096 bytes.

Facts: Microsoft, [MS-VHDX] "Virtual Hard Disk v2 File Format"; QEMU block/vhdx.h and vhdx-log.c.
docs/formats/vhdx.md draws it.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.vhdx.create import OPTIONS, create, full, losses
from diskimage.formats.vhdx.open import open_vhdx, probe
from diskimage.model import Finding, Format, Gate, Repair, Source


def _check(source: Source, gate: Gate) -> Iterator[Finding]:
    """What is wrong with the image; see `vhdx.check`."""
    from diskimage.formats.vhdx.check import check as walk  # asked for by few

    return walk(source, gate)


def _repair(source: Source, gate: Gate) -> Repair:
    """What can be mended; see `vhdx.repair`."""
    from diskimage.formats.vhdx.repair import repair  # as above

    return repair(source, gate)


FORMAT = Format(
    name="vhdx",
    title="Hyper-V disk image",
    suffixes=(".vhdx", ".avhdx"),
    can=frozenset({"read", "create", "write"}),
    probe=probe,
    open=open_vhdx,
    losses=losses,
    create=create,
    check=_check,
    repair=_repair,
    full=full,
    options=OPTIONS,
    parented=True,
    binds=True,
)
