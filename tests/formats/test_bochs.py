"""Bochs growing images: those of an independent maker, read here and by qemu-img."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.bochs import FORMAT, check
from diskimage.model import Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.bochs import EXTENT, bochs
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read

Peer = Callable[[str], str]


ALONE = Alone(FORMAT)
opened, found = ALONE.opened, ALONE.problems


def drawn(seed: int, version: int, count: int) -> tuple[bytes, bytes]:
    """An image with extents in a random order, of which random sectors are there; its guest."""
    chance = random.Random(seed)
    used = chance.sample(range(count), count // 2)
    places = chance.sample(range(len(used)), len(used))
    contents = {index: noise(EXTENT, index) for index in used}
    present = {index: chance.sample(range(8), chance.randint(0, 8)) for index in used}
    stored = {i: (p, contents[i]) for i, p in zip(used, places, strict=True)}
    guest = b"".join(
        contents[index][at : at + 512] if at // 512 in present.get(index, ()) else bytes(512)
        for index in range(count)
        for at in range(0, EXTENT, 512)
    )
    return bochs(count * EXTENT, stored, present=present, version=version), guest


@given(st.integers(0, 1 << 32), st.sampled_from([1, 2]), st.integers(0, 20), st.data())
@settings(max_examples=60)
def test_extents_and_bitmaps_in_any_order_read_right(
    seed: int, version: int, count: int, data: st.DataObject
) -> None:
    image, expected = drawn(seed, version, count)
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]
    assert found(image) == []


@pytest.mark.parametrize("version", [1, 2])
def test_qemu_img_agrees_with_the_maker(version: int, tmp_path: Path, peer: Peer) -> None:
    image, raw = tmp_path / "a.bochs", tmp_path / "a.raw"
    content, guest = drawn(7, version, 40)
    image.write_bytes(content)
    command: list[str | Path] = [
        peer("qemu-img"), "convert", "-f", "bochs", "-O", "raw", image, raw,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    assert raw.read_bytes() == guest
    assert read(opened(content)) == guest


PLAIN = bochs(3 * EXTENT, {0: (1, b"a" * EXTENT), 2: (0, b"b" * EXTENT)}, present={2: [0]})


def test_clear_bits_are_zeros_that_take_space_and_free_extents_holes() -> None:
    rows = [(row.length, row.kind, row.hole) for row in extents(opened(PLAIN))]
    assert rows == [
        (EXTENT, Kind.DATA, False), (EXTENT, Kind.ZERO, True), (512, Kind.DATA, False),
        (EXTENT - 512, Kind.ZERO, False),
    ]  # fmt: skip


def patched(at: int, value: int, width: int = 4) -> bytes:
    return PLAIN[:at] + value.to_bytes(width, "little") + PLAIN[at + width :]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(0, 0), CorruptError),
        (bochs(EXTENT, {}, subtype=b"Undoable"), UnsupportedError),
        (bochs(EXTENT, {}, subtype=b"Volatile"), UnsupportedError),
        (patched(64, 3 << 16), UnsupportedError),
        (patched(68, 8), CorruptError),
        (patched(68, 1 << 30), TruncatedError),
        (patched(72, 2), CorruptError),
        (patched(72, 0xFFFFFFFF), TruncatedError),
        (patched(76, 0), CorruptError),
        (patched(76, 1 << 31), LimitError),
        (patched(80, 0), CorruptError),
        (patched(80, 700), CorruptError),
        (patched(80, 1 << 31), LimitError),
        (patched(88, 1 << 63, 8), LimitError),
        (patched(88, 1 << 40, 8), CorruptError),
        (PLAIN[:80], TruncatedError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


def test_an_extent_past_the_end_is_truncated_and_its_neighbours_are_not() -> None:
    device = opened(PLAIN[:-1])
    assert read(device, EXTENT) == bytes(EXTENT) + b"b" * 512 + bytes(EXTENT - 512)
    with pytest.raises(TruncatedError):
        read(device)
    assert found(PLAIN[:-1]) == ["truncated"]
    with pytest.raises(TruncatedError):
        read(opened(patched(512, 9)))


def test_check_names_extents_that_are_shared() -> None:
    assert found(patched(512, 0)) == ["corrupt"]


@given(st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(data: st.DataObject) -> None:
    at = data.draw(st.integers(32, 96) | st.integers(512, 530) | st.integers(0, len(PLAIN) - 1))
    wrong = data.draw(st.binary(min_size=1, max_size=8))
    damaged = PLAIN[:at] + wrong + PLAIN[at + len(wrong) :]
    with suppress(DiskImageError):
        list(check(MemorySource(damaged), OpenGate()))
    with suppress(DiskImageError):
        device = opened(damaged)
        lawful(device, 0, min(device.size, 1 << 20))
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size
