"""XML of a descriptor as a tree, within bounds: no document type, no entities, few levels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diskimage.errors import CorruptError, LimitError
from diskimage.model import Source

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

DEPTH = 32


class _Wrong(Exception):  # noqa: N818 - a sentence, made an error where the file is known
    """What is wrong with the text."""


class _TooDeep(Exception):  # noqa: N818 - as above
    """More levels than a descriptor may have."""


@dataclass(slots=True)
class Node:
    """An element: its tag, its own text, its children."""

    tag: str
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def child(self, tag: str) -> Node:
        """The first child of that tag; an empty one where there is none."""
        return next((node for node in self.children if node.tag == tag), Node(tag))


def tree(data: bytes, source: Source) -> Node:
    """The root element of `data`. Raises CorruptError, LimitError."""
    from xml.parsers.expat import ExpatError, ParserCreate

    builder, parser = _Builder(), ParserCreate()
    builder.attach(parser)
    try:
        parser.Parse(data.rstrip(b"\0"), True)
    except ExpatError as error:
        raise CorruptError(f"its descriptor is no XML: {error}", file=source.name) from None
    except _Wrong as error:
        raise CorruptError(f"its descriptor {error}", file=source.name) from None
    except _TooDeep:
        text = f"its descriptor has more than {DEPTH} levels"
        raise LimitError(text, file=source.name) from None
    return builder.root.children[0]


class _Builder:
    """Nodes as their elements begin."""

    def __init__(self) -> None:
        self.root = Node("")
        self._open = [self.root]

    def attach(self, parser: XMLParserType) -> None:
        """Hear of every element."""
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype

    def _doctype(self, *_: object) -> None:
        raise _Wrong("declares a document type")

    def _begin(self, tag: str, _attributes: dict[str, str]) -> None:
        if len(self._open) > DEPTH:
            raise _TooDeep
        node = Node(tag)
        self._open[-1].children.append(node)
        self._open.append(node)

    def _end(self, _tag: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        self._open[-1].text += text
