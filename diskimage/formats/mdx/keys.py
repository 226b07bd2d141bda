"""The two encryption headers of a file: keys under a password, and the descriptor under a key.

TrueCrypt's volume header of version 4 in little-endian, as DAEMON Tools uses it: PBKDF2 with
HMAC-RIPEMD-160, AES-256 in whitened CBC for the descriptor, in LRW for data.
"""

from __future__ import annotations

import secrets
import zlib
from typing import NamedTuple

from construct import Bytes, Int16ul, Int32ul, Padding, Struct

from diskimage.codecs.aes import BLOCK, Aes
from diskimage.codecs.lrw import Lrw
from diskimage.codecs.ripemd import derive
from diskimage.errors import ChecksumError, CorruptError, PasswordError
from diskimage.kernels.frames import edc
from diskimage.model import Gate, Source
from diskimage.parse import fields
from diskimage.words import rounded

SALT = 64
HEADER = 512
UNIT = 512  # the chain of the descriptor's blocks begins anew
MAGIC = 0x54525545  # TRUE
_ROUNDS = 2000
_KEYS = 256
_LONGEST = 64  # bytes of a password
_USED = 64  # bytes of the keys that mean something: 32 of IV or tweak, 32 of AES key

SECRET = Struct(
    "checksum" / Int32ul, "magic" / Int32ul, "one" / Int16ul, "length" / Int16ul, Padding(4),
    "both" / Bytes(_KEYS), "coded" / Int32ul, "plain" / Int32ul, Padding(168),
)  # fmt: skip


class Keys(NamedTuple):
    """What a header holds: keys, and the lengths of the descriptor (zero in that of the data)."""

    keys: bytes
    coded: int = 0
    plain: int = 0

    @property
    def lrw(self) -> Lrw:
        """The cipher of data."""
        return Lrw(self.keys[32:64], self.keys[:BLOCK])


def fresh(coded: int = 0, plain: int = 0) -> Keys:
    """New random keys."""
    return Keys(secrets.token_bytes(_USED).ljust(_KEYS, b"\0"), coded, plain)


def of_salt(salt: bytes) -> bytes:
    """The password that a header is under where nobody chose one: made from its salt."""
    value, made = edc(salt) ^ 0x567372FF, bytearray()
    for at in range(0, SALT, 4):
        value = (value * 0x35E85A6D + 0x1548DCE9) & 0xFFFFFFFF
        word = int.from_bytes(salt[at : at + 4], "little") ^ value ^ 0xEC564717
        made += word.to_bytes(4, "little")
    return bytes(made).replace(b"\0", b"\x5f")


def open_main(header: bytes, source: Source, at: int) -> Keys:
    """The keys of the descriptor from the `header` at `at` of `source`.

    Raises CorruptError, ChecksumError, and UnsupportedError without the extra `crypto`.
    """
    key = derive(of_salt(header[:SALT]), header[:SALT], _ROUNDS, _USED)
    return _read(_chained(header[SALT:], key), source, at, "encryption header")


def open_data(header: bytes, source: Source, gate: Gate) -> Keys:
    """The keys of the data: without a password where the salt opens them, else by the caller's.

    Raises PasswordError where it is missing or wrong, ChecksumError.
    """
    clear = _deciphered(header, of_salt(header[:SALT]))
    if _magic(clear) != MAGIC:
        password = gate.password()
        if password is None:
            raise PasswordError("needs a password", file=source.name,
                                remedy="give it with --password-file")  # fmt: skip
        clear = _deciphered(header, _encoded(password))
        if _magic(clear) != MAGIC:
            raise PasswordError("the password is wrong", file=source.name,
                                remedy="give the one it was made with")  # fmt: skip
    return _read(clear, source, 0, "data encryption header")


def _deciphered(header: bytes, password: bytes) -> bytes:
    key = derive(password, header[:SALT], _ROUNDS, _USED)
    return bytes(Keys(key).lrw.decrypt(1, header[SALT:]))


def _encoded(password: str) -> bytes:
    return password.encode()[:_LONGEST]


def _magic(clear: bytes) -> int:
    return int.from_bytes(clear[4:8], "little")


def _read(clear: bytes, source: Source, at: int, what: str) -> Keys:
    found = fields(SECRET, clear, source, at, what)
    if found.magic != MAGIC:
        raise CorruptError(f"the {what} does not open", file=source.name, at=at,
                           remedy="the file is damaged: copy it again")  # fmt: skip
    if zlib.crc32(found.both) != found.checksum:
        raise ChecksumError(f"the CRC of the keys in the {what} does not match",
                            file=source.name, at=at)  # fmt: skip
    return Keys(found.both, found.coded, found.plain)


def seal_main(keys: Keys) -> bytes:
    """The header of the descriptor, under the password of a new salt."""
    salt = secrets.token_bytes(SALT)
    key = derive(of_salt(salt), salt, _ROUNDS, _USED)
    return salt + _chain(_written(keys), key)


def seal_data(keys: Keys, password: str) -> bytes:
    """The header of the data, under the caller's password."""
    salt = secrets.token_bytes(SALT)
    key = derive(_encoded(password), salt, _ROUNDS, _USED)
    return salt + Keys(key).lrw.encrypt(1, _written(keys))


def _written(keys: Keys) -> bytes:
    return bytes(
        SECRET.build({
            "checksum": zlib.crc32(keys.keys), "magic": MAGIC, "one": 1, "length": _KEYS,
            "both": keys.keys, "coded": keys.coded, "plain": keys.plain,
        })
    )  # fmt: skip


def decipher(data: bytes, keys: Keys) -> bytes:
    """The descriptor, still compressed."""
    return b"".join(_chained(data[at : at + UNIT], keys.keys) for at in range(0, len(data), UNIT))


def encipher(data: bytes, keys: Keys) -> bytes:
    """A compressed descriptor, filled up to whole blocks."""
    filled = data.ljust(rounded(len(data), BLOCK), b"\0")
    return b"".join(_chain(filled[at : at + UNIT], keys.keys) for at in range(0, len(filled), UNIT))


def _chained(data: bytes, key: bytes) -> bytes:
    """CBC read: `key` is IV, whitening of 8 bytes at 8, and the AES key at 32."""
    bare = _xor(data, key[8:16] * (len(data) // 8))
    return _xor(Aes(key[32:64]).decrypt(bare), key[:BLOCK] + bare[:-BLOCK])


def _chain(data: bytes, key: bytes) -> bytes:
    """The reverse of `_chained`: block by block, each needs the one before."""
    aes, white, last, made = Aes(key[32:64]), key[8:16] * 2, key[:BLOCK], bytearray()
    for at in range(0, len(data), BLOCK):
        last = aes.encrypt(_xor(data[at : at + BLOCK], last))
        made += _xor(last, white)
    return bytes(made)


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")
