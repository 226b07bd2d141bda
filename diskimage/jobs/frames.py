"""What a conversion does with the frames of a disc: mend them, keep what an ISO would lose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diskimage.disc import exceptions
from diskimage.disc.mend import mended
from diskimage.disc.modes import MODE1_2352, MODE2_2352
from diskimage.disc.tracks import Lay, assemble
from diskimage.engine.copy import Work
from diskimage.engine.policy import FramePolicy, exceptional
from diskimage.errors import UsageError
from diskimage.image import Image
from diskimage.model import Device, Disc, Finding, Format, Piece, Plan, Put, Track
from diskimage.sources.file import open_file


def content(image: Image, rules: Format, policy: FramePolicy, *, exact: bool) -> Device | Disc:
    """What of `image` a format of `rules` is to hold.

    Where `policy` repairs and the target keeps frames, a disc that is mended on reading. Where
    `exact` and a plain image becomes a disc, the disc of the frames that were kept beside it
    (`exceptions`). Raises MissingError without them, UsageError where `exact` means nothing.
    """
    if image.disc is not None:
        if exact and rules.keeps_frames:
            raise UsageError(
                "the frames are kept as they are stored", file=image.name,
                remedy="leave out --exact; it is for ISO images made of frames, and back",
            )  # fmt: skip
        if policy.repair and rules.keeps_frames:
            return mended(image.disc, policy.say)
        return image.disc
    if not exact:
        return image.device
    if not rules.disc_only:
        raise UsageError("neither side has frames", file=image.name, remedy="leave out --exact")
    return _restored(image)


def _restored(image: Image) -> Disc:
    source = open_file(str(Path(image.name).with_suffix(exceptions.SUFFIX)))
    image.keep(source)
    kept = exceptions.Kept(source, image.limits)
    made = exceptions.restored(image.as_source(), kept)
    mode = MODE1_2352 if kept.mode == 1 else MODE2_2352
    piece = Piece(0, kept.frames, made, 0, mode)
    return assemble([Lay(1, 1, mode, (piece,), ((1, 0),))], file=image.name)


def keeping(plan: Plan, image: Image, stem: str, made: Work, said: list[Finding]) -> Plan:
    """`plan`, then the frames of the data track that its user data does not make again, in a file
    beside the target; `said` is told which they are. Of an image that is no disc, `plan` alone."""
    yield from plan
    if image.disc is None:
        return
    track = _data_track(image)
    weight = sum(piece.frames * piece.pitch for piece in track.pieces)
    made.watch.begin("exceptions", weight)
    odd: list[tuple[int, int]] = []

    def noted() -> Iterator[exceptions.Exceptional]:
        for one in exceptions.of(track, lambda n: made.watch.passed(n, read=n)):
            odd.append((track.lba + one.number, 1))
            yield one

    yield Put(0, exceptions.encode(noted(), track, image.limits), file=f"{stem}{exceptions.SUFFIX}")
    said += exceptional(odd, "they are kept beside the target")


def _data_track(image: Image) -> Track:
    number = image.device.info.get("track")
    tracks = image.disc.tracks if image.disc is not None else ()
    for track in tracks:
        if track.number == number:
            return track
    raise UsageError("there is no data track whose frames could be kept", file=image.name)
