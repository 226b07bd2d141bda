"""The header of a CHD and the list of its metadata, held against the file. Big-endian.

Facts: MAME's chd.h. docs/formats/chd.md draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from construct import Array, Bytes, Const, Int32ub, Int64ub, Padded, Struct

from diskimage import codecs
from diskimage.errors import CorruptError, LimitError, LoopError, UnsupportedError
from diskimage.limits import Limits
from diskimage.model import Codec, Encoder, Source
from diskimage.parse import demand, read, struct

MAGIC = b"MComprHD"
NOBODY = bytes(20)
UNIT = 2448  # a CD frame and its subchannel
SECTOR = 512
ROW, OLD_ROW, PLAIN_ROW = 12, 16, 4  # bytes of a row: expanded, of version 3 and 4, uncompressed
HEADER = 124  # bytes, of version 5

PREFIX = Struct("magic" / Const(MAGIC), "length" / Int32ub, "version" / Int32ub)
V3 = Struct(
    "flags" / Int32ub, "compression" / Int32ub, "hunks" / Int32ub, "size" / Int64ub,
    "meta_at" / Int64ub, "md5" / Bytes(16), "parent_md5" / Bytes(16), "hunk" / Int32ub,
    "sha1" / Bytes(20), "parent" / Bytes(20),
)  # fmt: skip
V4 = Struct(
    "flags" / Int32ub, "compression" / Int32ub, "hunks" / Int32ub, "size" / Int64ub,
    "meta_at" / Int64ub, "hunk" / Int32ub, "sha1" / Bytes(20), "parent" / Bytes(20),
    "raw_sha1" / Bytes(20),
)  # fmt: skip
V5 = Struct(
    "codecs" / Array(4, Bytes(4)), "size" / Int64ub, "map_at" / Int64ub, "meta_at" / Int64ub,
    "hunk" / Int32ub, "unit" / Int32ub, "raw_sha1" / Bytes(20), "sha1" / Bytes(20),
    "parent" / Bytes(20),
)  # fmt: skip
WRITTEN = Padded(HEADER, Struct("prefix" / PREFIX, "body" / V5))
LENGTHS = {3: 120, 4: 108, 5: HEADER}
HAS_PARENT = 1  # flag of versions 3 and 4

_LEVEL = 9  # of deflate: chdman's


def _deflate() -> Encoder:
    return codecs.deflate(level=_LEVEL)


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "zlib": _deflate,
    "lzma": codecs.lzma,
    "flac": codecs.flac,
    "zstd": codecs.zstd,
    "cdzl": lambda: codecs.cd_frames(_deflate(), _deflate()),
    "cdlz": lambda: codecs.cd_frames(codecs.lzma(), _deflate()),
    "cdzs": lambda: codecs.cd_frames(codecs.zstd(), codecs.zstd()),
    "cdfl": codecs.cd_sound,
}
CODECS: dict[str, Callable[[], Codec]] = {**ENCODERS, "huff": codecs.huffman}


class Header(NamedTuple):
    """What the header says, all versions alike; sizes in bytes. `unit` is 0 where only the metadata
    tells it, `codecs` empty where no hunk is compressed, a sum of zeros one that is not told."""

    version: int
    size: int
    hunk: int
    hunks: int
    unit: int
    map_at: int
    meta_at: int
    codecs: tuple[str, ...]
    raw_sha1: bytes
    sha1: bytes
    parent: bytes

    @property
    def identity(self) -> bytes:
        """What children name it by: the SHA-1 of all, in version 3 that of the guest."""
        return self.raw_sha1 if self.version == 3 else self.sha1


def load(source: Source, limits: Limits) -> Header:
    """The header of `source`, held against the file and `limits`.

    Raises UnsupportedError, CorruptError, LimitError, TruncatedError.
    """
    prefix = struct(PREFIX, source, 0, "CHD header")
    if prefix.version not in LENGTHS:
        raise UnsupportedError(f"a CHD of version {prefix.version}", file=source.name, at=12)
    if prefix.length != LENGTHS[prefix.version]:
        raise CorruptError(
            f"a header of {prefix.length} bytes, version {prefix.version} has"
            f" {LENGTHS[prefix.version]}",
            file=source.name,
            at=8,
        )
    read_header = _new if prefix.version == 5 else _old
    header = read_header(source, prefix.version)
    _judge(header, source, limits)
    return header


def _new(source: Source, version: int) -> Header:
    raw = struct(V5, source, PREFIX.sizeof(), "CHD header")
    names = tuple(_tag(one) for one in raw.codecs if any(one))
    hunks = -(-raw.size // raw.hunk) if raw.hunk else 0
    return Header(
        version, raw.size, raw.hunk, hunks, raw.unit, raw.map_at, raw.meta_at, names,
        raw.raw_sha1, raw.sha1, raw.parent,
    )  # fmt: skip


def _old(source: Source, version: int) -> Header:
    raw = struct(V3 if version == 3 else V4, source, PREFIX.sizeof(), "CHD header")
    if raw.compression > 2:
        what = "avhu (a laserdisc)" if raw.compression == 3 else f"method {raw.compression}"
        raise UnsupportedError(f"hunks compressed by {what}", file=source.name, at=20)
    parent = raw.parent if raw.flags & HAS_PARENT else NOBODY
    total, plain = (raw.sha1, raw.raw_sha1) if version == 4 else (NOBODY, raw.sha1)
    return Header(
        version, raw.size, raw.hunk, raw.hunks, 0, LENGTHS[version], raw.meta_at,
        ("zlib",), plain, total, parent,
    )  # fmt: skip


def _tag(raw: bytes) -> str:
    return raw.decode("ascii", "backslashreplace")


def _judge(header: Header, source: Source, limits: Limits) -> None:
    name = source.name
    for codec in header.codecs:
        if codec not in CODECS:
            what = f"{codec} (a laserdisc)" if codec == "avhu" else repr(codec)
            raise UnsupportedError(f"hunks compressed by {what}", file=name, at=16)
    if not header.hunk:
        raise CorruptError("hunks of 0 bytes", file=name)
    if header.hunk > limits.chunk:
        raise LimitError(f"hunks of {header.hunk} bytes, over chunk {limits.chunk}", file=name)
    if header.version == 5 and (not header.unit or header.hunk % header.unit):
        raise CorruptError(
            f"hunks of {header.hunk} bytes in units of {header.unit}", file=name, at=56
        )
    if header.size > limits.guest_size:
        raise LimitError(f"guest size {header.size} is over guest_size", file=name)
    if header.hunks * header.hunk < header.size:
        raise CorruptError(
            f"{header.hunks} hunks of {header.hunk} bytes for {header.size} bytes", file=name
        )
    if any(one.startswith("cd") for one in header.codecs) and header.hunk % UNIT:
        raise CorruptError(
            f"a codec of CD frames for hunks of {header.hunk} bytes", file=name, at=56
        )
    _judge_map(header, source, limits)


def _judge_map(header: Header, source: Source, limits: Limits) -> None:
    """The map lies in the file, and what it expands to is no bomb."""
    if header.version == 5 and header.codecs:
        if header.hunks * ROW > limits.metadata:
            raise LimitError(
                f"a map of {header.hunks} hunks needs {header.hunks * ROW} bytes, over metadata"
                f" {limits.metadata}",
                file=source.name,
            )
        return
    row = PLAIN_ROW if header.version == 5 else OLD_ROW
    demand(source, header.map_at, row * header.hunks, "the map of hunks")


class Metadata(NamedTuple):
    """An entry of the list: `data` bytes at `at`. `summed`: it counts for the header's SHA-1."""

    tag: bytes
    summed: bool
    at: int
    length: int

    def data(self, source: Source) -> bytes:
        """Its bytes."""
        return bytes(read(source, self.at, self.length, f"metadata {self.tag!r}"))


ENTRY = Struct("tag" / Bytes(4), "word" / Int32ub, "next" / Int64ub)
_SUMMED = 1 << 24
_LENGTH = _SUMMED - 1


def metadata(source: Source, header: Header, limits: Limits) -> Iterator[Metadata]:
    """The entries in the order of the list. CorruptError, TruncatedError, LoopError, LimitError."""
    at, seen = header.meta_at, set[int]()
    while at:
        if at in seen:
            raise LoopError("its list of metadata comes back to itself", file=source.name, at=at)
        if len(seen) >= limits.text_entries:
            raise LimitError(
                f"more than {limits.text_entries} metadata (limit text_entries)", file=source.name
            )
        seen.add(at)
        demand(source, at, ENTRY.sizeof(), "metadata")
        raw = struct(ENTRY, source, at, "metadata")
        length = raw.word & _LENGTH
        demand(source, at + ENTRY.sizeof(), length, "metadata")
        yield Metadata(raw.tag, bool(raw.word & _SUMMED), at + ENTRY.sizeof(), length)
        at = raw.next
