"""The tracks of a CD in a CHD: from its metadata and units of 2448 bytes to a disc.

Facts: MAME's cdrom.h and cdrom.cpp. Each track begins at a multiple of four units. A frame that is
shorter than 2352 bytes lies at the start of its unit, sound has its bytes exchanged, and the pregap
is among the stored frames only where PGTYPE begins with V.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from struct import unpack
from typing import NamedTuple

from diskimage.disc.address import LONGEST, PREGAP
from diskimage.disc.confirm import confirmed
from diskimage.disc.modes import (
    AUDIO,
    MODE1_2048,
    MODE1_2352,
    MODE2_2048,
    MODE2_2324,
    MODE2_2336,
    MODE2_2352,
    RAW,
)
from diskimage.disc.tracks import Lay, assemble
from diskimage.errors import CorruptError, UnsupportedError
from diskimage.formats.chd.facts import Facts, TrackFacts
from diskimage.formats.chd.layout import UNIT
from diskimage.model import Disc, Gate, Layout, Mode, Piece, Source, Subchannel
from diskimage.sources.swap import Swap

TEXTS = (b"CHTR", b"CHT2", b"CHGD", b"CHGT")
BINARY = b"CHCD"
ALIGN = 4  # units
HIGH_DENSITY = 45000  # LBA, of a GD-ROM
MODES = {
    "MODE1": MODE1_2048, "MODE1_RAW": MODE1_2352, "MODE2": MODE2_2336,
    "MODE2_FORM1": MODE2_2048, "MODE2_FORM2": MODE2_2324, "MODE2_FORM_MIX": MODE2_2336,
    "MODE2_RAW": MODE2_2352, "AUDIO": AUDIO, "MODE1/2048": MODE1_2048, "MODE1/2352": MODE1_2352,
    "MODE2/2336": MODE2_2336, "MODE2/2352": MODE2_2352, "CDI/2352": MODE2_2352,
}  # fmt: skip
SUBS: dict[str, Layout | None] = {"NONE": None, "RW": "rw", "RW_RAW": "interleaved"}
_BY_NUMBER = (
    "MODE1", "MODE1_RAW", "MODE2", "MODE2_FORM1", "MODE2_FORM2", "MODE2_FORM_MIX", "MODE2_RAW",
    "AUDIO",
)  # fmt: skip
_SUBS_BY_NUMBER = ("RW", "RW_RAW", "NONE")
_MOST = 99  # tracks
_PAIR = re.compile(r"([A-Z]+):(\S+)")


class Told(NamedTuple):
    """A track as the metadata says; counts are frames. `stored` of the pregap are among `frames`,
    `pad` of which follow the track; `extra` units fill up to the next one."""

    number: int
    mode: Mode
    sub: Layout | None
    frames: int
    pad: int
    pregap: int
    stored: int
    postgap: int
    extra: int
    little: bool  # sound has its bytes as a disc has them


def told_text(data: bytes, tag: bytes, file: str) -> Told:
    """The track of one text entry. CorruptError, UnsupportedError for a type of no name."""
    text = data.partition(b"\0")[0].decode("ascii", "replace")
    said = dict(_PAIR.findall(text))
    try:
        number, frames, pad, pregap, postgap = (
            int(said.get(key, "0"), 10) for key in ("TRACK", "FRAMES", "PAD", "PREGAP", "POSTGAP")
        )
    except ValueError:
        raise CorruptError(f"its metadata says {text!r}", file=file) from None
    stored = pregap if said.get("PGTYPE", "").startswith("V") else 0
    gaps = (pad, pregap, postgap)
    if not 1 <= number <= _MOST or min(frames, *gaps) < 0 or max(gaps) > LONGEST:
        raise CorruptError(f"its metadata says {text!r}", file=file)
    if pad + stored >= frames:
        raise CorruptError(
            f"track {number} is said to store a pregap of {stored} frames, {pad} behind it, and"
            f" {frames} in all",
            file=file,
            remedy="it was made from a sheet that says what its files do not hold",
        )
    return _told(
        number, said.get("TYPE", ""), said.get("SUBTYPE", "NONE"), file, frames=frames, pad=pad,
        pregap=pregap, stored=stored, postgap=postgap, extra=-frames % ALIGN, little=tag == b"CHGT",
    )  # fmt: skip


def told_binary(data: bytes, file: str) -> list[Told]:
    """The tracks of the oldest entry: numbers of four bytes, in whichever order its writer had."""
    size = 4 * (1 + 6 * _MOST)
    if len(data) < size:
        raise CorruptError(f"its list of tracks has {len(data)} bytes, not {size}", file=file)
    order = ">" if int.from_bytes(data[:4], "big") <= _MOST else "<"
    count, *words = unpack(f"{order}{1 + 6 * _MOST}I", data[:size])
    if count > _MOST:
        raise CorruptError(f"its metadata has {count} tracks", file=file)
    tracks = []
    for i in range(count):
        kind, sub, _, _, frames, extra = words[6 * i : 6 * i + 6]
        if kind >= len(_BY_NUMBER) or sub >= len(_SUBS_BY_NUMBER) or not frames:
            raise CorruptError(
                f"track {i + 1} is of type {kind}, {sub}, {frames} frames", file=file
            )
        tracks.append(
            _told(i + 1, _BY_NUMBER[kind], _SUBS_BY_NUMBER[sub], file, frames=frames, extra=extra)
        )
    return tracks


def _told(
    number: int,
    kind: str,
    sub: str,
    file: str,
    *,
    frames: int,
    extra: int,
    pad: int = 0,
    pregap: int = 0,
    stored: int = 0,
    postgap: int = 0,
    little: bool = False,
) -> Told:
    if kind not in MODES or sub not in SUBS:
        raise UnsupportedError(f"track {number} is of type {kind}, subchannel {sub}", file=file)
    return Told(number, MODES[kind], SUBS[sub], frames, pad, pregap, stored, postgap, extra, little)


def disc_of(
    tracks: Sequence[Told],
    units: Source,
    facts: Facts | None,
    gate: Gate,
    *,
    high_density: bool,
    seen: bool,
    info: dict[str, object],
) -> Disc:
    """The disc of `tracks`, whose units `units` has one behind the other; where they can be `seen`,
    they are held against the modes."""
    file = units.name
    tracks = sorted(tracks)
    if len({one.number for one in tracks}) != len(tracks):
        raise CorruptError("its metadata has a track twice", file=file)
    places = list(_places(tracks, units))
    known = None
    if facts is not None:
        known = _with_facts(tracks, places, units, facts)
        if known is None:
            gate.warn("metadata", "its PYDI metadata is that of other tracks, and left out")
            facts = None
    lays = known or list(_counted(tracks, places, units))
    return assemble(
        [confirmed(lay, file, gate, trust=False) if seen else lay for lay in lays],
        file=file,
        medium=facts.medium if facts else "GD" if high_density else "CD",
        catalog=facts.catalog if facts else None,
        text=facts.text if facts else None,
        cdtext=facts.cdtext if facts else None,
        toc=facts.toc if facts else (),
        kinds=facts.kinds if facts else None,
        info=info | ({"remarks": facts.remarks} if facts and facts.remarks else {}),
    )


def _places(tracks: Sequence[Told], units: Source) -> Iterator[int]:
    """The first unit of each track. Some writers filled up no track: where the units are just as
    many as all frames."""
    filled = sum(one.frames + one.extra for one in tracks)
    plain = sum(one.frames for one in tracks)
    count, at = units.size // UNIT, 0
    tight = count < filled - (tracks[-1].extra if tracks else 0) and count == plain
    for one in tracks:
        yield at
        at += one.frames + (0 if tight else one.extra)


def _counted(tracks: Sequence[Told], places: Sequence[int], units: Source) -> Iterator[Lay]:
    """Tracks one behind the other, from LBA 0."""
    lba, pad = 0, 0
    for i, (one, place) in enumerate(zip(tracks, places, strict=True)):
        unstored = one.pregap - one.stored
        if i == 0 and not one.mode.audio and unstored <= PREGAP:
            lba = -unstored  # of a data track it is the pregap that every disc has before LBA 0
        elif pad and lba + pad != HIGH_DENSITY:
            unstored += pad  # of a GD-ROM: what lies before a track is told behind the one before
        else:
            lba += pad
        pieces = _pieces(one, lba, unstored, place, units)
        index = lba + unstored + one.stored
        marks = ((0, index - one.stored), (1, index)) if one.stored else ((1, index),)
        lay = Lay(one.number, 1, one.mode, pieces, marks, one.postgap)
        yield lay
        lba, pad = lay.stop, one.pad


def _pieces(one: Told, lba: int, made: int, place: int, units: Source) -> tuple[Piece, ...]:
    """`made` frames that are not stored, those that are, and the postgap."""
    pieces, mode = [], one.mode
    if made:
        pieces.append(Piece(lba, made, None, 0, mode))
    frames = one.frames - one.pad
    at = place * UNIT
    sub = None if one.sub is None else Subchannel(units, at + RAW, UNIT, one.sub)
    source = Swap(units) if mode.audio and not one.little else units
    if frames:
        pieces.append(Piece(lba + made, frames, source, at, mode, pitch=UNIT, sub=sub))
    if one.postgap:
        pieces.append(Piece(lba + made + frames, one.postgap, None, 0, mode))
    return tuple(pieces)


def _with_facts(
    tracks: Sequence[Told], places: Sequence[int], units: Source, facts: Facts
) -> list[Lay] | None:
    """The tracks with the addresses that the facts give; None where these do not fit."""
    if [one.number for one in tracks] != sorted(facts.tracks):
        return None
    lays = []
    for one, place in zip(tracks, places, strict=True):
        lay = _placed(one, place, units, facts.tracks[one.number])
        if lay is None:
            return None
        lays.append(lay)
    for a, b in pairwise(lays):
        if b.start < a.stop or not a.session <= b.session <= a.session + 1:
            return None
    return lays if lays and lays[0].session == 1 else None


def _placed(one: Told, place: int, units: Source, fact: TrackFacts) -> Lay | None:
    """One track where its facts say."""
    shape = (fact.mode.size, fact.mode.audio) == (one.mode.size, one.mode.audio)
    if not shape or fact.pregap < one.stored or one.frames <= one.stored:
        return None
    absent = fact.pregap - one.stored
    hidden = max(0, fact.made - absent) if one.stored else 0  # stored for other readers alone
    kept = one._replace(mode=fact.mode, frames=one.frames - hidden)
    start = fact.lba - fact.pregap
    pieces = _pieces(kept, start, absent + hidden, place + hidden, units)
    if not all(start <= lba < pieces[-1].stop for _, lba in fact.indexes):
        return None
    return Lay(
        one.number, fact.session, fact.mode, pieces, fact.indexes, one.postgap, fact.flags,
        fact.isrc, fact.text,
    )  # fmt: skip
