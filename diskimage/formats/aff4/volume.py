"""A container of AFF4: its members by the names of things, and what its metadata says of them.

Facts: AFF4 Standard 1.0a (github.com/aff4/Standard), sections 1, 2 and 5; for terms of the time
before it, the lexicon of github.com/Velocidex/c-aff4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from diskimage.errors import CorruptError, UnsupportedError
from diskimage.formats.aff4 import zip as archive
from diskimage.formats.aff4.turtle import TYPE, Graph, Iri, Object, graph
from diskimage.formats.aff4.zip import Member
from diskimage.model import Gate, Source

STANDARD = "http://aff4.org/Schema#"
LEGACY = "http://afflib.org/2009/aff4#"
METADATA, DESCRIPTION, VERSION = "information.turtle", "container.description", "version.txt"
_DIGITS = 19  # of a number that fits in 63 bits


class Volume(NamedTuple):
    """An archive: `members` by the name of the thing that each holds, `twice` those there twice."""

    source: Source
    urn: str
    members: Mapping[str, Member]
    twice: frozenset[str]
    graph: Graph
    version: Mapping[str, str]

    def member(self, urn: str) -> Member | None:
        """The member of a thing; None where it is elsewhere. CorruptError where it is not one."""
        if urn in self.twice:
            raise CorruptError(f"holds {urn!r} twice", file=self.source.name)
        return self.members.get(urn)

    def types(self, urn: str) -> frozenset[str]:
        """What a thing is."""
        return frozenset(one.value for one in self.graph.get(urn, {}).get(TYPE, ()))

    def things(self, *types: str) -> list[str]:
        """The things of any of these types, in order."""
        return [urn for urn in self.graph if self.types(urn) & set(types)]

    def values(self, urn: str, *names: str) -> list[Object]:
        """What is said of a thing by the first of the properties that says anything."""
        said = self.graph.get(urn, {})
        for name in names:
            for space in (STANDARD, LEGACY):
                if said.get(space + name):
                    return said[space + name]
        return []

    def text(self, urn: str, *names: str) -> str | None:
        """The first of `values`."""
        found = self.values(urn, *names)
        return found[0].value if found else None

    def number(self, urn: str, *names: str) -> int | None:
        """The first of `values` as a number that is not negative. CorruptError."""
        text = self.text(urn, *names)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS:
            said = f"says {text[:40]!r} of {names[0]}, no number"
            raise CorruptError(said, file=self.source.name)
        return int(text)

    def content(self, urn: str, limit: int, what: str) -> bytes | None:
        """The bytes of a small thing, their CRC right; None where it is elsewhere."""
        member = self.member(urn)
        return None if member is None else archive.content(member, self.source, limit, what)


def load(source: Source, gate: Gate) -> Volume:
    """The container in `source`. Raises what reading it does, UnsupportedError for another zip."""
    limits = gate.limits
    found = archive.directory(source, limits)
    plain = {member.name.lstrip("/"): member for member in found.members}
    if METADATA not in plain:
        remedy = "unpack it and open what is in it"
        text = "is a zip archive without the metadata of AFF4"
        raise UnsupportedError(text, file=source.name, remedy=remedy)

    def text_of(name: str, limit: int, what: str) -> str:
        data = archive.content(plain[name], source, limit, what) if name in plain else b""
        return data.decode("utf-8", "replace").strip("\0\ufeff \t\r\n")

    comment = found.comment.decode("utf-8", "replace").strip("\0 ")
    urn = (text_of(DESCRIPTION, 4096, "4096") or comment).rstrip("/")
    metadata = text_of(METADATA, 16 * limits.text_file, "16 text_file")
    members, twice = dict[str, Member](), set[str]()
    for member in found.members:
        name = named(member.name, urn)
        if name in members:
            twice.add(name)
        members[name] = member
    lines = (line.partition("=") for line in text_of(VERSION, 4096, "4096").splitlines())
    version = {key.strip(): value.strip() for key, _, value in lines}
    said = graph(metadata, source, limits)
    return Volume(source, urn, members, frozenset(twice), said, version)


def named(name: str, volume: str) -> str:
    """The name of what a member holds: below the volume's where it has none of its own."""
    plain = unquote(name).lstrip("/")
    return plain if "://" in plain else f"{volume}/{plain}"


def thing(one: Object) -> str | None:
    """The name of a thing; None for a text."""
    return one.value if isinstance(one, Iri) else None
