"""zstd: the plain bytes are the disk, at random by frame; written as frames with a seek table.

Facts: RFC 8878, the Zstandard Seekable Format 0.1.0. docs/formats/zstd.md draws it. Not supported:
dictionaries, frames of zstd before 0.8.
"""

from __future__ import annotations

from diskimage.formats.zstd.create import OPTIONS, create, full, losses
from diskimage.formats.zstd.layout import MAGIC, SKIPPED
from diskimage.formats.zstd.opening import check, open_zstd
from diskimage.layers.unpacked import INDEX
from diskimage.model import Bid, Format, Look


def probe(look: Look) -> Bid | None:
    """The magic of a frame at 0, or behind frames to be skipped."""
    at = 0
    while int.from_bytes(look.head[at : at + 4], "little") in SKIPPED:
        at += 8 + int.from_bytes(look.head[at + 4 : at + 8], "little")
    return Bid(90, f"zstd: 28 B5 2F FD at {at}") if look.head[at : at + 4] == MAGIC else None


FORMAT = Format(
    name="zstd",
    title="zstd, its plain bytes as a disk",
    suffixes=(".zst", ".zstd"),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_zstd,
    losses=losses,
    create=create,
    check=check,
    full=full,
    options=OPTIONS,
    opens=(INDEX,),
    in_order=True,
)
