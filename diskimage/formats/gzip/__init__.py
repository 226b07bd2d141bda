"""gzip (RFC 1952): the plain bytes are the disk, at random; written as BGZF, which gzip reads.

Facts: RFC 1951 and 1952; BGZF of the SAM specification, section 4. docs/formats/gzip.md draws it.
"""

from __future__ import annotations

from diskimage.formats.gzip.create import OPTIONS, create, full, losses
from diskimage.formats.gzip.members import MAGIC
from diskimage.formats.gzip.opening import check, open_gzip
from diskimage.layers.unpacked import INDEX
from diskimage.model import Bid, Format, Look


def probe(look: Look) -> Bid | None:
    """The magic, the one method there is, and no reserved flag."""
    head = look.head
    if head[:3] != MAGIC + b"\x08" or len(head) < 4 or head[3] & 0xE0:
        return None
    return Bid(90, "gzip: 1F 8B 08 at 0")


FORMAT = Format(
    name="gzip",
    title="gzip, its plain bytes as a disk",
    suffixes=(".gz",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_gzip,
    losses=losses,
    create=create,
    check=check,
    full=full,
    options=OPTIONS,
    opens=(INDEX,),
    in_order=True,
)
