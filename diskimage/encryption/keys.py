"""From a passphrase to keys: PBKDF2, Argon2, digests by name, and material that was split.

Facts: RFC 8018 (PBKDF2), RFC 9106 (Argon2); LUKS1 On-Disk Format Specification 1.2.3, 2.4 (the
anti-forensic split).
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, TypeAlias

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.limits import KIB, Limits

HASHES = frozenset({"sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160"})
LANES = 64  # of Argon2: cryptsetup takes 4 at most


class Pbkdf2(NamedTuple):
    """PBKDF2 with HMAC of a hash, in so many rounds."""

    hash: str
    salt: bytes
    rounds: int

    @property
    def told(self) -> dict[str, object]:
        """For people."""
        return {"kdf": "pbkdf2", "hash": self.hash, "rounds": self.rounds}


class Argon2(NamedTuple):
    """Argon2 of a kind (argon2i, argon2id): passes over so many KiB, in lanes."""

    kind: str
    salt: bytes
    passes: int
    memory: int
    lanes: int

    @property
    def told(self) -> dict[str, object]:
        """For people."""
        return {"kdf": self.kind, "passes": self.passes, "memory_kib": self.memory,
                "lanes": self.lanes}  # fmt: skip


Kdf: TypeAlias = Pbkdf2 | Argon2


def digest(name: str, data: bytes, file: str) -> bytes:
    """The digest of `data` by the hash called `name`. UnsupportedError where it is not known."""
    try:
        return hashlib.new(_known(name, file), data).digest()
    except ValueError:
        raise _missing(name, file) from None


def _known(name: str, file: str) -> str:
    """`name`, where it is that of a hash that means the same everywhere."""
    if name not in HASHES:
        raise _missing(name, file)
    return name


def _missing(name: str, file: str) -> UnsupportedError:
    return UnsupportedError(f"the hash {name!r} of its keys is not known here", file=file)


def derive(kdf: Kdf, secret: bytes, length: int, limits: Limits, file: str) -> bytes:
    """`length` bytes of key. Raises LimitError before a cost that is over the limits is paid,
    CorruptError for parameters that make no sense, UnsupportedError without the extra `crypto`."""
    demand_cost(kdf, limits, file)
    if isinstance(kdf, Argon2):
        return _argon2(kdf, secret, length, file)
    try:
        return hashlib.pbkdf2_hmac(_known(kdf.hash, file), secret, kdf.salt, kdf.rounds, length)
    except ValueError:
        raise _missing(kdf.hash, file) from None


def demand_cost(kdf: Kdf, limits: Limits, file: str) -> None:
    """LimitError where deriving a key would cost more than the limits allow, CorruptError where
    that is told to cost nothing."""
    if isinstance(kdf, Pbkdf2):
        if kdf.rounds < 1:
            raise CorruptError("its key is derived in no rounds", file=file)
        if kdf.rounds > limits.key_rounds:
            text = f"its key is derived in {kdf.rounds} rounds, over key_rounds {limits.key_rounds}"
            raise LimitError(text, file=file)
        return
    if kdf.passes < 1 or not 1 <= kdf.lanes <= LANES or kdf.memory < 8 * kdf.lanes:
        text = f"{kdf.passes} passes of Argon2 over {kdf.memory} KiB in {kdf.lanes} lanes"
        raise CorruptError(text, file=file)
    if kdf.memory * KIB > limits.key_memory:
        text = f"its key needs {kdf.memory * KIB} bytes, over key_memory {limits.key_memory}"
        raise LimitError(text, file=file)
    if kdf.memory * KIB * kdf.passes > limits.key_filled:
        text = f"{kdf.passes} passes over {kdf.memory * KIB} bytes"
        raise LimitError(f"{text}, over key_filled {limits.key_filled}", file=file)


def _argon2(kdf: Argon2, secret: bytes, length: int, file: str) -> bytes:
    absent = UnsupportedError(
        f"its key is derived by {kdf.kind}, which is not installed", file=file,
        remedy="install the extra `crypto`: pip install -U 'py-diskimage[crypto]'",
    )  # fmt: skip
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.kdf import argon2

        make = argon2.Argon2i if kdf.kind == "argon2i" else argon2.Argon2id
    except (ImportError, AttributeError):
        raise absent from None
    if len(kdf.salt) < 8:
        raise CorruptError(f"a salt of {len(kdf.salt)} bytes for Argon2", file=file)
    try:
        maker = make(salt=kdf.salt, length=length, iterations=kdf.passes, lanes=kdf.lanes,
                     memory_cost=kdf.memory)  # fmt: skip
        return maker.derive(secret)
    except UnsupportedAlgorithm:  # built with an OpenSSL that has none
        raise absent from None
    except MemoryError:
        text = f"its key needs {kdf.memory * KIB} bytes of memory, which are not there"
        raise LimitError(text, file=file) from None


def merged(material: bytes, length: int, hash_name: str, file: str) -> bytes:
    """The `length` bytes that were split into stripes: each is mixed in and diffused, but the last
    only mixed in."""
    mixed = 0
    stripes = range(0, len(material), length)
    for at in stripes:
        mixed ^= int.from_bytes(material[at : at + length])
        if at != stripes[-1]:
            mixed = int.from_bytes(_diffused(mixed.to_bytes(length), hash_name, file))
    return mixed.to_bytes(length)


def _diffused(data: bytes, hash_name: str, file: str) -> bytes:
    """Pieces as long as a digest, each replaced by the digest of its number and itself."""
    step = len(digest(hash_name, b"", file))
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    made = (digest(hash_name, number.to_bytes(4) + piece, file)[: len(piece)]
            for number, piece in enumerate(pieces))  # fmt: skip
    return b"".join(made)
