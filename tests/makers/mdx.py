"""MDX, and MDS of version 2 with MDF files, byte by byte: AES and LRW a block at a time.

Offsets stand as numbers, as the facts have them. Keys and salts are drawn from a seed. The password
that a salt makes for itself is used where none is given.
"""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.makers import frames
from tests.makers.aes import encrypt
from tests.makers.iso import volume
from tests.makers.sample import Sample

Entry = tuple[int, bytes]  # of a group: what its table says, and what is stored


@dataclass(frozen=True)
class Track:
    """A track: `data` are its stored frames of `pitch` bytes, in as many files as there are."""

    point: int
    kind: int
    pitch: int
    data: tuple[bytes, ...]
    lba: int = 0
    lengths: tuple[int, ...] = (150, 0)  # of the pregap and of each index; 0: what is stored
    first: int | None = None  # LBA of the first stored frame; None: that of index 1
    sub: int = 0
    control: int = 4


@dataclass(frozen=True)
class Shape:
    """How a disc is laid down. `wrong` replaces bytes of the descriptor by their offset."""

    inside: bool = True
    group: int = 0  # frames compressed at once; 0: plain
    sealed: bool = False
    password: str | None = None
    names: tuple[str, ...] = ("*.mdf",)
    medium: int = 0
    minor: int = 1
    packs: bytes = b""
    rows: tuple[bytes, ...] = ()  # of the lead-in, before the tracks of the first session
    wrong: dict[int, bytes] = field(default_factory=dict)


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def own_password(salt: bytes) -> bytes:
    """The 64 bytes that stand for a password where nobody chose one."""
    value = int.from_bytes(frames.edc(salt), "little") ^ 0x567372FF
    made = b""
    for (word,) in struct.iter_unpack("<I", salt):
        value = (value * 0x35E85A6D + 0x1548DCE9) % (1 << 32)
        made += struct.pack("<I", word ^ value ^ 0xEC564717)
    return bytes(byte or 0x5F for byte in made)


def derived(salt: bytes, password: str | None) -> bytes:
    given = own_password(salt) if password is None else password.encode()[:64]
    return hashlib.pbkdf2_hmac("ripemd160", given, salt, 2000, 152)


def whitened(key: bytes, data: bytes) -> bytes:
    """CBC, each block whitened after it: IV at 0, whitening at 8, AES key at 32."""
    last, made = key[:16], b""
    for at in range(0, len(data), 16):
        last = encrypt(key[32:64], xor(data[at : at + 16], last))
        made += xor(last, key[8:16] * 2)
    return made


def times(a: int, b: int) -> int:
    """The product in GF(2^128)."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a >> 128:
            a ^= 1 << 128 | 0x87
        b >>= 1
    return product


def lrw(key: bytes, number: int, data: bytes) -> bytes:
    """Whole blocks from block `number` on; the rest as it is. Tweak key at 0, AES key at 32."""
    tweak, made = int.from_bytes(key[:16], "big"), b""
    for at in range(0, len(data) - len(data) % 16, 16):
        mask = times(tweak, number + at // 16).to_bytes(16, "big")
        made += xor(encrypt(key[32:64], xor(data[at : at + 16], mask)), mask)
    return made + data[len(made) :]


def secret(keys: bytes, coded: int = 0, plain: int = 0) -> bytes:
    """The 448 bytes of an encryption header that are enciphered."""
    head = struct.pack("<IIHHI", zlib.crc32(keys), 0x54525545, 1, 256, 0)
    return head + keys + struct.pack("<II", coded, plain) + bytes(168)


def grouped(track: Track, data: bytes, group: int, seal: Callable[[int, bytes], bytes]) -> bytes:
    """Groups and their table: zeros and repeats without bytes, deflate where it is smaller."""
    size, table, out = group * track.pitch, b"", b""
    for at in range(0, len(data), size):
        plain = data[at : at + size]
        coder = zlib.compressobj(9, wbits=-15)
        coded = coder.compress(plain) + coder.flush()
        if plain == plain[:1] * size:
            entry, stored = 0x8000 | plain[0], b""
        elif len(coded) < min(len(plain), 0x8000):
            entry, stored = len(coded), coded
        else:
            entry, stored = 0, plain
        table += struct.pack("<H", entry)
        out += seal(at // track.pitch, stored)
    return out + zlib.compress(table)


def sealer(track: Track, shape: Shape, keys: bytes) -> Callable[[int, bytes], bytes]:
    """What stores bytes that begin with a frame of the track."""
    blocks = track.pitch // 16

    def seal(frame: int, data: bytes) -> bytes:
        return lrw(keys, 1 + frame * blocks, data) if shape.sealed else data

    return seal


def body(track: Track, data: bytes, shape: Shape, keys: bytes) -> bytes:
    """The stored bytes of a part of a track."""
    seal = sealer(track, shape, keys)
    if shape.group:
        return grouped(track, data, shape.group, seal)
    count = len(data) // track.pitch
    return b"".join(seal(i, data[i * track.pitch : (i + 1) * track.pitch]) for i in range(count))


def table_at(track: Track, data: bytes, shape: Shape) -> int:
    """Where the table of groups begins, counted from the part."""
    if not shape.group:
        return 0
    plain = grouped(track, data, shape.group, lambda _, stored: stored)
    for at in range(len(plain)):
        if plain[at : at + 1] == b"\x78":
            try:
                found = zlib.decompress(plain[at:])
            except zlib.error:
                continue
            if len(found) == 2 * -(-len(data) // (shape.group * track.pitch)):
                return at
    raise AssertionError("a table is behind the groups")


def descriptor(
    sessions: list[list[Track]], shape: Shape, places: dict[int, int], keys: bytes
) -> bytes:
    """The descriptor in clear."""
    tracks = [track for session in sessions for track in session]
    rows_at = 0x60 + 32 * len(sessions)
    extra_at = rows_at + 80 * (len(tracks) + len(shape.rows))
    lengths, extras = {}, b""
    for track in tracks:
        lengths[track.point] = extra_at + len(extras)
        total = sum(map(len, track.data)) // track.pitch
        words = [track.lengths[0], *(n or total for n in track.lengths[1:])]
        extras += struct.pack(f"<{len(words)}I", *words)
    footers_at = extra_at + len(extras)
    names_at = footers_at + 32 * sum(len(track.data) for track in tracks)
    names, name_places = b"", []
    for name in shape.names:
        name_places.append(names_at + len(names))
        names += (name + "\0").encode("utf-16-le")
    packs_at = names_at + len(names)
    keys_at = packs_at + len(shape.packs)
    head = b"MEDIA DESCRIPTOR" + bytes((2, shape.minor))
    head += struct.pack("<HH8xH8xI20xI", shape.medium, len(sessions), len(shape.packs),
                        packs_at if shape.packs else 0, 0)  # fmt: skip
    head += struct.pack("<12xIIII", 0x60, 0, keys_at if shape.sealed else 0, 0)
    assert len(head) == 96
    blocks, rows, footers = b"", b"", b""
    for number, session in enumerate(sessions, 1):
        own = list(shape.rows) if number == 1 else []
        place = rows_at + len(rows)
        for track in session:
            at = footers_at + len(footers)
            own.append(row(track, places[track.point], lengths[track.point], at))
            for i, data in enumerate(track.data):
                name_at = 0 if shape.inside else name_places[i]
                flag = 1 if shape.group else 0
                footers += struct.pack("<IB7xIQQ", name_at, flag, shape.group,
                                       len(data) // track.pitch,
                                       table_at(track, data, shape))  # fmt: skip
        last = session[-1]
        end = last.lba + sum(map(len, last.data)) // last.pitch
        blocks += struct.pack("<qHBBHH4xIq", session[0].lba - 150, number, len(own),
                              len(own) - len(session), session[0].point, last.point, place,
                              end)  # fmt: skip
        rows += b"".join(own)
    sealed = b""
    if shape.sealed:
        salt = random.Random("data").randbytes(64)
        sealed = salt + lrw(derived(salt, shape.password), 1, secret(keys))
    made = bytearray(head + blocks + rows + extras + footers + names + shape.packs + sealed)
    for at, wrong in shape.wrong.items():
        made[at : at + len(wrong)] = wrong
    return bytes(made)


def row(track: Track, at: int, extra_at: int, footers_at: int) -> bytes:
    """The 80 bytes of a track's row."""
    count = track.lba + 150
    time = (count // 4500, count // 75 % 60, count % 75)
    total = sum(map(len, track.data)) // track.pitch
    first = track.lba if track.first is None else track.first
    made = struct.pack("<BBBBB3xx3B", track.kind, track.sub << 3, 0x10 | track.control, 0,
                       track.point, *time)  # fmt: skip
    made += struct.pack("<IHB17x", extra_at, track.pitch, len(track.lengths))
    made += struct.pack("<IQIIQQ8x", track.lba, at, len(track.data), footers_at, first, total)
    assert len(made) == 80
    return made


def lead_in(point: int, pointed: tuple[int, int, int], control: int = 4) -> bytes:
    """A row of no track."""
    return struct.pack("<BBBBB3xx3B68x", 0, 0, 0x10 | control, 0, point, *pointed)


def files(sessions: list[list[Track]], shape: Shape, stem: str = "a") -> dict[str, bytes]:
    """The files of a disc by name, the descriptor's first."""
    numbers = random.Random("keys")
    keys = numbers.randbytes(64) + bytes(192)
    parts: dict[str, bytes] = dict.fromkeys(shape.names, b"")
    parts[shape.names[0]] = bytes(64) if shape.inside else b""
    places: dict[int, int] = {}
    for track in (track for session in sessions for track in session):
        places[track.point] = len(parts[shape.names[0]])
        for name, data in zip(shape.names, track.data, strict=False):
            parts[name] += body(track, data, shape, keys)
    plain = descriptor(sessions, shape, places, keys)
    coded = zlib.compress(plain[18:])
    main = numbers.randbytes(64) + bytes(192)
    filled = coded.ljust(-(-len(coded) // 16) * 16, b"\0")
    under = b"".join(whitened(main, filled[at : at + 512]) for at in range(0, len(filled), 512))
    salt = numbers.randbytes(64)
    header = salt + whitened(derived(salt, None), secret(main, len(coded), len(plain) - 18))
    head = plain[:18] + b"\xa9 2000-2015 Disc Soft Ltd."
    if shape.inside:
        data = parts[shape.names[0]][64:]
        place = struct.pack("<IQQ", 0xFFFFFFFF, 64 + len(data), len(under) + 64)
        return {f"{stem}.mdx": head + place + data + under + header}
    named = {name.replace("*", stem): content for name, content in parts.items()}
    return {f"{stem}.mds": head + struct.pack("<I", 48 + len(under)) + under + header, **named}


def files_of_table(table: bytes, count: int) -> dict[str, bytes]:
    """A disc of `count` sectors whose table of groups is `table`, and no group stored."""
    coded = zlib.compress(table, 9)
    short = Track(1, 0x02, 2048, (bytes(2048 * 16),), lengths=(150, count))
    footer = 0x60 + 32 + 80 + 8
    told = {footer + 16: struct.pack("<QQ", count, 0)}
    made = files([[short]], Shape(inside=False, group=16, wrong=told))
    return {"a.mds": made["a.mds"], "a.mdf": coded}


def cooked(user: bytes) -> Track:
    """A track of 2048-byte sectors."""
    return Track(1, 0x02, 2048, (user,))


def mixed() -> tuple[list[list[Track]], bytes]:
    """Mode 1 as whole frames, audio with its pregap stored; and the user data."""
    user = volume()
    count = len(user) // 2048
    data = b"".join(frames.mode1(user[i * 2048 : (i + 1) * 2048], i) for i in range(count))
    sound = frames.audio(12)
    return [
        [
            Track(1, 0xAA, 2352, (data,)),
            Track(2, 0xA9, 2352, (sound,), lba=count + 4, lengths=(4, 8), first=count, control=0),
        ]
    ], user


def samples() -> list[Sample]:
    """Plain, in an MDF, in groups (also of one byte, and incompressible ones), enciphered."""
    user = volume()
    varied = user + bytes(8192) + b"\xee" * 8192 + random.Random(7).randbytes(10240)
    one = files([[cooked(user)]], Shape())
    disc, inside = mixed()
    apart = files(disc, Shape(inside=False))
    groups = files([[cooked(varied)]], Shape(group=4))
    sealed = files([[cooked(user)]], Shape(sealed=True))
    both = files([[cooked(varied)]], Shape(group=4, sealed=True))
    size = len(one["a.mdx"])
    return [
        Sample("plain", one, user, 64, (64, size - 512, size - 64, size)),
        Sample("mdf", apart, inside, 48, (2352 * 3 + 1, len(apart["a.mdf"])), "a.mdf"),
        Sample("groups", groups, varied, 0, (len(groups["a.mdx"]) - 600, 400)),
        Sample("sealed", sealed, user),
        Sample("sealed-groups", both, varied),
    ]


def split() -> tuple[dict[str, bytes], bytes]:
    """Whole frames in two files, and the user data."""
    disc, user = mixed()
    track = disc[0][0]
    cut = 5 * 2352
    halves = replace(track, data=(track.data[0][:cut], track.data[0][cut:]))
    return files([[halves]], Shape(inside=False, names=("*.mdf", "*.md1"))), user
