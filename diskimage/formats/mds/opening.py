"""From a descriptor to a disc: its data files opened through the gate, its tracks put in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diskimage.disc.address import lba as lba_of
from diskimage.disc.confirm import confirmed
from diskimage.disc.modes import (
    AUDIO,
    MODE1_2048,
    MODE1_2352,
    MODE2_2048,
    MODE2_2324,
    MODE2_2332,
    MODE2_2336,
    MODE2_2352,
)
from diskimage.disc.subchannel import FLAGS
from diskimage.disc.tracks import Lay, assemble
from diskimage.disc.volume import weigh_disc
from diskimage.errors import CorruptError, UnsupportedError
from diskimage.formats.mds.describing import describe
from diskimage.formats.mds.files import Files, opened
from diskimage.formats.mds.layout import (
    LEADOUT,
    SIGNATURE,
    SUBCHANNEL,
    Descriptor,
    Entry,
    load,
)
from diskimage.formats.mds.placing import Placed, gaps, place
from diskimage.kernels.subchannel import SUB
from diskimage.model import Bid, Disc, Gate, Look, Mode, Piece, Source
from diskimage.model.discs import SessionKind

_MODE2 = (MODE2_2048, MODE2_2324, MODE2_2332, MODE2_2336, MODE2_2352)
_SHAPES = {
    0: _MODE2, 1: (AUDIO,), 2: (MODE1_2048, MODE1_2352), 3: _MODE2, 4: _MODE2, 5: _MODE2, 7: _MODE2,
}  # fmt: skip
"""By the low bits of a row's mode. Form 1 and 2 have numbers of their own, and frames of 2336 or
2352 bytes say themselves which they are."""
_KINDS: dict[int, SessionKind] = {0x10: "CDI", 0x20: "CDROM_XA"}  # PSEC of point A0
_FIRST_POINT = 0xA0
_OF_DATA = {"DCP"}  # flags that the control of a data track has; its other bits mean other things


def probe(look: Look) -> Bid | None:
    """The signature and the version's first byte."""
    if look.head.startswith(SIGNATURE + b"\x01"):
        return Bid(95, f"{SIGNATURE.decode()} at 0, version 1")
    return None


def open_mds(source: Source, gate: Gate) -> Disc:
    """The disc that `source` describes. Its data files are parts beside it.

    Raises CorruptError, TruncatedError, LimitError, UnsupportedError, and what the gate says of a
    file: MissingError, RefusedReferenceError, UnsafeNameError.
    """
    told = load(source, gate.limits)
    modes = [_mode(entry, source.name, gate) for entry in told.entries]
    files = opened(told.entries, source, gate)
    lays: list[Lay] = []
    for placed, of_track, mode in zip(_placed(told.entries, files), files, modes, strict=True):
        opening = not lays or lays[-1].session != placed.entry.session
        lay = _lay(placed, of_track, mode, opening=opening)
        _say(placed, lay, gate)
        lays.append(confirmed(lay, source.name, gate, trust=False))
    _weigh_leadouts(told, lays, gate)
    used = {name: None for each in files for name in each.names}
    disc = assemble(
        lays,
        file=source.name,
        medium="DVD" if told.dvd else "CD",
        toc=told.toc,
        kinds=dict(_session_kinds(told, lays)),
        info=describe(told, source, gate) | {"files": list(used)},
    )
    weigh_disc(disc, gate)
    return disc


def _mode(entry: Entry, file: str, gate: Gate) -> Mode:
    """The shape of a track's main channel."""
    row = entry.row
    if row.subchannel not in (0, SUBCHANNEL):
        text = f"track {entry.number} has subchannel of kind {row.subchannel}"
        raise UnsupportedError(text, file=file, remedy="kinds 0 (none) and 8 (96 bytes) are known")
    if row.subbed and row.subchannel != SUBCHANNEL:
        text = f"track {entry.number}: frames of {row.size} bytes, and no word of subchannel"
        gate.warn("subchannel", text, row.start)
    main = row.size - SUB if row.subbed else row.size
    for mode in _SHAPES.get(row.mode & 7, ()):
        if mode.size == main:
            return mode
    text = f"track {entry.number} of kind {row.mode:#04x} has frames of {row.size} bytes"
    raise CorruptError(text, file=file)


def _placed(entries: Sequence[Entry], files: Sequence[Files]) -> list[Placed]:
    """Where each track is in its files, which it may share with others."""
    before = list(gaps(entries))
    found: dict[int, Placed] = {}
    for one in dict.fromkeys(files):
        own = [i for i, each in enumerate(files) if each is one]
        tracks = [(entries[i], before[i]) for i in own]
        found |= zip(own, place(tracks, one.size, one.tells), strict=True)
    return [found[i] for i in range(len(entries))]


def _lay(placed: Placed, files: Files, mode: Mode, *, opening: bool) -> Lay:
    """A track. A pregap that is not stored is made up, but before the first track of a session
    (`opening`), where the lead-in is; what the disc hides before a first track is made up too."""
    entry, row = placed.entry, placed.entry.row
    gap, pieces = placed.pregap, []
    if opening and not placed.stored:
        gap = max(0, row.start) if entry.session == 1 else 0
    frames, at = entry.length, placed.at
    if placed.stored:
        frames, at = gap + frames, at - gap * row.size
    elif gap:
        pieces.append(Piece(row.start - gap, gap, None, 0, mode))
    first = row.start - gap if placed.stored else row.start
    pieces += files.pieces(first, frames, at, mode, row.size, sub=row.subbed)
    if not pieces:
        raise CorruptError(f"track {entry.number} has no frames", file=files.names[0])
    indexes = ((0, row.start - gap), (1, row.start)) if gap else ((1, row.start),)
    flags = frozenset(name for name, bit in FLAGS.items() if row.control & bit)
    return Lay(
        entry.number, entry.session, mode, tuple(pieces), indexes,
        flags=flags if mode.audio else flags & _OF_DATA,
    )  # fmt: skip


def _say(placed: Placed, lay: Lay, gate: Gate) -> None:
    """What is odd about a pregap."""
    entry = placed.entry
    if placed.odd:
        gate.warn("pregap", f"track {entry.number}: {placed.odd}", entry.row.start)
    if entry.number == 1 and lay.pieces[0].source is None:
        text = f"{entry.row.start} frames before track 1 are not stored: hidden audio is not there"
        gate.warn("pregap", text, lay.start)


def _weigh_leadouts(told: Descriptor, lays: Sequence[Lay], gate: Gate) -> None:
    """Warn where the table of contents has a session end elsewhere than its tracks."""
    for row in told.toc:
        stops = [lay.stop for lay in lays if lay.session == row.session]
        if row.point == LEADOUT and lba_of(*row.pointed) != stops[-1]:
            text = f"session {row.session} ends at LBA {stops[-1]}, its table of contents says "
            gate.warn("toc", f"{text}{lba_of(*row.pointed)}", stops[-1])


def _session_kinds(told: Descriptor, lays: Sequence[Lay]) -> Iterator[tuple[int, SessionKind]]:
    """What each session is, as point A0 tells; one that is no more than a CD is told by tracks."""
    for row in told.toc:
        if row.point == _FIRST_POINT:
            audio = all(lay.mode.audio for lay in lays if lay.session == row.session)
            plain: SessionKind = "CDDA" if audio else "CDROM"
            yield row.session, _KINDS.get(row.pointed[1], plain)
