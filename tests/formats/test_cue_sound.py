"""Audio in containers: AIFF made by hand; what a file is by its content."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage.errors import (
    CorruptError,
    TruncatedError,
    UnsupportedError,
)
from tests.makers import frames
from tests.makers.cue import one, wave, write
from tests.makers.opened import disc, kinds, main
from tests.makers.toc import big

RAW = 2352
Peer = Callable[[str], str]
RATE = bytes.fromhex("400eac44000000000000")  # 44100 as an 80-bit float
SOUND = frames.audio(30, 3)


def aiff(
    samples: bytes, count: int, coding: bytes = b"", rate: bytes = RATE, channels: int = 2,
    bits: int = 16, skip: int = 0,
) -> bytes:  # fmt: skip
    """An AIFF file, AIFF-C where a coding is given; the samples before the common chunk."""
    common = (
        struct.pack(">hIh", channels, count, bits) + rate + (coding + b"\0\0" if coding else b"")
    )
    sound = struct.pack(">II", skip, 0) + bytes(skip) + samples
    body = b"AIFC" if coding else b"AIFF"
    for name, content in ((b"NAME", b"odd"), (b"SSND", sound), (b"COMM", common)):
        body += name + struct.pack(">I", len(content)) + content + bytes(len(content) % 2)
    return b"FORM" + struct.pack(">I", len(body)) + body


# --- AIFF -----------------------------------------------------------------------------------


@pytest.mark.parametrize("skip", [0, 1, 6])
@pytest.mark.parametrize("coding", [b"", b"NONE", b"twos", b"sowt"])
def test_samples_of_an_aiff(coding: bytes, skip: int, tmp_path: Path) -> None:
    stored = SOUND if coding == b"sowt" else big(SOUND)
    content = aiff(stored, len(SOUND) // 4, coding, skip=skip)
    path = write(tmp_path, one("AUDIO", kind="AIFF"), a_bin=content)
    assert main(disc(path).tracks[0]) == SOUND
    assert kinds(path) == ["no-data"]


def test_a_short_last_frame_is_filled_up_and_said(tmp_path: Path) -> None:
    content = aiff(big(SOUND[:-8]), len(SOUND) // 4 - 2)
    path = write(tmp_path, one("AUDIO", kind="AIFF"), a_bin=content)
    assert main(disc(path).tracks[0]) == SOUND[:-8] + bytes(8)
    assert kinds(path) == ["padding", "no-data"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (aiff(SOUND, 9, channels=1), "1 channels"),
        (aiff(SOUND, 9, bits=24), "24 bits"),
        (aiff(SOUND, 9, rate=bytes.fromhex("400ebb80000000000000")), "48000 Hz"),
        (aiff(SOUND, 9, rate=bytes.fromhex("400dac44000000000000")), "22050 Hz"),
        (aiff(SOUND, 9, rate=b"\xff" * 10), " 0 Hz"),
        (aiff(SOUND, 9, coding=b"ima4"), "'ima4'"),
    ],
)
def test_what_a_disc_does_not_play_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=f"line 1: 'a.bin': AIFF.*{words}"):
        disc(write(tmp_path, one("AUDIO", kind="AIFF"), a_bin=content))


def test_a_broken_aiff_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(TruncatedError, match="holds"):
        disc(write(tmp_path, one("AUDIO", kind="AIFF"), a_bin=aiff(SOUND, len(SOUND))))
    with pytest.raises(CorruptError, match="common chunk"):
        disc(write(tmp_path, one("AUDIO", kind="AIFF"), a_bin=aiff(SOUND, 9)[:50]))
    whole = aiff(big(SOUND), len(SOUND) // 4)
    for at in range(80):
        for value in (0, 0x7F, 0xFF):
            changed = bytearray(whole)
            changed[at] = value
            path = write(tmp_path, one("AUDIO", kind="AIFF"), a_bin=bytes(changed))
            try:
                main(disc(path).tracks[0])
            except (UnsupportedError, CorruptError, TruncatedError):
                continue


def test_content_decides_what_a_file_is(tmp_path: Path) -> None:
    for kind, content in (
        ("WAVE", aiff(big(SOUND), len(SOUND) // 4)),
        ("BINARY", aiff(big(SOUND), len(SOUND) // 4)),
        ("MP3", wave(SOUND)),
        ("MOTOROLA", wave(SOUND)),
    ):
        path = write(tmp_path, one("AUDIO", kind=kind), a_bin=content)
        assert main(disc(path).tracks[0]) == SOUND
        assert kinds(path) == ["sheet", "no-data"]
    path = write(tmp_path, one("AUDIO", kind="WAVE"), a_bin=b"OggS" + bytes(99))
    with pytest.raises(UnsupportedError, match=r"line 1: 'a\.bin': is Ogg, which is not decoded"):
        disc(path)
    data = write(tmp_path, one("MODE1/2352", kind="FLAC"), a_bin=b"fLaC" + bytes(99))
    with pytest.raises(CorruptError, match="a data track in a FLAC file"):
        disc(data)
