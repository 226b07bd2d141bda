"""VMDK, the disk image of VMware: descriptors, flat, sparse, streamed, COWD and seSparse extents.

Not supported: device extents (raw device mappings), vSAN sparse extents, creating over a parent,
writing in place.
"""

from __future__ import annotations

from diskimage.formats.vmdk.create import OPTIONS, create, full, in_order, losses
from diskimage.formats.vmdk.opening import open_vmdk, probe
from diskimage.model import Format

FORMAT = Format(
    name="vmdk",
    title="VMware disk image",
    suffixes=(".vmdk",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_vmdk,
    losses=losses,
    create=create,
    full=full,
    options=OPTIONS,
    in_order=in_order,
)
