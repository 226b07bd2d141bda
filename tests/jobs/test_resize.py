"""resize: guests beside those of qemu-img, and every state between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import (
    DiskImageError,
    LossError,
    RefusedReferenceError,
    TooSmallError,
    UnsupportedError,
    UsageError,
)
from tests.crash.states import logged, states
from tests.makers.alone import noise
from tests.makers.editing import guest, qemu, seen_by_qemu
from tests.makers.qcow2 import Cluster, Maker
from tests.makers.vdi import vdi
from tests.makers.vhd import fixed

CLUSTER, COUNT = 512, 60
SIZE = CLUSTER * COUNT
RAW = [(0xE2792ACA, b"raw")]
OVER = {1: Cluster("data", noise(CLUSTER, 1)), 5: Cluster("coded", b"c" * CLUSTER)}


@pytest.mark.parametrize("bits", [9, 12, 16])
@pytest.mark.parametrize("version", [2, 3])
def test_a_larger_qcow2_reads_as_zeros_where_it_grew(
    bits: int, version: int, tmp_path: Path, peer: Callable[[str], str]
) -> None:
    """What a smaller one left behind its end, and what the backing holds there, stay hidden."""
    tool, path = peer("qemu-img"), tmp_path / "a.qcow2"
    cluster = 1 << bits
    size = 5 * cluster - (512 if bits > 9 else 0)
    (tmp_path / "b.raw").write_bytes(noise(9 * cluster + 1024, 1))
    stored = {4: Cluster("data", noise(cluster, 2)), 0: Cluster("coded", b"z" * cluster)}
    made = Maker(size, stored, bits=bits, version=version, backing=b"b.raw", extensions=RAW)
    path.write_bytes(made.image())
    before = guest(path)
    diskimage.resize(path, 20 * cluster, references="siblings")
    assert seen_by_qemu(tool, path) == before.ljust(20 * cluster, b"\0")
    diskimage.resize(path, 3 * cluster + 512, shrink=True, lossy=["data"], references="siblings")
    assert seen_by_qemu(tool, path) == before[: 3 * cluster + 512]
    diskimage.resize(path, 1 << 20, relative=True, references="siblings")
    assert seen_by_qemu(tool, path) == before[: 3 * cluster + 512].ljust(
        3 * cluster + 512 + (1 << 20), b"\0"
    )
    with pytest.raises(RefusedReferenceError, match="its backing"):
        diskimage.resize(path, 1 << 30, references="list")


def test_the_first_table_moves_where_it_has_no_room(
    tmp_path: Path, peer: Callable[[str], str]
) -> None:
    path = tmp_path / "a.qcow2"
    for order in (0, 4, 6):  # 4 MiB to 4 GiB in clusters of 512 bytes: an L1 table of a MiB
        path.write_bytes(Maker(SIZE, OVER, bits=9, order=min(order, 4) or 4).image())
        if order == 6:
            path.write_bytes(Maker(SIZE, {1: OVER[1]}, bits=9, order=6).image())
        before = guest(path)
        diskimage.resize(path, 4 << 30)
        assert diskimage.check(path).ok
        qemu(peer("qemu-img"), "check", path.name, within=tmp_path)
        with diskimage.open(path, mode="r+") as image:
            assert image.read(0, SIZE) == before
            image.write((4 << 30) - 700, noise(700, 5))
            assert image.read((4 << 30) - 700, 700) == noise(700, 5)
        qemu(peer("qemu-img"), "check", path.name, within=tmp_path)


def test_snapshots_keep_their_size(tmp_path: Path, peer: Callable[[str], str]) -> None:
    tool, path = peer("qemu-img"), tmp_path / "a.qcow2"
    path.write_bytes(Maker(SIZE, OVER, bits=9, snapshots=[b"one"]).image())
    before = guest(path)
    for size in (4 * SIZE, SIZE // 2):
        diskimage.resize(path, size, shrink=True, lossy=["data"])
        qemu(tool, "check", path.name, within=tmp_path)
        taken = ("convert", "-l", "snapshot.id=0", "-O", "raw", path.name, "s.raw")
        qemu(tool, *taken, within=tmp_path)  # as much of it as the guest of today is large
        assert (tmp_path / "s.raw").read_bytes() == before.ljust(size, b"\0")[:size]
        with diskimage.open(path, snapshot="one") as image:
            assert image.read(0, image.size) == before


def test_raw_takes_any_size(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"a" * 3000)
    assert diskimage.resize(path, 10_000, format="raw").size == 10_000
    assert path.read_bytes() == b"a" * 3000 + bytes(7000)
    diskimage.resize(path, 4096, shrink=True)
    with pytest.raises(LossError, match="from 2560 on"):
        diskimage.resize(path, 2560, shrink=True)
    with pytest.raises(UsageError, match="less than"):
        diskimage.resize(path, 100)
    assert path.stat().st_size == 4096
    diskimage.resize(path, 100, shrink=True, lossy=["data"])
    assert path.read_bytes() == b"a" * 100


@pytest.mark.parametrize("size", [SIZE + 512, 3 * SIZE, SIZE - 1024, 40 << 20])
def test_a_fixed_vhd_takes_its_footer_along(
    size: int, tmp_path: Path, peer: Callable[[str], str]
) -> None:
    tool, path, content = peer("qemu-img"), tmp_path / "a.vhd", noise(SIZE, 3)
    path.write_bytes(fixed(content))
    diskimage.resize(path, size, shrink=True, lossy=["data"])
    expected = content[:size].ljust(size, b"\0")
    with diskimage.open(path) as image:
        assert image.read(0, image.size) == expected
        assert image.warnings == ()
    assert diskimage.check(path).ok
    assert path.stat().st_size == size + 512
    qemu(tool, "convert", "-f", "vpc", "-O", "raw", path.name, "seen.raw", within=tmp_path)
    assert (tmp_path / "seen.raw").read_bytes() == expected


@pytest.mark.parametrize("last", [True, False])
def test_a_vdi_grows_as_far_as_its_map_has_room(
    last: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Callable[[str], str]
) -> None:
    path, size = tmp_path / "a.vdi", (2 << 20) + 1024
    blocks = {0: (1, noise(1 << 20, 1))} | ({2: (0, noise(1 << 20, 2))} if last else {})
    stored = vdi(size, blocks, data_at=1024)
    path.write_bytes(stored)
    before = guest(path)
    with monkeypatch.context() as patch:
        log = logged(patch)
        diskimage.resize(path, 100 << 20)
    after = before.ljust(100 << 20, b"\0")
    assert guest(path) == after
    assert diskimage.check(path).ok
    assert seen_by_qemu(peer("qemu-img"), path) == after
    qemu(peer("qemu-img"), "check", "-f", "vdi", path.name, within=tmp_path)
    for cut, state in states(stored, log):
        with diskimage.open(state, format="vdi") as image:
            assert image.read(0, image.size) in (before, after), cut
    with pytest.raises(TooSmallError, match="128 MiB"):
        diskimage.resize(path, 129 << 20)
    with pytest.raises(UnsupportedError, match="smaller"):
        diskimage.resize(path, 99 << 20, shrink=True)


def test_a_vdi_of_our_own_grows(tmp_path: Path, peer: Callable[[str], str]) -> None:
    path = tmp_path / "a.vdi"
    (tmp_path / "a.raw").write_bytes(content := noise(3 << 20, 6))
    diskimage.convert(tmp_path / "a.raw", path)
    diskimage.resize(path, 8 << 20)
    with diskimage.open(path, mode="r+") as image:
        image.write(7 << 20, content[:5000])
    expected = content.ljust(7 << 20, b"\0") + content[:5000]
    assert seen_by_qemu(peer("qemu-img"), path) == expected.ljust(8 << 20, b"\0")


def test_what_cannot_change_its_size_says_so(tmp_path: Path) -> None:
    for suffix in ("vhd", "vhdx"):
        path = tmp_path / f"a.{suffix}"
        diskimage.create(path, 1 << 20)
        with pytest.raises(UnsupportedError):
            diskimage.resize(path, 2 << 20)
    over = tmp_path / "a.qcow2"
    over.write_bytes(Maker(SIZE, OVER, bits=9).image())
    with pytest.raises(UsageError, match="sectors"):
        diskimage.resize(over, SIZE + 1)
    for size in (-1, 1 << 63):
        with pytest.raises(DiskImageError):
            diskimage.resize(over, size)
