"""bmap files: which blocks of a raw image matter, each range with its digest. XML.

Facts: bmap-tools, BmapCopy.py and BmapCreate.py, versions 1.0 to 2.0; docs/formats/raw.md tells.
Versions before 1.3 have no digests; in 1.3 they are SHA-1, from 1.4 on what ChecksumType says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from diskimage.errors import ChecksumError, CorruptError, LimitError, UnsupportedError
from diskimage.layers.gather import gathered, hole
from diskimage.layers.stored import without_holes
from diskimage.limits import MIB, Limits
from diskimage.model import HOLE, Device, Runs, Source
from diskimage.parse import read
from diskimage.ranges import Range, Ranges
from diskimage.xml import Wrong, parse

BLOCK = 4096
DEFAULT = "sha256"
DIGESTS = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
_NUMBER = re.compile(r"[0-9]{1,19}")
_RANGE = re.compile(r"([0-9]{1,19})(?:[ \t\r\n]*-[ \t\r\n]*([0-9]{1,19}))?")
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_FIELDS = frozenset(
    {"ImageSize", "BlockSize", "BlocksCount", "MappedBlocksCount", "ChecksumType",
     "BmapFileChecksum", "BmapFileSHA1"}
)  # fmt: skip
_ZEROS = memoryview(bytes(MIB))


class Bmap(NamedTuple):
    """What a bmap says of an image of `size` bytes: `ranges` of whole blocks, the last one cut at
    the end, and the digest `algorithm` of each ("" where there are none)."""

    version: str
    size: int
    block: int
    ranges: tuple[Range, ...]
    algorithm: str = DEFAULT
    digests: tuple[str, ...] = ()

    @property
    def mapped(self) -> int:
        """Bytes that matter."""
        return sum(one.length for one in self.ranges)


def is_bmap(source: Source) -> bool:
    """Whether `source` is XML of a bmap."""
    head = bytearray(min(4096, source.size))
    source.read_into(0, memoryview(head))
    return re.search(rb"<bmap[\s>]", bytes(head)) is not None


def load(source: Source, limits: Limits) -> Bmap:
    """The bmap in `source`. CorruptError, ChecksumError, UnsupportedError, LimitError."""
    if source.size > limits.block_map:
        text = f"a bmap of {source.size} bytes (limit block_map {limits.block_map})"
        raise LimitError(text, file=source.name)
    data, heard = bytes(read(source, 0, source.size, "the bmap")), _Heard()
    parse(data, heard, source, what="the bmap", depth=8)
    try:
        made, checksum = heard.made()
    except Wrong as error:
        raise CorruptError(f"the bmap {error}", file=source.name) from None
    except UnsupportedError as error:
        raise UnsupportedError(error.message, file=source.name) from None
    if checksum:
        digits = checksum.encode()
        found = hashlib.new(made.algorithm, data.replace(digits, b"0" * len(digits), 1))
        if found.hexdigest() != checksum.lower():
            text = f"the bmap itself has the {made.algorithm} {found.hexdigest()}, not {checksum}"
            raise ChecksumError(text, file=source.name)
    return made


def demand_size(bmap: Bmap, size: int, file: str) -> None:
    """CorruptError where the bmap in `file` is of an image of another size."""
    if bmap.size != size:
        raise CorruptError(f"the bmap is of an image of {bmap.size} bytes, this one has {size}",
                           file=file, remedy="take the bmap of this very image")  # fmt: skip


class _Heard:
    """The elements of a bmap."""

    def __init__(self) -> None:
        self.version = ""
        self.fields: dict[str, str] = {}
        self.ranges: list[tuple[int, int]] = []
        self.digests: list[str] = []
        self._open: list[str] = []
        self._text: list[str] = []

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open:
            if tag != "bmap":
                raise Wrong(f"is a <{tag[:40]}>")
            self.version = attributes.get("version", "")
        if tag == "Range":
            self.digests.append(attributes.get("chksum", attributes.get("sha1", "")).strip())
        self._open.append(tag)
        self._text.clear()

    def text(self, text: str) -> None:
        self._text.append(text)

    def end(self, tag: str) -> None:
        self._open.pop()
        text = "".join(self._text).strip()
        self._text.clear()
        if tag == "Range":
            found = _RANGE.fullmatch(text)
            if found is None:
                raise Wrong(f"has a range {text[:40]!r}")
            self.ranges.append((int(found[1]), int(found[2] or found[1])))
        elif tag in _FIELDS:
            if tag in self.fields:
                raise Wrong(f"has two {tag}")
            self.fields[tag] = text

    def made(self) -> tuple[Bmap, str]:
        """The bmap, and its own digest in it, "" for none. Raises Wrong, UnsupportedError."""
        number = _VERSION.fullmatch(self.version)
        if number is None:
            raise Wrong(f"has no version but {self.version[:40]!r}")
        version = int(number[1]), int(number[2])
        if not (1, 0) <= version < (3, 0):
            raise UnsupportedError(f"a bmap of version {self.version}")
        size, block = self._number("ImageSize"), self._number("BlockSize")
        blocks = self._number("BlocksCount")
        if not block or blocks != -(-size // block):
            raise Wrong(f"tells {blocks} blocks of {block} bytes of {size}")
        ranges = tuple(self._judged(size, block, blocks))
        algorithm, digests, own = self._summed(version)
        return Bmap(self.version, size, block, ranges, algorithm, digests), own

    def _number(self, name: str) -> int:
        text = self.fields.get(name, "")
        if not _NUMBER.fullmatch(text):
            raise Wrong(f"has no {name} but {text[:40]!r}")
        return int(text)

    def _judged(self, size: int, block: int, blocks: int) -> Iterator[Range]:
        """The ranges in bytes: ascending, apart, inside, as many blocks as are told."""
        after = total = 0
        for first, last in self.ranges:
            if not after <= first <= last < blocks:
                raise Wrong(f"has a range {first}-{last} after block {after} of {blocks}")
            after, total = last + 1, total + last + 1 - first
            yield Range(first * block, min(size, after * block) - first * block)
        if "MappedBlocksCount" in self.fields and self._number("MappedBlocksCount") != total:
            raise Wrong(f"has {total} blocks in ranges, and tells of others")

    def _summed(self, version: tuple[int, int]) -> tuple[str, tuple[str, ...], str]:
        """The digests: their name, of each range, and of the bmap itself."""
        if version < (1, 3):
            return "", (), ""
        algorithm, own = "sha1", "BmapFileSHA1"
        if version > (1, 3):
            algorithm, own = self.fields.get("ChecksumType", DEFAULT).lower(), "BmapFileChecksum"
        if algorithm not in DIGESTS:
            raise UnsupportedError(f"a bmap with digests by {algorithm[:40]!r}")
        checksum, width = self.fields.get(own, ""), 2 * hashlib.new(algorithm).digest_size
        wanted = re.compile(f"[0-9a-fA-F]{{{width}}}")
        for digits in (*self.digests, checksum):
            if not wanted.fullmatch(digits):
                raise Wrong(f"has a {algorithm} {digits[:40]!r}")
        return algorithm, tuple(digits.lower() for digits in self.digests), checksum


def text(bmap: Bmap) -> bytes:
    """`bmap` as a file of version 2.0, its own digest in it."""
    end = max(1, -(-bmap.size // bmap.block))
    lines = [
        '<?xml version="1.0" ?>', '<bmap version="2.0">',
        f"    <ImageSize> {bmap.size} </ImageSize>",
        f"    <BlockSize> {bmap.block} </BlockSize>",
        f"    <BlocksCount> {-(-bmap.size // bmap.block)} </BlocksCount>",
        f"    <MappedBlocksCount> {sum(-(-r.length // bmap.block) for r in bmap.ranges)}"
        " </MappedBlocksCount>",
        f"    <ChecksumType> {bmap.algorithm} </ChecksumType>",
        "    <BmapFileChecksum> {} </BmapFileChecksum>", "    <BlockMap>",
    ]  # fmt: skip
    for one, digits in zip(bmap.ranges, bmap.digests, strict=True):
        first, last = one.start // bmap.block, min(end, -(-one.stop // bmap.block)) - 1
        blocks = f"{first}-{last}" if first < last else f"{first}"
        lines.append(f'        <Range chksum="{digits}"> {blocks} </Range>')
    whole = "\n".join([*lines, "    </BlockMap>", "</bmap>", ""])
    width = 2 * hashlib.new(bmap.algorithm).digest_size
    own = hashlib.new(bmap.algorithm, whole.format("0" * width).encode()).hexdigest()
    return whole.format(own).encode()


def stored(device: Device, block: int = BLOCK) -> tuple[Range, ...]:
    """The ranges of whole blocks of `device` in which anything takes space, zeros too."""
    pairs: list[tuple[int, int]] = []
    after = 0
    for runs in device.runs():
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if kind == HOLE:
                continue
            first, last = max(after, start // block), -(-(start + length) // block)
            if pairs and pairs[-1][1] == first:
                pairs[-1] = pairs[-1][0], last
            elif last > first:
                pairs.append((first, last))
            after = last
    return tuple(
        Range(first * block, min(device.size, last * block) - first * block)
        for first, last in pairs
    )


class RangeSums:
    """A digest of each of `ranges`, which ascend, from bytes that come in order from 0 on.

    `done` hears of each with its hexadecimal digits; what it raises ends the job.
    """

    def __init__(
        self, ranges: Sequence[Range], algorithm: str, done: Callable[[Range, str], None]
    ) -> None:
        self._ranges, self._done = iter(ranges), done
        self._algorithm, self._at = algorithm, 0
        self._range = next(self._ranges, None)
        self._sum = self._fresh()

    def _fresh(self) -> Any:
        return hashlib.new(self._algorithm, usedforsecurity=False)

    def update(self, data: memoryview | bytes) -> None:
        """Go on with `data`."""
        self._take(len(data), memoryview(data).__getitem__)

    def zeros(self, count: int) -> None:
        """Go on with zeros: those outside of every range cost nothing."""
        self._take(count, None)

    def hexdigest(self) -> str:
        """Nothing: there is no digest of the whole."""
        return ""

    def _take(self, length: int, part: Callable[[slice], memoryview] | None) -> None:
        begin, end = self._at, self._at + length
        while self._range is not None and self._range.start < end:
            first, last = max(begin, self._range.start), min(end, self._range.stop)
            if part is not None:
                self._sum.update(part(slice(first - begin, last - begin)))
            else:
                for at in range(first, last, len(_ZEROS)):
                    self._sum.update(_ZEROS[: last - at])
            if last < self._range.stop:
                break
            self._done(self._range, self._sum.hexdigest())
            self._range, self._sum = next(self._ranges, None), self._fresh()
        self._at = end


class Judge:
    """Hears of the ranges of a bmap with digests: ChecksumError for the first that differs."""

    def __init__(self, bmap: Bmap, file: str) -> None:
        self._wanted, self._bmap, self._file = iter(bmap.digests), bmap, file

    def __call__(self, found: Range, digits: str) -> None:
        wanted = next(self._wanted)
        if digits != wanted:
            raise ChecksumError(
                f"bytes {found.start} to {found.stop} have the {self._bmap.algorithm} {digits}, "
                f"its bmap says {wanted}",
                file=self._file,
                at=found.start,
                remedy="the image is damaged, or the bmap is of another one",
            )


class Mapped:
    """The bytes of `device` in `ranges`, holes elsewhere: what is there does not matter.

    `solid`: zeros inside of a range are bytes to write, not holes.
    """

    def __init__(self, device: Device, ranges: Sequence[Range], *, solid: bool = False) -> None:
        self._device, self._ranges, self._solid = device, Ranges(ranges), solid
        self.size, self.block = device.size, device.block
        self.info: Mapping[str, object] = device.info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """The extents of [start, stop)."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < stop:
            yield from gathered(self._pieces(start, stop))

    def _pieces(self, start: int, stop: int) -> Iterator[Runs]:
        for one in self._ranges.clip(start, stop):
            if start < one.start:
                yield hole(start, one.start)
            if self._solid:
                yield from without_holes(self._device, one.start, one.stop)
            else:
                yield from self._device.runs(one.start, one.stop)
            start = one.stop
        if start < stop:
            yield hole(start, stop)
