"""Frame addresses: minutes, seconds and frames in both counts, and LBA.

A time in a sheet counts from the beginning of its file. A time on the disc (frame headers, Q
subchannel, full tables of contents) counts from the beginning of the first pregap: LBA 0 is
00:02:00. The lead-in, LBA below -150, counts from 90 minutes up (MMC, table of MSF and LBA).
"""

from __future__ import annotations

PREGAP = 150  # frames before LBA 0
LONGEST = 449850  # frames up to 99:59:74, the last time that a header can hold
_LEAD_IN = 450150  # LBA -45150 is 90:00:00


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


def of_header(header: bytes | bytearray | memoryview) -> int | None:
    """The LBA that a frame header's first three bytes (BCD) tell; None where they are no time."""
    values = []
    for byte, bound in zip(header[:3], (100, 60, 75), strict=True):
        high, low = byte >> 4, byte & 15
        if high > 9 or low > 9 or high * 10 + low >= bound:
            return None
        values.append(high * 10 + low)
    return lba(*values)
