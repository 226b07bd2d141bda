"""Apple's disk images: UDIF (.dmg), sparse images and bundles, and each of them encrypted.

Not supported: keys under a certificate, Disk Copy 4.2, NDIF.
"""

from __future__ import annotations

from dataclasses import replace

from diskimage.errors import CorruptError
from diskimage.formats.dmg import encrypted, layout, sparse
from diskimage.formats.dmg.create import OPTIONS, create, full, losses
from diskimage.formats.dmg.open import Udif, opened, trailer
from diskimage.layers.plain import Plain
from diskimage.layers.slice import Slice
from diskimage.model import Bid, Checking, Device, Format, Gate, Held, Look, Source
from diskimage.parse import read


def probe(look: Look) -> Bid | None:
    """The magic of each kind."""
    if encrypted.is_encrypted(look.head, look.tail):
        return Bid(90, "encrcdsa at 0, or cdsaencr at the end")
    if look.head.startswith(sparse.MAGIC):
        return Bid(90, "sprs at 0")
    if sparse.BUNDLE in look.head[: sparse.LIST]:
        return Bid(90, "the list of a sparse bundle")
    at = layout.find(look.head, look.tail, look.size)
    return None if at is None else Bid(95, f"koly at {at}")


def open_dmg(source: Source, gate: Gate) -> Device:
    """The disk in it. Raises DiskImageError."""
    found = _found(source, gate)
    return found.device if isinstance(found, Udif) else found


def _found(source: Source, gate: Gate) -> Udif | Device:
    """What is in `source`, deciphered where it is encrypted: a UDIF or another device."""
    if encrypted.is_encrypted(_end(source, 0), _end(source, max(0, source.size - 8))):
        clear, cipher = encrypted.deciphered(source, gate)
        inner = _inside(clear, gate)
        if isinstance(inner, Udif):
            return replace(inner, device=_told(inner.device, cipher))
        return _told(inner or Plain(clear), cipher)
    if sparse.BUNDLE in bytes(_end(source, 0, sparse.LIST)):
        return sparse.open_bundle(source, gate)
    found = _inside(source, gate)
    if found is None:
        raise CorruptError("is no disk image of Apple's: it has no trailer", file=source.name)
    return found


def _inside(clear: Source, gate: Gate) -> Udif | Device | None:
    """What clear bytes are; None where nothing tells."""
    if bytes(_end(clear, 0)).startswith(sparse.MAGIC):
        return sparse.open_sparse(clear, gate)
    at = trailer(clear)
    return None if at is None else opened(clear, at, gate)


def _told(device: Device, cipher: str) -> Device:
    """`device`, which says that it was encrypted."""
    whole = Slice(device, 0, device.size)
    variant = device.info.get("variant", "plain disk")
    whole.info = {**device.info, "variant": f"{variant}, encrypted", "encryption": cipher}
    return whole


def _end(source: Source, at: int, size: int = 8) -> bytearray:
    return read(source, at, min(size, source.size - at), "the magic")


def _check(source: Source, gate: Gate) -> Checking:
    """What is wrong with the image; see `dmg.check`."""
    from diskimage.formats.dmg import check as walk  # by far the rarest thing asked for

    found = _found(source, gate)
    if isinstance(found, Udif):
        for what in walk.unverified(found):
            gate.warn("checksum", f"{what} has a checksum of a kind that is not known")
        return (yield from walk.check(found, gate.reading(found.device, source.name)))
    return Held()


FORMAT = Format(
    name="dmg",
    title="Apple disk image",
    suffixes=(".dmg",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_dmg,
    losses=losses,
    create=create,
    check=_check,
    full=full,
    options=OPTIONS,
)
