"""Another size for a fixed disk: the footer that tells it stands behind the last byte.

A dynamic or differencing disk is not resized: its blocks begin right behind its table.
"""

from __future__ import annotations

from diskimage.errors import UsageError
from diskimage.formats.vhd.create import geometry
from diskimage.formats.vhd.layout import FOOTER, SECTOR, TAIL_SUM_AT, Footer, checksum
from diskimage.layers.gather import hole
from diskimage.model import Barrier, Copy, Plan, Put, Size, Source

CURRENT_AT, GEOMETRY_AT, TYPE_AT = 48, 56, 60


def resized(footer: Footer, source: Source, size: int) -> Plan:
    """The footer behind the new end first, then what is no part of the disk any more.

    A crash between the two leaves the old footer in the first sector that a larger disk gained, or
    a disk of its old size. UsageError for no whole number of sectors.
    """
    if size % SECTOR:
        raise UsageError(f"{size} bytes are no whole number of sectors", file=source.name)
    end = footer.at + FOOTER
    yield Put(size, told(footer, size))
    yield Barrier()
    if size > footer.size:
        stop = min(size, end)
        yield Copy(iter((hole(0, stop - footer.size),)), footer.size)
    else:
        yield Size(size + FOOTER)
    yield Barrier()


def told(footer: Footer, size: int) -> bytes:
    """A footer for a disk of `size` bytes, all else as it is."""
    cylinders, heads, sectors = geometry(size)
    shape = cylinders.to_bytes(2, "big") + bytes((heads, sectors))
    old = footer.raw.ljust(FOOTER, b"\0")
    raw = old[:CURRENT_AT] + size.to_bytes(8, "big") + shape + old[TYPE_AT:]
    total = checksum(raw, TAIL_SUM_AT).to_bytes(4, "big")
    return raw[:TAIL_SUM_AT] + total + raw[TAIL_SUM_AT + 4 :]
