"""Tables of ours: every frame at its LBA, read again by us and by cdrdao, its tools and chdman."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from diskimage.disc import cdtext
from diskimage.disc.cdtext import Language
from diskimage.disc.framing import framed
from diskimage.disc.modes import AUDIO, MODE1_2352
from diskimage.disc.subchannel import made
from diskimage.disc.tracks import Lay, assemble, describe
from diskimage.errors import UnsupportedError, UsageError
from diskimage.formats.toc.create import create, losses
from diskimage.model import Disc, Layout, Piece, Subchannel
from diskimage.sources.memory import MemorySource
from tests.formats.test_cue_create import layouts, one_file
from tests.formats.test_toc import marks, shown, sub_of
from tests.makers import frames
from tests.makers.cue import one, write
from tests.makers.iso import volume
from tests.makers.opened import disc, main, outputs, publish, user
from tests.makers.toc import big

RAW = 2352
Peer = Callable[[str], str]

DATA, PLAIN = frames.data(400)
FIRST, SECOND = frames.audio(350, 4), frames.audio(309, 5)
SHEET = (
    'CATALOG 1234567890123\nTITLE "D\u00efsc"\nPERFORMER "Band"\nFILE "a.bin" BINARY\n'
    "  TRACK 01 MODE1/2352\n    INDEX 01 00:00:00\n"
    'FILE "b.bin" BINARY\n  TRACK 02 AUDIO\n    TITLE "One \\ \'two\'"\n    FLAGS DCP PRE\n'
    "    ISRC ABCDE1234567\n    PREGAP 00:01:00\n    INDEX 00 00:00:00\n    INDEX 01 00:00:30\n"
    "    INDEX 02 00:01:10\n"
    'FILE "c.bin" BINARY\n  TRACK 03 AUDIO\n    FLAGS 4CH\n    INDEX 01 00:00:00\n'
    "    POSTGAP 00:02:00\n"
)


INDEXES = [{"number": 1, "lba": 505}, {"number": 2, "lba": 560}]  # the gap begins with PREGAP


def mixed(folder: Path) -> Disc:
    return disc(write(folder, SHEET, a_bin=DATA, b_bin=FIRST, c_bin=SECOND))


def again(found: Disc, folder: Path) -> Disc:
    """What our reader makes of the table that is written of `found`."""
    return disc(publish(create(found, "made"), folder / "made", "made.toc"))


def test_a_mixed_disc_comes_back(tmp_path: Path) -> None:
    found = mixed(tmp_path)
    assert losses(found) == []
    other = again(found, tmp_path)
    assert (tmp_path / "made/made.bin").read_bytes() == DATA + big(FIRST + SECOND)
    for ours, theirs in zip(map(describe, other.tracks), map(describe, found.tracks), strict=True):
        assert ours.pop("indexes") in (theirs["indexes"], [{"number": 0, "lba": 400}, *INDEXES])
        assert ours == {key: value for key, value in theirs.items() if key != "indexes"}
    assert list(map(main, other.tracks)) == list(map(main, found.tracks))
    assert (user(other), other.catalog, other.text) == (PLAIN, found.catalog, found.text)
    assert other.sessions[0].leadout == found.sessions[0].leadout


def test_its_text_is_that_of_the_manual(tmp_path: Path) -> None:
    lines = outputs(create(mixed(tmp_path), "made"))[""].decode("ascii").splitlines()
    first = lines.index("// Track 2")
    assert lines[:2] == ["CD_ROM", 'CATALOG "1234567890123"']
    assert r'    TITLE "D\357sc"' in lines
    assert [line for line in lines[first:] if not line.startswith(("CD_TEXT", " ", "}"))][:9] == [
        "// Track 2", "TRACK AUDIO", "COPY", "PRE_EMPHASIS", 'ISRC "ABCDE1234567"',
        "SILENCE 00:01:00", f'FILE "made.bin" #{len(DATA)} 0 00:04:50', "START 00:01:30",
        "INDEX 00:00:55",
    ]  # fmt: skip


def test_modes_are_written_as_they_are_stored(tmp_path: Path) -> None:
    plain = frames.sectors(20, 5)
    second = [frames.form1(sector, i) for i, sector in enumerate(plain)]
    for mode, word, content in (
        ("MODE1/2048", "MODE1", plain),
        ("MODE2/2048", "MODE2_FORM1", plain),
        ("MODE2/2324", "MODE2_FORM2", [frames.form2(bytes(2324), i)[24:-4] for i in range(20)]),
        ("MODE2/2336", "MODE2_FORM_MIX", [frame[16:] for frame in second]),
        ("CDI/2336", "MODE2_FORM_MIX", [frame[16:] for frame in second]),
        ("MODE2/2352", "MODE2_RAW", second),
        ("CDI/2352", "MODE2_RAW", second),
    ):
        stored = b"".join(content)
        found = disc(write(tmp_path, one(mode), a_bin=stored))
        made_of = outputs(create(found, "m"))
        assert made_of["m.bin"] == stored, mode
        assert f"TRACK {word}\n".encode() in made_of[""]
        assert main(again(found, tmp_path).tracks[0]) == stored
    shorter = b"".join(frame[16:-4] for frame in second)  # no word for it: made whole again
    found = disc(write(tmp_path, one("MODE2/2332"), a_bin=shorter))
    assert outputs(create(found, "m"))["m.bin"] == b"".join(second)


def test_a_mode_without_a_word_is_refused(tmp_path: Path) -> None:
    content = b"".join(frames.header(i, 0) + bytes(2336) for i in range(4))
    found = disc(write(tmp_path, one("MODE0/2352"), a_bin=content))
    with pytest.raises(UnsupportedError, match="track 1 is of mode 0"):
        outputs(create(found, "m"))
    with pytest.raises(UsageError, match="cannot name"):
        outputs(create(framed(MemorySource(volume(40))), "a\nb"))


def test_a_name_of_any_signs_is_found_again(tmp_path: Path) -> None:
    found = framed(MemorySource(volume(40)))
    name = 'caf\u00e9 \u6771 "x" \\'
    path = publish(create(found, name), tmp_path, "a.toc")
    assert (tmp_path / f"{name}.bin").exists()
    assert path.read_bytes().isascii()
    if "\\" not in name:
        assert user(disc(path)) == volume(40)
    path = publish(create(found, 'caf\u00e9 \u6771 "x"'), tmp_path, "b.toc")
    assert user(disc(path)) == volume(40)


# --- subchannel -----------------------------------------------------------------------------


def with_subchannel(layout: Layout, count: int = 30) -> tuple[Disc, bytes]:
    """A disc of audio with subchannel as its track tells it, and the same interleaved."""
    piece = Piece(0, count, MemorySource(FIRST), 0, AUDIO)
    bare = assemble([Lay(1, 1, AUDIO, (piece,), ((1, 0),))], file="x")
    size = 16 if layout == "q16" else 96
    sub = Subchannel(made(bare, 0, count, layout), 0, size, layout)
    lay = Lay(1, 1, AUDIO, (replace(piece, sub=sub),), ((1, 0),))
    expected = bytearray(count * 96)
    made(bare, 0, count, "interleaved").read_into(0, memoryview(expected))
    return assemble([lay], file="x"), bytes(expected)


@pytest.mark.parametrize("layout", ["packed", "interleaved", "q16"])
def test_subchannel_is_written_interleaved(layout: Layout, tmp_path: Path) -> None:
    found, expected = with_subchannel(layout)
    assert losses(found) == []
    other = again(found, tmp_path)
    assert b"TRACK AUDIO RW_RAW\nDATAFILE" in (tmp_path / "made/made.toc").read_bytes()
    assert main(other.tracks[0]) == main(found.tracks[0])
    assert sub_of(other, 0) == expected
    stored = (tmp_path / "made/made.bin").read_bytes()
    assert stored[:2448] == big(FIRST[:RAW]) + expected[:96]


def test_packs_of_r_to_w_stay_what_they_are(tmp_path: Path) -> None:
    woven = b"".join(DATA[i * RAW : (i + 1) * RAW] + bytes([i]) * 96 for i in range(20))
    table = 'CD_ROM\nTRACK MODE1_RAW RW\nDATAFILE "a.bin"\n'
    found = disc(write(tmp_path, table, "a.toc", a_bin=woven))
    assert found.tracks[0].subchannel == "rw"
    other = again(found, tmp_path)
    assert (tmp_path / "made/made.bin").read_bytes() == woven
    assert other.tracks[0].subchannel == "rw"


def test_frames_without_subchannel_in_a_track_with_some_get_it_made(tmp_path: Path) -> None:
    found, expected = with_subchannel("packed")
    piece = found.tracks[0].pieces[0]
    halves = (replace(piece, frames=15), Piece(15, 15, piece.source, 15 * RAW, AUDIO))
    found = assemble([Lay(1, 1, AUDIO, halves, ((1, 0),))], file="x")
    assert [(loss.name, loss.content) for loss in losses(found)] == [("made", False)]
    assert sub_of(again(found, tmp_path), 0) == expected


# --- what a table cannot hold ---------------------------------------------------------------


def test_sessions_are_lost_and_addresses_stay(tmp_path: Path) -> None:
    sheet = one("AUDIO") + (
        'REM SESSION 02\nFILE "b.bin" BINARY\n  TRACK 02 AUDIO\n    INDEX 01 00:00:00\n'
    )
    found = disc(write(tmp_path, sheet, a_bin=FIRST, b_bin=SECOND))
    assert [(loss.name, loss.content) for loss in losses(found)] == [("sessions", True)]
    other = again(found, tmp_path)
    assert [track.lba for track in other.tracks] == [track.lba for track in found.tracks]
    assert list(map(main, other.tracks)) == [FIRST, SECOND]


def test_frames_before_the_first_address_are_left_out_and_said() -> None:
    pieces = (Piece(-2, 22, MemorySource(DATA), 0, MODE1_2352),)
    early = assemble([Lay(1, 1, MODE1_2352, pieces, ((0, -2), (1, 0)))], file="x")
    told = [(loss.name, loss.message, loss.content) for loss in losses(early)]
    assert told == [("pregap", "the stored frames before LBA 0", False)]
    assert outputs(create(early, "m"))["m.bin"] == DATA[2 * RAW : 22 * RAW]
    unstored = replace(pieces[0], frames=2, source=None)
    rest = replace(pieces[0], lba=0, frames=20)
    found = assemble([Lay(1, 1, MODE1_2352, (unstored, rest), ((0, -2), (1, 0)))], file="x")
    assert losses(found) == []
    assert b"ZERO" not in outputs(create(found, "m"))[""]


def test_codes_that_have_no_place_are_said(tmp_path: Path) -> None:
    sheet = "CATALOG 12\n" + one("AUDIO").replace("    INDEX", "    FLAGS SCMS\n    INDEX")
    sheet += "  TRACK 02 MODE1/2352\n    ISRC ABCDE1234567\n    INDEX 01 00:04:50\n"
    found = disc(write(tmp_path, sheet, a_bin=FIRST + DATA))
    assert [(loss.name, loss.content) for loss in losses(found)] == [("catalog", False)] * 3
    text = outputs(create(found, "m"))[""]
    assert b"CATALOG" not in text
    assert b"ISRC" not in text


def test_every_language_comes_back(tmp_path: Path) -> None:
    found = mixed(tmp_path)
    tokyo = "\u6771\u4eac"
    names = {"TITLE": "City", "GENRE": "Rock"}
    first = Language(0, "iso8859-1", 9, names, {1: {"TITLE": "\u00c3\u00a9"}})
    tracks: dict[int, dict[str, str]] = {1: {}, 2: {"TITLE": tokyo * 9}, 3: {}}
    packs = cdtext.blocks([first, Language(1, "cp932", 105, {"TITLE": tokyo}, tracks)])
    other = again(replace(found, cdtext=packs), tmp_path)
    assert other.text == {"TITLE": "City", "GENRE": "Rock"}
    assert other.tracks[0].text == {"TITLE": "\u00c3\u00a9"}, "no UTF-8 by chance"
    told = cdtext.parse(other.cdtext)
    assert [(one.code, one.charset, one.disc["TITLE"]) for one in told] == [
        (9, "iso8859-1", "City"), (105, "cp932", tokyo),
    ]  # fmt: skip
    assert told[1].tracks == {2: {"TITLE": tokyo * 9}}


# --- what peers make of it ------------------------------------------------------------------


def test_cdrdao_sees_our_places_and_texts(tmp_path: Path, peer: Peer) -> None:
    found = mixed(tmp_path)
    path = publish(create(found, "made"), tmp_path / "made", "made.toc")
    assert shown(peer("cdrdao"), path) == marks(found)
    command = [peer("cdrdao"), "show-toc", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=True)
    for line in ("CATALOG NUMBER: 1234567890123", "ISRC AB CDE 12 34567", "PRE-EMPHASIS"):
        assert line in done.stdout
    assert "ERROR" not in done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_cdrdao_hears_our_samples(tmp_path: Path, peer: Peer) -> None:
    """`show-data` prints each sample as a pair of numbers: the byte order is right or noise."""
    found = disc(write(tmp_path, one("AUDIO"), a_bin=FIRST))
    path = publish(create(found, "made"), tmp_path / "made", "made.toc")
    command = [peer("cdrdao"), "show-data", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=True)
    rows = [line.split(":")[1].split() for line in done.stdout.splitlines()]
    heard = struct.pack(f"<{2 * len(rows)}h", *(int(n) for row in rows for n in row))
    assert heard == FIRST


def test_cdrdao_takes_our_subchannel(tmp_path: Path, peer: Peer) -> None:
    found, _ = with_subchannel("packed", 350)
    path = publish(create(found, "made"), tmp_path / "made", "made.toc")
    assert shown(peer("cdrdao"), path) == [(1, 0, 0, 350)]


def test_a_sheet_that_toc2cue_makes_of_our_table_is_that_disc(tmp_path: Path, peer: Peer) -> None:
    sheet = one("MODE1/2352") + "  TRACK 02 AUDIO\n    INDEX 00 00:05:25\n    INDEX 01 00:07:00\n"
    found = disc(write(tmp_path, sheet, a_bin=DATA + FIRST + SECOND))
    path = publish(create(found, "made"), tmp_path / "made", "made.toc")
    command = [peer("toc2cue"), "made.toc", "made.cue"]
    subprocess.run(command, check=True, cwd=path.parent, capture_output=True)
    text = (path.parent / "made.cue").read_text().replace("BINARY", "MOTOROLA")  # it warns of that
    (path.parent / "made.cue").write_text(text)
    other = disc(path.parent / "made.cue")
    assert list(map(main, other.tracks)) == list(map(main, found.tracks))
    assert [t.lba for t in other.tracks] == [t.lba for t in found.tracks]


def test_chdman_takes_our_table_apart(tmp_path: Path, peer: Peer) -> None:
    sheet = one("MODE1/2352") + "  TRACK 02 AUDIO\n    INDEX 01 00:05:25\n"
    found = disc(write(tmp_path, sheet, a_bin=DATA + FIRST))
    publish(create(found, "made"), tmp_path, "made.toc")
    for verb, files in (
        ("createcd", ("-i", "made.toc", "-o", "made.chd")),
        ("extractcd", ("-i", "made.chd", "-o", "out.cue", "-ob", "out.bin")),
    ):
        command = [peer("chdman"), verb, *files]
        subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "out.bin").read_bytes() == DATA + FIRST


# --- any disc -------------------------------------------------------------------------------


def later(indexes: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    return [mark for mark in indexes if mark[0]]


@given(tracks=layouts())
def test_any_disc_comes_back(
    tmp_path_factory: pytest.TempPathFactory, tracks: list[tuple[str, int, int, int, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    sheet, content, _ = one_file(tracks)
    found = disc(write(folder, sheet, a_bin=content))
    other = again(found, folder)
    assert [t.lba for t in other.tracks] == [t.lba for t in found.tracks]
    assert [later(t.indexes) for t in other.tracks] == [later(t.indexes) for t in found.tracks]
    assert list(map(main, other.tracks)) == list(map(main, found.tracks))
    assert [t.subchannel for t in other.tracks] == [t.subchannel for t in found.tracks]
