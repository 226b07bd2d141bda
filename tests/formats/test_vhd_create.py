"""VHD created: what qemu-img and 7-Zip read of it, parents, geometry, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import DiskImageError, RefusedReferenceError, UsageError
from diskimage.formats.vhd import FORMAT
from diskimage.formats.vhd.create import create, geometry
from diskimage.formats.vhd.open import open_vhd
from diskimage.layers.blank import Blank
from diskimage.model import Device, Extent, Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import noise
from tests.makers.executor import image_of
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, read

Peer = Callable[[str], str]
MIB = 1 << 20
GIB = 1 << 30


def disk(content: bytes, hole: int = MIB) -> Rows:
    """A device of `content`; whole `hole`-sized pieces of zeros are holes."""
    source, rows = MemorySource(content), []
    for at in range(0, len(content), hole):
        length = min(hole, len(content) - at)
        if any(content[at : at + length]):
            rows.append(Extent(at, length, Kind.DATA, source=source, at=at))
        else:
            rows.append(Extent(at, length, Kind.ZERO, hole=True))
    return Rows(rows)


def made(device: Device, **options: object) -> bytes:
    return image_of(create(device, "disk", **options))


def problems(image: bytes) -> list[str]:
    assert FORMAT.check is not None
    return [str(found) for found in FORMAT.check(MemorySource(image), OpenGate())]


def kinds(image: bytes) -> list[Kind]:
    return [row.kind for row in extents(open_vhd(MemorySource(image), OpenGate(listing=True)))]


CONTENTS = {
    "empty": b"",
    "zeros": bytes(5 * MIB),
    "odd": noise(2 * MIB + 700, 1),
    "holes": noise(MIB, 2) + bytes(9 * MIB) + noise(512, 3) + bytes(MIB - 512) + b"\1",
}
KINDS: list[dict[str, object]] = [
    {}, {"type": "fixed"}, {"block_size": "512K"}, {"block_size": 65536}, {"profile": "azure"},
]  # fmt: skip


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("name", CONTENTS)
def test_created_images_hold_the_source(name: str, options: dict[str, object]) -> None:
    content = CONTENTS[name]
    if options.get("profile") and not content:
        with pytest.raises(UsageError, match="empty"):
            made(disk(content), **options)
        return
    unit = MIB if options.get("profile") else 512
    image = made(disk(content), **options)
    device = open_vhd(MemorySource(image), OpenGate())
    assert read(device) == content + bytes(-len(content) % unit)
    assert problems(image) == []
    assert FORMAT.full is not None
    assert len(image) <= FORMAT.full(len(content), **options)


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("name", ["zeros", "odd", "holes"])
def test_qemu_img_and_7_zip_read_them(
    name: str, options: dict[str, object], tmp_path: Path, peer: Peer
) -> None:
    content = CONTENTS[name]
    padded = content + bytes(-len(content) % (MIB if options.get("profile") else 512))
    image, raw = tmp_path / "a.vhd", tmp_path / "a.raw"
    image.write_bytes(made(disk(content), **options))
    convert: list[str | Path] = [peer("qemu-img"), "convert", "-f", "vpc", "-O", "raw", image, raw]
    subprocess.run(convert, check=True, capture_output=True)
    assert raw.read_bytes() == padded
    out = subprocess.run([peer("7z"), "x", "-so", image], check=True, capture_output=True).stdout
    assert out == padded


def test_zeros_are_not_stored_and_blocks_lie_at_4_kib() -> None:
    image = made(disk(CONTENTS["holes"]))
    places = [row.at for row in extents(open_vhd(MemorySource(image), OpenGate())) if row.at]
    assert len(places) == 2
    assert all(at % 4096 == 0 for at in places)
    assert len(made(disk(bytes(64 * MIB)))) == 512 + 1024 + 512 + 512


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (4 * 17 * 512, (1, 4, 17)),  # Virtual PC's own disks: their geometry is their size
        (16383 * 16 * 63 * 512, (16383, 16, 63)),
        (30 * MIB, (65535, 16, 255)),
        (2040 * GIB, (65535, 16, 255)),
        (0, (0, 4, 17)),
    ],
)
def test_a_geometry_is_written_where_its_product_is_the_size(
    size: int, shape: tuple[int, int, int]
) -> None:
    assert geometry(size) == shape
    image = made(Blank(size), type="dynamic")
    device = open_vhd(MemorySource(image), OpenGate())
    assert (device.size, device.info["geometry"]) == (size, list(shape))


@given(st.integers(0, 4 * GIB))
def test_no_geometry_says_another_size(size: int) -> None:
    size = size // 512 * 512
    cylinders, heads, sectors = geometry(size)
    assert (cylinders, heads, sectors) == (65535, 16, 255) or (
        cylinders * heads * sectors * 512 == size and cylinders <= 65535
    )


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (2040 * GIB + 512, {}),
        (2040 * GIB, {"block_size": "4K"}),
        (512, {"type": "round"}),
        (512, {"block_size": "3M"}),
        (512, {"block_size": "many"}),
        (512, {"block_size": 512}),
        (512, {"profile": "cloud"}),
        (512, {"profile": "azure", "type": "dynamic"}),
        (512, {"profile": "azure", "backing": "a.vhd", "backing_format": "vhd"}),
        (512, {"type": "fixed", "backing": "a.vhd", "backing_format": "vhd"}),
        (512, {"backing": "a.qcow2", "backing_format": "qcow2"}),
        (512, {"backing": "a.vhd"}),
        (512, {"backing": "/a.vhd", "backing_format": "vhd"}),
        (512, {"backing": "..\\a.vhd", "backing_format": "vhd"}),
        (512, {"backing": "c:a.vhd", "backing_format": "vhd"}),
        (512, {"backing": "a.vhd", "backing_format": "vhd"}),
        (512, {"backing": "a.vhd", "backing_format": "vhd", "parent": {"uuid": "", "size": 1024}}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_the_first_step(
    size: int, options: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        next(create(Blank(size), "disk", **options))


def test_an_absent_byte_without_a_parent_is_refused() -> None:
    with pytest.raises(RefusedReferenceError, match="not in this layer"):
        made(Blank(MIB, Kind.ABSENT))


class Large(Blank):
    """A disk of 4096-byte sectors."""

    def __init__(self) -> None:
        super().__init__(MIB, info={"sector_size": 4096})


def test_losses_are_told() -> None:
    assert FORMAT.losses is not None
    assert [loss.name for loss in FORMAT.losses(disk(b"x" * 700))] == ["size"]
    assert [loss.name for loss in FORMAT.losses(disk(b"x" * 1024), profile="azure")] == ["size"]
    assert FORMAT.losses(disk(b"x" * 1024)) == []
    assert [(loss.name, loss.content) for loss in FORMAT.losses(Large())] == [("sectors", True)]


PARENT = "12345678-1234-1234-1234-123456789abc"
BLOCK = 8192


@given(st.data())
@settings(max_examples=40)
def test_a_layer_keeps_exactly_its_sectors(data: st.DataObject) -> None:
    sectors = data.draw(st.integers(1, 80))
    source = MemorySource(noise(sectors * 512))
    kind = st.sampled_from(["data", "zero", "absent"])
    rows = []
    for index, one in enumerate(data.draw(st.lists(kind, min_size=sectors, max_size=sectors))):
        start = index * 512
        if one == "data":
            rows.append(Extent(start, 512, Kind.DATA, source=source, at=start))
        else:
            absent = one == "absent"
            rows.append(Extent(start, 512, Kind.ABSENT if absent else Kind.ZERO, hole=not absent))
    layer, size = Rows(rows), sectors * 512
    image = made(
        layer, block_size=BLOCK, backing="base.vhd", backing_format="vhd",
        parent={"uuid": PARENT, "size": size, "time": 946684800 + 77},
    )  # fmt: skip
    assert problems(image) == []
    device = open_vhd(MemorySource(image), OpenGate(listing=True))
    assert (device.info["parent_uuid"], device.size) == (PARENT, size)
    answered: list[bytes | None] = []
    for row in extents(device):
        piece = None if row.kind == Kind.ABSENT else read(device, row.start, row.stop)
        parts = range(0, row.length, 512)
        answered += [None if piece is None else piece[at : at + 512] for at in parts]
    wanted = [
        None if row.kind == Kind.ABSENT else noise(size)[row.start : row.stop]
        if row.kind == Kind.DATA else bytes(512)
        for row in rows
    ]  # fmt: skip
    assert answered == wanted


def test_a_part_of_a_sector_is_no_layer() -> None:
    rows = Rows([Extent(0, 100, Kind.ZERO, hole=True), Extent(100, 924, Kind.ABSENT)])
    parent = {"uuid": PARENT, "size": 1024}
    with pytest.raises(UsageError, match="whole sectors"):
        made(rows, backing="base.vhd", backing_format="vhd", parent=parent)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A parent and an empty child of it."""
    (tmp_path / "base.raw").write_bytes(noise(3 * MIB, 7))
    diskimage.convert(tmp_path / "base.raw", tmp_path / "base.vhd")
    diskimage.create(tmp_path / "child.vhd", backing="base.vhd", backing_format="vhd")
    return tmp_path


def test_an_empty_child_is_its_parent(chain: Path, peer: Peer) -> None:
    with diskimage.open(chain / "child.vhd", references="siblings") as child:
        assert child.read(0, child.size) == noise(3 * MIB, 7)
        assert child.warnings == ()
    command: list[str | Path] = [peer("7z"), "x", "-so", "child.vhd"]
    out = subprocess.run(command, check=True, capture_output=True, cwd=chain).stdout
    assert out == noise(3 * MIB, 7)


def test_a_layer_of_qcow2_becomes_a_child(chain: Path, peer: Peer) -> None:
    diskimage.create(
        chain / "layer.qcow2", backing="base.raw", backing_format="raw", size=3 * MIB
    )  # fmt: skip
    write = [peer("qemu-io"), "-f", "qcow2", "-c", "write -P 7 64K 64K", "-c", "write -z 1M 64K"]
    subprocess.run([*write, "layer.qcow2"], check=True, capture_output=True, cwd=chain)
    options = {"backing": "base.vhd", "backing_format": "vhd"}
    target = chain / "layer.vhd"
    diskimage.convert(chain / "layer.qcow2", target, references="list", options=options)
    expected = bytearray(noise(3 * MIB, 7))
    expected[65536:131072] = b"\7" * 65536
    expected[MIB : MIB + 65536] = bytes(65536)
    with diskimage.open(target, references="siblings") as child:
        assert child.read(0, child.size) == expected
    assert kinds(target.read_bytes()).count(Kind.ABSENT) == 3
    command: list[str | Path] = [peer("7z"), "x", "-so", "layer.vhd"]
    out = subprocess.run(command, check=True, capture_output=True, cwd=chain).stdout
    assert out == expected


def test_a_child_needs_its_parent_in_place(tmp_path: Path) -> None:
    options: dict[str, object] = {"backing": "none.vhd", "backing_format": "vhd"}
    with pytest.raises(DiskImageError):
        diskimage.create(tmp_path / "a.vhd", 4096, options=options)
    assert list(tmp_path.iterdir()) == []


def test_azure_is_refused_where_content_would_be_lost(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(noise(MIB + 512))
    report = diskimage.convert(tmp_path / "a.raw", tmp_path / "a.vhd", profile="azure")
    assert (tmp_path / "a.vhd").stat().st_size == 2 * MIB + 512
    assert [loss.name for loss in report.dropped] == ["size"]
    with pytest.raises(UsageError):
        diskimage.convert(
            tmp_path / "a.raw", tmp_path / "b.vhd", options={"profile": "azure", "type": "dynamic"}
        )
    assert not (tmp_path / "b.vhd").exists()
