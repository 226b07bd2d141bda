"""What a disc has that a container cannot hold, by name."""

from __future__ import annotations

from collections.abc import Container, Iterator

from diskimage.disc.modes import cooks
from diskimage.disc.subchannel import carries
from diskimage.model import Disc, Loss

CONTENT = ("audio", "tracks", "sessions", "subchannel", "form2", "snapshots")
"""The names of what may be lost of content; form2 is met by the pass over a disc's frames."""

MADE = Loss("made", "subchannel, from the table of contents", content=False)
"""What a writer tells that puts in what the source does not store: no loss, and yet to be said."""

_TOLD = 1  # the index that every container has
_LATIN = 0x100  # letters of ISO 8859-1, which packs made from titles are written in


def lacking(disc: Disc, holds: Container[str]) -> list[Loss]:
    """What of `disc` a container lacks that `holds` only what is named.

    Content: audio, tracks (data tracks after the first), sessions, subchannel (and rw: packs of R
    to W alone). Description: subheaders, pregap (stored frames before LBA 0), indexes (gaps and
    indexes; else index2, those from 2 on, and postgap), titles (else letters, those outside of ISO
    8859-1 where no packs are stored), cdtext (other languages than the first), catalog (catalogue
    number, ISRC and flags; else number, isrc, flags, scms), toc.
    """
    return [*_content(disc, holds), *_description(disc, holds)]


def _content(disc: Disc, holds: Container[str]) -> Iterator[Loss]:
    audio = [str(track.number) for track in disc.tracks if track.mode.audio]
    if audio and "audio" not in holds:
        yield Loss("audio", f"audio of {_tracks(audio)}")
    data = [track for track in disc.tracks if not track.mode.audio]
    taken = next((track for track in data if cooks(track.mode)), None)
    further = [str(track.number) for track in data if track is not taken]
    if further and "tracks" not in holds:
        yield Loss("tracks", f"data of {_tracks(further)}")
    if len(disc.sessions) > 1 and "sessions" not in holds:
        yield Loss("sessions", f"{len(disc.sessions)} sessions become one")
    layouts = {track.subchannel for track in disc.tracks} - {None}
    if layouts and "subchannel" not in holds:
        more = "rw" in layouts or carries(disc)
        told = "" if more else ", which says no more than its tracks do"
        yield Loss("subchannel", f"the subchannel of its frames{told}", content=more)
    elif "rw" in layouts and "rw" not in holds:
        yield Loss("subchannel", "packs of R to W, whose interleaving is gone")


def _tracks(numbers: list[str]) -> str:
    return f"track{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def _description(disc: Disc, holds: Container[str]) -> Iterator[Loss]:
    tracks = disc.tracks
    if "subheaders" not in holds and any(track.mode.check == "mode2" for track in tracks):
        yield Loss("subheaders", "the subheaders of Mode 2 frames", content=False)
    gaps = any(track.pregap or track.postgap or len(track.indexes) > 1 for track in tracks)
    if "indexes" in holds:
        yield from _marks(disc, holds)
    elif gaps:
        yield Loss("indexes", "gaps and indexes", content=False)
    if "pregap" not in holds and "indexes" in holds and _stored_before_zero(disc):
        yield Loss("pregap", "the stored frames before LBA 0", content=False)
    if "titles" not in holds:
        if any((disc.text, disc.cdtext, *(track.text for track in tracks))):
            yield Loss("titles", "titles and performers", content=False)
    elif disc.cdtext and "cdtext" not in holds:
        yield Loss("titles", "CD-TEXT but for its first titles and performers", content=False)
    elif not disc.cdtext and "letters" not in holds and not _latin(disc):
        yield Loss("titles", "letters of titles that ISO 8859-1 lacks", content=False)
    yield from _codes(disc, holds)
    if disc.toc and "toc" not in holds:
        yield Loss("toc", "the table of contents of the lead-in as stored", content=False)


def _marks(disc: Disc, holds: Container[str]) -> Iterator[Loss]:
    """Indexes from 2 on, and what lies behind a track."""
    further = any(number > _TOLD for track in disc.tracks for number, _ in track.indexes)
    if further and "index2" not in holds:
        yield Loss("indexes", "indexes from 2 on", content=False)
    if "postgap" not in holds and any(track.postgap for track in disc.tracks):
        text = "postgaps: they become frames of a track, or of the pregap behind them, or nothing"
        yield Loss("indexes", text, content=False)


def _latin(disc: Disc) -> bool:
    texts = (disc.text, *(track.text for track in disc.tracks))
    return all(ord(letter) < _LATIN for text in texts for one in text.values() for letter in one)


def _stored_before_zero(disc: Disc) -> bool:
    first = disc.tracks[0].pieces[0]
    return first.lba < 0 and first.source is not None


def _codes(disc: Disc, holds: Container[str]) -> Iterator[Loss]:
    """Catalogue number, ISRC and flags."""
    isrc = any(track.isrc for track in disc.tracks)
    flags = {flag for track in disc.tracks for flag in track.flags}
    if "catalog" not in holds:
        if disc.catalog or isrc or flags:
            yield Loss("catalog", "catalogue number, ISRC and flags", content=False)
        return
    if disc.catalog and "number" not in holds:
        yield Loss("catalog", "catalogue number", content=False)
    if isrc and "isrc" not in holds:
        yield Loss("catalog", "ISRC of tracks", content=False)
    if flags and "flags" not in holds:
        yield Loss("catalog", "flags of tracks", content=False)
    elif "SCMS" in flags and "scms" not in holds:
        yield Loss("catalog", "the flag SCMS of tracks", content=False)
