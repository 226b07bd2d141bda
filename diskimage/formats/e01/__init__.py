"""EWF, the evidence files of EnCase, FTK Imager and libewf: E01 and s01, Ex01 read.

Not supported: logical evidence (L01), encrypted files, writing Ex01.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.e01.create import OPTIONS, create, full, losses
from diskimage.formats.e01.open import open_e01, probe
from diskimage.model import Finding, Format, Gate, Source


def _check(source: Source, gate: Gate) -> Iterator[Finding]:
    """What is wrong with the image; see `e01.check`."""
    from diskimage.formats.e01.check import check as walk  # by far the rarest thing asked for

    return walk(source, gate)


FORMAT = Format(
    name="e01",
    title="EnCase evidence file",
    suffixes=(".e01", ".ex01", ".s01"),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_e01,
    losses=losses,
    create=create,
    check=_check,
    full=full,
    options=OPTIONS,
    holds_bad=True,
)
