"""The old AES of QEMU, in qcow and qcow2: by guest sectors, and with nothing that tells a password.

Facts: QEMU crypto/block-qcow.c. AES-128 in CBC mode under the first 16 bytes of the password, the
IV of a sector its number in the guest (plain64).
"""

from __future__ import annotations

from diskimage.encryption.sectors import SECTOR, cipher
from diskimage.encryption.volume import asked, missing
from diskimage.layers.deciphered import Deciphered
from diskimage.model import Device, Gate, Source
from diskimage.sources.decrypt import turned
from diskimage.sources.locked import Locked

TOLD = "the old AES of QEMU"
REMEDY = "give its password with --password-file"


def deciphered(layer: Device, source: Source, gate: Gate) -> Device:
    """`layer` with what it stores in clear; locked where no password is asked for.

    A wrong password cannot be told, so that a warning says so. Raises PasswordError,
    UnsupportedError.
    """
    password = asked(source, gate, TOLD, REMEDY)
    if password is None:
        locked = Locked(source.name, layer.size, missing(source.name, TOLD, REMEDY))
        return Deciphered(layer, locked, by_guest=True)
    gate.warn("password", "this encryption stores nothing to tell a wrong password by")
    turn = cipher("aes-cbc-plain64", password.encode()[:16].ljust(16, b"\0"), file=source.name)
    stored = gate.reading(layer, source.name)
    clear = turned(stored, turn, unit=SECTOR, count=layer.size // SECTOR)
    return Deciphered(layer, clear, by_guest=True)
