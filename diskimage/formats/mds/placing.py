"""Where the pregaps are: readers of the format disagree, so numbers and content have to say it.

A row tells one offset. Programs take it for index 1, with the pregap in no file; for index 1, with
the pregap stored before it; or for the beginning of a stored pregap. docs/formats/mds.md names who
does which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from diskimage.disc.address import PREGAP
from diskimage.formats.mds.layout import Entry

Meaning = Literal["index 1", "pregap"]
Tells = Callable[[Entry, int], int | None]
"""The LBA that the frames of a track tell at a byte of its files; None where they tell none."""


class Placed(NamedTuple):
    """Where a track is: index 1 at byte `at` of its files, `pregap` frames before it on the disc,
    in the files too where they are `stored`. `odd` is what a reader ought to be told."""

    entry: Entry
    at: int
    pregap: int
    stored: bool
    odd: str


def gaps(entries: Sequence[Entry]) -> Iterator[int]:
    """The frames before index 1 of each track that may be stored.

    Between two tracks it is what their addresses leave, after a session what the row says. What
    the row of the first track says is the pregap of every disc, or wrong (UltraISO's), and not
    asked: there it is what lies before the track in its file, if that begins at LBA 0 or -150.
    """
    row = entries[0].row
    before, rest = divmod(row.at, row.size)
    yield before if not rest and before in (row.start, row.start + PREGAP) else 0
    for last, entry in pairwise(entries):
        told = last.session != entry.session
        yield entry.pregap if told else max(0, entry.row.start - last.stop)


def place(tracks: Sequence[tuple[Entry, int]], size: int, tells: Tells) -> Iterator[Placed]:
    """The tracks and their gaps that are in one set of data files, together `size` bytes long.

    Offsets that fit to the last byte tell what all of them mean. The addresses in a track's own
    frames win over them. Where nothing tells, offsets are index 1, and frames that lie between two
    tracks a pregap if there are as many.
    """
    meaning = by_numbers(tracks, size)
    end = 0
    for entry, gap in tracks:
        placed = _placed(entry, gap, end, meaning, tells)
        yield placed
        end = placed.at + entry.length * entry.row.size


def by_numbers(tracks: Sequence[tuple[Entry, int]], size: int) -> Meaning | None:
    """What the offsets mean, where all of them and the size of the files agree on it."""
    index = pregap = True
    before = held = 0
    for entry, gap in tracks:
        row = entry.row
        index = index and row.at - before in (0, gap * row.size)
        pregap = pregap and row.at - before == held
        before, held = row.at + entry.length * row.size, gap * row.size
    if index and size == before:
        return "index 1"
    return "pregap" if pregap and size == before + held else None


def _placed(entry: Entry, gap: int, end: int, meaning: Meaning | None, tells: Tells) -> Placed:
    """A track, where the one before it in the files ends at byte `end`."""
    row, odd = entry.row, _unlike(entry, gap)
    if not gap:
        return Placed(entry, row.at, 0, stored=False, odd=odd)
    inside = row.at + gap * row.size
    here, there = tells(entry, row.at), tells(entry, inside)
    shown = _shown(row.start, gap, here, there)
    if shown and meaning and shown != meaning:
        odd = f"offsets count to {meaning}, the frames of this track show {shown} at its own"
    elif not shown and not meaning:
        odd = "nothing proves where its pregap is: its offset is taken for index 1"
    if (shown or meaning) == "pregap":
        return Placed(entry, inside, gap, stored=True, odd=odd)
    return Placed(entry, row.at, gap, row.at - end == gap * row.size, odd)


def _shown(start: int, gap: int, here: int | None, there: int | None) -> Meaning | None:
    """What the addresses at the offset and a pregap further say of a track that begins at LBA
    `start`."""
    if here == start:
        return "index 1"
    return "pregap" if here == start - gap or there == start else None


def _unlike(entry: Entry, gap: int) -> str:
    """Where the pregap that a later track tells is not that of the addresses, these are taken."""
    if entry.number == 1 or entry.pregap == gap:
        return ""
    return f"a pregap of {entry.pregap} frames is told, {gap} lie before index 1"
