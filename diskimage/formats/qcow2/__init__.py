"""qcow2, the disk image of QEMU: versions 2 and 3, read, created and checked.

Not supported: encrypted images (named and refused), writing in place, the guest of a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.qcow2.create import OPTIONS, create, full, losses
from diskimage.formats.qcow2.open import open_qcow2, probe
from diskimage.model import Finding, Format, Gate, Source


def _check(source: Source, gate: Gate) -> Iterator[Finding]:
    """What is wrong with the image; see `qcow2.check`."""
    from diskimage.formats.qcow2.check import check as walk  # by far the rarest thing asked for

    return walk(source, gate)


FORMAT = Format(
    name="qcow2",
    title="QEMU copy-on-write disk image",
    suffixes=(".qcow2", ".qcow"),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_qcow2,
    losses=losses,
    create=create,
    check=_check,
    full=full,
    options=OPTIONS,
)
