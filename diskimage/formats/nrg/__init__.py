"""NRG, the disc image of Nero: frames, then chunks that tell tracks and sessions, then a footer.

Facts: readings of real images and of foreign readers; docs/formats/nrg.md draws it. Versions 1 and
2 (32 and 64-bit offsets), written disc at once (CUES, CUEX, DAOI, DAOX) and track at once (TINF,
ETNF, ETN2). Relocation tables are ignored.
"""

from __future__ import annotations

from diskimage.disc.framing import FRAMING
from diskimage.formats.nrg.create import create, losses
from diskimage.formats.nrg.opening import open_nrg, probe
from diskimage.model import Format

FORMAT = Format(
    name="nrg",
    title="Nero disc image",
    suffixes=(".nrg",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_nrg,
    losses=losses,
    create=create,
    options=(FRAMING,),
    disc_only=True,
    in_order=True,
    keeps_frames=True,
)
