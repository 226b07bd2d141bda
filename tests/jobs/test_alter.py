"""commit, rebase and flatten: guests beside those of qemu-img, and every state between."""

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
from tests.makers.alone import noise
from tests.makers.editing import guest, qemu, seen_by_qemu
from tests.makers.qcow2 import Cluster, Maker
from tests.makers.vhd import fixed

CLUSTER, COUNT = 512, 60
SIZE = CLUSTER * COUNT
RAW, QCOW2 = [(0xE2792ACA, b"raw")], [(0xE2792ACA, b"qcow2")]


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
