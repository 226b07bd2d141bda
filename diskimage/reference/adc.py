"""Twin of `kernels.adc`: Apple Data Compression decoded.

Facts: 7-Zip's and dmg2img's decoders. A code of 80 to FF gives (code & 7F) + 1 literals; 40 to 7F
copies (code & 3F) + 4 bytes from 1 + the next 16 bits back; 00 to 3F copies (code >> 2) + 3 bytes
from 1 + the next 10 bits back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


def adc_read(coded: ReadableBuffer, out: WriteableBuffer) -> int:
    """Decode until `out` is full or `coded` ends; give the bytes decoded, -1 for a wrong code."""
    view, room = memoryview(coded).cast("B"), memoryview(out).cast("B")
    made = bytearray()
    at = 0
    while at < len(view) and len(made) < len(room):
        code = view[at]
        if code & 0x80:
            length, width = (code & 0x7F) + 1, 1
            piece = bytes(view[at + 1 : at + 1 + length])
            at += length
        else:
            width = 3 if code & 0x40 else 2
            low = int.from_bytes(view[at + 1 : at + width], "big")
            length = (code & 0x3F) + 4 if code & 0x40 else (code >> 2) + 3
            distance = (low if code & 0x40 else (code & 3) << 8 | low) + 1
            back = made[-distance:] if distance <= len(made) and at + width <= len(view) else b""
            piece = bytes((back * (length // distance + 1))[:length]) if back else b""
        at += width
        if len(piece) < length or len(made) + length > len(room):
            return -1
        made += piece
    room[: len(made)] = made
    return len(made)
