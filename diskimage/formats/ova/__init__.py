"""OVA and OVF, appliances: the disks in a tar archive, or beside the text that names them.

Facts: DMTF DSP0243. Not supported: several machines written, certificates, encrypted files.
"""

from __future__ import annotations

from diskimage.formats.ova.create import OPTIONS, create, full, losses
from diskimage.formats.ova.opening import open_ova, probe
from diskimage.model import Checking, Format, Gate, Option, Source


def _check(source: Source, gate: Gate) -> Checking:
    """What is wrong with the image; see `ova.check`."""
    from diskimage.formats.ova.check import check as walk  # by far the rarest thing asked for

    return walk(source, gate)


FORMAT = Format(
    name="ova",
    title="appliance (OVA, OVF)",
    suffixes=(".ova",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_ova,
    losses=losses,
    create=create,
    check=_check,
    full=full,
    options=OPTIONS,
    opens=(Option("disk", "ID|FILE|NUMBER", "which of several disks; numbers are from 1"),),
    wraps="vmdk",
)
