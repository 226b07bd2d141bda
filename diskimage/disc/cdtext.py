"""CD-TEXT: packs of 18 bytes in the lead-in, and what they say (Red Book, MMC-3 annex J).

A pack has its type, its track, its sequence, block and place of its first character, 12 bytes of
text, and a CRC. A text ends with a zero and flows over packs and on from track to track; a block is
one language.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from diskimage.errors import CorruptError, UnsupportedError
from diskimage.model import Disc, Finding, Source
from diskimage.parse import read

PACK = 18
_MOST_PACKS = 256  # of a block
MOST = 8 * _MOST_PACKS * PACK  # eight languages of at most 256 packs
FIELDS = {
    0x80: "TITLE", 0x81: "PERFORMER", 0x82: "SONGWRITER", 0x83: "COMPOSER", 0x84: "ARRANGER",
    0x85: "MESSAGE", 0x86: "DISC_ID", 0x87: "GENRE", 0x8E: "UPC_EAN",
}  # fmt: skip
"""Types of packs that hold text, by the words of cue sheets. Of a track 0x8E is its ISRC."""

_TYPES = {word: type for type, word in FIELDS.items()}
_ENGLISH = 9  # of the language codes
_SIZES = 0x8F  # the packs that tell character set, tracks and counts of a block
_GENRE = 0x87  # a code of two bytes before its text
_WIDE = 0x80  # of the fourth byte: two bytes a character
_TEXT = slice(4, 16)
_CHARSETS = {0: "iso8859-1", 1: "ascii", 0x80: "cp932", 0x81: "cp949", 0x82: "gb2312"}


@dataclass(frozen=True, slots=True)
class Language:
    """One block: texts by field, of the whole disc and of tracks by their number."""

    block: int
    charset: str
    code: int | None  # as EBU Tech 3264 counts languages; 9 is English
    disc: Mapping[str, str]
    tracks: Mapping[int, Mapping[str, str]]


def stored(source: Source) -> bytes:
    """The packs in a file of their own, without the header and the closing zero that it may have.

    Raises CorruptError where it holds no whole packs, or more than eight languages can have.
    """
    if source.size > MOST + 5:
        raise CorruptError(f"{source.size} bytes are more than CD-TEXT can have", file=source.name)
    return packs(bytes(read(source, 0, source.size, "CD-TEXT packs")), source.name)


def packs(data: bytes, file: str) -> bytes:
    """`data` without a header of 4 bytes (length, zero) and one closing zero byte."""
    if len(data) >= 4 and data[0] < min(FIELDS) and _length(data) == len(data):
        data = data[4:]
    if len(data) % PACK == 1 and data[-1] == 0:
        data = data[:-1]
    if not data or len(data) % PACK:
        raise CorruptError(f"{len(data)} bytes are no whole packs of {PACK}", file=file)
    return data


def _length(data: bytes) -> int:
    return int.from_bytes(data[:2], "big") + 2


def sealed(bare: bytes) -> bytes:
    """Packs of 16 bytes with the CRC of each (CloneCD stores them without)."""
    rows = (bare[at : at + 16] for at in range(0, len(bare), 16))
    return b"".join(row + _crc(row) for row in rows)


def _crc(row: bytes) -> bytes:
    """CRC-16, polynomial 0x1021, from 0, inverted, big-endian."""
    return (crc_hqx(row, 0) ^ 0xFFFF).to_bytes(2, "big")


def _rows(data: bytes) -> Iterator[bytes]:
    return (data[at : at + PACK] for at in range(0, len(data) - PACK + 1, PACK))


def problems(data: bytes | None) -> Iterator[Finding]:
    """Packs whose CRC does not match; `at` is a pack's number."""
    for number, row in enumerate(_rows(data or b"")):
        if _crc(row[:16]) != row[16:]:
            yield Finding("checksum", f"CD-TEXT pack {number}: its CRC does not match", number)


def parse(data: bytes | None) -> tuple[Language, ...]:
    """The languages of `data`, block by block. What no field names is left out."""
    blocks: dict[int, list[bytes]] = {}
    for row in _rows(data or b""):
        blocks.setdefault(row[3] >> 4 & 7, []).append(row)
    return tuple(_language(block, rows) for block, rows in sorted(blocks.items()))


def _language(block: int, rows: list[bytes]) -> Language:
    sizes = b"".join(row[_TEXT] for row in rows if row[0] == _SIZES)
    charset = _CHARSETS.get(sizes[0] if sizes else 0, "iso8859-1")
    code = sizes[28 + block] if len(sizes) == 36 else None  # three packs of 12
    disc: dict[str, str] = {}
    tracks: dict[int, dict[str, str]] = {}
    for kind, word in FIELDS.items():
        own = [row for row in rows if row[0] == kind]
        for number, text in _texts(own, charset, kind):
            if number == 0:
                disc[word] = text
            else:
                tracks.setdefault(number, {})["ISRC" if word == "UPC_EAN" else word] = text
    return Language(block, charset, code, disc, tracks)


def _texts(rows: list[bytes], charset: str, kind: int) -> Iterator[tuple[int, str]]:
    """Texts of one field by track: each row's track is that of its first byte."""
    if not rows:
        return
    wide = bool(rows[0][3] & _WIDE)
    end, same = (b"\0\0", b"\t\0\t\0") if wide else (b"\0", b"\t")
    number, held, before = rows[0][1] & 0x7F, b"".join(row[_TEXT] for row in rows), ""
    at = 2 if kind == _GENRE and number == 0 else 0  # a genre's code comes before its text
    while any(held[at:]):
        stop = _ended(held, at, end)
        raw = held[at:stop]
        text = raw.decode(charset, "replace")
        if raw in (same, b"\t\t", b"\t"):
            text = before
        if text:
            yield number, text
        number, at, before = number + 1, stop + len(end), text


def _ended(held: bytes, at: int, end: bytes) -> int:
    """Where the text at `at` ends."""
    step = len(end)
    while at < len(held) and held[at : at + step] != end:
        at += step
    return at


def texts(data: bytes | None) -> tuple[dict[str, str], dict[int, dict[str, str]]]:
    """The texts of the first language: of the disc, and of tracks by their number."""
    found = parse(data)
    if not found:
        return {}, {}
    return dict(found[0].disc), {n: dict(text) for n, text in found[0].tracks.items()}


def of(disc: Disc) -> bytes:
    """The packs of `disc` as stored, else made of its texts; none without any text."""
    if disc.cdtext:
        return disc.cdtext
    return encode(disc.text, {track.number: track.text for track in disc.tracks})


def encode(
    disc: Mapping[str, str], tracks: Mapping[int, Mapping[str, str]], code: int = _ENGLISH
) -> bytes:
    """One language of packs in ISO 8859-1; characters that it lacks become question marks.

    Fields that neither the disc nor any track has take no packs; without any text, no bytes.
    """
    return blocks([Language(0, _CHARSETS[0], code, disc, tracks)])


def blocks(languages: Sequence[Language]) -> bytes:
    """Languages as packs, each under its own block number; those without any text are left out.

    Raises UnsupportedError where one needs more than the 256 packs of a block.
    """
    held = [(one, *_fields(one)) for one in languages]
    held = [row for row in held if row[1]]
    last, codes = bytearray(8), bytearray(8)
    for one, rows, _ in held:
        if len(rows) + 3 > _MOST_PACKS:
            raise UnsupportedError(f"CD-TEXT of {len(rows)} packs; a language has at most 253")
        last[one.block], codes[one.block] = len(rows) + 2, one.code or 0
    made = b""
    for one, rows, counts in held:
        first, final = min(one.tracks, default=1), max(one.tracks, default=1)
        table = bytes([number_of(one.charset), first, final, 0, *counts, *last, *codes])
        for i in range(3):
            head = bytes([_SIZES, i, len(rows) & 0xFF, one.block << 4])
            rows.append(head + table[12 * i : 12 * i + 12])
        made += b"".join(rows)
    return sealed(made)


def charset_of(number: int) -> str:
    """The encoding that the first byte of the size packs tells; ISO 8859-1 for one unknown."""
    return _CHARSETS.get(number, _CHARSETS[0])


def number_of(charset: str) -> int:
    """The number of an encoding in the size packs."""
    return next((number for number, name in _CHARSETS.items() if name == charset), 0)


def _fields(one: Language) -> tuple[list[bytes], list[int]]:
    """The packs of a language but for its sizes, without their CRC, and how many of each type."""
    rows: list[bytes] = []
    counts = dict.fromkeys(range(0x80, 0x90), 0)
    first, last = min(one.tracks, default=1), max(one.tracks, default=1)
    for kind, word in FIELDS.items():
        of_track = "ISRC" if word == "UPC_EAN" else word
        texts = [one.disc.get(word, "")]
        texts += [one.tracks.get(n, {}).get(of_track, "") for n in range(first, last + 1)]
        if any(texts):
            raw = [text.encode(one.charset, "replace") for text in texts]
            own = _packed(kind, one, [(0, raw[0]), *enumerate(raw[1:], first)], len(rows))
            counts[kind], rows = len(own), rows + own
    if rows:
        counts[_SIZES] = 3
    return rows, list(counts.values())


def _packed(kind: int, one: Language, all_of: list[tuple[int, bytes]], done: int) -> list[bytes]:
    """The packs of one field. Texts of whole pairs of bytes are marked so, where the character set
    has such."""
    wide = number_of(one.charset) >= _WIDE and not any(len(raw) % 2 for _, raw in all_of)
    width = 2 if wide else 1
    lead = b"\0\0" if kind == _GENRE else b""
    held, marks = b"", list[tuple[int, int]]()
    for number, text in all_of:
        raw = (lead if number == 0 else b"") + text + bytes(width)
        marks += [(number, min(15, i // width)) for i in range(len(raw))]
        held += raw
    rows: list[bytes] = []
    for at in range(0, len(held), 12):
        number, place = marks[at]
        flags = one.block << 4 | place | (_WIDE if wide else 0)
        row = bytes([kind, number, (done + len(rows)) & 0xFF, flags]) + held[at : at + 12]
        rows.append(row.ljust(16, b"\0"))
    return rows
