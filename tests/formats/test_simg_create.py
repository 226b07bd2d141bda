"""Android sparse images that we write, read by simg2img."""

from __future__ import annotations

import random
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.engine.estimate import estimate
from diskimage.errors import LimitError, UsageError
from diskimage.formats.simg.create import UNIT, create, encoded, full, losses, shape
from diskimage.layers.blank import Blank
from diskimage.model import Extent, Kind
from diskimage.ranges import Ranges
from diskimage.sources.memory import MemorySource
from tests.makers import naive
from tests.makers.executor import image_of
from tests.makers.raw import make
from tests.makers.simg import crc, fill, raw, simg, skip

Peer = Callable[[str], str]
MIB = 1 << 20


def pieces() -> Iterator[tuple[int, bytes]]:
    """Bytes between holes, blocks of one value, and zeros that are stored."""
    chance = random.Random(5)
    yield 0, chance.randbytes(3 * MIB + 4096)
    yield 9 * MIB + 8192, b"\x11\x22\x33\x44" * (MIB // 2) + bytes(MIB)
    yield 20 * MIB, chance.randbytes(4 * MIB)


SIZE = 30 * MIB


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("guest") / "a.raw", SIZE, dict(pieces()))


def unpacked(parts: list[Path], target: Path, peer: Peer) -> bytes:
    command: list[str | Path] = [peer("simg2img"), *parts, target]
    subprocess.run(command, check=True, capture_output=True)
    return target.read_bytes()


@pytest.mark.parametrize(
    "options",
    [{}, {"crc": True}, {"block": "512"}, {"block": "64K", "crc": True}, {"holes": "skip"}],
)
def test_simg2img_unpacks_what_is_written(
    options: dict[str, Any], guest: Path, tmp_path: Path, peer: Peer
) -> None:
    image = tmp_path / "a.simg"
    diskimage.convert(guest, image, options=options)
    assert unpacked([image], tmp_path / "back", peer) == guest.read_bytes()
    assert diskimage.compare(image, guest).equal
    assert diskimage.check(image).ok
    assert image.stat().st_size < 8 * MIB


def test_a_set_is_unpacked_and_read_as_one(guest: Path, tmp_path: Path, peer: Peer) -> None:
    first = tmp_path / "a.img_sparsechunk.0"
    done = diskimage.convert(guest, first, to="simg", part_size="4M", crc=True)
    parts = [tmp_path / f"a.img_sparsechunk.{number}" for number in range(len(done.files))]
    assert len(parts) == 3
    assert sorted(map(str, parts)) == sorted(done.files)
    assert all(part.stat().st_size <= 4 * MIB for part in parts)
    assert unpacked(parts, tmp_path / "back", peer) == guest.read_bytes()
    assert diskimage.compare(first, guest).equal
    for part in parts:
        assert diskimage.check(part).ok


def test_zeros_are_flashed_unless_holes_are_to_be_skipped() -> None:
    body = bytes(range(1, 256)) * 4096
    rows = [
        Extent(0, 8192, Kind.DATA, source=MemorySource(body)),
        Extent(8192, 4096, Kind.ZERO, hole=True),
        Extent(12288, 4096, Kind.ZERO),
        Extent(16384, 4096, Kind.DATA, source=MemorySource(b"abcd" * 1024)),
        Extent(20480, 8 * MIB, Kind.ZERO, hole=True),
    ]
    zeros, stored = bytes(4), raw(body[:8192])
    last = fill(b"abcd", 1)
    plain = image_of(create(naive.Rows(rows), "a"))
    assert plain == simg([stored, fill(zeros, 2), last, fill(zeros, 2048)])
    plain = image_of(create(naive.Rows(rows), "a", holes="skip"))
    assert plain == simg([stored, skip(1), fill(zeros, 1), last, skip(2048)])


def test_the_sum_at_the_end_is_that_of_the_guest() -> None:
    body = bytes(range(256)) * 20
    device = naive.Rows([Extent(0, 5120, Kind.DATA, source=MemorySource(body))])
    image = image_of(create(device, "a", block="4K", crc=True))
    padded = body.ljust(8192, b"\0")
    assert image == simg([raw(padded), crc(padded)])
    assert zlib.crc32(padded).to_bytes(4, "little") == image[-4:]


@given(
    st.lists(st.sampled_from([b"\0", b"\1", b"ab", b"\0\0\0\1", b"xyz"]), max_size=20), st.data()
)
@settings(max_examples=60)
def test_blocks_become_the_chunks_that_they_are(values: list[bytes], data: st.DataObject) -> None:
    part = b"".join((value * 512)[:512] for value in values)
    holes = data.draw(st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 3000))))
    count, coded = encoded(memoryview(part), 512, Ranges(), 0)
    image = simg([], count=count, blocks=len(values), block=512) + coded
    with diskimage.open(image) as opened:
        assert opened.read(0, opened.size) == part
        assert opened.info["chunks"] == count
    inside = Ranges(holes).clip(0, len(part))
    blank = bytearray(part)
    for hole in inside:
        blank[hole.start : hole.stop] = bytes(hole.length)
    count, coded = encoded(memoryview(blank), 512, inside, 0)
    with diskimage.open(simg([], count=count, blocks=len(values), block=512) + coded) as opened:
        assert opened.read(0, opened.size) == blank


def test_a_block_is_as_large_as_the_size_allows() -> None:
    assert shape(8192).block == 4096
    assert shape(3 * 1024).block == 1024
    assert shape(700).block == 512
    assert [loss.name for loss in losses(Blank(700))] == ["size"]
    assert losses(Blank(1024)) == []
    assert [loss.name for loss in losses(Blank(1024), block="4K")] == ["size"]


@pytest.mark.parametrize(
    "options",
    [
        {"block": "100"}, {"block": "256"}, {"block": "3K"}, {"block": "2M"}, {"holes": "no"},
        {"crc": "maybe"}, {"part_size": "1M"}, {"part_size": "much"}, {"block": "x"},
    ],
)  # fmt: skip
def test_options_without_a_meaning_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        shape(8192, **options)


def test_more_blocks_than_can_be_counted_are_the_limits_error() -> None:
    with pytest.raises(LimitError, match="blocks of 4096"):
        shape(1 << 45)
    assert shape(1 << 45, block="64K").blocks == 1 << 29


def test_a_first_part_has_to_be_called_so(guest: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="called"):
        diskimage.convert(guest, tmp_path / "a.simg", part_size="4M")
    assert list(tmp_path.iterdir()) == []


def test_what_measure_says_is_enough(guest: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.simg"
    diskimage.convert(guest, image)
    with diskimage.open(guest) as opened:
        assert image.stat().st_size <= sum(estimate(create(opened.device, "a")).values())
    noise = random.Random(1).randbytes(3 * UNIT)
    device = naive.Rows([Extent(0, len(noise), Kind.DATA, source=MemorySource(noise))])
    assert len(image_of(create(device, "a", crc=True))) <= full(len(noise), crc=True)


def test_terabytes_of_nothing_are_one_chunk(tmp_path: Path) -> None:
    image = tmp_path / "a.simg"
    diskimage.create(image, 8 << 40)
    assert image.stat().st_size == 28 + 16
    assert diskimage.check(image).ok
