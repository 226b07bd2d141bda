"""XML within bounds: what is refused before it is built, and the tree of the rest."""

from __future__ import annotations

import pytest

from diskimage.errors import DiskImageError
from diskimage.sources.memory import MemorySource
from diskimage.xml import Node, tree

FILE = MemorySource(b"", "a.xml")


def read(data: bytes, depth: int = 8) -> Node:
    return tree(data, FILE, what="its text", depth=depth)


def test_prefixes_are_left_out_and_texts_kept() -> None:
    root = read('<o:a xmlns:o="u" o:x="1" y="é">t<b/>u<o:c>v &amp; w</o:c></o:a>\0\0'.encode())
    assert (root.tag, root.attributes["x"], root.attributes["y"], root.text) == (
        "a",
        "1",
        "é",
        "tu",
    )
    assert [node.tag for node in root.children] == ["b", "c"]
    assert (root.child("c").text, root.child("none").text) == ("v & w", "")


def test_other_encodings_are_read() -> None:
    assert read("<a>ü</a>".encode("utf-16")).text == "ü"
    assert read('<?xml version="1.0" encoding="iso-8859-1"?><a>ü</a>'.encode("latin-1")).text == "ü"


BILLION = b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]><a>&d;</a>'
REFUSED = {
    "entities": (BILLION, "corrupt"),
    "a document type of its own": (b"<!DOCTYPE a [<!ELEMENT a ANY>]><a/>", "corrupt"),
    "an entity of a file": (
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "corrupt"),
    "an unknown entity": (b"<a>&b;</a>", "corrupt"),
    "too deep": (b"<a>" * 9 + b"</a>" * 9, "limit"),
    "nothing": (b"", "corrupt"),
    "no XML": (b"<a><b></a>", "corrupt"),
    "an unknown encoding": (b'<?xml version="1.0" encoding="none"?><a/>', "corrupt"),
    "wrong bytes": (b"<a>\xff\xfe</a>", "corrupt"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "kind"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_hostile_has_its_kind(data: bytes, kind: str) -> None:
    with pytest.raises(DiskImageError) as caught:
        read(data)
    assert caught.value.kind == kind
    assert "its text" in caught.value.message


def test_a_document_type_elsewhere_is_not_fetched() -> None:
    data = b'<!DOCTYPE a PUBLIC "-//A//B" "http://127.0.0.1:9/a.dtd"><a>b</a>'
    assert read(data).text == "b"
