"""AES in XTS mode (IEEE 1619, SP 800-38E) over neighbouring units, each under its own number."""

from __future__ import annotations

from diskimage.codecs.aes import Aes
from diskimage.kernels.xts import xts_mask

_PIECE = 64 << 10  # bytes that stay in a cache between masks and AES


class Xts:
    """The cipher of a key of two AES keys, the second for the tweaks. Thread-safe.

    Units are whole blocks: no ciphertext is stolen. Raises ValueError for a key of another length
    than 32, 48 or 64 bytes, UnsupportedError without the extra `crypto`.
    """

    def __init__(self, key: bytes) -> None:
        half = len(key) // 2
        self._aes, self._tweak = Aes(key[:half]), Aes(key[half:])

    def decrypt(self, numbers: bytes, data: bytes | bytearray | memoryview) -> bytearray:
        """`data` deciphered; `numbers` are the 16 bytes of each unit, as IEEE 1619 has them."""
        out = bytearray(data)
        unit = len(out) // max(1, len(numbers) // 16)
        tweaks = memoryview(self._tweak.encrypt(numbers))
        step = max(1, _PIECE // max(1, unit))
        for first in range(0, len(numbers) // 16, step):
            piece = memoryview(out)[first * unit : (first + step) * unit]
            ours = tweaks[16 * first : 16 * (first + step)]
            xts_mask(piece, unit, ours, piece)
            piece[:] = self._aes.decrypt(piece)
            xts_mask(piece, unit, ours, piece)
        return out
