"""CHD, the compressed hunks of data of MAME: CDs, DVDs, GD-ROMs and hard disks, versions 3 to 5.

Facts: MAME's chd.h, chdcodec and cdrom (facts alone), and files that chdman wrote. Not supported:
laserdiscs (avhu), versions 1 and 2.
"""

from __future__ import annotations

from diskimage.formats.chd.create import OPTIONS, create, losses
from diskimage.formats.chd.opening import check, open_chd, probe
from diskimage.model import Format

FORMAT = Format(
    name="chd",
    title="MAME compressed hunks of data",
    suffixes=(".chd",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_chd,
    losses=losses,
    create=create,
    check=check,
    options=OPTIONS,
    keeps_frames=True,
)
