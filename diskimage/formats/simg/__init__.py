"""Android sparse images: chunks that are stored, filled or left as they are; sets of them, too.

Not supported: a sparse image whose file was cut in parts by bytes; join those first.
"""

from __future__ import annotations

from diskimage.formats.simg.create import OPTIONS, create, full, losses
from diskimage.formats.simg.open import open_simg, probe
from diskimage.model import Checking, Format, Gate, Source


def _check(source: Source, gate: Gate) -> Checking:
    """What is wrong with the image; see `simg.check`."""
    from diskimage.formats.simg.check import check as walk  # by far the rarest thing asked for

    return walk(source, gate)


FORMAT = Format(
    name="simg",
    title="Android sparse image",
    suffixes=(".simg",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_simg,
    losses=losses,
    create=create,
    check=_check,
    full=full,
    options=OPTIONS,
)
