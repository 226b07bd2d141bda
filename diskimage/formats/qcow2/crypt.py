"""Guests under LUKS or the old AES. Clusters alone are enciphered: no table, no compressed one.

Facts: QEMU docs/interop/qcow2, block/qcow2-cluster.c. LUKS counts sectors of the file, AES those of
the guest.
"""

from __future__ import annotations

from diskimage.encryption import luks1, qemu
from diskimage.encryption.sectors import SECTOR
from diskimage.encryption.volume import (
    Header as Luks,
    asked,
    missing,
    turning,
    unlocked,
)
from diskimage.errors import CorruptError
from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.layout import Header
from diskimage.layers.deciphered import Deciphered
from diskimage.model import Device, Gate, Source
from diskimage.parse import demand, fields
from diskimage.sources.decrypt import turned
from diskimage.sources.joined import Joined, Stretch
from diskimage.sources.locked import Locked

AES, LUKS = 1, 2


def place(header: Header, source: Source) -> tuple[int, int] | None:
    """(where, bytes) of the LUKS header; None without one. Raises CorruptError, TruncatedError."""
    if header.encryption != LUKS:
        return None
    data = header.extension(layout.LUKS_HEADER)
    if data is None:
        raise CorruptError("encrypted by LUKS, without a LUKS header", file=source.name, at=32)
    found = fields(layout.LUKS_PLACE, data, source, header.length, "LUKS header extension")
    if found.at % header.cluster:
        raise CorruptError(f"the LUKS header at {found.at} is not aligned", file=source.name)
    demand(source, found.at, found.length, "LUKS header")
    return found.at, found.length


def deciphered(
    layer: Device, header: Header, source: Source, data: Source, gate: Gate
) -> tuple[Device, dict[str, object] | None]:
    """`layer`, whose bytes are in `data`, with these in clear, and what `info` tells of the cipher;
    it itself and None where nothing is encrypted.

    Locked where the gate has no password and asks for none. Raises PasswordError, UnsupportedError,
    LimitError, CorruptError, TruncatedError.
    """
    where = place(header, source)
    if where is None and header.encryption == AES:
        return qemu.deciphered(layer, source, gate), {"encryption": "AES", "unlocked_by": None}
    if where is None:
        return layer, None
    head = Joined(source.name, (Stretch(source, *where),))
    luks = luks1.load(head)
    clear, slot = _clear(luks, head, data, gate)
    return Deciphered(layer, clear, by_guest=False), {**luks.told, "unlocked_by": slot}


def _clear(luks: Luks, head: Source, data: Source, gate: Gate) -> tuple[Source, str | None]:
    """All of `data` as it is in clear, sector by sector of the file, and the slot that took the
    password."""
    told = f"LUKS1, {luks.cipher}"
    password = asked(head, gate, told, qemu.REMEDY)
    if password is None:
        error = missing(head.name, told, qemu.REMEDY)
        return Locked(data.name, data.size, error), None
    keys = unlocked(luks, head, password, gate.limits)
    turn = turning(luks.segments[0], keys, data.name)
    return turned(data, turn, unit=SECTOR, count=data.size // SECTOR), keys.slot
