"""Real ISOs: every tree is what xorriso and 7-Zip extracted (TREES.tsv of the corpus)."""

from __future__ import annotations

import csv
import hashlib
import lzma
from collections import defaultdict
from pathlib import Path

import pytest

from diskimage.errors import DiskImageError
from diskimage.filesystems import FileSystem, detect, problems
from diskimage.sources.file import open_file
from tests.rows import SHARED

TREES = SHARED / "corpus/TREES.tsv.xz"
Row = tuple[str, str, str]  # name, size or "link", digest or target

# What the oracle does not hold, and why.
REFUSED = {
    "libarchive__test_read_format_iso_rockridge_ce_loop.iso": "loop",  # 7-Zip reads no Rock Ridge
}
NO_FILES = {  # no tool found a file in these; what ours says
    "igir__UMD.iso": "",
    "isolyzer__hfs.iso": "",
    "isolyzer__iso9660_nopvd.iso": "",
    "isolyzer__iso9660_trunc.iso": "truncated",
    "libarchive__test_fuzz_1.iso": "",
    "libcdio__bad-dir.iso": "corrupt",
    "libcdio__malformed.iso": "corrupt",
}


def oracle() -> dict[str, dict[str, set[Row]]]:
    """Rows by image and tool; nothing where the corpus is absent."""
    found: dict[str, dict[str, set[Row]]] = defaultdict(lambda: defaultdict(set))
    if TREES.exists():
        with lzma.open(TREES, "rt", encoding="utf-8", newline="") as table:
            for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
                kind, _, name = row["path"].partition("/")
                if kind == "iso":
                    found[name][row["tool"]].add((row["name"], row["size"], row["sha256"]))
    return found


ORACLE = oracle()


def tree(files: FileSystem) -> set[Row]:
    """Files and links as the table has them."""
    found: set[Row] = set()
    for _, entry in files.walk():
        if entry.kind == "link":
            found.add((entry.path[1:], "link", entry.target or ""))
        elif entry.kind == "file":
            source = files.open(entry)
            body = bytearray(source.size)
            source.read_into(0, memoryview(body))
            digest = hashlib.sha256(body).hexdigest()
            found.add((entry.path[1:], str(entry.size), digest))
    return found


def known(name: str, corpus: Path, warnings: list[str]) -> FileSystem | None:
    source = open_file(str(corpus / "iso" / name))
    return detect(source, warn=lambda kind, message, at: warnings.append(f"{kind} {message} {at}"))


@pytest.mark.parametrize("name", sorted(set(ORACLE) - set(REFUSED)) or ["absent"])
def test_the_tree_is_that_of_the_oracle(name: str, corpus: Path) -> None:
    warnings: list[str] = []
    files = known(name, corpus, warnings)
    assert files is not None
    ours, theirs = tree(files), ORACLE[name]
    coded = {row for row in ours if f"/{row[0]}: zisofs" in "\n".join(warnings)}
    # xorriso unpacks zisofs and makes no link that is absolute or leaves the target; 7-Zip gives
    # stored bytes, and an empty file or nothing for links and devices
    assert {row for row in theirs["xorriso"] if row[0] not in {c[0] for c in coded}} <= ours - coded
    left = ours - coded - theirs["xorriso"]
    assert all(row[1] == "link" and row[2].startswith(("/", "..")) for row in left), left
    regular = {row for row in ours if row[1] != "link"}
    assert regular <= theirs["7zz"]
    assert all(row[1] == "0" for row in theirs["7zz"] - regular)


@pytest.mark.parametrize(("name", "kind"), sorted((NO_FILES | REFUSED).items()))
def test_what_no_tool_reads_has_no_files_or_one_error(name: str, kind: str, corpus: Path) -> None:
    def rows() -> set[Row]:
        files = known(name, corpus, [])
        return tree(files) if files is not None else set()

    if kind == "":
        assert rows() == set()
        return
    with pytest.raises(DiskImageError) as error:
        rows()
    assert error.value.kind == kind


def test_an_earlier_session_is_read_from_its_own_sector(corpus: Path) -> None:
    """xorriso keeps the first session at sector 32, and the newest one's descriptors at 0."""
    source = open_file(str(corpus / "iso/made__multisession.iso"))
    first = detect(source, base=32)
    assert first is not None
    assert [entry.path for _, entry in first.walk()] == ["/readme.txt"]
    assert tree(first) < ORACLE["made__multisession.iso"]["xorriso"]


SOUND = sorted(name for name in ORACLE if name.startswith(("made__", "isolyzer__", "iso9660")))


@pytest.mark.parametrize("name", SOUND or ["absent"])
def test_what_good_writers_made_has_no_problems(name: str, corpus: Path) -> None:
    assert list(problems(open_file(str(corpus / "iso" / name)))) == []
