"""XML, read within bounds: no document type of its own, no entities, few levels, nothing fetched.

What hostile texts are made of is refused before it is built: billions of entities, deep nests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from diskimage.errors import CorruptError, LimitError
from diskimage.model import Source

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType


class Wrong(Exception):  # noqa: N818 - a sentence, made an error where the file is known
    """What is wrong with the text, to go on after its name: "has a key outside of ..."."""


class _TooDeep(Exception):  # noqa: N818 - as above
    """More levels than a text may have."""


class Hearer(Protocol):
    """What is told of each element in order. It may raise Wrong."""

    def begin(self, tag: str, attributes: dict[str, str]) -> None: ...
    def end(self, tag: str) -> None: ...
    def text(self, text: str) -> None: ...


def parse(
    data: bytes | bytearray, hearer: Hearer, source: Source, *, what: str, depth: int, at: int = 0
) -> None:
    """Tell `hearer` of the elements of `data`, which is `what` at `at` of `source`.

    Zeros behind the text are nothing. Raises CorruptError, LimitError past `depth` levels.
    """
    from xml.parsers.expat import ExpatError, ParserCreate

    parser = ParserCreate()
    _Bounded(hearer, depth).attach(parser)
    try:
        parser.Parse(_text(data), True)
    except ExpatError as error:
        raise CorruptError(f"{what} is no XML: {error}", file=source.name, at=at) from None
    except Wrong as error:
        raise CorruptError(f"{what} {error}", file=source.name, at=at) from None
    except _TooDeep:
        text = f"{what} has more than {depth} levels"
        raise LimitError(text, file=source.name, at=at) from None
    except (LookupError, ValueError):
        raise CorruptError(f"{what} is in an unknown encoding", file=source.name, at=at) from None


def _text(data: bytes | bytearray) -> bytes:
    """`data` without the zeros behind it, which in UTF-16 are half a character."""
    plain = bytes(data)
    return plain if plain[:2] in (b"\xff\xfe", b"\xfe\xff") else plain.rstrip(b"\0")


class _Bounded:
    """A hearer behind the rules."""

    def __init__(self, hearer: Hearer, depth: int) -> None:
        self._hearer, self._most, self._depth = hearer, depth, 0

    def attach(self, parser: XMLParserType) -> None:
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._hearer.text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity

    def _doctype(self, _name: str, _system: str | None, _public: str | None, own: int) -> None:
        if own:
            raise Wrong("declares a document type of its own")

    def _entity(self, *_: object) -> None:
        raise Wrong("declares entities")

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._most:
            raise _TooDeep
        self._hearer.begin(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._hearer.end(tag)


@dataclass(slots=True)
class Node:
    """An element: its tag and attributes without their prefixes, its own text, its children."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def child(self, tag: str) -> Node:
        """The first child of that tag; an empty one where there is none."""
        return next((node for node in self.children if node.tag == tag), Node(tag))


def tree(data: bytes | bytearray, source: Source, *, what: str, depth: int) -> Node:
    """The root element of `data`, which is `what` in `source`. Raises CorruptError, LimitError."""
    builder = _Builder()
    parse(data, builder, source, what=what, depth=depth)
    return builder.root.children[0]


class _Builder:
    """Nodes as their elements begin."""

    def __init__(self) -> None:
        self.root = Node("")
        self._open = [self.root]

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        node = Node(_local(tag), {_local(name): value for name, value in attributes.items()})
        self._open[-1].children.append(node)
        self._open.append(node)

    def end(self, _tag: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        self._open[-1].text += text


def _local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]
