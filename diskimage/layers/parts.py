"""The parts of a device that have something in them, for writers that keep a table a part."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.model import Device, Kind, Runs

CONTENT = bytes(kind & 0x7F != Kind.ZERO for kind in range(256))
"""Kind codes that are content, as a table of truth: absent too, which no writer may leave out."""
ANSWERED = bytes(kind != Kind.ABSENT for kind in range(256))
"""Kind codes by which a layer answers: zeros too, which hide what is below."""


def filled(device: Device, part: int, wanted: bytes) -> Iterator[int]:
    """The numbers of parts of `part` bytes with a byte whose kind is `wanted`, ascending.

    A part is left as soon as one such row is found, so that its other rows are not looked at; a
    hole costs one row, however many parts it covers.
    """
    start = 0
    while start < device.size:
        found = next((at for runs in device.runs(start) if (at := _first(runs, wanted)) >= 0), None)
        if found is None:
            return
        number = found // part
        yield number
        start = (number + 1) * part


def _first(runs: Runs, wanted: bytes) -> int:
    """The first guest byte of a wanted kind, -1 where there is none."""
    row = runs.kind.tobytes().translate(wanted).find(1)
    return runs.start[row] if row >= 0 else -1
