"""Property lists of Apple's images: XML, read within bounds, at most 64 levels."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from typing import TypeAlias

from diskimage import xml
from diskimage.errors import CorruptError
from diskimage.model import Source

Value: TypeAlias = "str | bytes | int | bool | list[Value] | dict[str, Value]"

DEPTH = 64
_SPACE = re.compile(r"[ \t\r\n]+")
_LEAVES = frozenset({"key", "string", "data", "integer", "real", "date", "true", "false"})


def plist(data: bytes | bytearray, source: Source, at: int) -> dict[str, Value]:
    """The dictionary that the list at `at` of `source` is. Raises CorruptError, LimitError."""
    builder = _Builder()
    xml.parse(data, builder, source, what="its property list", depth=DEPTH, at=at)
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

    def begin(self, tag: str, _attributes: dict[str, str]) -> None:
        if self._text is not None:
            raise xml.Wrong(f"has <{tag}> inside of a value")
        if tag == "dict":
            self._open_up({})
        elif tag == "array":
            self._open_up([])
        elif tag in _LEAVES:
            self._text = []
        elif tag != "plist":
            raise xml.Wrong(f"has an element <{tag}>")

    def _open_up(self, container: list[Value] | dict[str, Value]) -> None:
        self._put(container)
        self._open.append(container)
        self._keys.append(None)

    def text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def end(self, tag: str) -> None:
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
                raise xml.Wrong("has a key outside of a dictionary")

    def _put(self, value: Value) -> None:
        if not self._open:
            if self.root is not None:
                raise xml.Wrong("has more than one value")
            self.root = value
        elif isinstance(inner := self._open[-1], list):
            inner.append(value)
        elif (key := self._keys[-1]) is None:
            raise xml.Wrong("has a value without a key")
        else:
            inner[key], self._keys[-1] = value, None


def _value(tag: str, text: str) -> Value:
    if tag == "data":
        try:
            return b64decode(_SPACE.sub("", text), validate=True)
        except (Base64Error, ValueError):
            raise xml.Wrong("has data that are not base64") from None
    if tag == "integer":
        plain = text.strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", plain):
            raise xml.Wrong(f"has an integer {plain[:40]!r}")
        return int(plain)
    return tag == "true" if tag in ("true", "false") else text
