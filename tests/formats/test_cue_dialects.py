"""What writers of sheets disagree on: where a lead-out is, how names are encoded and composed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest

from diskimage.disc.tracks import describe
from diskimage.errors import MissingError
from diskimage.formats.cue.create import create
from tests.makers import frames
from tests.makers.cue import one, write
from tests.makers.opened import disc, kinds, main, outputs, publish, user

RAW = 2352


def between(minutes: str, index: str) -> str:
    """A sheet of one FILE with a lead-out and a second session of data."""
    return one("AUDIO") + (
        f"REM LEAD-OUT {minutes}\nREM SESSION 02\n  TRACK 02 MODE1/2352\n    INDEX 01 {index}\n"
    )


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(("index", "gap"), [("04:02:00", 11400), ("04:00:00", 11250)])
def test_a_place_that_is_a_standard_length_by_chance(
    index: str, gap: int, stored: bool, tmp_path: Path
) -> None:
    """A first session of 1:30 to the frame: the index 11400 or 11250 frames on says which it is."""
    sound = bytes(RAW) * 6749 + b"\1" * RAW
    data, plain = frames.data(4, lba=6750 + gap)
    between_them = bytes(gap * RAW) if stored else b""
    path = write(tmp_path, between("01:30:00", index), a_bin=sound + between_them + data)
    found = disc(path)
    assert [(t.lba, t.length) for t in found.tracks] == [(0, 6750), (6750 + gap, 4)]
    assert main(found.tracks[0])[-RAW:] == b"\1" * RAW
    assert user(found) == plain


@pytest.mark.parametrize(
    ("leadout", "at"), [("01:30:00", 7000), ("01:30:00", 12000), ("00:30:00", 9)]
)
def test_a_standard_length_in_one_file(leadout: str, at: int, tmp_path: Path) -> None:
    """Lengths: the next session's frames follow at once, wherever that is."""
    data, plain = frames.data(4, lba=at + 11400)
    index = f"{at // 4500:02}:{at // 75 % 60:02}:{at % 75:02}"
    found = disc(write(tmp_path, between(leadout, index), a_bin=bytes(at * RAW) + data))
    assert [(t.lba, t.length) for t in found.tracks] == [(0, at), (at + 11400, 4)]
    assert user(found) == plain


def test_a_gd_rom_as_redump_writes_it(tmp_path: Path) -> None:
    """Two areas, a file a track, gaps at the head of their own files."""
    low, low_plain = frames.data(20)
    high, _ = frames.data(30, 5, lba=45000)
    sound, last = frames.audio(160, 2), frames.audio(200, 3)
    sheet = (
        "REM SINGLE-DENSITY AREA\n"
        + one("MODE1/2352", name="g (Track 1).bin")
        + (
            'FILE "g (Track 2).bin" BINARY\n  TRACK 02 AUDIO\n    INDEX 00 00:00:00\n'
            "    INDEX 01 00:02:00\nREM HIGH-DENSITY AREA\n"
            'FILE "g (Track 3).bin" BINARY\n  TRACK 03 MODE1/2352\n    INDEX 01 00:00:00\n'
            'FILE "g (Track 4).bin" BINARY\n  TRACK 04 AUDIO\n    INDEX 00 00:00:00\n'
            "    INDEX 01 00:02:00\n"
        )
    )
    for number, content in enumerate((low, sound, high, last), 1):
        (tmp_path / f"g (Track {number}).bin").write_bytes(content)
    found = disc(write(tmp_path, sheet, "g.cue"))
    assert found.medium == "GD"
    assert [(t.lba, t.pregap) for t in found.tracks] == [
        (0, 0),
        (170, 150),
        (45000, 0),
        (45180, 150),
    ]
    assert user(found) == low_plain
    assert main(found.tracks[2]) == high
    made = outputs(create(found, "g", layout="tracks"))
    assert made.pop("").decode().split() == sheet.split()
    assert made == {p.name: p.read_bytes() for p in tmp_path.glob("*.bin")}
    one_file = disc(publish(create(found, "h"), tmp_path / "h", "h.cue"))
    assert list(map(describe, one_file.tracks)) == list(map(describe, found.tracks))
    assert list(map(main, one_file.tracks)) == list(map(main, found.tracks))


def test_names_of_ten_tracks_and_of_one(tmp_path: Path) -> None:
    """Redump's names: as many digits as the last track has, none for an only track."""
    sound = frames.audio(10)
    sheet = one("AUDIO") + "".join(
        f"  TRACK {n:02} AUDIO\n    INDEX 01 00:00:{n - 1:02}\n" for n in range(2, 11)
    )
    found = disc(write(tmp_path, sheet, a_bin=sound))
    names = set(outputs(create(found, "x", layout="tracks"))) - {""}
    assert names == {f"x (Track {n:02}).bin" for n in range(1, 11)}
    alone = disc(write(tmp_path, one("AUDIO"), a_bin=sound))
    assert set(outputs(create(alone, "x", layout="tracks"))) == {"", "x.bin"}


def test_a_name_in_shift_jis_is_found_by_the_file(tmp_path: Path) -> None:
    name = "\u6771\u4eac\u30bd\u30d5\u30c8.bin"  # its third byte pair has a backslash in it
    data, plain = frames.data(20)
    (tmp_path / name).write_bytes(data)
    sheet = f'TITLE "\u6771\u4eac"\n{one("MODE1/2352", name=name)}'
    found = disc(write(tmp_path, sheet.encode("cp932")))
    assert user(found) == plain
    assert found.text == {"TITLE": "\u6771\u4eac"}
    (tmp_path / name).unlink()
    with pytest.raises(MissingError):  # nothing tells Shift-JIS from Windows-1252 then
        disc(write(tmp_path, sheet.replace("\u30bd", "").encode("cp932")))


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_letters_composed_and_taken_apart_are_one_name(
    form: Literal["NFC", "NFD"], other: Literal["NFC", "NFD"], tmp_path: Path
) -> None:
    data, plain = frames.data(20)
    name = "Caf\u00e9.bin"
    (tmp_path / normalize(form, name)).write_bytes(data)
    path = write(tmp_path, one("MODE1/2352", name=normalize(other, name.upper())))
    assert user(disc(path)) == plain
    assert kinds(path) == ["case"]
