"""An ISZ file as a device: its segments as one, its chunks by their codecs, its password."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from diskimage import codecs
from diskimage.disc import volume
from diskimage.disc.content import VOLUME
from diskimage.errors import CorruptError, LimitError, PasswordError
from diskimage.formats.isz import layout
from diskimage.formats.isz.layout import KEYS, SECTOR, STORED, Chunks, Header, Segment
from diskimage.layers.chunks import PAGE, ChunkDevice
from diskimage.model import Bid, Codec, Device, Gate, Look, Source
from diskimage.parse import demand, read
from diskimage.sources.joined import Joined, Stretch
from diskimage.sources.unreadable import Unreadable
from diskimage.words import size_text

TRIED = 4  # coded chunks that a password is held against: one is proof, the others may be damaged
PAGES = 16  # of the table in which they are looked for


class Opened(NamedTuple):
    """An image: its chunks lie in `data` from `begin` on."""

    device: ChunkDevice
    header: Header
    chunks: Chunks
    data: Source
    begin: int


class Bzip2Chunk:
    """A bzip2 stream whose first three letters may be anything: UltraISO writes others there."""

    def __init__(self) -> None:
        self._whole = codecs.bzip2()
        self.name = self._whole.name

    def decode(self, coded: memoryview, want: int) -> bytes | bytearray | memoryview:
        """Exactly `want` bytes. CorruptError."""
        return self._whole.decode(memoryview(b"BZh" + coded[3:]), want)


def probe(look: Look) -> Bid | None:
    """The magic at 0."""
    return Bid(90, "IsZ! at 0") if look.head[:4] == layout.MAGIC else None


def open_isz(source: Source, gate: Gate) -> Device:
    """The image; its further segments are parts beside it, its password is the gate's."""
    return opened(source, gate).device


def opened(source: Source, gate: Gate) -> Opened:
    """The image and what a check of it needs. Raises DiskImageError."""
    header = layout.load(source, gate.limits)
    name = source.name.replace("\\", "/").rpartition("/")[2]
    if header.segment:
        raise CorruptError(
            f"is segment {header.segment} of a set, not its first", file=source.name,
            remedy=f"open the first, as {layout.segment_name(name, 0)}",
        )  # fmt: skip
    rows = layout.segments(source, header)
    data, begin = source, rows[0].at if rows else header.data_at
    if len(rows) > 1:
        data, begin = _joined(source, name, gate, header, rows), 0
    chunks = Chunks(source, header, begin)
    device = ChunkDevice(
        size=header.size,
        chunk=header.chunk,
        data=data,
        page=chunks.page,
        codecs=_unlocked(header, chunks, data, gate) if header.encryption else clear(),
        most=header.most,
        info=_info(header, len(rows)),
    )
    return Opened(device, header, chunks, data, begin)


def clear() -> tuple[Codec, ...]:
    """The codecs of an image without a password, by their codes."""
    return codecs.zlib(), Bzip2Chunk()


def _joined(
    source: Source, name: str, gate: Gate, header: Header, rows: Sequence[Segment]
) -> Source:
    """The chunks of all segments, one behind the other. MissingError, CorruptError, unless they are
    survived: then what is not there has its place, and cannot be read."""
    if sum(row.size for row in rows) > gate.limits.guest_size:
        raise LimitError("segments of more than guest_size bytes", file=source.name)
    parts, left = [], 0
    for number, row in enumerate(rows):
        begin, there = row.at - left, 0
        left = row.left
        with gate.faults.surviving():
            part = gate.part(layout.segment_name(name, number)) if number else source
            if number:
                _of_the_set(part, number, header)
            there = max(0, min(row.size, part.size) - begin)
            parts.append(Stretch(part, begin, there))
            demand(part, begin, row.size - begin, f"segment {number}")
        rest = row.size - begin - there
        parts.append(Stretch(Unreadable(source.name, rest), 0, rest))
    return Joined(source.name, parts)


def _of_the_set(part: Source, number: int, header: Header) -> None:
    """Each file begins with the header, its own number and the serial of the set in it."""
    raw = layout.identity(part)
    if raw != (header.serial, number):
        text = f"is segment {raw[1]} of set {raw[0]:08X}, not {number} of {header.serial:08X}"
        raise CorruptError(text, file=part.name, at=6, remedy="put the right file beside the first")


def _unlocked(header: Header, chunks: Chunks, data: Source, gate: Gate) -> tuple[Codec, ...]:
    """The codecs under the password of the gate, which have to fit. PasswordError."""
    bits = 8 * KEYS[header.encryption]
    password = gate.password()
    if password is None:
        text, remedy = f"is encrypted (AES-{bits})", "give its password with --password-file"
        raise PasswordError(text, file=data.name, remedy=remedy)
    for key in _keys(password, KEYS[header.encryption]):
        plain = clear()
        kinds = (*(codecs.ecb(codec, key) for codec in plain), codecs.ecb(None, key))
        fit = _fit(header, chunks, data, kinds)
        if fit is None:
            gate.warn("password", "nothing in it tells whether the password is right")
        if fit is not False:
            return kinds
    raise PasswordError(
        f"the password is wrong, or its first chunks are damaged (AES-{bits})",
        file=data.name,
        remedy="check the password: of a long one only the first bytes count",
    )


def _keys(password: str, size: int) -> Iterator[bytes]:
    """The password as a key: cut or filled up with zeros; in UTF-8, then as Windows writes it."""
    seen = set()
    for encoding in ("utf-8", "cp1252"):
        key = password.encode(encoding, "replace")[:size].ljust(size, b"\0")
        if key not in seen:
            seen.add(key)
            yield key


def _fit(header: Header, chunks: Chunks, data: Source, kinds: Sequence[Codec]) -> bool | None:
    """Whether the codecs decode: a coded chunk ends in a sum. None where no chunk can tell."""
    tried = False
    for number, at, stored, code in islice(_coded(header, chunks), TRIED):
        tried = True
        want = min(header.chunk, header.size - number * header.chunk)
        try:
            kinds[code].decode(memoryview(read(data, at, stored, "a chunk")), want)
        except CorruptError:
            continue
        return True
    return False if tried else _shows_volume(header, chunks, data, kinds[STORED])


def _coded(header: Header, chunks: Chunks) -> Iterator[tuple[int, int, int, int]]:
    """Number, place, stored bytes and code of the first coded chunks that have a sum."""
    count = -(-header.size // header.chunk)
    for page in range(min(PAGES, -(-count // PAGE))):
        at, stored, code = chunks.page(page)
        for row, one in enumerate(code):
            if one < STORED and 0 < stored[row] <= header.most:
                yield page * PAGE + row, at[row], stored[row], one


def _shows_volume(header: Header, chunks: Chunks, data: Source, codec: Codec) -> bool | None:
    """Whether stored chunks show a volume descriptor; None where its place is not stored."""
    place = volume.FIRST * SECTOR
    number, skip = divmod(place, header.chunk)
    columns = chunks.page(0)
    if number >= len(columns.at) or columns.code[number] != STORED:
        return None
    whole = read(data, columns.at[number], columns.stored[number], "a chunk")
    plain = codec.decode(memoryview(whole), min(len(whole), skip + 6))
    return True if bytes(plain[skip + 1 : skip + 6]) in VOLUME else None


def _info(header: Header, segments: int) -> dict[str, object]:
    """What `info` shows."""
    told = [size_text(header.chunk) + " chunks"]
    if segments > 1:
        told.append(f"{segments} segments")
    if header.encryption:
        told.append(f"AES-{8 * KEYS[header.encryption]}")
    return {
        "variant": ", ".join(told),
        "sector_size": SECTOR,
        "chunk_size": header.chunk,
        "segments": max(1, segments),
        "serial": f"{header.serial:08X}",
        "encryption": f"AES-{8 * KEYS[header.encryption]}" if header.encryption else None,
        "crc32": None if header.image is None else f"{header.image:08x}",
    }
