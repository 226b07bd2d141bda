"""Verbs as functions: what they take, what they give, what they leave alone."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import diskimage
from diskimage.engine.estimate import estimate
from diskimage.errors import LimitError, MissingError, UsageError
from diskimage.jobs.hash import manifest
from diskimage.jobs.measure import _device_plan, full, measure
from diskimage.registry import named
from diskimage.words import parse_size
from tests.makers.raw import make

MIB = 1 << 20


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return make(tmp_path / "disk.raw", 4 * MIB, {0: b"a" * 5000, 2 * MIB: b"b" * 300000})


def test_verbs_take_paths_bytes_files_and_open_images(raw: Path) -> None:
    content = raw.read_bytes()
    wanted = {"sha256": hashlib.sha256(content).hexdigest()}
    assert diskimage.hash(raw).digests == wanted
    assert diskimage.hash(str(raw)).digests == wanted
    assert diskimage.hash(content, format="raw").digests == wanted
    assert diskimage.hash(io.BytesIO(content), format="raw").digests == wanted
    with diskimage.open(raw) as image:
        assert diskimage.hash(image).digests == wanted
        assert image.read(0, 2) == b"aa"  # an image that was passed stays open
        with pytest.raises(UsageError):
            diskimage.hash(image, format="iso")


def test_every_result_is_json(raw: Path) -> None:
    results: list[Any] = [
        diskimage.info(raw), diskimage.hash(raw), manifest(raw, 65536), diskimage.detect(raw),
        diskimage.compare(raw, raw), diskimage.check(raw), diskimage.map(raw),
        diskimage.measure(raw, "qcow2"), diskimage.list_formats(),
        diskimage.convert(raw, raw.with_suffix(".vdi")),
        diskimage.copy(raw, raw.with_suffix(".copy")),
        diskimage.create(raw.with_name("new.qcow2"), MIB),
    ]  # fmt: skip
    for result in results:
        told = json.loads(json.dumps(result.to_json()))
        if isinstance(told, dict):
            assert isinstance(told["warnings"], list), type(result)


def test_a_hash_reads_no_zeros(raw: Path) -> None:
    read: list[int] = []
    diskimage.hash(raw, progress=lambda progress: read.append(progress.read))
    assert 0 < read[-1] < 4 * MIB


@pytest.mark.parametrize("fault", [MemoryError, RecursionError])
def test_what_needs_more_than_there_is_is_a_limit(fault: type[Exception]) -> None:
    class Greedy(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            raise fault

    with pytest.raises(LimitError, match=fault.__name__):
        diskimage.open(Greedy(bytes(4096)))


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("512", 512), ("4k", 4096), ("1M", MIB), ("2GiB", 2 << 30), ("3T", 3 << 40),
     ("1P", 1 << 50), (" 7 ", 7), ("5B", 5)],
)  # fmt: skip
def test_sizes_are_binary(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "K", "-1", "1.5G", "1X", "1KK", "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


@pytest.mark.parametrize("format", ["raw", "vdi", "qcow2"])
def test_measure_of_a_full_disk_is_what_a_full_disk_takes(tmp_path: Path, format: str) -> None:
    path = tmp_path / "full.raw"
    path.write_bytes(b"\xff" * (3 * MIB + 512))
    made = diskimage.convert(path, tmp_path / "made", to=format)
    taken = (tmp_path / "made").stat().st_size
    assert made.written > 0
    assert measure(path, format).required == taken
    assert measure(3 * MIB + 512, format).fully_allocated == taken


@pytest.mark.parametrize("size", [-5, -1, 1 << 63, 1 << 70])
@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_what_cannot_be_a_size_is_not_measured(size: int, format: str) -> None:
    with pytest.raises(UsageError, match=f"a size of {size} bytes"):
        measure(size, format)


def test_measure_agrees_with_qemu_img(raw: Path, peer: Callable[[str], str]) -> None:
    command = [peer("qemu-img"), "measure", "-O", "qcow2", "--output=json", str(raw)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    ours = measure(raw, "qcow2")
    assert (ours.required, ours.fully_allocated) == (theirs["required"], theirs["fully-allocated"])


def test_a_full_device_ends_where_its_size_does() -> None:
    device = full(MIB + 5)
    assert sum(runs.length[0] for runs in device.runs(100)) == MIB - 95


def test_bench_times_ours_and_leaves_nothing(tmp_path: Path) -> None:
    found = diskimage.bench(
        tmp_path, size=MIB, rounds=1, block_sizes=(65536,), threads=(1,), digest="md5"
    )
    ours = [timing for timing in found.timings if timing.name.startswith("diskimage")]
    assert len(ours) == 5
    assert [timing.error for timing in ours] == [None] * 5
    assert found.svg().startswith("<svg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 65536, 5 << 20, (600 << 20) + 512])
@pytest.mark.parametrize("cluster", ["4K", "64K", "2M"])
def test_the_full_size_told_is_the_size_planned(size: int, cluster: str) -> None:
    rules, options = named("qcow2"), {"cluster_size": cluster}
    assert rules.full is not None
    assert rules.full(size, **options) == sum(
        estimate(_device_plan(full(size), rules, options)).values()
    )


def test_measuring_a_huge_disk_does_not_follow_its_size() -> None:
    told = measure(64 << 40, "qcow2", options={"cluster_size": "2M"})
    assert told.required < 16 << 20
    assert told.fully_allocated > 64 << 40


def test_a_chain_as_long_as_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "0.qcow2").write_bytes(b"\xaa" * MIB)
    below = "raw"
    for i in range(1, 250):
        diskimage.create(
            tmp_path / f"{i}.qcow2", MIB, backing=f"{i - 1}.qcow2", backing_format=below,
            cluster_size=512, durable=False,
        )  # fmt: skip
        below = "qcow2"
    made = diskimage.hash(tmp_path / "249.qcow2", references="siblings")
    assert made.digests["sha256"] == hashlib.sha256(b"\xaa" * MIB).hexdigest()


def test_a_digest_has_one_name_and_is_wanted(raw: Path, tmp_path: Path) -> None:
    wanted = {"sha256": hashlib.sha256(raw.read_bytes()).hexdigest()}
    assert diskimage.hash(raw, ["SHA-256", "sha256"]).digests == wanted
    assert diskimage.copy(raw, tmp_path / "c.raw", hashes=["Sha-256"]).digests == wanted
    assert manifest(raw, MIB, "SHA-256").algorithm == "sha256"
    with pytest.raises(UsageError, match="no digest is named"):
        diskimage.hash(raw, [])


def test_only_what_can_be_lost_is_given_up(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'adio'") as caught:
        diskimage.convert(raw, tmp_path / "disk.vdi", lossy=["adio"])
    assert "audio" in (caught.value.remedy or "")
    diskimage.convert(raw, tmp_path / "disk.vdi", lossy=["audio"])


@pytest.mark.parametrize(("name", "to"), [("t.qcow2", None), ("t", None), ("t.iso", "raw")])
def test_a_tree_becomes_nothing_but_an_iso(name: str, to: str | None, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(UsageError, match="becomes an ISO"):
        diskimage.create(tmp_path / name, from_tree=tmp_path / "tree", to=to)
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]
    diskimage.create(tmp_path / "t.img", from_tree=tmp_path / "tree", to="iso")


def test_a_target_in_no_directory_and_one_that_is_a_directory(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no: no such directory"):
        diskimage.convert(raw, tmp_path / "no" / "disk.vdi")
    for target in (str(tmp_path), f"{tmp_path}/"):
        for job in (diskimage.convert, diskimage.copy):
            with pytest.raises(UsageError, match="is a directory"):
                job(raw, target)


def test_progress_goes_on_over_a_hole(tmp_path: Path) -> None:
    hole = make(tmp_path / "hole.raw", 96 * MIB, {})
    for job in (
        lambda report: diskimage.hash(hole, ["crc32"], progress=report),
        lambda report: diskimage.copy(hole, tmp_path / "c.raw", hashes=["crc32"], progress=report),
    ):
        seen: list[int] = []
        job(lambda progress, seen=seen: seen.append(progress.done))
        assert seen[-1] == 96 * MIB
        assert max(b - a for a, b in pairwise(seen)) <= 16 * MIB
