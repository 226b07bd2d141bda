"""Audio in containers: AIFF made by hand, FLAC and MP3 by their own encoders and decoders."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from array import array
from collections.abc import Callable
from math import sin
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
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


def tone(count: int) -> bytes:
    """`count` samples of a chord with noise, loud and soft."""
    noise = random.Random(1)
    values = array("h")
    for i in range(count):
        values += array("h", [int(9000 * sin(i / 30)) + noise.randint(-900, 900), i % 9000 - 4500])
    return values.tobytes()


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


# --- FLAC and MP3 ---------------------------------------------------------------------------


def test_without_the_extra_its_name_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    path = write(tmp_path, one("AUDIO", kind="FLAC"), a_bin=b"fLaC" + bytes(99))
    with pytest.raises(UnsupportedError, match="is FLAC, which needs a decoder") as caught:
        disc(path)
    assert "py-diskimage[audio]" in str(caught.value.remedy)


@pytest.fixture
def decoder() -> None:
    pytest.importorskip("soundfile", reason="needs soundfile (the extra audio)")


def flac(folder: Path, tool: str, samples: bytes, *options: str) -> bytes:
    (folder / "in.wav").write_bytes(wave(samples))
    command = [tool, "--silent", "--force", *options, "in.wav", "-o", "out.flac"]
    subprocess.run(command, check=True, cwd=folder)
    return (folder / "out.flac").read_bytes()


@pytest.mark.usefixtures("decoder")
def test_a_flac_is_the_samples_that_were_encoded(tmp_path: Path, peer: Peer) -> None:
    samples = tone(50 * 588 + 100)
    content = flac(tmp_path, peer("flac"), samples)
    for kind, name, warned in (
        ("FLAC", "a.bin", list[str]()),
        ("WAVE", "a.wav", ["sheet"]),
        ("BINARY", "a.flac", ["sheet"]),
    ):
        (tmp_path / name).write_bytes(content)
        sheet = one("AUDIO", name=name, kind=kind) + "  TRACK 02 AUDIO\n    INDEX 01 00:00:17\n"
        path = write(tmp_path, sheet)
        first, second = disc(path).tracks
        assert main(first) + main(second) == samples.ljust(51 * RAW, b"\0")
        assert (first.length, second.length) == (17, 34)
        assert kinds(path) == [*warned, "padding", "no-data"]


@pytest.mark.usefixtures("decoder")
def test_any_range_of_decoded_samples_is_the_same(tmp_path: Path, peer: Peer) -> None:
    samples = tone(200 * 588)
    for tool, content in (
        ("flac", flac(tmp_path, peer("flac"), samples)),
        ("lame", lame(tmp_path, peer("lame"), samples)),
        ("lame", lame(tmp_path, peer("lame"), samples, "-V", "9", "--resample", "44.1")),
    ):
        path = write(tmp_path, one("AUDIO", kind="MP3"), a_bin=content)
        with image.open(path) as opened:
            assert opened.disc is not None
            source = opened.disc.tracks[0].pieces[0].source
            assert source is not None
            whole = bytearray(source.size)
            assert source.read_into(0, memoryview(whole)) == source.size
            draw = random.Random(tool)
            for _ in range(60):
                at = draw.randrange(source.size)
                part = bytearray(draw.choice((1, 3, 4, 777, 40000)))
                got = source.read_into(at, memoryview(part))
                assert part[:got] == whole[at : at + len(part)], (tool, at, len(part))
                assert got == min(len(part), source.size - at)


@pytest.mark.usefixtures("decoder")
def test_flac_that_a_disc_does_not_play_is_named(tmp_path: Path, peer: Peer) -> None:
    for content, words in (
        (wave(SOUND, rate=48000), "48000 Hz"),
        (wave(SOUND, channels=1), "1 channels"),
        (wave(SOUND, bits=24), "PCM_24"),
    ):
        (tmp_path / "in.wav").write_bytes(content)
        command = [peer("flac"), "--silent", "--force", "in.wav", "-o", "a.bin"]
        subprocess.run(command, check=True, cwd=tmp_path)
        with pytest.raises(UnsupportedError, match=words):
            disc(write(tmp_path, one("AUDIO", kind="FLAC")))


@pytest.mark.usefixtures("decoder")
def test_a_damaged_flac_is_an_error_and_never_other_samples(tmp_path: Path, peer: Peer) -> None:
    samples = tone(60 * 588)
    content = flac(tmp_path, peer("flac"), samples)
    draw = random.Random(5)
    for _ in range(30):
        changed = bytearray(content)
        changed[draw.randrange(len(changed) // 2, len(changed))] ^= 0x20
        path = write(tmp_path, one("AUDIO", kind="FLAC"), a_bin=bytes(changed))
        with pytest.raises(CorruptError, match=r"decoded|not there"):
            main(disc(path).tracks[0])
    cut = write(tmp_path, one("AUDIO", kind="FLAC"), a_bin=content[: len(content) // 2])
    with pytest.raises(CorruptError):
        main(disc(cut).tracks[0])
    for at in range(60):
        path = write(
            tmp_path, one("AUDIO", kind="FLAC"), a_bin=content[:at] + b"\xff" + content[at + 1 :]
        )
        try:
            assert main(disc(path).tracks[0]) == samples
        except (CorruptError, LimitError, UnsupportedError, TruncatedError):
            continue


def lame(folder: Path, tool: str, samples: bytes, *options: str) -> bytes:
    (folder / "in.wav").write_bytes(wave(samples))
    subprocess.run([tool, "--quiet", *options, "in.wav", "out.mp3"], check=True, cwd=folder)
    return (folder / "out.mp3").read_bytes()


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("options", [("-b", "192"), ("-V", "2"), ("--id3v2-only", "--tt", "x")])
def test_an_mp3_is_what_another_decoder_hears(
    options: tuple[str, ...], tmp_path: Path, peer: Peer
) -> None:
    """Both leave out what the encoder put before and after the samples; rounding may differ."""
    samples = tone(100 * 588)
    content = lame(tmp_path, peer("lame"), samples, *options)
    path = write(tmp_path, one("AUDIO", name="a.mp3", kind="MP3"), a_mp3=content)
    found = disc(path).tracks[0]
    assert found.length == 100
    command = [peer("mpg123"), "--quiet", "-s", "out.mp3"]
    other = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True).stdout
    ours, theirs = array("h", main(found)), array("h", other)
    assert len(ours) == len(theirs)
    assert max(abs(one - two) for one, two in zip(ours, theirs, strict=True)) <= 1
