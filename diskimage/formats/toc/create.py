"""A disc as a table of contents and one BIN: frames as they are stored, audio big-endian.

Every frame keeps its LBA: frames that no track has are zeros before the next one, and those before
LBA 0, which a table cannot say, are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from diskimage.disc.address import time
from diskimage.disc.framing import FRAMING
from diskimage.disc.losses import MADE, lacking
from diskimage.disc.modes import (
    AUDIO,
    CDI_2336,
    CDI_2352,
    MODE0_2352,
    MODE2_2332,
    MODE2_2336,
    MODE2_2352,
    USER,
)
from diskimage.disc.recast import compact, recast, units
from diskimage.disc.subchannel import with_sub
from diskimage.disc.tracks import between, frames as stored
from diskimage.errors import UnsupportedError, UsageError
from diskimage.formats.toc.cdtext import languages, of_track, quoted, whole_disc
from diskimage.formats.toc.sheet import FLAGS, KINDS, LAYOUTS, MODES, SUBCHANNEL
from diskimage.layers.records import Placed
from diskimage.model import (
    Copy,
    Device,
    Disc,
    Layout,
    Loss,
    Mode,
    Piece,
    Plan,
    Put,
    Size,
    Track,
)
from diskimage.model.discs import SessionKind
from diskimage.sources.swap import Swap

OPTIONS = (FRAMING,)
_HOLDS = {
    "audio", "tracks", "subchannel", "rw", "subheaders", "indexes", "index2", "postgap", "titles",
    "letters", "cdtext", "catalog", "number", "isrc", "flags",
}  # fmt: skip
_NAMES = {mode: name for name, mode in MODES.items() if name != "MODE2"}


class Clip(NamedTuple):
    """`frames` frames of a track: stored from byte `to` of the BIN on, or zeros (None)."""

    frames: int
    to: int | None = None


@dataclass(frozen=True, slots=True)
class Laid:
    """A track as the table has it: from LBA `start`, its clips in order, its bytes."""

    track: Track
    mode: Mode
    layout: Layout | None
    start: int
    clips: tuple[Clip, ...]
    devices: tuple[tuple[int, Device], ...]


def losses(what: Disc, **_options: object) -> list[Loss]:
    """What a table cannot say: a second session, frames before LBA 0, flags and codes that it has
    no words for, and packs of R to W beside other subchannel."""
    packs = [track for track in what.tracks if track.subchannel == "rw"]
    mixed = any(_layout(track) != "rw" for track in packs)
    return [*_odd(what), *lacking(what, _HOLDS - {"rw"} if mixed else _HOLDS)]


def _odd(disc: Disc) -> Iterator[Loss]:
    if disc.catalog and not re.fullmatch(r"[0-9]{13}", disc.catalog):
        yield Loss("catalog", f"catalogue number {disc.catalog!r}", content=False)
    if any(track.isrc and not _isrc(track) for track in disc.tracks):
        yield Loss("catalog", "ISRC that are not of the standard's form", content=False)
    if any(_layout(track) and not _whole(track) for track in disc.tracks):
        yield MADE


def _isrc(track: Track) -> str | None:
    """The ISRC as a table takes it: of audio, twelve letters and digits."""
    code = (track.isrc or "").replace("-", "").upper()
    fits = track.mode.audio and re.fullmatch(r"[A-Z0-9]{5}[0-9]{7}", code)
    return code if fits else None


def create(what: Disc, stem: str) -> Plan:
    """A table as the main file and its BIN beside it.

    Raises UnsupportedError for a track of mode 0, UsageError for a name that a table cannot hold.
    """
    if not stem.isprintable():
        raise UsageError(f"a table cannot name {stem!r}", remedy="choose another name")
    file, to = f"{stem}.bin", 0
    laid: list[Laid] = []
    for track in what.tracks:
        one = _laid(what, track, laid, to)
        laid.append(one)
        to += sum(device.size for _, device in one.devices)
    yield Size(to, file=file)
    for one in laid:
        for at, device in one.devices:
            yield Copy(device.runs(), at, file=file)
    lines = (*_header(what), *(line for one in laid for line in _track(what, one, file)))
    text = "".join(f"{line}\n" for line in lines).encode("latin-1")
    yield Size(len(text))
    yield Put(0, text)


def _laid(disc: Disc, track: Track, before: list[Laid], to: int) -> Laid:
    """A track behind those `before`; its bytes begin at `to` of the BIN."""
    mode, layout = _mode(track), _layout(track)
    start = _stop(before[-1]) if before else 0
    clips, devices = [], []
    gap = track.pieces[0].lba - start
    if gap > 0:
        clips.append(Clip(gap))
    for piece in between(track.pieces, start, track.pieces[-1].stop):
        if piece.source is None:
            clips.append(Clip(piece.frames))
            continue
        device = _device(disc, piece, mode, layout)
        clips.append(Clip(piece.frames, to))
        devices.append((to, device))
        to += device.size
    return Laid(
        track, mode, layout, start, tuple(_merged(clips, _block(mode, layout))), tuple(devices)
    )


def _stop(one: Laid) -> int:
    return one.start + sum(clip.frames for clip in one.clips)


def _block(mode: Mode, layout: Layout | None) -> int:
    return mode.size + (SUBCHANNEL if layout else 0)


def _merged(clips: Iterable[Clip], block: int) -> Iterator[Clip]:
    """Neighbours that are one stretch of the BIN, or zeros, as one."""
    held: Clip | None = None
    for clip in clips:
        if held is None:
            held = clip
        elif clip.to == (None if held.to is None else held.to + held.frames * block):
            held = held._replace(frames=held.frames + clip.frames)
        else:
            yield held
            held = clip
    if held is not None:
        yield held


def _mode(track: Track) -> Mode:
    """The mode that a table can name: of stored frames as they are where it has a word for them."""
    mode = replace(track.mode, edc=True)
    if mode == MODE0_2352:
        raise UnsupportedError(
            f"track {track.number} is of mode 0, which a table has no word for",
            remedy="write a CUE sheet",
        )
    return {CDI_2336: MODE2_2336, CDI_2352: MODE2_2352, MODE2_2332: MODE2_2352}.get(mode, mode)


def _layout(track: Track) -> Layout | None:
    """How the table's track has its subchannel: as packs of R to W where all of it is such."""
    layouts = {p.sub.layout for p in track.pieces if p.sub is not None}
    return "rw" if layouts == {"rw"} and _whole(track) else "interleaved" if layouts else None


def _whole(track: Track) -> bool:
    """Whether all stored frames have subchannel."""
    return all(piece.sub is not None for piece in track.pieces if piece.source is not None)


def _device(disc: Disc, piece: Piece, mode: Mode, layout: Layout | None) -> Device:
    """The bytes of a stored piece in the BIN."""
    whole = with_sub(disc, piece, layout) if layout else piece
    if mode.audio:
        source = Swap(compact(piece))
        whole = replace(whole, source=source, at=0, pitch=0, tail=0)
    else:
        whole = recast(whole, mode)
    return Placed(units([whole]) if layout else stored([whole]), USER)


def _header(disc: Disc) -> Iterator[str]:
    words = {kind: word for word, kind in KINDS.items()}
    yield words[disc.sessions[0].kind or _kind(disc)]
    if disc.catalog and re.fullmatch(r"[0-9]{13}", disc.catalog):
        yield f'CATALOG "{disc.catalog}"'
    yield from whole_disc(languages(disc))


def _kind(disc: Disc) -> SessionKind:
    """What the session has to be called for its tracks."""
    names = {track.mode.name for track in disc.tracks}
    if any(name.startswith("CDI") for name in names):
        return "CDI"
    if any(name.startswith("MODE2") for name in names):
        return "CDROM_XA"
    return "CDROM" if names != {AUDIO.name} else "CDDA"


def _track(disc: Disc, one: Laid, file: str) -> Iterator[str]:
    """The lines of a track. Flags that are not set are left out: cdrdao takes no NO after a NO."""
    track, block = one.track, _block(one.mode, one.layout)
    words = {layout: word for word, layout in LAYOUTS.items()}
    yield ""
    yield f"// Track {track.number}"
    yield f"TRACK {_NAMES[one.mode]}{' ' + words[one.layout] if one.layout else ''}"
    yield from (word for word, flag in FLAGS.items() if flag in track.flags)
    if code := _isrc(track):
        yield f'ISRC "{code}"'
    yield from of_track(languages(disc), track.number)
    zeros = "SILENCE" if track.mode.audio else "ZERO"
    for clip in one.clips:
        if clip.to is None:
            yield f"{zeros} {time(clip.frames)}"
            continue
        place = f" #{clip.to}" if clip.to else ""
        if track.mode.audio and one.layout is None:
            yield f"FILE {quoted(file.encode())}{place} 0 {time(clip.frames)}"
        else:
            length = f"{time(clip.frames)} // length in bytes: {clip.frames * block}"
            yield f"DATAFILE {quoted(file.encode())}{place} {length}"
    if track.lba > one.start:
        yield f"START {time(track.lba - one.start)}"
    for number, lba in track.indexes:
        if number > 1:
            yield f"INDEX {time(lba - track.lba)}"
