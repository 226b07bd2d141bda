"""resize, commit, rebase and flatten as commands: their documents, their refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.samples import DISK, Command, document

OVER = ("-o", "backing=disk.raw", "-o", "backing_format=raw")


@pytest.fixture
def over(diskimage: Command, folder: Path) -> str:
    """An overlay on disk.raw, larger than that."""
    assert diskimage("create", "over.qcow2", *OVER).returncode == 0
    grown = document(diskimage("resize", "over.qcow2", "+1M", "--references", "siblings", "--json"))
    assert (grown["before"], grown["size"]) == (DISK, DISK + (1 << 20))
    return (folder / "over.qcow2").name


def test_commit_tells_where_it_wrote(over: str, diskimage: Command, folder: Path) -> None:
    done = document(diskimage("commit", over, "--references", "siblings", "--json"))
    assert done["backing"] == str((folder / "disk.raw").resolve())
    assert (done["written"], done["emptied"], done["warnings"]) == (0, True, [])
    assert (folder / "disk.raw").stat().st_size == DISK + (1 << 20)


def test_flatten_and_rebase_tell_what_they_wrote(over: str, diskimage: Command) -> None:
    new = ("disk.raw", "--backing-format", "raw", "--references", "siblings", "--json")
    done = document(diskimage("rebase", over, *new))
    assert (done["backing"], done["backing_format"], done["written"]) == ("disk.raw", "raw", 0)
    done = document(diskimage("flatten", over, "--references", "siblings", "--json"))
    assert (done["backing"], done["backing_format"]) == (None, None)
    assert done["written"] > 0
    lines = diskimage("compare", over, "disk.raw").stdout.split()
    assert lines == ["equal"]


@pytest.mark.parametrize(
    ("arguments", "kind", "status"),
    [
        (("commit", "over.qcow2"), "refused-reference", 7),
        (("flatten", "disk.raw"), "unsupported", 3),
        (("resize", "disk.raw", "1M"), "usage", 2),
        (("resize", "disk.raw", "1M", "--shrink"), "loss", 7),
        (("resize", "disk.raw", "much"), "usage", 2),
        (("rebase", "over.qcow2", "disk.raw"), "usage", 2),
    ],
)
def test_refusals_have_their_kind(
    arguments: tuple[str, ...], kind: str, status: int, over: str, diskimage: Command, folder: Path
) -> None:
    before = (folder / over).read_bytes()
    done = diskimage(*arguments, "--json")
    assert done.returncode == status
    assert json.loads(done.stderr)["error"]["kind"] == kind
    assert (folder / over).read_bytes() == before


def test_people_are_told_in_a_line(diskimage: Command) -> None:
    done = diskimage("resize", "disk.raw", "8M")
    assert done.stdout == (
        f"resized disk.raw: 4 MiB ({DISK} bytes) became 8 MiB ({2 * DISK} bytes)\n"
    )
