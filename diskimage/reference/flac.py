"""Twins of `kernels.flac`."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

from diskimage.reference.chd import Bits, EndOfBitsError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

LONGEST = 4608  # samples of a frame, as in the format's streamable subset
_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 0, 0, 0)
_STEREO, _LEFT, _RIGHT, _MIDDLE = 1, 8, 9, 10
_FIXED = ((), (1,), (2, -1), (3, -3, 1), (4, -6, 4, -1))


def flac_read(coded: ReadableBuffer, out: WriteableBuffer, *, big_endian: bool) -> int:
    """Frame after frame, each sample in Python."""
    bits, view = Bits(coded), memoryview(out).cast("B")
    done = 0
    try:
        while done < len(view):
            samples = _frame(bits, (len(view) - done) // 4)
            raw = struct.pack(f"{'>' if big_endian else '<'}{len(samples)}H", *samples)
            view[done : done + len(raw)] = raw
            done += len(raw)
    except EndOfBitsError:
        return -1
    return bits.at // 8


def _frame(bits: Bits, most: int) -> list[int]:
    """The samples of both channels in turn, as 16 bits."""
    channels, count = _header(bits)
    if not count or count > most:
        raise EndOfBitsError
    left = _subframe(bits, 16 + (channels == _RIGHT), count)
    right = _subframe(bits, 16 + (channels in (_LEFT, _MIDDLE)), count)
    samples = []
    for a, b in zip(left, right, strict=True):
        if channels == _LEFT:
            pair = (a, a - b)
        elif channels == _RIGHT:
            pair = (a + b, b)
        elif channels == _MIDDLE:
            total = _int32(2 * a + (b & 1))
            pair = (_int32(total + b) >> 1, _int32(total - b) >> 1)
        else:
            pair = (a, b)
        samples += [pair[0] & 0xFFFF, pair[1] & 0xFFFF]
    bits.drop(-bits.at % 8)
    bits.take(16)
    return samples


def _header(bits: Bits) -> tuple[int, int]:
    """The code of the channels, and how many samples each has."""
    if bits.take(15) != 0x7FFC:
        raise EndOfBitsError
    bits.take(1)
    size, rate, channels, depth = bits.take(4), bits.take(4), bits.take(4), bits.take(3)
    if bits.take(1) or depth not in (0, 4) or rate == 15:
        raise EndOfBitsError
    if channels not in (_STEREO, _LEFT, _RIGHT, _MIDDLE):
        raise EndOfBitsError
    number, bit = bits.take(8), 0x40
    while number & 0x80 and number & bit:
        bits.take(8)
        bit >>= 1
    count = bits.take(8 * (size - 5)) + 1 if size in (6, 7) else _SIZES[size]
    bits.take({12: 8, 13: 16, 14: 16}.get(rate, 0))
    bits.take(8)
    return channels, count if count <= LONGEST else 0


def _subframe(bits: Bits, width: int, count: int) -> list[int]:
    head, wasted = bits.take(8), 0
    if head & 0x80:
        raise EndOfBitsError
    if head & 1:
        wasted = _unary(bits) + 1
        if wasted >= width:
            raise EndOfBitsError
        width -= wasted
    kind = head >> 1 & 63
    if kind == 0:
        samples = [_signed(bits, width)] * count
    elif kind == 1:
        samples = [_signed(bits, width) for _ in range(count)]
    elif 8 <= kind <= 12:
        samples = _predicted(bits, width, count, list(_FIXED[kind - 8]), 0)
    elif kind >= 32:
        samples = _linear(bits, width, count, kind - 31)
    else:
        raise EndOfBitsError
    return [_int32(one << wasted) for one in samples]


def _linear(bits: Bits, width: int, count: int, order: int) -> list[int]:
    if order > count:
        raise EndOfBitsError
    warm = [_signed(bits, width) for _ in range(order)]
    precision, shift = bits.take(4) + 1, _signed(bits, 5)
    if precision == 16 or shift < 0:
        raise EndOfBitsError
    factors = [_signed(bits, precision) for _ in range(order)]
    return _summed(warm, _residual(bits, order, count), factors, shift)


def _predicted(bits: Bits, width: int, count: int, factors: list[int], shift: int) -> list[int]:
    if len(factors) > count:
        raise EndOfBitsError
    warm = [_signed(bits, width) for _ in factors]
    return _summed(warm, _residual(bits, len(factors), count), factors, shift)


def _summed(samples: list[int], rest: list[int], factors: list[int], shift: int) -> list[int]:
    order = len(factors)
    for one in rest:
        last = samples[len(samples) - order :]
        guess = sum(f * s for f, s in zip(factors, reversed(last), strict=True)) >> shift
        samples.append(_int32(one + guess))
    return samples


def _residual(bits: Bits, order: int, count: int) -> list[int]:
    method, log = bits.take(2), bits.take(4)
    width, each = 5 if method else 4, count >> log
    if method > 1 or each << log != count or each < order:
        raise EndOfBitsError
    rest: list[int] = []
    for part in range(1 << log):
        here = each - order if part == 0 else each
        rice = bits.take(width)
        if rice == (1 << width) - 1:
            size = bits.take(5)
            rest += [_signed(bits, size) for _ in range(here)]
            continue
        for _ in range(here):
            value = (_unary(bits) << rice | bits.take(rice)) & 0xFFFFFFFF
            rest.append(_int32(value >> 1 ^ -(value & 1)))
    return rest


def _unary(bits: Bits) -> int:
    """Zeros before the next 1, and that 1."""
    zeros = 0
    while not bits.take(1):
        zeros += 1
    return zeros


def _signed(bits: Bits, count: int) -> int:
    value = bits.take(count)
    return value - (1 << count) if count and value >> count - 1 else value


def _int32(value: int) -> int:
    return (value + (1 << 31) & 0xFFFFFFFF) - (1 << 31)


def flac_write(pcm: ReadableBuffer, block: int, *, big_endian: bool) -> bytes | None:
    """Fixed prediction alone, left and right by themselves: larger than what the kernel writes."""
    raw = memoryview(pcm).cast("B")
    samples = struct.unpack(f"{'>' if big_endian else '<'}{len(raw) // 2}h", raw)
    out = bytearray()
    for number, at in enumerate(range(0, len(samples), 2 * block)):
        part = samples[at : at + 2 * block]
        code = _written(number & 0xFFFF, part[0::2], part[1::2])
        out += code
    return None if len(out) > len(raw) else bytes(out)


def _written(number: int, left: tuple[int, ...], right: tuple[int, ...]) -> bytes:
    head = bytes.fromhex("fff879") + bytes([_STEREO << 4 | 8])
    # as UTF-8 has it, surrogates too
    head += chr(number).encode("utf-8", "surrogatepass") + (len(left) - 1).to_bytes(2, "big")
    head += bytes([_crc(head, 8, 0x07)])
    text = _subframe_text(left) + _subframe_text(right)
    text += "0" * (-len(text) % 8)
    frame = head + int(text, 2).to_bytes(len(text) // 8, "big")
    return frame + _crc(frame, 16, 0x8005).to_bytes(2, "big")


def _subframe_text(samples: tuple[int, ...]) -> str:
    """A subframe as its bits."""
    if len(set(samples)) == 1:
        return "0" * 8 + _bits(samples[0], 16)
    rest, tried = list(samples), []
    for order in range(min(5, len(samples))):
        tried.append((sum(map(_folded, rest)), order, rest))
        rest = [b - a for a, b in pairwise(rest)]
    total, order, rest = min(tried)
    rice = min(30, max(0, (total // max(1, len(rest))).bit_length() - 1))
    warm = "".join(_bits(one, 16) for one in samples[:order])
    coded = "".join(_rice(_folded(one), rice) for one in rest)
    text = f"0{8 + order:06b}0{warm}010000{rice:05b}{coded}"
    verbatim = "00000010" + "".join(_bits(one, 16) for one in samples)
    return min(text, verbatim, key=len)


def _folded(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _rice(value: int, rice: int) -> str:
    low = f"{value & (1 << rice) - 1:0{rice}b}" if rice else ""
    return "0" * (value >> rice) + "1" + low


def _bits(value: int, count: int) -> str:
    return f"{value & (1 << count) - 1:0{count}b}"


def _crc(data: bytes, width: int, polynomial: int) -> int:
    """From 0, the highest bit first."""
    value = 0
    for byte in data:
        value ^= byte << width - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> width - 1 & 1 else 0)
        value &= (1 << width) - 1
    return value
