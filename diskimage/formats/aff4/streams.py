"""The streams of a container: chunks in bevies, maps of one stream onto others, symbols.

Facts: AFF4 Standard 1.0a, sections 3 and 4. A bevy is a member of `chunksInSegment` chunks; its
index has a row a chunk. Before the standard an index had 32-bit places alone.
"""

from __future__ import annotations

import re
import struct
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from operator import add, gt
from threading import Lock
from typing import NamedTuple

from diskimage import codecs
from diskimage.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from diskimage.formats.aff4 import zip as archive
from diskimage.formats.aff4.volume import LEGACY, STANDARD, Volume
from diskimage.layers.blank import Blank
from diskimage.layers.chunks import PAGE, PLAIN, ChunkDevice, Columns
from diskimage.layers.gather import gathered
from diskimage.layers.records import Placed
from diskimage.layers.table import words
from diskimage.limits import KIB, MIB, Limits
from diskimage.model import HOLE, Codec, Device, Extent, Kind, Runs
from diskimage.runs import shift
from diskimage.sources.repeated import Repeated

STREAMS = (STANDARD + "ImageStream", LEGACY + "stream", STANDARD + "image")
MAPS = (STANDARD + "Map", LEGACY + "map", STANDARD + "map")
ENCRYPTED = (STANDARD + "EncryptedStream", STANDARD + "RandomAccessImageStream")
ENDLESS = (1 << 63) - 1  # bytes of a symbol
TILE = 1 * MIB  # a repeated string is cut after so many bytes, and begins again
UNKNOWN, UNREADABLE = "UnknownData", "UnreadableData"
STRINGS = {UNKNOWN: b"UNKNOWN", UNREADABLE: b"UNREADABLEDATA"}
WHOLE, LAST = 0, 1  # codes of coded chunks
KEPT = 8  # indexes of bevies that are held: of 2048 chunks each, 300 KiB
_ROW = struct.Struct("<QQQI")  # of a map: mapped place, length, place in the target, its number
_SYMBOL = re.compile(
    re.escape(STANDARD) + "SymbolicStream([0-9A-Fa-f]{2})"
    "|" + re.escape(LEGACY) + "(?:SymbolicStream)?([0-9A-Fa-f]{2})"
    "|http://afflib\\.org/2012/SymbolicStream#([0-9A-Fa-f]{2})"
)


class Shape(NamedTuple):
    """A stream of chunks: bytes, bytes of a chunk, chunks of a bevy, how they are compressed.

    `plain`: a chunk of full size is stored as it is. `old`: its indexes are of before the standard.
    """

    urn: str
    size: int
    chunk: int
    per_bevy: int
    codec: Codec | None
    plain: bool
    old: bool

    @property
    def chunks(self) -> int:
        """All chunks."""
        return -(-self.size // self.chunk)

    @property
    def bevies(self) -> int:
        """All bevies."""
        return -(-self.chunks // self.per_bevy)

    def bevy(self, number: int) -> str:
        """The name of a bevy."""
        return f"{self.urn}/{number:08}"

    def index_of(self, number: int) -> str:
        """The name of its index."""
        return f"{self.bevy(number)}/index" if self.old else f"{self.bevy(number)}.index"


class Padded:
    """A codec of the last chunk, which gives the stream's rest, or a whole chunk that begins so."""

    def __init__(self, inner: Codec, whole: int) -> None:
        self.name, self._inner, self._whole = inner.name, inner, whole

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes. CorruptError."""
        try:
            return memoryview(self._inner.decode(coded, self._whole))[:want]
        except CorruptError:
            return self._inner.decode(coded, want)


class Sized:
    """LZ4 blocks, also those that pyaff4 writes: behind the bytes they give, in four."""

    name = "lz4"

    def __init__(self) -> None:
        self._inner = codecs.lz4()

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes. CorruptError."""
        try:
            return self._inner.decode(coded, want)
        except CorruptError:
            if int.from_bytes(coded[:4], "little") != want:
                raise
            return self._inner.decode(coded[4:], want)


def codec_of(text: str | None, file: str) -> tuple[Codec | None, bool]:
    """A compression by its name, and whether full chunks are stored. UnsupportedError."""
    if text is None or text.endswith(("NullCompressor", "compression/stored")):
        return None, True
    for part, make in (
        ("rfc1950", codecs.zlib), ("rfc1951", codecs.deflate), ("lz4", Sized),
        ("snappy", codecs.snappy),
    ):  # fmt: skip
        if part in text.lower():
            return make(), "github.com/google/snappy" not in text  # of an early writer: all coded
    raise UnsupportedError(f"chunks are compressed by {text!r}", file=file)


def shape(volume: Volume, urn: str, limits: Limits) -> Shape:
    """What the metadata says of a stream of chunks. CorruptError, LimitError, UnsupportedError."""
    file = volume.source.name
    chunk = volume.number(urn, "chunkSize", "chunk_size")
    size = volume.number(urn, "size")
    if chunk is None or size is None:
        text = f"the {'size' if size is None else 'chunk size'} of {urn} is not said"
        raise CorruptError(text, file=file)
    if not 0 < chunk <= limits.chunk:
        raise LimitError(f"chunks of {chunk} bytes (limit chunk)", file=file)
    if size > limits.guest_size:
        raise LimitError(f"a stream of {size} bytes is over guest_size", file=file)
    codec, plain = codec_of(volume.text(urn, "compressionMethod", "CompressionMethod",
                                        "compression"), file)  # fmt: skip
    old = not volume.types(urn) & {STREAMS[0]}
    told = volume.number(urn, "chunksInSegment", "chunks_per_segment")
    made = Shape(urn, size, chunk, told or 1, codec, plain, old)
    if not told and size:
        rows = len(rows_of(volume, made, 0, limits).at)
        made = made._replace(per_bevy=max(rows, 1))
    return made


def rows_of(volume: Volume, told: Shape, number: int, limits: Limits) -> Columns:
    """Where the chunks of a bevy are. CorruptError, MissingError, LimitError."""
    file = volume.source.name
    bevy = volume.member(told.bevy(number))
    data = volume.content(told.index_of(number), limits.table_resident, "table_resident")
    if bevy is None or data is None:
        raise CorruptError(f"bevy {number} of {told.urn} or its index is not there", file=file)
    begin = archive.place(bevy, volume.source)
    at, stored = _old_rows(data, bevy.size) if told.old else _rows(data)
    row = next((i for i, (a, n) in enumerate(zip(at, stored, strict=True))
                if a < 0 or n < 0 or a + n > bevy.size), None)  # fmt: skip
    if row is not None:
        text = f"chunk {row} of bevy {number} lies outside of it ({stored[row]} bytes at {at[row]})"
        raise CorruptError(text, file=file, at=begin)
    code = bytes(
        PLAIN if told.codec is None or (told.plain and length == told.chunk) else WHOLE
        for length in stored
    )
    return Columns(array("q", [begin + place for place in at]), stored, code)


def _rows(data: bytes) -> tuple[array[int], array[int]]:
    """Rows of a place in 64 bits and a length in 32."""
    cells = words(data[: len(data) // 12 * 12], "I")
    low, high, stored = cells[0::3], cells[1::3], cells[2::3]
    at = [a | (b & 0x7FFFFFFF) << 32 for a, b in zip(low, high, strict=True)]
    return array("q", at), array("q", stored)


def _old_rows(data: bytes, size: int) -> tuple[array[int], array[int]]:
    """Places in 32 bits, from the first chunk's or from the second's; each ends at the next."""
    starts = array("q", words(data[: len(data) // 4 * 4], "I"))
    if starts and starts[0]:
        starts.insert(0, 0)
    if starts and starts[-1] == size:
        starts.pop()
    ends = starts[1:]
    ends.append(size)
    return starts, array("q", [b - a for a, b in zip(starts, ends, strict=False)])


class Bevies:
    """The chunks of a stream by page, a few indexes held."""

    def __init__(self, volume: Volume, told: Shape, limits: Limits) -> None:
        self._volume, self._told, self._limits = volume, told, limits
        self._loaded: OrderedDict[int, Columns] = OrderedDict()
        self._lock = Lock()

    def page(self, number: int) -> Columns:
        """The columns of chunks from number * PAGE on. Raises what the indexes do."""
        told, first = self._told, number * PAGE
        stop = min(first + PAGE, told.chunks)
        at, stored, code = array("q"), array("q"), bytearray()
        while first < stop:
            bevy, skip = divmod(first, told.per_bevy)
            part = self._bevy(bevy).part(skip, min(told.per_bevy, skip + stop - first))
            at, stored, code = at + part.at, stored + part.stored, code + part.code
            first += len(part.at)
        if stop == told.chunks and code[-1] == WHOLE and told.size % told.chunk:
            code[-1] = LAST
        return Columns(at, stored, bytes(code))

    def _bevy(self, number: int) -> Columns:
        with self._lock:
            if number not in self._loaded:
                self._loaded[number] = self._read(number)
                while len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(number)
            return self._loaded[number]

    def _read(self, number: int) -> Columns:
        rows = rows_of(self._volume, self._told, number, self._limits)
        need = min(self._told.per_bevy, self._told.chunks - number * self._told.per_bevy)
        if len(rows.at) < need:
            text = f"the index of bevy {number} has {len(rows.at)} of {need} chunks"
            raise CorruptError(text, file=self._volume.source.name)
        return rows


def chunked(volume: Volume, told: Shape, limits: Limits) -> ChunkDevice:
    """A stream of chunks as a device."""
    inner = told.codec
    return ChunkDevice(
        size=told.size,
        chunk=told.chunk,
        data=volume.source,
        page=Bevies(volume, told, limits).page,
        codecs=() if inner is None else (inner, Padded(inner, told.chunk)),
        most=told.chunk + told.chunk // 6 + KIB,  # what a codec of these makes of noise
        info={},
    )


def symbol(urn: str, *, bad: bool = True) -> Device | None:
    """An endless stream of what its name says; None where it is no symbol.

    What could not be read is BAD, or, where not `bad`, the text that hashes count in its place.
    """
    name = urn.removeprefix(STANDARD).removeprefix(LEGACY)
    if not urn.startswith("http:"):
        return None
    if name == "Zero":
        return Blank(ENDLESS)
    if name == UNREADABLE and bad:
        return Blank(ENDLESS, Kind.BAD)
    if name in STRINGS:
        text = STRINGS[name]
        return _repeated(urn, (text * (TILE // len(text) + 1))[:TILE])
    match = _SYMBOL.fullmatch(urn)
    if match is None:
        return None
    byte = bytes.fromhex(match[match.lastindex or 0])
    return Blank(ENDLESS, HOLE) if byte == b"\0" else _repeated(urn, byte * TILE)


def _repeated(urn: str, tile: bytes) -> Device:
    source = Repeated(urn, tile, ENDLESS)
    return Placed([Extent(0, ENDLESS, Kind.DATA, source=source)], TILE)


class Rows(NamedTuple):
    """A map's rows, ascending: guest bytes [start, start + length) are at `at` of a target."""

    start: array[int]
    length: array[int]
    at: array[int]
    target: array[int]


def rows(data: bytes, file: str) -> Rows:
    """The rows of a map in the order of its guest. CorruptError where two overlap."""
    found = Rows(array("q"), array("q"), array("q"), array("I"))
    try:
        for row in _ROW.iter_unpack(data[: len(data) // _ROW.size * _ROW.size]):
            if row[1]:
                for column, value in zip(found, row, strict=True):
                    column.append(value)
    except OverflowError:
        raise CorruptError("a row of its map is past 63 bits", file=file) from None
    if any(map(gt, found.start, found.start[1:])):
        order = sorted(range(len(found.start)), key=found.start.__getitem__)
        found = Rows(*(array(c.typecode, map(c.__getitem__, order)) for c in found))
    stops = map(add, found.start, found.length)
    if any(map(gt, stops, found.start[1:])):
        raise CorruptError("two rows of its map hold one guest byte", file=file)
    return found


class Mapped:
    """A map as a device: rows of targets, and `gap` where there is none."""

    info: Mapping[str, object] = {}

    def __init__(
        self, size: int, found: Rows, targets: Sequence[Device], gap: Device, file: str
    ) -> None:
        self.size, self._rows, self._targets, self._gap = size, found, targets, gap
        self.block = min((one.block for one in (*targets, gap)), default=512)
        for start, length, at, target in zip(*found, strict=True):
            if target >= len(targets):
                raise CorruptError(f"a row of its map has the target {target}", file=file)
            if at + length > targets[target].size:
                text = f"guest byte {start} is at {at} of a stream of {targets[target].size} bytes"
                raise TruncatedError(text, file=file)
            if start + length > size:
                text = f"a row of its map ends at {start + length} of {size} bytes"
                raise CorruptError(text, file=file)

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop) of every target, moved."""
        stop = self.size if stop is None else min(stop, self.size)
        return gathered(self._pieces(start, stop))

    def _pieces(self, start: int, stop: int) -> Iterator[Runs]:
        starts, lengths, ats, targets = self._rows
        row = max(0, bisect_right(starts, start) - 1)
        while start < stop:
            if row < len(starts) and starts[row] + lengths[row] <= start:
                row += 1
                continue
            begin = starts[row] if row < len(starts) else stop
            if start < begin:
                end = min(begin, stop)
                yield from _moved(self._gap, start, end, start)
            else:
                end = min(begin + lengths[row], stop)
                at = ats[row] + start - begin
                yield from _moved(self._targets[targets[row]], at, at + end - start, start)
            start = end


def _moved(device: Device, at: int, stop: int, start: int) -> Iterator[Runs]:
    """The extents of [at, stop) of `device`, guest byte `start` the first of them."""
    return (shift(runs, start - at) for runs in device.runs(at, stop))
