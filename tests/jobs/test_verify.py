"""Images held against databases of dumps and lists of digests, which the test writes itself."""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage.disc.database import games
from diskimage.errors import CorruptError
from diskimage.jobs.hash import hash_tracks
from diskimage.jobs.verify import verify
from diskimage.sources.memory import MemorySource
from tests.makers import frames
from tests.makers.cue import write

DATA, _ = frames.data(20)
GAP, SOUND = frames.audio(5, 2), frames.audio(9, 3)
FILES = {"track (Track 1).bin": DATA, "track (Track 2).bin": GAP + SOUND}
SHEET = (
    'FILE "track (Track 1).bin" BINARY\n  TRACK 01 MODE1/2352\n    INDEX 01 00:00:00\n'
    'FILE "track (Track 2).bin" BINARY\n  TRACK 02 AUDIO\n'
    "    INDEX 00 00:00:00\n    INDEX 01 00:00:05\n"
)


def row(name: str, content: bytes, **other: str) -> str:
    fields = {
        "name": name, "size": str(len(content)), "crc": f"{zlib.crc32(content):08X}",
        "md5": hashlib.md5(content).hexdigest(), "sha1": hashlib.sha1(content).hexdigest(),
    } | other  # fmt: skip
    return "<rom " + " ".join(f'{key}="{value}"' for key, value in fields.items()) + "/>"


def dat(*all_games: tuple[str, list[str]]) -> bytes:
    inside = "".join(f'<game name="{name}">{"".join(rows)}</game>' for name, rows in all_games)
    return f'<?xml version="1.0"?>\n<datafile><header/>{inside}</datafile>'.encode()


RIGHT = [row("a.cue", b"sheet"), *(row(name, content) for name, content in FILES.items())]


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = write(tmp_path, SHEET)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return path


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """The same disc in one BIN."""
    text = SHEET.replace('FILE "track (Track 2).bin" BINARY\n', "").replace(" (Track 1)", "")
    text = text.replace("INDEX 00 00:00:00", "INDEX 00 00:00:20")
    text = text.replace("01 00:00:05", "01 00:00:25")
    (tmp_path / "one").mkdir()
    path = write(tmp_path / "one", text)
    (tmp_path / "one/track.bin").write_bytes(DATA + GAP + SOUND)
    return path


def test_tracks_are_counted_with_their_stored_pregap(sheet: Path, merged: Path) -> None:
    for path in (sheet, merged):
        told = [(one.size, one.digests["sha1"]) for one in hash_tracks(path)]
        assert told == [(len(c), hashlib.sha1(c).hexdigest()) for c in FILES.values()]


def test_a_database_knows_the_disc_however_it_is_split(sheet: Path, merged: Path) -> None:
    other = ("Other", [row("x", b"y")])
    database = MemorySource(dat(other, ("The Game &amp; Co", RIGHT)))
    for path in (sheet, merged):
        found = verify(path, database)
        assert found.ok
        assert found.game == "The Game & Co"
        assert [one.status for one in found.rows] == ["match", "match"]
        assert [one.name for one in found.rows] == list(FILES)


def test_what_differs_and_what_is_missing_is_named(sheet: Path) -> None:
    other = [RIGHT[1], row("b.bin", GAP + SOUND[:-1] + b"!"), row("c.bin", b"more")]
    found = verify(sheet, MemorySource(dat(("Near", other))))
    assert not found.ok
    assert [(one.status, one.name) for one in found.rows] == [
        ("match", "track (Track 1).bin"), ("differs", "b.bin"), ("missing", "c.bin"),
    ]  # fmt: skip
    nothing = verify(sheet, MemorySource(dat(("Far", [row("b.bin", b"z")]))))
    assert not nothing.ok
    assert {one.status for one in nothing.rows} == {"unknown"}


def test_one_wrong_digest_of_three_is_no_match(sheet: Path) -> None:
    rows = [RIGHT[1], row("b.bin", GAP + SOUND, md5="0" * 32)]
    assert not verify(sheet, MemorySource(dat(("Odd", rows)))).ok


def test_a_size_alone_is_no_match(sheet: Path) -> None:
    rows = [f'<rom name="{name}" size="{len(content)}"/>' for name, content in FILES.items()]
    found = verify(sheet, MemorySource(dat(("A", rows))))
    assert not found.ok
    assert {one.status for one in found.rows} == {"unknown"}


def test_a_list_of_md5sum_names_the_files_themselves(
    sheet: Path, tmp_path: Path, peer: Callable[[str], str]
) -> None:
    names = [sheet.name, *FILES]
    command = [peer("md5sum"), *names]
    made = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    (tmp_path / "a.md5").write_bytes(made)
    found = verify(sheet, tmp_path / "a.md5")
    assert found.ok
    assert {one.name for one in found.rows} == set(names)
    (tmp_path / names[1]).write_bytes(DATA[:-2352] + frames.mode1(bytes(2048), 19))
    assert [one.status for one in verify(sheet, tmp_path / "a.md5").rows].count("differs") == 1


def test_an_sfv_lists_crcs_and_must_list_all_but_the_sheet(sheet: Path, tmp_path: Path) -> None:
    lines = ["; made by hand", *(f"{name} {zlib.crc32(c):08x}" for name, c in FILES.items())]
    (tmp_path / "a.sfv").write_text("\r\n".join(lines))
    found = verify(sheet, tmp_path / "a.sfv")
    assert [one.status for one in found.rows] == ["match", "match"]
    assert found.ok
    assert [one.kind for one in found.warnings] == ["unlisted"]
    (tmp_path / "a.sfv").write_text("\n".join(lines[:2]))
    found = verify(sheet, tmp_path / "a.sfv")
    assert [one.status for one in found.rows] == ["match", "unknown"]
    assert not found.ok, "of two files of frames one is in it"
    (tmp_path / "a.sfv").write_text(f"{sheet.name} {zlib.crc32(sheet.read_bytes()):08x}")
    assert not verify(sheet, tmp_path / "a.sfv").ok, "no file of frames is in it"
    (tmp_path / "a.sfv").write_text("other.bin 00000000")
    assert not verify(sheet, tmp_path / "a.sfv").ok
    alone = tmp_path / "alone.cue"
    alone.write_bytes(DATA)
    assert not verify(alone, tmp_path / "a.sfv", format="raw").ok, "it names no other file"


def test_a_list_may_name_a_file_more_than_once(sheet: Path, tmp_path: Path) -> None:
    """With two kinds of digest, or in two directories."""
    lines = [f"{hashlib.md5(c).hexdigest()}  disc1/{name}" for name, c in FILES.items()]
    others = [f"{'0' * 32}  disc2/{name}" for name in FILES]
    sha1 = [f"{hashlib.sha1(c).hexdigest()}  disc1/{name}" for name, c in FILES.items()]
    for listed, ok in (
        (lines + others, True), (others + lines, True), (lines + sha1, True),
        (others, False), ([*lines, *sha1[1:], f"{'0' * 40}  {next(iter(FILES))}"], False),
    ):  # fmt: skip
        (tmp_path / "a.md5").write_text("\n".join(listed))
        assert verify(sheet, tmp_path / "a.md5").ok is ok


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><datafile/>', "entity"),
        (b"<datafile><game></datafile>", "line 1"),
        (b"no digest here", "line 1"),
    ],
)
def test_what_is_no_database_is_refused(sheet: Path, text: bytes, match: str) -> None:
    with pytest.raises(CorruptError, match=match):
        verify(sheet, MemorySource(text))


def test_games_are_read_piece_by_piece() -> None:
    many = dat(*((f"g{i}", [row(f"{i}.bin", bytes([i % 256]))]) for i in range(20000)))
    assert len(many) > 3 << 20
    names = [rows[0].game for rows in games(MemorySource(many))]
    assert names == [f"g{i}" for i in range(20000)]
