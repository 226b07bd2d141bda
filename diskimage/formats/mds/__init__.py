"""MDS and MDF, the images of Alcohol 120%, version 1 of the descriptor.

Facts: the readers of several programs, compared with each other; no document of the format is
public. Little-endian. docs/formats/mds.md draws it. Version 2 is another format (mdx).
"""

from __future__ import annotations

from diskimage.formats.mds.create import OPTIONS, create, losses
from diskimage.formats.mds.opening import open_mds, probe
from diskimage.model import Format

FORMAT = Format(
    name="mds",
    title="MDS descriptor with MDF files",
    suffixes=(".mds",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_mds,
    losses=losses,
    create=create,
    options=OPTIONS,
    disc_only=True,
    keeps_frames=True,
    unproven=True,
)
