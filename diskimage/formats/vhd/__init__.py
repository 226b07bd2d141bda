"""VHD, the disk image of Virtual PC, Hyper-V, Azure and XenServer: fixed, dynamic, differencing.

Facts: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0; QEMU block/vpc.c; libvhdi's
documentation. docs/formats/vhd.md draws it.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.vhd.create import OPTIONS, create, full, losses
from diskimage.formats.vhd.open import open_vhd, probe
from diskimage.model import Finding, Format, Gate, Repair, Source


def _check(source: Source, gate: Gate) -> Iterator[Finding]:
    """What is wrong with the image; see `vhd.check`."""
    from diskimage.formats.vhd.check import check as walk  # asked for by few

    return walk(source, gate)


def _repair(source: Source, gate: Gate) -> Repair:
    """What can be mended; see `vhd.repair`."""
    from diskimage.formats.vhd.repair import repair  # as above

    return repair(source, gate)


FORMAT = Format(
    name="vhd",
    title="Virtual PC and Hyper-V disk image",
    suffixes=(".vhd", ".vpc"),
    can=frozenset({"read", "create", "write"}),
    probe=probe,
    open=open_vhd,
    losses=losses,
    create=create,
    check=_check,
    repair=_repair,
    full=full,
    options=OPTIONS,
    parented=True,
)
