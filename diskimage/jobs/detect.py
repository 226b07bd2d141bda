"""Which formats claim a file, and why."""

from __future__ import annotations

from dataclasses import dataclass

from diskimage import registry
from diskimage.errors import DiskImageError
from diskimage.registry import Candidate, chosen
from diskimage.sources.anything import What, as_source
from diskimage.sources.device import DeviceFileSource


@dataclass(frozen=True, slots=True)
class Detected:
    """The candidates, the surest first; `format` is what opening takes, or `error` what it raises.

    `warning` tells of a suffix that says otherwise than the content.
    """

    file: str
    size: int
    format: str | None
    candidates: tuple[Candidate, ...]
    error: DiskImageError | None
    warning: str | None = None

    def to_json(self) -> dict[str, object]:
        """One document."""
        error, warning = self.error, self.warning
        return {
            "file": self.file, "size": self.size, "format": self.format,
            "candidates": [
                {"format": c.name, "score": c.score, "reason": c.reason,
                 "opens": c.entry is not None}
                for c in self.candidates
            ],
            "error": None if error is None else {
                "kind": error.kind, "message": error.message, "remedy": error.remedy,
            },
            "warnings": [] if warning is None else [{"kind": "suffix", "message": warning}],
        }  # fmt: skip


def detect(what: What) -> Detected:
    """Look at a file's beginning, end and name, and open nothing."""
    source = as_source(what)
    try:
        if isinstance(source, DeviceFileSource):
            reason = Candidate("raw", 100, "a block device", registry.entry_of("raw"))
            return Detected(source.name, source.size, "raw", (reason,), None)
        found = tuple(registry.candidates(registry.look(source)))
        try:
            rules, warning = chosen(source, None)
        except DiskImageError as error:
            return Detected(source.name, source.size, None, found, error)
        return Detected(source.name, source.size, rules.name, found, None, warning)
    finally:
        if source is not what:
            source.close()
