"""A disc as the bytes of its first data track: what every format of plain bytes makes of one."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.disc.modes import cooks
from diskimage.errors import UsageError
from diskimage.model import Device, Disc, Loss
from diskimage.words import rounded

CONTENT = ("audio", "tracks", "sessions", "subchannel", "form2")
"""The names of what may be lost of a disc's content; form2 is met by the pass over its frames."""


def user_bytes(what: Device | Disc) -> Device:
    """A device as it is, a disc's first data track. UsageError for a disc without one."""
    if not isinstance(what, Disc):
        return what
    if what.data is None:
        raise UsageError("the disc has no data track", remedy="convert it to BIN/CUE")
    return what.data


def losses(what: Device | Disc, sector: int = 1, why: str = "") -> list[Loss]:
    """What of `what` is not in those bytes of whole sectors (`why`), as its metadata tells.

    Raises UsageError for a disc without data.
    """
    size = user_bytes(what).size
    lost = [*_content_losses(what), *_description_losses(what)] if isinstance(what, Disc) else []
    if size % sector:
        text = f"{size} bytes become {rounded(size, sector)}: {why}"
        lost.append(Loss("size", text, content=False))
    return lost


def _content_losses(disc: Disc) -> Iterator[Loss]:
    audio = [str(track.number) for track in disc.tracks if track.mode.audio]
    data = [track for track in disc.tracks if not track.mode.audio]
    taken = next((track for track in data if cooks(track.mode)), None)
    if audio:
        yield Loss("audio", f"audio of {_tracks(audio)}")
    further = [str(track.number) for track in data if track is not taken]
    if further:
        yield Loss("tracks", f"data of {_tracks(further)}")
    if len(disc.sessions) > 1:
        yield Loss("sessions", f"{len(disc.sessions)} sessions become one")
    if any(track.subchannel for track in disc.tracks):
        yield Loss("subchannel", "the subchannel of its frames")


def _tracks(numbers: list[str]) -> str:
    return f"track{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def _description_losses(disc: Disc) -> Iterator[Loss]:
    if any(track.mode.check == "mode2" for track in disc.tracks):
        yield Loss("subheaders", "the subheaders of Mode 2 frames", content=False)
    if any(track.pregap or track.postgap or len(track.indexes) > 1 for track in disc.tracks):
        yield Loss("indexes", "gaps and indexes", content=False)
    described = [disc.text, *(track.text for track in disc.tracks)]
    if any(described) or disc.cdtext is not None:
        yield Loss("titles", "titles and performers", content=False)
    if disc.catalog or any(track.isrc or track.flags for track in disc.tracks):
        yield Loss("catalog", "catalogue number, ISRC and flags", content=False)
