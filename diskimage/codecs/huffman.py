"""Bytes coded one by one by a Huffman code of their own a chunk, as CHD has it; decoded alone."""

from __future__ import annotations

from diskimage.errors import CorruptError
from diskimage.kernels.chd import huffman_read


class Huffman:
    """A codec of such chunks. `name` is "huffman"."""

    name = "huffman"

    def decode(self, coded: memoryview, want: int) -> bytearray:
        """Exactly `want` bytes. CorruptError."""
        plain = bytearray(want)
        done = huffman_read(coded, plain)
        if done != want:
            raise CorruptError(f"gives {done} of {want} bytes")
        return plain

