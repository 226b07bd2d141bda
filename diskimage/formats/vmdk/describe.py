"""The descriptor of a new disk, as VMware writes it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from diskimage.errors import UsageError
from diskimage.formats.vmdk.descriptor import SECTOR

ROOM = 20 * SECTOR  # inside a sparse extent: VirtualBox adds lines in place
GIB = 1 << 30
NO_CID = "ffffffff"  # as the parent's: there is none

_TEXT = """\
# Disk DescriptorFile
version=1
encoding="UTF-8"
CID={cid}
parentCID={parent_cid}
createType="{kind}"{hint}

# Extent description
{extents}

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.longContentID = "{long}{cid}"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "{heads}"
ddb.geometry.sectors = "{sectors}"
ddb.adapterType = "{adapter}"
ddb.toolsVersion = "2147483647"
"""


def describe(
    kind: str, extents: Sequence[tuple[int, str, str]], size: int, adapter: str,
    parent_cid: str = NO_CID, parent: str = "",
) -> bytes:  # fmt: skip
    """The text of a disk of `size` bytes, its `extents` as (bytes, type, file), over `parent`.

    Raises UsageError for a file whose name no descriptor can hold.
    """
    for name in (parent, *(file for _, _, file in extents)):
        if '"' in name or not name.isprintable():
            raise UsageError(f"a descriptor cannot name {name!a}", remedy="use a plainer name")
    lines = []
    for length, type, file in extents:
        line = f'RW {length // SECTOR} {type} "{file}"'
        lines.append(line + " 0" if type == "FLAT" else line)
    cylinders, heads, sectors = _geometry(size, adapter)
    made = _TEXT.format(
        kind=kind, extents="\n".join(lines), cid=f"{secrets.randbelow(0xFFFFFFFE):08x}",
        long=secrets.token_hex(12), cylinders=cylinders, heads=heads, sectors=sectors,
        adapter=adapter, parent_cid=parent_cid,
        hint=f'\nparentFileNameHint="{parent}"' if parent else "",
    ).encode()  # fmt: skip
    if len(extents) == 1 and len(made) > ROOM:
        raise UsageError("the name does not fit in a descriptor", remedy="use a shorter name")
    return made


def _geometry(size: int, adapter: str) -> tuple[int, int, int]:
    """Cylinders, heads and sectors, as VMware chooses them for a controller."""
    heads, sectors = 255, 63
    if adapter == "ide":
        heads = 16
    elif size < GIB:
        heads, sectors = 64, 32
    elif size < 2 * GIB:
        heads, sectors = 128, 32
    cylinders = size // SECTOR // (heads * sectors)
    return (min(cylinders, 16383) if adapter == "ide" else cylinders), heads, sectors
