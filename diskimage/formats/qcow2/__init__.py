"""qcow2, the disk image of QEMU: versions 2 and 3, read, created, checked and written in place.

Not supported: encrypted images (named and refused), the guest of a snapshot, writing into an
external data file.
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
    can=frozenset({"read", "create", "write"}),
    probe=probe,
    open=open_qcow2,
    losses=losses,
    create=create,
    check=_check,
    full=full,
    options=OPTIONS,
)
