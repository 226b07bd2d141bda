"""Tables of contents of cdrdao and the files they name (TOC/BIN).

Facts: cdrdao(1), and what cdrdao 1.2.4 makes of small tables. Bare samples are big-endian by
definition. Not there: a FIFO is refused as any second file that is not regular is.
"""

from __future__ import annotations

from diskimage.formats.toc.create import OPTIONS, create, losses
from diskimage.formats.toc.opening import open_toc, probe
from diskimage.model import Format

FORMAT = Format(
    name="toc",
    title="TOC of cdrdao with BIN files",
    suffixes=(".toc",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_toc,
    losses=losses,
    create=create,
    options=OPTIONS,
    disc_only=True,
    keeps_frames=True,
)
