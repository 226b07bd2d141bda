"""Subchannel made frame by frame from IEC 60908 and MMC: positions in Q, P, and their layouts."""

from __future__ import annotations

from functools import cache


def bcd(value: int) -> int:
    """Two decimal digits in a byte."""
    return value // 10 << 4 | value % 10


def msf(count: int) -> tuple[int, int, int]:
    """Minutes, seconds and frames of `count` frames."""
    return count // 4500, count // 75 % 60, count % 75


def crc(data: bytes) -> bytes:
    """CRC-16 of x^16+x^12+x^5+1, inverted, big-endian."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x1021 if value & 0x8000 else 0)) & 0xFFFF
    return (value ^ 0xFFFF).to_bytes(2, "big")


def position(lba: int, track: int, index: int, start: int, control: int) -> bytes:
    """The 12 bytes of Q at `lba`: in `track`, whose index 1 is at `start`; a pause counts
    down, to zero in its last frame (ECMA-130 22.3.3)."""
    relative = start - 1 - lba if index == 0 else lba - start
    numbers = (*msf(relative), 0, *msf(lba + 150))
    told = bytes((control << 4 | 1, bcd(track), bcd(index), *map(bcd, numbers)))
    return told + crc(told)


def packed(q: bytes, *, pause: bool = False) -> bytes:
    """96 bytes: 12 of P, 12 of Q, then R to W without any pack."""
    return (b"\xff" if pause else b"\0") * 12 + q + bytes(72)


@cache
def interleaved(channels: bytes) -> bytes:
    """96 packed bytes as one bit of each channel in every byte, P the highest."""
    out = bytearray(96)
    for channel in range(8):
        for bit in range(96):
            if channels[12 * channel + bit // 8] >> 7 - bit % 8 & 1:
                out[bit] |= 0x80 >> channel
    return bytes(out)


def frame(lba: int, track: int, start: int, control: int) -> bytes:
    """96 interleaved bytes of the frame at `lba`: in the pregap before `start`, or behind it."""
    before = lba < start
    told = position(lba, track, 0 if before else 1, start, control)
    return interleaved(packed(told, pause=before))
