"""A plain image of 2048-byte sectors as a disc of one data track."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from diskimage.disc.address import LONGEST
from diskimage.disc.modes import MODE1_2048, MODE1_2352, MODE2_2352, USER
from diskimage.disc.tracks import Lay, assemble
from diskimage.errors import UnsupportedError, UsageError
from diskimage.model import Device, Disc, Format, Loss, Option, Piece, Source
from diskimage.sources.uncook import uncook

FRAMES = {"mode1": MODE1_2352, "mode2": MODE2_2352, "2048": MODE1_2048}
FRAMING = Option("frames", ", ".join(FRAMES), "how a plain image is framed")


def framed(source: Source, frames: object = "mode1") -> Disc:
    """The disc whose only track holds `source` from LBA 0.

    `frames`: "mode1" and "mode2" (Form 1) make whole frames on reading, "2048" keeps the sectors.
    Raises UsageError for another word, UnsupportedError where the size is no multiple of 2048.
    """
    mode = FRAMES.get(str(frames))  # an option's value: whatever the caller passed
    if mode is None:
        raise UsageError(f"frames={frames!r}", remedy=f"one of {', '.join(FRAMES)}")
    if source.size % USER or not source.size:
        raise UnsupportedError(
            f"{source.size} bytes are not whole sectors of 2048 bytes",
            file=source.name,
            remedy="a disc holds whole sectors; pad the image first",
        )
    made: Source = source if mode.size == USER else uncook(source, 2 if frames == "mode2" else 1)
    piece = Piece(0, source.size // USER, made, 0, mode)
    lay = Lay(1, 1, mode, (piece,), ((1, 0),))
    return assemble([lay], file=source.name, info={"variant": mode.name})


def taken(
    rules: Format,
    what: Device | Disc,
    source: Callable[[], Source],
    options: Mapping[str, object],
) -> tuple[Device | Disc, dict[str, object], list[Loss]]:
    """What `rules.create` and `rules.losses` take of `what`, their options, and what framing loses.

    A format of discs alone gets a device as the disc of its bytes, which `source` gives: in frames
    of Mode 1 unless an option says else, or as it is where no CD, whose headers tell times, is as
    long.
    """
    left = dict(options)
    if not rules.disc_only:
        return what, left, []
    long = not isinstance(what, Disc) and what.size // USER > LONGEST
    frames = left.pop(FRAMING.name, "2048" if long else "mode1")
    if isinstance(what, Disc):
        return what, left, []
    message = "header addresses start again after 99:59:74; frames=2048 keeps none"
    lost = [Loss("addresses", message, content=False)] if long and frames != "2048" else []
    return framed(source(), frames), left, lost
