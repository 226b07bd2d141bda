"""CD frames made byte by byte from ECMA-130: slow tables, no kernel of ours."""

from __future__ import annotations

import random
from functools import cache

RAW = 2352
SYNC = b"\0" + b"\xff" * 10 + b"\0"
DATA = bytes((0, 0, 0x08, 0))  # a subheader: data, Form 1
VIDEO = bytes((1, 2, 0x64, 0x0F))  # a subheader: real time, Form 2, video


def _edc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xD8018001 if value & 1 else 0)  # noqa: PLW2901 - the register
        table.append(value)
    return table


EDC = _edc_table()
FORWARD = [(i << 1 ^ (0x11D if i & 0x80 else 0)) & 0xFF for i in range(256)]
BACKWARD = [0] * 256
for _i in range(256):
    BACKWARD[_i ^ FORWARD[_i]] = _i


P_PLACES = [[12 + m + 86 * t for t in range(24)] for m in range(86)]
Q_PLACES = [[12 + ((m >> 1) * 86 + (m & 1) + 88 * t) % 2236 for t in range(43)] for m in range(52)]


def edc(data: bytes) -> bytes:
    """The error detection code of clause 14.3, as stored."""
    value = 0
    for byte in data:
        value = value >> 8 ^ EDC[(value ^ byte) & 0xFF]
    return value.to_bytes(4, "little")


def parity(frame: bytearray, places: list[int]) -> tuple[int, int]:
    """The two parity bytes of one codeword of annex A."""
    a = b = 0
    for place in places:
        a, b = FORWARD[a ^ frame[place]], b ^ frame[place]
    a = BACKWARD[FORWARD[a] ^ b]
    return a, a ^ b


def ecc(frame: bytearray, mode: int) -> None:
    """P, then Q over P; the header counts as zero in mode 2."""
    header = frame[12:16]
    if mode == 2:
        frame[12:16] = bytes(4)
    for m, places in enumerate(P_PLACES):
        frame[2076 + m], frame[2162 + m] = parity(frame, places)
    for m, places in enumerate(Q_PLACES):
        frame[2248 + m], frame[2300 + m] = parity(frame, places)
    frame[12:16] = header


def header(lba: int, mode: int) -> bytes:
    """Sync, address (BCD, LBA 0 is 00:02:00) and mode."""
    count = lba + 150
    numbers = (count // 4500, count // 75 % 60, count % 75)
    return SYNC + bytes(int(f"{n:02}", 16) for n in numbers) + bytes((mode,))


@cache  # discs of many makers have the same frames, and these tables are slow
def mode1(user: bytes, lba: int) -> bytes:
    """A whole frame of mode 1 around 2048 bytes."""
    assert len(user) == 2048
    frame = bytearray(header(lba, 1) + user)
    frame += edc(bytes(frame)) + bytes(8 + 276)
    ecc(frame, 1)
    return bytes(frame)


@cache
def form1(user: bytes, lba: int, subheader: bytes = DATA) -> bytes:
    """A whole frame of mode 2 form 1 around 2048 bytes."""
    assert len(user) == 2048
    body = subheader * 2 + user
    frame = bytearray(header(lba, 2) + body + edc(body) + bytes(276))
    ecc(frame, 2)
    return bytes(frame)


@cache
def form2(payload: bytes, lba: int, subheader: bytes = VIDEO, *, code: bool = True) -> bytes:
    """A whole frame of mode 2 form 2 around 2324 bytes; its EDC may be left out."""
    assert len(payload) == 2324
    body = subheader * 2 + payload
    return header(lba, 2) + body + (edc(body) if code else bytes(4))


def sectors(count: int, seed: int = 0) -> list[bytes]:
    """`count` sectors of 2048 bytes that differ."""
    numbers = random.Random(seed)
    return [numbers.randbytes(2048) for _ in range(count)]


def audio(count: int, seed: int = 1) -> bytes:
    """`count` frames of noise."""
    return random.Random(seed).randbytes(count * RAW)


def data(count: int, seed: int = 0, lba: int = 0, mode: int = 1) -> tuple[bytes, bytes]:
    """`count` whole frames from `lba` on, and their user data."""
    user = sectors(count, seed)
    make = mode1 if mode == 1 else form1
    return b"".join(make(one, lba + i) for i, one in enumerate(user)), b"".join(user)
