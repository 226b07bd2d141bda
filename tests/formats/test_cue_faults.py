"""Sheets that contradict themselves, their files, or our limits: each its own error."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from diskimage import image
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    LimitError,
    LoopError,
    MissingError,
    TruncatedError,
)
from diskimage.formats.cue.sheet import decode, parse
from diskimage.jobs.check import check
from diskimage.jobs.convert import convert
from diskimage.limits import LIMITS
from tests.makers import frames
from tests.makers.cue import one, write
from tests.makers.iso import volume
from tests.makers.opened import disc, kinds, user

DATA = frames.data(20)
FORM = frames.data(20, mode=2)
COOKED = volume(40)
RAW = frames.RAW


def parts(content: bytes, start: int, stop: int, after: bytes = b"") -> bytes:
    """Bytes [start, stop) of each whole frame, and `after` behind them."""
    whole = (content[at : at + RAW] for at in range(0, len(content), RAW))
    return b"".join(frame[start:stop] + after for frame in whole)


@pytest.mark.parametrize(
    ("declared", "content", "right"),
    [
        ("MODE1/2352", COOKED, "MODE1/2048"),
        ("AUDIO", COOKED, "MODE1/2048"),
        ("MODE1/2048", DATA[0], "MODE1/2352"),
        ("MODE2/2352", DATA[0], "MODE1/2352"),
        ("MODE1/2352", FORM[0], "MODE2/2352"),
        ("MODE2/2336", FORM[0], "MODE2/2352"),
        ("MODE2/2048", FORM[0], "MODE2/2352"),
        ("AUDIO", DATA[0], "MODE1/2352"),
        ("MODE1/2448", DATA[0], "MODE1/2352"),
        ("MODE1/2352", parts(DATA[0], 0, RAW, bytes(96)),
         "MODE1/2448"),
        ("MODE2/2352", parts(FORM[0], 16, RAW),
         "MODE2/2336"),
        ("MODE2/2336", parts(FORM[0], 16, RAW - 4),
         "MODE2/2332"),
    ],
)  # fmt: skip
def test_a_wrong_mode_is_refused_and_the_right_one_named(
    tmp_path: Path, declared: str, content: bytes, right: str
) -> None:
    path = write(tmp_path, one(declared), a_bin=content)
    with pytest.raises(CorruptError, match=f"line 2: .*declared {declared}.* is {right}"):
        image.open(path)


def test_a_wrong_mode_is_seen_past_an_odd_first_frame(tmp_path: Path) -> None:
    content = frames.audio(1) + FORM[0][RAW:]
    with pytest.raises(CorruptError, match="MODE2/2352"):
        image.open(write(tmp_path, one("MODE1/2352"), a_bin=content))
    user(disc(write(tmp_path, one("MODE2/2352"), a_bin=content)))


@pytest.mark.parametrize("declared", ["MODE1/2048", "MODE2/2336", "MODE1/2448", "CDG"])
def test_a_wrong_frame_size_is_seen_before_index_1(tmp_path: Path, declared: str) -> None:
    """It moves where index 1 is in the file, so that no frame begins there."""
    gap = "    INDEX 00 00:00:00\n    INDEX 01 00:00:13\n"
    sheet = one(declared).replace("    INDEX 01 00:00:00\n", gap)
    with pytest.raises(CorruptError, match=f"track 1 is declared {declared}.* is MODE1/2352"):
        image.open(write(tmp_path, sheet, a_bin=frames.data(40)[0]))


def test_a_track_that_begins_elsewhere_is_said_of_it(tmp_path: Path) -> None:
    """Audio of 2352 bytes declared CD+G shows nothing itself."""
    sheet = one("CDG") + "  TRACK 02 MODE1/2352\n    INDEX 01 00:00:05\n"
    path = write(tmp_path, sheet, a_bin=frames.audio(5) + DATA[0])
    with pytest.raises(CorruptError, match="track 2 begin 1872 bytes after"):
        image.open(path)


def test_whole_frames_inside_a_volume_are_its_files(tmp_path: Path) -> None:
    content = COOKED[: 20 * 2048] + FORM[0][: 18 * 2352] + DATA[0] * 3
    content = content[: len(content) // 2048 * 2048]
    assert user(disc(write(tmp_path, one("MODE1/2048"), a_bin=content))) == content


def test_data_in_the_gap_of_hidden_audio_is_not_held_against_it(tmp_path: Path) -> None:
    gap = "    INDEX 00 00:00:00\n    INDEX 01 00:00:20\n"
    sheet = one("AUDIO").replace("    INDEX 01 00:00:00\n", gap)
    assert kinds(write(tmp_path, sheet, a_bin=DATA[0] + frames.audio(9))) == ["no-data"]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("mode", "start", "stop", "after"),
    [
        ("MODE1/2352", 0, RAW, 0),
        ("MODE1/2368", 0, RAW, 16),
        ("MODE1/2448", 0, RAW, 96),
        ("MODE2/2448", 0, RAW, 96),
        ("MODE2/2336", 16, RAW, 0),
        ("MODE2/2332", 16, RAW - 4, 0),
    ],
)
def test_short_tracks_are_what_they_are_declared(
    tmp_path: Path, mode: str, start: int, stop: int, after: int, count: int
) -> None:
    content, plain = frames.data(count, mode=int(mode[4]))
    path = write(tmp_path, one(mode), a_bin=parts(content, start, stop, bytes(after)))
    assert user(disc(path)) == plain


def test_a_data_track_without_a_sync_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="sync"):
        image.open(write(tmp_path, one("MODE1/2352"), a_bin=frames.audio(20)))


def test_noise_is_not_taken_for_frames_of_mode_0(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="sync"):
        image.open(write(tmp_path, one("MODE0/2352"), a_bin=frames.audio(20)))


@pytest.mark.parametrize(("mode", "edges"), [(1, 2064), (2, 2072)])
def test_a_frame_that_carries_an_edc_is_held_to_it(tmp_path: Path, mode: int, edges: int) -> None:
    """Among frames without one, and where no sample (16 of 40 frames) sees it."""
    content, plain = frames.data(40, mode=mode)
    bare = parts(content, 0, edges, bytes(RAW - edges))
    sheet = one(f"MODE{mode}/2352")
    path = write(tmp_path, sheet, a_bin=bare[:RAW] + content[RAW : 2 * RAW] + bare[2 * RAW :])
    convert(path, tmp_path / "a.iso")
    assert (tmp_path / "a.iso").read_bytes() == plain
    assert kinds(path) == ["checksum"]
    assert check(path).ok
    wrong = bytearray(content[RAW : 2 * RAW])
    wrong[900] ^= 1
    path = write(tmp_path, sheet, a_bin=bare[:RAW] + wrong + bare[2 * RAW :])
    with pytest.raises(ChecksumError, match="LBA 1"):
        convert(path, tmp_path / "b.iso")
    assert [problem.at for problem in check(path).problems if "EDC" in problem.message] == [1]


def test_a_cut_last_frame_names_track_and_lba(tmp_path: Path) -> None:
    with pytest.raises(TruncatedError, match=r"track 1 .* LBA 19"):
        image.open(write(tmp_path, one("MODE1/2352"), a_bin=DATA[0][:-1]))


@pytest.mark.parametrize(
    ("sheet", "error", "words"),
    [
        ("", CorruptError, "no track"),
        ("REM x\n", CorruptError, "no track"),
        ("CATALOG\n", CorruptError, "line 1: CATALOG without"),
        ("TRACK 01 AUDIO\n", CorruptError, "line 1: TRACK before any FILE"),
        ('FILE "a.bin" BINARY\nINDEX 01 00:00:00\n', CorruptError, "line 2: INDEX before"),
        ('FILE "a.bin BINARY\n', CorruptError, "line 1: a quotation mark"),
        ('FILE "a.bin" WHAT\n', CorruptError, "line 1: FILE type"),
        ('FILE "" BINARY\n', CorruptError, "line 1: FILE without a name"),
        (one("MODE3/2352"), CorruptError, "line 2: track mode 'MODE3/2352'"),
        (one("AUDIO").replace("01 AUDIO", "100 AUDIO"), CorruptError, "line 2: track number"),
        (one("AUDIO").replace("01 AUDIO", "00 AUDIO"), CorruptError, "line 2: track number"),
        (one("AUDIO") + "TRACK 03 AUDIO\nINDEX 01 00:00:01\n", CorruptError, "line 4: track 3"),
        (one("AUDIO", index="xx:yy:0"), CorruptError, "line 3: .* is no time"),
        (one("AUDIO", index="0000000000:00:00"), CorruptError, "line 3: .* is no time"),
        (one("AUDIO").replace("INDEX 01", "INDEX 100"), CorruptError, "line 3: INDEX number"),
        (one("AUDIO").replace("INDEX 01", "INDEX 02"), CorruptError, "line 3: INDEX 02 out of"),
        (one("AUDIO").replace("INDEX 01", "INDEX 00"), CorruptError, "line 2: track 1 has"),
        (one("AUDIO") + "INDEX 01 00:00:01\n", CorruptError, "line 4: INDEX 01 out of order"),
        (one("AUDIO") + "INDEX 02 00:00:00\nTRACK 02 AUDIO\nINDEX 01 00:00:03\nINDEX 02 00:00:02\n",
         CorruptError, "line 7: .* before the index above"),
        (one("AUDIO") + "TRACK 02 AUDIO\nINDEX 01 00:00:00\n", CorruptError, "no frames"),
        (one("AUDIO") + "TRACK 02 AUDIO\nINDEX 01 00:00:04\n", TruncatedError, "line 5: track 2"),
        (one("AUDIO") + "TRACK 02 AUDIO\nINDEX 01 00:00:05\n", TruncatedError, "line 5: track 2"),
        (one("AUDIO", index="99:59:74"), TruncatedError, "line 3: track 1"),
        (one("AUDIO") + "REM SESSION 05\n", CorruptError, "line 4: session 5"),
        (one("AUDIO", name="none.dat"), MissingError, "line 1: 'none.dat'"),
        (one("AUDIO", name="disc.cue"), LoopError, "line 1: the sheet names itself"),
        (one("AUDIO", name="empty.bin"), CorruptError, "line 1: 'empty.bin' is empty"),
        (one("MODE1/2352", kind="WAVE"), CorruptError, "line 1: a data track in a WAVE"),
        ("REM " + "x" * 65537, LimitError, "line 1"),
        ("REM x\n" * 4097, LimitError, "line 4097"),
        ('FILE "a.bin" BINARY\n' * 4097, LimitError, "line 4097"),
        ("\n" * (1 << 20) + "\n", LimitError, "1048577 bytes"),
    ],
)  # fmt: skip
def test_each_fault_is_one_line_with_its_place_and_a_remedy(
    tmp_path: Path, sheet: str, error: type[DiskImageError], words: str
) -> None:
    (tmp_path / "empty.bin").touch()
    path = write(tmp_path, sheet, a_bin=frames.audio(4))
    with pytest.raises(error, match=words) as caught:
        image.open(path, format="cue")
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_missing_cd_text_file_is_said_and_the_frames_are_read(tmp_path: Path) -> None:
    sheet = 'CDTEXTFILE "none.cdt"\n' + one("MODE1/2352")
    path = write(tmp_path, sheet, a_bin=DATA[0])
    assert user(disc(path)) == DATA[1]
    assert kinds(path) == ["missing"]


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_sheet_or_one_error(data: bytes) -> None:
    with suppress(DiskImageError):
        parse(data, "x.cue", LIMITS)
    decode(data)


WORDS = ["FILE", "TRACK", "INDEX", "PREGAP", "REM SESSION", "CATALOG", "FLAGS", "POSTGAP", "TITLE",
         '"a.bin"', "BINARY", "01", "02", "AUDIO", "MODE1/2352", "00:00:00", "00:00:03", "1:2",
         "\n", "REM LEAD-OUT", "99999999999", '"']  # fmt: skip


@given(words=st.lists(st.sampled_from(WORDS), max_size=30))
def test_any_words_end_in_a_disc_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("words")
    with suppress(DiskImageError):
        disc(write(folder, " ".join(words), a_bin=frames.audio(4)))
