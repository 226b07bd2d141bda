"""qcow2 created: what qemu-img says of it, and what an independent executor made of the plan."""

from __future__ import annotations

import itertools
import random
import subprocess
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.errors import DiskImageError, LimitError, RefusedReferenceError, UsageError
from diskimage.formats.qcow2.check import check
from diskimage.formats.qcow2.create import create, losses
from diskimage.formats.qcow2.open import open_qcow2
from diskimage.formats.qcow2.refcounts import closing, packed, unpacked
from diskimage.layers.blank import Blank
from diskimage.model import Barrier, Device, Extent, Kind, Pack, Plan, Put
from diskimage.sources.memory import MemorySource
from tests.makers.executor import image_of, step
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, lawful, read

Peer = Callable[[str], str]
PIB = 1 << 50


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def soft(size: int, seed: int = 0) -> bytes:
    """Bytes that compress to less than half."""
    return bytes(random.Random(seed).choices(b"abcd", k=size))


def disk(content: bytes) -> Rows:
    """One DATA extent: zeros in it are for the writer to find."""
    rows = [Extent(0, len(content), Kind.DATA, source=MemorySource(content))] if content else []
    return Rows(rows)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def qemu(peer: Peer, *words: str | Path) -> str:
    done = subprocess.run(
        [peer("qemu-img"), *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


CONTENTS = {
    "empty": b"",
    "odd": soft(1700),
    "zeros": bytes(1 << 20),
    "mixed": soft(300_000) + bytes(200_000) + noise(100_000) + soft(700, 1) + bytes(900_000)
    + b"\1" * 70_000,
}  # fmt: skip


def combinations() -> Iterator[dict[str, object]]:
    """Options that go together."""
    sizes, widths = ("512", 4096, "64K", "2M"), (1, 4, 8, 16, 64)
    for cluster, compression, version, bits in itertools.product(
        sizes, ("none", "zlib", "zstd"), (2, "1.1"), widths
    ):
        narrow = bits < 16 and compression != "none"
        if narrow or (version == 2 and (bits != 16 or compression == "zstd")):
            continue
        yield {
            "cluster_size": cluster, "compression": compression, "version": version,
            "refcount_bits": bits,
        }  # fmt: skip


COMBINATIONS = list(combinations())


@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_qemu_img_finds_no_error_no_leak_and_the_same_bytes(
    options: dict[str, object], tmp_path: Path, peer: Peer
) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / "a.qcow2"
    for content in CONTENTS.values():
        raw.write_bytes(padded(content))
        image.write_bytes(image_of(create(disk(content), "a", **options)))
        assert "No errors" in qemu(peer, "check", "-f", "qcow2", image)
        qemu(peer, "compare", "-f", "raw", "-F", "qcow2", raw, image)


@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_created_images_hold_the_source(options: dict[str, object]) -> None:
    for content in CONTENTS.values():
        image = image_of(create(disk(content), "a", **options))
        device = open_qcow2(MemorySource(image), OpenGate())
        lawful(device)
        assert read(device) == padded(content)
        assert list(check(MemorySource(image), OpenGate())) == []


@st.composite
def overlays(draw: st.DrawFn) -> Rows:
    """A layer in clusters of 512 bytes: data, zeros and absent ones."""
    rows, chance = [], random.Random(draw(st.integers(0, 1 << 16)))
    for i in range(draw(st.integers(0, 150))):
        kind = chance.choice([Kind.DATA, Kind.ZERO, Kind.ABSENT])
        source = MemorySource(soft(512, i)) if kind == Kind.DATA else None
        rows.append(Extent(i * 512, 512, kind, source=source))
    return Rows(rows)


@given(overlays(), st.sampled_from([2, 3]), st.sampled_from(["none", "zlib"]))
@settings(max_examples=50)
def test_a_layer_is_written_over_its_backing(layer: Rows, version: int, compression: str) -> None:
    below = noise(layer.size, 7)
    image = image_of(
        create(
            layer, "a", version=version, compression=compression, cluster_size=512,
            backing="base.raw", backing_format="raw",
        )
    )  # fmt: skip
    gate = OpenGate(parents={"base.raw": disk(below)})
    device = open_qcow2(MemorySource(image), gate)
    expected = b"".join(
        below[row.start : row.stop] if row.kind == Kind.ABSENT
        else bytes(512) if row.kind == Kind.ZERO else soft(512, row.start // 512)
        for row in layer.extents
    )  # fmt: skip
    assert read(device) == expected
    assert gate.asked == [("base.raw", "backing", "raw")]
    assert list(check(MemorySource(image), OpenGate())) == []


@pytest.mark.parametrize("version", [2, 3])
def test_qemu_img_reads_the_layer_over_its_backing(
    version: int, tmp_path: Path, peer: Peer
) -> None:
    below = noise(200_000 // 512 * 512, 3)
    (tmp_path / "base.raw").write_bytes(below)
    rows = [
        Extent(0, 65536, Kind.ABSENT),
        Extent(65536, 65536, Kind.ZERO, hole=True),
        Extent(131072, 65536, Kind.DATA, source=MemorySource(noise(65536, 4))),
    ]
    plan = create(
        Rows(rows), "a", version=version, backing="base.raw", backing_format="raw",
        compression="zlib",
    )  # fmt: skip
    image = tmp_path / "a.qcow2"
    image.write_bytes(image_of(plan))
    assert "No errors" in qemu(peer, "check", image)
    qemu(peer, "convert", "-O", "raw", image, tmp_path / "out.raw")
    assert (tmp_path / "out.raw").read_bytes() == below[:65536] + bytes(65536) + noise(65536, 4)


def test_an_empty_layer_over_a_backing_is_all_absent(tmp_path: Path, peer: Peer) -> None:
    (tmp_path / "base.raw").write_bytes(noise(65536))
    blank = Blank(1 << 30, Kind.ABSENT)
    image = tmp_path / "a.qcow2"
    image.write_bytes(image_of(create(blank, "a", backing="base.raw", backing_format="raw")))
    assert image.stat().st_size < 1 << 20
    assert "No errors" in qemu(peer, "check", image)
    qemu(peer, "convert", "-O", "raw", image, tmp_path / "out.raw")
    with (tmp_path / "out.raw").open("rb") as out:
        assert out.read(65536) == noise(65536)


def test_a_pebibyte_of_nothing_is_a_few_steps(tmp_path: Path, peer: Peer) -> None:
    steps = list(create(Blank(PIB), "a"))
    assert len(steps) < 8
    assert sum(len(one.data) for one in steps if isinstance(one, Put)) < 1 << 18
    image = tmp_path / "a.qcow2"
    image.write_bytes(image_of(create(Blank(PIB), "a")))
    assert image.stat().st_size < 18 << 20  # an L1 table of 16 MiB
    assert "No errors" in qemu(peer, "check", image)
    device = open_qcow2(MemorySource(image.read_bytes()), OpenGate())
    assert [len(runs) for runs in device.runs()] == [1]


def test_a_far_cluster_costs_its_own_tables() -> None:
    size, cluster = 1 << 40, 4096
    far = Extent(size - cluster, cluster, Kind.DATA, source=MemorySource(noise(cluster)))
    device = Rows([Extent(0, size - cluster, Kind.ZERO, hole=True), far])
    image = image_of(create(device, "a", cluster_size=cluster))
    opened = open_qcow2(MemorySource(image), OpenGate())
    assert read(opened, size - cluster - 10, size) == bytes(10) + noise(cluster)
    assert sum(len(runs) for runs in opened.runs()) == 2
    assert list(check(MemorySource(image), OpenGate())) == []


@pytest.mark.parametrize("compression", ["none", "zlib"])
def test_a_plan_cut_anywhere_is_no_image(compression: str) -> None:
    def plan() -> Plan:
        return create(disk(CONTENTS["mixed"]), "a", cluster_size=4096, compression=compression)

    whole = image_of(plan())
    count = 0
    while True:
        cut = image_of(plan(), steps=count)
        if cut == whole:
            break
        with pytest.raises(DiskImageError):
            open_qcow2(MemorySource(cut), OpenGate())
        count += 1
    assert count > 5


def test_the_header_comes_after_a_barrier() -> None:
    kinds = [type(one) for one in create(Blank(1 << 20), "a")]
    assert kinds[-2:] == [Barrier, Put]


def test_compressed_clusters_lie_back_to_back() -> None:
    content = soft(64 * 65536)
    plain = image_of(create(disk(content), "a"))
    image = image_of(create(disk(content), "a", compression="zlib"))
    rows = [
        row for runs in open_qcow2(MemorySource(image), OpenGate()).runs()
        for row in zip(runs.at, runs.stored, runs.kind, strict=True)
    ]  # fmt: skip
    assert all(kind == Kind.CODED for _, _, kind in rows)
    for (at, stored, _), (after, _, _) in itertools.pairwise(rows):
        assert after <= at + stored < after + 512  # `stored` counts whole sectors
    assert len(image) < len(plain) / 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"version": 4}, "version"),
        ({"cluster_size": 1000}, "clusters of 1000"),
        ({"cluster_size": 256}, "clusters of 256"),
        ({"cluster_size": "4M"}, "clusters of 4M"),
        ({"cluster_size": "many"}, "many"),
        ({"refcount_bits": 3}, "3 bits"),
        ({"refcount_bits": 128}, "128 bits"),
        ({"version": 2, "refcount_bits": 8}, "8 bits"),
        ({"compression": "lzma"}, "lzma"),
        ({"version": 2, "compression": "zstd"}, "zstd in version 2"),
        ({"refcount_bits": 8, "compression": "zlib"}, "8 bits can count"),
        ({"backing": "a.raw"}, "format"),
        ({"backing": "x" * 1024, "backing_format": "raw"}, "does not fit"),
        ({"backing": "x" * 600, "backing_format": "raw", "cluster_size": 512}, "does not fit"),
        ({"backing": "a\0b", "backing_format": "raw"}, "does not fit"),
        ({"backing": "a\ud800", "backing_format": "raw"}, "cannot be stored"),
        ({"backing": "a", "backing_format": "\ud800"}, "cannot be stored"),
        ({"backing": 5, "backing_format": "raw"}, "5 is no name"),
        ({"compression": "zlib", "level": 10}, "level 10"),
        ({"compression": "zstd", "level": "0"}, "level 0"),
        ({"compression": "zstd", "level": 23}, "level 23"),
        ({"compression": "zlib", "level": -1}, "-1 is no number"),
        ({"compression": ["zlib"]}, "zlib"),
        ({"level": 1}, "level 1 of compression none"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(options: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        next(create(disk(b"x" * 512), "a", **options))


def test_a_guest_that_no_l1_table_can_hold_is_refused() -> None:
    with pytest.raises(LimitError, match="4 GiB") as caught:
        create(Blank(PIB), "a", cluster_size="4K")
    assert caught.value.remedy == "use larger clusters"


def test_absent_bytes_need_a_backing() -> None:
    rows = [
        Extent(0, 65536, Kind.ABSENT),
        Extent(65536, 512, Kind.DATA, source=MemorySource(b"x" * 512)),
    ]
    with pytest.raises(RefusedReferenceError, match="not in this layer"):
        image_of(create(Rows(rows), "a"))


def test_an_odd_size_is_announced() -> None:
    assert [loss.name for loss in losses(disk(b"x" * 700))] == ["size"]
    assert losses(disk(b"x" * 1024)) == []


@given(st.integers(0, 6), st.data())
def test_refcounts_pack_as_the_specification_says(order: int, data: st.DataObject) -> None:
    most = (1 << min(1 << order, 60)) - 1
    per_byte = max(1, 8 >> order)
    counts = data.draw(st.lists(st.integers(0, most), max_size=20).map(
        lambda some: some + [0] * (-len(some) % per_byte)))  # fmt: skip
    raw = packed(array("Q", counts), order)
    assert list(unpacked(raw, order, len(counts))) == counts
    assert list(unpacked(raw, order, 3))[:3] == counts[:3]
    bits = 1 << order
    if bits >= 8:
        assert raw == b"".join(count.to_bytes(bits // 8, "big") for count in counts)
    else:
        whole = sum(count << (i * bits) for i, count in enumerate(counts))
        assert raw == whole.to_bytes(len(raw), "little")


@given(st.integers(0, 10_000), st.integers(0, 50), st.sampled_from([(256, 512), (4096, 512)]))
def test_closing_counts_itself(clusters: int, placed: int, shape: tuple[int, int]) -> None:
    per_block, cluster = shape
    blocks, table = closing(clusters, placed, per_block, cluster)
    assert blocks * per_block >= clusters + blocks + table
    assert table * cluster >= 8 * (placed + blocks)


def test_a_device_of_many_parts_is_written_group_by_group() -> None:
    content = noise(3 * 512) + bytes(70 << 20) + noise(512, 1)
    device: Device = disk(content)
    packs = 0
    image = bytearray()
    plan, result = create(device, "a", cluster_size=512), None
    try:
        while True:
            one = plan.send(result)
            packs += isinstance(one, Pack)
            result = step(one, image)
    except StopIteration:
        pass
    assert packs == 2
    assert read(open_qcow2(MemorySource(image), OpenGate())) == content
    assert list(check(MemorySource(image), OpenGate())) == []
