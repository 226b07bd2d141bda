"""VDI written in place, held against a plain array of bytes; and what is not written."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import CorruptError, LimitError, RefusedReferenceError
from diskimage.formats.vdi import open_vdi
from diskimage.limits import LIMITS
from diskimage.model import Writable
from diskimage.sources.memory import MemorySource
from tests.makers.alone import noise
from tests.makers.editing import Edit, drawn, edited, edits, taken_in_turns
from tests.makers.gate import OpenGate
from tests.makers.vdi import IMAGE, MODIFIED, vdi

Peer = Callable[[str], str]
BLOCK = 4096
SIZE = 6 * BLOCK + 1536
PARENT_NAME = "{03020100-0504-0706-0809-0a0b0c0d0e0f}"
CHILD = vdi(
    SIZE, {1: (0, noise(BLOCK, 5)), 6: (1, noise(1536, 6))}, block=BLOCK, kind=4,
    special={3: 0xFFFFFFFE}, parent=(IMAGE, MODIFIED), uuids=(bytes(range(40, 56)), bytes(16)),
)  # fmt: skip
PARENT = vdi(SIZE, {n: (n, noise(BLOCK, 30 + n)) for n in range(4)}, block=BLOCK)
IMAGES = [
    vdi(SIZE, {}, block=BLOCK),
    vdi(SIZE, {4: (0, noise(BLOCK)), 2: (1, noise(BLOCK))}, block=BLOCK, special={0: 0xFFFFFFFE}),
    vdi(SIZE, {4: (0, noise(BLOCK))}, block=BLOCK, extra=512),
    vdi(SIZE, {4: (0, noise(BLOCK))}, block=BLOCK, version=1),
    vdi(SIZE, {n: (n, noise(BLOCK, n)) for n in range(7)}, block=BLOCK, kind=2),
    CHILD,
]


@given(st.sampled_from(range(len(IMAGES))), edits(SIZE, [1, 100, 512, 4096, 9000, SIZE]))
@settings(max_examples=100)
def test_what_is_written_is_read(number: int, changes: list[Edit]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, parent = Path(folder, "a.vdi"), Path(folder, "b.vdi")
        path.write_bytes(IMAGES[number])
        parent.write_bytes(PARENT)
        edited(path, changes, {PARENT_NAME: parent})
        assert parent.read_bytes() == PARENT


def test_a_whole_block_of_zeros_over_a_parent_takes_no_space(tmp_path: Path) -> None:
    path, parent = tmp_path / "a.vdi", tmp_path / "b.vdi"
    path.write_bytes(CHILD)
    parent.write_bytes(PARENT)
    with diskimage.open(path, mode="r+", references={PARENT_NAME: parent}) as image:
        image.zero(2 * BLOCK, BLOCK)
        assert image.read(2 * BLOCK, BLOCK) == bytes(BLOCK)
    assert len(path.read_bytes()) == len(CHILD)
    assert struct.unpack_from("<I", path.read_bytes(), 512 + 4 * 2) == (0xFFFFFFFE,)


def test_a_layer_alone_takes_whole_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.vdi"
    path.write_bytes(CHILD)
    with diskimage.open(path, mode="r+", references="list") as image:
        image.write(2 * BLOCK, b"x" * BLOCK)
        with pytest.raises(RefusedReferenceError):
            image.write(0, b"part of a block")


def test_a_child_of_a_disk_that_was_written_is_refused(tmp_path: Path) -> None:
    path, parent = tmp_path / "a.vdi", tmp_path / "b.vdi"
    path.write_bytes(CHILD)
    parent.write_bytes(PARENT)
    with diskimage.open(parent, mode="r+") as image:
        assert image.read(0, 1)
    assert diskimage.open(path, references={PARENT_NAME: parent}).size == SIZE
    with diskimage.open(parent, mode="r+") as image:
        image.write(0, b"x")
    with pytest.raises(CorruptError, match="modification"):
        diskimage.open(path, references={PARENT_NAME: parent})


def test_a_place_between_blocks_that_no_entry_names_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "a.vdi"
    path.write_bytes(vdi(SIZE, {0: (2, noise(BLOCK)), 1: (0, noise(BLOCK, 1))}, block=BLOCK))
    before = path.stat().st_size
    with diskimage.open(path, mode="r+") as image:
        image.write(4 * BLOCK, b"new")
        assert image.read(4 * BLOCK, BLOCK) == b"new".ljust(BLOCK, b"\0")
    assert path.stat().st_size == before
    with diskimage.open(path) as image:
        assert list(image.problems()) == []


def test_what_lies_behind_the_guest_in_its_last_block_is_zeros(tmp_path: Path) -> None:
    path, plain = tmp_path / "a.vdi", vdi(SIZE, {}, block=BLOCK, extra=512)
    path.write_bytes(plain + b"\xee" * 3 * BLOCK)
    with diskimage.open(path, mode="r+") as image:
        image.write(SIZE - 10, b"last bytes")
    block = path.read_bytes()[len(plain) : len(plain) + 512 + BLOCK]
    assert block.strip(b"\0") == b"last bytes"  # a disk that grows shows what is there


@pytest.mark.parametrize("image", [
    vdi(SIZE, {4: (0, noise(BLOCK))}, block=BLOCK, version=1),
    vdi(SIZE, {4: (0, noise(BLOCK))}, block=BLOCK, data_at=512 + 7 * 4),
], ids=["version 0", "no padding"])  # fmt: skip
def test_bytes_right_behind_the_map_are_not_taken_for_it(image: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.vdi"
    path.write_bytes(image)
    with diskimage.open(path, mode="r+") as opened:
        opened.write(0, b"a new block, whose entry waits")
        opened.write(4 * BLOCK, b"the first bytes behind the map")
    with diskimage.open(path) as opened:
        assert opened.read(4 * BLOCK, 30) == b"the first bytes behind the map"
        assert opened.read(0, 30) == b"a new block, whose entry waits"


def test_a_map_that_is_too_large_to_look_at_is_refused() -> None:
    gate = OpenGate(limits=replace(LIMITS, metadata=1))
    device = open_vdi(MemorySource(IMAGES[0]), gate)
    assert isinstance(device, Writable)
    with pytest.raises(LimitError, match="metadata"):
        list(device.plan_write(0, memoryview(b"x")))


@pytest.mark.parametrize("how", ["ours", "preallocated", "qemu-img"])
def test_an_image_that_was_written_is_right_for_qemu_img(
    how: str, tmp_path: Path, peer: Peer
) -> None:
    path, raw, size = tmp_path / "a.vdi", tmp_path / "a.raw", (12 << 20) + 512
    qemu = peer("qemu-img")
    if how == "ours":
        diskimage.create(path, size)
    else:
        static = ["-o", "static=on"] if how == "preallocated" else []
        command = [qemu, "create", "-q", "-f", "vdi", *static, str(path), str(size)]
        subprocess.run(command, check=True)
    expected = drawn(path, size, how)
    subprocess.run([qemu, "check", "-q", path], check=True)
    command = [qemu, "convert", "-f", "vdi", "-O", "raw", str(path), str(raw)]
    subprocess.run(command, check=True)
    assert raw.read_bytes() == expected


def test_ours_and_qemu_io_take_turns(tmp_path: Path, peer: Peer) -> None:
    taken_in_turns(tmp_path / "a.vdi", "vdi", peer("qemu-io"))
