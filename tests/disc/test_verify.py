"""Faults put into sound frames one at a time, and what the check says of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from diskimage.disc.verify import problems
from diskimage.model import Finding
from tests.makers import frames, nrg
from tests.makers.cue import one, write
from tests.makers.iso import volume
from tests.makers.opened import disc

RAW = 2352
FIRST, _ = frames.data(6)
SECOND, _ = frames.data(6, mode=2)
EDC, P, Q = "EDC does", "ECC P does", "ECC Q does"


def found(folder: Path, content: bytes, mode: str = "MODE1/2352") -> list[Finding]:
    return list(problems(disc(write(folder, one(mode), a_bin=bytes(content)))))


def told(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(f.kind, f.message.partition(": ")[2]) for f in findings}


def broken(content: bytes, lba: int, at: int) -> bytes:
    out = bytearray(content)
    out[lba * RAW + at] ^= 0xFF
    return bytes(out)


def test_sound_frames_have_no_problem(tmp_path: Path) -> None:
    assert found(tmp_path, FIRST) == []
    assert found(tmp_path, SECOND, "MODE2/2352") == []
    stored = b"".join(FIRST[at : at + RAW] + bytes(96) for at in range(0, len(FIRST), RAW))
    assert found(tmp_path, stored, "MODE1/2448") == []
    bare = b"".join(SECOND[at + 16 : at + RAW] for at in range(0, len(SECOND), RAW))
    assert found(tmp_path, bare, "MODE2/2336") == []
    cut = b"".join(SECOND[at + 16 : at + RAW - 4] for at in range(0, len(SECOND), RAW))
    assert found(tmp_path, cut, "MODE2/2332") == []


def test_form_2_is_no_problem_with_an_edc_or_without_one(tmp_path: Path) -> None:
    payload = bytes(range(83)) * 28
    mixed = SECOND + frames.form2(payload, 6) + frames.form2(payload, 7, code=False)
    assert found(tmp_path, mixed, "MODE2/2352") == []
    wrong = broken(mixed, 6, 1000)
    assert [str(f) for f in found(tmp_path, wrong, "MODE2/2352")] == [
        "checksum: frame LBA 6: EDC does not match the content"
    ]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (5, {"no sync pattern", EDC}),
        (12, {"the header", EDC, P, Q}),
        (13, {"the header", EDC, P, Q}),
        (15, {"the header names", EDC, P, Q}),
        (1000, {EDC, P, Q}),
        (2065, {EDC, P, Q}),
        (2100, {P, Q}),
        (2300, {Q}),
    ],
)
def test_a_flipped_byte_of_mode_1(tmp_path: Path, at: int, words: set[str]) -> None:
    findings = found(tmp_path, broken(FIRST, 3, at))
    assert {f.at for f in findings} == {3}
    assert all(f.message.startswith("frame LBA 3: ") for f in findings)
    assert len(findings) == len(words)
    for word in words:
        assert any(word in f.message for f in findings)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (14, {"the header's address is"}),
        (16, {"the two copies", EDC, P, Q}),
        (1000, {EDC, P, Q}),
        (2350, {Q}),
    ],
)
def test_a_flipped_byte_of_form_1(tmp_path: Path, at: int, words: set[str]) -> None:
    content = bytearray(SECOND)
    content[3 * RAW + at] ^= 0x01
    findings = found(tmp_path, bytes(content), "MODE2/2352")
    assert {f.at for f in findings} == {3}
    assert len(findings) == len(words)
    for word in words:
        assert any(word in f.message for f in findings)


def test_frames_behind_a_stored_pregap_are_looked_at(tmp_path: Path) -> None:
    """Where pregap and track are stored as one, as in an NRG; the pregap itself has no rules."""
    track = nrg.data(volume(), 0)
    (tmp_path / "a.nrg").write_bytes(nrg.dao([[track]]))
    assert list(problems(disc(tmp_path / "a.nrg"))) == []
    damaged = replace(track, main=broken(track.main, 3, 1000), gap=broken(track.gap, 7, 1000))
    (tmp_path / "a.nrg").write_bytes(nrg.dao([[damaged]]))
    findings = list(problems(disc(tmp_path / "a.nrg")))
    assert [f.at for f in findings] == [3, 3, 3]
    assert told(findings) == {("checksum", f"{w} not match the content") for w in (EDC, P, Q)}


def test_neighbours_are_one_finding(tmp_path: Path) -> None:
    content = broken(broken(broken(FIRST, 1, 2300), 2, 2300), 5, 2300)
    assert [str(f) for f in found(tmp_path, content)] == [
        "checksum: frames LBA 1 to 2: ECC Q does not match the content",
        "checksum: frame LBA 5: ECC Q does not match the content",
    ]


def test_addresses_that_are_all_off_are_one_finding(tmp_path: Path) -> None:
    moved, _ = frames.data(500, lba=4300)  # over a minute, and more than one batch
    assert told(found(tmp_path, moved)) == {("corrupt", "the header's address is +4300 frames off")}
    sheet = one("AUDIO").replace("INDEX 01", "PREGAP 00:57:15\n INDEX 01") + (
        '  FILE "b.bin" BINARY\n TRACK 02 MODE1/2352\n INDEX 01 00:00:00\n'
    )
    path = write(tmp_path, sheet, a_bin=frames.audio(10), b_bin=moved)
    assert disc(path).tracks[1].lba == 4300
    assert list(problems(disc(path))) == []


def test_a_track_past_100_minutes_has_the_address_of_two_digits(tmp_path: Path) -> None:
    sheet = one("AUDIO").replace("INDEX 01", "PREGAP 2599:58:00\n INDEX 01") + (
        '  FILE "b.bin" BINARY\n TRACK 02 MODE1/2352\n INDEX 01 00:00:00\n'
    )
    data = b"".join(frames.mode1(bytes(2048), lba) for lba in range(2))
    path = write(tmp_path, sheet, a_bin=frames.audio(1), b_bin=data)
    assert told(list(problems(disc(path))))
    assert disc(path).tracks[1].lba == 2599 * 4500 + 58 * 75 + 1


def test_a_header_that_is_no_address(tmp_path: Path) -> None:
    content = bytearray(SECOND)
    content[RAW + 13] = 0x7A
    assert told(found(tmp_path, bytes(content), "MODE2/2352")) == {
        ("corrupt", "the header holds no address")
    }


@pytest.mark.parametrize("cut", [lambda f: f[:2064] + bytes(288)])
def test_frames_without_edc_are_held_against_the_rest(
    tmp_path: Path, cut: Callable[[bytes], bytes]
) -> None:
    bare = b"".join(cut(FIRST[at : at + RAW]) for at in range(0, len(FIRST), RAW))
    assert found(tmp_path, bare) == []
    assert told(found(tmp_path, broken(bare, 4, 3))) == {("corrupt", "no sync pattern")}
