"""QCOW version 1: images of an independent maker read here and by qemu-img, and qemu-img's."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    PasswordError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.qcow1 import FORMAT, check
from diskimage.model import Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read
from tests.makers.qcow1 import qcow1

Peer = Callable[[str], str]
SORTS = ["none", "data", "coded"]


ALONE = Alone(FORMAT)
opened, found = ALONE.opened, ALONE.problems


def soft(size: int, seed: int = 0) -> bytes:
    """Bytes that compress."""
    return bytes(random.Random(seed).choices(b"abcd", k=size))


def drawn(seed: int, bits: int, l2_bits: int, count: int) -> tuple[bytes, bytes]:
    """An image of clusters of random sorts in a random order, and its guest."""
    chance, cluster = random.Random(seed), 1 << bits
    sorts = {number: chance.choice(SORTS) for number in range(count)}
    clusters = {n: soft(cluster, n) for n, sort in sorts.items() if sort != "none"}
    order = chance.sample(list(clusters), len(clusters))
    packed = [n for n in clusters if sorts[n] == "coded"]
    size = count * cluster
    guest = b"".join(clusters.get(n, bytes(cluster)) for n in range(count))
    return qcow1(size, clusters, bits=bits, l2_bits=l2_bits, packed=packed, order=order), guest


@given(st.integers(0, 1 << 32), st.integers(9, 12), st.integers(6, 8), st.integers(0, 150))
@settings(max_examples=40)
def test_clusters_of_every_sort_read_right(seed: int, bits: int, l2_bits: int, count: int) -> None:
    image, expected = drawn(seed, bits, l2_bits, count)
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    start = seed % (len(expected) + 1)
    lawful(device, start)
    assert read(device, start) == expected[start:]
    assert found(image) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bits", [9, 12, 16])
def test_qemu_img_agrees_with_the_maker(bits: int, seed: int, tmp_path: Path, peer: Peer) -> None:
    image, raw = tmp_path / "a.qcow", tmp_path / "a.raw"
    content, guest = drawn(seed, bits, 6, 100)
    image.write_bytes(content)
    command: list[str | Path] = [
        peer("qemu-img"), "convert", "-f", "qcow", "-O", "raw", image, raw,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    assert raw.read_bytes() == guest
    assert read(opened(content)) == guest


def test_qemu_img_images_read_right(tmp_path: Path, peer: Peer) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / "a.qcow"
    raw.write_bytes(soft(100_352) + bytes(3 << 20) + soft(70_144, 2))
    command: list[str | Path] = [
        peer("qemu-img"), "convert", "-f", "raw", "-O", "qcow", raw, image,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    with diskimage.open(image) as disk:
        assert disk.format == "qcow1"
        assert not disk.warnings
        assert disk.read(0, disk.size) == raw.read_bytes()
    assert found(image.read_bytes()) == []


A, B = soft(4096, 1), soft(4096, 2)
PLAIN = qcow1(3 * 4096, {0: A, 2: B})
L2, DATA = 4096, 8192


def test_a_backing_is_asked_for_and_never_probed() -> None:
    image = qcow1(3 * 4096, {0: A, 2: B}, packed=[2], backing=b"b.raw")
    gate = OpenGate(parents={"b.raw": opened(PLAIN)})
    with pytest.raises(RefusedReferenceError, match="None"):
        opened(image, gate)
    assert gate.asked == [("b.raw", "backing", None)]
    kinds = [row.kind for row in extents(opened(image, OpenGate(listing=True)))]
    assert kinds == [Kind.DATA, Kind.ABSENT, Kind.CODED]


def patched(at: int, value: int, width: int = 8) -> bytes:
    return PLAIN[:at] + value.to_bytes(width, "big") + PLAIN[at + width :]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(4, 2, 4), CorruptError),
        (patched(32, 8, 1), CorruptError),
        (patched(32, 17, 1), CorruptError),
        (patched(33, 5, 1), CorruptError),
        (patched(33, 14, 1), CorruptError),
        (patched(24, 1 << 63), LimitError),
        (patched(24, 1 << 50), LimitError),
        (patched(24, 1 << 30), TruncatedError),
        (patched(36, 1, 4), PasswordError),
        (patched(36, 2, 4), UnsupportedError),
        (patched(40, 8), CorruptError),
        (patched(40, 1 << 40), TruncatedError),
        (patched(8, 1 << 40), None),
        (PLAIN[:40], TruncatedError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception] | None) -> None:
    if error is None:  # a name of no bytes is none
        image, error = image[:16] + b"\0\0\0\5" + image[20:], TruncatedError
    with pytest.raises(error):
        opened(image)


@pytest.mark.parametrize(
    ("image", "error", "kind"),
    [
        (patched(48, 1 << 63 | L2), CorruptError, "truncated"),
        (patched(48, 1 << 40), TruncatedError, "truncated"),
        (patched(L2, 1 << 40), TruncatedError, "truncated"),
        (patched(L2, 8), CorruptError, "corrupt"),
        (patched(L2, 1 << 63 | 100 << 51 | 1 << 40), TruncatedError, "truncated"),
        (patched(L2, 1 << 63 | 100 << 51 | DATA), CorruptError, None),
    ],
)
def test_a_wrong_entry_is_an_error_where_it_is_read(
    image: bytes, error: type[Exception], kind: str | None
) -> None:
    with pytest.raises(error):
        read(opened(image))
    assert kind is None or kind in found(image)


def test_check_names_clusters_that_are_shared() -> None:
    assert found(PLAIN) == []
    assert found(patched(L2, DATA + 4096)) == ["corrupt"]
    assert found(patched(L2, L2)) == ["corrupt"]


def test_a_cluster_that_is_cut_never_reads_as_zeros() -> None:
    for image in (PLAIN[:-1], qcow1(4096, {0: A}, packed=[0])[:-9]):
        with pytest.raises((TruncatedError, CorruptError)):
            read(opened(image))
        assert found(image) == ["truncated"]


@given(st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(data: st.DataObject) -> None:
    image = qcow1(3 * 4096, {0: A, 2: B}, packed=[2])
    places = st.integers(0, 56) | st.integers(L2, L2 + 24) | st.integers(0, len(image) - 1)
    at, wrong = data.draw(places), data.draw(st.binary(min_size=1, max_size=8))
    damaged = image[:at] + wrong + image[at + len(wrong) :]
    with suppress(DiskImageError):
        list(check(MemorySource(damaged), OpenGate()))
    with suppress(DiskImageError):
        device = opened(damaged)
        lawful(device, 0, min(device.size, 1 << 20))
    with suppress(DiskImageError):
        device = opened(damaged)
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size


@pytest.mark.parametrize(("kind", "below"), [("qcow", "raw"), ("qed", "qcow2")])
def test_a_backing_without_a_format_is_opened_as_the_caller_says(
    kind: str, below: str, tmp_path: Path, peer: Peer
) -> None:
    qemu, base, top, expected = (
        peer("qemu-img"),
        tmp_path / "base",
        tmp_path / "top",
        noise(1 << 20),
    )
    (tmp_path / "raw").write_bytes(expected)
    for command in (
        [qemu, "convert", "-f", "raw", "-O", below, "raw", base.name],
        [qemu, "create", "-q", "-f", kind, "-b", base.name, "-F", below, top.name],
        [peer("qemu-io"), "-f", kind, "-c", "write -P 9 128k 64k", top.name],
    ):
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    with pytest.raises(RefusedReferenceError, match="backing"):
        diskimage.open(top, references="siblings")
    with diskimage.open(top, references="siblings", backing_format=below) as image:
        found = image.read(0, image.size)
    assert found == expected[: 128 << 10] + b"\x09" * (64 << 10) + expected[192 << 10 :]
