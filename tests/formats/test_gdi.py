"""GDI: sheets of an independent maker, their gaps, areas and faults."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from diskimage import image
from diskimage.disc.verify import problems
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    MissingError,
    RefusedReferenceError,
    TruncatedError,
    UnknownFormatError,
    UnsupportedError,
)
from diskimage.formats.cue.create import create
from diskimage.model import Kind
from diskimage.runs import extents
from tests.makers import frames, naive
from tests.makers.gdi import HIGH, Row, game, gdi, stored
from tests.makers.iso import volume
from tests.makers.opened import disc, files_in, kinds, main, publish

ROWS = game()


@pytest.mark.parametrize("size", [2352, 2048])
def test_tracks_lie_at_their_lba_and_gaps_are_made_up(size: int, tmp_path: Path) -> None:
    path = files_in(tmp_path, gdi(game(size)))
    found = disc(path)
    data = "MODE1/2352" if size == 2352 else "MODE1/2048"
    assert [t.mode.name for t in found.tracks] == [data, "AUDIO", data, "AUDIO", data]
    assert [t.lba for t in found.tracks] == [0, 174, HIGH, HIGH + 174, HIGH + 419]
    assert [t.length for t in found.tracks] == [24, 10, 24, 20, 12]
    assert [t.pregap for t in found.tracks] == [0, 150, 0, 150, 225]
    assert [main(t) for t in found.tracks] == [row.content for row in game(size)]
    assert found.medium == "GD"
    assert list(problems(found)) == []
    assert kinds(path) == []


def test_the_space_of_the_disc_has_absolute_addresses(tmp_path: Path) -> None:
    found = disc(files_in(tmp_path, gdi(ROWS)))
    game_data = naive.read(found.space, HIGH * 2048, (HIGH + 24) * 2048)
    assert game_data == volume(label="GAME")
    between = list(extents(found.space, 24 * 2048, HIGH * 2048))
    assert [row.kind for row in between] == [Kind.ABSENT]


def test_an_offset_and_a_file_of_several_tracks(tmp_path: Path) -> None:
    user = stored(volume(), 0, 2352)
    rows = [
        Row(0, 4, user, name="all of it.bin", offset=100),
        Row(24, 0, frames.audio(5), name="all of it.bin", offset=100 + len(user)),
        Row(29, 1, frames.audio(3, 9), name="c.raw"),
    ]
    found = disc(files_in(tmp_path, gdi(rows, end="\n")))
    assert [main(t) for t in found.tracks] == [row.content for row in rows]
    assert found.tracks[2].flags == {"PRE"}


def test_the_frames_say_which_mode_data_has(tmp_path: Path) -> None:
    content = b"".join(frames.form1(one, i) for i, one in enumerate(frames.sectors(20)))
    path = files_in(tmp_path, gdi([Row(0, 4, content)]))
    assert disc(path).tracks[0].mode.name == "MODE2/2352"
    assert kinds(path) == []


@pytest.mark.parametrize("control", [0, 4])
def test_data_in_the_place_of_audio_and_audio_in_that_of_data(control: int, tmp_path: Path) -> None:
    content = frames.audio(20) if control else stored(volume(), 0, 2352)
    with pytest.raises(CorruptError, match="track 1 is declared"):
        disc(files_in(tmp_path, gdi([Row(0, control, content)])))


def test_a_cue_sheet_holds_it(tmp_path: Path) -> None:
    found = disc(files_in(tmp_path, gdi(ROWS)))
    again = disc(publish(create(found, "made", layout="tracks"), tmp_path / "made", "made.cue"))
    assert [t.lba for t in again.tracks] == [t.lba for t in found.tracks]
    assert [t.pregap for t in again.tracks] == [t.pregap for t in found.tracks]
    assert [main(t) for t in again.tracks] == [row.content for row in ROWS]
    assert again.medium == "GD"


def lines(*wrong: str) -> bytes:
    """A sheet of one track with its lines given."""
    return "\r\n".join([*wrong, ""]).encode()


WRONG = {
    "no count": (lines("x", "1 0 4 2352 track01.bin 0"), CorruptError),
    "no tracks": (lines("0"), CorruptError),
    "100 tracks": (lines("100", *(f"{i} 0 4 2352 a 0" for i in range(1, 101))), CorruptError),
    "a line too few": (lines("2", "1 0 4 2352 track01.bin 0"), CorruptError),
    "a line too many": (lines("0001", "1 0 4 2352 a 0", "2 9 4 2352 a 0"), CorruptError),
    "five fields": (lines("1", "1 0 4 2352 track01.bin"), CorruptError),
    "a negative LBA": (lines("1", "1 -5 4 2352 track01.bin 0"), CorruptError),
    "an LBA past the disc": (lines("1", "1 549150 4 2352 track01.bin 0"), CorruptError),
    "control 16": (lines("1", "1 0 16 2352 track01.bin 0"), CorruptError),
    "track 2 first": (lines("1", "2 0 4 2352 track01.bin 0"), CorruptError),
    "a number of 10,000 digits": (lines("1", f"1 {'9' * 10000} 4 2352 a 0"), CorruptError),
    "frames of 2336": (lines("1", "1 0 4 2336 track01.bin 0"), UnsupportedError),
    "audio of 2048": (lines("1", "1 0 0 2048 track01.bin 0"), UnsupportedError),
    "an offset past the end": (lines("1", "1 0 4 2352 track01.bin 999999999"), TruncatedError),
    "a file that is not there": (lines("1", "1 0 4 2352 other.bin 0"), MissingError),
    "a path": (lines("1", "1 0 4 2352 ../track01.bin 0"), RefusedReferenceError),
    "a long line": (lines("1", "1 0 4 2352 a 0" + " " * 70000), LimitError),
    "overlap": (lines("2", "1 0 4 2352 track01.bin 0", "2 5 4 2352 track03.bin 0"), CorruptError),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_each_fault_of_a_sheet_has_its_error(what: str, tmp_path: Path) -> None:
    text, error = WRONG[what]
    path = files_in(tmp_path, gdi(ROWS) | {"disc.gdi": text})
    with pytest.raises(error), image.open(path, format="gdi"):
        pass


def test_a_short_file_names_track_and_lba(tmp_path: Path) -> None:
    rows = [*ROWS[:4], replace(ROWS[4], content=ROWS[4].content[:-1])]
    with pytest.raises(TruncatedError, match=f"track 5 .* LBA {HIGH + 419 + 11}"):
        disc(files_in(tmp_path, gdi(rows)))


def test_another_text_is_no_sheet(tmp_path: Path) -> None:
    for text in (b"3\r\nmice\r\n", b"", b"1 2 3\r\n"):
        with pytest.raises(UnknownFormatError):
            disc(files_in(tmp_path, {"disc.gdi": text}))


def test_changed_sheets_end_in_a_disc_or_one_error(tmp_path: Path) -> None:
    files = gdi(ROWS)
    for seed in range(200):
        draw, text = random.Random(seed), bytearray(files["disc.gdi"])
        for at in draw.sample(range(len(text)), 2):
            text[at] = draw.choice(b'0123456789 "\\/.\r\n\xff')
        path = files_in(tmp_path, files | {"disc.gdi": bytes(text)})
        with suppress(DiskImageError), image.open(path, format="gdi") as opened:
            assert opened.disc is not None
