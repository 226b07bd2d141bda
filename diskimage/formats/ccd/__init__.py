"""CloneCD's sheet of a disc (.ccd), with its frames (.img) and their subchannel (.sub).

Facts: what independent readers of the three files agree on, and MMC for the table of contents. The
files are named by the sheet's stem. docs/formats/ccd.md draws them.
"""

from __future__ import annotations

from diskimage.disc.framing import FRAMING
from diskimage.formats.ccd.create import create, losses
from diskimage.formats.ccd.opening import open_ccd, probe
from diskimage.model import Format

FORMAT = Format(
    name="ccd",
    title="CloneCD sheet with IMG and SUB",
    suffixes=(".ccd",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_ccd,
    losses=losses,
    create=create,
    options=(FRAMING,),
    disc_only=True,
    keeps_frames=True,
    unproven=True,
)
