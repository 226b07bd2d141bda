"""qcow2, the disk image of QEMU: versions 2 and 3, read, created and checked.

Not supported: encrypted images (named and refused), writing in place, the guest of a snapshot.
"""

from __future__ import annotations

from diskimage.formats.qcow2.check import check
from diskimage.formats.qcow2.create import OPTIONS, create, full, losses
from diskimage.formats.qcow2.open import open_qcow2, probe
from diskimage.model import Format

FORMAT = Format(
    name="qcow2",
    title="QEMU copy-on-write disk image",
    suffixes=(".qcow2", ".qcow"),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_qcow2,
    losses=losses,
    create=create,
    check=check,
    full=full,
    options=OPTIONS,
)
