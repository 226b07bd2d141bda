"""What CHD files need in bulk: CRC-16, their map, Huffman codes, CD frames parted and joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, ffi, lib, need, readable, size_of, writable
from diskimage.reference import chd as twin
from diskimage.reference.chd import FRAME, ROW, SUB, UNIT, Layout

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = [
    "FRAME", "ROW", "SUB", "UNIT", "Layout", "cd_join", "cd_split", "crc16", "huffman_read",
    "map_read", "map_write",
]  # fmt: skip


def crc16(buffer: ReadableBuffer, value: int = 0xFFFF) -> int:
    """Give the CRC-16 of polynomial 0x1021, the highest bit first, continued from `value`."""
    if not NATIVE:
        return twin.crc16(buffer, value)
    view = readable(buffer)
    return int(lib.di_crc16(view, len(view), value))


def map_read(data: ReadableBuffer, how: Layout, hunks: int) -> bytearray:
    """Expand a map of CHD version 5: rows of 12 bytes (type 0 to 6, length 3, place 6, CRC-16 2,
    big-endian), fewer than `hunks` where the bits end or mean nothing. Raises ValueError."""
    _check(how)
    need(hunks >= 0, "a negative count of hunks")
    if not NATIVE:
        return twin.map_read(data, how, hunks)
    view, out = readable(data), bytearray(hunks * ROW)
    layout = ffi.new("di_chd *", tuple(how))
    done = lib.di_chd_map_read(view, len(view), layout, hunks, writable(out))
    del out[done * ROW :]
    return out


def map_write(rows: ReadableBuffer, how: Layout) -> bytes:
    """Give the bits that `map_read` expands to `rows`, of types 0 to 5. Raises ValueError."""
    _check(how)
    hunks, rest = divmod(size_of(rows), ROW)
    need(not rest, "a map has whole rows")
    if not NATIVE:
        return twin.map_write(rows, how)
    view, out = readable(rows), bytearray(16 + 12 * hunks)
    layout = ffi.new("di_chd *", tuple(how))
    done = lib.di_chd_map_write(view, hunks, layout, writable(out), len(out))
    assert done >= 0
    return bytes(memoryview(out)[:done])


def _check(how: Layout) -> None:
    need(how.hunk > 0 and how.hunk_units > 0 and how.first >= 0, "a hunk has units")
    need(0 <= how.length_bits <= 24, "a length has at most 24 bits")
    need(0 <= how.self_bits <= 48 and 0 <= how.parent_bits <= 48, "a place has at most 48 bits")


def huffman_read(coded: ReadableBuffer, out: WriteableBuffer) -> int:
    """Decode bytes coded one by one into `out`; fewer than it holds where codes mean nothing."""
    if not NATIVE:
        return twin.huffman_read(coded, out)
    view, room = readable(coded), writable(out)
    return int(lib.di_huffman_read(view, len(view), room, len(room)))


def cd_join(
    main: ReadableBuffer, sub: ReadableBuffer, marked: ReadableBuffer | None, out: WriteableBuffer
) -> None:
    """Put each frame's subchannel behind it. Frames marked (a bit each, the lowest first) get their
    sync and parity made, by the mode in their header. Raises ValueError."""
    frames = _frames(main, sub, out)
    need(marked is None or size_of(marked) >= (frames + 7) // 8, "a mark for each frame")
    if not NATIVE:
        twin.cd_join(main, sub, marked, out)
        return
    marks = ffi.NULL if marked is None else readable(marked)
    lib.di_cd_join(readable(main), readable(sub), frames, marks, writable(out))


def cd_split(
    units: ReadableBuffer,
    main: WriteableBuffer,
    sub: WriteableBuffer,
    marked: WriteableBuffer | None,
) -> None:
    """Tell frames and subchannel apart; where `marked` is given, frames whose sync and parity can
    be made again are marked and have zeros there. Raises ValueError."""
    frames = _frames(main, sub, units)
    need(marked is None or size_of(marked) >= (frames + 7) // 8, "a mark for each frame")
    if not NATIVE:
        twin.cd_split(units, main, sub, marked)
        return
    marks = ffi.NULL if marked is None else writable(marked)
    lib.di_cd_split(readable(units), frames, writable(main), writable(sub), marks)


def _frames(main: ReadableBuffer, sub: ReadableBuffer, units: ReadableBuffer) -> int:
    frames, rest = divmod(size_of(units), UNIT)
    sizes = (size_of(main), size_of(sub))
    need(not rest and sizes == (frames * FRAME, frames * SUB), "2352 and 96 bytes for each frame")
    return frames
