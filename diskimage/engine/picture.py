"""A map as a picture: one ruler of cells, each showing what most of what it stores is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from diskimage.model import Extent, Kind
from diskimage.words import size_text

KINDS = ("data", "compressed", "zero", "hole", "absent", "bad")
"""What a piece of a map is called."""
_STORED = ("data", "compressed")
_COLOURS = {
    "data": "#2f6f9f", "compressed": "#7a4fa3", "zero": "#b9c6cf", "hole": "#eef1f3",
    "absent": "#e8c56b", "bad": "#c0392b",
}  # fmt: skip
_MEANINGS = {
    "data": "data", "compressed": "compressed", "zero": "zeros that take space", "hole": "hole",
    "absent": "in the backing, or not here", "bad": "unreadable",
}  # fmt: skip


class Piece(NamedTuple):
    """`length` guest bytes from `start`, all of one of KINDS."""

    start: int
    length: int
    kind: str


def kind_of(extent: Extent) -> str:
    """What an extent is called in a map: compressed too where its source decodes (`decodes`)."""
    if extent.kind == Kind.ZERO:
        return "hole" if extent.hole else "zero"
    if extent.kind == Kind.DATA and getattr(extent.source, "decodes", False):
        return "compressed"
    return {Kind.CODED: "compressed", Kind.ABSENT: "absent", Kind.BAD: "bad"}.get(
        extent.kind, "data"
    )


class Tally:
    """Pieces counted into `width` cells, and the bytes of each kind."""

    def __init__(self, size: int, width: int) -> None:
        self.size = size
        self.width = max(1, min(width, size or 1))
        self.totals = dict.fromkeys(KINDS, 0)
        self._cells: list[dict[str, int]] = [{} for _ in range(self.width)]

    def add(self, piece: Piece) -> None:
        """Count one piece."""
        self.totals[piece.kind] += piece.length
        at, stop = piece.start, piece.start + piece.length
        while at < stop:
            cell = at * self.width // self.size
            end = min(stop, -(-(cell + 1) * self.size // self.width))
            counts = self._cells[cell]
            counts[piece.kind] = counts.get(piece.kind, 0) + end - at
            at = end

    def cells(self) -> list[str]:
        """The kind that each cell shows: bad where any byte is, else that of most stored bytes
        where there are any, however few, else what most bytes are."""
        return [_shown(counts) for counts in self._cells if counts]


def _shown(counts: dict[str, int]) -> str:
    if "bad" in counts:
        return "bad"
    stored = {kind: counts[kind] for kind in _STORED if kind in counts} or counts
    return max(stored, key=lambda kind: stored[kind])


def tally(pieces: Iterable[Piece], size: int, width: int) -> Tally:
    """All `pieces` of a device of `size` bytes, counted."""
    counted = Tally(size, width)
    for piece in pieces:
        counted.add(piece)
    return counted


def stretches(cells: Sequence[str]) -> Iterable[tuple[int, int, str]]:
    """(first, count, kind) of neighbouring cells of one kind."""
    first = 0
    for i in range(1, len(cells) + 1):
        if i == len(cells) or cells[i] != cells[first]:
            yield first, i - first, cells[first]
            first = i


def svg(counted: Tally, title: str) -> str:
    """The ruler, its scale and its legend as an SVG document."""
    cells = counted.cells()
    scale = 800 / max(1, len(cells))
    bars = "".join(
        f'<rect x="{10 + first * scale:.2f}" y="28" width="{count * scale:.2f}" height="36" '
        f'fill="{_COLOURS[kind]}"/>'
        for first, count, kind in stretches(cells)
    )
    used = [kind for kind in KINDS if counted.totals[kind]]
    legend = "".join(
        f'<rect x="10" y="{100 + 20 * row}" width="14" height="14" fill="{_COLOURS[kind]}" '
        f'stroke="#888" stroke-width="0.5"/><text x="32" y="{112 + 20 * row}">'
        f"{_MEANINGS[kind]}: {size_text(counted.totals[kind])}</text>"
        for row, kind in enumerate(used)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {106 + 20 * len(used)}" '
        'font-family="sans-serif" font-size="12">'
        f'<title>{escape(title)}</title><text x="10" y="18">{escape(title)}</text>{bars}'
        '<rect x="10" y="28" width="800" height="36" fill="none" stroke="#888" '
        'stroke-width="0.5"/><text x="10" y="80">0</text>'
        f'<text x="810" y="80" text-anchor="end">{size_text(counted.size)}</text>{legend}</svg>\n'
    )
