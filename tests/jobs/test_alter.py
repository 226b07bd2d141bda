"""resize, commit, rebase and flatten: guests beside those of qemu-img, and every state between."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

import diskimage
from diskimage.errors import (
    CancelledError,
    DiskImageError,
    IoError,
    LoopError,
    LossError,
    MissingError,
    RefusedReferenceError,
    TooSmallError,
    UnsupportedError,
    UsageError,
)
from diskimage.sinks.inplace import InPlaceSink
from tests.crash.states import logged, states
from tests.makers.qcow2 import Cluster, Maker
from tests.makers.vdi import vdi
from tests.makers.vhd import fixed

CLUSTER, COUNT = 512, 60
SIZE = CLUSTER * COUNT
RAW, QCOW2 = [(0xE2792ACA, b"raw")], [(0xE2792ACA, b"qcow2")]


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def holed(size: int, seed: int) -> bytes:
    """Noise with stretches of zeros."""
    draw, made = random.Random(seed), bytearray(noise(size, seed))
    for _ in range(8):
        at = draw.randrange(size)
        length = draw.randrange(size // 8)
        made[at : at + length] = bytes(len(made[at : at + length]))
    return bytes(made)


OVER = {
    1: Cluster("data", noise(CLUSTER, 1)), 2: Cluster("zero"), 5: Cluster("coded", b"c" * CLUSTER),
    11: Cluster("zero-kept", noise(CLUSTER, 11)), COUNT - 1: Cluster("data", noise(CLUSTER, 2)),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """over.qcow2 on base.raw, which is shorter; other.raw, which differs from that in places."""
    base = bytearray(holed(SIZE - 3 * CLUSTER, 7))
    (tmp_path / "base.raw").write_bytes(base)
    base[:: 5 * CLUSTER] = bytes(255 - byte for byte in base[:: 5 * CLUSTER])
    (tmp_path / "other.raw").write_bytes(base + noise(6 * CLUSTER, 8))
    over = Maker(SIZE, OVER, bits=9, backing=b"base.raw", extensions=RAW, seed=1).image()
    (tmp_path / "over.qcow2").write_bytes(over)
    return tmp_path


def guest(path: Path) -> bytes:
    with diskimage.open(path, references="siblings") as image:
        return image.read(0, image.size)


def qemu(tool: str, *arguments: str | Path, within: Path) -> str:
    done = subprocess.run(
        [tool, *arguments], check=False, capture_output=True, text=True, cwd=within
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def seen_by_qemu(tool: str, path: Path) -> bytes:
    """The guest that qemu-img reads, of an image that it finds sound."""
    if path.suffix == ".qcow2":
        qemu(tool, "check", path.name, within=path.parent)
    qemu(tool, "convert", "-O", "raw", path.name, "seen.raw", within=path.parent)
    return (path.parent / "seen.raw").read_bytes()


def test_commit_is_what_qemu_img_makes(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, peer: Callable[[str], str]
) -> None:
    tool, twin = peer("qemu-img"), tmp_path_factory.mktemp("twin")
    shutil.copytree(folder, twin, dirs_exist_ok=True)
    before = guest(folder / "over.qcow2")
    done = diskimage.commit(folder / "over.qcow2", references="siblings")
    qemu(tool, "commit", "over.qcow2", within=twin)
    assert (folder / "base.raw").read_bytes() == (twin / "base.raw").read_bytes() == before
    assert (done.written, done.emptied) == (3 * CLUSTER, True)
    assert seen_by_qemu(tool, folder / "over.qcow2") == before
    with diskimage.open(folder / "over.qcow2", references="list") as layer:
        assert [extent.kind.name for extent in layer.extents()] == ["ABSENT"]


def test_commit_can_keep_what_it_wrote(folder: Path) -> None:
    over = folder / "over.qcow2"
    before, stored = guest(over), over.read_bytes()
    done = diskimage.commit(over, keep=True, references="siblings")
    assert not done.emptied
    assert over.read_bytes() == stored
    assert (folder / "base.raw").read_bytes() == guest(over) == before


def test_commit_goes_into_the_image_below_alone(folder: Path, peer: Callable[[str], str]) -> None:
    tool = peer("qemu-img")
    top = Maker(SIZE, {3: Cluster("data", b"t" * CLUSTER)}, bits=9, backing=b"over.qcow2",
                extensions=QCOW2)  # fmt: skip
    (folder / "top.qcow2").write_bytes(top.image())
    base, before = (folder / "base.raw").read_bytes(), guest(folder / "top.qcow2")
    diskimage.commit(folder / "top.qcow2", references="siblings")
    assert (folder / "base.raw").read_bytes() == base
    assert seen_by_qemu(tool, folder / "over.qcow2") == before
    assert seen_by_qemu(tool, folder / "top.qcow2") == before


def test_a_backing_grows_or_says_that_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "base.vhd").write_bytes(fixed(noise(SIZE - 4096, 3)))
    (tmp_path / "a.raw").write_bytes(noise(SIZE - 4096, 3))
    for suffix in ("vdi", "vhdx"):
        diskimage.convert(tmp_path / "a.raw", tmp_path / f"base.{suffix}")
    for suffix in ("vhd", "vdi", "vhdx"):
        name, over = f"base.{suffix}", tmp_path / f"over-{suffix}.qcow2"
        named = [(0xE2792ACA, suffix.encode())]
        over.write_bytes(Maker(SIZE, OVER, bits=9, backing=name.encode(), extensions=named).image())
    before, stored = guest(tmp_path / "over-vhd.qcow2"), (tmp_path / "base.vhdx").read_bytes()
    for suffix in ("vhd", "vdi"):
        diskimage.commit(tmp_path / f"over-{suffix}.qcow2", references="siblings")
        assert guest(tmp_path / f"base.{suffix}") == before
    with pytest.raises(TooSmallError):
        diskimage.commit(tmp_path / "over-vhdx.qcow2", references="siblings")
    assert (tmp_path / "base.vhdx").read_bytes() == stored


@pytest.mark.parametrize("unlike", [True, False])
def test_rebase_keeps_the_guest(unlike: bool, folder: Path, peer: Callable[[str], str]) -> None:
    tool, over = peer("qemu-img"), folder / "over.qcow2"
    if not unlike:
        shutil.copy(folder / "base.raw", folder / "other.raw")
    before = guest(over)
    done = diskimage.rebase(over, "other.raw", "raw", references="siblings")
    (folder / "base.raw").unlink()
    assert seen_by_qemu(tool, over) == before
    assert bool(done.written) == unlike
    assert diskimage.info(over).info["backing"] == "other.raw"


def test_rebase_writes_no_more_than_qemu_img_does(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, peer: Callable[[str], str]
) -> None:
    tool, twin = peer("qemu-img"), tmp_path_factory.mktemp("twin")
    shutil.copytree(folder, twin, dirs_exist_ok=True)
    diskimage.rebase(folder / "over.qcow2", "other.raw", "raw", references="siblings")
    qemu(tool, "rebase", "-b", "other.raw", "-F", "raw", "over.qcow2", within=twin)
    assert guest(folder / "over.qcow2") == guest(twin / "over.qcow2")
    stored = []
    for place in (folder, twin):
        with diskimage.open(place / "over.qcow2", references="list") as layer:
            stored.append(sum(e.length for e in layer.extents() if e.kind.name == "DATA"))
    assert stored[0] <= stored[1]


def test_an_unsafe_rebase_changes_the_name_alone(folder: Path) -> None:
    over = folder / "over.qcow2"
    before, stored = guest(over), over.read_bytes()
    (folder / "base.raw").rename(folder / "a longer name of the very same base.raw")
    done = diskimage.rebase(over, "a longer name of the very same base.raw", "raw", unsafe=True)
    assert (done.written, done.warnings) == (0, ())
    assert guest(over) == before
    assert over.read_bytes()[CLUSTER:] == stored[CLUSTER:]
    gone = diskimage.rebase(over, "gone.raw", "raw", unsafe=True)
    assert [one.kind for one in gone.warnings] == ["missing"]


def test_header_extensions_stay_when_the_backing_changes(tmp_path: Path) -> None:
    feature = (0x6803F857, bytes([0, 0]) + b"dirty bit".ljust(46, b"\0"))
    unknown = (0x12345678, b"somebody's")
    made = Maker(1 << 20, {}, backing=b"b.raw", extensions=[feature, *RAW, unknown])
    path = tmp_path / "a.qcow2"
    path.write_bytes(made.image())
    diskimage.rebase(path, "c.vdi", "vdi", unsafe=True)
    info = diskimage.info(path).info
    assert (info["backing"], info["backing_format"]) == ("c.vdi", "vdi")
    assert sorted(info["extensions"]) == ["0x12345678", "backing format", "feature names"]  # type: ignore[call-overload]  # a list of texts
    assert b"somebody's" in path.read_bytes()[:65536]
    assert b"b.raw" not in path.read_bytes()


def test_flatten_leaves_no_backing(folder: Path, peer: Callable[[str], str]) -> None:
    over = folder / "over.qcow2"
    before = guest(over)
    diskimage.flatten(over, references="siblings")
    (folder / "base.raw").unlink()
    assert seen_by_qemu(peer("qemu-img"), over) == before
    with diskimage.open(over, references="none") as image:
        assert image.read(0, SIZE) == before
    with pytest.raises(UnsupportedError, match="no backing"):
        diskimage.flatten(over, references="siblings")


@pytest.mark.parametrize("job", ["flatten", "rebase", "resize", "shrink"])
def test_no_crash_changes_the_guest(
    job: str, folder: Path, monkeypatch: pytest.MonkeyPatch, peer: Callable[[str], str]
) -> None:
    over = folder / "over.qcow2"
    stored, before = over.read_bytes(), guest(over)
    allowed = [before]
    with monkeypatch.context() as patch:
        log = logged(patch)
        if job == "flatten":
            diskimage.flatten(over, references="siblings")
        elif job == "rebase":
            diskimage.rebase(over, "other.raw", "raw", references="siblings")
        elif job == "resize":
            diskimage.resize(over, 70 * SIZE, references="siblings")
            allowed.append(before.ljust(70 * SIZE, b"\0"))
        else:
            diskimage.resize(over, SIZE // 2, shrink=True, lossy=["data"], references="siblings")
            allowed.append(before[: SIZE // 2])
    assert guest(over) == allowed[-1]
    every = list(states(stored, log))
    assert len(every) > 5
    for cut, state in random.Random(4).sample(every, min(len(every), 60)):
        (folder / "state.qcow2").write_bytes(state)
        assert guest(folder / "state.qcow2") in allowed, cut
        command = [peer("qemu-img"), "check", "state.qcow2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        assert done.returncode in (0, 3), (cut, done.stdout, done.stderr)


def test_a_commit_that_fails_anywhere_leaves_the_guest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, base = folder / "over.qcow2", folder / "base.raw"
    stored, below, before = over.read_bytes(), base.read_bytes(), guest(over)
    real, failed = InPlaceSink.write, 0
    for number in range(1, 200):
        over.write_bytes(stored)
        base.write_bytes(below)
        left = number

        def failing(sink: InPlaceSink, to: int, data: memoryview) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise IoError("no more", file=sink.name)
            real(sink, to, data)

        with monkeypatch.context() as patch:
            patch.setattr(InPlaceSink, "write", failing)
            try:
                diskimage.commit(over, references="siblings")
            except IoError:
                failed += 1
        assert guest(over) == before, number
        if left >= 0:
            break
    assert failed > 3
    assert base.read_bytes() == before


def test_a_cancelled_job_leaves_the_guest(folder: Path) -> None:
    over, stop = folder / "over.qcow2", Event()
    stop.set()
    before = guest(over)
    for job in (diskimage.commit, diskimage.flatten):
        with pytest.raises(CancelledError):
            job(over, references="siblings", cancel=stop)
        assert guest(over) == before
    assert diskimage.info(over).info["backing"] == "base.raw"


def test_what_is_refused(folder: Path) -> None:
    over, stored = folder / "over.qcow2", (folder / "over.qcow2").read_bytes()
    shot = Maker(SIZE, OVER, bits=9, backing=b"base.raw", extensions=RAW, snapshots=[b"one"])
    (folder / "shot.qcow2").write_bytes(shot.image())
    for job in (diskimage.commit, diskimage.flatten):
        with pytest.raises(RefusedReferenceError):
            job(over)
        with pytest.raises(UnsupportedError, match="no backing"):
            job(folder / "base.raw", references="siblings")
        with pytest.raises(LossError, match="snapshots"):
            job(folder / "shot.qcow2", references="siblings")
    with pytest.raises(LoopError):
        diskimage.rebase(over, "over.qcow2", "qcow2", references="siblings")
    with pytest.raises(MissingError):
        diskimage.rebase(over, "gone.raw", "raw", references="siblings")
    with pytest.raises(UsageError):
        diskimage.rebase(over, "base.raw", "no such format", references="siblings")
    with pytest.raises(UsageError, match="does not fit"):
        diskimage.rebase(over, "n" * 500, "raw", unsafe=True)
    assert over.read_bytes() == stored


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


def test_what_a_vhd_holds_over_its_parent_is_committed(
    tmp_path: Path, peer: Callable[[str], str]
) -> None:
    """A format whose layers know nothing of `commit`, and a parent that it is written into."""
    base, child = tmp_path / "base.vhd", tmp_path / "child.vhd"
    (tmp_path / "a.raw").write_bytes(holed(8 << 20, 4))
    diskimage.convert(tmp_path / "a.raw", base)
    diskimage.create(child, backing="base.vhd", backing_format="vhd")
    with diskimage.open(child, mode="r+", references="siblings") as image:
        image.write((2 << 20) - 777, noise(70_000, 5))
        image.zero(3 << 20, 1 << 20)
        expected = image.read(0, image.size)
    done = diskimage.commit(child, references="siblings")
    assert not done.emptied
    assert guest(child) == expected
    qemu(peer("qemu-img"), "convert", "-f", "vpc", "-O", "raw", base.name, "seen.raw",
         within=tmp_path)  # fmt: skip
    assert (tmp_path / "seen.raw").read_bytes()[: len(expected)] == expected


@pytest.mark.parametrize("suffix", ["vhdx", "vdi"])
def test_qcow2_is_committed_into_other_formats(suffix: str, tmp_path: Path) -> None:
    base, over = tmp_path / f"base.{suffix}", tmp_path / "over.qcow2"
    (tmp_path / "a.raw").write_bytes(holed(4 << 20, 4))
    diskimage.convert(tmp_path / "a.raw", base)
    diskimage.create(over, backing=base.name, backing_format=suffix)
    with diskimage.open(over, mode="r+", references="siblings") as image:
        image.write((1 << 20) - 777, noise(70_000, 5))
        expected = image.read(0, image.size)
    diskimage.commit(over, references="siblings")
    assert guest(over) == guest(base) == expected
    assert diskimage.check(base).ok


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
