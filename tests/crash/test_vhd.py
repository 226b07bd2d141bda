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
from tests.crash.states import Change, foreign, logged, states, written
from tests.makers.gate import OpenGate
from tests.makers.vhd import UUID, fixed, sparse

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
    "differencing": sparse(
        SIZE, {2: (0, noise(BLOCK, 2))}, block=BLOCK, present={2: [0, 1, 9, 15]}, kind=4,
        parent=(UUID, 0, "parent.vhd"), uuid=bytes(16),
    ),
}  # fmt: skip
PARENT = sparse(SIZE, {n: (n, noise(BLOCK, 20 + n)) for n in (0, 1, 2, 3, 5)}, block=BLOCK)
CHANGES: list[Change] = [
    (100, noise(300, 10)),  # inside a stored block
    (BLOCK + 700, noise(1000, 11)),  # a new block
    (2 * BLOCK + 900, noise(2000, 12)),  # sectors that a bitmap lacks
    None,
    (BLOCK, noise(512, 13)),
    (2 * BLOCK + 4 * 512, noise(700, 14)),
    (3 * BLOCK - 10, noise(BLOCK + 20, 15)),  # two new blocks and a neighbour
    (4 * BLOCK - 100, 700),
    None,
    (SIZE - 10, noise(10, 16)),
]


def family(folder: Path) -> dict[str, Path]:
    """The parent, put into `folder`, by its name."""
    path = folder / "parent.vhd"
    path.write_bytes(PARENT)
    return {"parent.vhd": path}


def guest_of(state: bytes, folder: Path) -> bytes:
    with diskimage.open(state, format="vhd", references=family(folder)) as image:
        guest = image.read(0, image.size)
    assert len(guest) == SIZE
    return guest


@pytest.mark.parametrize("name", IMAGES)
def test_no_crash_shows_bytes_that_were_never_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, path = IMAGES[name], tmp_path / "a.vhd"
    path.write_bytes(before)
    with monkeypatch.context() as patch:
        log = logged(patch)
        guests = written(path, CHANGES, family(tmp_path))
    whole = path.read_bytes()
    count = 0
    for cut, state in states(before, log):
        count += 1
        assert foreign(guest_of(state, tmp_path), guests) is None, cut
        assert FORMAT.check is not None
        found = list(FORMAT.check(MemorySource(state), OpenGate()))
        assert {f.message.split()[0] for f in found} <= {"there", "the"}, found  # footers alone
    assert count > 10
    assert guest_of(whole, tmp_path) == guests[-1]
    with diskimage.open(whole, format="vhd", references="list") as image:
        assert list(image.problems()) == []


@pytest.mark.parametrize("name", IMAGES)
def test_what_was_flushed_survives_every_crash(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.vhd"
    path.write_bytes(IMAGES[name])
    parent = family(tmp_path)
    flushed = written(path, CHANGES[:3], parent)[-1]
    with monkeypatch.context() as patch:
        log, before = logged(patch), path.read_bytes()
        later = written(path, CHANGES[4:], parent)
    for cut, state in states(before, log, seed=1):
        guest = guest_of(state, tmp_path)
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
