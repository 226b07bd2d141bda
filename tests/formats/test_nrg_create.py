"""NRG written: byte by byte what an independent maker writes, and what other readers see in it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage.disc.framing import framed
from diskimage.errors import UnsupportedError
from diskimage.formats.nrg import FORMAT
from diskimage.formats.nrg.create import create, losses
from diskimage.formats.nrg.opening import open_nrg
from diskimage.model import Disc, Put, Track
from diskimage.sources.memory import MemorySource
from diskimage.sources.zeros import Zeros
from tests.makers import cue, frames, naive, nrg, q
from tests.makers.gate import OpenGate
from tests.makers.iso import volume
from tests.makers.opened import disc, main, outputs
from tests.makers.sample import Sample

RAW = 2352
USER = volume()
COUNT = len(USER) // 2048
DATA = b"".join(frames.mode1(USER[i * 2048 : (i + 1) * 2048], i) for i in range(COUNT))
FORM1 = b"".join(frames.form1(USER[i * 2048 : (i + 1) * 2048], i) for i in range(COUNT))
SOUND = frames.audio(200, 3)
MIXED = """\
CATALOG 4006381333931
TITLE "Disc"
FILE "a.bin" BINARY
  TRACK 01 MODE1/2352
    TITLE "Data"
    INDEX 01 00:00:00
  TRACK 02 AUDIO
    TITLE "Song"
    FLAGS DCP PRE
    ISRC DEZ650700001
    PREGAP 00:02:00
    INDEX 01 00:00:24
  TRACK 03 AUDIO
    INDEX 00 00:02:00
    INDEX 01 00:02:10
"""
EXACT = {"plain", "two sessions", "2048", "form 1", "2336", "2448", "2448, mode 2", "dvd"}

Peer = Callable[[str], str]


def reopened(image: bytes) -> Disc:
    found = open_nrg(MemorySource(image), OpenGate())
    assert isinstance(found, Disc)
    return found


def made(what: Disc) -> bytes:
    return outputs(create(what, "disc"))[""]


def cut(content: bytes, first: int, size: int) -> bytes:
    """`size` bytes of every whole frame."""
    return b"".join(content[i + first : i + first + size] for i in range(0, len(content), RAW))


@pytest.mark.parametrize(
    "sample", [one for one in nrg.samples() if one.label in EXACT], ids=lambda one: one.label
)
def test_images_are_those_of_an_independent_maker(sample: Sample) -> None:
    image = sample.files["a.nrg"]
    assert losses(reopened(image)) == []
    assert made(reopened(image)) == image


def told(track: Track) -> tuple[object, ...]:
    return (
        track.number, track.session, track.lba, track.length, track.flags, track.isrc,
        dict(track.text), [mark for mark in track.indexes if mark[0]],
    )  # fmt: skip


@pytest.mark.parametrize("sample", nrg.samples(), ids=lambda one: one.label)
def test_what_is_read_is_written_and_read_again(sample: Sample) -> None:
    before = reopened(sample.files["a.nrg"])
    after = reopened(made(before))
    assert list(map(told, after.tracks)) == list(map(told, before.tracks))
    assert list(map(main, after.tracks)) == list(map(main, before.tracks))
    assert (after.catalog, after.text, after.cdtext) == (before.catalog, before.text, before.cdtext)
    assert [one.leadout for one in after.sessions] == [one.leadout for one in before.sessions]


def test_a_sheet_of_data_and_audio_keeps_all_it_says(tmp_path: Path) -> None:
    sheet = MIXED.replace("00:00:24\n", "00:00:24\n    INDEX 02 00:01:24\n")
    before = disc(cue.write(tmp_path, sheet, a_bin=DATA + SOUND))
    assert losses(before) == []
    after = reopened(made(before))
    assert list(map(told, after.tracks)) == list(map(told, before.tracks))
    assert list(map(main, after.tracks)) == list(map(main, before.tracks))
    assert (after.catalog, after.text) == (before.catalog, before.text)
    assert [track.pregap for track in after.tracks] == [150, 150, 10]


def test_pauses_that_were_not_stored_are_silence_in_their_place(tmp_path: Path) -> None:
    image = made(disc(cue.write(tmp_path, MIXED, a_bin=DATA + SOUND)))
    first, second = 150 * RAW, (150 + COUNT) * RAW
    lead = b"".join(frames.mode1(bytes(2048), lba) for lba in range(-150, 0))
    assert image[:first] == lead
    assert image[first:second] == DATA
    assert not any(image[second : second + 150 * RAW])
    assert image[second + 150 * RAW :].startswith(SOUND)


@pytest.mark.parametrize(
    ("mode", "first", "size", "written"),
    [
        ("MODE1/2048", 16, 2048, "MODE1/2048"),
        ("MODE2/2048", 24, 2048, "MODE2/2048"),
        ("MODE2/2336", 16, 2336, "MODE2/2336"),
        ("MODE2/2352", 0, RAW, "MODE2/2352"),
        ("CDI/2336", 16, 2336, "MODE2/2336"),
        ("CDI/2352", 0, RAW, "MODE2/2352"),
        ("MODE2/2332", 16, 2332, "MODE2/2352"),
        ("MODE2/2324", 24, 2324, "MODE2/2352"),
    ],
)
def test_each_mode_has_a_place(
    mode: str, first: int, size: int, written: str, tmp_path: Path
) -> None:
    whole = DATA if mode.startswith("MODE1") else FORM1
    if size == 2324:
        whole = b"".join(
            frames.form2(bytes([i]) * 2324, i, bytes((0, 0, 0x20, 0))) for i in range(COUNT)
        )
    sheet = cue.one(mode)
    (track,) = reopened(
        made(disc(cue.write(tmp_path, sheet, a_bin=cut(whole, first, size))))
    ).tracks
    assert track.mode.name == written
    held = {2048: (first, 2048), 2336: (16, 2336), RAW: (0, RAW)}[track.mode.size]
    assert main(track) == cut(whole, *held)


def test_subchannel_is_kept_and_made_where_there_is_none(tmp_path: Path) -> None:
    sub = bytes(range(96))
    sound = b"".join(SOUND[i * RAW : (i + 1) * RAW] + sub for i in range(20))
    sheet = cue.one("CDG").replace("    INDEX", "    PREGAP 00:00:10\n    INDEX")
    before = disc(cue.write(tmp_path, sheet, a_bin=sound))
    assert [(loss.name, loss.content) for loss in losses(before)] == [("made", False)]
    (track,) = reopened(made(before)).tracks
    (piece,) = track.pieces
    assert main(track) == SOUND[: 20 * RAW]
    assert piece.sub is not None
    at, pitch = piece.sub.at, piece.sub.pitch
    stored = [naive.stored(piece.sub.source, at + i * pitch, 96) for i in range(piece.frames)]
    gap = track.lba + 150
    assert stored[gap:] == [sub] * 20
    assert stored[gap - 5] == q.frame(track.lba - 5, 1, track.lba, 0)


def test_sessions_keep_their_addresses(tmp_path: Path) -> None:
    later = frames.data(12, 4, 30 + 11400, 2)[0]
    sheet = cue.one("AUDIO") + (
        'REM SESSION 02\nFILE "b.bin" BINARY\n  TRACK 02 MODE2/2352\n    INDEX 01 00:00:00\n'
    )
    before = disc(cue.write(tmp_path, sheet, a_bin=SOUND[: 30 * RAW], b_bin=later))
    image = made(before)
    assert image.count(b"SINF") == image.count(b"DAOX") == image.count(b"CUEX") == 2
    after = reopened(image)
    assert [(track.session, track.lba) for track in after.tracks] == [(1, 0), (2, 11430)]
    assert main(after.tracks[1]) == later
    assert [session.kind for session in after.sessions] == ["CDDA", "CDROM_XA"]


def test_hidden_audio_lies_before_the_first_track(tmp_path: Path) -> None:
    sheet = cue.one("AUDIO", index="00:00:40")
    after = reopened(made(disc(cue.write(tmp_path, sheet, a_bin=SOUND))))
    (track,) = after.tracks
    assert (track.lba, track.pregap, track.length) == (40, 190, 160)
    (piece,) = track.pieces
    assert piece.source is not None
    assert naive.stored(piece.source, 150 * RAW, 200 * RAW) == SOUND


def test_a_postgap_becomes_the_next_tracks_pause(tmp_path: Path) -> None:
    sheet = MIXED.replace("  TRACK 03", "    POSTGAP 00:01:00\n  TRACK 03").replace(
        "    INDEX 00 00:02:00\n", ""
    )
    before = disc(cue.write(tmp_path, sheet, a_bin=DATA + SOUND))
    assert [(loss.name, loss.content) for loss in losses(before)] == [("gaps", False)]
    after = reopened(made(before))
    assert list(map(main, after.tracks)) == list(map(main, before.tracks))
    assert [track.lba for track in after.tracks] == [track.lba for track in before.tracks]
    assert after.tracks[2].pregap == 75


def test_what_nrg_has_no_words_for_is_said(tmp_path: Path) -> None:
    sheet = MIXED.replace("DCP PRE", "DCP SCMS").replace('"Song"', '"Пісня"')
    found = losses(disc(cue.write(tmp_path, sheet, a_bin=DATA + SOUND)))
    assert [(loss.name, loss.content) for loss in found] == [("titles", False), ("catalog", False)]


def test_frames_without_a_mode_of_neros_are_refused(tmp_path: Path) -> None:
    zero = b"".join(frames.header(i, 0) + bytes(2336) for i in range(20))
    with pytest.raises(UnsupportedError, match="MODE0"):
        next(create(disc(cue.write(tmp_path, cue.one("MODE0/2352"), a_bin=zero)), "a"))


def test_an_image_that_no_cd_has_room_for_is_a_dvd() -> None:
    sectors = 500_000
    steps = list(create(framed(Zeros(sectors * 2048), "2048"), "big"))
    tail = steps[-1]
    assert isinstance(tail, Put)
    assert tail.to == sectors * 2048
    assert bytes(tail.data).startswith(b"ETN2\0\0\0\x20")
    assert b"MTYP\0\0\0\4\0\0\2\0" in bytes(tail.data)
    assert FORMAT.in_order


def of_libmodes(tmp_path: Path) -> tuple[Path, bytes]:
    """An image of the modes that libcdio knows, and what its frames are from LBA 0 on."""
    sheet = MIXED.replace("MODE1/2352", "MODE2/2352")
    image = made(disc(cue.write(tmp_path, sheet, a_bin=FORM1 + SOUND)))
    path = tmp_path / "disc.nrg"
    path.write_bytes(image)
    return path, FORM1 + bytes(150 * RAW) + SOUND


def test_cd_info_sees_the_same_tracks(tmp_path: Path, peer: Peer) -> None:
    path, _ = of_libmodes(tmp_path)
    command = [peer("cd-info"), "--no-header", "--nrg-file", str(path)]
    shown = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    rows = re.findall(r"^ *(\d+): \d\d:\d\d:\d\d +(\d+) +(\w+)", shown, re.MULTILINE)
    assert [(number, int(lsn)) for number, lsn, _ in rows] == [
        ("1", 0), ("2", COUNT + 150), ("3", COUNT + 150 + 136), ("170", COUNT + 150 + 200),
    ]  # fmt: skip
    assert "(MCN): 4006381333931" in shown


def test_cd_read_reads_the_same_frames(tmp_path: Path, peer: Peer) -> None:
    path, expected = of_libmodes(tmp_path)
    out = tmp_path / "frames"
    for lba, count in ((COUNT + 150, 136), (COUNT + 150 + 136, 64)):
        command = [
            peer("cd-read"), "--nrg-file", str(path), "-m", "audio", "-s", str(lba),
            "-n", str(count), "-o", str(out),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        assert out.read_bytes() == expected[lba * RAW : (lba + count) * RAW]
