"""Whether two images, of any formats, hold the same bytes, and where not."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from typing import Unpack

from diskimage.engine.compare import differing
from diskimage.engine.copy import Work
from diskimage.engine.progress import Report
from diskimage.image import Image
from diskimage.jobs.hash import demand_one_data_track
from diskimage.jobs.opening import Opening, opened, told, work
from diskimage.layers.blank import Blank
from diskimage.layers.slice import Slice
from diskimage.model import Device, Finding
from diskimage.ranges import Ranges
from diskimage.sources.anything import What

MOST = 1 << 20  # ranges of one answer


@dataclass(frozen=True, slots=True)
class Compared:
    """`ranges` are the sectors that differ; of two sizes, those of the longer one that are not
    zeros count too."""

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
    strict: bool = False,
    threads: int | None = None,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> Compared:
    """Compare the guest bytes of `a` and `b`.

    `format` is that of `a`, `format_b` that of `b`; other keywords hold for both. Two sizes are
    equal where the rest of the longer one reads as zeros, unless `strict`.
    """
    with opened(a, **how) as one:
        how["format"] = format_b
        with opened(b, **how) as two:
            demand_one_data_track(one)
            demand_one_data_track(two)
            made = work(progress, cancel, threads, one.policy)
            found, said = _compared(one.device, two.device, strict, made)
            return Compared(
                not found, found, (one.size, two.size), (*one.warnings, *two.warnings, *said)
            )


def _compared(a: Device, b: Device, strict: bool, made: Work) -> tuple[Ranges, list[Finding]]:
    shared, said = min(a.size, b.size), []
    longer = a if a.size > b.size else b
    rest = longer.size - shared
    made.watch.begin("compare", longer.size)
    found = differing(a, b, made, MOST)
    if rest and strict:
        found |= Ranges([(shared, rest)])
    elif rest:
        tail = differing(Slice(longer, shared, rest), Blank(rest), made, MOST)
        found |= Ranges((shared + r.start, r.length) for r in tail)
    if rest:
        said.append(Finding("size", f"one is {rest} bytes longer than the other"))
    if len(found) >= MOST:
        said.append(Finding("limit", f"more than {MOST} ranges differ; not all are listed"))
    return found, said
