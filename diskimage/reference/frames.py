"""Twins of `kernels.frames`: sync, header, EDC, ECC and scrambling of CD frames (ECMA-130)."""

from __future__ import annotations

import os
from enum import IntEnum, IntFlag
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from diskimage.reference.checksums import reflected, reflected_table
from diskimage.reference.copying import write_all

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

RAW, USER = 2352, 2048
SYNC = b"\0" + b"\xff" * 10 + b"\0"
SUBHEADER = b"\0\0\x08\0"
FORM2_BIT = 0x20
P_AT, Q_AT = 2076, 2248
P_WORDS, Q_WORDS = 86, 52
ROUNDS = 8
"""Rounds of P and Q in `repair`; each mends at least one codeword or is the last."""


class Fault(IntEnum):
    """Why `cook` stopped."""

    NONE = 0
    SYNC = 1
    MODE = 2
    SUBHEADER = 3  # the two copies differ, and the EDC of form 1 does not hold
    FORM2 = 4
    EDC = 5
    SHORT = 6  # the file ends


class Check(IntFlag):
    """What `cook` checks."""

    NONE = 0
    SYNC = 1
    HEADER = 2  # the mode byte
    EDC = 4
    FORM = 8  # mode 2: a frame of form 2 is a fault
    ALL = 15


class Wrong(IntFlag):
    """What is wrong with, or special about, a frame: one byte of the status of `check`."""

    NONE = 0
    SYNC = 1
    MODE = 2
    SUBHEADER = 4  # the two copies differ
    EDC = 8
    P = 16
    Q = 32
    FORM2 = 64  # no fault: a frame of form 2, which has no ECC and may have an EDC of 0


class Verdict(NamedTuple):
    """Frames done, and what is wrong with the frame after these."""

    done: int
    fault: Fault


EDC_TABLE = reflected_table(0xD8018001)


def edc(buffer: ReadableBuffer, value: int = 0) -> int:
    """Give the error detection code, continued from `value` (ECMA-130 14.3)."""
    return reflected(EDC_TABLE, memoryview(buffer).cast("B"), value)


def cook(
    frames: ReadableBuffer, pitch: int, base: int, mode: int, out: WriteableBuffer, flags: int
) -> Verdict:
    """Gather 2048 user bytes a frame; stop at the first bad frame."""
    view, target = memoryview(frames).cast("B"), memoryview(out).cast("B")
    user_at = (16 if mode == 1 else 24) - base
    for i in range(len(target) // USER):
        frame = view[i * pitch : (i + 1) * pitch]
        fault = _fault(frame, base, mode, flags)
        if fault:
            return Verdict(i, fault)
        target[i * USER : (i + 1) * USER] = frame[user_at : user_at + USER]
    return Verdict(len(target) // USER, Fault.NONE)


def _fault(frame: memoryview, base: int, mode: int, flags: int) -> Fault:
    if not base:
        if flags & Check.SYNC and frame[:12] != SYNC:
            return Fault.SYNC
        if flags & Check.HEADER and frame[15] & 7 != mode:
            return Fault.MODE
    if mode == 1:
        return Fault.EDC if flags & Check.EDC and edc(frame[:2068]) else Fault.NONE
    body = frame[16 - base :]
    if flags & Check.FORM:
        if body[:4] != body[4:8]:
            return Fault.SUBHEADER if edc(body[:2060]) else Fault.NONE
        if body[2] & FORM2_BIT:
            return Fault.FORM2
    return Fault.EDC if flags & Check.EDC and edc(body[:2060]) else Fault.NONE


def cook_file(
    src: int, at: int, pitch: int, base: int, mode: int, count: int, dst: int, to: int, flags: int,
    buffer: WriteableBuffer, lba: int = 0, odd: WriteableBuffer | None = None,
) -> Verdict:  # fmt: skip
    """Cook `count` frames from one descriptor to another."""
    marks = None if odd is None else memoryview(odd).cast("B")
    room = len(memoryview(buffer).cast("B")) // (pitch + USER)
    done = 0
    while done < count:
        want = min(room, count - done)
        data = _read(src, at + done * pitch, (want - 1) * pitch + min(pitch, RAW - base))
        whole = (len(data) + max(0, pitch - RAW + base)) // pitch
        out = bytearray(whole * USER)
        verdict = cook(data, pitch, base, mode, out, flags)
        write_all(dst, memoryview(out)[: verdict.done * USER], to + done * USER)
        if marks is not None:
            _odd(data, pitch, base, mode, lba + done, marks[done : done + verdict.done])
        done += verdict.done
        if verdict.fault:
            return Verdict(done, verdict.fault)
        if whole < want:
            return Verdict(done, Fault.SHORT)
    return Verdict(done, Fault.NONE)


def odd(
    frames: ReadableBuffer, pitch: int, base: int, mode: int, lba: int, out: WriteableBuffer,
    flags: int,
) -> None:  # fmt: skip
    """Say of each frame whether `make` gives other bytes than it has."""
    _odd(frames, pitch, base, mode, lba, memoryview(out).cast("B"))


def _odd(
    frames: ReadableBuffer, pitch: int, base: int, mode: int, lba: int, out: memoryview
) -> None:
    view, again = memoryview(frames).cast("B"), bytearray(RAW)
    held = RAW if pitch >= RAW - base else P_AT
    user_at = (16 if mode == 1 else 24) - base
    for i in range(len(out)):
        frame = view[i * pitch : i * pitch + held - base]
        make(frame[user_at : user_at + USER], again, mode, lba + i, SUBHEADER)
        out[i] = frame != again[base:held]


def _read(fd: int, at: int, length: int) -> bytes:
    pieces = []
    while length:
        piece = os.pread(fd, length, at)
        if not piece:
            break
        pieces.append(piece)
        at, length = at + len(piece), length - len(piece)
    return b"".join(pieces)


def check(
    frames: ReadableBuffer, pitch: int, base: int, mode: int, status: WriteableBuffer
) -> None:
    """Say of each frame what is wrong with it."""
    view, out = memoryview(frames).cast("B"), memoryview(status).cast("B")
    held = min(pitch, RAW - base)
    for i in range(len(out)):
        frame = bytes(base) + bytes(view[i * pitch : i * pitch + held])
        out[i] = _wrong(frame, base, mode)


def _wrong(frame: bytes, base: int, mode: int) -> int:
    wrong = 0
    if not base:
        wrong |= Wrong.SYNC if frame[:12] != SYNC else 0
        wrong |= Wrong.MODE if frame[15] & 7 != mode else 0
    if mode == 1:
        wrong |= Wrong.EDC if edc(frame[:2068]) else 0
    else:
        if frame[16:20] != frame[20:24]:
            wrong |= Wrong.SUBHEADER
        elif frame[18] & FORM2_BIT:
            return wrong | Wrong.FORM2 | _wrong_form2(frame)
        wrong |= Wrong.EDC if edc(frame[16:2076]) else 0
    if len(frame) == RAW:
        plain = _parity_view(frame, mode)
        wrong |= Wrong.P if _parity(plain, P_ROWS, P_WORDS) != frame[P_AT:Q_AT] else 0
        wrong |= Wrong.Q if _parity(plain, _q_rows(), Q_WORDS) != frame[Q_AT:] else 0
    return wrong


def _wrong_form2(frame: bytes) -> int:
    if len(frame) < RAW or frame[2348:] == bytes(4):
        return 0
    return Wrong.EDC if edc(frame[16:]) else 0


def _parity_view(frame: bytes, mode: int) -> bytes:
    """Give bytes 12..2351, the header taken as zero in mode 2 so that a frame can be moved."""
    return (bytes(4) + frame[16:]) if mode == 2 else frame[12:]


TWICE = bytes((i << 1 ^ (0x11D if i & 0x80 else 0)) & 0xFF for i in range(256))
"""Multiplication by alpha in GF(2^8) over x^8 + x^4 + x^3 + x^2 + 1."""
THIRD = bytes(map({i ^ TWICE[i]: i for i in range(256)}.__getitem__, range(256)))
"""Division by alpha + 1."""
P_ROWS = [slice(t * 86, t * 86 + 86) for t in range(24)]


@cache
def _q_rows() -> list[itemgetter[tuple[int, ...]]]:
    return [
        itemgetter(*(((m >> 1) * 86 + (m & 1) + t * 88) % 2236 for m in range(Q_WORDS)))
        for t in range(43)
    ]


def _parity(
    plain: bytes, rows: list[slice] | list[itemgetter[tuple[int, ...]]], words: int
) -> bytes:
    """Give both parity rows of all codewords at once: row t holds byte t of each codeword."""
    a = b = 0
    for row in rows:
        data = plain[row] if isinstance(row, slice) else bytes(row(plain))
        value = int.from_bytes(data, "little")
        b ^= value
        a = int.from_bytes((a ^ value).to_bytes(words, "little").translate(TWICE), "little")
    twice = a.to_bytes(words, "little").translate(TWICE)
    mixed = int.from_bytes(twice, "little") ^ b
    first = mixed.to_bytes(words, "little").translate(THIRD)
    return first + (int.from_bytes(first, "little") ^ b).to_bytes(words, "little")


def ecc(frame: WriteableBuffer, mode: int) -> None:
    """Write P and Q parity into a frame of 2352 bytes."""
    view = memoryview(frame).cast("B")
    plain = _parity_view(bytes(view), mode)
    view[P_AT:Q_AT] = _parity(plain, P_ROWS, P_WORDS)
    plain = _parity_view(bytes(view), mode)
    view[Q_AT:RAW] = _parity(plain, _q_rows(), Q_WORDS)


def make(
    user: ReadableBuffer, out: WriteableBuffer, mode: int, lba: int, subheader: bytes = SUBHEADER
) -> None:
    """Build whole frames of mode 1 or mode 2 form 1 around user data."""
    data, view = memoryview(user).cast("B"), memoryview(out).cast("B")
    for i in range(len(data) // USER):
        payload = data[i * USER : (i + 1) * USER]
        frame = view[i * RAW : (i + 1) * RAW]
        head = SYNC + msf(lba + i) + bytes((mode,))
        if mode == 1:
            body = head + bytes(payload)
            body += edc(body).to_bytes(4, "little") + bytes(8)
        else:
            coded = subheader * 2 + bytes(payload)
            body = head + coded + edc(coded).to_bytes(4, "little")
        frame[:P_AT] = body
        ecc(frame, mode)


def msf(lba: int) -> bytes:
    """Give an address as a header holds it: minute, second, frame in BCD (MMC: lead-in from 90)."""
    frames = lba + (150 if lba >= -150 else 450150)
    minute, rest = divmod(frames, 75 * 60)
    return bytes(n // 10 << 4 | n % 10 for n in (minute % 100, *divmod(rest, 75)))


def repair(frame: WriteableBuffer, mode: int) -> int | None:
    """Correct a frame by P and Q until its EDC holds; None where it never does."""
    view = memoryview(frame).cast("B")
    before = bytes(view)
    work = bytearray(before)
    work[:12] = SYNC
    if mode == 2 and before[16:20] == before[20:24] and before[18] & FORM2_BIT:
        if _wrong_form2(before):
            return None
    else:
        if not _mend(work, mode):
            return None
        if mode == 1:
            work[2068:P_AT] = bytes(8)
        ecc(work, mode)
    view[:] = work
    return sum(a != b for a, b in zip(before, work, strict=True))


def _mend(work: bytearray, mode: int) -> bool:
    """Correct single bytes of codewords in turn; the EDC is the judge, never the ECC alone."""
    start, stop = (0, 2068) if mode == 1 else (16, P_AT)
    for _ in range(ROUNDS):
        if not edc(memoryview(work)[start:stop]):
            return True
        changed = _mend_words(work, mode, _p_words())
        if changed and not edc(memoryview(work)[start:stop]):
            return True
        if not _mend_words(work, mode, _q_words()) and not changed:
            return False
    return not edc(memoryview(work)[start:stop])


@cache
def _p_words() -> list[list[int]]:
    """Give the positions of each P codeword, parity last."""
    return [[12 + m + 86 * t for t in range(26)] for m in range(P_WORDS)]


@cache
def _q_words() -> list[list[int]]:
    """Give the positions of each Q codeword, parity last."""
    return [
        [12 + ((m >> 1) * 86 + (m & 1) + t * 88) % 2236 for t in range(43)]
        + [Q_AT + m, Q_AT + Q_WORDS + m]
        for m in range(Q_WORDS)
    ]


@cache
def _logarithms() -> tuple[list[int], dict[int, int]]:
    powers = [1]
    for _ in range(254):
        powers.append(TWICE[powers[-1]])
    return powers, {value: power for power, value in enumerate(powers)}


def _mend_words(work: bytearray, mode: int, words: list[list[int]]) -> bool:
    """Correct each codeword with one wrong byte; S0 is the error, S1 the error times its place."""
    logs, changed = _logarithms()[1], False
    for places in words:
        s0 = s1 = 0
        for place in places:
            value = 0 if mode == 2 and 12 <= place < 16 else work[place]
            s0 ^= value
            s1 = TWICE[s1] ^ value
        if not s0 or not s1:
            continue
        from_end = (logs[s1] - logs[s0]) % 255
        if from_end >= len(places):
            continue
        place = places[-1 - from_end]
        if mode == 2 and 12 <= place < 16:
            continue
        work[place] ^= s0
        changed = True
    return changed


@cache
def _key() -> int:
    """Give the key of ECMA-130 annex B, for bytes 12 and on, as a little-endian number."""
    register, key = 1, bytearray()
    for _ in range(RAW - 12):
        byte = 0
        for bit in range(8):
            byte |= (register & 1) << bit
            register = register >> 1 | ((register ^ register >> 1) & 1) << 14
        key.append(byte)
    return int.from_bytes(key, "little")


def scramble(frames: WriteableBuffer) -> None:
    """Scramble, or unscramble, frames of 2352 bytes in place; the sync stays."""
    view = memoryview(frames).cast("B")
    for at in range(0, len(view), RAW):
        part = view[at + 12 : at + RAW]
        mixed = int.from_bytes(part, "little") ^ _key()
        part[:] = mixed.to_bytes(RAW - 12, "little")


def gather(src: ReadableBuffer, pitch: int, skip: int, take: int, out: WriteableBuffer) -> None:
    """Take `take` bytes at `skip` out of every `pitch`, until `out` is full."""
    view, target = memoryview(src).cast("B"), memoryview(out).cast("B")
    for i, to in enumerate(range(0, len(target), take)):
        length = min(take, len(target) - to)
        at = i * pitch + skip
        target[to : to + length] = view[at : at + length]


def scatter(src: ReadableBuffer, out: WriteableBuffer, pitch: int, skip: int, take: int) -> None:
    """Put `take` bytes at `skip` of every `pitch`, until `src` is used; the rest of `out` stays."""
    view, target = memoryview(src).cast("B"), memoryview(out).cast("B")
    for i, at in enumerate(range(0, len(view), take)):
        length = min(take, len(view) - at)
        to = i * pitch + skip
        target[to : to + length] = view[at : at + length]


def swap16(buffer: ReadableBuffer, out: WriteableBuffer) -> None:
    """Swap the bytes of each 16-bit word; both may be the same buffer."""
    view, target = memoryview(buffer).cast("B"), memoryview(out).cast("B")
    low, high = view[0::2].tobytes(), view[1::2].tobytes()
    target[0::2] = high
    target[1::2] = low
