"""A UDIF as a plan: chunks, then the property list, then the trailer.

    chunks one behind the other | property list | trailer

One table has the whole disk, as hdiutil writes one for a disk whose partitions it does not know.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable
from secrets import token_bytes
from typing import NamedTuple

from diskimage import codecs
from diskimage.codecs.crc32 import Crc32
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import LimitError, UsageError
from diskimage.formats.dmg.layout import (
    BZIP2,
    CRC32,
    END,
    ENTRY,
    KOLY,
    LZFSE,
    LZMA,
    MAGIC,
    MISH,
    RAW,
    SECTOR,
    TRAILER,
    TYPES,
    ZERO,
    ZLIB,
)
from diskimage.limits import LIMITS, MIB
from diskimage.model import Barrier, Device, Disc, Encoder, Loss, Option, Pack, Packed, Plan, Put
from diskimage.options import size_option
from diskimage.words import rounded, size_text

GROUP = 1 << 16  # chunks of one step
LARGEST = 8 * MIB  # a chunk; hdiutil's have 256 KiB or 1 MiB
NAME = "whole disk (unknown partition : 0)"
WHOLE_DISK = 0xFFFFFFFE  # descriptor of a table
PARTITIONS = 1032  # bytes of the resource plst, zeros in every image seen
FRAME = 4096  # bytes of a property list, at most, that are no rows
WAYS: dict[str, tuple[int, range, Callable[[int | None], Encoder] | None]] = {
    "zlib": (ZLIB, range(1, 13), codecs.zlib),
    "bzip2": (BZIP2, range(1, 10), lambda level: codecs.bzip2(level or 9)),
    "lzfse": (LZFSE, range(0), lambda _level: codecs.lzfse()),
    "lzma": (LZMA, range(10), lambda level: codecs.xz(6 if level is None else level)),
    "none": (RAW, range(0), None),
}
"""By the option: kind of chunk, levels, codec. hdiutil: UDZO, UDBZ, ULFO, ULMO, UDRO."""

OPTIONS = (
    Option("compression", "zlib|bzip2|lzfse|lzma|none", "UDZO, UDBZ, ULFO, ULMO, UDRO"),
    Option("level", "zlib 1 to 12, bzip2 1 to 9, lzma 0 to 9", "effort; 6, 9 and 6 unless said"),
    Option("chunk", "64K to 8M", "bytes that are coded at once; 1M unless said"),
)


class Shape(NamedTuple):
    """What is to be written, judged."""

    size: int
    chunk: int
    kind: int
    codecs: tuple[Encoder, ...]

    @property
    def chunks(self) -> int:
        """How many there are."""
        return -(-self.size // self.chunk)


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """What is not in the first data track; sizes are whole sectors."""
    return reduced(what, SECTOR, "a DMG has whole sectors", told=SECTOR)


def full(size: int, **options: str) -> int:
    """The bytes of a file in which every chunk of `size` guest bytes is stored plain."""
    made = shape(size, **options)
    rows = bytes(ENTRY * (made.chunks + 1))
    return made.size + len(_list(MISH.build(_table(made, 0, 0)) + rows)) + TRAILER


def shape(
    size: int,
    *,
    compression: str = "zlib",
    level: str | int | None = None,
    chunk: str | int = MIB,
) -> Shape:
    """The options judged. Raises UsageError, LimitError."""
    if compression not in WAYS:
        raise UsageError(f"compression {compression}", remedy=f"one of {', '.join(WAYS)}")
    kind, levels, codec = WAYS[compression]
    if level is not None and (not str(level).isdecimal() or int(level) not in levels):
        told = f"{levels[0]} to {levels[-1]}" if levels else "it has no levels"
        raise UsageError(f"level {level} of {compression}", remedy=told)
    bytes_ = size_option("chunk", chunk, "256K")
    if bytes_ % SECTOR or not 1 << 16 <= bytes_ <= LARGEST:
        raise UsageError(f"chunk {chunk}", remedy="whole sectors of 512 bytes, 64K to 8M")
    effort = None if level is None else int(level)
    made = Shape(rounded(size, SECTOR), bytes_, kind, (codec(effort),) if codec else ())
    if ENTRY * (made.chunks + 1) * 4 // 3 + FRAME > LIMITS.property_list:
        raise LimitError(
            f"the table of {size_text(size)} in chunks of {size_text(bytes_)} is too large",
            remedy="write larger chunks",
        )
    return made


def create(what: Device | Disc, stem: str, **options: str) -> Plan:
    """Chunks in guest order; the list; the trailer when all else is there."""
    device = user_bytes(what)
    wanted = shape(device.size, **options)
    image, stored, rows = Crc32(), Crc32(), bytearray()
    done = end = 0
    while done < wanted.chunks:
        step = _step(device, wanted, done, end, (image,), (stored,))
        packed: Packed = yield step
        _rows(rows, packed, wanted, done, step.chunk, stem)
        done, end = done + packed.done, packed.end
    image.zeros(wanted.size - device.size)
    rows += _row(END, wanted.size, 0, end, 0)
    table = MISH.build(_table(wanted, len(rows) // ENTRY, image.value)) + rows
    listed = _list(table)
    yield Put(end, listed)
    yield Barrier()
    yield Put(end + len(listed), _trailer(wanted, end, len(listed), stored, image))


def _step(
    device: Device,
    wanted: Shape,
    done: int,
    to: int,
    sums: tuple[Crc32, ...],
    stored: tuple[Crc32, ...],
) -> Pack:
    """Packs chunks from `done` on; the short last one by itself."""
    whole, rest = divmod(wanted.size, wanted.chunk)
    goal = min(whole, done + GROUP) if done < whole else wanted.chunks
    runs = device.runs(done * wanted.chunk, min(device.size, goal * wanted.chunk))
    chunk = wanted.chunk if done < whole else rest
    return Pack(runs, chunk, wanted.codecs, to, sums=sums, stored_sums=stored)


def _rows(rows: bytearray, packed: Packed, wanted: Shape, done: int, chunk: int, stem: str) -> None:
    """Rows of the chunks from `done` on; neighbours of zeros in one."""
    start, zeros = done * wanted.chunk, 0
    for to, stored, codec in zip(packed.to, packed.stored, packed.codec, strict=True):
        if to < -1:
            raise UsageError("has bytes that are not in this layer", file=stem,
                             remedy="flatten the chain")  # fmt: skip
        if to < 0:
            zeros += chunk
        else:
            if zeros:
                rows += _row(TYPES[ZERO], start - zeros, zeros, 0, 0)
                zeros = 0
            kind = wanted.kind if codec >= 0 else RAW
            rows += _row(TYPES[kind], start, chunk, to, stored)
        start += chunk
    if zeros:
        rows += _row(TYPES[ZERO], start - zeros, zeros, 0, 0)


def _row(type_: int, start: int, length: int, at: int, stored: int) -> bytes:
    words = (start // SECTOR, length // SECTOR, at, stored)
    return (type_ << 32).to_bytes(8, "big") + b"".join(word.to_bytes(8, "big") for word in words)


def _sum(crc: int) -> dict[str, object]:
    return {"type": CRC32, "bits": 32, "value": crc.to_bytes(4, "big").ljust(128, b"\0")}


def _table(wanted: Shape, count: int, crc: int) -> dict[str, object]:
    """The head of the table; `buffers` is what hdiutil says: sectors of a chunk, and eight."""
    return {
        "magic": b"mish\0\0\0\1", "first": 0, "sectors": wanted.size // SECTOR, "data": 0,
        "buffers": wanted.chunk // SECTOR + 8, "descriptor": WHOLE_DISK, "sum": _sum(crc),
        "count": count,
    }  # fmt: skip


def _list(table: bytes) -> bytes:
    """The property list with one table."""
    entry = (
        "<dict><key>Attributes</key><string>0x0050</string><key>CFName</key><string>{name}</string>"
        "<key>Data</key>\n<data>\n"
        "{data}\n</data>\n<key>ID</key><string>0</string><key>Name</key><string>{name}</string>"
        "</dict>"
    )
    told = entry.format(data=b64encode(table).decode(), name=NAME)
    blank = entry.format(data=b64encode(bytes(PARTITIONS)).decode(), name="")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST '
        '1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n<plist version="1.0">\n'
        f"<dict><key>resource-fork</key>\n<dict><key>blkx</key>\n<array>{told}</array>\n"
        f"<key>plst</key>\n<array>{blank}</array></dict></dict>\n</plist>\n"
    ).encode()


def _trailer(wanted: Shape, end: int, listed: int, stored: Crc32, image: Crc32) -> bytes:
    master = zlib.crc32(image.value.to_bytes(4, "big"))
    fields = {
        "magic": MAGIC, "flags": 1, "running": 0, "data_at": 0, "data_size": end, "fork_at": 0,
        "fork_size": 0, "segment": 1, "segments": 1, "set": token_bytes(16),
        "data_sum": _sum(stored.value), "plist_at": end, "plist_size": listed, "signature_at": 0,
        "signature_size": 0, "master": _sum(master), "variant": 1,
        "sectors": wanted.size // SECTOR,
    }  # fmt: skip
    return bytes(KOLY.build(fields))
