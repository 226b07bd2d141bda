"""The header of LUKS 1: one cipher, eight keyslots, one digest.

Facts: LUKS1 On-Disk Format Specification 1.2.3, 4 and 5. Big-endian; offsets count 512 bytes.
"""

from __future__ import annotations

from typing import Any

from construct import Array, Bytes, Const, Int16ub, Int32ub, Struct

from diskimage.encryption.keys import Pbkdf2
from diskimage.encryption.sectors import SECTOR
from diskimage.encryption.volume import Digest, Header, Segment, Slot
from diskimage.errors import CorruptError, UnsupportedError
from diskimage.model import Source
from diskimage.parse import struct

MAGIC = b"LUKS\xba\xbe"
SLOT = Struct(
    "state" / Int32ub, "rounds" / Int32ub, "salt" / Bytes(32), "at" / Int32ub, "stripes" / Int32ub
)
HEADER = Struct(
    "magic" / Const(MAGIC), "version" / Int16ub, "cipher" / Bytes(32), "mode" / Bytes(32),
    "hash" / Bytes(32), "payload" / Int32ub, "key_size" / Int32ub, "digest" / Bytes(20),
    "salt" / Bytes(32), "rounds" / Int32ub, "uuid" / Bytes(40), "slots" / Array(8, SLOT),
)  # fmt: skip
ENABLED, DISABLED = 0x00AC71F3, 0x0000DEAD


def load(source: Source) -> Header:
    """The header that `source` begins with. Raises CorruptError, TruncatedError,
    UnsupportedError."""
    raw = struct(HEADER, source, 0, "LUKS header")
    if raw.version != 1:
        text_ = f"LUKS version {raw.version} where version 1 is due"
        raise UnsupportedError(text_, file=source.name, at=6)
    hash_name, name = text(raw.hash), f"{text(raw.cipher)}-{text(raw.mode)}"
    slots = []
    for number, one in enumerate(raw.slots):
        if one.state not in (ENABLED, DISABLED):
            fault = f"keyslot {number} is in the state {one.state:#x}"
            raise CorruptError(fault, file=source.name, at=208 + number * SLOT.sizeof())
        if one.state == ENABLED:
            slots.append(_slot(number, one, raw.key_size, name, hash_name))
    digest = Digest(Pbkdf2(hash_name, raw.salt, raw.rounds), raw.digest,
                    tuple(slot.name for slot in slots))  # fmt: skip
    return Header(
        version=1,
        uuid=text(raw.uuid),
        label="",
        slots=tuple(slots),
        digests=(digest,),
        segments=(Segment(raw.payload * SECTOR, None, name),),
        own=HEADER.sizeof(),
    )


def _slot(number: int, raw: Any, key_size: int, cipher: str, hash_name: str) -> Slot:
    kdf = Pbkdf2(hash_name, raw.salt, raw.rounds)
    return Slot(
        str(number), kdf, key_size, raw.at * SECTOR, key_size, cipher, hash_name, raw.stripes
    )


def text(raw: bytes) -> str:
    """A name that zeros fill up."""
    return bytes(raw).partition(b"\0")[0].decode("utf-8", "replace")
