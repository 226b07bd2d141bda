"""AFF4, the evidence containers of Evimetry, pmem and others: physical images, read.

Not supported: logical images (AFF4-L), encrypted streams, directories as containers, writing.
"""

from __future__ import annotations

from diskimage.formats.aff4.opening import SUFFIXES, open_aff4, probe
from diskimage.model import Checking, Format, Gate, Option, Source


def _check(source: Source, gate: Gate) -> Checking:
    """What is wrong with the image; see `aff4.check`."""
    from diskimage.formats.aff4.check import check as walk  # by far the rarest thing asked for

    return walk(source, gate)


FORMAT = Format(
    name="aff4",
    title="Advanced Forensic Format 4",
    suffixes=SUFFIXES,
    can=frozenset({"read"}),
    probe=probe,
    open=open_aff4,
    check=_check,
    opens=(Option("image", "NAME|NUMBER", "which of several images; numbers are from 1"),),
)
