"""AES (FIPS 197) by the `cryptography` wheel: whole blocks, each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.errors import UnsupportedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import ECB

BLOCK = 16


class Aes:
    """AES of a key of 16, 24 or 32 bytes, in blocks (ECB); what modes are made of. Thread-safe.

    Raises UnsupportedError without the extra `crypto`.
    """

    def __init__(self, key: bytes) -> None:
        self._key, self._cipher = key, _cipher(key)

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """A multiple of 16 bytes, each block of 16 enciphered."""
        return self._cipher.encryptor().update(data)

    def decrypt(self, data: bytes | memoryview) -> bytes:
        """A multiple of 16 bytes, each block of 16 deciphered."""
        return self._cipher.decryptor().update(data)

    def decrypt_chain(self, iv: bytes, data: bytes | bytearray | memoryview) -> bytes:
        """A multiple of 16 bytes deciphered in CBC mode (SP 800-38A, 6.2)."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return Cipher(algorithms.AES(self._key), modes.CBC(iv)).decryptor().update(data)

    def decrypt_units(self, ivs: bytes, data: bytes | bytearray) -> bytearray:
        """Units of one length, each deciphered in CBC mode under its own 16 bytes of `ivs`.

        All go through as one chain, which mixes the first block of each with the last of the unit
        before; then those first blocks are mixed with their IVs, a column of bytes at a time.
        """
        if not ivs:
            return bytearray()
        unit = len(data) // (len(ivs) // BLOCK)
        plain = bytearray(self.decrypt_chain(bytes(BLOCK), data))
        before, first = bytearray(len(ivs)), bytearray(len(ivs))
        for column in range(BLOCK):
            first[column::BLOCK] = plain[column::unit]
            before[BLOCK + column :: BLOCK] = data[unit - BLOCK + column : -unit : unit]
        mixed = int.from_bytes(first) ^ int.from_bytes(before) ^ int.from_bytes(ivs)
        first = bytearray(mixed.to_bytes(len(ivs)))
        for column in range(BLOCK):
            plain[column::unit] = first[column::BLOCK]
        return plain


def _cipher(key: bytes) -> Cipher[ECB]:
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        raise UnsupportedError(
            "is encrypted, and AES is not installed",
            remedy="install the extra `crypto`: pip install 'py-diskimage[crypto]'",
        ) from None
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - modes are made of it here
