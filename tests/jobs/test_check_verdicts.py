"""Three verdicts of one check: structure, chunks, the hash of the whole, each for itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.jobs.check import Checked
from tests.makers import cue, dmg, e01, isz, qcow2, vdi
from tests.makers.sample import Sample


def verdicts(found: Checked) -> tuple[str, ...]:
    return tuple(one.status for one in found.verdicts)


def called(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def first(samples: list[Sample], tmp_path: Path) -> Path:
    return samples[0].write(tmp_path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (vdi.samples, ("intact", "unstored", "unstored")),
        (e01.samples, ("intact", "intact", "intact")),
        (dmg.samples, ("intact", "intact", "intact")),
        (isz.samples, ("intact", "intact", "intact")),
        (cue.samples, ("intact", "intact", "unstored")),
    ],
    ids=["vdi", "e01", "dmg", "isz", "cue"],
)
def test_what_is_stored_is_held_and_what_is_not_is_said(
    make: Callable[[], list[Sample]], expected: tuple[str, ...], tmp_path: Path
) -> None:
    found = diskimage.check(first(make(), tmp_path))
    assert not [problem for problem in found.problems if problem.part != "files"]
    assert verdicts(found)[:3] == expected
    texts = {one.part: one.text for one in found.verdicts}
    assert (texts["whole"] == "no whole hash stored") == (expected[2] == "unstored")


def test_a_damaged_chunk_leaves_the_hash_of_the_whole_unjudged(tmp_path: Path) -> None:
    path = first(e01.samples(), tmp_path)
    image = bytearray(path.read_bytes())
    at = image.index(b"sectors\0") + 76 + 40
    image[at] ^= 0x10
    path.write_bytes(image)
    found = diskimage.check(path)
    assert verdicts(found) == ("intact", "damaged", "unjudged")
    assert {problem.part for problem in found.problems} == {"chunks"}


def test_a_wrong_hash_alone_leaves_structure_and_chunks_intact(tmp_path: Path) -> None:
    path = first(e01.samples(), tmp_path)
    image = bytearray(path.read_bytes())
    at = image.rindex(b"hash\0") + 76
    image[at : at + 36] = e01.summed(bytes(32))
    path.write_bytes(image)
    assert verdicts(diskimage.check(path)) == ("intact", "intact", "damaged")


def test_a_damaged_table_says_nothing_of_chunks(tmp_path: Path) -> None:
    path = first(vdi.samples(), tmp_path)
    image = bytearray(path.read_bytes())
    image[512:516] = (7000).to_bytes(4, "little")
    path.write_bytes(image)
    found = diskimage.check(path)
    assert verdicts(found)[0] == "damaged"
    assert {problem.part for problem in found.problems} == {"structure"}


@pytest.mark.parametrize("kind", ["qcow2", "streamOptimized"])
def test_compressed_chunks_of_any_format_have_to_decode(
    kind: str, peer: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(range(200)) * 5000 + b"end!" * 40000)
    options = ["-c", "-O", "qcow2"]
    if kind != "qcow2":
        options = ["-O", "vmdk", "-o", f"subformat={kind}"]
    path = tmp_path / "a.img"
    called(peer("qemu-img"), "convert", *options, tmp_path / "a.raw", path)
    assert verdicts(diskimage.check(path)) == ("intact", "intact", "unstored")
    with diskimage.open(path) as opened:
        coded = next(row for row in opened.extents() if row.stored)
    image = bytearray(path.read_bytes())
    image[coded.at + 30 : coded.at + 40] = b"\xff" * 10
    path.write_bytes(image)
    found = diskimage.check(path)
    assert verdicts(found) == ("intact", "damaged", "unstored")
    assert [one.kind for one in found.problems] == ["corrupt"]


def test_a_hunk_of_a_chd_is_named(peer: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"".join(b"%07d\n" % n for n in range(20000)).ljust(163840))
    path = tmp_path / "a.chd"
    called(peer("chdman"), "createhd", "-i", tmp_path / "a.raw", "-o", path, "-chs", "40,2,4")
    assert verdicts(diskimage.check(path)) == ("intact", "intact", "intact")
    image = bytearray(path.read_bytes())
    image[len(image) // 2] ^= 0xFF
    path.write_bytes(image)
    found = diskimage.check(path)
    assert verdicts(found) == ("intact", "damaged", "unjudged")
    assert found.problems[0].message.startswith("hunk ")


def test_a_file_system_is_judged_apart(peer: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.txt").write_text("a")
    path = tmp_path / "a.iso"
    called(peer("genisoimage"), "-quiet", "-o", path, tmp_path / "tree")
    content = bytearray(path.read_bytes())
    assert [one.part for one in diskimage.check(path).verdicts] == ["structure", "chunks", "whole"]
    content[16 * 2048 + 158 : 16 * 2048 + 166] = b"\xff" * 8  # the root directory's place
    path.write_bytes(content)
    found = diskimage.check(path)
    assert verdicts(found) == ("intact", "unstored", "unstored", "damaged")
    assert {problem.part for problem in found.problems} == {"files"}


def test_the_document_names_the_part_of_each_problem(tmp_path: Path) -> None:
    path = first(qcow2.samples(), tmp_path)
    document = diskimage.check(path).to_json()
    assert document["verdicts"] == [
        {"part": part, "status": status, "text": text}
        for part, status, text in diskimage.check(path).verdicts
    ]
