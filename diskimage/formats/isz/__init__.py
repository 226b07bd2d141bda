"""ISZ, the compressed image of UltraISO: zlib, bzip2, segments, AES by password.

Not supported: sectors other than 2048 bytes, and the XOR cipher that the header has a number for
and no program writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.formats.isz.create import OPTIONS, create, full, losses
from diskimage.formats.isz.open import open_isz, probe
from diskimage.model import Finding, Format, Gate, Source


def _check(source: Source, gate: Gate) -> Iterator[Finding]:
    """What is wrong with the image; see `isz.check`."""
    from diskimage.formats.isz.check import check as walk  # by far the rarest thing asked for

    return walk(source, gate)


FORMAT = Format(
    name="isz",
    title="UltraISO compressed image",
    suffixes=(".isz",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_isz,
    losses=losses,
    create=create,
    check=_check,
    full=full,
    options=OPTIONS,
    unproven=True,
)
