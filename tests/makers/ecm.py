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


def shape(dump: bytes, at: int) -> int:
    """What an encoder takes the bytes at `at` for: a type, from the longest to the shortest."""
    frame = dump[at : at + 2352]
    if frame[:12] == frames.SYNC and frame[15:16] == b"\1" and len(frame) == 2352:
        whole = bytearray(frame[:2064] + frames.edc(frame[:2064]) + bytes(284))
        frames.ecc(whole, 1)
        if whole == frame:
            return 1
    body = dump[at : at + 2336]
    if len(body) < 2336 or body[:4] != body[4:8]:
        return 0
    if body[2056:2060] == frames.edc(body[:2056]):
        whole = bytearray(bytes(16) + body[:2060] + bytes(276))
        frames.ecc(whole, 2)
        if whole[16:] == body:
            return 2
    return 3 if body[2332:] == frames.edc(body[:2332]) else 0


def encoded(dump: bytes) -> bytes:
    """A stream as an encoder writes it that knows nothing of tracks: at each place what it can
    leave out, neighbours of a type in one record, a byte that is none of it literal."""
    runs: list[tuple[int, int, bytearray]] = []
    at = 0
    while at < len(dump):
        type = shape(dump, at)
        size = (1, 2352, 2336, 2336)[type]
        unit = dump[at : at + size]
        kept = (unit, unit[12:15] + unit[16:2064], unit[4:2056], unit[4:2332])[type]
        if not runs or runs[-1][0] != type:
            runs.append((type, 0, bytearray()))
        _, count, body = runs.pop()
        runs.append((type, count + 1, body))
        body += kept
        at += size
    return stream(b"".join(head(type, count - 1) + body for type, count, body in runs), dump)


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
