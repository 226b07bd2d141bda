"""Progress: a bar on a terminal, lines of JSON where asked, nothing on a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from diskimage.cli.show import line

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from diskimage.engine.progress import Progress, Report

OFTEN = 0.1  # seconds between two updates


@contextmanager
def progress(mode: str) -> Iterator[Report | None]:
    """What a job is to call: `mode` is auto, json or none."""
    if mode == "json":
        yield _Throttled(_json_line)
    elif mode == "auto" and sys.stderr.isatty():
        with _Drawn() as drawn:
            yield _Throttled(drawn)
    else:
        yield None


class _Throttled:
    """Passes on a report now and then, and every one that begins or ends a phase."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._next = 0.0
        self._phase = ""

    def __call__(self, now: Progress) -> None:
        moment = time.monotonic()
        if moment < self._next and now.done < now.total and now.phase == self._phase:
            return
        self._next, self._phase = moment + OFTEN, now.phase
        self._report(now)


def _json_line(now: Progress) -> None:
    line({
        "progress": {
            "phase": now.phase, "done": now.done, "total": now.total, "read": now.read,
            "written": now.written,
        }
    })  # fmt: skip


class _Drawn:
    """A bar that is there from the first report on: what is asked before it stands alone."""

    def __init__(self) -> None:
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, now: Progress) -> None:
        if self._bar is None:
            self._bar = _bar()
            self._task = self._bar.add_task("")
            self._bar.start()
        self._bar.update(self._task, description=now.phase, total=now.total, completed=now.done)


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import (  # 70 ms: only where a bar is drawn
        BarColumn,
        DownloadColumn,
        Progress as Bar,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True),
        TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    return Bar(*columns, console=Console(stderr=True))
