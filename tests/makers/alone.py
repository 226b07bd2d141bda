"""A format's own reader on bytes: no registry, no engine, and a gate that only remembers."""

from __future__ import annotations

import random

from diskimage.model import Device, Disc, Format
from diskimage.sources.memory import MemorySource
from tests.makers.gate import OpenGate


class Alone:
    """`rules` and nothing else."""

    def __init__(self, rules: Format) -> None:
        self._rules = rules

    def opened(self, image: bytes, gate: OpenGate | None = None) -> Device:
        """The device that the reader makes of `image`."""
        found = self._rules.open(MemorySource(image), gate or OpenGate())
        assert not isinstance(found, Disc)
        return found

    def warned(self, image: bytes) -> list[str]:
        """The kinds of what was odd and survived."""
        gate = OpenGate()
        self.opened(image, gate)
        return [finding.kind for finding in gate.warnings]

    def problems(self, image: bytes) -> list[str]:
        """The kinds of what the format's check finds."""
        assert self._rules.check is not None
        return [finding.kind for finding in self._rules.check(MemorySource(image), OpenGate())]


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that nothing compresses, the same for each `seed`."""
    return random.Random(seed).randbytes(size)
