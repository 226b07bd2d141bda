"""What a caller wants of the frames of a disc, and the liberties that were taken with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from diskimage.errors import UsageError
from diskimage.model import Finding


@dataclass(slots=True)
class FramePolicy:
    """How gathered frames are held against their rules, and what came of it.

    `check`: sync, mode and EDC of every frame. `repair`: a wrong EDC is mended by ECC where it can
    be. `cut_form2`: a Form 2 frame gives its first 2048 bytes. Each liberty is a finding.
    UsageError for `repair` without `check`.
    """

    check: bool = True
    repair: bool = False
    cut_form2: bool = False
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.repair and not self.check:
            raise UsageError(
                "frames that are not checked are not mended", remedy="--repair without --no-check"
            )

    def say(self, kind: str, message: str, lba: int) -> None:
        """Note a liberty; safe from several threads."""
        self.findings.append(Finding(kind, message, lba))

    def told(self, most: int) -> Iterator[Finding]:
        """At most `most` liberties by frame, each once however often it was read; how many more."""
        found = sorted(set(self.findings), key=lambda finding: finding.at or 0)
        yield from found[:most]
        if len(found) > most:
            yield Finding("limit", f"and {len(found) - most} more such frames")
