"""Norton Ghost headers as the public facts tell them; noise behind them, for nobody reads it."""

from __future__ import annotations

import random
import struct

from tests.makers.sample import Sample


def header(type: int = 1, compression: int = 2, number: int = 0x1234ABCD, flags: int = 0) -> bytes:
    """The 512 bytes that a .gho or .ghs begins with."""
    return struct.pack("<2sBBI4xB", b"\xfe\xef", type, compression, number, flags).ljust(512, b"\0")


def ghost(**told: int) -> bytes:
    """A file of 8 KiB."""
    return header(**told) + random.Random(17).randbytes(7680)


def samples() -> list[Sample]:
    """None: there is no guest to compare."""
    return []
