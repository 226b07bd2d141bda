"""MDS descriptors of an independent maker: frames, names, sessions, and where pregaps are."""

from __future__ import annotations

import lzma
import random
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    MissingError,
    RefusedReferenceError,
    UnsupportedError,
)
from tests.makers import frames, mds, naive, q
from tests.makers.iso import volume
from tests.makers.mds import AUDIO, MODE1, Track
from tests.makers.opened import disc, files_in, kinds, main, stored_subs, user

RAW = 2352
ROWS = 88 + 24  # of a disc of one session
TRACK_ROW = ROWS + 3 * 80


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
    assert kinds(path) == ["mode"]


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
    assert kinds(path) == ["subchannel"]


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
    assert kinds(path) == ["name"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"'c\.mdf'"):
        disc(files_in(tmp_path, {"c.mds": plain()["a.mds"]}))


def test_a_name_with_a_path_is_refused(tmp_path: Path) -> None:
    files = plain(names=("C:\\x\\a.mdf",))
    with pytest.raises(RefusedReferenceError):
        disc(files_in(tmp_path, {"a.mds": files["a.mds"]}))


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
    assert kinds(path) == []


def test_a_lead_out_elsewhere_is_said(tmp_path: Path) -> None:
    files = plain()
    files["a.mds"] = patched(files["a.mds"], ROWS + 160 + 9, bytes((9, 9, 9)))
    path = files_in(tmp_path, files)
    assert kinds(path) == ["toc"]


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
    assert kinds(path) == []


def test_structures_that_are_damaged_are_said_and_no_more(tmp_path: Path) -> None:
    files = mds.dvd(volume())
    files["a.mds"] = patched(files["a.mds"], 64, struct.pack("<I", len(files["a.mds"]) - 9))
    path = files_in(tmp_path, files)
    assert user(disc(path)) == volume()
    assert kinds(path) == ["structures"]


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


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_descriptor_ends_in_a_disc_or_one_error(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    tracks, _ = mds.sessions()
    path = files_in(tmp_path, mds.cd(tracks))
    whole = path.read_bytes()
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(draw.choice((1, 1, 3))):
            at, width = draw.randrange(16, len(whole)), draw.choice((1, 2, 4, 8))
            place = draw.randrange(len(whole)).to_bytes(8, "little")[:width]
            content[at : at + width] = draw.choice(
                (bytes(width), b"\xff" * width, draw.randbytes(width), place)
            )
        path.write_bytes(content[: draw.choice((len(content), draw.randrange(len(content))))])
        with suppress(DiskImageError), image.open(path, format="mds") as found:
            found.read(0, min(found.size, 1 << 20))


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
    assert kinds(path) == []
