"""The CD_TEXT blocks of a table, read and written, and the packs that they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from diskimage.disc.cdtext import FIELDS, Language, blocks, charset_of, number_of, parse
from diskimage.formats.toc.sheet import Sheet
from diskimage.formats.toc.words import text
from diskimage.model import Disc

ENGLISH = 9
_PLAIN = "iso8859-1"
_EVERYWHERE = ("TITLE", "PERFORMER", "SONGWRITER", "COMPOSER", "ARRANGER", "MESSAGE")
_OF_DISC = (*_EVERYWHERE, "DISC_ID", "GENRE", "UPC_EAN")
_OF_TRACK = (*_EVERYWHERE, "ISRC")
_SIZES = 36  # bytes of the size packs


def described(
    sheet: Sheet,
) -> tuple[Mapping[str, str], Mapping[int, Mapping[str, str]], bytes | None]:
    """The texts of the first language, of the disc and of tracks by number; and packs where texts
    of one English block do not say all."""
    languages = [_language(sheet, number) for number in _numbers(sheet)]
    if not languages:
        return {}, {}, None
    first = languages[0]
    plain = len(languages) == 1 and first.charset == _PLAIN and first.code in (None, ENGLISH)
    return first.disc, first.tracks, None if plain else blocks(languages)


def _numbers(sheet: Sheet) -> list[int]:
    """The languages that have any text."""
    tables = [sheet.texts, *(track.texts for track in sheet.tracks)]
    return sorted({n for table in tables for n, items in table.items() if any(items.values())})


def _language(sheet: Sheet, number: int) -> Language:
    sizes = sheet.texts.get(number, {}).get("SIZE_INFO", b"")
    charset = charset_of(sizes[0]) if sizes else _PLAIN
    disc = _texts(sheet.texts.get(number, {}), charset)
    tracks = {t.number: _texts(t.texts.get(number, {}), charset) for t in sheet.tracks}
    return Language(number, charset, sheet.languages.get(number), disc, tracks)


def _texts(items: Mapping[str, bytes], charset: str) -> dict[str, str]:
    """Items that are texts."""
    return {
        word: said
        for word, raw in items.items()
        if (word in FIELDS.values() or word == "ISRC") and (said := _said(word, raw, charset))
    }


def _said(word: str, raw: bytes, charset: str) -> str:
    """A text. A genre in bytes has a code of two before it."""
    coded = word == "GENRE" and raw[:1] == b"\0"
    plain = raw[2 if coded else 0 :].partition(b"\0")[0]
    return text(plain) if charset == _PLAIN else plain.decode(charset, "replace")


def languages(disc: Disc) -> list[Language]:
    """The languages that `disc` has texts in: those of its packs, else one of its texts."""
    if disc.cdtext:
        return [one for one in parse(disc.cdtext) if one.disc or any(one.tracks.values())]
    tracks = {track.number: track.text for track in disc.tracks}
    words = {word for found in (disc.text, *tracks.values()) for word in found}
    plain = Language(0, _PLAIN, ENGLISH, disc.text, tracks)
    return [plain] if words & {*_OF_DISC, *_OF_TRACK} else []


def whole_disc(found: Sequence[Language]) -> Iterator[str]:
    """The block of the header."""
    if not found:
        return
    codes = (f"{one.block} : {_code(one.code)}" for one in found)
    yield "CD_TEXT {"
    yield f"  LANGUAGE_MAP {{ {' '.join(codes)} }}"
    for one in found:
        yield f"  LANGUAGE {one.block} {{"
        yield from _items(one, one.disc, [word for word in _OF_DISC if _used(one, word)])
        if one.charset != _PLAIN:
            sizes = bytes([number_of(one.charset), *bytes(_SIZES - 1)])
            yield f"    SIZE_INFO {_octets(sizes)}"
        yield "  }"
    yield "}"


def of_track(found: Sequence[Language], number: int) -> Iterator[str]:
    """The block of a track."""
    told = [(one, [word for word in _OF_TRACK if _used(one, word)]) for one in found]
    if not any(words for _, words in told):
        return
    yield "CD_TEXT {"
    for one, words in told:
        yield f"  LANGUAGE {one.block} {{"
        yield from _items(one, one.tracks.get(number, {}), words)
        yield "  }"
    yield "}"


def _code(code: int | None) -> str:
    return "EN" if code in (None, ENGLISH) else str(code)


def _used(one: Language, word: str) -> bool:
    """Whether the disc or any track has such a text: cdrdao wants it then of all of them."""
    if word in _OF_DISC and one.disc.get(word):
        return True
    return word in _OF_TRACK and any(texts.get(word) for texts in one.tracks.values())


def _items(one: Language, texts: Mapping[str, str], words: Sequence[str]) -> Iterator[str]:
    for word in words:
        raw = _encoded(texts.get(word, ""), one.charset)
        yield f"    {word} {_octets(bytes(2) + raw + bytes(1)) if word == 'GENRE' else quoted(raw)}"


def _encoded(said: str, charset: str) -> bytes:
    """A text in its character set; one that ISO 8859-1 lacks, or that would be read as another, in
    UTF-8."""
    if charset != _PLAIN:
        return said.encode(charset, "replace")
    raw = said.encode(_PLAIN, "replace")
    return raw if text(raw) == said else said.encode()


def quoted(raw: bytes) -> str:
    """Bytes as a string of a table: what is not printable ASCII as octal escapes."""
    marks = {0x22: r"\"", 0x5C: r"\\"}
    return '"' + "".join(marks.get(b, chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in raw) + '"'


def _octets(raw: bytes) -> str:
    return f"{{ {', '.join(map(str, raw))} }}"
