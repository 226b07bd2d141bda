"""FLAC frames: the kernels against the twins and against the tool of the format's authors."""

from __future__ import annotations

import array
import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.kernels import flac
from diskimage.kernels.extension import NATIVE
from diskimage.reference import flac as twin


def tone(samples: int, seed: int = 1) -> bytes:
    """Two channels that are alike, with a little noise: little-endian."""
    numbers, made = random.Random(seed), array.array("h")
    for i in range(samples):
        left = 9000 * math.sin(i * 0.05) + 4000 * math.sin(i * 0.31) + numbers.gauss(0, 60)
        right = 0.8 * left + numbers.gauss(0, 40) + 2000 * math.sin(i * 0.011)
        made.extend((int(left), int(right)))
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def swapped(pcm: bytes) -> bytes:
    words = array.array("H", pcm)
    words.byteswap()
    return words.tobytes()


SOUNDS = {
    "tone": tone(6000),
    "silence": bytes(4 * 5000),
    "odd end": tone(2353),
    "square": (b"\xff\x7f\x00\x80" * 40 + b"\x00\x80\xff\x7f" * 40) * 60,
    "even": bytes(byte & 0xFE if i % 2 == 0 else byte for i, byte in enumerate(tone(3000))),
}
EACH = pytest.mark.parametrize("pcm", SOUNDS.values(), ids=SOUNDS.keys())


def read(module: object, coded: bytes, size: int, *, big_endian: bool = False) -> tuple[int, bytes]:
    out = bytearray(size)
    took = module.flac_read(coded, out, big_endian=big_endian)  # type: ignore[attr-defined]  # either
    return took, bytes(out)


def stream(frames: bytes, block: int, samples: int) -> bytes:
    """Frames with the header of a stream before them (RFC 9639 8.2), no MD5."""
    rate, channels, bits = 44100, 2, 16
    packed = rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | samples
    info = block.to_bytes(2, "big") * 2 + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info + frames


def without_header(stream: bytes) -> bytes:
    """The frames of a stream, its metadata skipped."""
    at, last = 4, False
    while not last:
        last = bool(stream[at] >> 7)
        at += 4 + int.from_bytes(stream[at + 1 : at + 4], "big")
    return stream[at:]


@EACH
def test_what_one_writes_the_other_reads(pcm: bytes) -> None:
    for writer in (flac, twin):
        coded = writer.flac_write(pcm, 2352, big_endian=False)
        assert coded is not None
        assert len(coded) < len(pcm)
        for reader in (flac, twin):
            assert read(reader, coded + b"behind", len(pcm)) == (len(coded), pcm)


@EACH
def test_byte_order_is_the_samples_alone(pcm: bytes) -> None:
    little = flac.flac_write(pcm, 2048, big_endian=False)
    assert little == flac.flac_write(swapped(pcm), 2048, big_endian=True)
    assert little is not None
    assert read(flac, little, len(pcm), big_endian=True)[1] == swapped(pcm)


@EACH
@pytest.mark.parametrize("module", [flac, twin], ids=["kernel", "twin"])
def test_the_authors_tool_reads_ours(
    pcm: bytes, module: object, peer: Callable[[str], str], tmp_path: Path
) -> None:
    coded = module.flac_write(pcm, 2352, big_endian=False)  # type: ignore[attr-defined]  # either
    (tmp_path / "a.flac").write_bytes(stream(coded, 2352, len(pcm) // 4))
    told = ["--force-raw-format", "--endian=little", "--sign=signed", "-o", "a.raw", "a.flac"]
    done = subprocess.run([peer("flac"), "-d", "--silent", *told], cwd=tmp_path, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.raw").read_bytes() == pcm


@EACH
@pytest.mark.parametrize("level", ["-0", "-5", "-8", "-8p", "-r0", "-l32"])
def test_ours_read_the_authors_tools(
    pcm: bytes, level: str, peer: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "a.raw").write_bytes(pcm)
    shape = ["--endian=little", "--sign=signed", "--channels=2", "--bps=16", "--sample-rate=44100"]
    command = [peer("flac"), "--silent", "--lax", level, "-b", "2352", "--force-raw-format", *shape]
    done = subprocess.run([*command, "-o", "a.flac", "a.raw"], cwd=tmp_path, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    coded = without_header((tmp_path / "a.flac").read_bytes())
    assert read(flac, coded, len(pcm)) == (len(coded), pcm)
    assert read(twin, coded[:9000], 4 * 2352)[1] == pcm[: 4 * 2352]


@pytest.mark.skipif(not NATIVE, reason="the twin predicts by differences alone")
def test_a_size_near_that_of_the_authors_tool(peer: Callable[[str], str], tmp_path: Path) -> None:
    pcm = tone(2352 * 8)
    (tmp_path / "a.raw").write_bytes(pcm)
    shape = ["--endian=little", "--sign=signed", "--channels=2", "--bps=16", "--sample-rate=44100"]
    command = [peer("flac"), "--silent", "--lax", "-8", "-b", "2352", "--force-raw-format", *shape]
    subprocess.run([*command, "-o", "a.flac", "a.raw"], cwd=tmp_path, check=True)
    theirs = without_header((tmp_path / "a.flac").read_bytes())
    ours = flac.flac_write(pcm, 2352, big_endian=False)
    assert ours is not None
    assert len(ours) <= 1.02 * len(theirs)


def test_noise_is_not_made_smaller() -> None:
    pcm = random.Random(2).randbytes(4 * 3000)
    assert flac.flac_write(pcm, 2352, big_endian=False) is None
    assert twin.flac_write(pcm, 2352, big_endian=False) is None


@settings(max_examples=300)
@given(
    seed=st.integers(0, 1 << 30), flips=st.integers(1, 4), cut=st.integers(0, 40),
)  # fmt: skip
def test_damage_means_the_same_to_both(seed: int, flips: int, cut: int) -> None:
    numbers = random.Random(seed)
    coded = flac.flac_write(tone(96, seed % 5), 96, big_endian=False)
    assert coded is not None
    damaged = bytearray(coded[: len(coded) - cut])
    for _ in range(flips):
        damaged[numbers.randrange(len(damaged))] ^= 1 << numbers.randrange(8)
    ours, theirs = read(flac, bytes(damaged), 4 * 96), read(twin, bytes(damaged), 4 * 96)
    assert ours[0] == theirs[0]
    if ours[0] >= 0:
        assert ours[1] == theirs[1]


def test_buffers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="whole samples"):
        flac.flac_read(b"", bytearray(6), big_endian=False)
    with pytest.raises(ValueError, match="4608"):
        flac.flac_write(bytes(8), 4609, big_endian=False)
