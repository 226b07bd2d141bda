"""RDF in Turtle: the statements of a text, as subjects with their predicates and objects.

Grammar: W3C "RDF 1.1 Turtle". Prefixes, IRIs, literals with types or languages, numbers, booleans,
lists by comma and semicolon, blank nodes. Collections are refused: no container has them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from diskimage.errors import CorruptError, LimitError
from diskimage.limits import Limits
from diskimage.model import Source

TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
MOST = 1_000_000  # statements of a text
DEPTH = 16  # of blank nodes in one another
_TOKEN = re.compile(
    r"""(?:\s|\#[^\n]*+)*+(?:
    (?P<iri><[^<>"{}|^`\x00-\x20]*>)
  | (?P<long>\"\"\"(?:[^"\\]|\\.|"(?!""))*\"\"\"|'''(?:[^'\\]|\\.|'(?!''))*''')
  | (?P<text>"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')
  | (?P<at>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
  | (?P<caret>\^\^)
  | (?P<blank>_:[^\s;,.<>"'()\[\]]+)
  | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w:]))
  | (?P<name>[^\s;,<>"'()\[\]@^#:]*:(?:[^\s;,<>"'()\[\]@^#.]|\.(?=[^\s;,<>"'()\[\].]))*)
  | (?P<word>[A-Za-z]+)
  | (?P<mark>[.;,()\[\]])
  )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_PLAIN = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}


class Iri(NamedTuple):
    """A thing."""

    value: str


class Literal(NamedTuple):
    """A text, and the IRI of its type, "" where it has none."""

    value: str
    type: str = ""


Object = Iri | Literal
Graph = dict[str, dict[str, list[Object]]]
"""Subjects, the predicates of each, the objects of each, in order; all IRIs whole."""


class _TurtleError(Exception):
    """What is wrong with the text: made an error where the file is known."""


def graph(text: str, source: Source, limits: Limits) -> Graph:
    """The statements of `text`, the metadata of `source`. Raises CorruptError, LimitError."""
    if len(text) > 16 * limits.text_file:
        raise LimitError(f"metadata of {len(text)} characters, over 16 text_file", file=source.name)
    reader = _Reader(text)
    try:
        reader.all()
    except _TurtleError as error:
        line = text.count("\n", 0, reader.at) + 1
        message = f"line {line} of its metadata {error}"
        raise CorruptError(message, file=source.name) from None
    return reader.graph


class _Reader:
    """A position in the text."""

    def __init__(self, text: str) -> None:
        self.graph: Graph = {}
        self.at = 0
        self._text, self._prefixes, self._base = text, dict[str, str](), ""
        self._kind, self._word = "", ""
        self._count = self._blanks = 0

    def all(self) -> None:
        """Every statement."""
        self._next()
        while self._kind:
            word = self._word.lower() if self._kind in ("at", "word") else ""
            if word in ("@prefix", "@base", "prefix", "base"):
                self._directive(word)
            else:
                bare = self._word == "["
                subject = self._object(0)
                if not isinstance(subject, Iri):
                    raise _TurtleError("has a text as its subject")
                if not (bare and self._word == "."):
                    self._predicates(subject.value, 0)
                self._mark(".")

    def _next(self) -> None:
        match = _TOKEN.match(self._text, self.at)
        if match is None:
            if self._text[self.at :].strip() and not self._only_comments():
                raise _TurtleError("has what is no Turtle")
            self._kind = self._word = ""
            return
        self.at = match.end()
        self._kind = str(match.lastgroup)
        self._word = match[self._kind]

    def _only_comments(self) -> bool:
        lines = self._text[self.at :].splitlines()
        return all(not line.strip() or line.lstrip().startswith("#") for line in lines)

    def _mark(self, mark: str) -> None:
        if self._word != mark or self._kind != "mark":
            raise _TurtleError(f"has {self._word[:40]!r} where {mark!r} is to be")
        self._next()

    def _directive(self, word: str) -> None:
        self._next()
        if "prefix" in word:
            if self._kind != "name" or not self._word.endswith(":"):
                raise _TurtleError("declares a prefix without a name")
            name = self._word[:-1]
            self._next()
            self._prefixes[name] = self._iri()
        else:
            self._base = self._iri()
        if word.startswith("@"):
            self._mark(".")

    def _iri(self) -> str:
        """The IRI that stands here, whole."""
        kind, word = self._kind, self._word
        self._next()
        if kind == "iri":
            value = _unescaped(word[1:-1])
            return value if ":" in value else self._base + value
        if kind == "name":
            prefix, _, local = word.partition(":")
            if prefix not in self._prefixes:
                raise _TurtleError(f"has the unknown prefix {prefix[:40]!r}")
            return self._prefixes[prefix] + local.replace("\\", "")
        raise _TurtleError(f"has {word[:40]!r} where a name is to be")

    def _predicates(self, subject: str, depth: int) -> None:
        """`predicate object, object ; predicate ...` of a subject."""
        found = self.graph.setdefault(subject, {})
        while True:
            if self._kind == "word" and self._word == "a":
                predicate = TYPE
                self._next()
            else:
                predicate = self._iri()
            objects = found.setdefault(predicate, [])
            objects.append(self._object(depth))
            while self._word == "," and self._kind == "mark":
                self._next()
                objects.append(self._object(depth))
            self._count += len(objects)
            if self._count > MOST:
                raise _TurtleError(f"is past {MOST} statements")
            if self._word != ";" or self._kind != "mark":
                return
            while self._word == ";" and self._kind == "mark":
                self._next()
            if self._kind == "mark":
                return

    def _object(self, depth: int) -> Object:
        kind, word = self._kind, self._word
        if kind in ("text", "long"):
            return self._literal()
        if kind == "number" or (kind == "word" and word in ("true", "false")):
            self._next()
            return Literal(word)
        if kind == "blank":
            self._next()
            return Iri(word)
        if word == "[" and kind == "mark":
            return self._blank(depth)
        return Iri(self._iri())

    def _blank(self, depth: int) -> Iri:
        """A thing without a name, and what is said of it."""
        if depth >= DEPTH:
            raise _TurtleError(f"has more than {DEPTH} blank nodes in one another")
        self._blanks += 1
        name = f"_:{self._blanks} "  # the space keeps it from every name in the text
        self._next()
        if self._word != "]":
            self._predicates(name, depth + 1)
        self._mark("]")
        return Iri(name)

    def _literal(self) -> Literal:
        edge = 3 if self._kind == "long" else 1
        value = _unescaped(self._word[edge:-edge])
        self._next()
        if self._kind == "at":
            self._next()
        elif self._kind == "caret":
            self._next()
            return Literal(value, self._iri())
        return Literal(value)


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        digits = match[1] or match[2]
        if digits is None:
            return _PLAIN.get(match[3], match[3])
        if int(digits, 16) > 0x10FFFF:
            raise _TurtleError("has a character that there is not")
        return chr(int(digits, 16))

    return _ESCAPE.sub(one, text) if "\\" in text else text
