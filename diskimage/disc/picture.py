"""A disc as a picture: tracks, gaps and sessions on one ruler of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from diskimage.disc.address import time
from diskimage.model import Disc, Track

KINDS = ("data", "audio", "gap", "made", "none")
"""What a stretch of a disc is called: of a track, stored gap, gap that is not stored, no track."""
_COLOURS = {
    "data": "#2f6f9f", "audio": "#4f9a6b", "gap": "#e8c56b", "made": "#f6ecd0", "none": "#eef1f3",
}  # fmt: skip
_MEANINGS = {
    "data": "data", "audio": "audio", "gap": "gap, stored", "made": "gap, not stored",
    "none": "between sessions",
}  # fmt: skip
_WIDTH, _LEFT, _TOP, _HEIGHT = 800, 10, 40, 40


class Band(NamedTuple):
    """The frames [start, stop), all of one of KINDS; `track` None between sessions."""

    start: int
    stop: int
    kind: str
    track: int | None


def bands(disc: Disc) -> Iterator[Band]:
    """The whole disc from its first track's first frame to its last lead-out, in order."""
    done = None
    for track in disc.tracks:
        start = track.lba - track.pregap
        if done is not None and start > done:
            yield Band(done, start, "none", None)
        yield from _of_track(track)
        done = track.lba + track.length + track.postgap


def _of_track(track: Track) -> Iterator[Band]:
    end = track.lba + track.length
    for piece in track.pieces:
        for start, stop, inside in (
            (piece.lba, min(piece.stop, track.lba), False),
            (max(piece.lba, track.lba), min(piece.stop, end), True),
            (max(piece.lba, end), piece.stop, False),
        ):
            if start < stop:
                kind = "audio" if track.mode.audio else "data"
                gap = "made" if piece.source is None else "gap"
                yield Band(start, stop, kind if inside else gap, track.number)


def cells(drawn: Sequence[Band], width: int) -> tuple[list[str], str]:
    """The kind that each of `width` cells shows, and a line with the tracks' numbers below.

    A cell shows what most of it is; every track has a cell, however short it is.
    """
    first, size = drawn[0].start, drawn[-1].stop - drawn[0].start
    width = max(1, min(width, size))
    weights: list[dict[str, int]] = [{} for _ in range(width)]
    numbers = [" "] * (width + 4)
    for band in drawn:
        at = (band.start - first) * width // size
        for cell in range(at, -(-(band.stop - first) * width // size)):
            low, high = first + cell * size // width, first + (cell + 1) * size // width
            shared = min(high, band.stop) - max(low, band.start)
            weights[cell][band.kind] = weights[cell].get(band.kind, 0) + max(0, shared)
        text = str(band.track)
        free = all(sign == " " for sign in numbers[max(0, at - 1) : at + len(text) + 1])
        if band.kind in ("data", "audio") and free:
            numbers[at : at + len(text)] = text
    told = [max(one, key=lambda kind: one[kind]) if one else "none" for one in weights]
    return told, "".join(numbers).rstrip()


def svg(disc: Disc, title: str) -> str:
    """The ruler, the tracks' numbers, the sessions and the legend as an SVG document."""
    drawn = list(bands(disc))
    first, size = drawn[0].start, drawn[-1].stop - drawn[0].start

    def x(lba: int) -> float:
        return _LEFT + (lba - first) * _WIDTH / size

    bars = "".join(
        f'<rect x="{x(b.start):.2f}" y="{_TOP}" width="{max(0.5, x(b.stop) - x(b.start)):.2f}" '
        f'height="{_HEIGHT}" fill="{_COLOURS[b.kind]}"><title>{_hint(b)}</title></rect>'
        for b in drawn
    )
    numbers = "".join(
        f'<text x="{x(t.lba) + 2:.2f}" y="{_TOP + _HEIGHT - 6}" fill="#fff">{t.number}</text>'
        for t in disc.tracks
        if x(t.lba + t.length) - x(t.lba) > 8 * len(str(t.number))
    )
    sessions = "".join(
        f'<path d="M{x(start):.2f} {_TOP - 4}H{x(stop):.2f}" stroke="#444" stroke-width="2"/>'
        f'<text x="{x(start):.2f}" y="{_TOP - 8}">session {number}</text>'
        for number, start, stop in _sessions(disc)
    )
    used = [kind for kind in KINDS if any(band.kind == kind for band in drawn)]
    legend = "".join(
        f'<rect x="{_LEFT}" y="{_TOP + 70 + 20 * row}" width="14" height="14" '
        f'fill="{_COLOURS[kind]}" stroke="#888" stroke-width="0.5"/>'
        f'<text x="{_LEFT + 22}" y="{_TOP + 82 + 20 * row}">{_MEANINGS[kind]}: '
        f"{time(sum(b.stop - b.start for b in drawn if b.kind == kind))}</text>"
        for row, kind in enumerate(used)
    )
    below = _TOP + _HEIGHT + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + 2 * _LEFT} '
        f'{_TOP + 80 + 20 * len(used)}" font-family="sans-serif" font-size="12">'
        f'<title>{escape(title)}</title><text x="{_LEFT}" y="16">{escape(title)}</text>'
        f"{bars}{numbers}{sessions}"
        f'<text x="{_LEFT}" y="{below}">LBA {first}</text>'
        f'<text x="{_LEFT + _WIDTH}" y="{below}" text-anchor="end">LBA {first + size}</text>'
        f"{legend}</svg>\n"
    )


def _hint(band: Band) -> str:
    where = "" if band.track is None else f"track {band.track}, "
    return f"{where}{_MEANINGS[band.kind]}: LBA {band.start} to {band.stop - 1}"


def _sessions(disc: Disc) -> Iterator[tuple[int, int, int]]:
    """Number, first frame and end of each session, where there are several."""
    tracks = {track.number: track for track in disc.tracks}
    if len(disc.sessions) > 1:
        for session in disc.sessions:
            first = tracks[session.tracks[0]]
            yield session.number, first.lba - first.pregap, session.leadout


def lines(disc: Disc, width: int, *, plain: bool = False) -> Iterator[str]:
    """The ruler for a terminal of `width` columns, `plain` where it has ASCII alone."""
    drawn = list(bands(disc))
    signs = dict(zip(KINDS, "#=-. " if plain else "█▒╌· ", strict=True))
    told, numbers = cells(drawn, width)
    yield "".join(signs[kind] for kind in told)
    yield numbers
    totals = dict.fromkeys(KINDS, 0)
    for band in drawn:
        totals[band.kind] += band.stop - band.start
    for kind in KINDS:
        if totals[kind]:
            yield f"{signs[kind]} {_MEANINGS[kind]:16}  {time(totals[kind])}"
