"""AES in ECB mode (FIPS 197, SP 800-38A 6.1) around another codec: each block of 16 by itself."""

from __future__ import annotations

from diskimage.errors import CorruptError, UnsupportedError
from diskimage.model import Codec


class Ecb:
    """A codec of what `inner` coded (plain bytes where None) and AES then enciphered.

    Whole blocks are enciphered; up to 15 bytes behind them are stored as they are. `key` has 16, 24
    or 32 bytes. UnsupportedError without the extra `crypto`.
    """

    def __init__(self, inner: Codec | None, key: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        except ImportError:
            raise UnsupportedError(
                "AES needs the extra `crypto`", remedy="pip install 'py-diskimage[crypto]'"
            ) from None
        self.name = f"{inner.name} under AES" if inner else "AES"
        self._inner = inner
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - the format's choice

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes. CorruptError, also where the key is another."""
        whole = len(coded) & ~15
        clear = self._cipher.decryptor().update(coded[:whole]) + bytes(coded[whole:])
        if self._inner is not None:
            return self._inner.decode(memoryview(clear), want)
        if len(clear) < want:
            raise CorruptError(f"gives {len(clear)} of {want} bytes")
        return clear[:want]

    def encode(self, plain: memoryview) -> bytes | None:
        """What `inner` makes, enciphered; None where that would not be smaller."""
        coded = bytes(plain) if self._inner is None else self._inner.encode(plain)
        if coded is None:
            return None
        whole = len(coded) & ~15
        return self._cipher.encryptor().update(coded[:whole]) + coded[whole:]
