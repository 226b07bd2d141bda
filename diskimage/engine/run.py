"""A plan carried out on a sink: published whole at its end, or not at all."""

from __future__ import annotations

from typing import Any

from diskimage.engine.copy import Work, copy
from diskimage.engine.pack import pack
from diskimage.errors import from_os
from diskimage.model import Barrier, Copy, Pack, Plan, Put, Sink, Size, Step


def run(plan: Plan, sink: Sink, work: Work) -> None:
    """Carry out every step of `plan`, then commit `sink`; on any error abort it."""
    try:
        _steps(plan, sink, work)
    except OSError as error:
        sink.abort()
        raise from_os(error, sink.target().name) from error
    except BaseException:
        sink.abort()
        raise
    sink.commit()


def apply(plan: Plan, sink: Sink, work: Work) -> None:
    """Carry out every step of a plan that changes a file in place: nothing is left to publish."""
    try:
        _steps(plan, sink, work)
    except OSError as error:
        raise from_os(error, sink.target().name) from error


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
