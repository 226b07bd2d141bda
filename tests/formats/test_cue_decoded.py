"""FLAC and MP3 under a sheet: what their own encoders made, as their own decoders hear it."""

from __future__ import annotations

import random
import subprocess
import sys
from array import array
from collections.abc import Callable
from math import sin
from pathlib import Path

import pytest

from diskimage import check, image
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.sources import decoded as source_of
from diskimage.sources.decoded import Decoded
from diskimage.sources.flac import told as flac_told
from diskimage.sources.memory import MemorySource
from tests.makers import frames
from tests.makers.cue import one, wave, write
from tests.makers.opened import disc, kinds, main

RAW = 2352
Peer = Callable[[str], str]
SOUND = frames.audio(30, 3)


def tone(count: int) -> bytes:
    """`count` samples of a chord with noise, loud and soft."""
    noise = random.Random(1)
    values = array("h")
    for i in range(count):
        values += array("h", [int(9000 * sin(i / 30)) + noise.randint(-900, 900), i % 9000 - 4500])
    return values.tobytes()


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
        except (ChecksumError, CorruptError, LimitError, UnsupportedError, TruncatedError):
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


def samples_of(content: bytes, kind: str = "MP3") -> bytes:
    """All samples, read in uneven steps."""
    source = Decoded(MemorySource(content), kind)
    out = bytearray(source.size)
    for at in range(0, len(out), 70001):
        source.read_into(at, memoryview(out)[at : at + 70001])
    return bytes(out)


def heard(folder: Path, tool: str, content: bytes) -> bytes:
    """What mpg123 hears."""
    (folder / "heard.mp3").write_bytes(content)
    command = [tool, "--quiet", "-s", "heard.mp3"]
    return subprocess.run(command, check=True, cwd=folder, capture_output=True).stdout


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("options", [("-b", "128"), ("-V", "2"), ("--abr", "150"), ("-p",)])
def test_an_mp3_that_does_not_count_its_frames_has_all_of_them(
    options: tuple[str, ...], tmp_path: Path, peer: Peer
) -> None:
    """The library guesses a length by the size and the first frame, too short or too long."""
    samples = tone(150 * 588) + bytes(4 * 588 * 300)
    content = lame(tmp_path, peer("lame"), samples, "-t", *options)
    assert b"Info" not in content
    assert b"Xing" not in content
    theirs = heard(tmp_path, peer("mpg123"), content)
    assert len(theirs) >= len(samples)
    assert samples_of(content) == theirs
    path = write(tmp_path, one("AUDIO", name="a.mp3", kind="WAVE"), a_mp3=content)
    assert disc(path).tracks[0].length == -(-len(theirs) // RAW)  # whatever the sheet calls it


@pytest.mark.usefixtures("decoder")
def test_an_mp3_is_read_on_where_a_step_ended(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame of a low rate has its bits in many before it: seeking between steps loses them."""
    content = lame(tmp_path, peer("lame"), tone(200 * 588), "-V", "9", "--resample", "44.1")
    monkeypatch.setattr(source_of, "_BATCH", 5000)
    assert samples_of(content) == heard(tmp_path, peer("mpg123"), content)


TAG = b"ID3\4\0\0\0\0\2\0" + bytes(256)
FOOTED = b"ID3\4\0\x10\0\0\2\0" + bytes(256) + b"3DI\4\0\x10\0\0\2\0"
OLD_TAG = b"TAG".ljust(128, b"x")


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("front", [TAG, FOOTED, TAG + FOOTED, TAG + bytes(777)])
def test_tags_around_samples_are_none(front: bytes, tmp_path: Path, peer: Peer) -> None:
    samples = tone(30 * 588)
    for content, kind, wanted in (
        (flac(tmp_path, peer("flac"), samples), "FLAC", samples),
        (lame(tmp_path, peer("lame"), samples), "MP3", None),
        (lame(tmp_path, peer("lame"), samples, "-t"), "MP3", None),
    ):
        if wanted is None:
            wanted = heard(tmp_path, peer("mpg123"), content)  # noqa: PLW2901 - what is there
        for behind in (b"", OLD_TAG, bytes(500)):
            tagged = front + content + behind
            path = write(tmp_path, one("AUDIO", kind=kind), a_bin=tagged)
            found = main(disc(path).tracks[0])
            assert found[: len(wanted)] == wanted
            assert len(found) - len(wanted) < RAW


@pytest.mark.usefixtures("decoder")
def test_an_mp3_with_the_mark_of_another_encoder(tmp_path: Path, peer: Peer) -> None:
    """A frame that begins with VBRI counts the others, and is no sound."""
    content = lame(tmp_path, peer("lame"), tone(60 * 588))
    at = content.index(b"Info")
    length = content.index(content[:2], 4)
    other = content[:at] + b"VBRI".ljust(length - at, b"\0") + content[length:]
    bare = heard(tmp_path, peer("mpg123"), content[length:])
    assert samples_of(other) == bare


@pytest.mark.usefixtures("decoder")
def test_an_mp3_that_is_not_whole_is_refused(tmp_path: Path, peer: Peer) -> None:
    tool, samples = peer("lame"), tone(100 * 588)
    told = lame(tmp_path, tool, samples, "-b", "128")
    bare = lame(tmp_path, tool, samples, "-b", "128", "-t")
    frame = bare.index(bare[:2], 4)
    hole = bare[: 9 * frame] + bytes(frame) + bare[10 * frame :]
    for content, error, words in (
        (told[:-100], TruncatedError, "counts 53 frames, 52"),
        (told[: len(told) // 2], TruncatedError, "counts 53 frames"),
        (told + told, CorruptError, "counts 53 frames, 107"),
        (bare[:-100], TruncatedError, "frame 53 has"),
        (bare + b"\xff\xfb", CorruptError, "after 53 frames"),
        (bare + b"junk", CorruptError, "after 53 frames"),
        (hole, CorruptError, "goes on with what is none"),
        (b"\xff\xfb", CorruptError, "does not begin"),
        (TAG, CorruptError, "does not begin"),
    ):
        with pytest.raises(error, match=words):
            disc(write(tmp_path, one("AUDIO", kind="MP3"), a_bin=content))


@pytest.mark.usefixtures("decoder")
def test_an_mp3_that_a_disc_does_not_play_is_named(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, samples = peer("lame"), tone(30 * 588)
    plain = lame(tmp_path, tool, samples)
    for content, words in (
        (lame(tmp_path, tool, samples, "-m", "m"), "1 channels"),
        (lame(tmp_path, tool, samples, "--resample", "48"), "48000 Hz"),
        (lame(tmp_path, tool, samples, "--resample", "32"), "32000 Hz"),
        (lame(tmp_path, tool, samples, "--resample", "22.05"), "MPEG 2"),
        (lame(tmp_path, tool, samples, "--freeformat", "-b", "400"), "no told bit rate"),
        (plain[:1] + b"\xfd" + plain[2:], "layer 2"),
    ):
        with pytest.raises(UnsupportedError, match=words):
            disc(write(tmp_path, one("AUDIO", kind="MP3"), a_bin=content))
    monkeypatch.setattr(source_of, "_LONGEST", 10000)
    for content, kind in ((plain, "MP3"), (flac(tmp_path, peer("flac"), samples), "FLAC")):
        with pytest.raises(LimitError, match="than a disc holds"):
            disc(write(tmp_path, one("AUDIO", kind=kind), a_bin=content))


def piped(folder: Path, tool: str, samples: bytes, *options: str) -> bytes:
    """A FLAC that was written to a pipe: neither its length nor its MD5 are told."""
    raw = ("--force-raw-format", "--endian=little", "--sign=signed", "--channels=2", "--bps=16")
    command = [tool, "--silent", "--stdout", *raw, "--sample-rate=44100", *options, "-"]
    done = subprocess.run(command, check=True, cwd=folder, input=samples, capture_output=True)
    assert int.from_bytes(done.stdout[18:26], "big") & (1 << 36) - 1 == 0
    return done.stdout


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("options", [("-b", "4096"), ("-b", "192"), ("--lax", "-b", "5000")])
@pytest.mark.parametrize("count", [1, 191, 4096 * 3, 200_001])
def test_a_flac_that_does_not_tell_its_length(
    count: int, options: tuple[str, ...], tmp_path: Path, peer: Peer
) -> None:
    for samples in (tone(count), bytes(4 * count)):
        content = piped(tmp_path, peer("flac"), samples, *options)
        assert samples_of(content, "FLAC") == samples
        assert samples_of(content + OLD_TAG, "FLAC") == samples
        with pytest.raises(TruncatedError, match="does not tell how many"):
            Decoded(MemorySource(content[:-1]), "FLAC")


def test_a_frame_is_no_longer_than_its_samples() -> None:
    """A head that tells frames of 16 MiB, of 4096 samples: no more than such have is looked at."""
    head = bytearray(b"fLaC" + bytes([0x80, 0, 0, 34]) + bytes(34))
    head[8:10] = head[10:12] = (4096).to_bytes(2, "big")
    head[15:18] = b"\xff\xff\xff"
    content = bytes(head) + bytes(1 << 22)
    asked: list[int] = []

    class Asked(MemorySource):
        def read_into(self, at: int, buffer: memoryview) -> int:
            asked.append(len(buffer))
            return super().read_into(at, buffer)

    with pytest.raises(TruncatedError, match="does not tell how many"):
        flac_told(Asked(content))
    assert max(asked) < 6 * 4096


@pytest.mark.usefixtures("decoder")
def test_a_flac_has_the_length_that_it_tells(tmp_path: Path, peer: Peer) -> None:
    content = bytearray(flac(tmp_path, peer("flac"), tone(40 * 588)))
    for by in (-588, -1, 1, 588):
        told = (int.from_bytes(content[21:26], "big") + by).to_bytes(5, "big")
        with pytest.raises(CorruptError, match="its last frame ends at 23520"):
            Decoded(MemorySource(content[:21] + told + content[26:]), "FLAC")
    with pytest.raises(CorruptError, match="STREAMINFO"):
        Decoded(MemorySource(b"fLaC\4" + content[5:]), "FLAC")


@pytest.mark.usefixtures("decoder")
def test_the_md5_of_a_flac_is_held(tmp_path: Path, peer: Peer) -> None:
    samples = tone(400 * 588)
    content = bytearray(flac(tmp_path, peer("flac"), samples))
    told, content[26:42] = content[26:42], bytes(16)
    assert samples_of(bytes(content), "FLAC") == samples, "none is told"
    content[26:42] = told
    draw = random.Random(3)
    for wrong in (False, True):
        content[26] ^= wrong
        source = Decoded(MemorySource(bytes(content)), "FLAC")
        starts = sorted(range(50000, source.size, 50000), key=lambda at: at + draw.randrange(99999))
        for at in (0, *starts[:-1]):
            source.read_into(at, memoryview(bytearray(50000)))
        if wrong:
            with pytest.raises(ChecksumError, match="MD5 of its samples"):
                source.read_into(starts[-1], memoryview(bytearray(50000)))
        else:
            assert source.read_into(starts[-1], memoryview(bytearray(50000)))


@pytest.mark.usefixtures("decoder")
def test_a_check_decodes_what_is_behind_a_sheet(tmp_path: Path, peer: Peer) -> None:
    content = bytearray(flac(tmp_path, peer("flac"), tone(60 * 588)))
    path = write(tmp_path, one("AUDIO", kind="FLAC"), a_bin=bytes(content))
    assert check(path).problems == ()
    for at, kind in ((30, "checksum"), (len(content) // 2, "corrupt")):
        content[at] ^= 4
        (tmp_path / "a.bin").write_bytes(content)
        assert [one.kind for one in check(path).problems] == [kind]
        content[at] ^= 4


@pytest.mark.usefixtures("decoder")
def test_no_byte_of_an_mp3_ends_in_anything_but_sound_or_one_error(
    tmp_path: Path, peer: Peer
) -> None:
    draw = random.Random(8)
    for options in ((), ("-t",)):
        content = lame(tmp_path, peer("lame"), tone(20 * 588), *options)
        for _ in range(150):
            changed = bytearray(content)
            changed[draw.choice((draw.randrange(len(content)), draw.randrange(200)))] ^= 1 << (
                draw.randrange(8)
            )
            try:
                samples_of(bytes(changed))
            except DiskImageError:
                continue
