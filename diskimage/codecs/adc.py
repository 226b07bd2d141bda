"""Apple Data Compression, by a kernel of ours: no library has it."""

from __future__ import annotations

from diskimage.errors import CorruptError
from diskimage.kernels.adc import adc_read


class Adc:
    """A codec of ADC chunks, which it decodes alone. `name` is "adc"."""

    name = "adc"

    def decode(self, coded: memoryview, want: int) -> bytearray:
        """Exactly `want` bytes. CorruptError."""
        plain = bytearray(want)
        got = adc_read(coded, plain)
        if got != want:
            why = "has a code that means nothing" if got < 0 else f"gives {got} of {want} bytes"
            raise CorruptError(why)
        return plain

