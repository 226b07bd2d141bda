"""A disc, a DVD or a disk as a CHD of version 5."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Generator
from struct import pack
from sys import byteorder
from typing import Any, NamedTuple

from diskimage.disc.losses import lacking
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import UnsupportedError, UsageError
from diskimage.formats.chd.facts import TAG, written
from diskimage.formats.chd.hunks import Kind
from diskimage.formats.chd.layout import (
    ENCODERS,
    HEADER,
    MAGIC,
    NOBODY,
    ROW,
    SECTOR,
    UNIT,
    WRITTEN,
)
from diskimage.formats.chd.opening import DISK, DVD, total
from diskimage.formats.chd.units import TYPES, extents, parts, text
from diskimage.kernels.chd import Layout, crc16, map_write
from diskimage.layers.records import Placed
from diskimage.limits import LIMITS, MIB
from diskimage.model import (
    Barrier,
    Device,
    Disc,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
    Size,
    Step,
)
from diskimage.words import rounded, size_text

OPTIONS = (
    Option("codecs", "none, or up to four of lzma, zlib, zstd, flac",
           "what hunks are compressed with, the smallest of each; lzma,zlib,flac for a disc,"
           " lzma,zlib for others"),
    Option("hunk", "bytes", "of a hunk: a multiple of 2448 for a disc (8 frames unless said), of"
           " 2048 or 512 for others (4096)"),
)  # fmt: skip
_CD = {"lzma": "cdlz", "zlib": "cdzl", "zstd": "cdzs", "flac": "cdfl"}
_HOLDS = {
    "audio", "tracks", "sessions", "subchannel", "rw", "subheaders", "indexes", "index2", "postgap",
    "titles", "letters", "cdtext", "catalog", "number", "isrc", "flags", "scms", "toc",
}  # fmt: skip
_COUNTS = 1  # flag of metadata: it counts for the SHA-1 of all
_DVD_SECTOR = 2048
_FULL = 1 << 32
_LARGEST = MIB  # bytes of a hunk: chdman takes no larger ones
_MANY = 1 << 21  # hunks whose map and what became of them take 80 MiB

Entry = tuple[bytes, int, bytes]
"""Metadata: tag, flag, data."""


class Shape(NamedTuple):
    """What is written: guest bytes in units, and the metadata that tell what they are."""

    device: Device
    size: int
    unit: int
    hunk: int
    codecs: tuple[str, ...]
    entries: list[Entry]


def losses(what: Device | Disc, **_options: object) -> list[Loss]:
    """Frames stored before LBA 0; of a DVD and a disk, that they have whole sectors."""
    if isinstance(what, Disc) and _is_cd(what):
        return lacking(what, _HOLDS)
    sector = _sector(what)
    return reduced(what, sector, f"it has sectors of {sector} bytes")


def create(what: Device | Disc, stem: str, *, codecs: str = "", hunk: int | str = 0) -> Plan:
    """Hunks first, then metadata and map, the header last: a plan cut short is no image.

    Raises UsageError for options that have no sense, UnsupportedError for frames of no name here.
    """
    shape = _shape(what, codecs, hunk)
    sums = yield from (_packed(shape) if shape.codecs else _plain(shape))
    yield Barrier()
    yield Put(0, _header(shape, *sums))


def _is_cd(what: Disc) -> bool:
    """Whether it has tracks worth telling: a DVD is one of 2048-byte sectors."""
    return what.medium in ("CD", "GD") or len(what.tracks) > 1 or what.data is None


def _sector(what: Device | Disc) -> int:
    if isinstance(what, Disc):
        return _DVD_SECTOR
    return _DVD_SECTOR if what.info.get("sector_size") == _DVD_SECTOR else SECTOR


def _shape(what: Device | Disc, codecs: str, hunk: int | str) -> Shape:
    if isinstance(what, Disc) and _is_cd(what):
        return _disc(what, codecs, hunk)
    sector, device = _sector(what), user_bytes(what)
    size = rounded(device.size, sector)
    dvd = sector == _DVD_SECTOR
    entry = (DVD, _COUNTS, b"\0") if dvd else (DISK, _COUNTS, _geometry(size // SECTOR))
    names = _codecs(codecs, "lzma,zlib")
    return Shape(device, size, sector, _hunk(hunk, 4096, sector, size), names, [entry])


def _disc(what: Disc, codecs: str, hunk: int | str) -> Shape:
    for track in what.tracks:
        if track.mode.name not in TYPES:
            raise UnsupportedError(f"track {track.number} is {track.mode.name}: no CHD can say so")
    made, gd = parts(what), what.medium == "GD"
    device = Placed(extents(what, made), UNIT)
    tag = b"CHGD" if gd else b"CHT2"
    entries: list[Entry] = [(tag, _COUNTS, text(part, gd=gd)) for part in made]
    names = tuple(_CD[name] for name in _codecs(codecs, "lzma,zlib,flac"))
    return Shape(
        device, device.size, UNIT, _hunk(hunk, 8 * UNIT, UNIT, device.size), names,
        [*entries, (TAG, 0, written(what))],
    )  # fmt: skip


def _codecs(said: str, usual: str) -> tuple[str, ...]:
    if said == "none":
        return ()
    names = tuple(name.strip() for name in (said or usual).split(","))
    if len(names) > 4 or len(set(names)) < len(names) or not set(names) <= set(_CD):
        raise UsageError(f"codecs={said!r}", remedy=f"none, or up to four of {', '.join(_CD)}")
    return names


def _hunk(said: int | str, usual: int, unit: int, size: int) -> int:
    """Bytes of a hunk: what is said, else `usual` ones, larger where these were too many."""
    try:
        hunk = int(said)
    except ValueError:
        hunk = -1
    if not hunk:
        hunk = usual
        while size > hunk * _MANY and 2 * hunk <= _LARGEST:
            hunk *= 2
    if hunk % unit or not 0 < hunk <= _LARGEST:
        raise UsageError(f"hunk={said!r}", remedy=f"a multiple of {unit}, at most {_LARGEST}")
    if -(-size // hunk) * ROW > LIMITS.metadata:
        raise UsageError(
            f"{size_text(size)} in hunks of {hunk} bytes need a map of more than metadata"
            f" {LIMITS.metadata}",
            remedy=f"choose larger hunks: at most {_LARGEST} bytes, or another format, as qcow2",
        )
    return hunk


def _geometry(sectors: int) -> bytes:
    """Cylinders, heads and sectors whose product is the disk: as large a cylinder as there is."""
    shapes = ((heads, track) for track in range(63, 0, -1) for heads in range(16, 0, -1))
    heads, track = next(one for one in shapes if sectors % (one[0] * one[1]) == 0)
    cylinders = sectors // (heads * track)
    return f"CYLS:{cylinders},HEADS:{heads},SECS:{track},BPS:{SECTOR}".encode() + b"\0"


Sums = tuple[int, int, bytes]
"""Where map and metadata begin, and the SHA-1 of the guest (zeros: none)."""


def _packed(shape: Shape) -> Generator[Step, Any, Sums]:
    """Compressed hunks one behind the other, equal ones once; metadata; the map in bits."""
    digest = hashlib.sha1()
    packed: Packed = yield Pack(
        shape.device.runs(), shape.hunk, tuple(ENCODERS[name]() for name in shape.codecs), HEADER,
        sums=(digest,), dedupe=True, chunk_sum=crc16,
    )  # fmt: skip
    digest.update(bytes(shape.size - shape.device.size))
    meta_at = packed.end
    meta = _listed(shape.entries, meta_at)
    yield Put(meta_at, meta)
    rows, map_at = _rows(packed), meta_at + len(meta)
    coded = max((n for n, kind in zip(packed.stored, packed.codec, strict=True) if kind >= 0),
                default=0)  # fmt: skip
    copies = max((to for to, kind in zip(packed.to, packed.codec, strict=True) if kind == _COPY),
                 default=0)  # fmt: skip
    how = Layout(
        shape.hunk, shape.hunk // shape.unit, HEADER, coded.bit_length(), copies.bit_length(), 0
    )
    bits = map_write(rows, how)
    head = pack(">I", len(bits)) + HEADER.to_bytes(6, "big") + pack(">H", crc16(rows))
    widths = bytes([how.length_bits, how.self_bits, how.parent_bits, 0])
    yield Put(map_at, head + widths + bits)
    return map_at, meta_at, digest.digest()


_COPY = -2  # of Packed.codec
_KINDS = bytes({254: Kind.COPY, 255: Kind.PLAIN}.get(value, value & 3) for value in range(256))


def _rows(packed: Packed) -> bytearray:
    """The expanded map, a column at a time: no work a hunk in Python."""
    rows = bytearray(ROW * packed.done)
    rows[0::ROW] = packed.codec.tobytes().translate(_KINDS)
    columns = ((1, 3, "I", packed.stored), (4, 6, "Q", packed.to), (10, 2, "H", packed.sum))
    for at, width, code, values in columns:
        wide = array(code, values)
        if byteorder == "little":
            wide.byteswap()
        raw, size = wide.tobytes(), wide.itemsize
        for i in range(width):
            rows[at + i :: ROW] = raw[size - width + i :: size]
    return rows


def _plain(shape: Shape) -> Generator[Step, Any, Sums]:
    """Hunks as they are, at multiples of their size; those of zeros are not stored."""
    count = -(-shape.size // shape.hunk)
    meta_at = HEADER + 4 * count
    meta = _listed(shape.entries, meta_at)
    first = rounded(meta_at + len(meta), shape.hunk)
    yield Size(first)
    packed: Packed = yield Pack(shape.device.runs(), shape.hunk, (), first, align=shape.hunk)
    if packed.end // shape.hunk >= _FULL:
        raise UsageError("more hunks than a map can place", remedy="choose a larger hunk")
    table = array("I", [0 if to < 0 else to // shape.hunk for to in packed.to])
    if byteorder == "little":
        table.byteswap()
    yield Put(HEADER, table.tobytes() + meta)
    return HEADER, meta_at, NOBODY


def _listed(entries: list[Entry], at: int) -> bytes:
    """Metadata one behind the other from `at` on."""
    out = b""
    for i, (tag, flag, data) in enumerate(entries):
        after = 0 if i + 1 == len(entries) else at + len(out) + 16 + len(data)
        out += tag + pack(">IQ", flag << 24 | len(data), after) + data
    return out


def _header(shape: Shape, map_at: int, meta_at: int, raw: bytes) -> bytes:
    counted = [(tag, data) for tag, flag, data in shape.entries if flag & _COUNTS]
    tags = [name.encode() for name in shape.codecs]
    return bytes(
        WRITTEN.build({
            "prefix": {"magic": MAGIC, "length": HEADER, "version": 5},
            "body": {
                "codecs": [*tags, *[bytes(4)] * (4 - len(tags))], "size": shape.size,
                "map_at": map_at, "meta_at": meta_at, "hunk": shape.hunk, "unit": shape.unit,
                "raw_sha1": raw, "sha1": NOBODY if raw == NOBODY else total(raw, counted),
                "parent": NOBODY,
            },
        })
    )  # fmt: skip
