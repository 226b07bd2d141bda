"""A damaged frame under every verb that reads what a disc holds: refused, taken, or mended."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

import diskimage as library
from diskimage.errors import ChecksumError, UsageError
from diskimage.jobs.cat import cat
from tests.cli.samples import Command, document, refusal
from tests.makers.cue import one, write
from tests.makers.frames import mode1
from tests.makers.isotree import Dir, File, volume

CONTENT = bytes(range(1, 251)) * 41  # six sectors
USER = volume(Dir({b"A.TXT;1": File(CONTENT)}))
FRAME = USER.index(CONTENT) // 2048 + 2
AT = 700  # of the frame
WRONG = bytearray(USER)
WRONG[FRAME * 2048 + AT - 16] ^= 1


@pytest.fixture
def sheet(folder: Path) -> Path:
    """A disc with one wrong bit in the file's third sector, and the ISO that it was made of."""
    frames = [mode1(USER[at : at + 2048], at // 2048) for at in range(0, len(USER), 2048)]
    raw = bytearray(b"".join(frames))
    raw[FRAME * 2352 + AT] ^= 1
    (folder / "good.iso").write_bytes(USER)
    (folder / "wrong.iso").write_bytes(WRONG)
    return write(folder, one("MODE1/2352"), name="bad.cue", a_bin=bytes(raw))


VERBS = [
    ["hash", "bad.cue"], ["hash", "bad.cue", "--block-size", "64K"],
    ["compare", "bad.cue", "good.iso"], ["compare", "good.iso", "bad.cue"],
    ["extract", "bad.cue", "out"], ["convert", "bad.cue", "o.iso"],
]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_wrong_frame_is_refused_taken_or_mended(
    diskimage: Command, sheet: Path, verb: list[str]
) -> None:
    (sheet.parent / "out").mkdir()
    done = diskimage(*verb, "--json")
    assert done.returncode == 4
    error = refusal(done)
    assert error["kind"] == "checksum"
    assert f"LBA {FRAME}" in error["message"]
    again = ["--overwrite"] if verb[0] in ("extract", "convert") else []
    taken = document(diskimage(*verb, "--no-check", "--json", *again))
    assert "repaired" not in {warning["kind"] for warning in taken["warnings"]}
    mended = document(diskimage(*verb, "--repair", "--json", *again))
    said = [warning for warning in mended["warnings"] if warning["kind"] == "repaired"]
    assert [warning["at"] for warning in said] == [FRAME]


def test_what_is_taken_and_what_is_mended(diskimage: Command, sheet: Path) -> None:
    taken = document(diskimage("hash", "bad.cue", "--no-check", "--json"))
    assert taken["digests"]["sha256"] == hashlib.sha256(WRONG).hexdigest()
    mended = document(diskimage("hash", "bad.cue", "--repair", "--json"))
    assert mended["digests"]["sha256"] == hashlib.sha256(USER).hexdigest()
    assert document(diskimage("compare", "bad.cue", "wrong.iso", "--no-check", "--json"))["equal"]
    assert diskimage("ls", "bad.cue", "--no-check").stdout == "A.TXT\n"
    assert diskimage("tree", "bad.cue", "--repair").returncode == 0
    at = AT - 16 + 2 * 2048
    for repair in (False, True):
        out = io.BytesIO()
        cat(sheet, "/A.TXT", out, check=repair, repair=repair)
        assert out.getvalue()[at] == CONTENT[at] ^ (not repair)
        assert len(out.getvalue()) == len(CONTENT)


def test_cat_refuses_a_wrong_frame(diskimage: Command, sheet: Path) -> None:
    assert diskimage("cat", f"{sheet.name}:/A.TXT").returncode == 4
    with library.open(sheet) as image, pytest.raises(ChecksumError):
        image.read(0, image.size)


def test_an_open_image_keeps_to_what_it_was_opened_with(sheet: Path) -> None:
    with library.open(sheet, check=False) as image:
        assert library.hash(image).digests["sha256"] == hashlib.sha256(WRONG).hexdigest()
        assert image.read(0, image.size) == WRONG
        with pytest.raises(UsageError, match="is open with check=False"):
            library.hash(image, check=True)


def test_frames_are_kept_as_stored_unless_a_corrected_copy_is_asked_for(
    diskimage: Command, sheet: Path
) -> None:
    done = diskimage("convert", "bad.cue", "good.cue", "--repair", "--json")
    assert done.returncode == 0
    assert [w["kind"] for w in document(done)["warnings"]].count("repaired") == 1
    assert diskimage("check", "good.cue").returncode == 0
    assert diskimage("convert", "bad.cue", "b.cue").returncode == 0
    assert sheet.with_name("b.bin").read_bytes() == sheet.with_name("a.bin").read_bytes()
    assert diskimage("check", "b.cue").returncode != 0


@pytest.mark.parametrize("verb", [["hash", "bad.cue"], ["convert", "bad.cue", "o.iso"]])
def test_what_is_not_checked_is_not_mended(
    diskimage: Command, sheet: Path, verb: list[str]
) -> None:
    done = diskimage(*verb, "--repair", "--no-check", "--json")
    assert refusal(done)["kind"] == "usage"
    assert sheet.exists()
