"""bzip2: the plain bytes are the disk, at random by block; written in streams of one block.

Facts: the format as bzip2 1.0 writes and reads it. docs/formats/bzip2.md draws it.
"""

from __future__ import annotations

from diskimage.formats.bzip2.blocks import BLOCK, END
from diskimage.formats.bzip2.create import OPTIONS, create, full, losses
from diskimage.formats.bzip2.opening import LEVELS, MAGIC, check, open_bzip2
from diskimage.layers.unpacked import INDEX
from diskimage.model import Bid, Format, Look


def probe(look: Look) -> Bid | None:
    """The magic and the mark of a block, or of the end of an empty stream."""
    head = look.head
    mark = int.from_bytes(head[4:10], "big")
    if head[:3] != MAGIC or head[3:4] not in LEVELS or mark not in (BLOCK, END):
        return None
    return Bid(90, "bzip2: BZh and a block at 0")


FORMAT = Format(
    name="bzip2",
    title="bzip2, its plain bytes as a disk",
    suffixes=(".bz2",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_bzip2,
    losses=losses,
    create=create,
    check=check,
    full=full,
    options=OPTIONS,
    opens=(INDEX,),
    in_order=True,
)
