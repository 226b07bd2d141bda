"""Whether the blocks of a VHD lie apart, inside the file, and behind its headers."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import LimitError
from diskimage.formats.vhd import layout
from diskimage.formats.vhd.layout import FREE, SECTOR, Header
from diskimage.layers.table import words
from diskimage.model import Finding, Gate, Source
from diskimage.parse import read

PIECE = 1 << 20
ENTRY = 128  # bytes of memory that a stored block takes here: a pair of numbers


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Problems of structure. Every stored block is kept: LimitError where they pass `metadata`."""
    footer = layout.footer(source, gate)
    if footer.copy:
        yield Finding("corrupt", "there is no valid footer at the end", source.size)
    if footer.type == layout.FIXED:
        return
    header = layout.header(footer, source)
    if not footer.copy and bytes(read(source, 0, layout.FOOTER, "the copy of the footer")) != (
        footer.raw
    ):
        yield Finding("corrupt", "the copy of the footer at the beginning is not its copy", 0)
    if header.used * ENTRY > gate.limits.metadata:
        text = f"a check of {header.used} blocks is over metadata {gate.limits.metadata}"
        raise LimitError(text, file=source.name)
    yield from _blocks(header, source)


def _blocks(header: Header, source: Source) -> Iterator[Finding]:
    """Blocks that share bytes with another one or with a structure, or end past their room."""
    parts = structures(header)
    room = source.size if header.footer.copy else header.footer.at
    taken = [(start, row - len(parts)) for row, (_, start, _) in enumerate(parts)]
    before, owner = 0, "nothing"  # where the last bytes that are taken end, and whose they are
    for place, index in sorted([*taken, *stored(header, source)]):
        name, at, end = parts[index] if index < 0 else _block(header, place, index)
        if place < before:
            yield Finding("corrupt", f"{name} lies over {owner}", at)
        last = place + header.bitmap + min(header.block, header.size - index * header.block)
        if index >= 0 and last > room:
            past = last > source.size
            where = "past the end of the file" if past else "over the footer"
            yield Finding("truncated" if past else "corrupt", f"{name} lies {where}", at)
        if end > before:
            before, owner = end, name


def _block(header: Header, place: int, index: int) -> tuple[str, int, int]:
    """What to call a block stored at `place`, where its entry is, and where it ends."""
    return f"block {index}", header.table_at + 4 * index, place + header.pitch


def structures(header: Header) -> list[tuple[str, int, int]]:
    """(name, place, end) of what lies in the file beside blocks and footer."""
    at, table = header.footer.header_at, header.table_at
    return [
        ("the copy of the footer", 0, layout.FOOTER),
        ("the header", at, at + layout.HEADER.sizeof()),
        ("the block table", table, table + 4 * header.entries),
        *(("a name of the parent", n.at, n.at + n.length) for n in header.locators if n.length),
    ]


def stored(header: Header, source: Source) -> Iterator[tuple[int, int]]:
    """(place of its bitmap, number) of each block that is stored."""
    for first in range(0, header.used, PIECE // 4):
        count = min(PIECE // 4, header.used - first)
        raw = read(source, header.table_at + 4 * first, 4 * count, "the VHD block table")
        for index, entry in enumerate(words(raw, "I", big_endian=True), first):
            if entry != FREE:
                yield entry * SECTOR, index
