"""AES in ECB mode (SP 800-38A, 6.1) over chunks: each block of 16 by itself, the rest clear."""

from __future__ import annotations

from diskimage.codecs.aes import BLOCK, Aes
from diskimage.errors import CorruptError
from diskimage.model import Codec


class Ecb:
    """A codec of what `inner` coded (plain bytes where None) and AES then enciphered.

    Whole blocks are enciphered; up to 15 bytes behind them are stored as they are. `key` has 16, 24
    or 32 bytes. It decodes; a writer enciphers by `seal`. UnsupportedError without `crypto`.
    """

    def __init__(self, inner: Codec | None, key: bytes) -> None:
        self.name = f"{inner.name} under AES" if inner else "AES"
        self._inner = inner
        self._aes = Aes(key)

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes. CorruptError, also where the key is another."""
        whole = len(coded) // BLOCK * BLOCK
        clear = self._aes.decrypt(bytes(coded[:whole])) + bytes(coded[whole:])
        if self._inner is not None:
            return self._inner.decode(memoryview(clear), want)
        if len(clear) < want:
            raise CorruptError(f"gives {len(clear)} of {want} bytes")
        return clear[:want]

    def seal(self, _start: int, stored: bytes | memoryview) -> bytes:
        """A coded chunk enciphered, wherever it begins."""
        whole = len(stored) // BLOCK * BLOCK
        return self._aes.encrypt(bytes(stored[:whole])) + bytes(stored[whole:])
