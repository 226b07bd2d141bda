"""Frame addresses: minutes, seconds and frames in both counts, and LBA.

A time in a sheet counts from the beginning of its file. A time on the disc (frame headers, Q
subchannel, full tables of contents) counts from the beginning of the first pregap: LBA 0 is
00:02:00. The lead-in, LBA below -150, counts from 90 minutes up (MMC, table of MSF and LBA).
"""

from __future__ import annotations

from functools import cache

PREGAP = 150  # frames before LBA 0
LEAD_OUT = (6750, 2250)  # frames of the first session's lead-out, and of a later one's
LEAD_IN = 4500  # frames of a later session's
LONGEST = 449850  # frames up to 99:59:74, the last time that a header can hold
_LEAD_IN = 450150  # LBA -45150 is 90:00:00
_MINUTE = 4500  # frames


def frames(minute: int, second: int, frame: int) -> int:
    """The frames of a file time; seconds above 59 and frames above 74 count on."""
    return (minute * 60 + second) * 75 + frame


def time(count: int) -> str:
    """`count` frames as a file time, mm:ss:ff; minutes may pass 99."""
    seconds, frame = divmod(count, 75)
    return f"{seconds // 60:02}:{seconds % 60:02}:{frame:02}"


def lba(minute: int, second: int, frame: int) -> int:
    """The LBA of a disc time."""
    count = frames(minute, second, frame)
    return count - (_LEAD_IN if minute >= 90 else PREGAP)


def disc_time(at: int) -> tuple[int, int, int]:
    """The disc time of an LBA: minute, second, frame."""
    count = at + (PREGAP if at >= -PREGAP else _LEAD_IN)
    return count // 4500, count // 75 % 60, count % 75


def between_sessions(leadout: int, session: int, pregap: int) -> int:
    """Where the track after `session` begins, which has `pregap` frames before its index 1.

    MMC: 1:30 of lead-out after the first session and 0:30 after others, 1:00 of lead-in, then at
    least 2 seconds of pregap.
    """
    return leadout + LEAD_OUT[session > 1] + LEAD_IN + PREGAP - min(PREGAP, pregap)


def of_header(header: bytes | bytearray | memoryview) -> int | None:
    """The LBA that a frame header's first three bytes (BCD) tell; None where they are no time."""
    values = []
    for byte, bound in zip(header[:3], (100, 60, 75), strict=True):
        high, low = byte >> 4, byte & 15
        if high > 9 or low > 9 or high * 10 + low >= bound:
            return None
        values.append(high * 10 + low)
    return lba(*values)


def times(lba: int, count: int) -> bytearray:
    """The addresses of `count` headers from `lba` on: three bytes each, BCD."""
    out = bytearray()
    while count:
        minute, second, frame = disc_time(lba)
        first = second * 75 + frame
        part = min(count, _MINUTE - first)
        piece = bytearray(_minute()[3 * first : 3 * (first + part)])
        tens, ones = divmod(minute % 100, 10)  # two digits, whatever a sheet says
        piece[0::3] = bytes([tens << 4 | ones]) * part
        out += piece
        lba, count = lba + part, count - part
    return out


def headers(lba: int, count: int, mode: int) -> bytearray:
    """The headers of `count` frames of `mode` from `lba` on: address and mode, four bytes each."""
    out = bytearray(bytes([mode]) * (4 * count))
    addresses = times(lba, count)
    for i in range(3):
        out[i::4] = addresses[i::3]
    return out


@cache
def _minute() -> bytes:
    """The addresses of one minute, the minute left at 0."""
    bcd = [int(f"{n:02}", 16) for n in range(75)]
    return bytes(n for i in range(_MINUTE) for n in (0, bcd[i // 75], bcd[i % 75]))
