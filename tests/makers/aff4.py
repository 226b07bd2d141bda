"""AFF4 containers written from the standard (1.0a): the archive byte by byte, every codec by hand.

Snappy and LZ4 blocks have literals and one copy of zeros each where the chunk ends in them.
"""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from tests.makers.sample import Sample

VOLUME = "aff4://a2e14833-6020-44df-ba5e-3b224e102eb6"
IMAGE = "aff4://9c80aac1-c9f7-4cd7-bf15-67d7338af000"
MAP = "aff4://7c808ddc-c9f7-4cd7-bf15-67d733dc43bc"
STREAM = "aff4://dac3f96d-8f2c-4116-adc3-e870fd009242"
SCHEMA = "http://aff4.org/Schema#"
SNAPPY, LZ4 = "http://code.google.com/p/snappy/", "https://code.google.com/p/lz4/"
ZLIB, DEFLATE = "https://www.ietf.org/rfc/rfc1950.txt", "https://tools.ietf.org/html/rfc1951"
HEAD = f"""@prefix : <{VOLUME}> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . # a remark
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix aff4: <{SCHEMA}> .
"""
CHUNK, PER = 4096, 4


def archive(
    members: Mapping[str, bytes], *, deflated: Sequence[str] = (), wide: bool = True,
    comment: bytes = VOLUME.encode(),
) -> bytes:  # fmt: skip
    """A zip of the members in order; `wide`: every header is of ZIP64, as the standard asks."""
    out, rows, full = bytearray(), [], 0xFFFFFFFF
    for name, plain in members.items():
        method = 8 if name in deflated else 0
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = packer.compress(plain) + packer.flush() if method else plain
        at, raw = len(out), name.encode()
        sizes = struct.pack("<QQ", len(plain), len(data))
        extra = struct.pack("<HH", 1, 16) + sizes if wide else b""
        short = (full, full) if wide else (len(data), len(plain))
        head = struct.pack("<HHHHHLLL", 45 if wide else 20, 0x800, method, 0, 0x5421,
                           zlib.crc32(plain), *short)  # fmt: skip
        out += b"PK\3\4" + head + struct.pack("<HH", len(raw), len(extra)) + raw + extra + data
        place = struct.pack("<Q", at) if wide else b""
        more = struct.pack("<HH", 1, 24) + sizes + place if wide else b""
        rows.append(
            b"PK\1\2" + struct.pack("<H", 45) + head
            + struct.pack("<HHHHHLL", len(raw), len(more), 0, 0, 0, 0, full if wide else at)
            + raw + more
        )  # fmt: skip
    begin, directory = len(out), b"".join(rows)
    out += directory
    count = len(rows)
    if wide:
        end = len(out)
        out += b"PK\6\6" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, count, count,
                                       len(directory), begin)  # fmt: skip
        out += b"PK\6\7" + struct.pack("<LQL", 0, end, 1)
        begin, count, size = full, 0xFFFF, full
    else:
        size = len(directory)
    out += b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, count, count, size, begin, len(comment))
    return bytes(out + comment)


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def split(plain: bytes) -> tuple[bytes, int]:
    """What comes before the zeros at the end, one of them included, and how many more there are."""
    kept = plain.rstrip(b"\0") + b"\0"
    return (plain, 0) if len(kept) >= len(plain) else (kept, len(plain) - len(kept))


def snappy(plain: bytes) -> bytes:
    """A block: a literal with two bytes of length, copies of at most 64 bytes from one back."""
    literal, zeros = split(plain)
    out = bytearray(varint(len(plain)))
    out += bytes([61 << 2]) + struct.pack("<H", len(literal) - 1) + literal
    while zeros:
        length = min(zeros, 64)
        out += bytes([(length - 1) << 2 | 2]) + b"\1\0"
        zeros -= length
    return bytes(out)


def lz4(plain: bytes) -> bytes:
    """A block: literals, a match of zeros, five literals at the end (as the format asks)."""
    literal, zeros = split(plain)

    def more(number: int) -> bytes:
        return b"\xff" * (number // 255) + bytes([number % 255])

    def token(literals: int, match: int) -> bytes:
        low, high = min(match, 15), min(literals, 15)
        return bytes([high << 4 | low]) + (more(literals - 15) if literals >= 15 else b"")

    if zeros < 20:
        return token(len(plain), 0) + plain
    match = zeros - 5 - 4
    out = token(len(literal), match) + literal + b"\1\0"
    out += more(match - 15) if match >= 15 else b""
    return out + token(5, 0) + bytes(5)


def deflate(plain: bytes) -> bytes:
    """A raw stream."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(plain) + packer.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    SNAPPY: snappy, LZ4: lz4, ZLIB: zlib.compress, DEFLATE: deflate
}  # fmt: skip


def path(urn: str) -> str:
    """Where a thing of another name than the volume's stands in the archive."""
    prefix, _, rest = urn.removeprefix("aff4://").partition("/")
    name = quote(f"aff4://{prefix}", safe="")
    return f"{name}/{rest}" if rest else name


def stream(
    plain: bytes, method: str = "", *, urn: str = STREAM, chunk: int = CHUNK, per: int = PER,
    pad: bool = True, sums: Sequence[str] = (), old: str = "",
) -> dict[str, bytes]:  # fmt: skip
    """The bevies of a stream, their indexes, digests of chunks; `pad` fills the last chunk up.

    `old` indexes are of before the standard: "from 0" or "from 1", the chunk whose place is first.
    """
    pieces = [plain[at : at + chunk] for at in range(0, len(plain), chunk)]
    members: dict[str, bytes] = {}
    for number in range(-(-len(pieces) // per)):
        bevy, index, places = bytearray(), bytearray(), [0]
        digests = {name: bytearray() for name in sums}
        for piece in pieces[number * per : (number + 1) * per]:
            full = piece.ljust(chunk, b"\0")
            coded = CODERS[method](full if pad else piece) if method else full
            data = full if len(coded) >= chunk - 16 else coded
            index += struct.pack("<QI", len(bevy), len(data))
            bevy += data
            places.append(len(bevy))
            for name in sums:
                digests[name] += hashlib.new(name, full).digest()
        base = path(f"{urn}/{number:08}")
        members[base] = bytes(bevy)
        if old:
            kept = places[:-1] if old == "from 0" else places[1:]
            members[f"{base}/index"] = struct.pack(f"<{len(kept)}I", *kept)
        else:
            members[f"{base}.index"] = bytes(index)
        for name, digest in digests.items():
            members[f"{base}.{name}"] = bytes(digest)
    return members


Row = tuple[int, int, int, int]


def mapped(rows: Sequence[Row], targets: Sequence[str], urn: str = MAP) -> dict[str, bytes]:
    """The segments of a map."""
    points = b"".join(struct.pack("<QQQI", *row) for row in rows)
    return {f"{path(urn)}/idx": "\n".join(targets).encode(), f"{path(urn)}/map": points}


def said_of_stream(
    size: int, method: str = "", *, urn: str = STREAM, per: int | None = PER, chunk: int = CHUNK
) -> str:
    """The statements of a stream."""
    more = f'; aff4:chunksInSegment "{per}"^^xsd:int ' if per else ""
    more += f"; aff4:compressionMethod <{method}> " if method else ""
    return (
        f'<{urn}> a aff4:ImageStream ; aff4:size "{size}"^^xsd:long ;\n'
        f'  aff4:chunkSize "{chunk}"^^xsd:int {more}.\n'
    )


def said_of_image(guest: bytes, stream: str = MAP, sums: Sequence[str] = ("MD5", "SHA1")) -> str:
    """The statements of an image, and of its map where it has one."""
    digests = ", ".join(f'"{hashlib.new(one, guest).hexdigest()}"^^aff4:{one}' for one in sums)
    text = (
        f"<{IMAGE}> a aff4:DiskImage , aff4:ContiguousImage, aff4:Image ;\n"
        f"  aff4:dataStream <{stream}> ; aff4:blockSize 512 ;"
        f' aff4:caseName """a "case"\nof two lines"""@en ; aff4:hash {digests} .\n'
    )
    if stream == MAP:
        text += f'<{MAP}> rdf:type aff4:Map ; aff4:size "{len(guest)}"^^xsd:long .\n'
    return text


def container(
    metadata: str, *members: Mapping[str, bytes], wide: bool = True, more: bytes = b""
) -> bytes:
    """A whole container."""
    files: dict[str, bytes] = {
        "container.description": VOLUME.encode(), "version.txt": b"major=1\nminor=0\ntool=maker\n"
    }  # fmt: skip
    for part in members:
        files |= part
    files["information.turtle"] = (HEAD + metadata).encode() + more
    return archive(files, deflated=("information.turtle",), wide=wide)


def text(length: int, seed: str) -> bytes:
    """Bytes that compress, noise, and zeros."""
    draw = random.Random(seed)
    pieces = [draw.randbytes(CHUNK), b"some words " * 500, bytes(2 * CHUNK), draw.randbytes(700)]
    return (b"".join(pieces) * (length // 10000 + 1))[:length]


def linear(method: str, *, wide: bool = True, pad: bool = True) -> tuple[bytes, bytes]:
    """A container with a map of one row, and its guest."""
    guest = text(9 * CHUNK + 1536, method)
    members = stream(guest, method, sums=("md5", "sha1"), pad=pad)
    segments = mapped([(0, len(guest), 0, 0)], [STREAM])
    points = next(data for name, data in segments.items() if name.endswith("/map"))
    said = said_of_image(guest) + said_of_stream(len(guest), method)
    all_md5 = b"".join(data for name, data in members.items() if name.endswith(".md5"))
    said += f'<{MAP}> aff4:mapPointHash "{hashlib.sha512(points).hexdigest()}"^^aff4:SHA512 .\n'
    said += f"<{STREAM}/blockhash.md5> a aff4:BlockHashes ;\n"
    said += f' aff4:hash "{hashlib.sha512(all_md5).hexdigest()}"^^aff4:SHA512 .\n'
    return container(said, members, segments, wide=wide), guest


def sparse() -> tuple[bytes, bytes]:
    """A map with rows out of order, a gap, symbols, and a stream used twice; and its guest."""
    stored = text(3 * CHUNK, "sparse")
    targets = [STREAM, SCHEMA + "Zero", SCHEMA + "SymbolicStreamFF", SCHEMA + "UnknownData"]
    rows = [
        (20000, 4096, 4096, 0), (0, 4096, 0, 0), (4096, 4096, 0, 1), (8192, 1000, 5, 2),
        (24096, 3000, 7, 3), (30000, 100, 200, 0),
    ]  # fmt: skip
    size = 32768
    guest = bytearray(size)
    guest[0:4096], guest[20000:24096] = stored[:4096], stored[4096:8192]
    guest[8192:9192], guest[30000:30100] = b"\xff" * 1000, stored[200:300]
    guest[24096:27096] = (b"UNKNOWN" * 500)[:3000]
    said = said_of_image(bytes(guest)) + said_of_stream(len(stored), LZ4)
    return container(said, stream(stored, LZ4), mapped(rows, targets)), bytes(guest)


def samples() -> list[Sample]:
    """A container of each sort."""
    made = []
    for label, method in (("snappy", SNAPPY), ("zlib", ZLIB), ("deflate", DEFLATE), ("plain", "")):
        content, guest = linear(method, wide=label != "zlib", pad=label != "deflate")
        made.append(Sample(label, {"a.aff4": content}, guest, borders=(100, len(content) - 30)))
    content, guest = sparse()
    made.append(
        Sample("sparse", {"a.aff4": content}, guest, header=30, borders=(len(content) // 2,))
    )
    alone = text(5 * CHUNK, "alone")
    said = said_of_image(alone, STREAM) + said_of_stream(len(alone), SNAPPY, per=None)
    made.append(Sample("no map", {"b.aff4": container(said, stream(alone, SNAPPY))}, alone))
    return made
