"""ECM streams made byte by byte: what can be made again of a frame is left out, by slow tables."""

from __future__ import annotations

from tests.makers import frames
from tests.makers.iso import volume
from tests.makers.sample import Sample

END = 0xFFFFFFFF


def head(type: int, count: int) -> bytes:
    """A record's header: `count` as it is stored, one less than the units."""
    out = bytearray([type | (count & 31) << 2])
    count >>= 5
    while count:
        out[-1] |= 0x80
        out.append(count & 0x7F)
        count >>= 7
    return bytes(out)


def literal(data: bytes) -> bytes:
    return head(0, len(data) - 1) + data


def mode1(content: list[bytes]) -> bytes:
    """Whole frames of mode 1."""
    return head(1, len(content) - 1) + b"".join(f[12:15] + f[16:2064] for f in content)


def form1(content: list[bytes]) -> bytes:
    """Frames of form 1 from their subheader on."""
    return head(2, len(content) - 1) + b"".join(f[20:2072] for f in content)


def form2(content: list[bytes]) -> bytes:
    """Frames of form 2 from their subheader on."""
    return head(3, len(content) - 1) + b"".join(f[20:2348] for f in content)


def stream(records: bytes, dump: bytes) -> bytes:
    """The stream of records that stand for `dump`."""
    return b"ECM\0" + records + head(0, END) + frames.edc(dump)


def dumped(data: bytes) -> bytes:
    """A stream of a dump of whole frames: mode 1 by type 1, mode 2 with literal headers."""
    records = b""
    for at in range(0, len(data), frames.RAW):
        frame = data[at : at + frames.RAW]
        if frame[:12] != frames.SYNC:
            records += literal(frame)
        elif frame[15] == 1:
            records += mode1([frame])
        elif frame[18] & 0x20:
            records += literal(frame[:16]) + form2([frame])
        else:
            records += literal(frame[:16]) + form1([frame])
    return stream(records, data)


def samples() -> list[Sample]:
    """A dump of mode 1 in one record, one of mode 2, a plain image."""
    user = volume()
    sectors = [user[at : at + 2048] for at in range(0, len(user), 2048)]
    first = [frames.mode1(sector, i) for i, sector in enumerate(sectors)]
    second = b"".join(frames.form1(sector, i) for i, sector in enumerate(sectors))
    one = stream(mode1(first), b"".join(first))
    cuts = (4, 6, 5000, len(one) - 5)
    return [
        Sample("mode1", {"a.bin.ecm": one}, user, 16, cuts),
        Sample("mode2", {"a.ecm": dumped(second)}, user),
        Sample("plain", {"a.iso.ecm": stream(literal(user), user)}, user),
    ]
