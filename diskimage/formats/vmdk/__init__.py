"""VMDK, the disk image of VMware: descriptors, flat, sparse, streamed, COWD and seSparse extents.

Not supported: device extents (raw device mappings), vSAN sparse extents, writing in place.
"""

from __future__ import annotations

from diskimage.formats.vmdk.opening import open_vmdk, probe
from diskimage.model import Format

FORMAT = Format(
    name="vmdk",
    title="VMware disk image",
    suffixes=(".vmdk",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_vmdk,
)
