"""CCD written: equal to what an independent maker writes, and read by other programs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from diskimage.disc.framing import framed
from diskimage.disc.verify import problems
from diskimage.errors import UnsupportedError
from diskimage.formats.ccd.create import create, losses
from diskimage.model import Disc
from diskimage.sources.memory import MemorySource
from diskimage.sources.zeros import Zeros
from tests.makers import ccd, frames
from tests.makers.ccd import RAW, SUB
from tests.makers.cue import write as write_cue
from tests.makers.iso import volume
from tests.makers.opened import disc, files_in, outputs, publish, stored_frames, stored_subs

Peer = Callable[[str], str]
DISCS = ccd.discs()
USER = volume()

SAME = ["one", "no sub", "mixed", "mode 2", "session indexes", "index 1 alone", "hexadecimal"]


@pytest.mark.parametrize("label", DISCS)
def test_what_is_written_is_what_the_maker_writes(label: str, tmp_path: Path) -> None:
    """Subchannel too, where it is not there and has to be made."""
    files = DISCS[label]
    found = disc(files_in(tmp_path, files))
    made = outputs(create(found, "disc"))
    twin = dict(DISCS["one" if label in ("no sub", "hexadecimal") else label])
    if label in SAME:
        assert made == {"": twin.pop("disc.ccd"), **twin}
    if label not in ("first pregap", "scrambled"):
        assert made["disc.img"] == files["disc.img"]
    again = disc(publish(create(found, "made"), tmp_path / "made", "made.ccd"))
    assert [stored_subs(t) for t in again.tracks] == [
        made["disc.sub"][n : n + len(stored_subs(t))]
        for t, n in zip(again.tracks, sub_places(again), strict=True)
    ]


def sub_places(found: Disc) -> list[int]:
    """Where in the .sub each track begins."""
    places, at = [], 0
    for track in found.tracks:
        places.append(at)
        at += sum(piece.frames for piece in track.pieces) * SUB
    return places


CUE = (
    'CATALOG 4006381333931\r\nTITLE "Disc"\r\nFILE "a.bin" BINARY\r\n'
    "  TRACK 01 MODE1/2048\r\n    INDEX 01 00:00:00\r\n"
    "  TRACK 02 MODE2/2336\r\n    INDEX 00 00:00:20\r\n    INDEX 01 00:00:25\r\n"
    'FILE "b.bin" BINARY\r\n'
    "  TRACK 03 AUDIO\r\n    FLAGS DCP PRE\r\n    ISRC GBAYE0000351\r\n"
    "    PREGAP 00:00:30\r\n    INDEX 01 00:00:00\r\n    INDEX 02 00:00:04\r\n"
    '    POSTGAP 00:00:02\r\nREM SESSION 02\r\nFILE "c.bin" BINARY\r\n'
    "  TRACK 04 CDG\r\n    INDEX 00 00:00:00\r\n    INDEX 01 00:00:03\r\n"
)


def from_cue(folder: Path) -> Disc:
    """Two sessions of every frame size, gaps stored and made up, subchannel in one track."""
    cooked, sound = b"".join(frames.sectors(20)), frames.audio(12, 4)
    forms = b"".join(frames.form1(one, 20 + i)[16:] for i, one in enumerate(frames.sectors(10, 3)))
    karaoke = bytes(range(256)) * 153  # 16 frames of 2448 bytes
    path = write_cue(folder, CUE, a_bin=cooked + forms, b_bin=sound, c_bin=karaoke)
    return disc(path)


def test_a_disc_of_every_frame_size_is_written_whole(tmp_path: Path) -> None:
    found = from_cue(tmp_path)
    assert {(loss.name, loss.content) for loss in losses(found)} == {
        ("made", False), ("indexes", False),  # a postgap becomes frames of its track
    }  # fmt: skip
    made = publish(create(found, "made"), tmp_path / "made", "made.ccd")
    again = disc(made)
    assert [t.lba for t in again.tracks] == [t.lba for t in found.tracks]
    assert [t.indexes for t in again.tracks] == [
        ((1, 0),), ((0, 20), (1, 25)), ((0, 30), (1, 60), (2, 64)),
        ((0, found.tracks[3].lba - 3), (1, found.tracks[3].lba)),
    ]  # fmt: skip
    assert [t.flags for t in again.tracks] == [set(), set(), {"DCP", "PRE"}, set()]
    assert [t.isrc for t in again.tracks] == [None, None, "GBAYE0000351", None]
    assert (again.catalog, dict(again.text)) == (found.catalog, {"TITLE": "Disc"})
    cooked = [frames.mode1(one, i) for i, one in enumerate(frames.sectors(20))]
    forms = [frames.form1(one, 20 + i) for i, one in enumerate(frames.sectors(10, 3))]
    assert stored_frames(again.tracks[0]) == b"".join(cooked)
    assert stored_frames(again.tracks[1]) == b"".join(forms)
    gap, tail = bytes(30 * RAW), bytes(2 * RAW)
    assert stored_frames(again.tracks[2]) == gap + frames.audio(12, 4) + tail
    karaoke = bytes(range(256)) * 153
    stored_as = [karaoke[at : at + RAW] for at in range(0, len(karaoke), RAW + SUB)]
    assert stored_frames(again.tracks[3]) == b"".join(stored_as)
    subs = [karaoke[at + RAW : at + RAW + SUB] for at in range(0, len(karaoke), RAW + SUB)]
    assert ccd.interleave(stored_subs(again.tracks[3])[:SUB]) == subs[0]
    assert list(problems(replace(again, tracks=again.tracks[:3]))) == []


def test_what_is_no_cd_is_refused(tmp_path: Path) -> None:
    long = framed(Zeros(449851 * 2048), "2048")
    with pytest.raises(UnsupportedError, match="99:59:74"):
        next(create(long, "a"))
    found = from_cue(tmp_path)
    with pytest.raises(UnsupportedError, match="no CD"):
        next(create(replace(found, medium="DVD"), "a"))
    apart = replace(found, tracks=(found.tracks[0], found.tracks[2]))
    with pytest.raises(UnsupportedError, match="of no track"):
        next(create(apart, "a"))


def test_losses_are_named(tmp_path: Path) -> None:
    early = disc(files_in(tmp_path, ccd.ccd([[ccd.audio(200, 8, 150)]], start=-150)))
    assert [(loss.name, loss.content) for loss in losses(early)] == [("pregap", False)]
    names = [loss.name for loss in losses(replace(framed(MemorySource(USER)), text={"TITLE": "☀"}))]
    assert names == ["titles", "made"]


@pytest.mark.parametrize("kind", ["mode1", "mode2"])
def test_foreign_readers_find_the_iso(kind: str, tmp_path: Path, peer: Peer) -> None:
    publish(create(framed(MemorySource(USER), kind), "made"), tmp_path / "made", "made.ccd")
    img, out = tmp_path / "made/made.img", tmp_path / "out.iso"
    for command in ([peer("ccd2iso"), img, out], [peer("iat"), img, out]):
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        assert out.read_bytes() == USER
        out.unlink()
