"""Sectors under a cipher, called as dm-crypt calls it: `aes-xts-plain64`, `aes-cbc-essiv:sha256`.

Facts: Linux, Documentation/admin-guide/device-mapper/dm-crypt. Each sector has an IV made of its
number, which counts 512 bytes whatever a sector's size is: `plain` 32 bits of it, `plain64` all,
`essiv` the number enciphered under the digest of the key.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import partial
from sys import byteorder

from diskimage.codecs.aes import Aes
from diskimage.codecs.xts import Xts
from diskimage.encryption.keys import digest
from diskimage.errors import CorruptError, UnsupportedError
from diskimage.sources.decrypt import Turn

SECTOR = 512
KEY_SIZES = {"cbc": (16, 24, 32), "xts": (32, 48, 64)}
_LOW = 0xFFFFFFFF

Ivs = Callable[[int, int, int], bytes]
"""16 bytes for each of some sectors: of the first number, how many, and the step from one to the
next."""


def cipher(name: str, key: bytes, *, file: str, sector: int = SECTOR, first: int = 0) -> Turn:
    """What deciphers neighbouring sectors of `sector` bytes; the IV of sector 0 counts `first`.

    Raises UnsupportedError for a cipher that is not AES in CBC or XTS mode and without the extra
    `crypto`, CorruptError for a key of a length that the cipher has not.
    """
    kind, _, rest = name.partition("-")
    mode, _, generator = rest.partition("-")
    if kind != "aes" or mode not in KEY_SIZES:
        raise _unknown(name, file)
    if len(key) not in KEY_SIZES[mode]:
        raise CorruptError(f"a key of {len(key)} bytes for the cipher {name}", file=file)
    ivs, step = _generator(generator, key, name, file), sector // SECTOR
    turn = Xts(key).decrypt if mode == "xts" else Aes(key).decrypt_units

    def clear(unit: int, data: bytearray) -> bytearray:
        return turn(ivs(first + unit * step, len(data) // sector, step), data)

    return clear


def _unknown(name: str, file: str) -> UnsupportedError:
    remedy = "AES in CBC or XTS mode is read: decrypt it first, with cryptsetup"
    return UnsupportedError(f"is encrypted by {name}", file=file, remedy=remedy)


def _generator(name: str, key: bytes, whole: str, file: str) -> Ivs:
    if name in ("plain", "plain64"):
        return partial(numbers, _LOW if name == "plain" else None)
    kind, _, hash_name = name.partition(":")
    if kind != "essiv":
        raise _unknown(whole, file)
    salt = digest(hash_name, key, file)
    if len(salt) not in KEY_SIZES["cbc"]:
        raise _unknown(whole, file)
    return partial(_enciphered, Aes(salt))


def numbers(mask: int | None, first: int, count: int, step: int) -> bytes:
    """Sector numbers as IVs: little-endian, the bits of `mask` of each."""
    told = range(first, first + count * step, step)
    pairs = array("Q", bytes(16 * count))
    pairs[::2] = array("Q", told if mask is None else [number & mask for number in told])
    if byteorder == "big":
        pairs.byteswap()
    return pairs.tobytes()


def _enciphered(salt: Aes, first: int, count: int, step: int) -> bytes:
    return salt.encrypt(numbers(None, first, count, step))
