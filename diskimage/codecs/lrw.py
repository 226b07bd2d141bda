"""LRW-AES: each block of 16 bytes under a tweak made from its number (draft IEEE P1619/D4).

Block n is E(p xor T) xor T with T = F * n in GF(2^128), polynomial x^128 + x^7 + x^2 + x + 1, the
numbers big-endian: bit k stands for x^k.
"""

from __future__ import annotations

from collections.abc import Callable

from diskimage.codecs.aes import BLOCK, Aes
from diskimage.kernels.lrw import BITS, lrw_mask

_WIDTH = 128
_POLYNOMIAL = 0x87
_PIECE = 64 << 10  # bytes that stay in a cache between masks and AES


class Lrw:
    """The cipher of an AES `key` and a tweak key of 16 bytes. Thread-safe."""

    def __init__(self, key: bytes, tweak: bytes) -> None:
        self._aes = Aes(key)
        self._powers = _powers(tweak)

    def encrypt(self, number: int, data: bytes | bytearray | memoryview) -> bytearray:
        """Whole blocks from block `number` on, enciphered; up to 15 bytes behind them as is."""
        return self._turned(number, data, self._aes.encrypt)

    def decrypt(self, number: int, data: bytes | bytearray | memoryview) -> bytearray:
        """The reverse of `encrypt`."""
        return self._turned(number, data, self._aes.decrypt)

    def _turned(
        self, number: int, data: bytes | bytearray | memoryview, turn: Callable[[memoryview], bytes]
    ) -> bytearray:
        out = bytearray(data)
        whole = memoryview(out)[: len(out) & -BLOCK]
        for at in range(0, len(whole), _PIECE):
            piece, first = whole[at : at + _PIECE], number + at // BLOCK
            lrw_mask(piece, self._powers, first, piece)
            piece[:] = turn(piece)
            lrw_mask(piece, self._powers, first, piece)
        return out


def _powers(tweak: bytes) -> bytes:
    """The tweak key times x^0 to x^63."""
    value, made = int.from_bytes(tweak, "big"), b""
    for _ in range(BITS):
        made += value.to_bytes(BLOCK, "big")
        high, low = divmod(value << 1, 1 << _WIDTH)
        value = low ^ (_POLYNOMIAL if high else 0)
    return made
