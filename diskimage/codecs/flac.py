"""FLAC frames of 16-bit stereo without a stream's header, behind a byte that tells the byte order.

RFC 9639. The chunk is sound or anything else of a multiple of 4 bytes: CHD tries both byte orders.
"""

from __future__ import annotations

from diskimage.errors import CorruptError
from diskimage.kernels.flac import flac_read, flac_write

SAMPLE = 4  # bytes of one sample of both channels
LONGEST = 2048  # samples of a frame
_ORDERS = {b"L": False, b"B": True}  # of bytes; whether it is big-endian


class Flac:
    """A codec of such chunks. `name` is "flac"."""

    name = "flac"

    def decode(self, coded: memoryview, want: int) -> bytearray:
        """Exactly `want` bytes. CorruptError."""
        big_endian = _ORDERS.get(bytes(coded[:1]))
        if big_endian is None or want % SAMPLE:
            raise CorruptError("tells no byte order, or has no whole samples")
        plain = bytearray(want)
        if flac_read(coded[1:], plain, big_endian=big_endian) < 0:
            raise CorruptError("holds no FLAC frames")
        return plain

    def encode(self, plain: memoryview) -> bytes | None:
        """The smaller one of both byte orders; None where neither is smaller than the chunk."""
        if len(plain) % SAMPLE or not len(plain):
            return None
        block = frame_samples(len(plain), LONGEST)
        tried = [(o, flac_write(plain, block, big_endian=big)) for o, big in _ORDERS.items()]
        made = [order + frames for order, frames in tried if frames is not None]
        best = min(made, key=len, default=None)
        return best if best is not None and len(best) < len(plain) else None


def frame_samples(size: int, most: int) -> int:
    """Samples of a frame in a chunk of `size` bytes: all of them, halved until they are `most`."""
    count = size // SAMPLE
    while count > most:
        count //= 2
    return count
