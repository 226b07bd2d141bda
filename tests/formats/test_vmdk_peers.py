"""VMDK beside qemu-img: what it makes is read here, what the maker makes is read there."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diskimage import image as face
from tests.makers.vmdk import (
    SECTOR,
    cow,
    descriptor,
    se_sparse,
    sparse,
    stream,
)

Peer = Callable[[str], str]


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def files(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder / next(iter(content))


def run_qemu(peer: Peer, *words: str | Path) -> None:
    subprocess.run([peer("qemu-img"), *words], check=True, capture_output=True)


@pytest.mark.parametrize("subformat", ["monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse",
                                       "twoGbMaxExtentFlat", "streamOptimized"])  # fmt: skip
def test_qemu_img_images_read_right(subformat: str, tmp_path: Path, peer: Peer) -> None:
    content = noise(1 << 20) + bytes(3 << 20) + b"text " * 200_000 + noise(700 * 512, 1)
    content += bytes(-len(content) % 512)
    raw, image = tmp_path / "a.raw", tmp_path / "a.vmdk"
    raw.write_bytes(content)
    run_qemu(peer, "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={subformat}", raw, image)
    with face.open(image) as disk:
        assert disk.format == "vmdk"
        assert disk.info["create_type"] == subformat
        assert disk.read(0, disk.size) == content
        assert list(disk.problems()) == []


def kinds() -> Iterator[tuple[str, dict[str, bytes], bytes]]:
    """Images of the maker that qemu-img is to read as we do."""
    one, two = noise(4096, 1), noise(4096, 2)
    places = {0: (1, one), 5: (0, two)}
    guest = one + bytes(4 * 4096) + two
    line = f"RW {len(guest) // SECTOR}"
    text = descriptor([f'{line} VMFSSPARSE "a-delta.vmdk"'], kind="vmfsSparse")
    yield "cowd", {"a.vmdk": text, "a-delta.vmdk": cow(len(guest), places, grain=4096)}, guest
    text = descriptor([f'{line} SESPARSE "a-se.vmdk"'], kind="seSparse")
    se = se_sparse(len(guest), places, special={1: 1 << 60, 2: 2 << 60})
    yield "sesparse", {"a.vmdk": text, "a-se.vmdk": se}, guest
    grain = 64 << 10  # qemu-img has no other tables than those of 512 entries
    wide = noise(grain, 3)
    far = {600: (0, wide)}
    yield "two tables", {"a.vmdk": sparse(601 * grain, far, grain=grain)}, bytes(600 * grain) + wide
    yield (
        "stream",
        {"a.vmdk": stream(601 * grain, {600: wide}, grain=grain)},
        bytes(600 * grain) + wide,
    )


KINDS = list(kinds())


@pytest.mark.parametrize(
    ("content", "guest"), [(c, g) for _, c, g in KINDS], ids=[k for k, _, _ in KINDS]
)
def test_qemu_img_reads_what_the_maker_makes(
    content: dict[str, bytes], guest: bytes, tmp_path: Path, peer: Peer
) -> None:
    path, raw = files(tmp_path, content), tmp_path / "a.raw"
    run_qemu(peer, "convert", "-f", "vmdk", "-O", "raw", path, raw)
    assert raw.read_bytes() == guest
    with face.open(path) as disk:
        assert disk.read(0, disk.size) == guest


def test_a_child_of_qemu_img_reads_right(tmp_path: Path, peer: Peer) -> None:
    lower, upper, raw = tmp_path / "base.vmdk", tmp_path / "child.vmdk", tmp_path / "a.raw"
    run_qemu(peer, "create", "-f", "vmdk", lower, "4M")
    run_qemu(peer, "create", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", upper)
    qemu = peer("qemu-io")
    subprocess.run([qemu, "-f", "vmdk", "-c", "write -P 7 1M 128k", upper], check=True,
                   capture_output=True)  # fmt: skip
    run_qemu(peer, "convert", "-f", "vmdk", "-O", "raw", upper, raw)
    with face.open(upper, references="siblings") as disk:
        assert disk.read(0, disk.size) == raw.read_bytes()
        assert disk.read(1 << 20, 4) == b"\7" * 4
