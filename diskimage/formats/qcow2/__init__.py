"""qcow2, the disk image of QEMU: versions 2 and 3, read, created, checked and written in place.

Not supported: writing into encrypted images or an external data file.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.qcow2.create import OPTIONS, create, full, losses
from diskimage.formats.qcow2.open import open_qcow2, probe
from diskimage.formats.qcow2.snapshots import OPTIONS as OPENS
from diskimage.layers.overlay import BACKING_FORMAT
from diskimage.model import Finding, Format, Gate, Source
from diskimage.ranges import Ranges


def _check(source: Source, gate: Gate) -> Iterator[Finding]:
    """What is wrong with the image; see `qcow2.check`."""
    from diskimage.formats.qcow2.check import check as walk  # by far the rarest thing asked for

    return walk(source, gate)


def _bitmap(source: Source, gate: Gate, name: str) -> Ranges:
    """What a dirty bitmap says; see `qcow2.bitmaps`."""
    from diskimage.formats.qcow2.bitmaps import bitmap  # as above

    return bitmap(source, gate, name)


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
    opens=(*OPENS, BACKING_FORMAT),
    bitmap=_bitmap,
)
