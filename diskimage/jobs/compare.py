"""Whether two images, of any formats, hold the same bytes, and where not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Unpack

from diskimage.engine.compare import GRAIN, differing
from diskimage.engine.copy import Work
from diskimage.engine.progress import Report
from diskimage.image import Image
from diskimage.jobs.hash import demand_one_data_track
from diskimage.jobs.opening import Opening, opened, told, work
from diskimage.layers.blank import Blank
from diskimage.layers.slice import Slice
from diskimage.model import Device, Disc, Finding, Track
from diskimage.ranges import Ranges
from diskimage.sources.anything import What
from diskimage.words import rounded

MOST = 1 << 20  # ranges of one answer


@dataclass(frozen=True, slots=True)
class Compared:
    """`ranges` are the sectors that differ; of two sizes, those of the longer one that are not
    zeros count too. Two discs are equal where the stored frames of all their tracks are."""

    equal: bool
    ranges: Ranges
    sizes: tuple[int, int]
    warnings: tuple[Finding, ...]

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "equal": self.equal, "ranges": [[r.start, r.length] for r in self.ranges],
            "sizes": list(self.sizes), "warnings": told(self.warnings),
        }  # fmt: skip


def compare(
    a: What | Image,
    b: What | Image,
    *,
    format_b: str | None = None,
    open_options_b: Mapping[str, object] | None = None,
    strict: bool = False,
    threads: int | None = None,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> Compared:
    """Compare the guest bytes of `a` and `b`; of two discs the stored frames of all tracks too.

    `format` and `open_options` are those of `a`, `format_b` and `open_options_b` those of `b`;
    other keywords hold for both. Two sizes are equal where the rest of the longer one reads as
    zeros, unless `strict`.
    """
    with opened(a, **how) as one:
        how["format"], how["open_options"] = format_b, open_options_b or {}
        with opened(b, **how) as two:
            demand_one_data_track(one)
            demand_one_data_track(two)
            made = work(progress, cancel, threads, one.policy)
            found, said = _compared(one.device, two.device, strict, made)
            others = _further(one.disc, two.disc, made)
            equal = not found and not any(finding.kind == "tracks" for finding in others)
            said = [*one.warnings, *two.warnings, *said, *others]
            return Compared(equal, found, (one.size, two.size), tuple(said))


def _further(a: Disc | None, b: Disc | None, made: Work) -> list[Finding]:
    """What is to be said of tracks: those of two discs that differ are of kind `tracks`."""
    if a is not None and b is not None:
        text = _listed(_other_tracks(a, b, made))
        return [Finding("tracks", f"the stored frames differ: {text}")] if text else []
    tracks = [track for disc in (a, b) if disc is not None for track in disc.tracks]
    data = _listed(track.number for track in tracks if not track.mode.audio)
    audio = _listed(track.number for track in tracks if track.mode.audio)
    text = f"only the data of {data} was compared; audio of {audio} was not"
    return [Finding("audio", text)] if audio else []


def _other_tracks(a: Disc, b: Disc, made: Work) -> list[int]:
    """Numbers of the tracks of which one disc has none, or other frames from index 1 on."""
    ones, twos = ({track.number: track for track in disc.tracks} for disc in (a, b))
    made.watch.begin("tracks", sum(track.length * track.mode.size for track in a.tracks))
    return [n for n in sorted({*ones, *twos}) if _differ(ones.get(n), twos.get(n), made)]


def _differ(a: Track | None, b: Track | None, made: Work) -> bool:
    if a is None or b is None or (a.mode.name, a.length) != (b.mode.name, b.length):
        return True
    assert a.main is not None
    assert b.main is not None
    return bool(differing(a.main, b.main, made, 1))


def _listed(numbers: Iterable[int]) -> str:
    text = ", ".join(map(str, numbers))
    return text and f"track{'s' if ',' in text else ''} {text}"


def _compared(a: Device, b: Device, strict: bool, made: Work) -> tuple[Ranges, list[Finding]]:
    shared, said = min(a.size, b.size), []
    longer = a if a.size > b.size else b
    rest = longer.size - shared
    made.watch.begin("compare", longer.size)
    found = differing(a, b, made, MOST)
    if rest and strict:
        found |= Ranges([(shared, rest)])
    elif rest:
        edge = min(rounded(shared, GRAIN), longer.size)
        if differing(Slice(longer, shared, edge - shared), Blank(edge - shared), made):
            sector = shared // GRAIN * GRAIN
            found |= Ranges([(sector, edge - sector)])
        tail = differing(
            Slice(longer, edge, longer.size - edge), Blank(longer.size - edge), made, MOST
        )
        found |= Ranges((edge + r.start, r.length) for r in tail)
    if rest:
        said.append(Finding("size", f"one is {rest} bytes longer than the other"))
    if len(found) >= MOST:
        said.append(Finding("limit", f"more than {MOST} ranges differ; not all are listed"))
    return found, said
