"""Subchannel made from tracks, taken from any layout to another, held against the tracks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from diskimage.disc import verify
from diskimage.disc.losses import lacking
from diskimage.disc.subchannel import converted, layout_of, made, with_sub
from diskimage.disc.tracks import Lay, assemble
from diskimage.errors import UnsupportedError
from diskimage.kernels.subchannel import q_seal
from diskimage.model import Disc, Layout, Source, Subchannel
from diskimage.sources.memory import MemorySource
from tests.makers import frames
from tests.makers.cue import write
from tests.makers.opened import disc

SHEET = (
    'FILE "a.bin" BINARY\n  TRACK 01 MODE1/2352\n    INDEX 01 00:00:00\n'
    "  TRACK 02 AUDIO\n    FLAGS DCP PRE\n    PREGAP 00:00:03\n    INDEX 00 00:00:20\n"
    "    INDEX 01 00:00:25\n    INDEX 02 00:00:28\n"
)


@pytest.fixture
def mixed(tmp_path: Path) -> Disc:
    """20 frames of data; 3 absent and 5 stored of pregap; 3 and 7 of audio in two indexes."""
    return disc(write(tmp_path, SHEET, a_bin=frames.data(20)[0] + frames.audio(15, 1)))


def all_of(source: Source) -> bytes:
    buffer = bytearray(source.size)
    source.read_into(0, memoryview(buffer))
    return bytes(buffer)


def rows(source: Source) -> list[str]:
    """Q of each packed frame, as hexadecimal digits."""
    content = all_of(source)
    return [content[at + 12 : at + 24].hex() for at in range(0, len(content), 96)]


def test_q_of_the_first_frame_is_that_of_pressed_discs(mixed: Disc) -> None:
    """410101 000000 00 000200 2832: what drives read at the beginning of data discs."""
    assert rows(made(mixed, 0, 1, "packed")) == ["410101000000000002002832"]


def test_pauses_count_down_and_indexes_up(mixed: Disc) -> None:
    """ECMA-130 22.3.3: the time of a pause ends with zero; that of a track begins with it."""
    told = [row[:20] for row in rows(made(mixed, 19, 38, "packed"))]
    assert told[0] == "41010100001900000219"
    assert told[1] == "31020000000700000220", "PREGAP comes first, its 3 frames count too"
    assert told[8] == "31020000000000000227"
    assert told[9] == "31020100000000000228"
    assert told[12] == "31020200000300000231"
    assert told[18] == "31020200000900000237"


def test_p_marks_the_pause_alone(mixed: Disc) -> None:
    content = all_of(made(mixed, 18, 30, "packed"))
    marked = [content[at : at + 12] == b"\xff" * 12 for at in range(0, len(content), 96)]
    assert marked == [False] * 2 + [True] * 8 + [False] * 2


@pytest.mark.parametrize("layout", ["packed", "interleaved", "q16"])
def test_every_layout_says_the_same(mixed: Disc, layout: Layout) -> None:
    source = made(mixed, -150, 38, layout)
    size = 16 if layout == "q16" else 96
    sub = Subchannel(source, 0, size, layout)
    assert source.size == 188 * size
    packed = converted(sub, 188, "packed")
    assert all_of(packed.source) == all_of(made(mixed, -150, 38, "packed"))
    if layout != "q16":
        assert layout_of(source, 150 * size, size, 20) == layout


def test_stored_r_to_w_survive_conversion(mixed: Disc) -> None:
    packed = bytearray(all_of(made(mixed, 0, 20, "packed")))
    packed[24:96] = bytes(range(72))
    there = converted(Subchannel(MemorySource(packed), 0, 96, "packed"), 20, "interleaved")
    back = converted(there, 20, "packed")
    assert all_of(back.source) == packed


def test_packs_of_r_to_w_are_not_taken_for_raw_subchannel(mixed: Disc) -> None:
    cooked = Subchannel(MemorySource(bytes(96 * 20)), 0, 96, "rw")
    with pytest.raises(UnsupportedError, match="rw"):
        converted(cooked, 20, "packed")
    piece = replace(mixed.tracks[0].pieces[0], sub=cooked)
    told = with_sub(mixed, piece, "packed").sub
    assert told is not None
    assert rows(told.source)[0] == "410101000000000002002832"


def with_packed(found: Disc, change: dict[int, bytes]) -> Disc:
    """`found`, its first track with stored subchannel in which Q of some frames is another."""
    track = found.tracks[0]
    packed = bytearray(all_of(made(found, 0, 20, "packed")))
    for lba, q in change.items():
        packed[lba * 96 + 12 : lba * 96 + 24] = q
    piece = replace(track.pieces[0], sub=Subchannel(MemorySource(packed), 0, 96, "packed"))
    return assemble([Lay(1, 1, track.mode, (piece,), ((1, 0),))], file="x")


def sealed(digits: str) -> bytes:
    row = bytearray(bytes.fromhex(digits) + bytes(2))
    q_seal(row, 12)
    return bytes(row)


def test_a_sound_q_is_no_problem(mixed: Disc) -> None:
    catalogue = {7: sealed("42123456789012300009")}  # ADR 2 tells no position
    assert list(verify.problems(with_packed(mixed, catalogue))) == []


@pytest.mark.parametrize(
    ("q", "kind", "text"),
    [
        (bytes(12), "checksum", "frames LBA 4 to 5: the CRC of Q"),
        (sealed("41020100000400000204"), "corrupt", "LBA 4: Q says track 02, the tracks say 01"),
        (sealed("41010100000400000304"), "corrupt", "LBA 4: Q holds an address +75 frames off"),
        (sealed("41010000000400000204"), "corrupt", "LBA 4: Q says its pregap"),
    ],
)
def test_a_q_that_contradicts_is_told(mixed: Disc, q: bytes, kind: str, text: str) -> None:
    change = {4: q, 5: q} if not any(q) else {4: q}
    told = list(verify.problems(with_packed(mixed, change)))
    assert [(one.kind, one.at) for one in told] == [(kind, 4)]
    assert text in told[0].message


def test_what_the_tracks_say_themselves_is_no_loss_of_content(mixed: Disc) -> None:
    told = lacking(with_packed(mixed, {}), {"audio"})
    assert [(loss.name, loss.content) for loss in told] == [("subchannel", False)]
    strange = lacking(with_packed(mixed, {4: bytes(12)}), {"audio"})
    assert [(loss.name, loss.content) for loss in strange] == [("subchannel", True)]


def test_graphics_are_content(mixed: Disc) -> None:
    packed = bytearray(96 * 20)
    packed[5 * 96 + 30] = 1  # in R, of frames without any Q
    track = mixed.tracks[0]
    piece = replace(track.pieces[0], sub=Subchannel(MemorySource(packed), 0, 96, "packed"))
    found = assemble([Lay(1, 1, track.mode, (piece,), ((1, 0),))], file="x")
    assert [(loss.name, loss.content) for loss in lacking(found, {})] == [("subchannel", True)]
