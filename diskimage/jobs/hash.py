"""Digests of an image's guest bytes, of its tracks, or of its blocks, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Unpack

from diskimage.disc.tracks import whole_track
from diskimage.engine.copy import Work, digest
from diskimage.engine.digest import canonical, running
from diskimage.engine.guard import guarded
from diskimage.engine.manifest import block_digests
from diskimage.engine.progress import Report
from diskimage.engine.salvage import WHOLE, Survey, salvaged
from diskimage.errors import UsageError
from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, told, work
from diskimage.kernels import digests
from diskimage.layers.bmap import BLOCK, Bmap, RangeSums, stored, text
from diskimage.model import Device, Disc, Finding, Track
from diskimage.ranges import Ranges
from diskimage.sources.anything import What

DEFAULT = ("sha256",)
DATABASE = ("crc32", "md5", "sha1")  # what preservation databases have of a track


@dataclass(frozen=True, slots=True)
class Hashed:
    """Digests by name of `size` bytes; `track` where they are of one track's stored frames; `bad`
    the bytes that could not be read and count as zeros, where the rest was salvaged, `faults` what
    was wrong in opening it."""

    size: int
    digests: Mapping[str, str]
    track: int | None = None
    warnings: tuple[Finding, ...] = ()
    bad: Ranges = field(default_factory=Ranges)
    faults: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, object]:
        """One document."""
        document: dict[str, object] = {"size": self.size, "digests": dict(self.digests)}
        if self.bad:
            document["bad"] = [[r.start, r.length] for r in self.bad]
        if self.faults:
            document["faults"] = told(self.faults)
        if self.track is not None:
            document = {"track": self.track} | document
        return document | {"warnings": told(self.warnings)}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The digest of each `block_size` bytes, in order; the last block may be short.

    `packed` is all digests one after the other, `blocks` the same as hexadecimal digits.
    """

    size: int
    algorithm: str
    block_size: int
    packed: bytes
    warnings: tuple[Finding, ...] = ()

    @property
    def blocks(self) -> Iterator[str]:
        """The digests as text."""
        width = digests.SIZES[self.algorithm]
        return (self.packed[at : at + width].hex() for at in range(0, len(self.packed), width))

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "size": self.size, "algorithm": self.algorithm, "block_size": self.block_size,
            "blocks": list(self.blocks), "warnings": told(self.warnings),
        }  # fmt: skip


def hash(
    image: What | Image,
    names: Iterable[str] = DEFAULT,
    *,
    track: int | None = None,
    salvage: bool = False,
    progress: Report | None = None,
    cancel: Event | None = None,
    threads: int | None = None,
    **how: Unpack[Opening],
) -> Hashed:
    """Digests of the guest bytes, or of one `track`'s frames as stored; zeros are not read.

    `salvage` reads all of it first, and takes as zeros and lists what cannot be read.
    Raises UsageError for a disc without data, or with several data tracks and none chosen.
    """
    with opened(image, salvage=salvage, **how) as found:
        device = found.device if track is None else _main(_track(found, track))
        if track is None:
            demand_one_data_track(found)
        made = work(progress, cancel, threads, found.policy)
        device, tried = salvaged(device, made) if salvage else (device, WHOLE)
        return _digested(device, names, track, found, made, tried)


def hash_tracks(
    image: What | Image,
    names: Iterable[str] = DATABASE,
    *,
    progress: Report | None = None,
    cancel: Event | None = None,
    threads: int | None = None,
    **how: Unpack[Opening],
) -> list[Hashed]:
    """Digests of every track's stored frames, its pregap included: as databases count them."""
    names = tuple(names)
    with opened(image, **how) as found:
        made = work(progress, cancel, threads, found.policy)
        return [
            _digested(whole_track(track), names, track.number, found, made)
            for track in _disc(found).tracks
        ]


def manifest(
    image: What | Image,
    block_size: int,
    algorithm: str = "sha256",
    *,
    progress: Report | None = None,
    cancel: Event | None = None,
    threads: int | None = None,
    **how: Unpack[Opening],
) -> Manifest:
    """The digest of each `block_size` guest bytes: md5, sha1 or sha256."""
    algorithm = canonical(algorithm)
    with opened(image, **how) as found:
        demand_one_data_track(found)
        made = work(progress, cancel, threads, found.policy)
        made.watch.begin("hash", found.size)
        packed = block_digests(found.device, algorithm, block_size, made)
        return Manifest(found.size, algorithm, block_size, packed, found.warnings)


@dataclass(frozen=True, slots=True)
class BlockMap:
    """The ranges of an image that take space, zeros too, each with its SHA-256; `text` the bmap."""

    bmap: Bmap
    warnings: tuple[Finding, ...] = ()

    @property
    def text(self) -> bytes:
        """A file of version 2.0."""
        return text(self.bmap)

    def to_json(self) -> dict[str, object]:
        """One document."""
        rows = zip(self.bmap.ranges, self.bmap.digests, strict=True)
        return {
            "size": self.bmap.size, "algorithm": self.bmap.algorithm,
            "block_size": self.bmap.block, "mapped": self.bmap.mapped,
            "ranges": [{"start": r.start, "length": r.length, "digest": d} for r, d in rows],
            "warnings": told(self.warnings),
        }  # fmt: skip


def block_map(
    image: What | Image,
    *,
    progress: Report | None = None,
    cancel: Event | None = None,
    threads: int | None = None,
    **how: Unpack[Opening],
) -> BlockMap:
    """The bmap of an image: what takes no space in it is left out, as what does not matter."""
    with opened(image, **how) as found:
        demand_one_data_track(found)
        made = work(progress, cancel, threads, found.policy)
        made.watch.begin("hash", found.size)
        ranges, digests = stored(found.device), list[str]()
        sums = RangeSums(ranges, DEFAULT[0], lambda _, digits: digests.append(digits))
        digest(guarded(found.device), (sums,), made)
        bmap = Bmap("2.0", found.size, BLOCK, ranges, DEFAULT[0], tuple(digests))
        return BlockMap(bmap, found.warnings)


def _digested(
    device: Device, names: Iterable[str], track: int | None, image: Image, made: Work,
    tried: Survey = WHOLE,
) -> Hashed:  # fmt: skip
    sums = running(names)
    if not sums:
        raise UsageError("no digest is named", remedy="name one, as sha256")
    made.watch.begin("hash", device.size)
    digest(guarded(device), tuple(sums.values()), made)
    texts = {name: one.hexdigest() for name, one in sums.items()}
    said = (*image.warnings, *tried.reasons)
    return Hashed(device.size, texts, track, said, tried.bad, image.faults)


def _disc(image: Image) -> Disc:
    if image.disc is None:
        text = f"a {image.format} image has no tracks"
        raise UsageError(text, file=image.name, remedy="hash all of it: leave out --track")
    return image.disc


def _track(image: Image, number: int) -> Track:
    tracks = _disc(image).tracks
    for track in tracks:
        if track.number == number:
            return track
    raise UsageError(f"no track {number}", file=image.name, remedy=f"one of: {_numbers(tracks)}")


def _main(track: Track) -> Device:
    assert track.main is not None
    return track.main


def demand_one_data_track(image: Image) -> None:
    """UsageError where a disc's bytes could be those of no track, or of several."""
    if image.disc is None:
        return
    data = [track for track in image.disc.tracks if not track.mode.audio]
    if image.disc.data is None:
        raise UsageError(
            f"the disc has no data track to read, only {_numbers(image.disc.tracks)}",
            file=image.name,
            remedy="name one with --track, or take --all-tracks",
        )
    if len(data) > 1:
        raise UsageError(
            f"the disc has several data tracks: {_numbers(data)}",
            file=image.name,
            remedy="name one with --track, or take --all-tracks",
        )


def _numbers(tracks: Iterable[Track]) -> str:
    return ", ".join(f"{track.number} ({track.mode.name})" for track in tracks)
