"""The six traps into which today's converters fall: what a conversion to ISO does with each."""

from __future__ import annotations

from pathlib import Path

import pytest

from diskimage.errors import ChecksumError, CorruptError, LossError, MissingError
from diskimage.jobs.convert import convert
from tests.makers import frames
from tests.makers.cue import one, wave, write

RAW = 2352
DATA, PLAIN = frames.data(20)
FORM, FORM_PLAIN = frames.data(20, mode=2)


def flipped(content: bytes, *places: int) -> bytes:
    out = bytearray(content)
    for place in places:
        out[place] ^= 0x40
    return bytes(out)


def test_a_flipped_byte_is_an_error_that_names_the_frame(tmp_path: Path) -> None:
    sheet = write(tmp_path, one("MODE1/2352"), a_bin=flipped(DATA, 7 * RAW + 900))
    target = tmp_path / "out.iso"
    with pytest.raises(ChecksumError, match="LBA 7"):
        convert(sheet, target)
    assert not target.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin", "disc.cue"]
    report = convert(sheet, target, repair=True)
    assert target.read_bytes() == PLAIN
    assert any("LBA 7" in str(warning) for warning in report.warnings)
    convert(sheet, target, check=False, overwrite=True)
    assert target.read_bytes() == flipped(PLAIN, 7 * 2048 + 900 - 16)


@pytest.mark.parametrize(("mode", "content"), [("MODE1/2352", DATA), ("MODE2/2352", FORM)])
def test_several_wrong_bytes_are_mended_where_the_ecc_reaches(
    tmp_path: Path, mode: str, content: bytes
) -> None:
    places = [3 * RAW + at for at in (50, 51, 700, 1400, 2090)]
    sheet = write(tmp_path, one(mode), a_bin=flipped(content, *places))
    convert(sheet, tmp_path / "out.iso", repair=True)
    expected = PLAIN if mode == "MODE1/2352" else FORM_PLAIN
    assert (tmp_path / "out.iso").read_bytes() == expected


def test_several_files(tmp_path: Path) -> None:
    sound = frames.audio(9)
    sheet = one("MODE1/2352") + (
        'FILE "b.bin" BINARY\n  TRACK 02 AUDIO\n    INDEX 00 00:00:00\n    INDEX 01 00:00:02\n'
        'FILE "c.bin" BINARY\n  TRACK 03 AUDIO\n    INDEX 01 00:00:00\n'
    )
    path = write(tmp_path, sheet, a_bin=DATA, b_bin=sound, c_bin=sound)
    with pytest.raises(LossError, match="tracks 2, 3"):
        convert(path, tmp_path / "out.iso")
    convert(path, tmp_path / "out.iso", extract={"audio": "wav"})
    assert (tmp_path / "out.iso").read_bytes() == PLAIN
    second = (tmp_path / "out (Track 02).wav").read_bytes()
    assert second[44:] == sound[2 * RAW :]
    assert second[:4] == wave(b"")[:4]


def test_mixed_frame_sizes_in_one_file(tmp_path: Path) -> None:
    plain = b"".join(frames.sectors(178, 3))
    sheet = one("MODE1/2048") + ("  TRACK 02 AUDIO\n    PREGAP 00:02:00\n    INDEX 01 00:02:28\n")
    path = write(tmp_path, sheet, a_bin=plain + frames.audio(30))
    report = convert(path, tmp_path / "out.iso", lossy=["audio"])
    assert (tmp_path / "out.iso").read_bytes() == plain
    assert [loss.name for loss in report.dropped if loss.content] == ["audio"]


def test_a_form_2_frame_is_a_named_loss(tmp_path: Path) -> None:
    payload = bytes(range(83)) * 28
    content = FORM + frames.form2(payload, 20) + frames.form1(bytes(2048), 21)
    path = write(tmp_path, one("MODE2/2352"), a_bin=content)
    with pytest.raises(LossError, match="LBA 20"):
        convert(path, tmp_path / "out.iso")
    assert not (tmp_path / "out.iso").exists()
    report = convert(path, tmp_path / "out.iso", lossy=["form2"])
    assert (tmp_path / "out.iso").read_bytes() == FORM_PLAIN + payload[:2048] + bytes(2048)
    assert any("LBA 20" in str(warning) for warning in report.warnings)
    convert(path, tmp_path / "whole.cue")
    assert (tmp_path / "whole.bin").read_bytes() == content


def test_a_wrong_declared_frame_size(tmp_path: Path) -> None:
    path = write(tmp_path, one("MODE2/2336"), a_bin=FORM)
    with pytest.raises(CorruptError, match="MODE2/2352"):
        convert(path, tmp_path / "out.iso")


def test_a_missing_file(tmp_path: Path) -> None:
    path = write(tmp_path, one("MODE1/2352", name="gone.bin") + 'FILE "b.bin" BINARY\n')
    with pytest.raises(MissingError, match=r"line 1: 'gone.bin'"):
        convert(path, tmp_path / "out.iso")
    assert not (tmp_path / "out.iso").exists()


def test_there_and_back_is_the_same_bin(tmp_path: Path) -> None:
    convert(write(tmp_path, one("MODE1/2352"), a_bin=DATA), tmp_path / "out.iso")
    convert(tmp_path / "out.iso", tmp_path / "back.cue")
    assert (tmp_path / "back.bin").read_bytes() == DATA
