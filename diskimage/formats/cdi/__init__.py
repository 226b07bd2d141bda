"""CDI, the disc image of DiscJuggler: the frames of all tracks, then a descriptor and its trailer.

Facts: readings of foreign readers (cdirip, libmirage, Aaru, flycast); docs/formats/cdi.md draws it.
Versions 2, 3 and 3.5 (which DiscJuggler 4 writes too). No image of a foreign program was at hand.
"""

from __future__ import annotations

from diskimage.formats.cdi.opening import open_cdi, probe
from diskimage.model import Format

FORMAT = Format(
    name="cdi",
    title="DiscJuggler disc image",
    suffixes=(".cdi",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_cdi,
    unproven=True,
)
