"""VHD written in place, cut after every operation, unsynced ones dropped: no sector is foreign."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.formats.vhd import FORMAT
from diskimage.sources.memory import MemorySource
from tests.crash.states import logged, states, written
from tests.makers.gate import OpenGate
from tests.makers.vhd import fixed, sparse

BLOCK = 8192
SIZE = 5 * BLOCK + 1536


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


STORED = {0: (1, noise(BLOCK, 1)), 2: (0, noise(BLOCK, 2)), 5: (2, noise(BLOCK, 3))}
IMAGES = {
    "dynamic": sparse(SIZE, STORED, block=BLOCK, present={2: [0, 1, 9, 15]}),
    "damaged copy": sparse(SIZE, STORED, block=BLOCK, copy=bytes(512)),
    "no footer": sparse(SIZE, STORED, block=BLOCK, tail=False),
    "old padding": sparse(SIZE, {}, block=BLOCK) + b"\xee" * 512,
    "fixed": fixed(noise(SIZE, 9)),
}
CHANGES: list[tuple[int, bytes] | None] = [
    (100, noise(300, 10)),  # inside a stored block
    (BLOCK + 700, noise(1000, 11)),  # a new block
    (2 * BLOCK + 900, noise(2000, 12)),  # sectors that a bitmap lacks
    None,
    (BLOCK, noise(512, 13)),
    (2 * BLOCK + 4 * 512, noise(700, 14)),
    (3 * BLOCK - 10, noise(BLOCK + 20, 15)),  # two new blocks and a neighbour
    None,
    (SIZE - 10, noise(10, 16)),
]


@pytest.mark.parametrize("name", IMAGES)
def test_no_crash_shows_bytes_that_were_never_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, path = IMAGES[name], tmp_path / "a.vhd"
    path.write_bytes(before)
    with monkeypatch.context() as patch:
        log = logged(patch)
        guests = written(path, CHANGES)
    whole = path.read_bytes()
    count = 0
    for cut, state in states(before, log):
        count += 1
        with diskimage.open(state, format="vhd") as image:
            guest = image.read(0, image.size)
        assert len(guest) == SIZE
        for at in range(0, SIZE, 512):
            known = {one[at : at + 512] for one in guests}
            mixed = guest[at : at + 512]
            assert mixed in known or sector_of(mixed, known), (cut, at)
        assert FORMAT.check is not None
        found = list(FORMAT.check(MemorySource(state), OpenGate()))
        assert {f.message.split()[0] for f in found} <= {"there", "the"}, found  # footers alone
    assert count > 10
    with diskimage.open(whole, format="vhd") as image:
        assert image.read(0, image.size) == guests[-1]
        assert list(image.problems()) == []


def sector_of(mixed: bytes, known: set[bytes]) -> bool:
    """Whether each byte is one that its sector ever had: a write may begin inside of a sector."""
    return all(byte in {one[i] for one in known} for i, byte in enumerate(mixed))


@pytest.mark.parametrize("name", IMAGES)
def test_what_was_flushed_survives_every_crash(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.vhd"
    path.write_bytes(IMAGES[name])
    flushed = written(path, CHANGES[:3])[-1]
    with monkeypatch.context() as patch:
        log, before = logged(patch), path.read_bytes()
        later = written(path, CHANGES[4:])
    for cut, state in states(before, log, seed=1):
        with diskimage.open(state, format="vhd") as image:
            guest = image.read(0, image.size)
        for at, byte in enumerate(guest):
            if byte != flushed[at]:
                assert byte in {one[at] for one in later}, (cut, at)
        untouched = [at for at in range(SIZE) if len({one[at] for one in later}) == 1]
        assert all(guest[at] == flushed[at] for at in untouched), cut


def test_an_image_that_was_written_is_right_for_qemu_img(
    tmp_path: Path, peer: Callable[[str], str]
) -> None:
    path, raw = tmp_path / "a.vhd", tmp_path / "a.raw"
    path.write_bytes(sparse(12 << 20, {1: (0, noise(2 << 20, 4))}))
    expected = bytearray(12 << 20)
    expected[2 << 20 : 4 << 20] = noise(2 << 20, 4)
    with diskimage.open(path, mode="r+") as image:
        for at in (0, 5 << 20, (8 << 20) - 700, (12 << 20) - 5):
            expected[at : at + 5] = b"hello"
            image.write(at, b"hello")
        expected[3 << 20 : 6 << 20] = bytes(3 << 20)
        image.zero(3 << 20, 3 << 20)
    command: list[str | Path] = [peer("qemu-img"), "convert", "-f", "vpc", "-O", "raw", path, raw]
    subprocess.run(command, check=True, capture_output=True)
    assert raw.read_bytes() == expected
