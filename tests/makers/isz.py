"""ISZ images written byte by byte from the layout of specification 1.00, with no code of ours.

Little-endian. A header of 48 or 64 bytes, a table of chunks and one of segments (both masked), then
the chunks one behind the other; they go on in further files where a segment is full.
"""

from __future__ import annotations

import bz2
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.makers.aes import encrypt
from tests.makers.iso import volume
from tests.makers.sample import Sample

ZERO, STORED, ZLIB, BZIP2 = range(4)
MASK = bytes((0xB6, 0x8C, 0xA5, 0xDE))
SERIAL = 0x1F2E3D4C
KEYS = {2: 16, 3: 24, 4: 32}  # bytes of an AES key by the header's word for it
NAMES: dict[str, Callable[[int], str]] = {
    "i": lambda number: f"a.i{number:02}" if number else "a.isz",
    "part2": lambda number: f"a.part{number + 1:02}.isz",
    "part3": lambda number: f"a.part{number + 1:03}.isz",
}


@dataclass(frozen=True)
class Shape:
    """How an image is to be written. `kinds` chooses for each chunk; unless it does, zeros are
    zero chunks and the rest is what is smallest. `segment`: bytes of a file, 0 for one file."""

    chunk: int = 131072
    kinds: Sequence[int | None] = ()
    pointer: int = 3
    header: int = 64
    segment: int = 0
    naming: str = "i"
    encryption: int = 0
    password: bytes = b""
    table: bool = True
    sector: int = 2048


def isz(image: bytes, shape: Shape | None = None) -> dict[str, bytes]:
    """The files of an image, the first one first."""
    shape = shape or Shape()
    chunks = list(_chunks(image, shape))
    data = [_encrypted(stored, shape) for _, _, stored in chunks]
    tables = 0
    while True:  # the tables come before the data whose division they tell
        at = shape.header + len(_segments([], shape)) + 24 * tables
        at += shape.pointer * len(chunks) * shape.table
        at += -at % 4
        cuts = _cut(data, at, shape)
        if len(cuts) == tables or not shape.segment:
            break
        tables = len(cuts)
    segments = _segments(cuts, shape)
    pointers = b"".join(_pointer(kind, length, shape.pointer) for kind, length, _ in chunks)
    masked = _masked(segments) + _masked(pointers if shape.table else b"")
    stream = b"".join(data)
    files, done = {}, 0
    for number, cut in enumerate(cuts):
        start = cut.at if number == 0 else shape.header + cuts[number - 1].left
        head = _header(image, stream, len(chunks), number, start, len(segments), shape)
        room = cut.size - (at if number == 0 else shape.header)
        body = masked.ljust(at - shape.header, b"\0") if number == 0 else b""
        files[NAMES[shape.naming](number)] = head + body + stream[done : done + room]
        done += room
    assert done == len(stream)
    return files


def _chunks(image: bytes, shape: Shape) -> Iterator[tuple[int, int, bytes]]:
    """Of each chunk its kind, the length that its pointer tells, and its bytes in the file."""
    kinds = iter(shape.kinds)
    for at in range(0, len(image), shape.chunk):
        plain = image[at : at + shape.chunk]
        ways = {STORED: plain, ZLIB: zlib.compress(plain, 9), BZIP2: _damaged(plain)}
        kind = next(kinds, None) if shape.table else STORED
        if kind is None:
            kind = min(ways, key=lambda way: len(ways[way])) if any(plain) else ZERO
        assert kind != ZERO or not any(plain)
        yield kind, len(ways[kind]) if kind else len(plain), ways[kind] if kind else b""


def _damaged(plain: bytes) -> bytes:
    """A bzip2 stream without the three letters that it begins with."""
    return bytes(3) + bz2.compress(plain)[3:]


def _encrypted(stored: bytes, shape: Shape) -> bytes:
    """Whole blocks by AES, each by itself; what is left behind them stays clear."""
    if not shape.encryption:
        return stored
    key = shape.password[: KEYS[shape.encryption]].ljust(KEYS[shape.encryption], b"\0")
    whole = len(stored) & ~15
    return encrypt(key, stored[:whole]) + stored[whole:]


def _pointer(kind: int, length: int, width: int) -> bytes:
    """The two highest bits are the kind, the rest the length."""
    assert length < 1 << (8 * width - 2)
    return (kind << (8 * width - 2) | length).to_bytes(width, "little")


def _masked(table: bytes) -> bytes:
    """A table as stored: under a mask of four bytes from its own beginning on."""
    return bytes(byte ^ MASK[i % 4] for i, byte in enumerate(table))


@dataclass(frozen=True)
class Cut:
    """A file of the set: all its bytes, the chunks that begin in it, where its first chunk begins
    in it, and how many bytes of its last one the next file has."""

    size: int
    chunks: int
    first: int
    at: int
    left: int


def _cut(data: Sequence[bytes], at: int, shape: Shape) -> list[Cut]:
    """`data`, which begins at `at` of the first file, divided among files of at most a segment."""
    total = sum(map(len, data))
    if not shape.segment:
        return [Cut(at + total, len(data), 0, at, 0)]
    cuts: list[Cut] = []
    index = place = 0  # the next chunk that begins, and where in the stream it does
    start, begin = 0, at  # of the file under way: in the stream, and of its bytes in the file
    while not cuts or start < total:
        stop = min(total, start + shape.segment - begin)
        first, where = index, place
        while index < len(data) and (place < stop or stop == total):
            place += len(data[index])
            index += 1
        left = place - stop
        assert left <= shape.segment - shape.header, "a chunk goes on in the next file alone"
        cuts.append(Cut(begin + stop - start, index - first, first, begin + where - start, left))
        start, begin = stop, shape.header
    return cuts


def _segments(cuts: Sequence[Cut], shape: Shape) -> bytes:
    """The table of segments, which a row of zeros ends; none where there is one file."""
    if not shape.segment:
        return b""
    rows = [struct.pack("<QIIII", c.size, c.chunks, c.first, c.at, c.left) for c in cuts]
    return b"".join(rows) + bytes(24)


def _header(
    image: bytes, stream: bytes, count: int, number: int, at: int, segments: int, shape: Shape
) -> bytes:
    assert len(image) % shape.sector == 0
    table_at = shape.header + segments if shape.table else 0
    head = b"IsZ!" + bytes((shape.header, 1))
    head += struct.pack("<IHI", SERIAL, shape.sector, len(image) // shape.sector)
    head += bytes((shape.encryption,)) + struct.pack("<Q", shape.segment)
    head += struct.pack("<IIBB", count, shape.chunk, shape.pointer, number)
    head += struct.pack("<III", table_at, shape.header if segments else 0, at) + b"\0"
    if shape.header == 64:
        plain, coded = ~zlib.crc32(image) & 0xFFFFFFFF, ~zlib.crc32(stream) & 0xFFFFFFFF
        head += struct.pack("<IIII", plain, len(image) & 0xFFFFFFFF, 0, coded)
    assert len(head) == shape.header
    return head


def content() -> bytes:
    """A volume; then zeros, text and noise for a chunk of every kind; the last one is short."""
    noise = random.Random(12).randbytes(8192)
    text = b"".join(b"line %d\n" % i for i in range(4000))[:30720]
    return volume(32) + bytes(16384) + text + noise + bytes(8192) + text[:2048]


SMALL = Shape(chunk=8192)
EVERY = (ZERO, ZERO, ZERO, ZERO, ZLIB, BZIP2, STORED, ZLIB)


def encrypted(bits: int, password: bytes) -> dict[str, bytes]:
    """A sample under a password, with a key of `bits`."""
    word = {8 * size: word for word, size in KEYS.items()}[bits]
    shape = replace(SMALL, encryption=word, password=password, kinds=EVERY)
    return isz(content(), shape)


def samples() -> list[Sample]:
    """Each kind of chunk; both headers; pointers of 2 to 4 bytes; segments under every name."""
    guest = content()
    shapes = {
        "every kind": replace(SMALL, kinds=EVERY),
        "short header": replace(SMALL, header=48),
        "pointers of 2": replace(SMALL, pointer=2),
        "pointers of 4": replace(SMALL, chunk=16384, pointer=4),
        "one chunk": Shape(),
        "no table": replace(SMALL, table=False),
        "segments": replace(SMALL, segment=9000, kinds=EVERY),
        "segments part01": replace(SMALL, segment=9000, naming="part2"),
        "segments part001": replace(SMALL, segment=9000, naming="part3", header=48),
    }
    made = {label: isz(guest, shape) for label, shape in shapes.items()}
    whole = made["every kind"]["a.isz"]
    borders = (0, 16, 48, 64, 64 + 18, len(whole) - 1)
    return [
        Sample(label, files, guest, *((64, borders) if label == "every kind" else ()))
        for label, files in made.items()
    ]
