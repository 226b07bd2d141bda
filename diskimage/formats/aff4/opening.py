"""A container as the disk in it: the stream that its image names, by way of its map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    LoopError,
    MissingError,
    UnsupportedError,
    UsageError,
)
from diskimage.formats.aff4.streams import (
    ENCRYPTED,
    MAPS,
    STREAMS,
    UNKNOWN,
    Mapped,
    Shape,
    chunked,
    rows,
    shape,
    symbol,
)
from diskimage.formats.aff4.turtle import Literal
from diskimage.formats.aff4.volume import LEGACY, METADATA, STANDARD, Volume, load, thing
from diskimage.layers.blank import Blank
from diskimage.model import Bid, Device, Gate, Look, Source
from diskimage.words import size_text

IMAGES = tuple(STANDARD + name for name in ("DiskImage", "ContiguousImage", "Image"))
LOGICAL = tuple(STANDARD + name for name in ("FileImage", "FolderImage", "Folder"))
SUFFIXES = (".aff4", ".af4")
DEPTH = 8  # maps of maps
NEIGHBOURS = 64  # containers beside it that are asked for a stream
_ZIP = b"PK\x03\x04"


class Chosen(NamedTuple):
    """An image, "" where the container has none, and the stream with its bytes."""

    image: str
    stream: str


class Opened(NamedTuple):
    """A disk, and what it is made of: streams of chunks with their shapes, and maps, each with the
    container that holds it."""

    device: Device
    shapes: dict[str, tuple[Volume, Shape]]
    maps: dict[str, Volume]


def probe(look: Look) -> Bid | None:
    """A zip archive that begins or ends with what containers have."""
    if not look.head.startswith(_ZIP):
        return None
    first = look.head[30 : 30 + int.from_bytes(look.head[26:28], "little")]
    if first.lstrip(b"/") == b"container.description" or METADATA.encode() in look.tail:
        return Bid(95, "a zip archive with the metadata of AFF4")
    return None


def open_aff4(source: Source, gate: Gate, *, image: object = None) -> Device:
    """The disk: `image` is the name or the number, from 1 on, of one of several."""
    volume = load(source, gate)
    chosen = _chosen(volume, image)
    streams = _Streams(volume, gate)
    inner = streams.device(chosen.stream, ())
    unknown = sum(streams.unknown.values())
    if unknown:
        text = f"{size_text(unknown)} were not acquired: they read as the text UNKNOWN, repeated"
        gate.warn("unknown", text)
    return _Told(inner, _info(volume, chosen, streams))


def opened(volume: Volume, chosen: Chosen, gate: Gate) -> Opened:
    """An image with text in place of what could not be read, as hashes count it."""
    streams = _Streams(volume, gate, bad=False)
    return Opened(streams.device(chosen.stream, ()), streams.shapes, streams.maps)


class _Told:
    """A stream, and what is said of it."""

    def __init__(self, device: Device, info: dict[str, object]) -> None:
        self.size, self.block, self.info = device.size, device.block, info
        self.runs = device.runs


def _chosen(volume: Volume, image: object) -> Chosen:
    """The one image, or the one that is asked for. UsageError, UnsupportedError."""
    file = volume.source.name
    found = list(images(volume))
    if not found:
        if volume.things(*ENCRYPTED):
            raise UnsupportedError("is encrypted", file=file)
        if volume.things(*LOGICAL):
            raise UnsupportedError("holds files, not a disk (logical evidence)", file=file)
        raise UnsupportedError("holds no image of a disk", file=file)
    if image is None:
        if len(found) == 1:
            return found[0]
        named = ", ".join(one.image or one.stream for one in found[:16])
        first = found[0].image or found[0].stream
        raise UsageError(f"holds {len(found)} images: {named}", file=file,
                         remedy=f"say which with --open-option image={first}")  # fmt: skip
    for number, one in enumerate(found, 1):
        if str(image) in (one.image, one.stream, str(number)):
            return one
    raise UsageError(f"has no image {image!r}", file=file,
                     remedy=f"a number from 1 to {len(found)}")  # fmt: skip


def images(volume: Volume) -> Iterator[Chosen]:
    """Images and their streams; without any, the streams that nothing else is made of."""
    done = set[str]()
    for urn in volume.things(*IMAGES):
        for one in volume.values(urn, "dataStream"):
            stream = thing(one)
            if stream and stream not in done and not volume.types(urn) & set(LOGICAL):
                done.add(stream)
                yield Chosen(urn, stream)
    if done or volume.things(*LOGICAL):
        return
    maps = volume.things(*MAPS)
    for stream in maps or volume.things(*STREAMS):
        if stream not in done:
            done.add(stream)
            yield Chosen("", stream)


class _Streams:
    """Streams as devices, those of other containers of the set too."""

    def __init__(self, volume: Volume, gate: Gate, *, bad: bool = True) -> None:
        self._volume, self._gate, self._bad = volume, gate, bad
        self._volumes = [volume]
        self._beside: list[str] | None = None
        self._made: dict[str, Device] = {}
        self.shapes: dict[str, tuple[Volume, Shape]] = {}
        self.maps: dict[str, Volume] = {}
        self.unknown: dict[str, int] = {}

    @property
    def holders(self) -> list[Volume]:
        """The containers of what was opened."""
        return [volume for volume, _ in self.shapes.values()] + list(self.maps.values())

    def device(self, urn: str, above: tuple[str, ...]) -> Device:
        """The stream of that name, made of those it maps. Raises what is wrong with it."""
        if urn in above:
            raise LoopError(f"the map {urn} is made of itself", file=self._volume.source.name)
        if len(above) > DEPTH:
            raise LimitError(f"more than {DEPTH} maps of maps", file=self._volume.source.name)
        if urn not in self._made:
            self._made[urn] = symbol(urn, bad=self._bad) or self._stored(urn, above)
        return self._made[urn]

    def _stored(self, urn: str, above: tuple[str, ...]) -> Device:
        volume = self._holder(urn)
        types = volume.types(urn)
        if types & set(ENCRYPTED):
            raise UnsupportedError(f"the stream {urn} is encrypted", file=volume.source.name)
        if types & set(MAPS):
            return self._mapped(volume, urn, (*above, urn))
        if types & set(STREAMS):
            told = shape(volume, urn, self._gate.limits)
            self.shapes[urn] = (volume, told)
            return chunked(volume, told, self._gate.limits)
        raise UnsupportedError(f"{urn} is no stream that is known", file=volume.source.name)

    def _mapped(self, volume: Volume, urn: str, above: tuple[str, ...]) -> Device:
        limits, file = self._gate.limits, volume.source.name
        self.maps[urn] = volume
        data = volume.content(f"{urn}/map", limits.metadata, "metadata")
        names = volume.content(f"{urn}/idx", limits.text_file, "text_file")
        if data is None or names is None:
            raise CorruptError(f"the map {urn} or its index is not there", file=file)
        targets = names.decode("utf-8", "replace").splitlines()
        if len(targets) > limits.text_entries:
            raise LimitError(f"a map of {len(targets)} streams, over text_entries", file=file)
        found = rows(data, file)
        size = volume.number(urn, "size")
        if size is None:
            size = found.start[-1] + found.length[-1] if found.start else 0
        if size > limits.guest_size:
            raise LimitError(f"guest size {size} is over guest_size", file=file)
        used = set(found.target)
        devices = [
            self.device(name.strip(), above) if number in used else Blank(0)
            for number, name in enumerate(targets)
        ]
        told = volume.text(urn, "mapGapDefaultStream")
        gap = self.device(told or STANDARD + "Zero", above)
        here = {n for n, name in enumerate(targets) if name.strip().endswith("#" + UNKNOWN)}
        if here:
            pairs = zip(found.length, found.target, strict=True)
            self.unknown[urn] = sum(length for length, target in pairs if target in here)
        return Mapped(size, found, devices, gap, file)

    def _holder(self, urn: str) -> Volume:
        """The container that holds a stream: this one, or one beside it. MissingError."""
        for volume in self._volumes:
            if self._holds(volume, urn):
                return volume
        while (other := self._another()) is not None:
            if self._holds(other, urn):
                return other
        raise MissingError(
            f"the stream {urn} is in another container, which is not beside it",
            file=self._volume.source.name,
            remedy="put all containers of the image in one directory",
        )

    @staticmethod
    def _holds(volume: Volume, urn: str) -> bool:
        """Whether a container has the stream itself, not just a word of it."""
        types = volume.types(urn)
        if types & set(MAPS):
            return volume.member(f"{urn}/map") is not None
        if types & set(STREAMS):
            held = volume.number(urn, "size") == 0
            return held or volume.member(f"{urn}/{0:08}") is not None
        return bool(types & set(ENCRYPTED))

    def _another(self) -> Volume | None:
        """The next container of the image's directory that can be read; None after the last."""
        if self._beside is None:
            own = self._volume.source.name.replace("\\", "/").rpartition("/")[2]
            names = self._gate.siblings()
            self._beside = [n for n in names if n.lower().endswith(SUFFIXES) and n != own]
            del self._beside[NEIGHBOURS:]
        while self._beside:
            name = self._beside.pop(0)
            try:
                volume = load(self._gate.part(name), self._gate)
            except DiskImageError as error:
                self._gate.warn("part", f"{name} beside it was not looked at: {error.message}")
                continue
            self._volumes.append(volume)
            return volume
        return None


def hashes(volume: Volume, urn: str, name: str = "hash") -> dict[str, str]:
    """The digests that are said of a thing, by the name of the algorithm in lower case."""
    found = dict[str, str]()
    for one in volume.values(urn, name):
        if isinstance(one, Literal) and one.type:
            algorithm = one.type.removeprefix(STANDARD).removeprefix(LEGACY)
            found[algorithm.lower()] = one.value.lower()
    return found


def _info(volume: Volume, chosen: Chosen, streams: _Streams) -> dict[str, object]:
    """What `info` shows."""
    names = {told.codec.name if told.codec else "plain" for _, told in streams.shapes.values()}
    chunks = {size_text(told.chunk) for _, told in streams.shapes.values()}
    version = f"{volume.version.get('major', '0')}.{volume.version.get('minor', '0')}"
    shown: dict[str, object] = {
        "variant": ", ".join([f"AFF4 {version}", *sorted(names), *(f"{c} chunks" for c in chunks)]),
        "image": chosen.image or None,
        "stream": chosen.stream,
        "tool": volume.version.get("tool"),
        "volumes": len({one.source.name for one in (volume, *streams.holders)}),
        **hashes(volume, chosen.image or chosen.stream),
    }
    sector = volume.number(chosen.image, "blockSize") if chosen.image else None
    if sector in (512, 1024, 2048, 4096):
        shown["sector_size"] = sector
    if streams.unknown:
        shown["unknown"] = sum(streams.unknown.values())
    return shown
