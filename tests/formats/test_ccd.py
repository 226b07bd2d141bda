"""CCD read: images of an independent maker, every liberty that writers take, every fault."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings, strategies as st

from diskimage import image
from diskimage.disc.verify import problems
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    MissingError,
    TruncatedError,
)
from diskimage.formats.ccd.sheet import parse
from diskimage.limits import LIMITS
from diskimage.model import Disc
from tests.makers import ccd, frames
from tests.makers.ccd import RAW, Made, Style
from tests.makers.iso import volume
from tests.makers.opened import disc, files_in, kinds, main, said, stored_frames, stored_subs, user
from tests.makers.packs import titles

USER = volume()
SPARE = b"".join(frames.sectors(20, 7))
MIXED = [[ccd.mode1(USER), replace(ccd.audio(80, 4, 30, (25,)), isrc="GBAYE0000351")]]
TWO = [[ccd.mode1(USER), ccd.audio(60, 5, 10)], [ccd.mode1(SPARE), ccd.audio(40, 6, 10)]]
THREE = [[ccd.audio(30)], [ccd.audio(170, 2, 150), ccd.mode1(SPARE)], [ccd.mode2(SPARE, 3)]]
HIDDEN = [[ccd.audio(90, 3, 40), ccd.audio(20, 4)]]
LAYOUTS: dict[str, list[list[Made]]] = {
    "mixed": MIXED, "two": TWO, "three": THREE, "hidden": HIDDEN, "forms": [[ccd.mode2(USER, 12)]],
}  # fmt: skip


def holds(found: Disc, sessions: Sequence[Sequence[Made]], start: int = 0) -> None:
    """`found` is what the maker laid out, track by track."""
    placed = ccd.place(sessions, start)
    assert len(found.tracks) == len(placed)
    for track, one in zip(found.tracks, placed, strict=True):
        marks = [(0, one.lba)] if one.made.pregap else []
        marks += [(1, one.one), *((n, one.one + at) for n, at in enumerate(one.made.later, 2))]
        assert (track.number, track.session) == (one.number, one.session)
        assert (track.lba, track.lba - track.pregap) == (one.one, one.lba)
        assert (track.lba + track.length, track.indexes) == (one.stop, tuple(marks))
        assert track.mode.name == ("AUDIO", "MODE1/2352", "MODE2/2352")[one.made.mode]
        assert track.isrc == (one.made.isrc or None)
        assert stored_frames(track) == one.made.make(one.lba)
    for session in found.sessions:
        assert session.leadout == max(one.stop for one in placed if one.session == session.number)


@pytest.mark.parametrize("layout", ["packed", "interleaved"])
@pytest.mark.parametrize("label", LAYOUTS)
def test_tracks_frames_and_subchannel_are_where_they_were_put(
    label: str, layout: Literal["packed", "interleaved"], tmp_path: Path
) -> None:
    sessions = LAYOUTS[label]
    path = files_in(tmp_path, ccd.ccd(sessions, sub=layout))
    found = disc(path)
    holds(found, sessions)
    assert {track.subchannel for track in found.tracks} == {layout}
    subs = b"".join(map(stored_subs, found.tracks))
    assert subs == ccd.subchannel(ccd.place(sessions), "packed")
    assert list(problems(found)) == []
    assert kinds(path) == (["no-data"] if label == "hidden" else [])


STYLES = [
    Style("decimal", " = ", "\n", upper=True),
    Style("hexadecimal", ends="\r"),
    Style(indexes="session"),
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("label", LAYOUTS)
def test_no_spelling_changes_the_disc(label: str, style: Style, tmp_path: Path) -> None:
    sessions = LAYOUTS[label]
    holds(disc(files_in(tmp_path, ccd.ccd(sessions, style=style))), sessions)


def test_the_first_pregap_may_be_stored(tmp_path: Path) -> None:
    sessions = [[ccd.audio(200, 8, 150), ccd.audio(30)]]
    holds(disc(files_in(tmp_path, ccd.ccd(sessions, start=-150))), sessions, -150)


def test_headers_tell_whose_pregap_150_frames_more_are(tmp_path: Path) -> None:
    """The first session's or the second's: the size alone cannot tell."""
    gap = replace(ccd.mode1(bytes(2048 * 150) + SPARE), pregap=150)
    late = [[ccd.mode1(USER)], [gap]]
    files = ccd.ccd(late, style=Style(indexes="one"))
    assert b"INDEX 0" not in files["disc.ccd"]
    holds(disc(files_in(tmp_path / "late", files)), late)
    early = [[replace(ccd.mode1(bytes(2048 * 150) + USER), pregap=150)], [ccd.mode1(SPARE)]]
    files = ccd.ccd(early, style=Style(indexes="one"), start=-150)
    holds(disc(files_in(tmp_path / "early", files)), early, -150)


def test_an_index_1_alone_gives_the_gap_to_the_track_before(tmp_path: Path) -> None:
    found = disc(files_in(tmp_path, ccd.ccd(MIXED, style=Style(indexes="one"))))
    assert [(t.lba, t.length, t.pregap) for t in found.tracks] == [(0, 54, 0), (54, 50, 0)]
    assert [t.mode.name for t in found.tracks] == ["MODE1/2352", "AUDIO"]


def test_scrambled_tracks_are_read_plain_whatever_the_sheet_says(tmp_path: Path) -> None:
    for said_so in (True, False):
        files = ccd.ccd(MIXED, scrambled=True)
        if not said_so:
            sheet = files["disc.ccd"].replace(b"Scrambled=0x01", b"Scrambled=0")
            files["disc.ccd"] = sheet.replace(b"Scrambled=1", b"Scrambled=0")
        path = files_in(tmp_path, files)
        holds(disc(path), MIXED)
        assert user(disc(path)) == USER
        assert kinds(path) == ([] if said_so else ["mode"])


def test_the_content_has_the_last_word_on_modes(tmp_path: Path) -> None:
    wrong = [[ccd.mode1(USER, told=2), replace(ccd.audio(30), told=1)]]
    path = files_in(tmp_path, ccd.ccd(wrong))
    holds(disc(path), wrong)
    assert "declared MODE2/2352, its content is MODE1/2352" in said(path)
    assert kinds(path) == ["mode", "mode"]


def test_texts_numbers_flags_and_kinds_are_kept(tmp_path: Path) -> None:
    packs = titles(["Disc", "First light", "Last light"], ["All", "One", "Two"])
    tracks = [replace(ccd.audio(40), flags="DCP"), replace(ccd.audio(40, 2), control=9)]
    found = disc(files_in(tmp_path, ccd.ccd([tracks], catalog="4006381333931", packs=packs)))
    assert found.cdtext == packs
    assert found.text == {"TITLE": "Disc", "PERFORMER": "All"}
    assert [dict(t.text)["TITLE"] for t in found.tracks] == ["First light", "Last light"]
    assert [t.flags for t in found.tracks] == [{"DCP"}, {"PRE", "4CH"}]
    assert found.catalog == "4006381333931"
    assert [s.kind for s in found.sessions] == ["CDDA"]
    assert [row.point for row in found.toc] == [0xA0, 0xA1, 0xA2, 1, 2]
    xa = disc(files_in(tmp_path / "xa", ccd.ccd(LAYOUTS["three"])))
    assert [s.kind for s in xa.sessions] == ["CDDA", "CDROM", "CDROM_XA"]


def test_a_pack_that_is_none_costs_the_texts_alone(tmp_path: Path) -> None:
    files = ccd.ccd(MIXED, packs=titles(["Disc", "A", "B"]))
    cut = files["disc.ccd"].rpartition(b" ")[0] + b"\r\n"
    path = files_in(tmp_path, files | {"disc.ccd": cut})
    assert kinds(path) == ["cdtext"]
    assert disc(path).cdtext is None
    holds(disc(path), MIXED)


def test_files_that_are_not_there_or_short(tmp_path: Path) -> None:
    files = ccd.ccd(MIXED)
    path = files_in(tmp_path, files)
    (tmp_path / "disc.sub").unlink()
    assert kinds(path) == ["missing"]
    assert disc(path).tracks[0].subchannel is None
    (tmp_path / "disc.sub").write_bytes(files["disc.sub"][:-1])
    with pytest.raises(TruncatedError, match="subchannel"):
        disc(path)
    (tmp_path / "disc.sub").unlink()
    (tmp_path / "disc.img").write_bytes(files["disc.img"][: 40 * RAW + 7])
    with pytest.raises(TruncatedError, match=r"track 2 .* LBA 40"):
        disc(path)
    (tmp_path / "disc.img").write_bytes(files["disc.img"] + bytes(5))
    assert kinds(path) == ["size", "missing"]
    (tmp_path / "disc.img").rename(tmp_path / "DISC.IMG")
    assert kinds(path)[0] == "case"
    (tmp_path / "DISC.IMG").unlink()
    with pytest.raises(MissingError, match=r"disc\.img"):
        disc(path)


def test_a_track_elsewhere_than_the_sheet_says_is_told(tmp_path: Path) -> None:
    """Frames of another image behind this one's sheet: their headers say so."""
    other = ccd.ccd([[ccd.audio(24), ccd.mode1(USER)]], sub=None)
    files = ccd.ccd([[ccd.mode1(USER), ccd.audio(24)]], sub=None)
    swapped = other["disc.img"][24 * RAW :] + other["disc.img"][: 24 * RAW]
    path = files_in(tmp_path, files | {"disc.img": swapped})
    assert kinds(path) == ["address", "missing"]


LONG = USER + SPARE * 10


def test_headers_that_were_moved_do_not_move_the_tracks(tmp_path: Path) -> None:
    """A dump of a disc that was written 2 seconds off: its volume is where the sheet says."""
    plain = ccd.mode1(LONG)
    for by in (-150, 150):
        moved = replace(plain, make=partial(ccd.shifted, plain.make, by))
        path = files_in(tmp_path, ccd.ccd([[moved]], sub=None))
        assert "address" in kinds(path)
        assert user(disc(path)) == LONG


def test_the_size_of_an_image_that_was_cut_short_moves_no_track(tmp_path: Path) -> None:
    """Its pregap is stored, and as many frames are missing at its end."""
    early = [[replace(ccd.mode1(bytes(2048 * 150) + LONG), pregap=150)]]
    files = ccd.ccd(early, style=Style(indexes="one"), start=-150, sub=None)
    assert user(disc(files_in(tmp_path, files))) == LONG
    (tmp_path / "disc.img").write_bytes(files["disc.img"][: -150 * RAW])
    with pytest.raises(TruncatedError, match="track 1"):
        disc(tmp_path / "disc.ccd")


SHEET = ccd.ccd(TWO, sub=None)["disc.ccd"].decode()
WRONG = {
    "no [Disc]": (SHEET.replace("[Disc]", "[Disk]"), CorruptError),
    "a section twice": (SHEET + "[TRACK 1]\r\nMODE=0\r\n", CorruptError),
    "a key twice": (SHEET.replace("MODE=1", "MODE=1\r\nMode=0", 1), CorruptError),
    "a key before any section": ("Version=3\r\n" + SHEET, CorruptError),
    "an entry too many": (SHEET + "[Entry 11]\r\nPoint=0x05\r\n", CorruptError),
    "an entry too few": (SHEET.replace("TocEntries=11", "TocEntries=12"), CorruptError),
    "an entry misnumbered": (SHEET.replace("[Entry 3]", "[Entry 30]"), CorruptError),
    "no number of entries": (SHEET.replace("TocEntries=11\r\n", ""), CorruptError),
    "point 0": (SHEET.replace("Point=0x02", "Point=0x00"), CorruptError),
    "a track twice": (SHEET.replace("Point=0x02", "Point=0x01"), CorruptError),
    "a session without tracks": (SHEET.replace("Sessions=2", "Sessions=3"), CorruptError),
    "a session past the last": (SHEET.replace("Sessions=2", "Sessions=1"), CorruptError),
    "no lead-out": (SHEET.replace("Point=0xa2", "Point=0xc1"), CorruptError),
    "two places of a track": (SHEET.replace("PLBA=34", "PLBA=35"), CorruptError),
    "a place past any disc": (SHEET.replace("PLBA=34", "PLBA=4294967295"), CorruptError),
    "a number with letters": (SHEET.replace("PLBA=34", "PLBA=3e4"), CorruptError),
    "a number of 10,000 digits": (SHEET.replace("PLBA=34", "PLBA=" + "3" * 10000), CorruptError),
    "indexes that go back": (SHEET.replace("INDEX 0=24", "INDEX 0=44"), CorruptError),
    "mode 3": (SHEET.replace("MODE=1", "MODE=3"), CorruptError),
    "a long line": (SHEET + ";" * 70000, LimitError),
    "a long sheet": (SHEET + ";\r\n" * 400000, LimitError),
}


@pytest.mark.parametrize("what", WRONG)
def test_each_fault_of_a_sheet_has_its_error(what: str, tmp_path: Path) -> None:
    text, error = WRONG[what]
    assert text != SHEET
    files = ccd.ccd(TWO, sub=None) | {"disc.ccd": text.encode()}
    with pytest.raises(error):
        disc(files_in(tmp_path, files))


def test_tracks_that_overlap_or_are_empty_are_refused(tmp_path: Path) -> None:
    text = SHEET.replace("PMin=0\r\nPSec=2\r\nPFrame=34\r\nPLBA=34", "PLBA=84")
    with pytest.raises(CorruptError, match="no frames"):
        disc(files_in(tmp_path, ccd.ccd(TWO, sub=None) | {"disc.ccd": text.encode()}))


@given(st.data())
@settings(max_examples=200)
def test_a_few_changed_letters_end_in_a_sheet_or_one_error(data: st.DataObject) -> None:
    text = bytearray(SHEET.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + 1] = data.draw(st.binary(max_size=3))
    with suppress(DiskImageError):
        parse(bytes(text), "a.ccd", LIMITS)


def damaged(files: dict[str, bytes], seed: int) -> dict[str, bytes]:
    """The sheet with some numbers changed."""
    draw, text = random.Random(seed), bytearray(files["disc.ccd"])
    digits = [i for i, letter in enumerate(text) if chr(letter).isdigit()]
    for at in draw.sample(digits, 3):
        text[at] = ord(draw.choice("0123456789"))
    return files | {"disc.ccd": bytes(text)}


def test_changed_numbers_end_in_a_disc_or_one_error(tmp_path: Path) -> None:
    files = ccd.ccd(TWO)
    for seed in range(150):
        path = files_in(tmp_path, damaged(files, seed))
        with suppress(DiskImageError), image.open(path) as opened:
            assert opened.disc is not None
            list(problems(opened.disc))


def test_main_of_a_track_is_its_frames(tmp_path: Path) -> None:
    found = disc(files_in(tmp_path, ccd.ccd(MIXED)))
    assert main(found.tracks[1]) == frames.audio(80, 4)[30 * RAW :]
