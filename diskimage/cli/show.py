"""What is printed: JSON documents, aligned lines, errors."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from diskimage.errors import DiskImageError, ExistsError
from diskimage.words import escape, size_text

ROWS = 1000  # of an array, in one write
SHOWN = 20  # ranges, or warnings, that people get

if TYPE_CHECKING:
    from diskimage.engine.picture import Tally
    from diskimage.model import Finding
    from diskimage.ranges import Ranges


def document(value: object, out: TextIO | None = None) -> None:
    """Print one JSON document, on the standard output unless `out` is given."""
    (out or sys.stdout).write(_json(value, indent=2) + "\n")


def failed(error: DiskImageError, as_json: bool) -> int:
    """Print an error on the standard error; its exit code."""
    if as_json:
        told = {
            "kind": error.kind, "message": escape(str(error)), "file": error.file, "at": error.at,
            "remedy": error.remedy,
        }  # fmt: skip
        print(_json({"error": told}), file=sys.stderr)
        return error.exit_code
    where = "" if error.at is None else f" (at byte {error.at})"
    print(f"error[{error.kind}]: {escape(str(error))}{where}", file=sys.stderr)
    if error.remedy:
        print(f"help: {escape(error.remedy)}", file=sys.stderr)
    return error.exit_code


def rows(values: Iterable[object]) -> None:
    """Print a JSON array, an element a line, many lines at a time."""
    parts, between = ["["], ""
    for value in values:
        parts.append(between + _json(value))
        between = ",\n"
        if len(parts) > ROWS:
            sys.stdout.write("".join(parts))
            parts.clear()
    sys.stdout.write("".join(parts) + "]\n")  # one write: a reader may leave after a line


def width() -> int:
    """Columns that a picture may take."""
    return max(20, min(100, shutil.get_terminal_size().columns) - 4)


def plain() -> bool:
    """Whether the standard output has ASCII alone."""
    return "utf" not in (sys.stdout.encoding or "").lower()


def ruler(counted: Tally) -> None:
    """Print a map as one line of cells and its legend."""
    signs = dict(zip(counted.totals, "#=0.-!" if plain() else "█▓░·╌✗", strict=True))
    print("  " + "".join(signs[kind] for kind in counted.cells()))
    print(f"  0{size_text(counted.size):>{max(1, counted.width - 1)}}")
    for kind, total in counted.totals.items():
        if total:
            print(f"  {signs[kind]} {kind:10}  {bytes_text(total)}")


def new_file(path: str, text: str) -> None:
    """Write a picture to a file that is not there yet, whole or not at all.

    Raises ExistsError, NoSpaceError, IoError.
    """
    try:
        _write(path, text.encode())
    except ExistsError as error:
        raise ExistsError("already exists", file=path, remedy="name another file") from error


def _write(path: str, content: bytes) -> None:
    from diskimage.sinks.file import FileSink

    sink = FileSink(path, durable=False)
    try:
        sink.target().write(0, memoryview(content))
        sink.commit()
    except BaseException:
        sink.abort()
        raise


def line(value: object) -> None:
    """Print one JSON line on the standard error."""
    print(_json(value), file=sys.stderr, flush=True)


def _json(value: object, indent: int | None = None) -> str:
    # DEL is the one control character that JSON lets through
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def pairs(rows: Iterable[tuple[str, object]]) -> None:
    """Print names and values in two columns; empty values are left out."""
    kept = [(name, escape(str(value))) for name, value in rows if value not in (None, "", (), [])]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        print(f"  {name:{width}}  {value}")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], out: TextIO | None = None) -> None:
    """Print aligned columns under their names; numbers to the right."""
    body = [[escape(str(cell)) for cell in row] for row in rows]
    numeric = [all(row[i].replace(".", "").isdecimal() for row in body) for i in range(len(head))]
    widths = [max(len(row[i]) for row in [list(head), *body]) for i in range(len(head))]
    for row in [list(head), *body]:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        print(("  " + "  ".join(cells)).rstrip(), file=out)


def ranges(found: Ranges, out: TextIO | None = None) -> None:
    """Print the first of some ranges, and how many more there are."""
    table(("start", "length"), list(found)[:SHOWN], out)
    if len(found) > SHOWN:
        print(f"  and {len(found) - SHOWN} more ranges (--json lists them)", file=out)


def unreadable(bad: Ranges, out: TextIO | None = None) -> None:
    """Print what could not be read, where there is such a thing."""
    if bad:
        print(f"unreadable: {bytes_text(bad.total)}, taken as zeros", file=out)
        ranges(bad, out)


def warned(findings: Iterable[Finding]) -> None:
    """Print warnings on the standard error, a line each; of many the first."""
    told = list(findings)
    for finding in told[:SHOWN]:
        print(f"warning[{finding.kind}]: {escape(finding.message)}", file=sys.stderr)
    if len(told) > SHOWN:
        print(f"and {len(told) - SHOWN} more warnings (--json lists them)", file=sys.stderr)


def many(number: int, one: str, more: str) -> str:
    """A count and its word: 1 file, 2 files."""
    return f"{number} {one if number == 1 else more}"


def bytes_text(size: int) -> str:
    """A size for people and exactly."""
    return f"{size} bytes" if size < 1024 else f"{size_text(size)} ({size} bytes)"
