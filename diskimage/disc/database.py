"""Checksum files: databases of dumps (Logiqx XML), and lists of digests of files.

A Logiqx DAT names games, and of each its files with size, CRC-32, MD5 and SHA-1. A list has one
file a line: `name CRC32` (.sfv), or `digits name`, `digits *name`, `NAME (name) = digits`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.parsers import expat

from diskimage.errors import CorruptError, LimitError
from diskimage.limits import MIB, Limits
from diskimage.model import Source
from diskimage.parse import read

DIGESTS = {8: "crc32", 32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
"""The digest that so many hexadecimal digits are."""

_FIELDS = {"crc": "crc32", "md5": "md5", "sha1": "sha1", "sha256": "sha256"}
_SFV = re.compile(r"(.*\S)\s+([0-9A-Fa-f]{8})\s*$")
_GNU = re.compile(r"([0-9A-Fa-f]{8,128})[ \t]+[ *]?(.*\S)\s*$")
_BSD = re.compile(r"[A-Za-z0-9/-]+\s*\((.*)\)\s*=\s*([0-9A-Fa-f]{8,128})\s*$")
_GAMES = ("game", "machine", "software")


class Listed(NamedTuple):
    """A file that a database knows; `game` "" and `size` None in a list of digests."""

    name: str
    size: int | None
    digests: Mapping[str, str]
    game: str = ""


def is_dat(source: Source) -> bool:
    """Whether `source` is XML rather than a list."""
    head = bytearray(min(256, source.size))
    source.read_into(0, memoryview(head))
    return bytes(head).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def games(source: Source) -> Iterator[list[Listed]]:
    """The files of each game of a DAT, read a mebibyte at a time.

    Raises CorruptError for XML that is none, or that declares entities: no DAT does.
    """
    parser, found = expat.ParserCreate(), _Games(source.name)
    parser.StartElementHandler, parser.EndElementHandler = found.begin, found.end
    parser.EntityDeclHandler = found.entity
    for at in range(0, source.size, MIB):
        piece = bytearray(min(MIB, source.size - at))
        source.read_into(at, memoryview(piece))
        try:
            parser.Parse(bytes(piece), at + len(piece) == source.size)
        except expat.ExpatError as error:
            raise CorruptError(
                f"line {error.lineno}: {expat.ErrorString(error.code)}",
                file=source.name,
                remedy="download the database again",
            ) from None
        yield from found.done
        found.done.clear()


class _Games:
    """What the parser meets, game by game."""

    def __init__(self, file: str) -> None:
        self._file, self._game = file, ""
        self._rows: list[Listed] = []
        self.done: list[list[Listed]] = []

    def begin(self, tag: str, fields: dict[str, str]) -> None:
        if tag in _GAMES:
            self._game, self._rows = fields.get("name", ""), []
        elif tag == "rom":
            size = fields.get("size", "")
            known = {name: fields[key].lower() for key, name in _FIELDS.items() if fields.get(key)}
            told = int(size) if size.isdecimal() and len(size) < 20 else None
            self._rows.append(Listed(fields.get("name", ""), told, known, self._game))

    def end(self, tag: str) -> None:
        if tag in _GAMES and self._rows:
            self.done.append(self._rows)

    def entity(self, name: str, *_rest: object) -> None:
        raise CorruptError(
            f"declares the entity {name!r}, as no database does",
            file=self._file,
            remedy="download the database again",
        )


def listed(source: Source, limits: Limits) -> Iterator[Listed]:
    """The files of a list of digests. Lines beginning with ; or # are comments.

    Raises CorruptError for a line of another form, LimitError for a list that is too long.
    """
    if source.size > 16 * limits.text_file:
        raise LimitError(
            f"a list of {source.size} bytes is above the limit", file=source.name,
            remedy="is it a list of digests?",
        )  # fmt: skip
    text = bytes(read(source, 0, source.size, "the list")).decode("utf-8", "replace")
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if line.strip() and line.lstrip()[0] not in ";#":
            yield _row(line, number, source.name)


def _row(line: str, number: int, file: str) -> Listed:
    if match := _BSD.match(line):
        name, digits = match[1], match[2]
    elif match := _GNU.match(line):
        digits, name = match[1], match[2]
    elif match := _SFV.match(line):
        name, digits = match[1], match[2]
    else:
        name = digits = ""
    if len(digits) not in DIGESTS:
        raise CorruptError(
            f"line {number} is no digest and name", file=file,
            remedy="a line is `name CRC32`, or `digits  name`",
        )  # fmt: skip
    plain = name.replace("\\", "/").rpartition("/")[2]
    return Listed(plain, None, {DIGESTS[len(digits)]: digits.lower()})
