"""qcow2 images of qemu-img read here, and images of the independent maker read by qemu-img."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage.formats.qcow2.check import check
from diskimage.formats.qcow2.open import open_qcow2
from diskimage.sources.memory import MemorySource
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read
from tests.makers.qcow2 import Cluster, Maker

Peer = Callable[[str], str]


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def soft(size: int, seed: int = 0) -> bytes:
    """Bytes that compress."""
    return bytes(random.Random(seed).choices(b"abcd", k=size))


def clusters(bits: int, seed: int, sorts: list[str]) -> dict[int, Cluster]:
    """A hundred guest clusters of random sorts."""
    chance = random.Random(seed)
    made = {}
    for number in range(100):
        kind = chance.choice(sorts)
        if kind != "none":
            made[number] = Cluster(kind, soft(1 << bits, number))
    return made


def qemu(peer: Peer, *words: str | Path) -> str:
    done = subprocess.run(
        [peer("qemu-img"), *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("bits", [9, 12, 16])
def test_qemu_img_agrees_with_the_maker(
    bits: int, version: int, seed: int, tmp_path: Path, peer: Peer
) -> None:
    sorts = ["none", "data", "coded"] + ["zero", "zero-kept"] * (version == 3)
    maker = Maker(
        100 << bits, clusters(bits, seed, sorts), bits=bits, version=version,
        zstd=version == 3 and seed % 2 == 1, order=4 + seed % 3 if version == 3 else 4, seed=seed,
        snapshots=[b"then"] * (seed // 2),
    )  # fmt: skip
    image = tmp_path / "a.qcow2"
    image.write_bytes(maker.image())
    assert "No errors" in qemu(peer, "check", "-f", "qcow2", image)
    qemu(peer, "convert", "-O", "raw", image, tmp_path / "a.raw")
    device = open_qcow2(MemorySource(image.read_bytes()), OpenGate())
    assert (tmp_path / "a.raw").read_bytes() == read(device)


@pytest.mark.parametrize(
    "options",
    ["cluster_size=512", "cluster_size=2M", "compat=0.10", "refcount_bits=1", "refcount_bits=64",
     "compression_type=zstd", "extended_l2=on", "lazy_refcounts=on", "preallocation=metadata"],
)  # fmt: skip
@pytest.mark.parametrize("compressed", [False, True])
def test_qemu_img_images_read_right(
    options: str, compressed: bool, tmp_path: Path, peer: Peer
) -> None:
    if compressed and "preallocation" in options:
        return
    content = soft(300_000) + bytes(400_000) + noise(100_000) + soft(5000, 2) + bytes(3576)
    (tmp_path / "a.raw").write_bytes(content)
    qemu(
        peer, "convert", *(["-c"] if compressed else []), "-f", "raw", "-O", "qcow2", "-o", options,
        tmp_path / "a.raw", tmp_path / "a.qcow2",
    )  # fmt: skip
    image = (tmp_path / "a.qcow2").read_bytes()
    device = open_qcow2(MemorySource(image), OpenGate())
    lawful(device)
    padded = content + bytes(-len(content) % 512)
    assert read(device) == padded
    assert list(check(MemorySource(image), OpenGate())) == []
