"""From a sheet's bytes to a disc: its files opened through the gate, then laid out."""

from __future__ import annotations

import re

from diskimage.disc import cdtext
from diskimage.disc.modes import RAW
from diskimage.disc.named import part as named_part, said, text as text_of
from diskimage.disc.sound import KINDS, by_suffix, sound, told
from diskimage.disc.tracks import assemble
from diskimage.disc.volume import weigh_disc
from diskimage.errors import (
    CorruptError,
    MissingError,
    UnsupportedError,
)
from diskimage.formats.cue.layout import Opened, lay_out
from diskimage.formats.cue.sheet import COMMANDS, TEXTS, Named, Sheet, decode, parse
from diskimage.model import Bid, Disc, Gate, Look, Source
from diskimage.sources.swap import Swap

_MEDIUM = re.compile(r"REM ORIGINAL MEDIA-TYPE\s*:?\s*\"?(CD|DVD|BD)", re.IGNORECASE)
_NUMBERED = re.compile(r"^\s*TRACK\s+\d", re.IGNORECASE | re.MULTILINE)
_TABLE = re.compile(r"^\s*(CD_DA|CD_ROM|CD_ROM_XA|CD_I|TRACK\s+[A-Z]\S*)\s*(//.*)?$", re.MULTILINE)
_WORDS = frozenset((*COMMANDS, *TEXTS, "REM"))


def probe(look: Look) -> Bid | None:
    """A sheet by its suffix and a command: a text format needs both to agree.

    Sheets are called .toc too, and cdrdao's tables .cue: whose tracks have no number is none.
    """
    if look.suffix not in (".cue", ".toc"):
        return None
    text = decode(look.head[:65536])
    if not _NUMBERED.search(text) and (look.suffix == ".toc" or _TABLE.search(text)):
        return None
    words = [line.split(maxsplit=1)[0].upper() for line in text.splitlines()[:4096] if line.strip()]
    known = sum(word.strip("\ufeff") in _WORDS for word in words)
    return Bid(95, f"{known} commands of a cue sheet, suffix {look.suffix}") if known else None


def open_cue(source: Source, gate: Gate) -> Disc:
    """The disc that the sheet in `source` describes. Its files are parts beside it.

    Raises LimitError, CorruptError, TruncatedError, UnsupportedError, LoopError, and what the gate
    says of a file: MissingError, RefusedReferenceError, UnsafeNameError.
    """
    sheet = parse(text_of(source, gate), source.name, gate.limits, gate.siblings())
    for line, what in sheet.odd:
        gate.warn("sheet", f"line {line}: {what}")
    used = {index.file for track in sheet.tracks for index in track.indexes}
    for number, named in enumerate(sheet.files):
        if number not in used:
            gate.warn("sheet", f"line {named.line}: FILE {named.name!r} holds no index")
    files = {number: _opened(sheet, number, source, gate) for number in sorted(used)}
    disc = assemble(
        lay_out(sheet.tracks, files, source.name, gate),
        file=source.name,
        medium=_medium(sheet),
        catalog=sheet.catalog,
        text=sheet.text,
        cdtext=_packs(sheet, source, gate),
        info={
            "variant": _variant(sheet),
            "files": [file.named.name for file in files.values()],
            "remarks": list(sheet.remarks),
        },
    )
    weigh_disc(disc, gate)
    return disc


def _packs(sheet: Sheet, source: Source, gate: Gate) -> bytes | None:
    """The CD-TEXT file. Without it the frames are still whole."""
    if sheet.cdtext is None:
        return None
    try:
        part = named_part(sheet.cdtext.name, sheet.cdtext.line, source, gate)
    except MissingError as error:
        gate.warn("missing", error.message)
        return None
    try:
        return cdtext.stored(part)
    except CorruptError as error:
        gate.warn("cdtext", f"{sheet.cdtext.name!r}: {error.message}")
        return None


def _opened(sheet: Sheet, number: int, source: Source, gate: Gate) -> Opened:
    """One FILE, and where in it the frames lie."""
    named = sheet.files[number]
    part = named_part(named.name, named.line, source, gate, _instead(sheet, named, source.name))
    entries = [t for t in sheet.tracks if any(index.file == number for index in t.indexes)]
    if all(entry.mode.audio for entry in entries):
        kind = told(part, (named.type, by_suffix(named.name)))
        if kind or named.type in KINDS:
            return _sound(named, part, kind, source, gate)
    elif named.type in KINDS:
        raise CorruptError(
            f"line {named.line}: a data track in a {named.type} file",
            file=source.name,
            remedy="FILE of a data track is BINARY",
        )
    swapped = Swap(part) if named.type == "MOTOROLA" else part
    return Opened(named, part, swapped, 0, part.size)


def _sound(named: Named, part: Source, kind: str | None, sheet: Source, gate: Gate) -> Opened:
    """A file of audio in a container; `kind` is what its content is."""
    if kind is None:
        raise UnsupportedError(
            f"line {named.line}: {named.name!r} is no {named.type} file, nor another of audio",
            file=sheet.name,
            remedy="if it is bare samples, write BINARY",
        )
    if kind != named.type:
        gate.warn("sheet", f"line {named.line}: {named.name!r} is {kind}, not {named.type}")
    with said(named.name, named.line, sheet):
        inside = sound(part, kind)
    tail = -inside.length % RAW
    if tail:
        text = f"line {named.line}: {tail} zeros fill up the last frame of {named.name!r}"
        gate.warn("padding", text)
    stop = inside.at + inside.length
    return Opened(named, inside.source, inside.source, inside.at, stop, padded=True)


def _instead(sheet: Sheet, named: Named, name: str) -> tuple[str, ...]:
    """The only FILE of a sheet may have been renamed together with it."""
    stem, dot, _ = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    if len(sheet.files) != 1 or not dot or not stem:
        return ()
    suffix = named.name.rpartition(".")[2]
    return (f"{stem}.{suffix}",)


def _medium(sheet: Sheet) -> str:
    for remark in sheet.remarks:
        if match := _MEDIUM.match(remark):
            return match[1].upper()
    return "GD" if any(track.area for track in sheet.tracks) else "CD"


def _variant(sheet: Sheet) -> str:
    """The modes of the tracks, each once, and how many files hold them."""
    modes = dict.fromkeys(track.mode.name for track in sheet.tracks)
    count = len(sheet.files)
    return f"{', '.join(modes)}; {count} file{'s' if count > 1 else ''}"
