"""MDS descriptors of an independent maker: frames, names, sessions, and where pregaps are."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    MissingError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.model import Disc
from tests.makers import frames, mds, naive, q
from tests.makers.iso import volume
from tests.makers.mds import AUDIO, MODE1, Track
from tests.makers.opened import disc, files_in, kinds, main, said, stored_subs, user

RAW = 2352
ROWS = 88 + 24  # of a disc of one session
TRACK_ROW = ROWS + 3 * 80


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


# --- pregaps ------------------------------------------------------------------------------------


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


# --- frames and files ---------------------------------------------------------------------------


def stored_as(kind: int, size: int, *, form: bool = False) -> tuple[dict[str, bytes], bytes]:
    """A track of `kind` with frames of `size` bytes around a volume."""
    content = volume()
    whole = mds.data(content, form=form)[0]
    skip = {2048: 24 if form else 16, 2324: 24, 2332: 16, 2336: 16}.get(size, 0)
    main_frames = b"".join(whole[i + skip : i + skip + size] for i in range(0, len(whole), RAW))
    return mds.cd([Track(1, kind, main_frames, 0, size, pregap=150)]), content


@pytest.mark.parametrize(
    ("kind", "size", "form", "mode"),
    [
        (0xAA, 2048, False, "MODE1/2048"), (0xEA, 2352, False, "MODE1/2352"),
        (0xAC, 2048, True, "MODE2/2048"), (0xAB, 2336, True, "MODE2/2336"),
        (0xEC, 2352, True, "MODE2/2352"), (0xE8, 2352, True, "MODE2/2352"),
        (0xAF, 2332, True, "MODE2/2332"),
    ],
)  # fmt: skip
def test_modes_and_sizes(kind: int, size: int, form: bool, mode: str, tmp_path: Path) -> None:
    files, content = stored_as(kind, size, form=form)
    found = disc(files_in(tmp_path, files))
    assert found.tracks[0].mode.name == mode
    assert user(found) == content


@pytest.mark.parametrize(("kind", "size"), [(0xA9, 2048), (0xAA, 2336), (0xAE, 2352), (0xAA, 2368)])
def test_a_size_that_a_mode_has_not_is_corrupt(kind: int, size: int, tmp_path: Path) -> None:
    files = mds.cd([Track(1, kind, bytes(size * 20), 0, size, pregap=150)])
    with pytest.raises(CorruptError, match=f"frames of {size} bytes"):
        disc(files_in(tmp_path, files))


def test_the_mode_that_frames_show_has_the_last_word(tmp_path: Path) -> None:
    files, content = stored_as(0xAB, RAW)
    path = files_in(tmp_path, files)
    assert (disc(path).tracks[0].mode.name, user(disc(path))) == ("MODE1/2352", content)
    assert odd(path) == ["mode"]


def subbed() -> tuple[dict[str, bytes], Track]:
    track = Track(1, MODE1, mds.data(volume())[0], 0, pregap=150, sub=True)
    return mds.cd([track]), track


def test_subchannel_lies_behind_each_frame(tmp_path: Path) -> None:
    files, track = subbed()
    found = disc(files_in(tmp_path, files)).tracks[0]
    assert (found.subchannel, main(found)) == ("interleaved", track.main)
    expected = [q.packed(q.position(i, 1, 1, 0, 4)) for i in range(track.frames)]
    assert stored_subs(found) == b"".join(expected)


def test_subchannel_that_no_row_tells_is_said(tmp_path: Path) -> None:
    files, track = subbed()
    files["a.mds"] = patched(files["a.mds"], TRACK_ROW + 1, b"\0")
    path = files_in(tmp_path, files)
    assert main(disc(path).tracks[0]) == track.main
    assert odd(path) == ["subchannel"]


def patched(content: bytes, at: int, data: bytes) -> bytes:
    return content[:at] + data + content[at + len(data) :]


def test_another_kind_of_subchannel_is_refused(tmp_path: Path) -> None:
    files, _ = subbed()
    files["a.mds"] = patched(files["a.mds"], TRACK_ROW + 1, b"\4")
    with pytest.raises(UnsupportedError, match="subchannel of kind 4"):
        disc(files_in(tmp_path, files))


def plain(**how: object) -> dict[str, bytes]:
    return mds.cd([Track(1, MODE1, mds.data(volume())[0], 0, pregap=150)], **how)  # type: ignore[arg-type]  # the maker's keywords


@pytest.mark.parametrize("wide", [False, True])
def test_an_only_file_may_be_renamed_with_its_descriptor(wide: bool, tmp_path: Path) -> None:
    files = plain(names=("Ünï.mdf",), wide=wide)
    path = files_in(tmp_path, {"b.mds": files["a.mds"], "b.MDF": files["Ünï.mdf"]})
    assert user(disc(path)) == volume()
    assert odd(path) == ["name"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"'c\.mdf'"):
        disc(files_in(tmp_path, {"c.mds": plain()["a.mds"]}))


def test_a_name_with_a_path_is_refused(tmp_path: Path) -> None:
    files = plain(names=("C:\\x\\a.mdf",))
    with pytest.raises(RefusedReferenceError):
        disc(files_in(tmp_path, {"a.mds": files["a.mds"]}))


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
    files = plain(names=("*.mdf", "*.md1"), cuts=(RAW * 10,))
    files["a.mdf"] = files["a.mdf"][:-1]
    with pytest.raises(TruncatedError, match="ends in the frame at LBA 9") as caught:
        disc(files_in(tmp_path, files))
    assert str(caught.value.file).endswith("a.mdf")
    files["a.mdf"] = files["a.mdf"][: RAW * 9]
    with pytest.raises(TruncatedError, match="ends in the frame at LBA 23") as caught:
        disc(files_in(tmp_path, files))
    assert str(caught.value.file).endswith("a.md1")


# --- the disc -----------------------------------------------------------------------------------


def test_sessions_have_their_kinds_and_their_table(tmp_path: Path) -> None:
    tracks, content = mds.sessions()
    path = files_in(tmp_path, mds.cd(tracks, medium=mds.CD_R))
    found = disc(path)
    assert [(s.tracks, s.leadout, s.kind) for s in found.sessions] == [
        ((1, 2), 40, "CDDA"), ((3,), 11464, "CDROM_XA"),
    ]  # fmt: skip
    points = [(row.session, row.point) for row in found.toc]
    assert points == [
        (1, 0xA0), (1, 0xA1), (1, 0xA2), (1, 1), (1, 2), (1, 0xB0), (1, 0xC0),
        (2, 0xA0), (2, 0xA1), (2, 0xA2), (2, 3),
    ]  # fmt: skip
    assert found.toc[2].pointed == q.msf(40 + 150)
    assert (found.medium, found.info["medium_type"]) == ("CD", "CD-R")
    assert [t.pregap for t in found.tracks] == [0, 0, 0]
    assert user(found) == content
    assert odd(path) == []


def test_a_lead_out_elsewhere_is_said(tmp_path: Path) -> None:
    files = plain()
    files["a.mds"] = patched(files["a.mds"], ROWS + 160 + 9, bytes((9, 9, 9)))
    path = files_in(tmp_path, files)
    assert odd(path) == ["toc"]


@pytest.mark.parametrize("control", [0, 1, 2, 3, 8, 6, 15])
def test_flags_come_from_the_control(control: int, tmp_path: Path) -> None:
    files = mds.cd([Track(1, AUDIO, frames.audio(9), 0, pregap=150, control=control)])
    bits = {"PRE": 1, "DCP": 2, "4CH": 8}
    expected = {name for name, bit in bits.items() if control & bit}
    assert disc(files_in(tmp_path, files)).tracks[0].flags == expected


def test_a_dvd_has_layers(tmp_path: Path) -> None:
    content = volume()
    path = files_in(tmp_path, mds.dvd(content, names=("*.mdf", "*.md1"), cuts=(2048 * 9,)))
    found = disc(path)
    assert (found.medium, user(found), found.toc) == ("DVD", content, ())
    layers = found.info["structures"]
    assert isinstance(layers, list)
    assert [(one["layers"], one["last_sector"]) for one in layers] == [(2, 0x30017)] * 2
    assert odd(path) == []


def test_structures_that_are_damaged_are_said_and_no_more(tmp_path: Path) -> None:
    files = mds.dvd(volume())
    files["a.mds"] = patched(files["a.mds"], 64, struct.pack("<I", len(files["a.mds"]) - 9))
    path = files_in(tmp_path, files)
    assert user(disc(path)) == volume()
    assert odd(path) == ["structures"]


def test_measured_positions_are_listed(tmp_path: Path) -> None:
    files = plain()
    at = len(files["a.mds"])
    block = struct.pack("<IIII", 1, 0, 256, 2) + struct.pack("<II", 7, 8)
    files["a.mds"] = patched(files["a.mds"], 84, struct.pack("<I", at))
    files["a.mds"] += struct.pack("<II", 1, at + 8) + block
    found = disc(files_in(tmp_path, files))
    assert found.info["dpm"] == [{"number": 1, "first": 0, "resolution": 256, "entries": 2}]


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (20, b"\0\0"), (20, b"\x64\0"), (88 + 8, b"\2"), (TRACK_ROW + 4, b"\x64"),
        (TRACK_ROW + 4, b"\xd0"), (TRACK_ROW + 48, bytes(4)), (88 + 10, b"\3"),
    ],
)  # fmt: skip
def test_tables_against_the_rules_are_corrupt(at: int, data: bytes, tmp_path: Path) -> None:
    files = plain()
    files["a.mds"] = patched(files["a.mds"], at, data)
    with pytest.raises(CorruptError):
        disc(files_in(tmp_path, files))


def test_a_track_of_no_frames_is_corrupt(tmp_path: Path) -> None:
    files = plain()
    (extra,) = struct.unpack_from("<I", files["a.mds"], TRACK_ROW + 12)
    files["a.mds"] = patched(files["a.mds"], extra + 4, bytes(4))
    with pytest.raises(CorruptError, match="no frames"):
        disc(files_in(tmp_path, files))


def test_version_2_is_another_format(tmp_path: Path) -> None:
    files = plain(version=(2, 1))
    with pytest.raises(DiskImageError) as caught:
        image.open(files_in(tmp_path, files), format="mds")
    assert caught.value.kind == "unsupported"


# --- a real descriptor --------------------------------------------------------------------------


def test_a_descriptor_of_alcohol_reads(shared: Path, tmp_path: Path) -> None:
    """Its data file is not public: 181 frames of Mode 1 stand in for it."""
    content = lzma.decompress((shared / "corpus/mds/mdftoiso__TEST.mds.xz").read_bytes())
    path = files_in(tmp_path, {"TEST.mds": content})
    with pytest.raises(MissingError, match=r"'TEST\.mdf'"):
        disc(path)
    whole, plain_data = frames.data(181)
    (tmp_path / "TEST.mdf").write_bytes(whole)
    found = disc(path)
    assert [(t.mode.name, t.lba, t.length) for t in found.tracks] == [("MODE1/2352", 0, 181)]
    assert (user(found), found.sessions[0].leadout) == (plain_data, 181)
    assert found.data is not None
    naive.lawful(found.data)
    assert odd(path) == []
