"""Frames made by tables of bytes, from ECMA-130 alone: a third opinion beside kernel and twin."""

from __future__ import annotations

SYNC = bytes.fromhex("00ffffffffffffffffffff00")


def _edc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xD8018001 if value & 1 else 0)
        table.append(value)
    return table


EDC = _edc_table()
FORWARD = [(i << 1 ^ (0x11D if i & 0x80 else 0)) & 0xFF for i in range(256)]
BACKWARD = [0] * 256
for _i in range(256):
    BACKWARD[_i ^ FORWARD[_i]] = _i


def edc(data: bytes) -> bytes:
    value = 0
    for byte in data:
        value = value >> 8 ^ EDC[(value ^ byte) & 0xFF]
    return value.to_bytes(4, "little")


def _block(area: bytes, majors: int, minors: int, major_step: int, minor_step: int) -> bytes:
    """Parity of `majors` codewords of `minors` bytes, one byte at a time."""
    size = majors * minors
    first, second = bytearray(majors), bytearray(majors)
    for major in range(majors):
        index = (major >> 1) * major_step + (major & 1)
        a = b = 0
        for _ in range(minors):
            value = area[index]
            index += minor_step
            if index >= size:
                index -= size
            a = FORWARD[a ^ value]
            b ^= value
        first[major] = BACKWARD[FORWARD[a] ^ b]
        second[major] = first[major] ^ b
    return bytes(first + second)


def with_parity(frame: bytes, mode: int) -> bytes:
    header = bytes(4) if mode == 2 else frame[12:16]
    area = header + frame[16:2076]
    area += _block(area, 86, 24, 2, 86)
    area += _block(area, 52, 43, 86, 88)
    return frame[:16] + area[4:]


def frame(user: bytes, mode: int, minute: int, second: int, number: int) -> bytes:
    head = SYNC + bytes.fromhex(f"{minute:02d}{second:02d}{number:02d}{mode:02d}")
    if mode == 1:
        body = head + user
        return with_parity(body + edc(body) + bytes(8), 1)
    coded = bytes.fromhex("0000080000000800") + user
    return with_parity(head + coded + edc(coded), 2)


def form2(user: bytes, *, coded: bool) -> bytes:
    body = bytes.fromhex("0000200000002000") + user
    return SYNC + bytes.fromhex("00020002") + body + (edc(body) if coded else bytes(4))
