"""Frames to user data and back to the byte; damaged frames mended on the way to another disc."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest

from diskimage.errors import ChecksumError, CorruptError, MissingError, TruncatedError, UsageError
from diskimage.jobs.convert import convert
from tests.makers import frames, nrg
from tests.makers.cue import one, write
from tests.makers.iso import volume

PLAIN = volume(700)
SECTORS = [PLAIN[at : at + 2048] for at in range(0, len(PLAIN), 2048)]


def mode1() -> list[bytearray]:
    return [bytearray(frames.mode1(sector, lba)) for lba, sector in enumerate(SECTORS)]


def form1(subheaders: bool) -> list[bytearray]:
    """Form 1, with subheaders as a game disc has them: ends of records and files are marked."""
    marks = [b"\0\0\x08\0", b"\0\0\x89\0", b"\1\0\x09\0"]
    return [
        bytearray(frames.form1(sector, lba, marks[lba % 3 if subheaders else 0]))
        for lba, sector in enumerate(SECTORS)
    ]


def exactly(tmp_path: Path, mode: str, stored: list[bytearray], **how: object) -> list[str]:
    """Cook and uncook with --exact; what was told of the frames."""
    track = b"".join(stored)
    sheet = write(tmp_path, one(mode), a_bin=track)
    done = convert(sheet, tmp_path / "x.iso", exact=True, **how)  # type: ignore[arg-type]  # names of options
    convert(tmp_path / "x.iso", tmp_path / "back.cue", exact=True)
    assert (tmp_path / "back.bin").read_bytes() == track
    return [f.message for f in done.warnings if f.kind == "exceptions"]


def plainly(tmp_path: Path, mode: str, stored: list[bytearray], **how: object) -> set[str]:
    """What conversions told of the frames that keep none, by the kernel and through memory."""
    sheet = write(tmp_path, one(mode), a_bin=b"".join(stored))
    told = set()
    for sparse in (False, True):
        done = convert(sheet, tmp_path / "y.iso", sparse=sparse, overwrite=True, **how)  # type: ignore[arg-type]  # names of options
        told |= {f.message.partition("LBA ")[2] for f in done.warnings if f.kind == "exceptions"}
    return told


def test_sound_frames_need_nothing_kept(tmp_path: Path) -> None:
    assert exactly(tmp_path, "MODE1/2352", mode1()) == []
    assert plainly(tmp_path, "MODE1/2352", mode1()) == set()
    assert (tmp_path / "x.iso").read_bytes() == PLAIN
    assert (tmp_path / "x.frames").stat().st_size == 40


def test_every_odd_frame_comes_back_and_is_named(tmp_path: Path) -> None:
    stored = mode1()
    stored[5][0] = 1  # sync
    stored[6][2070] = 9  # the zeros of Mode 1
    stored[7][12] ^= 1  # its address, and so its EDC
    stored[7][2064:2068] = frames.edc(bytes(stored[7][:2064]))
    stored[300][2100] ^= 255  # P
    stored[301][2300] ^= 255  # Q
    told = exactly(tmp_path, "MODE1/2352", stored, check=False)
    assert len(told) == 1
    assert told[0].startswith("5 frames are not made again")
    assert told[0].endswith("LBA 5 to 7, 300 to 301")
    assert plainly(tmp_path, "MODE1/2352", stored, check=False) == {"5 to 7, 300 to 301"}


def test_subheaders_come_back(tmp_path: Path) -> None:
    assert exactly(tmp_path, "MODE2/2352", form1(subheaders=False)) == []
    stored = form1(subheaders=True)
    (tmp_path / "two").mkdir()
    told = exactly(tmp_path / "two", "MODE2/2352", stored)
    assert told[0].startswith(f"{len(stored) * 2 // 3} frames")
    assert (tmp_path / "two/x.frames").stat().st_size < 304 * len(stored), "kept small"
    assert plainly(tmp_path, "MODE2/2352", stored) == {told[0].partition("LBA ")[2]}


def test_frames_without_their_header_are_compared_as_far_as_they_go(tmp_path: Path) -> None:
    stored = form1(subheaders=False)
    stored[7][12] ^= 1  # an address that is not stored
    stored[9][2351] ^= 1
    body = [frame[16:] for frame in stored]
    assert plainly(tmp_path, "MODE2/2336", body) == {"9"}


def test_form_2_frames_come_back_whole(tmp_path: Path) -> None:
    stored = form1(subheaders=False)
    body = random.Random(3).randbytes(2324)
    stored[100] = bytearray(frames.form2(body, 100))
    exactly(tmp_path, "MODE2/2352", stored, lossy=["form2"])


def test_odd_frames_behind_a_stored_pregap_are_kept(tmp_path: Path) -> None:
    track = nrg.data(PLAIN, 0)
    odd = bytearray(track.main)
    odd[5 * 2352 + 2100] ^= 255
    (tmp_path / "a.nrg").write_bytes(nrg.dao([[replace(track, main=bytes(odd))]]))
    convert(tmp_path / "a.nrg", tmp_path / "x.iso", exact=True)
    convert(tmp_path / "x.iso", tmp_path / "back.cue", exact=True)
    assert (tmp_path / "back.bin").read_bytes() == odd


def test_kept_frames_belong_to_one_iso(tmp_path: Path) -> None:
    stored = mode1()
    stored[3][2100] ^= 1
    exactly(tmp_path, "MODE1/2352", stored)
    iso = bytearray(PLAIN)
    iso[3 * 2048] ^= 1
    (tmp_path / "x.iso").write_bytes(iso)
    with pytest.raises(ChecksumError, match="LBA 3 is not the one"):
        convert(tmp_path / "x.iso", tmp_path / "again.cue", exact=True)
    assert not (tmp_path / "again.cue").exists()
    (tmp_path / "x.frames").unlink()
    with pytest.raises(MissingError):
        convert(tmp_path / "x.iso", tmp_path / "again.cue", exact=True)


@pytest.mark.parametrize("at", [0, 8, 12, 36, 48, 52, 70])
def test_a_damaged_file_of_kept_frames_is_refused(tmp_path: Path, at: int) -> None:
    stored = mode1()
    stored[3][2100] ^= 1
    exactly(tmp_path, "MODE1/2352", stored)
    kept = bytearray((tmp_path / "x.frames").read_bytes())
    kept[at] ^= 0xFF
    (tmp_path / "x.frames").write_bytes(kept)
    with pytest.raises((CorruptError, ChecksumError, TruncatedError)):
        convert(tmp_path / "x.iso", tmp_path / "again.cue", exact=True)


def test_exact_needs_frames_on_one_side(tmp_path: Path) -> None:
    sheet = write(tmp_path, one("MODE1/2352"), a_bin=b"".join(mode1()))
    with pytest.raises(UsageError, match="as they are stored"):
        convert(sheet, tmp_path / "b.cue", exact=True)
    (tmp_path / "a.iso").write_bytes(PLAIN)
    with pytest.raises(UsageError, match="neither side"):
        convert(tmp_path / "a.iso", tmp_path / "b.raw", exact=True)


# --- mended ---------------------------------------------------------------------------------


def test_a_corrected_copy_is_the_disc_before_the_damage(tmp_path: Path) -> None:
    sound = b"".join(mode1())
    bad = bytearray(sound)
    for lba, at in ((4, 100), (4, 900), (90, 2070), (91, 3)):
        bad[lba * 2352 + at] ^= 0x5A
    sheet = write(tmp_path, one("MODE1/2352"), a_bin=bytes(bad))
    done = convert(sheet, tmp_path / "good.cue", repair=True)
    assert (tmp_path / "good.bin").read_bytes() == sound
    assert {f.at for f in done.warnings if f.kind == "repaired"} == {4, 90, 91}
    assert hashlib.sha1((tmp_path / "a.bin").read_bytes()).digest() == hashlib.sha1(bad).digest()


def test_what_ecc_cannot_mend_publishes_nothing(tmp_path: Path) -> None:
    bad = bytearray(b"".join(mode1()))
    bad[7 * 2352 + 16 : 7 * 2352 + 1500] = random.Random(4).randbytes(1484)
    sheet = write(tmp_path, one("MODE1/2352"), a_bin=bytes(bad))
    with pytest.raises(ChecksumError, match=r"LBA 7: .*cannot mend"):
        convert(sheet, tmp_path / "good.cue", repair=True)
    assert not list(tmp_path.glob("good*"))


def test_a_silent_pregap_of_data_behind_audio_is_no_damage(tmp_path: Path) -> None:
    sound, silence = frames.audio(10), bytes(5 * 2352)
    data = bytearray(frames.data(20, lba=15)[0])
    sheet = (
        'FILE "a.bin" BINARY\n TRACK 01 AUDIO\n INDEX 01 00:00:00\n'
        " TRACK 02 MODE1/2352\n INDEX 00 00:00:10\n INDEX 01 00:00:15\n"
    )
    bad = data[:]
    bad[2352 + 700] ^= 1
    path = write(tmp_path, sheet, a_bin=sound + silence + bytes(bad))
    done = convert(path, tmp_path / "good.cue", repair=True)
    assert (tmp_path / "good.bin").read_bytes() == sound + silence + data
    assert [f.at for f in done.warnings if f.kind == "repaired"] == [16]
