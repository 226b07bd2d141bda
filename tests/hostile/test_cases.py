"""Every hostile case: the outcome that its row expects, within its limits, and nothing touched.

The images and the table are beside the repository (../shared/hostile). A row passes when the
outcome is one of its alternatives, no file outside the image's directory and the target was opened,
no file of the image's directory changed, nothing was written beside the target, and no control
character reached the terminal.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bounded import Run
from tests.rows import SHARED, table

CASES = SHARED / "hostile/cases.tsv"
WATCHED = Path(__file__).with_name("watched.py")
TESTED = frozenset(
    {
        "toc",
        "cue",
        "qcow2",
        "iso",
        "vdi",
        "vmdk",
        "parallels",
        "vhd",
        "vhdx",
        "raw",
        "format",
        "nrg",
        "cdi",
        "ccd",
        "chd",
        "mds",
        "dmg",
        "e01",
        "isz",
        "simg",
    }
)
MISMADE = {
    "vmdk-extent-default-deny": "the extent that it is to allow is not in its directory: missing",
}
"""Cases that are not what their row says, and why."""
LIBRARIES_MIB = 512  # code and libraries count in an address space too
ADVISED = {"corrupt", "truncated", "checksum", "limit"}  # of these every error says what to do

Row = dict[str, str]


@dataclass
class Outcome:
    """What a run came to: `ok`, `ok-with-warning`, or the kinds of error; and its document."""

    kinds: frozenset[str]
    document: dict[str, Any] = field(default_factory=dict)


def arguments(row: Row, image: Path, target: Path) -> list[str]:
    """The verb and its arguments for a row's operation."""
    operation, _, raw = row["operation"].partition(":")
    operation, _, references = operation.partition("+")
    if operation == "open":
        return ["open", str(image), "siblings" if references else ""]
    verb = {
        "read-all": ["hash", str(image), "-a", "sha256"],
        "extract": ["extract", str(image), str(target)],
        "check": ["check", str(image)],
        "list": ["tree", str(image)],
        "partitions": ["info", str(image)],
        "info": ["info", str(image)],
    }[operation]
    named = ["--format", "raw"] if raw else []
    return [*verb, "--json", *(["--references", "siblings"] if references else []), *named]


def parsed(text: str) -> dict[str, Any]:
    """The document of a standard output, or nothing."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def error_of(stderr: str) -> dict[str, Any]:
    """The error document, the last such line."""
    for line in reversed(stderr.strip().splitlines()):
        error = parsed(line).get("error", {})
        if error:
            return dict(error)
    return {}


def judged(status: int, stdout: str, stderr: str) -> Outcome:
    """The outcome of a child that ended by itself."""
    assert status >= 0, f"killed by signal {-status}: {stderr[-500:]}"
    assert "Traceback" not in stderr, stderr[-2000:]
    document = parsed(stdout)
    if document.get("problems"):
        kinds = frozenset(f"error:{problem['kind']}" for problem in document["problems"])
        return Outcome(kinds, document)
    if status == 0:
        warned = bool(document.get("warnings"))
        return Outcome(frozenset({"ok", "ok-with-warning"} if warned else {"ok"}), document)
    error = error_of(stderr)
    assert error, f"exit {status} without an error document: {stderr[-500:]!r}"
    if error["kind"] in ADVISED:
        assert error["remedy"], error
    return Outcome(frozenset({f"error:{error['kind']}"}), document)


def holds(alternative: str, outcome: Outcome, target: Path) -> bool:
    """Whether an outcome is this alternative, with every fact that its operation can show.

    Extracted files are counted in the target, links with them; listed ones come from the document.
    """
    head, *facts = alternative.split(";")
    if head not in outcome.kinds:
        return False
    document = outcome.document
    extracted = sum(len(names) for _, _, names in os.walk(target))
    shown = {
        "size": document.get("size"),
        "sha256": document.get("digests", {}).get("sha256"),
        "files": extracted or document.get("files"),
        "parts": len(document["volumes"]) if "volumes" in document else None,
    }
    wanted = dict(fact.split("=") for fact in facts)
    return all(shown[key] is None or str(shown[key]) == value for key, value in wanted.items())


def state(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Type, size and time of everything in a directory; nothing is followed or opened."""
    return {
        entry.name: (at.st_mode, at.st_size, at.st_mtime_ns)
        for entry in os.scandir(directory)
        for at in [entry.stat(follow_symlinks=False)]
    }


def cases() -> list[Any]:
    """A parameter a row; where the table is absent, one that skips and says so."""
    if not CASES.exists():
        absent = pytest.mark.skip(reason="../shared/hostile is not beside the repository")
        return [pytest.param({}, marks=absent, id="absent")]
    rows = [row for row in table(CASES) if row["format"] in TESTED]
    return [
        pytest.param(
            row,
            id=row["id"],
            marks=[pytest.mark.xfail(reason=MISMADE[row["id"]], strict=True)]
            if row["id"] in MISMADE
            else [],
        )
        for row in rows
    ]


@pytest.mark.parametrize("row", cases())
def test_case(row: Row, hostile: Path, run: Run, tmp_path: Path) -> None:
    directory = hostile / row["id"]
    image = directory / row["files"].replace(",", " ").split()[0]
    target, log = tmp_path / "target", tmp_path / "opened"
    target.mkdir()
    before = state(directory)
    child = run(
        [sys.executable, WATCHED, log, directory, target, *arguments(row, image, target)],
        memory_mib=int(row["mem_mib"]) + LIBRARIES_MIB,
        seconds=float(row["time_s"]) + 3,  # and the interpreter's start on a busy machine
        cwd=directory,
    )
    outcome = judged(child.returncode, child.stdout, child.stderr)
    told = f"wanted {row['expect']}, got {sorted(outcome.kinds)} {child.stderr[-300:]}"
    assert any(holds(one, outcome, target) for one in row["expect"].split("|")), told
    assert log.read_text() == "", "opened what it has no business with"
    assert state(directory) == before, "the image's directory changed"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["opened", "target"]
    shown = (child.stdout + child.stderr).replace("\n", "")
    assert shown.isprintable(), "a control character reached the terminal"


def test_the_watch_sees_a_file_that_is_none_of_its_business(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "opened"
    run([sys.executable, WATCHED, log, tmp_path, tmp_path, "open", "/etc/passwd", ""], cwd=tmp_path)
    assert log.read_text() == "'/etc/passwd'\n"
