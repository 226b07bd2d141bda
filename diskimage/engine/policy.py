"""What a caller wants of the frames of a disc, and the liberties that were taken with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from diskimage.errors import UsageError
from diskimage.model import Finding
from diskimage.ranges import Ranges

SHOWN = 20  # runs of frames that a finding names


@dataclass(slots=True)
class FramePolicy:
    """How gathered frames are held against their rules, and what came of it.

    `check`: sync, mode and EDC of every frame. `repair`: a wrong EDC is mended by ECC where it can
    be. `cut_form2`: a Form 2 frame gives its first 2048 bytes. Each liberty is a finding.
    `compare`: `odd` is told (LBA, count) of frames with other bytes around their user data than are
    made again. UsageError for `repair` without `check`.
    """

    check: bool = True
    repair: bool = False
    cut_form2: bool = False
    compare: bool = False
    odd: list[tuple[int, int]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.repair and not self.check:
            raise UsageError(
                "frames that are not checked are not mended", remedy="--repair without --no-check"
            )

    def say(self, kind: str, message: str, lba: int) -> None:
        """Note a liberty; safe from several threads."""
        self.findings.append(Finding(kind, message, lba))

    def mark(self, marks: bytearray, lba: int) -> None:
        """Note the frames from `lba` on whose byte of `marks` is 1; safe from several threads."""
        start = marks.find(1)
        while start >= 0:
            stop = marks.find(0, start)
            stop = len(marks) if stop < 0 else stop
            self.odd.append((lba + start, stop - start))
            start = marks.find(1, stop)

    def told(self, most: int) -> Iterator[Finding]:
        """At most `most` liberties by frame, each once however often it was read; how many more.

        Last, the frames that are not made again from their user data.
        """
        found = sorted(set(self.findings), key=lambda finding: finding.at or 0)
        yield from found[:most]
        if len(found) > most:
            yield Finding("limit", f"and {len(found) - most} more such frames")
        yield from exceptional(self.odd, "--exact keeps them beside the target")


def exceptional(odd: Iterable[tuple[int, int]], fate: str) -> Iterator[Finding]:
    """A finding on frames, pairs of (LBA, count), that are not made again from their user data."""
    pairs = list(odd)
    if not pairs:
        return
    low = min(lba for lba, _ in pairs)
    runs = Ranges((lba - low, count) for lba, count in pairs)
    spans = [(low + run.start, low + run.stop - 1) for run in islice(runs, SHOWN)]
    text = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in spans)
    more = f" and {len(runs) - SHOWN} more runs" if len(runs) > SHOWN else ""
    yield Finding(
        "exceptions",
        f"{runs.total} frames are not made again from their user data; {fate}: LBA {text}{more}",
        low,
    )
