"""A VHD mended: its footer made again from the copy at the beginning, or that from the footer."""

from __future__ import annotations

from diskimage.errors import TruncatedError
from diskimage.formats.vhd import layout
from diskimage.formats.vhd.check import stored, structures
from diskimage.formats.vhd.layout import FIXED, FOOTER, SECTOR, Footer
from diskimage.model import Barrier, Finding, Gate, Put, Repair, Source
from diskimage.parse import read
from diskimage.words import rounded


def repair(source: Source, gate: Gate) -> Repair:
    """What is mended, and the plan of it. A fixed disk has one footer, and nothing to mend it by.

    TruncatedError where blocks are cut off: a footer would only hide that. Raises what opening
    raises.
    """
    footer = layout.footer(source, gate)
    if footer.copy:
        at = _place(footer, source)
        text = "the footer is made again from its copy at the beginning"
        return Repair((Finding("footer", text, at),), (Put(at, footer.raw), Barrier()))
    if footer.type != FIXED:
        start = bytes(read(source, 0, FOOTER, "the copy of the footer"))
        if start != footer.raw:
            text = "the copy of the footer at the beginning is made again"
            return Repair((Finding("footer", text, 0),), (Put(0, footer.raw), Barrier()))
    return Repair()


def _place(footer: Footer, source: Source) -> int:
    """Where a footer belongs: over the damaged one that ends the file, else behind all there is."""
    header = layout.header(footer, source)
    last = max((end for _, _, end in structures(header)), default=0)
    for place, index in stored(header, source):
        used = min(header.block, header.size - index * header.block)
        if place + header.bitmap + used > source.size:
            raise TruncatedError(f"block {index} lies past the end of the file", file=source.name,
                                 at=source.size)  # fmt: skip
        last = max(last, place + header.pitch)
    tail = source.size - FOOTER
    if tail >= last and bytes(read(source, tail, 8, "VHD footer")) == layout.COOKIE:
        return tail
    return max(rounded(source.size, SECTOR), rounded(last, SECTOR))
