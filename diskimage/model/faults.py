"""Faults of a file that opening goes on behind, where somebody salvages it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from diskimage.errors import (
    ChecksumError,
    ContentError,
    CorruptError,
    IoError,
    LoopError,
    MediumError,
    MissingError,
    TruncatedError,
)
from diskimage.model.formats import Finding
from diskimage.words import escape

SURVIVED = (CorruptError, TruncatedError, ChecksumError, LoopError, MissingError, IoError)
"""What is the file's or the medium's: a limit or a refused name the caller has to change."""


@dataclass(slots=True)
class Faults:
    """What was survived so far; nothing is unless it is `salvaging`.

    A reader puts what may end early inside of `surviving`, and afterwards takes what it has: the
    rest of the guest is BAD, or, where nobody knows how much that is, not there.
    """

    salvaging: bool = False
    found: list[Finding] = field(default_factory=list)

    @contextmanager
    def surviving(self) -> Iterator[None]:
        """Raise what is raised inside; where somebody salvages note a fault, and go on behind."""
        try:
            yield
        except SURVIVED as error:
            if not self.salvaging:
                raise
            self.note(error)

    def note(self, error: ContentError | MediumError) -> None:
        """One more fault."""
        self.found.append(Finding(error.kind, escape(str(error)), error.at))
