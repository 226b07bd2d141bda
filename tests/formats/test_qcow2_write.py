"""qcow2 written in place: random changes beside qemu-img, and what is refused or marked."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    RefusedReferenceError,
    UnsupportedError,
    UsageError,
)
from tests.makers.qcow2 import Cluster, Maker, edited, entry_at, patched

COPIED, RAW = 1 << 63, [(0xE2792ACA, b"raw")]


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def drawn(seed: int) -> tuple[Maker, bytes]:
    """An image of any sort, and the backing that it may name."""
    draw = random.Random(seed)
    bits = draw.choice([9, 9, 10, 12, 16])
    extended = bits >= 14 and draw.random() < 0.7
    version = 3 if extended else draw.choice([2, 3, 3])
    order = 4 if version == 2 else draw.randrange(7)
    cluster, count = 1 << bits, draw.randrange(1, 300 if bits <= 10 else 20)
    size = max(512, count * cluster - (512 if bits > 9 and draw.random() < 0.5 else 0))
    backed = draw.random() < 0.4
    made = Maker(
        size, dict(clusters(draw, count, cluster, version, order, extended=extended)), bits=bits,
        version=version, extended=extended, order=order, seed=seed,
        snapshots=[b"s"] * draw.choice([0, 0, 1, 2]) if order >= 2 else [],
        backing=b"b.raw" if backed else b"", extensions=RAW if backed else [],
    )  # fmt: skip
    return made, noise(max(512, size - 512 * draw.randrange(3)), 99)


def clusters(
    draw: random.Random, count: int, cluster: int, version: int, order: int, *, extended: bool
) -> list[tuple[int, Cluster]]:
    found = []
    for number in range(count):
        kind, stored = draw.random(), draw.getrandbits(32)
        zeroed = draw.getrandbits(32) & ~stored
        if kind < 0.3:
            found.append((number, Cluster("data", noise(cluster, number), stored, zeroed)))
        elif kind < 0.45 and order >= 4:
            found.append((number, Cluster("coded", bytes([number % 256]) * cluster)))
        elif kind < 0.55 and version == 3:
            found.append((number, Cluster("zero", zeroed=(1 << 32) - 1)))
        elif kind < 0.6 and version == 3 and not extended:
            found.append((number, Cluster("zero-kept", noise(cluster, number))))
    return found


def changed(path: Path, size: int, block: int, draw: random.Random) -> bytes:
    """Change an image at random; what its guest has to be by then."""
    with diskimage.open(path, mode="r+", references="siblings") as image:
        guest = bytearray(image.read(0, size))
        for step in range(draw.randrange(1, 30)):
            at, kind = draw.randrange(size), draw.random()
            length = draw.randrange(min(size - at, draw.choice([100, block, 4 * block])) + 1)
            if kind < 0.6:
                guest[at : at + length] = noise(length, step)
                image.write(at, guest[at : at + length])
            elif kind < 0.85:
                guest[at : at + length] = bytes(length)
                image.zero(at, length)
            elif kind < 0.95:
                image.flush()
            assert image.read(0, size) == guest, step
    return bytes(guest)


def converted(tool: str, path: Path, *options: str) -> bytes:
    raw = path.with_suffix(".raw")
    command: list[str | Path] = [tool, "convert", *options, "-O", "raw", path, raw]
    subprocess.run(command, check=True, capture_output=True)
    return raw.read_bytes()


@pytest.mark.parametrize("seed", range(40))
def test_random_changes_are_what_qemu_img_reads(
    seed: int, tmp_path: Path, peer: Callable[[str], str]
) -> None:
    tool, path = peer("qemu-img"), tmp_path / "a.qcow2"
    made, backing = drawn(seed)
    path.write_bytes(made.image())
    (tmp_path / "b.raw").write_bytes(backing)
    names = [f"snapshot.id={number}" for number in range(len(made.snapshots))]
    before = [converted(tool, path, "-l", name) for name in names]
    guest = changed(path, made.size, 1 << made.bits, random.Random(seed + 1000))
    done = subprocess.run([tool, "check", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)  # no error, and no leak
    assert converted(tool, path) == guest
    assert [converted(tool, path, "-l", name) for name in names] == before
    assert diskimage.check(path).ok


def written(path: Path, image: bytes, at: int = 0, data: bytes = b"x" * 512) -> Path:
    path.write_bytes(image)
    with diskimage.open(path, mode="r+") as opened:
        opened.write(at, data)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [({"incompatible": 1}, "stale"), ({"incompatible": 2}, "corrupt"),
     ({"outside": True, "extensions": [(0x44415441, b"d.raw")]}, "external data file")],
)  # fmt: skip
def test_what_is_not_written_is_refused_by_name(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.qcow2"
    path.write_bytes(image := Maker(1 << 20, **change).image())  # type: ignore[arg-type]  # fields by name
    with pytest.raises(UnsupportedError, match=said):
        diskimage.open(path, mode="r+", references="list")
    assert path.read_bytes() == image


def test_a_flag_that_differs_from_its_refcount_stops_the_write(tmp_path: Path) -> None:
    image = Maker(4096, {1: Cluster("data", b"a" * 512)}, bits=9, snapshots=[b"one"]).image()
    shared = edited(image, 1, lambda entry: entry | COPIED)
    table = int.from_bytes(shared[40:48], "big")
    own = patched(shared, table, int.from_bytes(shared[table : table + 8], "big") | COPIED, 8)
    with pytest.raises(CorruptError, match="its refcount is 2"):
        written(tmp_path / "a.qcow2", own, 512)
    with pytest.raises(CorruptError, match=r"L2 table .* its refcount is 2"):
        written(tmp_path / "b.qcow2", patched(image, table, int.from_bytes(own[table:][:8]), 8))


def test_no_write_reaches_a_table(tmp_path: Path) -> None:
    image = Maker(4096, {1: Cluster("data", b"a" * 512)}, bits=9).image()
    table = int.from_bytes(image[48:56], "big")
    aimed = patched(image, entry_at(image, 1), COPIED | table, 8)
    path = tmp_path / "a.qcow2"
    with pytest.raises(CorruptError, match="holds a table"):
        written(path, aimed, 512)
    assert path.read_bytes() == aimed


def test_a_table_with_a_refcount_of_0_is_not_taken(tmp_path: Path) -> None:
    image = Maker(4096, {1: Cluster("data", b"a" * 512)}, bits=9).image()
    table = int.from_bytes(image[48:56], "big")
    block = int.from_bytes(image[table : table + 8], "big")
    l1 = int.from_bytes(image[40:48], "big") // 512
    with pytest.raises(CorruptError, match="its refcount is 0"):
        written(tmp_path / "a.qcow2", patched(image, block + 2 * l1, 0, 2))


def test_a_snapshot_table_with_a_refcount_of_0_is_not_taken(tmp_path: Path) -> None:
    image = Maker(4096, {1: Cluster("data", b"a" * 512)}, bits=9, snapshots=[b"one"]).image()
    table = int.from_bytes(image[48:56], "big")
    block = int.from_bytes(image[table : table + 8], "big")
    rows = int.from_bytes(image[64:72], "big") // 512
    with pytest.raises(CorruptError, match="its refcount is 0"):
        written(tmp_path / "a.qcow2", patched(image, block + 2 * rows, 0, 2))


def test_two_tables_in_one_place_are_not_written(tmp_path: Path) -> None:
    size = 2 * 64 * 512  # two L2 tables
    image = Maker(size, {n: Cluster("data", b"a" * 512) for n in (1, 65)}, bits=9).image()
    at = int.from_bytes(image[40:48], "big")
    both = patched(image, at + 8, int.from_bytes(image[at : at + 8], "big"), 8)
    with pytest.raises(CorruptError, match="shares the bytes"):
        written(tmp_path / "a.qcow2", both)


def test_unknown_autoclear_bits_are_cleared(tmp_path: Path) -> None:
    path = written(tmp_path / "a.qcow2", Maker(1 << 20, autoclear=1 << 5).image())
    assert path.read_bytes()[88:96] == bytes(8)


def test_bitmaps_are_in_use_once_something_is_written(
    tmp_path: Path, peer: Callable[[str], str]
) -> None:
    path = tmp_path / "a.qcow2"
    for command in (("create", "-f", "qcow2", path, "1M"), ("bitmap", "--add", path, "one")):
        subprocess.run([peer("qemu-img"), *command], check=True, capture_output=True)
    with diskimage.open(path, mode="r+") as image:
        assert image.info["bitmaps"][0]["in_use"] is False  # type: ignore[index]  # a list of rows
        image.read(0, 512)
    assert diskimage.info(path).info["bitmaps"][0]["in_use"] is False  # type: ignore[index]  # as above
    with diskimage.open(path, mode="r+") as image:
        image.write(5, b"five")
        assert [one.kind for one in image.warnings] == ["bitmaps"]
    assert diskimage.info(path).info["bitmaps"][0]["in_use"] is True  # type: ignore[index]  # as above
    checked = subprocess.run([peer("qemu-img"), "check", path], capture_output=True, check=False)
    assert checked.returncode == 0


def test_without_its_backing_whole_clusters_alone_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    path.write_bytes(Maker(4096, {}, bits=9, backing=b"b.raw", extensions=RAW).image())
    with diskimage.open(path, mode="r+", references="list") as image:
        image.write(512, b"y" * 1024)
        image.flush()
        with pytest.raises(RefusedReferenceError):
            image.write(100, b"z")
        with pytest.raises(UsageError, match="half way"):
            image.write(512, b"y" * 512)
    (tmp_path / "b.raw").write_bytes(b"b" * 4096)
    with diskimage.open(path, references="siblings") as image:
        assert image.read(0, 4096) == b"b" * 512 + b"y" * 1024 + b"b" * 2560


def test_zeros_give_their_space_back_and_it_is_taken_again(tmp_path: Path) -> None:
    size = 64 << 16
    path = written(tmp_path / "a.qcow2", Maker(size).image(), 0, noise(size, 1))
    full, stored = path.stat().st_size, path.stat().st_blocks * 512
    with diskimage.open(path, mode="r+") as image:
        image.zero(0, size)
        image.flush()
        assert path.stat().st_blocks * 512 < stored - size // 2
        image.write(0, noise(size, 2))
    assert path.stat().st_size == full
    with diskimage.open(path) as image:
        assert image.read(0, size) == noise(size, 2)


def test_more_than_memory_is_for_is_published_on_the_way(tmp_path: Path) -> None:
    path, size = tmp_path / "a.qcow2", 1 << 20
    path.write_bytes(Maker(size, {}, bits=9, order=6).image())
    limits = diskimage.Limits(table_resident=4096)
    image = diskimage.open(path, mode="r+", limits=limits)
    image.write(0, noise(size, 3))
    state = path.read_bytes()  # not flushed, and not closed
    with diskimage.open(state) as seen:
        assert seen.read(0, size // 2) == noise(size, 3)[: size // 2]
    image.close()
    assert diskimage.check(path).ok


def test_nothing_of_another_is_left_behind_the_end_of_the_guest(tmp_path: Path) -> None:
    """Another program may make the guest larger, and show what lies there."""
    size = 5 * 1024 - 512
    image = Maker(size, {0: Cluster("data", noise(1024, 6))}, bits=10).image()
    entry = entry_at(image, 0)
    place = int.from_bytes(image[entry : entry + 8], "big") & ~COPIED
    table = int.from_bytes(image[48:56], "big")
    block = int.from_bytes(image[table : table + 8], "big")
    free = patched(patched(image, entry, 0, 8), block + 2 * (place // 1024), 0, 2)
    path = written(tmp_path / "a.qcow2", free, size - 12, b"end")
    assert path.read_bytes()[place : place + 1024] == bytes(500) + b"end" + bytes(521)


def damaged(image: bytes, draw: random.Random) -> bytes:
    """`image` with a byte, a word or its end spoilt, up to five times."""
    made = bytearray(image)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at, kind = draw.randrange(draw.choice([112, len(made)])), draw.random()
        aimed = draw.randrange(len(made)) & ~511 | draw.choice([0, COPIED, 1 << 62])
        if kind < 0.5:
            made[at] = draw.getrandbits(8)
        elif kind < 0.9:
            made[at & ~7 : (at & ~7) + 8] = aimed.to_bytes(8, "big")
        else:
            return bytes(made[: max(at, 113)])
    return bytes(made)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_image_is_written_or_refused_in_one_error(seed: int, tmp_path: Path) -> None:
    made, backing = drawn(seed)
    path = tmp_path / "a.qcow2"
    path.write_bytes(damaged(made.image(), random.Random(seed)))
    (tmp_path / "b.raw").write_bytes(backing)
    for step in range(4):
        with (
            suppress(DiskImageError),
            diskimage.open(path, format="qcow2", mode="r+", references="siblings") as image,
        ):
            if step % 2:
                image.zero(0, image.size)
            else:
                image.write(image.size * step // 4, b"x" * min(700, image.size // 2))
