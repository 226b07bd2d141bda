"""Differencing VHDX created: layers kept as they are, over parents that are checked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import DiskImageError, UsageError
from diskimage.formats.vhdx import FORMAT
from diskimage.formats.vhdx.create import create, full
from diskimage.formats.vhdx.open import open_vhdx
from diskimage.model import Device, Extent, Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import noise
from tests.makers.executor import image_of
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, lawful, read
from tests.makers.vhdx import CONTENT, MIB, vhdx

Peer = Callable[[str], str]
SIZE = 4 * MIB


def said(size: int = SIZE, sector: int = 512) -> dict[str, object]:
    return {"data_write_guid": CONTENT, "size": size, "sector_size": sector}


def made(device: Device, name: str = "base.vhdx", **options: object) -> bytes:
    options = {"backing_format": "vhdx", "parent": said(), **options}
    return image_of(create(device, "child", backing=name, **options))


def layer(cuts: list[tuple[int, str]]) -> Rows:
    """Stretches up to the sector of each cut."""
    source, rows, start = MemorySource(noise(SIZE)), [], 0
    for sector, kind in [*cuts, (SIZE // 512, "absent")]:
        length = sector * 512 - start
        if length > 0:
            if kind == "data":
                rows.append(Extent(start, length, Kind.DATA, source=source, at=start))
            else:
                zero = kind == "zero"
                rows.append(Extent(start, length, Kind.ZERO if zero else Kind.ABSENT, hole=zero))
            start += length
    return Rows(rows)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 8192) | st.sampled_from([2048, 2049, 4096, 6144, 8192]),
            st.sampled_from(["data", "zero", "absent"]),
        ),
        max_size=9,
    )
)
@settings(max_examples=30, deadline=None)
def test_a_layer_keeps_exactly_its_sectors(cuts: list[tuple[int, str]]) -> None:
    below, top = noise(SIZE, 9), layer(sorted(cuts))
    image = made(top)
    expected = bytearray(below)
    for row in top.extents:
        if row.kind != Kind.ABSENT:
            expected[row.start : row.stop] = read(top, row.start, row.stop)
    parent = open_vhdx(
        MemorySource(vhdx(SIZE, {n: (n, below[n * MIB :][:MIB]) for n in range(4)})), OpenGate()
    )
    device = open_vhdx(MemorySource(image), OpenGate(parents={".\\base.vhdx": parent}))
    lawful(device)
    assert read(device) == expected
    alone = open_vhdx(MemorySource(image), OpenGate(listing=True))
    absent = [(row.start, row.stop) for row in extents(alone) if row.kind == Kind.ABSENT]
    assert absent == [(row.start, row.stop) for row in extents(top) if row.kind == Kind.ABSENT]
    assert FORMAT.check is not None
    assert list(FORMAT.check(MemorySource(image), OpenGate(listing=True))) == []
    assert len(image) <= full(SIZE, backing="base.vhdx", backing_format="vhdx")


def test_bits_of_a_second_chunk_are_in_a_bitmap_of_their_own() -> None:
    """Blocks of 64 MiB: the block of 4 GiB is the first of the second chunk."""
    source, size = MemorySource(b"x" * 4096), (4 << 30) + 64 * MIB
    top = Rows([
        Extent(0, 4 << 30, Kind.ABSENT),
        Extent(4 << 30, 4096, Kind.DATA, source=source),
        Extent((4 << 30) + 4096, 64 * MIB - 4096, Kind.ABSENT),
    ])  # fmt: skip
    image = made(top, block_size="64M", parent=said(size))
    alone = open_vhdx(MemorySource(image), OpenGate(listing=True))
    assert [(row.start, row.length, row.kind) for row in extents(alone)] == [
        (row.start, row.length, row.kind) for row in top.extents
    ]
    assert read(alone, 4 << 30, (4 << 30) + 4096) == b"x" * 4096


def test_a_part_of_a_sector_is_no_layer() -> None:
    for sector, edge in ((512, 100), (4096, 512)):
        rows = Rows([Extent(0, edge, Kind.ZERO, hole=True), Extent(edge, SIZE - edge, Kind.ABSENT)])
        data = Rows([
            Extent(0, edge, Kind.DATA, source=MemorySource(noise(edge))), rows.extents[1],
        ])  # fmt: skip
        for one in (rows, data):
            with pytest.raises(UsageError, match="whole sectors"):
                made(one, parent=said(sector=sector))


@pytest.mark.parametrize(
    "options",
    [
        {"name": "/base.vhdx"}, {"name": "..\\base.vhdx"}, {"name": "C:base.vhdx"}, {"name": ""},
        {"name": "a\nb"}, {"name": "x" * 1025}, {"backing_format": "vhd"},
        {"backing_format": None}, {"parent": None}, {"parent": said(MIB)},
        {"sector_size": 4096}, {"type": "fixed"},
    ],
)  # fmt: skip
def test_what_cannot_be_over_a_parent_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        made(Rows([Extent(0, SIZE, Kind.ABSENT)]), **options)  # type: ignore[arg-type]  # literals


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A parent and an empty child of it."""
    (tmp_path / "base.raw").write_bytes(noise(3 * MIB, 7))
    diskimage.convert(tmp_path / "base.raw", tmp_path / "base.vhdx")
    diskimage.create(tmp_path / "child.vhdx", backing="base.vhdx", backing_format="vhdx")
    return tmp_path


def extracted(image: Path, seven: str) -> bytes:
    """The guest as 7-Zip reads it, parents included."""
    command: list[str | Path] = [seven, "x", "-so", image.name]
    return subprocess.run(command, check=True, capture_output=True, cwd=image.parent).stdout


def test_7_zip_reads_an_empty_child_as_its_parent(chain: Path, peer: Peer) -> None:
    assert extracted(chain / "child.vhdx", peer("7z")) == noise(3 * MIB, 7)


def test_an_empty_child_is_its_parent(chain: Path) -> None:
    with diskimage.open(chain / "child.vhdx", references="siblings") as child:
        assert child.read(0, child.size) == noise(3 * MIB, 7)
        assert child.warnings == ()
    diskimage.convert(chain / "base.raw", chain / "base.vhdx", overwrite=True)
    with pytest.raises(DiskImageError, match="made over"):
        diskimage.open(chain / "child.vhdx", references="siblings")


def test_a_layer_of_qcow2_becomes_a_child(chain: Path, peer: Peer) -> None:
    base = {"backing": "base.raw", "backing_format": "raw"}
    diskimage.create(chain / "layer.qcow2", options=base, size=3 * MIB)
    write = [peer("qemu-io"), "-f", "qcow2", "-c", "write -P 7 64K 64K", "-c", "write -z 1M 64K"]
    subprocess.run([*write, "layer.qcow2"], check=True, capture_output=True, cwd=chain)
    options = {"backing": "base.vhdx", "backing_format": "vhdx"}
    target = chain / "layer.vhdx"
    diskimage.convert(chain / "layer.qcow2", target, references="list", options=options)
    expected = bytearray(noise(3 * MIB, 7))
    expected[65536:131072] = b"\7" * 65536
    expected[MIB : MIB + 65536] = bytes(65536)
    with diskimage.open(target, references="siblings") as child:
        assert child.read(0, child.size) == expected
    assert extracted(target, peer("7z")) == expected
