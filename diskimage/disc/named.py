"""Files that a sheet names, opened through its gate; errors say on which line it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diskimage.errors import CorruptError, DiskImageError, LimitError, LoopError
from diskimage.model import Gate, Source
from diskimage.parse import read
from diskimage.sources.ecm import Ecm

_ECM = ".ecm"


def text(source: Source, gate: Gate) -> bytes:
    """The whole text in `source`. Raises LimitError where no sheet has so many bytes."""
    if source.size > gate.limits.text_file:
        raise LimitError(
            f"a sheet of {source.size} bytes is above the limit of {gate.limits.text_file}",
            file=source.name,
            remedy="is it a sheet?",
        )
    return bytes(read(source, 0, source.size, "the sheet"))


@contextmanager
def said(name: str, line: int, sheet: Source) -> Iterator[None]:
    """What goes wrong with the file `name` is told of the line of `sheet` that names it."""
    try:
        yield
    except DiskImageError as error:
        raise type(error)(
            f"line {line}: {name!r}: {error.message}",
            file=sheet.name,
            remedy=error.remedy,
            errno=error.errno,
        ) from error


def part(name: str, line: int, sheet: Source, gate: Gate, instead: tuple[str, ...] = ()) -> Source:
    """The file `name` that line `line` of `sheet` names, or `name`.ecm, and what is in it.

    Raises what the gate does, LoopError for the sheet itself, CorruptError for an empty file.
    """
    with said(name, line, sheet):
        found = gate.part(name, instead=(*instead, *(f"{one}{_ECM}" for one in (name, *instead))))
    identity = getattr(found, "identity", None)
    if identity is not None and identity == getattr(sheet, "identity", None):
        found.close()
        raise LoopError(
            f"line {line}: the sheet names itself as its FILE",
            file=sheet.name,
            remedy="name the file that holds the frames",
        )
    if found.size == 0:
        found.close()
        raise CorruptError(
            f"line {line}: {name!r} is empty",
            file=sheet.name,
            remedy="copy or download it again",
        )
    if not found.name.lower().endswith(_ECM):
        return found
    with said(name, line, sheet):
        return Ecm(found)
