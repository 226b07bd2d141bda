"""The words of a table of contents, one ahead: strings, numbers, times; none spans two lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from diskimage.disc.address import frames
from diskimage.errors import CorruptError, LimitError
from diskimage.limits import Limits

_DIGITS = 19  # of a byte offset; more leaves signed 64 bits
_TOKEN = re.compile(
    r"""[ \t\f\v\x1a]+ | //.* | (?P<string>"(?:[^"\\]|\\.)*") | (?P<number>[0-9]+)
    | (?P<offset>\#[0-9]+) | (?P<word>[A-Za-z_][A-Za-z0-9_]*) | (?P<mark>[{},:]) | (?P<odd>.)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")


class Token(NamedTuple):
    """A piece of a line: its kind is the name of its group; "end" behind the last one."""

    kind: str
    text: str
    line: int


def tokens(data: bytes) -> Iterator[Token]:
    """The tokens of a table, its bytes as characters below 256; the last one is of kind "end"."""
    lines = re.split(r"\r\n|\r|\n", data.removeprefix(b"\xef\xbb\xbf").decode("latin-1"))
    for number, line in enumerate(lines, 1):
        for match in _TOKEN.finditer(line):
            if match.lastgroup is not None:
                yield Token(match.lastgroup, match[0], number)
    yield Token("end", "", len(lines))


def unescaped(quoted: str) -> bytes:
    """The bytes of a string token, octal escapes resolved."""
    return _ESCAPE.sub(_escape, quoted[1:-1]).encode("latin-1")


def text(raw: bytes) -> str:
    """`raw` as UTF-8 where it is that, else as Windows-1252."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _escape(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) == 3:
        return chr(int(escape, 8) & 0xFF)
    return escape if escape in '"\\' else match[0]


class Cursor:
    """The tokens of a table in order: `next` the one ahead, `line` that of the statement."""

    def __init__(self, data: bytes, file: str, limits: Limits) -> None:
        if max(map(len, re.split(rb"[\r\n]", data))) > limits.text_line:
            raise LimitError(
                f"a line above the limit of {limits.text_line} characters",
                file=file,
                remedy="no table needs so much; raise the limit if you trust it",
            )
        self._name = file
        self._tokens = tokens(data)
        self.taken = self.next = next(self._tokens)
        self.line = 1

    def advance(self) -> Token:
        """The next token."""
        self.taken, self.next = self.next, next(self._tokens, self.next)
        return self.taken

    def take(self, kind: str, what: str) -> str:
        """The next token's text, which must be of `kind`."""
        if self.next.kind != kind:
            self.line = self.next.line
            found = self.next.text[:32]
            if found == '"':
                raise self.corrupt("a quotation mark is not closed", "close it on the same line")
            raise self.corrupt(f"{what} is wanted, {found or 'the end'!r} found", "see cdrdao(1)")
        return self.advance().text

    def mark(self, text: str) -> None:
        """Take the mark `text`."""
        if self.next.text != text:
            self.take("", repr(text))
        self.advance()

    def has(self, text: str) -> bool:
        """Whether the next token is the mark or word `text`, which is then taken."""
        if self.next.kind not in ("word", "mark") or self.next.text.upper() != text:
            return False
        self.advance()
        return True

    def string(self, what: str) -> str:
        """The text of a string that is due."""
        return text(unescaped(self.take("string", what)))

    def integer(self, what: str, most: int | None = None) -> int:
        """The number that is due, at most `most`."""
        digits = self.take("number", what)
        if len(digits) > _DIGITS or (most is not None and int(digits) > most):
            raise self.corrupt(f"{what} {digits[:32]}", f"at most {most or 10**_DIGITS - 1}")
        return int(digits)

    def time(self, minute: int) -> int:
        """The frames of a time whose minute was read."""
        self.mark(":")
        second = self.integer("seconds", 59)
        self.mark(":")
        frame = self.integer("frames", 74)
        if minute > 999999:
            raise self.corrupt(f"a time of {minute} minutes", "no disc lasts so long")
        return frames(minute, second, frame)

    def only_time(self) -> int:
        """The frames of a time that is due."""
        return self.time(self.integer("a time, minutes:seconds:frames"))

    def offset(self) -> int:
        """The byte offset that may stand here; 0 without one."""
        if self.next.kind != "offset":
            return 0
        digits = self.advance().text[1:]
        if len(digits) > _DIGITS:
            raise self.corrupt(f"a byte offset of {len(digits)} digits", "no file is so long")
        return int(digits)

    def corrupt(self, what: str, remedy: str) -> CorruptError:
        """The error that says which line is wrong."""
        return CorruptError(f"line {self.line}: {what}", file=self._name, remedy=remedy)
