"""Permission to open a second file: names judged, directories held, chains counted.

The policy (DESIGN section 7): *parts* have plain names and lie beside the image; *parents* are
refused unless the caller says "siblings", a directory, a mapping, or a callable. A name is data:
it is judged after decoding, and resolved below the directory alone, links included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, TypeAlias
from unicodedata import normalize

from diskimage import registry
from diskimage.engine.read import source as device_source
from diskimage.errors import (
    DiskImageError,
    LimitError,
    LoopError,
    MissingError,
    RefusedReferenceError,
    UnsafeNameError,
    UnsupportedError,
    UsageError,
    from_os,
)
from diskimage.limits import LIMITS, Limits
from diskimage.model import Device, Disc, Faults, Finding, Format, Held, Reference, Source
from diskimage.sources.anything import What, as_source
from diskimage.sources.below import inside, open_below, recognised
from diskimage.sources.file import FileSource
from diskimage.sources.folder import FolderFiles
from diskimage.sources.shelf import Shelf
from diskimage.words import escape, is_text

Named: TypeAlias = "str | os.PathLike[str] | Source"
Asking: TypeAlias = Callable[[], str | None]


@dataclass(slots=True)
class Unhurried:
    """A password that only what cannot be described without one asks for, if anybody does."""

    ask: Asking | None = None


Secret: TypeAlias = str | Asking | Unhurried | None
"""The password of an image, or what asks for it once a format needs one."""
Policy: TypeAlias = (
    "Literal['none', 'parts', 'siblings', 'list'] | str | os.PathLike[str]"
    " | Mapping[str, Named] | Callable[[Reference], Named | None]"
)

Known: TypeAlias = Callable[[Source], bool] | None
"""What recognises a parent whose name is no file's."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WORDS = frozenset({"none", "parts", "siblings", "list"})


class Closable(Protocol):
    """What is closed with an image."""

    def close(self) -> None: ...


@dataclass(slots=True)
class Ledger:
    """What one open gathers: warnings, faults, references, and `sources`, all that it reads from.

    Of these it closes `own` alone: a source that the caller passed stays the caller's.
    """

    warnings: list[Finding] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    own: list[Closable] = field(default_factory=list)
    shelf: Shelf = field(default_factory=Shelf)
    faults: Faults = field(default_factory=Faults)

    def source(self, what: What, *, writable: bool = False) -> Source:
        """`what` as a source, to be closed here unless it was one."""
        source = as_source(what, writable=writable)
        if source is not what:
            self.own.append(source)
        return source

    def close(self) -> None:
        """Close every source that was opened here, the last first."""
        self.sources.clear()
        while self.own:
            self.own.pop().close()


@dataclass(slots=True)
class FileGate:
    """The gate of one image. `folder` is its own directory, "" where it has none."""

    source_name: str
    folder: str
    policy: Policy = "parts"
    limits: Limits = LIMITS
    secret: Secret = None
    ledger: Ledger = field(default_factory=Ledger)
    chain: tuple[tuple[int, int], ...] = ()
    nested: bool = False

    def warn(self, kind: str, message: str, at: int | None = None) -> None:
        """Note what was odd and survived."""
        self.ledger.warnings.append(Finding(kind, escape(message), at))

    def password(self) -> str | None:
        """What the caller gave, asked for once where that is a callable. UsageError for no text."""
        asked = self.secret.ask if isinstance(self.secret, Unhurried) else self.secret
        if callable(asked):
            asked = self.secret = asked()
        if asked is not None and not is_text(asked):
            raise UsageError("the password is no text", remedy="a password is a text, in UTF-8")
        return asked

    @property
    def locked(self) -> bool:
        """Whether an image that needs a password may be described without."""
        return isinstance(self.secret, Unhurried)

    @property
    def faults(self) -> Faults:
        """Of this image and of all below it."""
        return self.ledger.faults

    @property
    def alone(self) -> bool:
        """Whether this image is looked at by itself."""
        return self.policy == "list"

    def reading(self, device: Device, name: str) -> Source:
        """The guest bytes of `device` as a source, a few decoded chunks kept."""
        return device_source(device, name)

    def content(self, source: Source, name: str, *, tail: bool = True) -> str | None:
        """The image that the bytes would open as in a file of that name; None for a disk's own, and
        for those inside of an image, which knows what they are."""
        if self.nested:
            return None
        found = registry.candidates(registry.look(source, tail=tail)._replace(name=name))
        if not found or not source.size:
            return "" if source.size else None
        known = found[0].known
        plain = found[0].name == "raw" or (known is not None and known.opens_as_raw)
        return None if plain else found[0].name

    def siblings(self) -> tuple[str, ...]:
        """Names of the regular files in the image's directory; none where it may not be listed."""
        if not self.folder:
            return ()
        try:
            with os.scandir(self.folder) as entries:
                return tuple(sorted(entry.name for entry in entries if entry.is_file()))
        except OSError:  # one may open files of a directory that one may not list
            return ()

    def inside(self, name: str) -> FolderFiles:
        """The regular files of a folder below the image's directory; no link is followed."""
        if self.policy == "none":
            raise self._refused(name, "folder", "allow it with --references parts")
        shown = os.path.join(os.path.dirname(self.source_name), name)
        root = os.path.realpath(self.folder)
        path = os.path.join(root, name)
        if not self.folder or os.path.islink(path) or not os.path.isdir(path):
            raise MissingError(f"has no folder {name!r}", file=self.source_name,
                               remedy="open the directory that it is a part of")  # fmt: skip
        try:
            with os.scandir(path) as entries:
                names = [one.name for one in entries if one.is_file(follow_symlinks=False)]
        except OSError as error:
            raise from_os(error, shown) from error
        files = FolderFiles(shown, names, lambda file: open_below(
            root, os.path.join(name, file), os.path.join(shown, file)))  # fmt: skip
        self.ledger.own.append(files)
        return files

    def part(self, name: str, *, instead: tuple[str, ...] = ()) -> Source:
        """A part with a plain name beside the image."""
        plain = _judged(name, self.source_name)
        if self.policy == "none":
            raise self._refused(name, "part", "allow it with --references parts")
        if "/" in plain:
            raise self._refused(name, "part", "put the part beside the image and name it plainly")
        given = self._given(Reference(name, "part"))
        if given is not None:
            return self._keep(given, name, "part")
        if not self.folder:
            raise MissingError(f"its part {name!r} cannot be looked for: the image is no file",
                               file=self.source_name)  # fmt: skip
        found = self._found(plain, instead)
        return self._keep(self._below(self.folder, found, name, "part"), name, "part")

    def _found(self, name: str, instead: tuple[str, ...]) -> str:
        """`name`, or a file that differs from it in case or in how its letters are composed alone,
        or one of `instead`; said."""
        if os.path.lexists(os.path.join(self.folder, name)):
            return name
        present = self.siblings()
        for wanted in (name, *instead):
            for file in present:
                if _folded(file) == _folded(wanted):
                    kind = "case" if _folded(file) == _folded(name) else "name"
                    self.warn(kind, f"{name} is not there, {file} is taken instead")
                    return file
        raise MissingError(
            f"names {name!r}, which is not in its directory",
            file=self.source_name,
            remedy="put the file beside it, or correct the name",
        )

    def source(self, name: str, *, role: str, known: Known = None) -> Source | None:
        """A parent as bytes; None under "list"."""
        given = self._parent(name, role, None, known)
        return None if given is None else self._keep(given, name, role)

    def parent(
        self, name: str, *, role: str, format: str | None, known: Known = None
    ) -> Device | None:
        """A parent as a device of `format`; None under "list". Never probed."""
        given = self._parent(name, role, format, known)
        if given is None:
            return None
        if format is None:
            raise self._refused(name, role, "say its format: --open-option backing_format=NAME")
        source = self._keep(given, name, role, format)
        rules, gate = self._rules(role, format), self._deeper(source)
        return _disk(rules.open(source, gate), gate, role)  # opened here: a chain is a deep stack

    def inner(
        self, source: Source, *, format: str, beside: Mapping[str, Source] | None = None
    ) -> Device:
        """A stretch or a part of the image as a device of `format`. Never probed."""
        rules, gate = self._rules("content", format), self._nested(source, beside)
        return _disk(rules.open(source, gate), gate, "content")

    def examined(
        self, source: Source, *, format: str, beside: Mapping[str, Source] | None = None
    ) -> Generator[Finding, None, Held | None]:
        """The problems that `format` finds with `source`."""
        check = self._rules("content", format).check
        if check is None:
            return None
        walk = check(source, self._nested(source, beside))
        while True:
            try:
                found = next(walk)
            except StopIteration as end:
                return end.value if isinstance(end.value, Held) else None
            yield found

    def _nested(self, source: Source, beside: Mapping[str, Source] | None) -> FileGate:
        """The gate of what is inside of the image."""
        gate = self._deeper(source, beside)
        gate.nested = True
        return gate

    def _rules(self, role: str, format: str) -> Format:
        try:
            return registry.named(format)
        except DiskImageError:
            raise UnsupportedError(f"its {role} is said to be {format!r}, which no format of ours"
                                   " is called", file=self.source_name) from None  # fmt: skip

    def _deeper(self, source: Source, beside: Mapping[str, Source] | None = None) -> FileGate:
        """The gate of a parent or of content: one link further down, with the same policy and the
        same directory, or with `beside` alone."""
        chain = (*self.chain, source.identity) if isinstance(source, FileSource) else self.chain
        folder, policy = (self.folder, self.policy) if beside is None else ("", beside)
        return FileGate(source.name, folder, policy, self.limits, self.secret, self.ledger, chain)

    def _parent(self, name: str, role: str, format: str | None, known: Known) -> Source | None:
        reference = Reference(name, role, format)
        if self.policy == "list":
            self.ledger.references.append(reference)
            self.warn("reference", f"its {role} {name!r} was not opened")
            return None
        if len(self.chain) >= self.limits.chain_depth:
            raise LimitError(f"more than {self.limits.chain_depth} images under one another "
                             "(limit chain_depth)", file=self.source_name)  # fmt: skip
        given = self._given(reference)
        source = given if given is not None else self._allowed(name, role, known)
        if isinstance(source, FileSource) and source.identity in self.chain:
            raise LoopError(f"its {role} {name!r} leads back to itself", file=self.source_name)
        return source

    def _allowed(self, name: str, role: str, known: Known) -> Source:
        if self.policy in ("none", "parts") or not isinstance(self.policy, str | os.PathLike):
            self.ledger.references.append(Reference(name, role))
            raise self._refused(name, role, "allow it with --references siblings, or a directory")
        folder = self.folder if self.policy == "siblings" else os.fspath(self.policy)
        below = name
        if self.policy != "siblings" and os.path.isabs(name):
            below = os.path.relpath(name, folder) if inside(name, folder) else name
        plain = _judged(below, self.source_name)
        if self.policy == "siblings" and "/" in plain:
            raise self._refused(name, role, "allow its directory with --references DIR")
        if not folder:
            raise self._refused(name, role, "the image is no file: pass a mapping")
        if known is not None and not os.path.lexists(os.path.join(folder, plain)):
            suffix = os.path.splitext(self.source_name)[1]
            plain = recognised(os.path.realpath(folder), suffix, known, self.chain) or plain
        return self._below(folder, plain, name, role)

    def _given(self, reference: Reference) -> Source | None:
        """What the caller's mapping or callable answers."""
        policy = self.policy
        if isinstance(policy, str | os.PathLike):
            return None
        answer = policy.get(reference.name) if isinstance(policy, Mapping) else policy(reference)
        return None if answer is None else self.ledger.source(answer)

    def _below(self, folder: str, plain: str, name: str, role: str) -> Source:
        """The regular file `plain` below `folder`, no link leading out of it."""
        real = os.path.realpath(os.path.join(folder, plain))
        if not inside(real, folder):
            raise self._refused(name, role, "it is a link that leaves its directory")
        try:
            root = os.path.realpath(folder)
            shown = os.path.join(os.path.dirname(self.source_name), plain)
            again = partial(open_below, root, os.path.relpath(real, root), shown)
            source = again()
            source.path = real
        except UnsupportedError as error:
            raise self._refused(name, role, f"it {error.message}") from None
        except MissingError:
            remedy = "put the file in place, or correct the name"
            message = f"its {role} {name!r} does not exist"
            raise MissingError(message, file=self.source_name, remedy=remedy) from None
        if role == "part":
            source = self.ledger.shelf.put(source, again)
        self.ledger.own.append(source)
        return source

    def _keep(self, source: Source, name: str, role: str, format: str | None = None) -> Source:
        self.ledger.references.append(Reference(name, role, format, opened=True))
        self.ledger.sources.append(source)
        return source

    def _refused(self, name: str, role: str, remedy: str) -> RefusedReferenceError:
        return RefusedReferenceError(
            f"names {name!r} as its {role}, which is not allowed",
            file=self.source_name,
            remedy=remedy,
        )


def _disk(opened: Device | Disc, gate: FileGate, role: str) -> Device:
    """What was `opened`, which has to be a disk."""
    if isinstance(opened, Disc):
        raise UnsupportedError(f"its {role} is a disc", file=gate.source_name)
    return opened


def _folded(name: str) -> str:
    """A name as file systems that know no case, and compose letters, compare it."""
    return normalize("NFC", name).casefold()


def _judged(name: str, file: str) -> str:
    """`name` with `/` as its only separator and no leading `./`; a bad one is refused."""
    if not name or any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in name):
        raise UnsafeNameError(f"names {name!r}, which is no file name", file=file,
                              remedy="correct the name in the image")  # fmt: skip
    plain = name.replace("\\", "/")
    refused = None
    if _SCHEME.match(plain):
        refused = "a drive or a URL"
    elif plain.startswith("/"):
        refused = "an absolute path"
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if ".." in parts:
        refused = "a path that climbs"
    if refused or not parts:
        remedy = (
            "put the file beside this one and name it here without a path, or in Python pass"
            " references={this name: the file you mean}"
        )
        message = f"names {name!r}, {refused or 'no file'}"
        raise RefusedReferenceError(message, file=file, remedy=remedy)
    return "/".join(parts)


def checked_policy(policy: Policy) -> Policy:
    """`policy`, where a string that is no policy's word is a directory that exists."""
    if isinstance(policy, str) and policy not in _WORDS and not Path(policy).is_dir():
        text = "no such directory, nor one of none, parts, siblings, list"
        raise MissingError(text, file=policy, remedy="check the name")
    return policy
