"""AES of FIPS 197, one block at a time, written from its clauses 4 and 5: slow, and nobody's."""

from __future__ import annotations

from functools import cache


def _times(a: int, b: int) -> int:
    """The product in GF(2^8), modulo x^8 + x^4 + x^3 + x + 1 (clause 4.2)."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = (a << 1) ^ (0x11B if a & 0x80 else 0), b >> 1
    return product


def _box() -> bytes:
    """The substitution of clause 5.1.1: the inverse, then an affine map of its bits."""
    box = bytearray(256)
    for value in range(256):
        inverse = next((i for i in range(256) if _times(value, i) == 1), 0)
        turned = [(inverse << i | inverse >> (8 - i)) & 0xFF for i in range(5)]
        box[value] = turned[0] ^ turned[1] ^ turned[2] ^ turned[3] ^ turned[4] ^ 0x63
    return bytes(box)


BOX = _box()
TIMES = {factor: bytes(_times(i, factor) for i in range(256)) for factor in (1, 2, 3)}
ROW = bytes((4 * (i // 4 + i % 4) + i % 4) % 16 for i in range(16))  # ShiftRows, column by column

TURNS = tuple(bytes(i // 4 * 4 + (i + by) % 4 for i in range(16)) for by in (1, 2, 3))


@cache
def _expanded(key: bytes) -> list[bytes]:
    """The round keys of clause 5.2."""
    words, many, constant = [key[i : i + 4] for i in range(0, len(key), 4)], len(key) // 4, 1
    for i in range(many, 4 * (many + 7)):
        word = words[-1]
        if i % many == 0:
            word = bytes(BOX[b] for b in word[1:] + word[:1])
            word, constant = bytes([word[0] ^ constant]) + word[1:], _times(constant, 2)
        elif many == 8 and i % many == 4:
            word = bytes(BOX[b] for b in word)
        words.append(_xor(word, words[-many]))
    return [b"".join(words[i : i + 4]) for i in range(0, len(words), 4)]


def _xor(a: bytes, b: bytes) -> bytes:
    value = int.from_bytes(a, "big") ^ int.from_bytes(b, "big")
    return value.to_bytes(len(a), "big")


def _mixed(state: bytes) -> bytes:
    """MixColumns: 2 a[r] + 3 a[r+1] + a[r+2] + a[r+3] in each column."""
    one, two, three = (bytes(map(state.__getitem__, turn)) for turn in TURNS)
    return _xor(_xor(state.translate(TIMES[2]), one.translate(TIMES[3])), _xor(two, three))


def encrypt(key: bytes, data: bytes) -> bytes:
    """Whole blocks, each by itself (ECB)."""
    first, *middle, last = _expanded(key)
    out = bytearray()
    for at in range(0, len(data), 16):
        state = _xor(data[at : at + 16], first)
        for keys in middle:
            state = bytes(map(state.translate(BOX).__getitem__, ROW))
            state = _xor(_mixed(state), keys)
        out += _xor(bytes(map(state.translate(BOX).__getitem__, ROW)), last)
    return bytes(out)
