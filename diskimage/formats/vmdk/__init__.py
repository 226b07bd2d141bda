"""VMDK, the disk image of VMware: descriptors, flat, sparse, streamed, COWD and seSparse extents.

Not supported: device extents (raw device mappings), vSAN sparse extents, writing in place.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.vmdk.create import OPTIONS, create, full, in_order, losses
from diskimage.formats.vmdk.opening import open_vmdk, probe
from diskimage.model import Finding, Format, Gate, Source


def _check(source: Source, gate: Gate) -> Iterator[Finding]:
    """What is wrong with the image; see `vmdk.check`."""
    from diskimage.formats.vmdk.check import check  # by far the rarest thing asked for

    return check(source, gate)


FORMAT = Format(
    name="vmdk",
    title="VMware disk image",
    suffixes=(".vmdk",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_vmdk,
    losses=losses,
    create=create,
    check=_check,
    full=full,
    options=OPTIONS,
    in_order=in_order,
    parented=True,
)
