"""xz: the plain bytes are the disk, at random by block; written in blocks.

Facts: The .xz File Format 1.2. docs/formats/xz.md draws it. Not supported: .lzma, .lz.
"""

from __future__ import annotations

from diskimage.formats.xz.create import OPTIONS, create, full, losses
from diskimage.formats.xz.layout import MAGIC
from diskimage.formats.xz.opening import check, open_xz
from diskimage.model import Bid, Format, Look


def probe(look: Look) -> Bid | None:
    """The magic at 0."""
    return Bid(90, "xz: FD 37 7A 58 5A 00 at 0") if look.head[:6] == MAGIC else None


FORMAT = Format(
    name="xz",
    title="xz, its plain bytes as a disk",
    suffixes=(".xz",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_xz,
    losses=losses,
    create=create,
    check=check,
    full=full,
    options=OPTIONS,
    in_order=True,
)
