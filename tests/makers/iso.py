"""A volume of ECMA-119 with an empty root, field by field."""

from __future__ import annotations

import struct

from tests.makers import frames
from tests.makers.sample import Sample


def both(value: int, width: int) -> bytes:
    """A number in both byte orders."""
    code = "H" if width == 2 else "I"
    return struct.pack(f"<{code}", value) + struct.pack(f">{code}", value)


def record(name: bytes, sector: int, flags: int) -> bytes:
    """A directory record of one sector."""
    body = bytes((0,)) + both(sector, 4) + both(2048, 4) + bytes(7) + bytes((flags, 0, 0))
    body += both(1, 2) + bytes((len(name),)) + name
    return bytes((len(body) + 1,)) + body


def primary(space: int, label: str, block: int, flags: int) -> bytes:
    """The primary volume descriptor."""
    out = bytearray(2048)
    out[:7] = b"\1CD001\1"
    out[8:40] = b"LINUX".ljust(32)
    out[40:72] = label.encode().ljust(32)
    out[80:88] = both(space, 4)
    out[120:124], out[124:128], out[128:132] = both(1, 2), both(1, 2), both(block, 2)
    out[156:190] = record(b"\0", 20, flags)
    return bytes(out)


def boot(catalog: int) -> bytes:
    """A boot record of El Torito."""
    out = bytearray(2048)
    out[:7] = b"\0CD001\1"
    out[7:39] = b"EL TORITO SPECIFICATION".ljust(32, b"\0")
    out[71:75] = struct.pack("<I", catalog)
    return bytes(out)


END = b"\xffCD001\1".ljust(2048, b"\0")


def volume(
    sectors: int = 24,
    *,
    label: str = "DISC",
    space: int | None = None,
    block: int = 2048,
    flags: int = 2,
    extra: tuple[bytes, ...] = (),
    end: bool = True,
) -> bytes:
    """An image of `sectors` sectors; every sector after the descriptors differs from the others."""
    out = bytearray(b"".join(i.to_bytes(4, "big") * 512 for i in range(sectors)))
    out[: 16 * 2048] = bytes(16 * 2048)
    head = primary(sectors if space is None else space, label, block, flags)
    descriptors = [head, *extra, *([END] if end else [])]
    for number, one in enumerate(descriptors, 16):
        out[number * 2048 : number * 2048 + 2048] = one
    root = record(b"\0", 20, 2) + record(b"\1", 20, 2)
    out[20 * 2048 : 21 * 2048] = root.ljust(2048, b"\0")
    return bytes(out)


def samples() -> list[Sample]:
    """2048 bytes a sector; frames of mode 1 and of mode 2 without sync."""
    user = volume()
    whole = b"".join(frames.mode1(user[i : i + 2048], i // 2048) for i in range(0, len(user), 2048))
    bare = b"".join(
        frames.form1(user[i : i + 2048], i // 2048)[16:] for i in range(0, len(user), 2048)
    )
    cuts = (0, 32768, 32769, 34816, len(user) - 2048)
    return [
        Sample("2048", {"a.iso": user}, user, borders=cuts, exact=False),
        Sample("2352", {"a.iso": whole}, user, borders=(2352 * 20 + 7,), exact=False),
        Sample("2336", {"a.bin": bare}, user),
    ]
