"""Where the frames of an MDS are: before, behind or in no file, and in which of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from diskimage.errors import TruncatedError
from diskimage.model import Disc
from tests.makers import frames, mds
from tests.makers.iso import volume
from tests.makers.mds import AUDIO, MODE1, Track
from tests.makers.opened import disc, files_in, kinds, main, said, user

RAW = 2352


def songs(*gaps: int, sub: bool = False) -> list[Track]:
    """Audio tracks of 20, 21, 22... frames, each but the first behind a gap."""
    tracks, lba = [], 0
    for number, gap in enumerate((0, *gaps), 1):
        lba += gap
        told, count = gap if number > 1 else 150, 19 + number
        before = frames.audio(gap, 50 + number)
        song = frames.audio(count, number)
        tracks.append(Track(number, AUDIO, song, lba, pregap=told, gap=before, sub=sub, control=0))
        lba += count
    return tracks


def odd(path: Path) -> list[str]:
    """The kinds of warnings, but that a disc of audio has no data."""
    return [kind for kind in kinds(path) if kind != "no-data"]


def pregaps(found: Disc) -> list[bytes | None]:
    """The stored frames of each pregap; None where there are none."""
    out: list[bytes | None] = []
    for track in found.tracks:
        content = b""
        for piece in track.pieces:
            count = min(piece.stop, track.lba) - piece.lba
            for i in range(count if piece.source is not None else 0):
                frame = bytearray(piece.mode.size)
                assert piece.source is not None
                piece.source.read_into(piece.at + i * piece.pitch, memoryview(frame))
                content += frame
        out.append(content or None)
    return out


def holds(found: Disc, tracks: Sequence[Track], placement: str) -> None:
    """`found` has the content and the places of `tracks`."""
    assert [t.lba for t in found.tracks] == [t.lba for t in tracks]
    assert [main(t) for t in found.tracks] == [t.main for t in tracks]
    stored = [t.gap if placement != "absent" and t.gap else None for t in tracks]
    assert pregaps(found) == stored
    gaps = [len(t.gap) // t.size for t in tracks]
    assert [t.pregap for t in found.tracks] == gaps


@pytest.mark.parametrize("sub", [False, True])
@pytest.mark.parametrize("placement", mds.PLACES)
def test_a_pregap_is_found_wherever_a_writer_puts_it(
    placement: str, sub: bool, tmp_path: Path
) -> None:
    tracks, _ = mds.mixed(sub=sub)
    path = files_in(tmp_path, mds.cd(tracks, placement=placement))
    holds(disc(path), tracks, placement)
    assert odd(path) == []


@pytest.mark.parametrize("gaps", [(150,), (150, 150), (30, 0, 70), (0, 150), (150, 0), (1, 2, 3)])
@pytest.mark.parametrize("placement", mds.PLACES)
def test_audio_alone_is_told_by_the_offsets(
    placement: str, gaps: tuple[int, ...], tmp_path: Path
) -> None:
    tracks = songs(*gaps)
    path = files_in(tmp_path, mds.cd(tracks, placement=placement))
    holds(disc(path), tracks, placement)
    assert odd(path) == []


@pytest.mark.parametrize("placement", mds.PLACES)
def test_addresses_tell_where_the_file_is_longer(placement: str, tmp_path: Path) -> None:
    tracks, _ = mds.mixed(sub=True)
    files = mds.cd(tracks, placement=placement)
    files["a.mdf"] += bytes(7)
    path = files_in(tmp_path, files)
    holds(disc(path), tracks, placement)
    assert odd(path) == []


def test_what_nothing_tells_is_said(tmp_path: Path) -> None:
    files = mds.cd(songs(150), placement="absent")
    files["a.mdf"] += bytes(7)
    path = files_in(tmp_path, files)
    holds(disc(path), songs(150), "absent")
    assert "track 2: nothing proves where its pregap is" in said(path)


def test_frames_win_over_offsets_that_count_to_something_else(tmp_path: Path) -> None:
    tracks, _ = mds.mixed()
    first, last = tracks[0], replace(tracks[2], number=2, lba=24 + 150)
    main_frames, gap = mds.data(b"".join(frames.sectors(9, 5)), 24 + 150, gap=150, form=True)
    last = replace(last, main=main_frames, gap=gap)
    files = mds.cd([first, last], placement="at")
    files["a.mdf"] = files["a.mdf"][: -150 * RAW]  # as many frames as if no pregap were stored
    path = files_in(tmp_path, files)
    with pytest.raises(TruncatedError, match="ends in the frame at LBA 33"):
        disc(path)


def test_hidden_audio_is_said_to_be_absent(tmp_path: Path) -> None:
    track = Track(1, AUDIO, frames.audio(20), 32, pregap=150, control=0)
    path = files_in(tmp_path, mds.cd([track]))
    found = disc(path)
    assert (found.tracks[0].lba, found.tracks[0].pregap) == (32, 32)
    assert pregaps(found) == [None]
    assert "hidden audio" in said(path)


@pytest.mark.parametrize(("lba", "gap"), [(32, 32), (0, 150), (32, 182)])
def test_frames_before_the_first_track_are_its_pregap(lba: int, gap: int, tmp_path: Path) -> None:
    track = Track(1, AUDIO, frames.audio(20), lba, pregap=150, gap=frames.audio(gap, 9), control=0)
    path = files_in(tmp_path, mds.cd([track], placement="before"))
    holds(disc(path), [track], "before")
    assert odd(path) == []


@pytest.mark.parametrize("told", [0, 1, 9999])
def test_the_pregap_that_the_first_track_tells_is_not_asked(told: int, tmp_path: Path) -> None:
    user_data = volume()
    track = Track(1, MODE1, mds.data(user_data)[0], 0, pregap=told)
    path = files_in(tmp_path, mds.cd([track]))
    assert (user(disc(path)), disc(path).tracks[0].pregap) == (user_data, 0)
    assert odd(path) == []


def test_a_pregap_other_than_the_addresses_say_is_a_warning(tmp_path: Path) -> None:
    tracks = songs(150)
    told = [tracks[0], replace(tracks[1], pregap=75)]
    path = files_in(tmp_path, mds.cd(told))
    holds(disc(path), tracks, "absent")
    assert "a pregap of 75 frames is told, 150 lie before index 1" in said(path)


@pytest.mark.parametrize("count", [2, 3, 9])
def test_a_split_file_is_one(count: int, tmp_path: Path) -> None:
    names = ["*.mdf", *(f"*.md{i}" for i in range(1, count))]
    tracks, content = mds.mixed(sub=True)
    cuts = [2448 * 20 * i for i in range(1, count)]
    path = files_in(tmp_path, mds.cd(tracks, placement="before", names=names, cuts=cuts))
    holds(disc(path), tracks, "before")
    assert user(disc(path)) == content
    assert len(disc(path).tracks[1].pieces) == count - 1


def test_a_part_that_is_cut_short_shifts_no_other(tmp_path: Path) -> None:
    track = Track(1, MODE1, mds.data(volume())[0], 0, pregap=150)
    files = mds.cd([track], names=("*.mdf", "*.md1"), cuts=(RAW * 10,))
    files["a.mdf"] = files["a.mdf"][:-1]
    with pytest.raises(TruncatedError, match="ends in the frame at LBA 9") as caught:
        disc(files_in(tmp_path, files))
    assert str(caught.value.file).endswith("a.mdf")
    files["a.mdf"] = files["a.mdf"][: RAW * 9]
    with pytest.raises(TruncatedError, match="ends in the frame at LBA 23") as caught:
        disc(files_in(tmp_path, files))
    assert str(caught.value.file).endswith("a.md1")
