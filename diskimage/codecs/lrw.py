"""LRW-AES: each block of 16 bytes under a tweak made from its number (draft IEEE P1619/D4).

Block n is E(p xor T) xor T with T = F * n in GF(2^128), polynomial x^128 + x^7 + x^2 + x + 1, the
numbers big-endian: bit k stands for x^k.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from diskimage.codecs.aes import BLOCK, Aes

_BITS = 128
_POLYNOMIAL = 0x87
_PAGE = 1024  # tweaks made at once: 16 KiB
_ONES = sum(1 << _BITS * i for i in range(_PAGE))  # a tweak times this is that tweak, repeated


class Lrw:
    """The cipher of an AES `key` and a tweak key of 16 bytes. Thread-safe."""

    def __init__(self, key: bytes, tweak: bytes) -> None:
        self._aes = Aes(key)
        self._tweak = int.from_bytes(tweak, "big")

    def encrypt(self, number: int, data: bytes | bytearray | memoryview) -> bytes:
        """Whole blocks from block `number` on, enciphered; up to 15 bytes behind them as is."""
        return self._turned(number, data, self._aes.encrypt)

    def decrypt(self, number: int, data: bytes | bytearray | memoryview) -> bytes:
        """The reverse of `encrypt`."""
        return self._turned(number, data, self._aes.decrypt)

    def _turned(
        self, number: int, data: bytes | bytearray | memoryview, turn: Callable[[bytes], bytes]
    ) -> bytes:
        done, out = 0, []
        whole = len(data) & -BLOCK
        while done < whole:
            page, skip = divmod(number + done // BLOCK, _PAGE)
            length = min(whole - done, (_PAGE - skip) * BLOCK)
            behind = _PAGE - skip - length // BLOCK
            tweaks = self._page(page) >> _BITS * behind & (1 << 8 * length) - 1
            mixed = int.from_bytes(data[done : done + length], "big") ^ tweaks
            turned = turn(mixed.to_bytes(length, "big"))
            out.append((int.from_bytes(turned, "big") ^ tweaks).to_bytes(length, "big"))
            done += length
        return b"".join((*out, bytes(data[whole:])))

    def _page(self, page: int) -> int:
        """The tweaks of the 1,024 blocks of a page, the first one highest: T is linear."""
        return self._low ^ self._times(page * _PAGE) * _ONES

    @cached_property
    def _low(self) -> int:
        made = b"".join(self._times(i).to_bytes(BLOCK, "big") for i in range(_PAGE))
        return int.from_bytes(made, "big")

    @cached_property
    def _powers(self) -> list[int]:
        """F times x^0 to x^63: block numbers have 64 bits."""
        made = [self._tweak]
        for _ in range(63):
            high, low = divmod(made[-1] << 1, 1 << _BITS)
            made.append(low ^ (_POLYNOMIAL if high else 0))
        return made

    def _times(self, number: int) -> int:
        product, powers = 0, self._powers
        while number:
            bit = number & -number
            product ^= powers[bit.bit_length() - 1]
            number ^= bit
        return product
