"""QED: images of an independent maker read here and by qemu-img, and those of qemu-img."""

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
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.qed import FORMAT, check
from diskimage.model import Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read
from tests.makers.qed import CLUSTER, qed

Peer = Callable[[str], str]


ALONE = Alone(FORMAT)
opened, found = ALONE.opened, ALONE.problems


def drawn(data: st.DataObject) -> tuple[bytes, bytes]:
    """An image and its guest."""
    count = data.draw(st.integers(0, 1100))
    size = count * CLUSTER + data.draw(st.sampled_from([0, 512]))
    count = -(-size // CLUSTER)
    used = data.draw(st.lists(st.sampled_from(range(count)), unique=True)) if count else []
    places = data.draw(st.permutations(range(len(used))))
    contents = {index: noise(CLUSTER, index) for index in used}
    stored = {i: (p, contents[i]) for i, p in zip(used, places, strict=True)}
    zeros = frozenset(i for i in range(0, count, 7) if i not in used)
    guest = bytearray(count * CLUSTER)
    for index, content in contents.items():
        guest[index * CLUSTER : (index + 1) * CLUSTER] = content
    table = data.draw(st.sampled_from([1, 2]))
    return qed(size, stored, zeros=zeros, table=table), bytes(guest[:size])


@given(st.data())
@settings(max_examples=40)
def test_clusters_in_any_order_read_right(data: st.DataObject) -> None:
    image, expected = drawn(data)
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]
    assert found(image) == []


OVER = qed(
    3 * CLUSTER, {0: (0, b"a" * CLUSTER)}, zeros=frozenset({1}), backing=b"b.raw", features=4
)


def test_zeros_hide_the_backing_and_free_clusters_do_not() -> None:
    base = opened(qed(3 * CLUSTER, {i: (i, b"b" * CLUSTER) for i in range(3)}))
    gate = OpenGate(parents={"b.raw": base})
    device = opened(OVER, gate)
    assert gate.asked == [("b.raw", "backing", "raw")]
    lawful(device)
    assert read(device) == b"a" * CLUSTER + bytes(CLUSTER) + b"b" * CLUSTER
    kinds = [row.kind for row in extents(opened(OVER, OpenGate(listing=True)))]
    assert kinds == [Kind.DATA, Kind.ZERO, Kind.ABSENT]


def test_a_backing_has_to_be_allowed_and_its_format_said() -> None:
    with pytest.raises(RefusedReferenceError):
        opened(OVER)
    gate = OpenGate(parents={"b.raw": opened(OVER, OpenGate(listing=True))})
    with pytest.raises(RefusedReferenceError, match="None"):
        opened(qed(CLUSTER, {}, backing=b"b.raw"), gate)


PLAIN = qed(3 * CLUSTER, {0: (1, b"a" * CLUSTER), 2: (0, b"b" * CLUSTER)})
L2, DATA = 2 * CLUSTER, 3 * CLUSTER


def patched(at: int, value: int, width: int = 4) -> bytes:
    return PLAIN[:at] + value.to_bytes(width, "little") + PLAIN[at + width :]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(0, 0), CorruptError),
        (patched(4, 5000), CorruptError),
        (patched(4, 2048), CorruptError),
        (patched(4, 128 << 20), CorruptError),
        (patched(8, 0), CorruptError),
        (patched(8, 3), CorruptError),
        (patched(8, 32), CorruptError),
        (patched(16, 8, 8), UnsupportedError),
        (patched(40, 4097, 8), CorruptError),
        (patched(40, 0, 8), CorruptError),
        (patched(40, 1 << 40, 8), TruncatedError),
        (patched(48, 700, 8), CorruptError),
        (patched(48, 1 << 50, 8), CorruptError),
        (patched(48, 1 << 63, 8), LimitError),
        (patched(16, 5, 8), CorruptError),
        (PLAIN[:60], TruncatedError),
        (PLAIN[:4096], TruncatedError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(CLUSTER, L2 + 8, 8), CorruptError),
        (patched(CLUSTER, 1 << 40, 8), TruncatedError),
        (patched(L2, DATA + 8, 8), CorruptError),
        (patched(L2, 1 << 63, 8), CorruptError),
        (patched(L2, 1 << 40, 8), TruncatedError),
    ],
)
def test_a_wrong_entry_is_an_error_where_it_is_read(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(opened(image))
    assert set(found(image)) <= {"corrupt", "truncated"}
    assert found(image)


def test_check_names_clusters_that_are_shared() -> None:
    assert found(patched(L2, DATA, 8)) == ["corrupt"]
    assert found(patched(L2, CLUSTER, 8)) == ["corrupt"]


def test_an_image_that_was_not_closed_is_said() -> None:
    gate = OpenGate()
    opened(patched(16, 2, 8), gate)
    assert [finding.kind for finding in gate.warnings] == ["dirty"]


def qemu(peer: Peer, *arguments: str | Path) -> None:
    subprocess.run([peer("qemu-img"), *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("seed", range(3))
def test_qemu_img_agrees_with_the_maker(seed: int, tmp_path: Path, peer: Peer) -> None:
    chance = random.Random(seed)
    used = chance.sample(range(700), 20)
    places = chance.sample(range(20), 20)
    stored = {i: (p, noise(CLUSTER, i)) for i, p in zip(used, places, strict=True)}
    image, raw = tmp_path / "a.qed", tmp_path / "a.raw"
    zeros = frozenset({690, 691} - set(used))
    image.write_bytes(qed(700 * CLUSTER, stored, zeros=zeros, table=2))
    qemu(peer, "convert", "-f", "qed", "-O", "raw", image, raw)
    assert read(opened(image.read_bytes())) == raw.read_bytes()


@pytest.mark.parametrize("options", ["cluster_size=4096,table_size=2", "cluster_size=65536"])
def test_qemu_img_images_read_right(options: str, tmp_path: Path, peer: Peer) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / "a.qed"
    raw.write_bytes(noise(100_352) + bytes(3 << 20) + noise(70_144, 2))
    qemu(peer, "convert", "-f", "raw", "-O", "qed", "-o", options, raw, image)
    device = opened(image.read_bytes())
    lawful(device)
    assert read(device) == raw.read_bytes()
    assert found(image.read_bytes()) == []


@given(st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(data: st.DataObject) -> None:
    places = st.integers(0, 64) | st.integers(CLUSTER, CLUSTER + 8) | st.integers(L2, L2 + 24)
    at, wrong = data.draw(places), data.draw(st.binary(min_size=1, max_size=8))
    damaged = PLAIN[:at] + wrong + PLAIN[at + len(wrong) :]
    with suppress(DiskImageError):
        list(check(MemorySource(damaged), OpenGate()))
    with suppress(DiskImageError):
        device = opened(damaged)
        lawful(device, 0, min(device.size, 1 << 20))
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size
