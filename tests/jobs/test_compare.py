"""Comparing discs: the tracks that files do not see count too."""

from __future__ import annotations

from pathlib import Path

import diskimage
from tests.makers.cue import one, write
from tests.makers.frames import mode1
from tests.makers.iso import volume

USER = volume()
DATA = b"".join(mode1(USER[at : at + 2048], at // 2048) for at in range(0, len(USER), 2048))
SOUND = bytes(range(256)) * 147  # 16 frames
MIXED = one("MODE1/2352") + 'FILE "b.bin" BINARY\n  TRACK 02 AUDIO\n    INDEX 01 00:00:00\n'


def mixed(folder: Path, name: str, sheet: str = MIXED, sound: bytes = SOUND) -> Path:
    (folder / name).mkdir()
    return write(folder / name, sheet, a_bin=DATA, b_bin=sound)


def test_discs_that_differ_in_audio_are_not_equal(tmp_path: Path) -> None:
    a = mixed(tmp_path, "a")
    assert diskimage.compare(a, mixed(tmp_path, "same")).equal
    flipped = bytearray(SOUND)
    flipped[30000] ^= 1
    others = [
        mixed(tmp_path, "flipped", sound=bytes(flipped)),
        mixed(tmp_path, "longer", sound=SOUND + bytes(2352)),
        mixed(tmp_path, "absent", sheet=one("MODE1/2352")),
    ]
    for b in others:
        found = diskimage.compare(a, b)
        assert not found.equal
        assert not found.ranges
        told = [str(warning) for warning in found.warnings]
        assert told == ["tracks: the stored frames differ: track 2"]


def test_audio_that_only_one_side_has_is_said(tmp_path: Path) -> None:
    (tmp_path / "data.iso").write_bytes(USER)
    found = diskimage.compare(tmp_path / "data.iso", mixed(tmp_path, "a"))
    assert found.equal
    said = [str(warning) for warning in found.warnings]
    assert said == ["audio: only the data of track 1 was compared; audio of track 2 was not"]


def test_what_one_image_has_more_is_told_by_sectors() -> None:
    short, long = b"a" * 1000, b"a" * 1000 + bytes(12) + bytes(600) + b"x"
    said = diskimage.compare(short, long, format="raw", format_b="raw")
    assert list(said.ranges) == [(1536, 77)]
    said = diskimage.compare(short, short + b"x" + bytes(600), format="raw", format_b="raw")
    assert list(said.ranges) == [(512, 512)]
    assert diskimage.compare(short, short + bytes(5), format="raw", format_b="raw").equal
