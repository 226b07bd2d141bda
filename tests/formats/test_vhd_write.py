"""VHD written in place, held against a plain array of bytes; and what is not written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import RefusedReferenceError, TooSmallError, UsageError
from diskimage.formats.vhd.open import open_vhd
from diskimage.model import Plan, Put, Writable
from diskimage.sources.memory import MemorySource
from diskimage.sources.pending import Pending
from tests.makers.alone import noise
from tests.makers.editing import Edit, edited, edits, taken_in_turns
from tests.makers.gate import OpenGate
from tests.makers.vhd import UUID, fixed, sparse

BLOCK = 4096
SIZE = 6 * BLOCK + 700


IMAGES = [
    sparse(SIZE, {}, block=BLOCK),
    sparse(SIZE, {1: (1, noise(BLOCK)), 4: (0, noise(BLOCK, 1))}, block=BLOCK, present={4: [2, 5]}),
    sparse(SIZE, {6: (0, noise(BLOCK))}, block=BLOCK, present={6: []}, lead=512),
    fixed(noise(SIZE)),
    sparse(
        SIZE, {1: (0, noise(BLOCK, 5)), 6: (1, noise(BLOCK, 6))}, block=BLOCK, kind=4,
        present={1: [0, 3], 6: []}, parent=(UUID, 0, "b.vhd"), uuid=bytes(16),
    ),
]  # fmt: skip
PARENT = sparse(SIZE, {n: (n, noise(BLOCK, 30 + n)) for n in (0, 1, 3, 6)}, block=BLOCK)


@given(st.sampled_from(IMAGES), edits(SIZE, [1, 100, 512, 513, 4096, 9000]))
@settings(max_examples=80)
def test_what_is_written_is_read(image: bytes, changes: list[Edit]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.vhd")
        path.write_bytes(image)
        Path(folder, "b.vhd").write_bytes(PARENT)
        edited(path, changes, "siblings")


def test_closing_writes_out_what_is_held_back(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    path.write_bytes(IMAGES[0])
    with diskimage.open(path, mode="r+") as image:
        image.write(5000, b"kept")
        assert diskimage.open(path).read(5000, 4) == bytes(4)  # its entry is in memory still
    with diskimage.open(path) as image:
        assert image.read(5000, 4) == b"kept"


def test_a_layer_alone_takes_whole_sectors_and_nothing_that_needs_its_parent(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.vhd"
    path.write_bytes(IMAGES[4])
    with diskimage.open(path, mode="r+", references="list") as image:
        image.write(512, b"x" * 512)
        assert image.read(512, 512) == b"x" * 512
        with pytest.raises(RefusedReferenceError):
            image.write(100, b"part of a sector")
        with pytest.raises(UsageError, match="half way"):
            image.write(512, b"y" * 512)


def test_a_parent_stays_as_it_is(tmp_path: Path) -> None:
    for name, content in (("a.vhd", IMAGES[4]), ("b.vhd", PARENT)):
        (tmp_path / name).write_bytes(content)
    with diskimage.open(tmp_path / "a.vhd", mode="r+", references="siblings") as image:
        image.write(0, b"z" * SIZE)
        image.zero(BLOCK, 2 * BLOCK)
        assert image.read(0, SIZE) == b"z" * BLOCK + bytes(2 * BLOCK) + b"z" * (SIZE - 3 * BLOCK)
    assert (tmp_path / "b.vhd").read_bytes() == PARENT


class Far(MemorySource):
    """A file that is said to be as long as a table can name."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = content
        self.size = 1 << 41

    def read_into(self, at: int, buffer: memoryview) -> int:
        for place in range(len(buffer)):
            start = (at + place) % self.size
            end = self.size - 512  # the footer is at the far end
            held = self._content[:512] if start >= end else self._content
            offset = start - end if start >= end else start
            buffer[place] = held[offset] if offset < len(held) else 0
        return len(buffer)


def steps(plan: Plan) -> list[object]:
    return list(plan)


def test_a_place_that_no_entry_can_name_is_refused() -> None:
    device = open_vhd(Far(IMAGES[0]), OpenGate())
    assert isinstance(device, Writable)
    with pytest.raises(TooSmallError):
        steps(device.plan_write(0, memoryview(b"x")))


@given(st.lists(st.tuples(st.integers(0, 2990), st.binary(min_size=1, max_size=10)), max_size=20))
def test_pending_changes_read_as_if_written(changes: list[tuple[int, bytes]]) -> None:
    model = bytearray(noise(3000))
    pending = Pending(MemorySource(bytes(model)))
    written = bytearray(model)
    for at, data in changes:
        pending.put(at, data)
        model[at : at + len(data)] = data
    for at, length in ((0, 3000), (511, 2), (1000, 1), (2999, 100)):
        buffer = bytearray(length)
        got = pending.read_into(at, memoryview(buffer))
        assert buffer[:got] == model[at : at + length]
    assert bool(pending) == bool(changes)
    for step in pending.plan():
        assert isinstance(step, Put)
        written[step.to : step.to + len(step.data)] = step.data
    assert written == model
    assert not pending


def test_ours_and_qemu_io_take_turns(tmp_path: Path, peer: Callable[[str], str]) -> None:
    taken_in_turns(tmp_path / "a.vhd", "vpc", peer("qemu-io"))
