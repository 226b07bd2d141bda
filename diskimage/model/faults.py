"""Faults of a file that opening goes on behind, where somebody salvages it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

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
from diskimage.limits import LIMITS
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

    def surviving(self) -> Self:
        """A scope: what is raised in it is raised, or noted where somebody salvages."""
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        if not self.salvaging or not isinstance(error, SURVIVED):
            return False
        self.note(error)
        return True

    def note(self, error: ContentError | MediumError) -> None:
        """One more fault; of very many the first are told."""
        if len(self.found) < LIMITS.problems:
            self.found.append(Finding(error.kind, escape(str(error)), error.at))
