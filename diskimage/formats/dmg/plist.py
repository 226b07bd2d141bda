"""Property lists of Apple's images: XML, read within bounds.

No document type of its own, no entities, at most 64 levels: what hostile lists are made of.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING, TypeAlias

from diskimage.errors import CorruptError, LimitError
from diskimage.model import Source

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

Value: TypeAlias = "str | bytes | int | bool | list[Value] | dict[str, Value]"

DEPTH = 64
_SPACE = re.compile(r"[ \t\r\n]+")
_LEAVES = frozenset({"key", "string", "data", "integer", "real", "date", "true", "false"})


class _Wrong(Exception):  # noqa: N818 - a sentence, made an error where the file is known
    """What is wrong with the list."""


class _TooDeep(Exception):  # noqa: N818 - as above
    """More levels than a list may have."""


def plist(data: bytes | bytearray, source: Source, at: int) -> dict[str, Value]:
    """The dictionary that the list at `at` of `source` is. Raises CorruptError, LimitError."""
    from xml.parsers.expat import ExpatError, ParserCreate

    builder = _Builder()
    parser = ParserCreate()
    builder.attach(parser)
    try:
        parser.Parse(bytes(data).rstrip(b"\0"), True)
    except ExpatError as error:
        text = f"its property list is no XML: {error}"
        raise CorruptError(text, file=source.name, at=at) from None
    except _Wrong as error:
        raise CorruptError(f"its property list {error}", file=source.name, at=at) from None
    except _TooDeep:
        text = f"its property list has more than {DEPTH} levels"
        raise LimitError(text, file=source.name, at=at) from None
    if not isinstance(builder.root, dict):
        raise CorruptError("its property list is no dictionary", file=source.name, at=at)
    return builder.root


class _Builder:
    """Values as their elements end."""

    def __init__(self) -> None:
        self.root: Value | None = None
        self._open: list[list[Value] | dict[str, Value]] = []
        self._keys: list[str | None] = []
        self._text: list[str] | None = None
        self._depth = 0

    def attach(self, parser: XMLParserType) -> None:
        """Hear of every element."""
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity

    def _doctype(self, _name: str, _system: str | None, _public: str | None, own: int) -> None:
        if own:
            raise _Wrong("declares a document type of its own")

    def _entity(self, *_: object) -> None:
        raise _Wrong("declares entities")

    def _begin(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH:
            raise _TooDeep
        if self._text is not None:
            raise _Wrong(f"has <{tag}> inside of a value")
        if tag == "dict":
            self._open_up({})
        elif tag == "array":
            self._open_up([])
        elif tag in _LEAVES:
            self._text = []
        elif tag != "plist":
            raise _Wrong(f"has an element <{tag}>")

    def _open_up(self, container: list[Value] | dict[str, Value]) -> None:
        self._put(container)
        self._open.append(container)
        self._keys.append(None)

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag in ("dict", "array"):
            self._open.pop()
            self._keys.pop()
        elif self._text is not None:
            text, self._text = "".join(self._text), None
            if tag != "key":
                self._put(_value(tag, text))
            elif self._open and isinstance(self._open[-1], dict):
                self._keys[-1] = text
            else:
                raise _Wrong("has a key outside of a dictionary")

    def _put(self, value: Value) -> None:
        if not self._open:
            if self.root is not None:
                raise _Wrong("has more than one value")
            self.root = value
        elif isinstance(inner := self._open[-1], list):
            inner.append(value)
        elif (key := self._keys[-1]) is None:
            raise _Wrong("has a value without a key")
        else:
            inner[key], self._keys[-1] = value, None


def _value(tag: str, text: str) -> Value:
    if tag == "data":
        try:
            return b64decode(_SPACE.sub("", text), validate=True)
        except (Base64Error, ValueError):
            raise _Wrong("has data that are not base64") from None
    if tag == "integer":
        plain = text.strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", plain):
            raise _Wrong(f"has an integer {plain[:40]!r}")
        return int(plain)
    return tag == "true" if tag in ("true", "false") else text
