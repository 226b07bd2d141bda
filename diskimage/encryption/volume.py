"""What the headers of LUKS 1 and 2 say, as one value, and the clear bytes by a passphrase.

A passphrase gives the key of a keyslot; that deciphers the slot's material, which merged is the
volume key, if its digest says so.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from diskimage.encryption.keys import Kdf, Pbkdf2, derive, merged
from diskimage.encryption.sectors import SECTOR, cipher
from diskimage.errors import CorruptError, PasswordError, UnsupportedError
from diskimage.limits import Limits
from diskimage.model import Gate, Source
from diskimage.parse import demand, read
from diskimage.sources.decrypt import Turn, turned
from diskimage.sources.joined import Joined, Stretch

STRIPES = 4000  # of all material that anybody writes
KEYS = range(16, 513)  # bytes of a volume key
LOWEST, USUAL = 0, 1  # priorities: slots of the lowest are for those who ask for them by number


class Slot(NamedTuple):
    """A keyslot: how the passphrase becomes its key, and where its material lies in the header."""

    name: str
    kdf: Kdf
    key_size: int  # of the volume key
    at: int
    area_key_size: int
    area_cipher: str
    hash: str
    stripes: int = STRIPES
    priority: int = USUAL

    @property
    def size(self) -> int:
        """Bytes of the material."""
        return self.key_size * self.stripes


class Digest(NamedTuple):
    """What tells a volume key, and the names of the slots that may hold it."""

    kdf: Pbkdf2
    value: bytes
    slots: tuple[str, ...]


class Segment(NamedTuple):
    """A stretch of the volume: at `at` of the data, to their end where `length` is None.

    `cipher` None: stored as it is. `digest` is that of its key, among those of the header.
    """

    at: int
    length: int | None
    cipher: str | None
    sector: int = SECTOR
    first: int = 0  # what the IV of its first sector counts
    digest: int = 0


class Header(NamedTuple):
    """A LUKS header, `own` bytes without the key material, both copies where there are two."""

    version: int
    uuid: str
    label: str
    slots: tuple[Slot, ...]
    digests: tuple[Digest, ...]
    segments: tuple[Segment, ...]
    own: int

    @property
    def reach(self) -> int:
        """Its size with all key material."""
        return max([self.own, *(slot.at + slot.size for slot in self.slots)])

    @property
    def cipher(self) -> str:
        """That of the first segment that has one."""
        return next((one.cipher for one in self.segments if one.cipher), "none")

    @property
    def sector(self) -> int:
        """Bytes of a sector of the volume: the most that a segment has."""
        return max((one.sector for one in self.segments), default=SECTOR)

    @property
    def told(self) -> dict[str, object]:
        """For people."""
        return {
            "encryption": f"LUKS{self.version}",
            "cipher": self.cipher,
            "key_bits": max((8 * slot.key_size for slot in self.slots), default=None),
            "sector_size": self.sector,
            "uuid": self.uuid,
            "label": self.label or None,
            "keyslots": [
                {"slot": slot.name, **slot.kdf.told, "priority": slot.priority}
                for slot in self.slots
            ],
        }  # fmt: skip


class Keys(NamedTuple):
    """Volume keys by the number of their digest, and the slot that gave the first."""

    keys: Mapping[int, bytes]
    slot: str


def unlocked(header: Header, source: Source, password: str, limits: Limits) -> Keys:
    """The keys of all segments by `password`; `source` begins with the header.

    Slots are tried by their priority. Raises PasswordError where none takes it.
    """
    needed = sorted({one.digest for one in header.segments if one.cipher is not None})
    keys, names = {}, []
    for number in needed:
        name, keys[number] = _unlocked(header, number, source, password.encode(), limits)
        names.append(name)
    return Keys(keys, names[0] if names else "none")


def _unlocked(
    header: Header, number: int, source: Source, password: bytes, limits: Limits
) -> tuple[str, bytes]:
    told = header.digests[number]
    slots = [slot for slot in header.slots if slot.name in told.slots and slot.priority > LOWEST]
    odd: UnsupportedError | None = None
    for slot in sorted(slots, key=lambda slot: -slot.priority):
        try:
            key = opened(slot, source, password, limits)
            made = derive(told.kdf, key, len(told.value), limits, source.name)
        except UnsupportedError as error:  # another slot may be of a kind that we have
            odd = error
            continue
        if hmac.compare_digest(made, told.value):
            return slot.name, key
    if odd is not None:
        raise odd
    if not slots:
        raise PasswordError("no keyslot takes a password", file=source.name,
                            remedy="open it with the software that made it")  # fmt: skip
    raise PasswordError("the password is wrong", file=source.name,
                        remedy="check the password: a line end at its end counts")  # fmt: skip


def opened(slot: Slot, source: Source, password: bytes, limits: Limits) -> bytes:
    """What a slot holds for a password: the volume key, if it is the right one."""
    if slot.key_size not in KEYS or slot.area_key_size not in KEYS:
        text = f"keyslot {slot.name}: keys of {slot.key_size} and {slot.area_key_size} bytes"
        raise CorruptError(text, file=source.name)
    if slot.stripes != STRIPES:
        text = f"keyslot {slot.name}: a key in {slot.stripes} stripes, not {STRIPES}"
        raise UnsupportedError(text, file=source.name)
    length = -(-slot.size // SECTOR) * SECTOR
    demand(source, slot.at, slot.size, f"material of keyslot {slot.name}")
    coded = read(source, slot.at, min(length, source.size - slot.at), "key material")
    coded = coded.ljust(length, b"\0")  # of a last sector, cut by the end of a header
    cipher(slot.area_cipher, bytes(slot.area_key_size), file=source.name)  # before its key is paid
    key = derive(slot.kdf, password, slot.area_key_size, limits, source.name)
    clear = cipher(slot.area_cipher, key, file=source.name)(0, coded)
    return merged(bytes(clear[: slot.size]), slot.key_size, slot.hash, source.name)


def asked(source: Source, gate: Gate, told: str, remedy: str) -> str | None:
    """The password of the gate; None where the image may stay locked. Raises PasswordError."""
    password = None if gate.locked else gate.password()
    if password is None and not gate.locked:
        raise missing(source.name, told, remedy)
    return password


def missing(file: str, told: str, remedy: str) -> PasswordError:
    """The error of who has no password."""
    return PasswordError(f"is encrypted ({told})", file=file, remedy=remedy)


def clear(header: Header, keys: Keys, data: Source) -> Source:
    """The clear bytes of all segments of `data`. Raises TruncatedError."""
    stretches = []
    for segment, length in sized(header, data):
        if segment.cipher is None:
            stretches.append(Stretch(data, segment.at, length))
            continue
        turn = turning(segment, keys, data.name)
        count = length // segment.sector
        plain = turned(data, turn, unit=segment.sector, count=count, at=segment.at)
        stretches.append(Stretch(plain, 0, plain.size))
    return Joined(data.name, stretches)


def turning(segment: Segment, keys: Keys, file: str) -> Turn:
    """What deciphers the sectors of an enciphered segment."""
    assert segment.cipher is not None
    key = keys.keys[segment.digest]
    return cipher(segment.cipher, key, file=file, sector=segment.sector, first=segment.first)


def sized(header: Header, data: Source) -> Iterator[tuple[Segment, int]]:
    """Each segment with its bytes. Raises TruncatedError where `data` ends before it, CorruptError
    where it is no whole number of sectors."""
    for segment in header.segments:
        demand(data, segment.at, segment.length or 0, "encrypted data")
        length = data.size - segment.at if segment.length is None else segment.length
        if segment.length is not None and length % segment.sector:
            text = f"a segment of {length} bytes in sectors of {segment.sector}"
            raise CorruptError(text, file=data.name)
        yield segment, length - length % segment.sector
