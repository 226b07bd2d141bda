"""How far a job is, and whether to go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from diskimage.errors import CancelledError

Report = Callable[["Progress"], None]


@dataclass(slots=True)
class Progress:
    """Guest bytes passed of `total`, and bytes really read and written."""

    total: int = 0
    done: int = 0
    read: int = 0
    written: int = 0
    phase: str = ""


class Watch:
    """Where the engine tells how far it is; `report` is called from the caller's thread alone."""

    def __init__(self, report: Report | None = None, cancel: Event | None = None) -> None:
        self.progress = Progress()
        self._report = report
        self._cancel = cancel

    def begin(self, phase: str, total: int) -> None:
        """A new phase of `total` guest bytes."""
        self.progress.phase, self.progress.total, self.progress.done = phase, total, 0
        self.passed(0)

    def passed(self, done: int, *, read: int = 0, written: int = 0) -> None:
        """`done` more guest bytes are behind us. Raises CancelledError once asked to stop."""
        progress = self.progress
        progress.done += done
        progress.read += read
        progress.written += written
        if self._report is not None:
            self._report(progress)
        if self._cancel is not None and self._cancel.is_set():
            raise CancelledError("stopped; nothing was published")
