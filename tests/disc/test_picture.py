"""The drawing of a disc: every frame once, the numbers where the tracks are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from diskimage.disc import picture
from diskimage.errors import UsageError
from diskimage.jobs.info import info
from diskimage.model import Disc
from tests.makers import frames
from tests.makers.cue import write
from tests.makers.opened import disc

SHEET = (
    'FILE "a.bin" BINARY\n  TRACK 01 MODE1/2352\n    INDEX 01 00:00:00\n'
    "  TRACK 02 AUDIO\n    PREGAP 00:00:05\n    INDEX 00 00:00:20\n    INDEX 01 00:00:25\n"
    "    POSTGAP 00:00:03\nREM SESSION 02\n"
    "  TRACK 03 AUDIO\n    INDEX 01 00:00:55\n"
)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    return write(tmp_path, SHEET, a_bin=frames.data(20)[0] + frames.audio(75, 1))


def test_bands_cover_the_disc_once(sheet: Path) -> None:
    drawn = list(picture.bands(disc(sheet)))
    assert [(b.start, b.stop, b.kind, b.track) for b in drawn[:6]] == [
        (0, 20, "data", 1),
        (20, 25, "made", 2),
        (25, 30, "gap", 2),
        (30, 60, "audio", 2),
        (60, 63, "made", 2),
        (63, 63 + 6750 + 4500 + 150, "none", None),
    ]
    assert all(one.stop == two.start for one, two in pairwise(drawn))


def short(found: Disc) -> Disc:
    """The first session alone."""
    return type(found)(found.medium, found.sessions[:1], found.tracks[:2], found.data, found.space)


def test_a_cell_for_each_frame(sheet: Path) -> None:
    ruler, numbers, *legend = picture.lines(short(disc(sheet)), 63, plain=True)
    assert ruler == "#" * 20 + "." * 5 + "-" * 5 + "=" * 30 + "." * 3
    assert numbers == "1" + " " * 29 + "2"
    assert [line.split() for line in legend] == [
        ["#", "data", "00:00:20"],
        ["=", "audio", "00:00:30"],
        ["-", "gap,", "stored", "00:00:05"],
        [".", "gap,", "not", "stored", "00:00:08"],
    ]


def test_fewer_cells_than_frames_show_what_most_are(sheet: Path) -> None:
    ruler, _, *_ = picture.lines(short(disc(sheet)), 9, plain=True)
    assert ruler == "###.====="  # 7 frames a cell: the fourth has 4 of gap not stored, 3 stored


def test_the_svg_has_a_bar_for_each_band(sheet: Path) -> None:
    found = info(sheet)
    root = ET.fromstring(found.svg())
    hints = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert hints[1] == "track 1, data: LBA 0 to 19"
    assert len(hints) == 1 + len(list(picture.bands(disc(sheet))))
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "session 2" in words


def test_a_disk_is_not_drawn_so(tmp_path: Path) -> None:
    (tmp_path / "a.img").write_bytes(bytes(4096))
    with pytest.raises(UsageError, match="no tracks"):
        info(tmp_path / "a.img", format="raw").svg()
