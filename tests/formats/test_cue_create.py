"""Sheets of ours: merged and split without losing a byte, framed as the standard says."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from diskimage.disc.framing import framed, taken
from diskimage.disc.tracks import describe
from diskimage.errors import UnsupportedError, UsageError
from diskimage.formats.cue import FORMAT
from diskimage.formats.cue.create import create, losses
from diskimage.layers.records import Placed
from diskimage.model import Extent, Kind, Loss
from diskimage.sources.memory import MemorySource
from diskimage.sources.zeros import Zeros
from tests.makers import frames
from tests.makers.cue import one, wave, write
from tests.makers.iso import volume
from tests.makers.opened import disc, main, outputs, publish, user

RAW = 2352
Peer = Callable[[str], str]

DATA, PLAIN = frames.data(18)
FIRST, SECOND = frames.audio(12, 4), frames.audio(9, 5)
SPLIT = (
    'REM GENRE "x"\r\nCATALOG 1234567890123\r\nTITLE "Disc"\r\n'
    'FILE "game (Track 1).bin" BINARY\r\n'
    "  TRACK 01 MODE1/2352\r\n    FLAGS DCP\r\n    INDEX 01 00:00:00\r\n"
    'FILE "game (Track 2).bin" BINARY\r\n'
    '  TRACK 02 AUDIO\r\n    TITLE "One"\r\n    ISRC ABCDE1234567\r\n'
    "    INDEX 00 00:00:00\r\n    INDEX 01 00:00:03\r\n    INDEX 02 00:00:07\r\n"
    'FILE "game (Track 3).bin" BINARY\r\n'
    "  TRACK 03 AUDIO\r\n    PREGAP 00:02:00\r\n    INDEX 01 00:00:00\r\n    POSTGAP 00:00:10\r\n"
)
MERGED = (
    'REM GENRE "x"\r\nCATALOG 1234567890123\r\nTITLE "Disc"\r\nFILE "game.bin" BINARY\r\n'
    "  TRACK 01 MODE1/2352\r\n    FLAGS DCP\r\n    INDEX 01 00:00:00\r\n"
    '  TRACK 02 AUDIO\r\n    TITLE "One"\r\n    ISRC ABCDE1234567\r\n'
    "    INDEX 00 00:00:18\r\n    INDEX 01 00:00:21\r\n    INDEX 02 00:00:25\r\n"
    "  TRACK 03 AUDIO\r\n    PREGAP 00:02:00\r\n    INDEX 01 00:00:30\r\n    POSTGAP 00:00:10\r\n"
)


def split(folder: Path) -> Path:
    for number, content in enumerate((DATA, FIRST, SECOND), 1):
        (folder / f"game (Track {number}).bin").write_bytes(content)
    return write(folder, SPLIT, "game.cue")


def test_merged_and_split_again_are_the_same_files(tmp_path: Path) -> None:
    found = disc(split(tmp_path))
    merged = outputs(create(found, "game"))
    assert merged == {"": MERGED.encode(), "game.bin": DATA + FIRST + SECOND}
    again = disc(publish(create(found, "game"), tmp_path / "merged", "game.cue"))
    assert outputs(create(again, "game", layout="tracks")) == {
        "": SPLIT.encode(),
        "game (Track 1).bin": DATA,
        "game (Track 2).bin": FIRST,
        "game (Track 3).bin": SECOND,
    }
    assert [track.indexes for track in again.tracks] == [track.indexes for track in found.tracks]


def test_gaps_under_the_previous_file_move_to_their_track(tmp_path: Path) -> None:
    sheet = one("AUDIO") + (
        '  TRACK 02 AUDIO\n    INDEX 00 00:00:09\nFILE "b.bin" BINARY\n    INDEX 01 00:00:00\n'
    )
    made = outputs(
        create(disc(write(tmp_path, sheet, a_bin=FIRST, b_bin=SECOND)), "d", layout="tracks")
    )
    assert made["d (Track 1).bin"] == FIRST[: 9 * RAW]
    assert made["d (Track 2).bin"] == FIRST[9 * RAW :] + SECOND
    assert b"INDEX 00 00:00:00\r\n    INDEX 01 00:00:03" in made[""]


def test_sessions_areas_and_packs_are_kept(tmp_path: Path) -> None:
    sheet = (
        "REM SINGLE-DENSITY AREA\n" + one("AUDIO") + "REM SESSION 02\n  TRACK 02 AUDIO\n"
        "    INDEX 01 00:00:05\nREM HIGH-DENSITY AREA\n"
        'CDTEXTFILE "a.cdt"\nFILE "b.bin" BINARY\n  TRACK 03 AUDIO\n    INDEX 01 00:00:00\n'
    )
    found = disc(write(tmp_path, sheet, a_bin=FIRST, b_bin=SECOND, a_cdt=b"\x80" * 18))
    again = disc(publish(create(found, "game"), tmp_path / "made", "game.cue"))
    assert (tmp_path / "made/game.cdt").read_bytes() == b"\x80" * 18
    assert again.sessions == found.sessions
    assert [track.lba for track in again.tracks] == [0, 11405, 45000]
    assert again.medium == "GD"


@pytest.mark.parametrize(
    ("index", "lines"),
    [
        ("02:00:05", "LEAD-OUT 01:30:00, LEAD-IN 00:30:00, PREGAP 00:00:00"),
        ("02:34:05", "LEAD-OUT 01:30:00, LEAD-IN 01:00:00, PREGAP 00:04:00"),
        ("02:32:05", ""),
    ],
)
def test_gaps_between_sessions_are_said_by_their_lengths(
    tmp_path: Path, index: str, lines: str
) -> None:
    sheet = one("AUDIO") + (
        f"REM LEAD-OUT 00:00:05\nREM SESSION 02\n  TRACK 02 AUDIO\n    INDEX 01 {index}\n"
    )
    found = disc(write(tmp_path, sheet, a_bin=FIRST))
    assert losses(found) == []
    made = publish(create(found, "game"), tmp_path / "made", "game.cue")
    said = re.findall(r"REM ((?:LEAD|PREGAP)[^\n]*)", made.read_text())
    assert ", ".join(said) == lines
    assert [track.lba for track in disc(made).tracks] == [track.lba for track in found.tracks]


def test_a_gap_shorter_than_a_lead_out_is_a_loss(tmp_path: Path) -> None:
    sheet = one("AUDIO") + (
        "REM LEAD-OUT 00:00:05\nREM SESSION 02\n  TRACK 02 AUDIO\n    INDEX 01 01:20:05\n"
    )
    found = disc(write(tmp_path, sheet, a_bin=FIRST))
    assert [(loss.name, loss.content) for loss in losses(found)] == [("gaps", False)]
    assert losses(disc(split(tmp_path))) == []


def lost(device: Placed, **options: object) -> list[Loss]:
    """What framing `device` loses."""
    return taken(FORMAT, device, lambda: Zeros(device.size), options)[2]


def test_addresses_that_no_header_holds_are_said() -> None:
    source = MemorySource(b"")
    most = 449850 * 2048  # up to 99:59:74
    long = Placed([Extent(0, most + 2048, Kind.ZERO)], 2048)
    framed = lost(long, frames="mode1")
    assert [(loss.name, loss.content) for loss in framed] == [("addresses", False)]
    assert lost(long) == lost(long, frames="2048") == []
    assert lost(Placed([Extent(0, most, Kind.DATA, source)], 2048)) == []


def test_waves_become_bins(tmp_path: Path) -> None:
    path = write(tmp_path, one("AUDIO", kind="WAVE"), a_bin=wave(FIRST[:-4]))
    assert outputs(create(disc(path), "x"))["x.bin"] == FIRST[:-4] + bytes(4)


def test_titles_of_other_formats_cannot_break_the_sheet(tmp_path: Path) -> None:
    found = disc(write(tmp_path, one("AUDIO"), a_bin=FIRST))
    found.text["TITLE"] = 'a "b"\r\nFILE c'  # type: ignore[index]  # the mapping is a dict here
    assert b"TITLE \"a 'b'  FILE c\"\r\n" in outputs(create(found, "x"))[""]


@pytest.mark.parametrize(
    ("word", "mode", "make"),
    [
        ("mode1", "MODE1/2352", frames.mode1),
        ("mode2", "MODE2/2352", frames.form1),
        ("2048", "MODE1/2048", lambda data, _lba: data),
    ],
)
def test_an_iso_is_framed_as_an_independent_maker_does(
    tmp_path: Path, word: str, mode: str, make: Callable[[bytes, int], bytes]
) -> None:
    plain = volume(40)
    source = MemorySource(plain)
    made = publish(create(framed(source, word), "x"), tmp_path, "x.cue")
    sectors = [plain[at : at + 2048] for at in range(0, len(plain), 2048)]
    expected = b"".join(make(sector, lba) for lba, sector in enumerate(sectors))
    assert (tmp_path / "x.bin").read_bytes() == expected
    assert user(disc(made)) == plain
    assert disc(made).tracks[0].mode.name == mode


def test_requests_that_have_no_meaning_are_refused(tmp_path: Path) -> None:
    found = disc(write(tmp_path, one("AUDIO"), a_bin=FIRST))
    with pytest.raises(UsageError, match="layout"):
        outputs(create(found, "x", layout="none"))
    with pytest.raises(UsageError, match="quotation"):
        outputs(create(found, 'x"y'))
    odd = MemorySource(bytes(2049))
    with pytest.raises(UnsupportedError, match="2049"):
        framed(odd)
    wrong: tuple[Any, ...] = ("what", ["mode1"])
    for word in wrong:
        with pytest.raises(UsageError, match="frames"):
            framed(odd, word)
    assert FORMAT.disc_only


# --- what peers make of it ------------------------------------------------------------------


def test_bchunk_takes_our_merged_sheet_apart(tmp_path: Path, peer: Peer) -> None:
    sheet = one("MODE1/2352") + "  TRACK 02 AUDIO\n    INDEX 01 00:00:18\n"
    found = disc(write(tmp_path, sheet, a_bin=DATA + FIRST))
    made = publish(create(found, "game"), tmp_path / "made", "game.cue")
    command = [peer("bchunk"), "-r", str(made.with_suffix(".bin")), str(made), "out"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    command.remove("-r")
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "out01.iso").read_bytes() == PLAIN
    assert (tmp_path / "out02.cdr").read_bytes() == main(found.tracks[1])


def test_cd_info_sees_our_tracks(tmp_path: Path, peer: Peer) -> None:
    sheet = one("MODE1/2352") + "  TRACK 02 AUDIO\n    INDEX 00 00:00:18\n    INDEX 01 00:00:21\n"
    found = disc(write(tmp_path, sheet, a_bin=DATA + FIRST))
    made = publish(create(found, "game"), tmp_path / "made", "game.cue")
    command = [peer("cd-info"), "--no-header", "--cue-file", str(made)]
    text = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines() if line.strip().startswith(("1:", "2:"))]
    assert [(row[2], row[3]) for row in rows] == [("000000", "data"), ("000021", "audio")]


def test_a_framed_iso_cooked_by_bchunk_is_that_iso(tmp_path: Path, peer: Peer) -> None:

    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/readme.txt").write_bytes(b"hello\n" * 1000)
    iso = tmp_path / "a.iso"
    subprocess.run([peer("genisoimage"), "-quiet", "-o", iso, "tree"], check=True, cwd=tmp_path)
    source = MemorySource(iso.read_bytes())
    made = publish(create(framed(source), "b"), tmp_path / "made", "b.cue")
    command = [peer("bchunk"), str(made.with_suffix(".bin")), str(made), "out"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "out01.iso").read_bytes() == iso.read_bytes()


# --- any disc -------------------------------------------------------------------------------


@st.composite
def layouts(draw: st.DrawFn) -> list[tuple[str, int, int, int, int, int]]:
    """Tracks: mode, frames absent and stored before index 1, to index 2, after it, absent."""
    few, some = st.integers(0, 3), st.integers(1, 4)
    modes = st.sampled_from(["AUDIO", "MODE1/2048", "MODE2/2324", "CDG"])
    return draw(st.lists(st.tuples(modes, few, few, some, few, few), min_size=1, max_size=5))


SIZES = {"AUDIO": 2352, "MODE1/2048": 2048, "MODE2/2324": 2324, "CDG": 2448}


def one_file(tracks: list[tuple[str, int, int, int, int, int]]) -> tuple[str, bytes, list[int]]:
    """A sheet of one FILE, its bytes, and the LBA of each index 1, counted here."""
    lines, content, lbas, at, lba = ['FILE "a.bin" BINARY'], b"", [], 0, 0
    for number, (mode, absent, gap, first, second, after) in enumerate(tracks, 1):
        lines.append(f"TRACK {number:02} {mode}")
        lines += [f"PREGAP 00:00:{absent:02}"] if absent else []
        lines += [f"INDEX 00 00:00:{at:02}"] if gap else []
        lines.append(f"INDEX 01 00:00:{at + gap:02}")
        lines += [f"INDEX 02 00:00:{at + gap + first:02}"] if second else []
        lines += [f"POSTGAP 00:00:{after:02}"] if after else []
        lba = -absent if number == 1 and mode not in ("AUDIO", "CDG") else lba
        lbas.append(lba + absent + gap)
        stored = gap + first + second
        content += random.Random(number).randbytes(stored * SIZES[mode])
        at, lba = at + stored, lba + absent + stored + after
    return "\n".join(lines), content, lbas


@given(tracks=layouts())
def test_any_disc_merges_and_splits(
    tmp_path_factory: pytest.TempPathFactory, tracks: list[tuple[str, int, int, int, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    sheet, content, lbas = one_file(tracks)
    found = disc(write(folder, sheet, a_bin=content))
    assert [track.lba for track in found.tracks] == lbas
    parts = disc(publish(create(found, "x", layout="tracks"), folder / "parts", "x.cue"))
    merged = disc(publish(create(parts, "x"), folder / "whole", "x.cue"))
    assert (folder / "whole/x.bin").read_bytes() == content
    for other in (parts, merged):
        assert list(map(describe, other.tracks)) == list(map(describe, found.tracks))
        assert list(map(main, other.tracks)) == list(map(main, found.tracks))
