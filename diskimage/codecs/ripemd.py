"""RIPEMD-160 (Dobbertin, Bosselaers, Preneel 1996), and keys derived by it (PKCS #5, RFC 8018).

`hashlib` knows it only where OpenSSL offers it; what is here is the same, slower.
"""

from __future__ import annotations

import hashlib
import struct

_MASK = 0xFFFFFFFF
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_BLOCK = 64
_DIGEST = 20
_LEFT = (0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_RIGHT = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0)
_RHO = (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8)
_SHIFTS = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7),
    (13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9),
    (14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6),
    (15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5),
)


def _lines() -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """Of both lines, for each of 80 steps: the word, the constant, the rotation."""
    left, right = list(range(16)), [(9 * i + 5) % 16 for i in range(16)]
    lines: tuple[list[tuple[int, int, int]], ...] = ([], [])
    for turn in range(5):
        for line, words, constants in ((0, left, _LEFT), (1, right, _RIGHT)):
            lines[line].extend((w, constants[turn], _SHIFTS[turn][w]) for w in words)
        left, right = [_RHO[w] for w in left], [_RHO[w] for w in right]
    return tuple(map(tuple, lines))


_LINES = _lines()


def _mix(turn: int, x: int, y: int, z: int) -> int:
    """The boolean function of a turn of 16 steps."""
    if turn == 0:
        return x ^ y ^ z
    if turn == 1:
        return x & y | ~x & z
    if turn == 2:
        return (x | ~y) ^ z
    if turn == 3:
        return x & z | y & ~z
    return x ^ (y | ~z)


def _compressed(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    words = struct.unpack("<16I", block)
    made = []
    for line, order in zip(_LINES, ((0, 1, 2, 3, 4), (4, 3, 2, 1, 0)), strict=True):
        a, b, c, d, e = state
        for step, (word, constant, by) in enumerate(line):
            t = (a + _mix(order[step >> 4], b, c, d) + words[word] + constant) & _MASK
            t = ((t << by | t >> 32 - by) + e) & _MASK
            a, e, d, c, b = e, d, (c << 10 | c >> 22) & _MASK, b, t
        made.append((a, b, c, d, e))
    left, right = made
    return tuple(
        (state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & _MASK for i in range(5)
    )


def _finished(state: tuple[int, ...], rest: bytes, length: int) -> bytes:
    """The digest of `length` bytes of which `rest` is not yet in `state`."""
    padded = rest + b"\x80" + bytes(-(len(rest) + 9) % _BLOCK) + struct.pack("<Q", 8 * length)
    return struct.pack("<5I", *_fed(state, padded))


def _fed(state: tuple[int, ...], data: bytes) -> tuple[int, ...]:
    for at in range(0, len(data), _BLOCK):
        state = _compressed(state, data[at : at + _BLOCK])
    return state


def ripemd160(data: bytes) -> bytes:
    """The digest of `data`: 20 bytes."""
    whole = len(data) & -_BLOCK
    return _finished(_fed(_START, data[:whole]), data[whole:], len(data))


def derive(password: bytes, salt: bytes, rounds: int, length: int) -> bytes:
    """`length` bytes by PBKDF2 with HMAC-RIPEMD-160. Two seconds without OpenSSL's, else 10 ms."""
    if "ripemd160" in hashlib.algorithms_available:
        try:
            return hashlib.pbkdf2_hmac("ripemd160", password, salt, rounds, length)
        except ValueError:  # listed, and yet left to a provider that is not loaded
            pass
    return derive_plainly(password, salt, rounds, length)


def derive_plainly(password: bytes, salt: bytes, rounds: int, length: int) -> bytes:
    """The same without `hashlib`."""
    key = (password if len(password) <= _BLOCK else ripemd160(password)).ljust(_BLOCK, b"\0")
    inner = _compressed(_START, bytes(b ^ 0x36 for b in key))
    outer = _compressed(_START, bytes(b ^ 0x5C for b in key))

    def hmac(text: bytes) -> bytes:
        whole = len(text) & -_BLOCK
        digest = _finished(_fed(inner, text[:whole]), text[whole:], _BLOCK + len(text))
        return _finished(outer, digest, _BLOCK + _DIGEST)

    made = b""
    for number in range(1, -(-length // _DIGEST) + 1):
        last = hmac(salt + number.to_bytes(4, "big"))
        mixed = int.from_bytes(last, "big")
        for _ in range(rounds - 1):
            last = hmac(last)
            mixed ^= int.from_bytes(last, "big")
        made += mixed.to_bytes(_DIGEST, "big")
    return made[:length]
