"""Sparse images (`sprs`) and sparse bundles: bands that are stored where they were first written.

Facts: apfs-fuse, libmodi and the public description of bundles; docs/formats/dmg.md draws them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from sys import byteorder

from construct import Const, Int32ub, Int64ub, Padding, Struct

from diskimage.errors import CorruptError, LimitError, LoopError, UnsupportedError
from diskimage.formats.dmg import encrypted
from diskimage.formats.dmg.chunks import DmgDevice, laid
from diskimage.formats.dmg.layout import RAW, SECTOR, Entries
from diskimage.formats.dmg.plist import plist
from diskimage.limits import Limits
from diskimage.model import Device, Extent, Folder, Gate, Kind, Runs, Source
from diskimage.parse import demand, read, struct
from diskimage.runs import pack
from diskimage.words import size_text

MAGIC = b"sprs"
NODE = 4096
HEADER = Struct(
    "magic" / Const(MAGIC), "version" / Int32ub, "band" / Int32ub, "flags" / Int32ub,
    "low" / Int32ub, "following" / Int64ub, "sectors" / Int64ub, Padding(28),
)  # fmt: skip
FURTHER = Struct(
    "magic" / Const(MAGIC), "number" / Int32ub, "flags" / Int32ub, "following" / Int64ub,
    Padding(36),
)  # fmt: skip
BUNDLE = b"com.apple.diskimage.sparsebundle"
BAND = 128  # bytes of memory that a band of a sparse image takes here while they are put in order
LIST = 4096  # bytes of Info.plist in which that stands
BANDS = "bands"


def open_sparse(source: Source, gate: Gate) -> Device:
    """A sparse image: its nodes, each with the bands behind it. Raises ContentError."""
    raw = struct(HEADER, source, 0, "sparse image header")
    name, band = source.name, raw.band * SECTOR
    if raw.version != 3:
        raise UnsupportedError(f"a sparse image of version {raw.version}", file=name, at=4)
    size = (raw.sectors or raw.low) * SECTOR
    if not band or size > gate.limits.guest_size:
        text = f"{size} bytes in bands of {band}"
        raise CorruptError(f"a sparse image of {text}", file=name, at=8)
    if size > band << 32:
        raise LimitError("more bands than their numbers can say", file=name, at=28)
    bands = Entries(array("q"), array("q"), array("q"), array("q"), bytearray())
    at, header, following, nodes = 0, HEADER.sizeof(), raw.following, 1
    while True:
        _node(bands, source, at, header, band, size)
        _bounded(len(bands.start), band, source, gate.limits)
        if not following:
            break
        if following <= at:
            text = f"node {nodes} at {at} leads back to {following}"
            raise LoopError(text, file=name, at=at)
        at, header, nodes = following, FURTHER.sizeof(), nodes + 1
        following = struct(FURTHER, source, at, "a node of the sparse image").following
    info = {
        "variant": f"sparse image, {size_text(band)} bands", "sector_size": SECTOR,
        "band_size": band, "bands": len(bands.start), "nodes": nodes,
    }  # fmt: skip
    return DmgDevice(size, source, laid(bands, size, source), info)


def _bounded(count: int, band: int, source: Source, limits: Limits) -> None:
    """Each of `count` bands has a place of its own in the file. CorruptError, LimitError."""
    if (count - 1) * band > source.size:
        text = f"{count} bands of {band} bytes in a file of {source.size}"
        raise CorruptError(text, file=source.name)
    if count * BAND > limits.metadata:
        text = f"{count} bands take more memory than metadata {limits.metadata}"
        raise LimitError(text, file=source.name)


def _node(bands: Entries, source: Source, at: int, header: int, band: int, size: int) -> None:
    """The bands that the node at `at` numbers: the k-th is the k-th behind it."""
    table = array("I")
    table.frombytes(read(source, at + header, NODE - header, "a node of the sparse image"))
    if byteorder == "little":
        table.byteswap()
    for place, number in enumerate(table):
        if not number:
            continue
        start, stored = (number - 1) * band, at + NODE + place * band
        if start >= size:
            text = f"band {number - 1} begins at {start}, the disk has {size} bytes"
            raise CorruptError(text, file=source.name, at=at + header + 4 * place)
        length = min(band, size - start)
        demand(source, stored, length, f"band {number - 1}")
        for column, value in zip(bands, (start, length, stored, length, RAW), strict=True):
            column.append(value)


_DIGITS = "0123456789abcdef"


class Bands:
    """The bands of a bundle as one source; what no file holds is zeros and not stored."""

    fd: int | None = None

    def __init__(self, name: str, size: int, band: int, folder: Folder) -> None:
        self.name, self.size = name, size
        self._band, self._folder = band, folder
        told = ((name, int(name, 16)) for name in folder.names if not name.strip(_DIGITS))
        self._numbers = sorted(number for name, number in told if name == f"{number:x}")

    def _parts(self, at: int, stop: int) -> Iterator[tuple[str, int, int]]:
        """(name, first byte, bytes) of the bands of [at, stop)."""
        while at < stop:
            number, skip = divmod(at, self._band)
            length = min(self._band - skip, stop - at)
            yield f"{number:x}", skip, length
            at += length

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises DiskImageError."""
        done, stop = 0, min(at + len(buffer), self.size)
        for name, skip, length in self._parts(at, stop):
            part = buffer[done : done + length]
            got = self._folder.read_into(name, skip, part) if name in self._folder.names else 0
            part[got:] = bytes(length - got)
            done += length
        return done

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """Stored as far as the file of each band goes."""
        stop = min(stop, self.size)
        first = bisect_left(self._numbers, at // self._band)
        for number in self._numbers[first:]:
            start, end = number * self._band, (number + 1) * self._band
            if start >= stop:
                break
            there = self._folder.size(f"{number:x}")
            if there > self._band:
                text = f"band {number:x} has {there} bytes, a band has {self._band}"
                raise CorruptError(text, file=self.name)
            if at < start:
                yield at, start, False
                at = start
            stored = min(stop, start + there)
            if at < stored:
                yield at, stored, True
                at = stored
            if at < min(stop, end):
                yield at, min(stop, end), False
                at = min(stop, end)
        if at < stop:
            yield at, stop, False

    def close(self) -> None:
        """The folder stays its owner's."""


class BundleDevice:
    """The bytes of `content` where `bands` stores them, which may be enciphered."""

    def __init__(
        self, bands: Bands, content: Source, block: int, info: Mapping[str, object]
    ) -> None:
        self.size, self.block, self.info = bands.size, block, info
        self._bands, self._content = bands, content

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """DATA where a band has bytes, holes elsewhere."""
        return pack(self._extents(start, self.size if stop is None else min(stop, self.size)))

    def _extents(self, start: int, stop: int) -> Iterator[Extent]:
        for at, end, stored in self._bands.spans(start, stop):
            if stored:
                yield Extent(at, end - at, Kind.DATA, source=self._content, at=at)
            else:
                yield Extent(at, end - at, Kind.ZERO, hole=True)


def open_bundle(source: Source, gate: Gate) -> Device:
    """A sparse bundle by its Info.plist; its bands lie in a folder beside. DiskImageError."""
    if source.size > gate.limits.text_file:
        raise LimitError(f"{source.size} bytes, over text_file", file=source.name)
    said = plist(read(source, 0, source.size, "Info.plist"), source, 0)
    version, size, band = (said.get(key) for key in _KEYS)
    if version != 1:
        raise UnsupportedError(f"a sparse bundle of version {version!r}", file=source.name)
    if not isinstance(size, int) or not isinstance(band, int) or size < 0 or band <= 0:
        raise CorruptError(f"a disk of {size!r} bytes in bands of {band!r}", file=source.name)
    if band % SECTOR or size > gate.limits.guest_size:
        raise CorruptError(f"a disk of {size} bytes in bands of {band}", file=source.name)
    folder = gate.inside(BANDS)
    bands = Bands(source.name, size, band, folder)
    token = _token(gate)
    content = bands if token is None else encrypted.over(token, bands, band, gate)
    told = [f"sparse bundle, {size_text(band)} bands", *(["encrypted"] if token else [])]
    info = {
        "variant": ", ".join(told), "sector_size": SECTOR, "band_size": band,
        "bands": len(folder.names),
    }  # fmt: skip
    return BundleDevice(bands, content, band, info)


_KEYS = ("bundle-backingstore-version", "size", "band-size")


def _token(gate: Gate) -> Source | None:
    """The header of the encryption that the file `token` has; it is empty in clear bundles."""
    if "token" not in gate.siblings():
        return None
    token = gate.part("token")
    if token.size < 8 or bytes(read(token, 0, 8, "token")) != encrypted.MAGIC:
        return None
    return token
