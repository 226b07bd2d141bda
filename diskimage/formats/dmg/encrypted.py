"""Encrypted images: a source that deciphers, of a header at the beginning (v2) or the end (v1).

AES in CBC mode, each block under an IV of its own: the HMAC-SHA1 of its number. The keys lie in the
header under triple DES by a key made of the passphrase (PBKDF2). Facts: vfdecrypt and encrypteddmg;
RFC 3217 (version 1), RFC 8018. Not supported: keys under a certificate or in a key bag.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NamedTuple

from construct import Bytes, Const, Int32ub, Int64ub, Padding, Struct

from diskimage.codecs.aes import BLOCK, Aes
from diskimage.errors import CorruptError, LimitError, PasswordError, UnsupportedError
from diskimage.limits import Limits
from diskimage.model import Gate, Source
from diskimage.parse import demand, read, struct
from diskimage.sources.decrypt import turned
from diskimage.sources.joined import Joined, Stretch

MAGIC, TRAILER = b"encrcdsa", b"cdsaencr"
END = 20  # bytes of the trailer of version 1
V2 = Struct(
    "magic" / Const(MAGIC), "version" / Int32ub, "iv" / Int32ub, "mode" / Int32ub,
    "cipher" / Int32ub, "bits" / Int32ub, "iv_way" / Int32ub, "iv_bits" / Int32ub, Padding(16),
    "block" / Int32ub, "size" / Int64ub, "at" / Int64ub, "key_count" / Int32ub,
)  # fmt: skip
KEY = Struct("kind" / Int32ub, "at" / Int64ub, "size" / Int64ub)
WRAPPED = Struct(
    "kdf" / Int32ub, "prng" / Int32ub, "rounds" / Int32ub, "salt_size" / Int32ub,
    "salt" / Bytes(32), "iv_size" / Int32ub, "iv" / Bytes(32), "bits" / Int32ub,
    "cipher" / Int32ub, "padding" / Int32ub, "mode" / Int32ub, "size" / Int32ub,
)  # fmt: skip
V1_KEY = Struct(
    "cipher" / Int32ub, "bits" / Int32ub, "iv" / Bytes(32), "size" / Int32ub, "blob" / Bytes(256)
)
V1 = Struct(
    "set" / Bytes(16), "block" / Int32ub, Padding(20), "kdf" / Int32ub, Padding(4),
    "rounds" / Int32ub, "salt_size" / Int32ub, "salt" / Bytes(32), Padding(8),
    "aes" / V1_KEY, "hmac" / V1_KEY,
)  # fmt: skip
AES, CBC, PASSPHRASE, PBKDF2, TRIPLE_DES = 0x80000001, 5, 1, 103, 17
WRAP_IV = bytes.fromhex("4adda22c79e82105")  # RFC 3217, 3.1
ENDING = b"CKIE\0"  # of the keys of version 2
BLOCKS = range(BLOCK, 1 << 20)  # bytes that a block can have, as far as anybody writes
KINDS = {2: "a certificate", 3: "a key bag"}


class Keys(NamedTuple):
    """What blocks are under: an AES key, and the HMAC key of their IVs."""

    aes: bytes
    hmac: bytes


class Cipher:
    """Blocks of `unit` bytes deciphered, several at once; numbers begin anew at each `period`-th.
    Thread-safe."""

    def __init__(self, keys: Keys, unit: int, period: int = 1 << 32) -> None:
        self._aes, self._hmac, self._unit, self._period = Aes(keys.aes), keys.hmac, unit, period

    def clear(self, first: int, data: bytearray) -> bytearray:
        """`data`, whole blocks from block `first` on, each under the HMAC of its number."""
        last = first + len(data) // self._unit
        told = ((number % self._period).to_bytes(4, "big") for number in range(first, last))
        ivs = [hmac.digest(self._hmac, number, "sha1")[:BLOCK] for number in told]
        return self._aes.decrypt_units(b"".join(ivs), data)


def is_encrypted(head: bytes | bytearray, tail: bytes | bytearray) -> bool:
    """Whether the first or last bytes of a file are those of such an image."""
    return head[:8] == MAGIC or tail[-8:] == TRAILER


def deciphered(source: Source, gate: Gate) -> tuple[Source, str]:
    """The clear bytes of `source` by the password of the gate, and what they were under.

    Raises PasswordError, UnsupportedError, CorruptError, LimitError, TruncatedError.
    """
    head = bytes(read(source, 0, min(8, source.size), "the magic"))
    if head == MAGIC:
        raw, keys = _of_version_2(source, gate)
        block = _block(raw.block, source, 0x34)
        return _clear(source, keys, raw.at, raw.size, block), f"AES-{raw.bits}, version 2"
    return _of_version_1(source, gate)


def over(token: Source, bands: Source, band: int, gate: Gate) -> Source:
    """The clear bytes of the bands of a bundle, whose header is `token`.

    Blocks are counted from the beginning of each band of `band` bytes. Raises as `deciphered`.
    """
    raw, keys = _of_version_2(token, gate)
    block = _block(raw.block, token, 0x34)
    if band % block:
        text = f"bands of {band} bytes, encrypted blocks of {block}"
        raise CorruptError(text, file=token.name, at=0x34)
    cipher = Cipher(keys, block, band // block)
    whole = turned(bands, cipher.clear, unit=block, count=bands.size // block)
    return Joined(bands.name, (Stretch(whole, 0, whole.size),))


def _clear(source: Source, keys: Keys, at: int, size: int, block: int) -> Source:
    """`size` clear bytes of blocks from `at` on."""
    count = -(-size // block)
    if count > 1 << 32:
        raise LimitError(f"{count} blocks are more than their numbers can say", file=source.name)
    demand(source, at, count * block, "encrypted data")
    cipher = Cipher(keys, block)
    whole = turned(source, cipher.clear, unit=block, count=count, at=at)
    return Joined(source.name, (Stretch(whole, 0, size),))


def _block(block: int, source: Source, at: int) -> int:
    if block % BLOCK or block not in BLOCKS:
        raise UnsupportedError(f"encrypted blocks of {block} bytes", file=source.name, at=at)
    return block


def _of_version_2(source: Source, gate: Gate) -> tuple[Any, Keys]:
    """The header, and the keys by the password of the gate."""
    raw = struct(V2, source, 0, "encryption header")
    if raw.version != 2 or (raw.mode, raw.cipher) != (CBC, AES) or raw.bits not in (128, 256):
        text = f"version {raw.version}, mode {raw.mode}, cipher {raw.cipher:x}, {raw.bits} bits"
        raise UnsupportedError(f"is encrypted by {text}", file=source.name, at=8)
    if raw.key_count > (source.size - V2.sizeof()) // KEY.sizeof():
        raise CorruptError(f"{raw.key_count} keys", file=source.name, at=0x48)
    if raw.key_count > gate.limits.text_entries:
        raise LimitError(f"{raw.key_count} keys, over text_entries", file=source.name, at=0x48)
    rows = [
        struct(KEY, source, V2.sizeof() + number * KEY.sizeof(), "a key's place")
        for number in range(raw.key_count)
    ]
    places = [row.at for row in rows if row.kind == PASSPHRASE]
    if not places:
        kinds = ", ".join(KINDS.get(row.kind, f"kind {row.kind}") for row in rows) or "nothing"
        text = f"its key is under {kinds}, not under a passphrase"
        raise UnsupportedError(text, file=source.name, at=0x48)
    password = _password(source, gate, raw.bits)
    for at in places:
        keys = _unlocked_2(source, at, raw.bits // 8, password, gate.limits)
        if keys is not None:
            return raw, keys
    raise _wrong(source)


def _password(source: Source, gate: Gate, bits: int) -> bytes:
    password = gate.password()
    if password is None:
        text, remedy = f"is encrypted (AES-{bits})", "give its password with --password-file"
        raise PasswordError(text, file=source.name, remedy=remedy)
    return password.encode()


def _wrong(source: Source) -> PasswordError:
    remedy = "check the password: a line end at its end counts"
    return PasswordError("the password is wrong", file=source.name, remedy=remedy)


def _unlocked_2(source: Source, at: int, size: int, password: bytes, limits: Limits) -> Keys | None:
    """The keys of the record at `at`, of which the AES key has `size` bytes; None where the
    password does not fit. Raises UnsupportedError, LimitError, CorruptError."""
    raw = struct(WRAPPED, source, at, "a wrapped key")
    if raw.kdf != PBKDF2 or raw.cipher != TRIPLE_DES or raw.bits != 192 or raw.iv_size != 8:
        text = f"its key is under kdf {raw.kdf}, cipher {raw.cipher}, {raw.bits} bits"
        raise UnsupportedError(text, file=source.name, at=at)
    if raw.size % 8 or not 0 < raw.size <= 4096 or raw.salt_size > len(raw.salt):
        text = f"a wrapped key of {raw.size} bytes, a salt of {raw.salt_size}"
        raise CorruptError(text, file=source.name, at=at)
    blob = bytes(read(source, at + WRAPPED.sizeof(), raw.size, "a wrapped key"))
    key = _derived(source, password, raw.salt[: raw.salt_size], raw.rounds, limits)
    plain = _triple_des(key, raw.iv[:8], blob)
    fill = plain[-1]
    plain = plain[:-fill] if 0 < fill <= 8 and plain.endswith(bytes([fill]) * fill) else b""
    if not plain.endswith(ENDING) or len(plain) < size + 20 + len(ENDING):
        return None
    return Keys(plain[:size], plain[size : size + 20])


def _derived(source: Source, password: bytes, salt: bytes, rounds: int, limits: Limits) -> bytes:
    if not rounds:
        raise CorruptError("its key is derived in no rounds", file=source.name)
    if rounds > limits.key_rounds:
        text = f"its key is derived in {rounds} rounds, over key_rounds {limits.key_rounds}"
        raise LimitError(text, file=source.name)
    return hashlib.pbkdf2_hmac("sha1", password, salt, rounds, 24)


def _of_version_1(source: Source, gate: Gate) -> tuple[Source, str]:
    begin = int.from_bytes(read(source, source.size - END, 8, "encryption trailer"), "big")
    raw = struct(V1, source, begin, "encryption header")
    if raw.kdf != PBKDF2 or raw.aes.cipher != AES or raw.salt_size > len(raw.salt):
        text = f"is encrypted by kdf {raw.kdf}, cipher {raw.aes.cipher:x}"
        raise UnsupportedError(text, file=source.name, at=begin)
    block = _block(raw.block, source, begin + 0x10)
    password = _password(source, gate, raw.aes.bits)
    key = _derived(source, password, raw.salt[: raw.salt_size], raw.rounds, gate.limits)
    keys = [_unwrapped(key, one.blob[: one.size]) for one in (raw.aes, raw.hmac)]
    if keys[0] is None or keys[1] is None or len(keys[0]) not in (16, 24, 32):
        raise _wrong(source)
    clear = _clear(source, Keys(keys[0], keys[1]), 0, begin // block * block, block)
    return clear, f"AES-{8 * len(keys[0])}, version 1"


def _unwrapped(key: bytes, blob: bytes) -> bytes | None:
    """A key of version 1: twice enciphered, its bytes reversed between, as RFC 3217 has it."""
    if not blob or len(blob) % 8:
        return None
    outer = _stripped(_triple_des(key, WRAP_IV, blob))
    if outer is None or len(outer) < 16 or len(outer) % 8:
        return None
    turned_ = outer[::-1]
    inner = _stripped(_triple_des(key, turned_[:8], turned_[8:]))
    return None if inner is None else inner[4:]


def _stripped(plain: bytes) -> bytes | None:
    """`plain` without the filling that PKCS #7 puts behind it; None where that is not there."""
    fill = plain[-1]
    whole = 0 < fill <= 8 and plain.endswith(bytes([fill]) * fill)
    return plain[:-fill] if whole else None


def _triple_des(key: bytes, iv: bytes, data: bytes) -> bytes:
    """Deciphered by triple DES in CBC mode. UnsupportedError without the extra `crypto`."""
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher as Engine, modes
    except ImportError:
        raise UnsupportedError(
            "is encrypted, and triple DES is not installed",
            remedy="install the extra `crypto`: pip install 'py-diskimage[crypto]'",
        ) from None
    return Engine(_algorithm(key), modes.CBC(iv)).decryptor().update(data)


def _algorithm(key: bytes) -> Any:
    """Triple DES, which later versions of the wheel keep where what is old lies."""
    try:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    except ImportError:
        from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES
    return TripleDES(key)
