"""LUKS volumes written field by field from the specifications of both versions.

Sectors are enciphered one by one by the wheel's own modes; the split and the headers are made here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from tests.makers.sample import Sample

STRIPES = 4000
ROUNDS = 1000
PASSWORD = "correct horse"
SECTOR = 512


def iv(name: str, key: bytes, number: int) -> bytes:
    """The IV of a sector by dm-crypt's names."""
    if name == "plain":
        return (number % 2**32).to_bytes(16, "little")
    if name == "plain64":
        return number.to_bytes(16, "little")
    kind, _, hash_name = name.partition(":")
    assert kind == "essiv"
    salt = hashlib.new(hash_name, key).digest()
    return _wheel("ecb", salt, b"", number.to_bytes(16, "little"))


def _wheel(mode: str, key: bytes, iv: bytes, plain: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    kinds: dict[str, Any] = {"ecb": modes.ECB, "cbc": modes.CBC, "xts": modes.XTS}
    made = kinds[mode](iv) if iv else kinds[mode]()
    coder = Cipher(algorithms.AES(key), made).encryptor()
    return coder.update(plain) + coder.finalize()


def sealed(name: str, key: bytes, plain: bytes, *, first: int = 0, sector: int = SECTOR) -> bytes:
    """`plain` enciphered sector by sector; the number of the first, of 512 bytes, is `first`."""
    _, mode, generator = name.split("-")
    return b"".join(
        _wheel(mode, key, iv(generator, key, first + at // 512), plain[at : at + sector])
        for at in range(0, len(plain), sector)
    )


def split(key: bytes, hash_name: str, stripes: int = STRIPES) -> bytes:
    """The anti-forensic split: random stripes, and a last one that makes them the key."""
    chance, out, state = random.Random(key), bytearray(), bytes(len(key))
    for _ in range(stripes - 1):
        stripe = chance.randbytes(len(key))
        out += stripe
        state = diffuse(bytes(a ^ b for a, b in zip(state, stripe, strict=True)), hash_name)
    return bytes(out) + bytes(a ^ b for a, b in zip(state, key, strict=True))


def diffuse(data: bytes, hash_name: str) -> bytes:
    """Each piece of a digest's length, by the digest of its number and itself."""
    width, out = hashlib.new(hash_name).digest_size, b""
    for number in range(-(-len(data) // width)):
        piece = data[number * width : (number + 1) * width]
        told = struct.pack(">I", number) + piece
        out += hashlib.new(hash_name, told).digest()[: len(piece)]
    return out


def material(area: str, slot_key: bytes, key: bytes, hash_name: str) -> bytes:
    """What a keyslot stores: the split key, enciphered from sector 0 of its own area."""
    stored = split(key, hash_name)
    return sealed(area, slot_key, stored + bytes(-len(stored) % SECTOR))


def luks1(
    plain: bytes, *, cipher: str = "aes-xts-plain64", hash_name: str = "sha256", size: int = 64,
    slots: Sequence[tuple[int, str]] = ((0, PASSWORD),), payload: int = 4096 * SECTOR,
    first: int = 0,
) -> bytes:  # fmt: skip
    """A volume of version 1; `slots` are (number, password)."""
    key, chance = random.Random(size).randbytes(size), random.Random(1)
    kind, _, mode = cipher.partition("-")
    salt = chance.randbytes(32)
    digest = hashlib.pbkdf2_hmac(hash_name, key, salt, ROUNDS, 20)
    head = struct.pack(
        ">6sH32s32s32sII20s32sI40s", b"LUKS\xba\xbe", 1, kind.encode(), mode.encode(),
        hash_name.encode(), payload // SECTOR, size, digest, salt, ROUNDS, b"a-b-c",
    )  # fmt: skip
    rows, areas, step = b"", {}, -(-size * STRIPES // 4096) * 8
    given = dict(slots)
    for number in range(8):
        at = 8 + number * step
        salt = chance.randbytes(32)
        state = 0x00AC71F3 if number in given else 0xDEAD
        rows += struct.pack(">II32sII", state, ROUNDS, salt, at, STRIPES)
        if number in given:
            password = given[number].encode()
            slot_key = hashlib.pbkdf2_hmac(hash_name, password, salt, ROUNDS, size)
            areas[at * SECTOR] = material(cipher, slot_key, key, hash_name)
    out = bytearray(head + rows)
    for at, area in areas.items():
        out = out.ljust(at, b"\0")
        out += area
    return bytes(out.ljust(payload, b"\0")) + sealed(cipher, key, plain, first=first)


@dataclass
class Luks2:
    """A volume of version 2. `segments` are (type, sector size, iv tweak, plain bytes); `slots`
    (password, priority or None); `change` edits the JSON before its checksum is made."""

    segments: Sequence[tuple[str, int, int, bytes]]
    cipher: str = "aes-xts-plain64"
    hash_name: str = "sha256"
    size: int = 64
    slots: Sequence[tuple[str, int | None]] = ((PASSWORD, None),)
    kdf: str = "pbkdf2"
    header: int = 0x4000
    sequence: tuple[int, int] = (3, 3)
    dynamic: bool = True  # the last segment has no length of its own
    change: Callable[[dict[str, Any]], object] = lambda _: None
    areas: dict[int, bytes] = field(default_factory=dict)

    def image(self) -> bytes:
        """The file: two headers, key material, segments."""
        self.key = random.Random(self.size).randbytes(self.size)
        at = 2 * self.header
        keyslots = {}
        for number, (password, priority) in enumerate(self.slots):
            keyslots[str(number)] = self._slot(number, password, priority, at)
            at += -(-self.size * STRIPES // 4096) * 4096
        area: dict[str, Any] = {
            "keyslots": keyslots, "tokens": {}, "segments": {}, "digests": {"0": self._digest()},
            "config": {"json_size": str(self.header - 4096), "keyslots_size": str(at)},
        }  # fmt: skip
        for number, (kind, sector, tweak, plain) in enumerate(self.segments):
            stored = plain
            if kind == "crypt":
                stored = sealed(self.cipher, self.key, plain, first=tweak, sector=sector)
            last = number == len(self.segments) - 1 and self.dynamic
            told: dict[str, object] = {
                "type": kind, "offset": str(at), "size": "dynamic" if last else str(len(plain))
            }  # fmt: skip
            if kind == "crypt":
                told |= {"iv_tweak": str(tweak), "encryption": self.cipher, "sector_size": sector}
            area["segments"][str(number)] = told
            self.areas[at] = stored
            at += len(stored)
        self.change(area)
        out = bytearray(self._header(0, area) + self._header(1, area))
        for place, stored in sorted(self.areas.items()):
            out = out.ljust(place, b"\0")
            out[place : place + len(stored)] = stored
        return bytes(out)

    def _slot(self, number: int, password: str, priority: int | None, at: int) -> dict[str, Any]:
        salt = bytes([number]) * 32
        kdf: dict[str, Any] = {"type": self.kdf, "salt": base64.b64encode(salt).decode()}
        if self.kdf == "pbkdf2":
            kdf |= {"hash": self.hash_name, "iterations": ROUNDS}
            slot_key = hashlib.pbkdf2_hmac(self.hash_name, password.encode(), salt, ROUNDS, 64)
        else:
            kdf |= {"time": 2, "memory": 64, "cpus": 2}
            slot_key = _argon2(self.kdf, password, salt)
        self.areas[at] = material("aes-xts-plain64", slot_key, self.key, self.hash_name)
        told: dict[str, Any] = {
            "type": "luks2", "key_size": self.size, "kdf": kdf,
            "af": {"type": "luks1", "stripes": STRIPES, "hash": self.hash_name},
            "area": {"type": "raw", "offset": str(at), "size": str(len(self.areas[at])),
                     "encryption": "aes-xts-plain64", "key_size": 64},
        }  # fmt: skip
        return told if priority is None else told | {"priority": priority}

    def _digest(self) -> dict[str, Any]:
        salt = b"d" * 32
        value = hashlib.pbkdf2_hmac(self.hash_name, self.key, salt, ROUNDS, 32)
        return {
            "type": "pbkdf2", "keyslots": [str(n) for n in range(len(self.slots))],
            "segments": [str(n) for n, one in enumerate(self.segments) if one[0] == "crypt"],
            "salt": base64.b64encode(salt).decode(), "digest": base64.b64encode(value).decode(),
            "hash": self.hash_name, "iterations": ROUNDS,
        }  # fmt: skip

    def _header(self, number: int, area: dict[str, Any]) -> bytes:
        magic = (b"LUKS\xba\xbe", b"SKUL\xba\xbe")[number]
        head = struct.pack(
            ">6sHQQ48s32s64s40s48sQ184x64x3584x", magic, 2, self.header, self.sequence[number],
            b"volume", b"sha256", bytes([number]) * 64, b"a-b-c", b"", number * self.header,
        )  # fmt: skip
        whole = head + json.dumps(area).encode().ljust(self.header - 4096, b"\0")
        return whole[:448] + hashlib.sha256(whole).digest() + whole[480:]


def _argon2(kind: str, password: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf import argon2

    maker = argon2.Argon2i if kind == "argon2i" else argon2.Argon2id
    made = maker(salt=salt, length=64, iterations=2, lanes=2, memory_cost=64)
    return bytes(made.derive(password.encode()))


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def samples() -> list[Sample]:
    """Both versions; sectors of 512 and 4096 bytes. None where no AES is installed."""
    if find_spec("cryptography") is None:
        return []
    plain = content(40960)
    first = luks1(plain, size=32)
    second = Luks2([("crypt", 4096, 0, plain)]).image()
    third = Luks2(
        [("crypt", 512, 8, plain[:4096]), ("linear", 512, 0, plain[4096:])], kdf="argon2id"
    ).image()
    cuts = (0, 6, 592, 4096, 4096 * SECTOR)
    return [
        Sample("1", {"a.luks": first}, plain, 112, cuts, exact=False, password=PASSWORD),
        Sample("2", {"a.img": second}, plain, 8, (4096, 0x4000, 0x8000, len(second) - 4096),
               exact=False, password=PASSWORD),
        Sample("2 in segments", {"a.luks": third}, plain, 8, exact=False, password=PASSWORD),
    ]  # fmt: skip
