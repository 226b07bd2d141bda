"""Frames of compact discs: user data out of them and back, checked and mended (ECMA-130, XA).

A frame has 2352 bytes. Stored ones lie `pitch` bytes apart (2352; 2448 and 2368 with subchannel;
2336, 2332 and 2056 without the first 16 bytes: then `base` is 16, else 0). `mode` is 1 or 2; in
mode 2 the form is each frame's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, checked, ffi, lib, need, readable, size_of, writable
from diskimage.reference import frames as twin
from diskimage.reference.frames import RAW, SUBHEADER, USER, Check, Fault, Verdict, Wrong

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = [
    "RAW", "SUBHEADER", "USER", "Check", "Fault", "Verdict", "Wrong", "check", "cook", "cook_file",
    "ecc", "edc", "gather", "make", "odd", "repair", "scatter", "scramble", "swap16",
]  # fmt: skip

_LEAD_IN = -45150  # the first number that a header can hold (MMC)


def edc(buffer: ReadableBuffer, value: int = 0) -> int:
    """Give the error detection code of ECMA-130 14.3, continued from `value`.

    Over a range that ends with its own stored code (little-endian) it is 0.
    """
    if not NATIVE:
        return twin.edc(buffer, value)
    view = readable(buffer)
    return int(lib.di_edc(view, len(view), value))


def cook(
    frames: ReadableBuffer,
    pitch: int,
    base: int,
    mode: int,
    out: WriteableBuffer,
    flags: int = Check.ALL,
) -> Verdict:
    """Gather 2048 user bytes a frame into `out`, which says how many; stop at the first bad frame.

    What `out` holds after the frames that were done is undefined. Raises ValueError.
    """
    count, rest = divmod(size_of(out), USER)
    need(not rest, "out holds whole blocks of 2048 bytes")
    _shape(pitch, base, mode, flags)
    _room(frames, pitch, count, min(pitch, RAW - base))
    if not NATIVE:
        return twin.cook(frames, pitch, base, mode, out, flags)
    fault = ffi.new("int32_t *")
    done = lib.di_cook(readable(frames), count, pitch, base, mode, flags, writable(out), fault)
    return Verdict(done, Fault(fault[0]))


def cook_file(
    src: int,
    at: int,
    pitch: int,
    base: int,
    mode: int,
    count: int,
    dst: int,
    to: int,
    flags: int,
    buffer: WriteableBuffer,
    lba: int = 0,
    odd: WriteableBuffer | None = None,
) -> Verdict:
    """Cook `count` frames at `at` of one descriptor to `to` of another, by way of `buffer`.

    About 512 KiB of buffer keep the data in the second-level cache. Every frame before a bad one is
    written; a source that ends early is `Fault.SHORT`. `odd`, a byte a frame, is filled as by `odd`
    for those that were done. Raises OSError, ValueError.
    """
    _shape(pitch, base, mode, flags)
    need(size_of(buffer) >= pitch + USER, "the buffer has no room for one frame")
    need(count >= 0, "a negative count of frames")
    need(odd is None or size_of(odd) >= count, "a byte for each frame")
    need(odd is None or _LEAD_IN <= lba < 1 << 48, "an address outside of -45150..2^48")
    if not NATIVE:
        return twin.cook_file(src, at, pitch, base, mode, count, dst, to, flags, buffer, lba, odd)
    room, fault = writable(buffer), ffi.new("int32_t *")
    marks = ffi.NULL if odd is None else writable(odd)
    done = checked(
        lib.di_cook_file(
            src, at, pitch, base, mode, count, dst, to, flags, room, len(room), lba, marks, fault
        )
    )
    return Verdict(done, Fault(fault[0]))


def check(
    frames: ReadableBuffer, pitch: int, base: int, mode: int, status: WriteableBuffer
) -> None:
    """Say of each frame what is wrong with it: bits of `Wrong`, one byte of `status` a frame.

    The frames are as many as `status` has bytes. Parity that is not stored (a pitch of 2332) is not
    checked. Raises ValueError.
    """
    _shape(pitch, base, mode, Check.EDC)
    _room(frames, pitch, size_of(status), min(pitch, RAW - base))
    if not NATIVE:
        twin.check(frames, pitch, base, mode, status)
        return
    out = writable(status)
    lib.di_check(readable(frames), len(out), pitch, base, mode, out)


def odd(
    frames: ReadableBuffer,
    pitch: int,
    base: int,
    mode: int,
    lba: int,
    out: WriteableBuffer,
    flags: int = Check.NONE,
) -> None:
    """Say of each frame whether `make` around its user data gives other bytes than it has.

    `out` has a byte a frame, 1 where it does; parity counts where all of it is stored.
    `flags` with `Check.EDC`: their EDC is known to hold. `lba` is the first frame's number, from
    -45150 on. Raises ValueError.
    """
    _shape(pitch, base, mode, Check.EDC)
    _room(frames, pitch, size_of(out), min(pitch, RAW - base))
    need(_LEAD_IN <= lba < 1 << 48, "an address outside of -45150..2^48")
    if not NATIVE:
        twin.odd(frames, pitch, base, mode, lba, out, flags)
        return
    marks = writable(out)
    lib.di_odd(readable(frames), len(marks), pitch, base, mode, lba, flags, marks)


def make(
    user: ReadableBuffer,
    out: WriteableBuffer,
    mode: int,
    lba: int,
    subheader: bytes = SUBHEADER,
) -> None:
    """Build whole frames around blocks of 2048 user bytes: mode 1, or mode 2 form 1.

    `out` takes 2352 bytes a block, and must not overlap `user`; `lba` is the first frame's number,
    from -150 on (earlier ones count as lead-in, MMC); addresses start again after 99:59:74. Raises
    ValueError.
    """
    count, rest = divmod(size_of(user), USER)
    need(not rest and size_of(out) == count * RAW, "whole blocks of 2048 bytes, 2352 for each")
    need(mode in (1, 2), "a mode is 1 or 2")
    need(len(subheader) == 4 and not subheader[2] & 0x20, "four bytes, of form 1")
    need(_LEAD_IN <= lba < 1 << 48, "an address outside of -45150..2^48")
    if not NATIVE:
        twin.make(user, out, mode, lba, subheader)
        return
    lib.di_make(readable(user), count, mode, lba, readable(subheader), writable(out))


def repair(frame: WriteableBuffer, mode: int) -> int | None:
    """Correct a frame in place by P and Q until its EDC holds.

    Gives the number of bytes changed, parity and sync among them; None where the EDC never held,
    the frame then being as it was. A frame of form 2 has no parity. Raises ValueError.
    """
    need(size_of(frame) == RAW, "a frame has 2352 bytes")
    need(mode in (1, 2), "a mode is 1 or 2")
    if not NATIVE:
        return twin.repair(frame, mode)
    changed = lib.di_repair(writable(frame), mode)
    return None if changed < 0 else int(changed)


def ecc(frame: WriteableBuffer, mode: int) -> None:
    """Write P and Q parity into a frame (ECMA-130 annex A). Raises ValueError."""
    need(size_of(frame) == RAW, "a frame has 2352 bytes")
    need(mode in (1, 2), "a mode is 1 or 2")
    if not NATIVE:
        twin.ecc(frame, mode)
        return
    lib.di_ecc(writable(frame), mode)


def scramble(frames: WriteableBuffer) -> None:
    """Scramble, or unscramble, frames of 2352 bytes in place (ECMA-130 annex B)."""
    need(size_of(frames) % RAW == 0, "whole frames of 2352 bytes")
    if not NATIVE:
        twin.scramble(frames)
        return
    view = writable(frames)
    lib.di_scramble(view, len(view) // RAW)


def gather(src: ReadableBuffer, pitch: int, skip: int, take: int, out: WriteableBuffer) -> None:
    """Take `take` bytes at `skip` out of every `pitch`, until `out` is full; the last may be short.

    Raises ValueError where `src` ends before.
    """
    _records(size_of(src), pitch, skip, take, size_of(out))
    if not NATIVE:
        twin.gather(src, pitch, skip, take, out)
        return
    view = writable(out)
    lib.di_gather(readable(src), pitch, skip, take, view, len(view))


def scatter(src: ReadableBuffer, out: WriteableBuffer, pitch: int, skip: int, take: int) -> None:
    """Put `take` bytes at `skip` of every `pitch`, until `src` is used; the rest of `out` stays.

    Raises ValueError where `out` ends before.
    """
    _records(size_of(out), pitch, skip, take, size_of(src))
    if not NATIVE:
        twin.scatter(src, out, pitch, skip, take)
        return
    view = readable(src)
    lib.di_scatter(view, len(view), pitch, skip, take, writable(out))


def swap16(buffer: ReadableBuffer, out: WriteableBuffer) -> None:
    """Swap the bytes of each 16-bit word (audio of a MOTOROLA file); `out` may be the same buffer.

    Raises ValueError for an odd length or two lengths.
    """
    need(size_of(buffer) == size_of(out), "buffers of two lengths")
    need(size_of(buffer) % 2 == 0, "half a word at the end")
    if not NATIVE:
        twin.swap16(buffer, out)
        return
    view = readable(buffer)
    lib.di_swap16(view, len(view), writable(out))


def _shape(pitch: int, base: int, mode: int, flags: int) -> None:
    need(mode in (1, 2), "a mode is 1 or 2")
    need(base in (0, 16), "0 or 16 bytes are missing at the front")
    need(mode == 2 or base == 0 or not flags & Check.EDC, "the EDC of mode 1 covers the header")
    checked_bytes = 2076 if flags & (Check.EDC | Check.FORM) else 2048 + (16 if mode == 1 else 24)
    need(checked_bytes - base <= pitch <= 1 << 20, "a pitch that frames of this kind cannot have")


def _room(frames: ReadableBuffer, pitch: int, count: int, held: int) -> None:
    need(not count or size_of(frames) >= (count - 1) * pitch + held, "fewer frames than asked for")


def _records(size: int, pitch: int, skip: int, take: int, taken: int) -> None:
    need(take > 0 and skip >= 0 and skip + take <= pitch, "records of no such shape")
    whole, rest = divmod(taken, take)
    need(not taken or (whole - (not rest)) * pitch + skip + (rest or take) <= size, "too short")
