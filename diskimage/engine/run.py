"""A plan carried out on a sink: published whole at its end, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diskimage.engine.copy import Work, copy
from diskimage.engine.pack import pack
from diskimage.errors import from_os
from diskimage.model import Barrier, Copy, Pack, Plan, Put, Sink, Size, Step


def run(plan: Plan, sink: Sink, work: Work) -> None:
    """Carry out every step of `plan`, then commit `sink`; on any error abort it."""
    try:
        with _named(sink):
            _steps(plan, sink, work)
    except BaseException:
        sink.abort()
        raise
    with _named(sink):
        sink.commit()


def apply(plan: Plan, sink: Sink, work: Work) -> None:
    """Carry out every step of a plan that changes a file in place: nothing is left to publish."""
    with _named(sink):
        _steps(plan, sink, work)


@contextmanager
def _named(sink: Sink) -> Iterator[None]:
    """An error of the operating system in the library's words; the target's where it names none."""
    try:
        yield
    except OSError as error:
        named = isinstance(error.filename, str)
        raise from_os(error, error.filename if named else sink.target().name) from error


def _steps(plan: Plan, sink: Sink, work: Work) -> None:
    used: set[str] = {""}
    result: Any = None
    try:
        while True:
            step = plan.send(result)
            result = _step(step, sink, work, used)
    except StopIteration:
        return
    finally:
        plan.close()


def _step(step: Step, sink: Sink, work: Work, used: set[str]) -> Any:
    if isinstance(step, Barrier):
        for name in sorted(used):
            sink.target(name).sync()
        return None
    used.add(step.file)
    target = sink.target(step.file)
    if isinstance(step, Copy):
        return copy(step.extents, step.to, target, step.sums, work)
    if isinstance(step, Pack):
        return pack(step, target, work)
    if isinstance(step, Put):
        return target.write(step.to, memoryview(step.data))
    assert isinstance(step, Size)
    return target.resize(step.size)
