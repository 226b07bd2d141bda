"""MDX, and MDS/MDF of version 2: discs of DAEMON Tools, plain, compressed, with a password.

Facts: mdsx (its description of the layout and its samples), libmirage's image-mdx. The descriptor
is always compressed and enciphered, with a key that its own salt gives away; the data are where a
password was set. docs/formats/mdx.md draws it.
Not supported: writing sets of split files, indexes from 2 on, position tables (DPM).
"""

from __future__ import annotations

from diskimage.formats.mdx.create import OPTIONS, create, losses
from diskimage.formats.mdx.opening import open_mdx, probe
from diskimage.model import Format

FORMAT = Format(
    name="mdx",
    title="DAEMON Tools disc image (MDX, MDS/MDF version 2)",
    suffixes=(".mdx", ".mds"),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_mdx,
    losses=losses,
    create=create,
    options=OPTIONS,
    disc_only=True,
    keeps_frames=True,
)
