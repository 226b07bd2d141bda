"""UDIF images written byte by byte from 7-Zip's and libmodi's descriptions: koly, plist, mish.

Also sparse images, sparse bundles, and encrypted images of version 1 and 2, whose AES is of a maker
of its own and whose triple DES is OpenSSL's through `cryptography`.
"""

from __future__ import annotations

import bz2
import hashlib
import hmac
import lzma
import struct
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tests.makers import aes
from tests.makers.sample import Sample

SECTOR = 512
ZERO, RAW, IGNORE = 0, 1, 2
ADC, ZLIB, BZIP2, LZFSE, LZMA = (0x80000000 + n for n in range(4, 9))
COMMENT, END = 0x7FFFFFFE, 0xFFFFFFFF


def adc(plain: bytes) -> bytes:
    """Literals, and a copy wherever the last 4 to 67 bytes of what came before come again."""
    out, at, literals = bytearray(), 0, bytearray()

    def flush() -> None:
        for i in range(0, len(literals), 128):
            piece = literals[i : i + 128]
            out.append(0x80 | len(piece) - 1)
            out.extend(piece)
        literals.clear()

    while at < len(plain):
        found = next(
            (d for d in (1, 3, 16, 64, 512, 4096) if d <= at and _again(plain, at, d) >= 4), 0
        )
        if not found:
            literals.append(plain[at])
            at += 1
            continue
        flush()
        length = min(67, _again(plain, at, found))
        if length <= 18 and found <= 1024:
            out += bytes(((length - 3) << 2 | (found - 1) >> 8, (found - 1) & 0xFF))
        else:
            out += bytes((0x40 | length - 4,)) + (found - 1).to_bytes(2, "big")
        at += length
    flush()
    return bytes(out)


def _again(plain: bytes, at: int, distance: int) -> int:
    length = 0
    while length < 67 and at + length < len(plain):
        if plain[at + length] != plain[at + length - distance]:
            break
        length += 1
    return length


def lzfse(plain: bytes) -> bytes:
    """Blocks that are not compressed, of at most 1000 bytes, and an end."""
    pieces = [plain[i : i + 1000] for i in range(0, len(plain), 1000)]
    blocks = [b"bvx-" + len(piece).to_bytes(4, "little") + piece for piece in pieces]
    return b"".join(blocks) + b"bvx$"


CODERS: dict[int, Callable[[bytes], bytes]] = {
    RAW: bytes, ADC: adc, ZLIB: zlib.compress, BZIP2: bz2.compress, LZFSE: lzfse,
    LZMA: lambda plain: lzma.compress(plain, lzma.FORMAT_XZ),
}  # fmt: skip


class Chunk(NamedTuple):
    """`plain` by one of the types; `coded` where it is not what the coder makes of it."""

    type: int
    plain: bytes
    coded: bytes | None = None

    @property
    def stored(self) -> bytes:
        if self.type in (ZERO, IGNORE):
            return b""
        return CODERS[self.type](self.plain) if self.coded is None else self.coded


class Part(NamedTuple):
    """A table: the sector it begins at, its chunks, its name."""

    first: int
    chunks: Sequence[Chunk]
    name: str = "disk image (Apple_HFS : 1)"


def checksum(crc: int) -> bytes:
    return struct.pack(">III124x", 2, 32, crc)


def mish(part: Part, at: int, number: int, *, shuffled: bool = False) -> tuple[bytes, bytes, int]:
    """A table, the bytes of its chunks (which begin at `at` of the data fork), its checksum."""
    rows, data, crc, sector = [], bytearray(), 0, 0
    for chunk in part.chunks:
        count, stored = len(chunk.plain) // SECTOR, chunk.stored
        rows.append(struct.pack(">IIQQQQ", chunk.type, 0, sector, count, len(data), len(stored)))
        data += stored
        sector += count
        if chunk.type != IGNORE:
            crc = zlib.crc32(chunk.plain, crc)
    if shuffled:
        rows.reverse()
    rows.insert(0, struct.pack(">I4sQQQQ", COMMENT, b"+beg", 0, 0, 0, 0))
    rows.append(struct.pack(">IIQQQQ", END, 0, sector, 0, len(data), 0))
    head = struct.pack(">4sIQQQIi24x", b"mish", 1, part.first, sector, at, 0x208, number)
    return head + checksum(crc) + struct.pack(">I", len(rows)) + b"".join(rows), bytes(data), crc


def plist(tables: Sequence[tuple[str, bytes]]) -> bytes:
    rows = "".join(
        f"<dict><key>Attributes</key><string>0x0050</string><key>CFName</key><string>{name}</string>"
        f"<key>Data</key><data>\n\t{b64encode(data).decode()}\n</data>"
        f"<key>ID</key><string>{number}</string><key>Name</key><string>{name}</string></dict>\n"
        for number, (name, data) in enumerate(tables)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST '
        '1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n<plist version="1.0">\n<dict>'
        f"<key>resource-fork</key><dict><key>blkx</key><array>{rows}</array></dict></dict>\n</plist>\n"
    ).encode()


def fork(tables: Sequence[tuple[str, bytes]]) -> bytes:
    """A resource fork with one type, blkx (Inside Macintosh: More Macintosh Toolbox, 1-121)."""
    data, places, names, named = bytearray(), [], bytearray(), []
    for name, table in tables:
        places.append(len(data))
        named.append(len(names))
        data += len(table).to_bytes(4, "big") + table
        names += bytes((len(name),)) + name.encode("mac-roman")
    references = b"".join(
        struct.pack(">hHII", number, named[number], place, 0) for number, place in enumerate(places)
    )
    types = struct.pack(">H4sHH", 0, b"blkx", len(tables) - 1, 10)
    listed = struct.pack(">24xHH", 28, 28 + len(types) + len(references))
    index = listed + types + references + names
    head = struct.pack(">IIII", 256, 256 + len(data), len(data), len(index))
    return head.ljust(256, b"\0") + data + index


def koly(**fields: int | bytes) -> bytes:
    """A trailer; fields by their names here, zero unless said."""
    get = fields.get
    numbers = (get("running", 0), get("data_at", 0), get("data_size", 0), get("fork_at", 0),
               get("fork_size", 0))  # fmt: skip
    out = struct.pack(">4sIII5Q", b"koly", 4, 512, 1, *numbers)
    out += struct.pack(">II16s", get("segment", 1), get("segments", 1), get("set", b""))
    out += checksum(int(get("data_crc", 0))) + struct.pack(
        ">QQ64x", get("plist_at", 0), get("plist_size", 0)
    )
    out += bytes(16 + 40) + checksum(int(get("master", 0)))
    return (out + struct.pack(">IQ", 1, get("sectors", 0))).ljust(512, b"\0")


class Built(NamedTuple):
    """What an image is put together of: the data fork, the tables, the master checksum."""

    data: bytes
    tables: list[tuple[str, bytes]]
    master: int


def built(parts: Sequence[Part], *, shuffled: bool = False) -> Built:
    data, tables, sums = bytearray(), [], b""
    for number, part in enumerate(parts):
        table, stored, crc = mish(part, len(data), number, shuffled=shuffled)
        tables.append((part.name, table))
        data += stored
        sums += crc.to_bytes(4, "big")
    return Built(bytes(data), tables, zlib.crc32(sums))


def udif(
    parts: Sequence[Part],
    *,
    sectors: int | None = None,
    head: bytes = b"",
    in_fork: bool = False,
    first: bool = False,
    shuffled: bool = False,
) -> bytes:
    """A whole image: `head` before its data fork; the tables in a resource fork; koly first."""
    data, tables, master = built(parts, shuffled=shuffled)
    ends = [part.first + sum(len(c.plain) for c in part.chunks) // SECTOR for part in parts]
    size = max(ends, default=0) if sectors is None else sectors
    at = len(head) + (512 if first else 0)
    listed = fork(tables) if in_fork else plist(tables)
    where = "fork" if in_fork else "plist"
    trailer = koly(
        data_at=at, data_size=len(data), data_crc=zlib.crc32(data), master=master, sectors=size,
        **{f"{where}_at": at + len(data), f"{where}_size": len(listed)},
    )  # fmt: skip
    body = head + data + listed
    return trailer + body if first else body + trailer


def segmented(parts: Sequence[Part], name: str, cut: int) -> dict[str, bytes]:
    """An image in two segments; the data fork is cut at byte `cut` of it."""
    data, tables, master = built(parts)
    size = sum(len(chunk.plain) for part in parts for chunk in part.chunks) // SECTOR
    listed, pieces = plist(tables), (data[:cut], data[cut:])
    out = {}
    for number, piece in enumerate(pieces, 1):
        trailer = koly(
            running=cut * (number - 1), data_size=len(piece), data_crc=zlib.crc32(piece),
            segment=number, segments=2, set=b"one set of parts", master=master, sectors=size,
            plist_at=len(piece) if number == 1 else 0, plist_size=len(listed) * (number == 1),
        )  # fmt: skip
        file = f"{name}.dmg" if number == 1 else f"{name}.{number:03d}.dmgpart"
        out[file] = piece + (listed if number == 1 else b"") + trailer
    return out


def sparse(guest: Mapping[int, bytes], size: int, *, band: int = 4096, order: Sequence[int] = (),
           rows: int = 1008) -> bytes:  # fmt: skip
    """A sparse image: bands by number, stored in `order`; each node is filled before the next."""
    stored = list(order or sorted(guest))
    first, rest = stored[:rows], stored[rows:]
    nodes, later = [first], [rest[i : i + 1010] for i in range(0, len(rest), 1010)]
    nodes += later
    out = bytearray()
    for number, bands in enumerate(nodes):
        following = len(out) + 4096 + len(bands) * band if number + 1 < len(nodes) else 0
        sectors = size // SECTOR
        if number == 0:
            head = struct.pack(">4sIIIIQQ", b"sprs", 3, band // SECTOR, 1, sectors & 0xFFFFFFFF,
                               following, sectors).ljust(64, b"\0")  # fmt: skip
        else:
            head = struct.pack(">4sIIQ", b"sprs", number, 0, following).ljust(56, b"\0")
        table = b"".join((one + 1).to_bytes(4, "big") for one in bands)
        out += (head + table).ljust(4096, b"\0")
        for one in bands:
            out += guest[one].ljust(band, b"\0")
    return bytes(out)


def bundle(size: int, bands: Mapping[int, bytes], *, band: int) -> dict[str, bytes]:
    """The files of a sparse bundle; its Info.plist is the first."""
    info = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0"><dict>'
        "<key>CFBundleInfoDictionaryVersion</key><string>6.0</string>"
        f"<key>band-size</key><integer>{band}</integer>"
        "<key>bundle-backingstore-version</key><integer>1</integer>"
        "<key>diskimage-bundle-type</key><string>com.apple.diskimage.sparsebundle</string>"
        f"<key>size</key><integer>{size}</integer></dict></plist>\n"
    ).encode()
    files = {"Info.plist": info, "Info.bckup": info, "token": b""}
    return files | {f"bands/{number:x}": content for number, content in bands.items()}


AES_KEY, HMAC_KEY, SALT = bytes(range(16)), bytes(range(100, 120)), b"salt" * 5


def ciphered(plain: bytes, block: int, first: int = 0) -> bytes:
    """Blocks under AES-128 in CBC mode, the IV of each the HMAC-SHA1 of its number."""
    out = bytearray()
    for at in range(0, len(plain), block):
        number = (first + at // block).to_bytes(4, "big")
        before = hmac.new(HMAC_KEY, number, hashlib.sha1).digest()[:16]
        piece = plain[at : at + block].ljust(block, b"\0")
        for i in range(0, block, 16):
            mixed = bytes(a ^ b for a, b in zip(piece[i : i + 16], before, strict=True))
            before = aes.encrypt(AES_KEY, mixed)
            out += before
    return bytes(out)


def _wrapping(password: str, rounds: int, iv: bytes, plain: bytes) -> bytes:
    """Triple DES in CBC mode under the key of a password, filled as PKCS #7 says."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    key = hashlib.pbkdf2_hmac("sha1", password.encode(), SALT, rounds, 24)
    fill = 8 - len(plain) % 8
    coder = Cipher(TripleDES(key), modes.CBC(iv)).encryptor()
    return coder.update(plain + bytes([fill]) * fill)


def encrypted_2(plain: bytes, password: str, *, block: int = 512, rounds: int = 1000) -> bytes:
    """Version 2: the header first."""
    iv = b"8 bytes."
    blob = _wrapping(password, rounds, iv, AES_KEY + HMAC_KEY + b"CKIE\0")
    key = struct.pack(">IIII32sI32sIIIII", 103, 0, rounds, len(SALT), SALT, 8, iv, 192, 17, 7, 6,
                      len(blob)) + blob  # fmt: skip
    head = struct.pack(">8s7I16sIQQI", b"encrcdsa", 2, 16, 5, 0x80000001, 128, 0x5B, 160, b"uuid",
                       block, len(plain), 4096, 2)  # fmt: skip
    head += struct.pack(">IQQ", 2, 4000, 8) + struct.pack(">IQQ", 1, len(head) + 40, len(key))
    return (head + key).ljust(4096, b"\0") + ciphered(plain, block)


def encrypted_1(plain: bytes, password: str, *, block: int = 4096, rounds: int = 1000) -> bytes:
    """Version 1: the header behind the data, a trailer behind that."""
    data = ciphered(plain, block)
    head = struct.pack(">16sI20xIIII32s8x", b"uuid", block, 103, 0, rounds, len(SALT), SALT)
    for key in (AES_KEY, HMAC_KEY):
        iv = b"IV of 8."
        inner = iv + _wrapping(password, rounds, iv, b"\0\0\0\0" + key)
        blob = _wrapping(password, rounds, bytes.fromhex("4adda22c79e82105"), inner[::-1])
        head += struct.pack(">II32sI256s", 0x80000001, 8 * len(key), iv, len(blob), blob)
    head = head.ljust(0x4E8, b"\0")
    return data + head + struct.pack(">QI8s", len(data), 1, b"cdsaencr")


def text(size: int, seed: int = 0) -> bytes:
    """Bytes that every codec makes smaller."""
    line = f"line {seed} of a disk image, again and again. ".encode()
    return (line * (size // len(line) + 1))[:size]


def samples() -> list[Sample]:
    """Every type of chunk; tables out of order with a gap; in a fork; segments; sparse images."""
    size = 8 * SECTOR
    every = [Chunk(kind, text(size, n)) for n, kind in enumerate((ZLIB, BZIP2, ADC, RAW, LZMA))]
    every += [Chunk(ZERO, bytes(size)), Chunk(IGNORE, bytes(size))]
    last = Chunk(ZLIB, text(3 * SECTOR, 9))
    guest = b"".join(chunk.plain for chunk in every)
    one = udif([Part(0, every)])
    gaps = udif([Part(70, [last], "second"), Part(0, every, "first")], sectors=80, shuffled=True)
    gapped = (guest + bytes(14 * SECTOR) + last.plain).ljust(80 * SECTOR, b"\0")
    borders = (0, 100, len(one) - 512, len(one) - 1)
    bands = {0: text(4096), 3: text(4096, 1), 5: text(4096, 2)}
    wide = b"".join(bands.get(n, bytes(4096)) for n in range(6))[:23552]
    late = {**bands, 3: text(1000, 1)}
    short = b"".join(late.get(n, b"").ljust(4096, b"\0") for n in range(6))[:23552]
    return [
        Sample("udif", {"a.dmg": one}, guest, 0, borders),
        Sample("gaps", {"a.dmg": gaps}, gapped),
        Sample("lzfse", {"a.dmg": udif([Part(0, [Chunk(LZFSE, text(size))])])}, text(size)),
        Sample("fork", {"a.dmg": udif([Part(0, every)], in_fork=True)}, guest),
        Sample("first", {"a.dmg": udif([Part(0, every)], first=True)}, guest),
        Sample("head", {"a.dmg": udif([Part(0, every)], head=b"before the fork ")}, guest),
        Sample("segments", segmented([Part(0, every)], "a", 3000), guest),
        Sample("sparse", {"a.sparseimage": sparse(bands, 23552, order=(5, 0, 3))}, wide),
        Sample("bundle", bundle(23552, late, band=4096), short),
    ]
