"""GDI sheets of GD-ROM dumps, and the files they name: a line a track, with its LBA.

Facts: what emulators and dumping programs agree on. A GD-ROM has an area of single density from
LBA 0 and one of high density from LBA 45000; what lies between is on no dump. docs/formats/gdi.md
draws it. Read alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from diskimage.disc.confirm import confirmed, raw_mode_shown
from diskimage.disc.modes import AUDIO, MODE1_2048, MODE1_2352
from diskimage.disc.named import part, text
from diskimage.disc.subchannel import DATA, FLAGS
from diskimage.disc.tracks import Lay, assemble
from diskimage.disc.volume import weigh_disc
from diskimage.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from diskimage.model import Bid, Disc, Format, Gate, Look, Mode, Piece, Source

HIGH_DENSITY = 45000  # LBA where the second area begins
END = 549150  # LBA after its last frame
TRACKS = 99
_DIGITS = 18  # no number of a sheet has more
_MODES = {2352: MODE1_2352, 2048: MODE1_2048}


class Entry(NamedTuple):
    """A line: where a track begins on the disc, its control bits, and its frames in a file."""

    line: int
    number: int
    lba: int
    control: int
    size: int
    name: str
    at: int


def probe(look: Look) -> Bid | None:
    """A number alone, then a track's line; the suffix has to agree, as any text may hold these."""
    if look.suffix != ".gdi":
        return None
    lines = [line for line in _lines(look.head[:4096]) if line.strip()]
    if len(lines) < 2 or _number(lines[0].strip()) is None or _fields(lines[1]) is None:
        return None
    return Bid(95, "a count and a track's line, suffix .gdi")


def _lines(data: bytes) -> list[str]:
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        decoded = data.decode("cp1252", "replace")
    return re.split(r"\r\n|\r|\n", decoded)


def _number(digits: str) -> int | None:
    plain = digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS
    return int(digits) if plain else None


def _fields(line: str) -> tuple[list[int], str] | None:
    """The numbers of a track's line, its offset last, and its name, which may have blanks."""
    first, rest = line.split(maxsplit=4)[:4], line.split(maxsplit=4)[4:]
    name, _, offset = (rest[0].rstrip() if rest else "").rpartition(" ")
    numbers = [n for n in map(_number, (*first, offset)) if n is not None]
    name = name.strip()
    if len(name) > 2 and name[0] == name[-1] == '"':
        name = name[1:-1]
    return (numbers, name) if len(numbers) == 5 and name else None


def parse(data: bytes, file: str, longest: int) -> list[Entry]:
    """The tracks of a sheet. Raises CorruptError and LimitError, which name the line."""
    lines = [(i, line) for i, line in enumerate(_lines(data), 1) if line.strip(" \t\0\x1a")]
    over = next((i for i, line in lines if len(line) > longest), None)
    if over is not None:
        raise LimitError(f"line {over}: longer than the limit text_line of {longest}", file=file)
    count = _number(lines[0][1].strip()) if lines else None
    if count is None or not 1 <= count <= TRACKS:
        what = f"the first line is no number of tracks, 1 to {TRACKS}"
        raise CorruptError(what, file=file, remedy="is it a sheet?")
    if len(lines) != count + 1:
        what = f"{count} tracks are announced, {len(lines) - 1} have a line"
        raise CorruptError(what, file=file, remedy="the sheet was cut or edited")
    entries = [_entry(number, line, file) for number, line in lines[1:]]
    for place, entry in enumerate(entries, 1):
        if entry.number != place:
            raise _wrong(entry.line, f"track {entry.number} in the place of {place}", file)
    return entries


def _entry(number: int, line: str, file: str) -> Entry:
    found = _fields(line.replace("\t", " "))
    if found is None:
        raise _wrong(number, "no track: number, LBA, control, frame size, name, offset", file)
    (track, lba, control, size, at), name = found
    if control > 15 or lba >= END:
        raise _wrong(number, f"track {track} has control {control}, LBA {lba}", file)
    return Entry(number, track, lba, control, size, name, at)


def _wrong(line: int, what: str, file: str) -> CorruptError:
    return CorruptError(f"line {line}: {what}", file=file, remedy="mend the line")


def open_gdi(source: Source, gate: Gate) -> Disc:
    """The disc that the sheet in `source` describes. Its files are parts beside it.

    Raises LimitError, CorruptError, TruncatedError, UnsupportedError, and what the gate says of a
    file.
    """
    entries = parse(text(source, gate), source.name, gate.limits.text_line)
    files = {e.name: part(e.name, e.line, source, gate) for e in reversed(entries)}
    lays = [confirmed(_shown(lay), source.name, gate) for lay in _laid(entries, files, source.name)]
    disc = assemble(
        lays,
        file=source.name,
        medium="GD",
        info={"variant": f"{len(entries)} tracks", "files": list(dict.fromkeys(files))[::-1]},
    )
    weigh_disc(disc, gate)
    return disc


def _laid(entries: Sequence[Entry], files: Mapping[str, Source], file: str) -> Iterator[Lay]:
    """Each track from its LBA on. What is missing before it in its area is a gap that no file has;
    between the areas there is nothing."""
    done = entries[0].lba
    for entry in entries:
        mode = _mode(entry, file)
        frames = _frames(entry, entries, files[entry.name])
        pieces = [Piece(entry.lba, frames, files[entry.name], entry.at, mode)]
        if done < entry.lba and (done > HIGH_DENSITY or entry.lba < HIGH_DENSITY):
            pieces.insert(0, Piece(done, entry.lba - done, None, 0, mode))
        flags = frozenset(flag for flag, bit in FLAGS.items() if entry.control & bit)
        yield Lay(entry.number, 1, mode, tuple(pieces), ((1, entry.lba),), flags=flags)
        done = entry.lba + frames


def _mode(entry: Entry, file: str) -> Mode:
    mode = _MODES.get(entry.size) if entry.control & DATA else AUDIO
    if mode is None or mode.size != entry.size:
        what = f"line {entry.line}: frames of {entry.size} bytes in track {entry.number}"
        raise UnsupportedError(what, file=file, remedy="2352, and for data 2048, are known")
    return mode


def _frames(entry: Entry, entries: Sequence[Entry], source: Source) -> int:
    """How many frames a track has: to the next track of the same file, or to its end."""
    later = (e.at for e in entries if e.name == entry.name and e.at > entry.at)
    stop = min(later, default=source.size)
    if entry.at >= min(stop, source.size):
        what = f"line {entry.line}: track {entry.number} begins at byte {entry.at} of the file"
        raise TruncatedError(what, file=source.name, at=source.size, remedy="copy it again")
    return -(-(stop - entry.at) // entry.size)


def _shown(lay: Lay) -> Lay:
    """A data track in the mode that its whole frames show: the sheet says data alone."""
    mode = raw_mode_shown(lay)
    if mode is None or mode.audio or lay.mode.audio:
        return lay
    return replace(lay, mode=mode, pieces=tuple(replace(p, mode=mode) for p in lay.pieces))


FORMAT = Format(
    name="gdi",
    title="GDI sheet of a GD-ROM",
    suffixes=(".gdi",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_gdi,
    unproven=True,
)
