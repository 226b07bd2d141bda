"""VDI: images of an independent maker read here, images of ours read by qemu-img."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)
from diskimage.formats.vdi import FORMAT, check
from diskimage.formats.vdi.create import create
from diskimage.layers.blank import Blank
from diskimage.model import Device, Extent, Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.executor import image_of
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, lawful, read
from tests.makers.vdi import IMAGE, MIB, MODIFIED, vdi

Peer = Callable[[str], str]


ALONE = Alone(FORMAT)
opened = ALONE.opened


def disk(content: bytes, hole: int = MIB) -> Rows:
    """A device of `content`; whole `hole`-sized pieces of zeros are holes."""
    source = MemorySource(content)
    rows = []
    for at in range(0, len(content), hole):
        piece = content[at : at + hole]
        if any(piece):
            rows.append(Extent(at, len(piece), Kind.DATA, source=source, at=at))
        else:
            rows.append(Extent(at, len(piece), Kind.ZERO, hole=True))
    return Rows(rows)


def made(device: Device, **options: object) -> bytes:
    return image_of(create(device, "disk", **options))  # type: ignore[arg-type]  # options are literals


@given(st.data())
@settings(max_examples=60)
def test_blocks_in_any_order_read_right(data: st.DataObject) -> None:
    block = data.draw(st.sampled_from([512, 4096]))
    size = data.draw(st.integers(0, 12)) * block + data.draw(st.sampled_from([0, 512, 100]))
    count = -(-size // block)
    extra = data.draw(st.sampled_from([0, 0, 512]))
    used = data.draw(st.lists(st.sampled_from(range(count)), unique=True)) if count else []
    places = data.draw(st.permutations(range(len(used))))
    contents = {index: noise(block, index) for index in used}
    zeroed = {i: 0xFFFFFFFE for i in range(count) if i not in used and i % 2}
    image = vdi(
        size, {i: (p, contents[i]) for i, p in zip(used, places, strict=True)},
        block=block, extra=extra, special=zeroed,
        version=data.draw(st.sampled_from([0x00010001, 0x00010000])),
    )  # fmt: skip
    expected = b"".join(contents.get(i, bytes(block)) for i in range(count))[:size]
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]
    assert list(check(MemorySource(image), OpenGate())) == []


def test_neighbours_in_the_file_are_one_extent() -> None:
    blocks = {i: (p, noise(4096, i)) for i, p in enumerate([3, 0, 1, 2])}
    rows = list(extents(opened(vdi(4 * 4096, blocks, block=4096))))
    assert [(row.start, row.length) for row in rows] == [(0, 4096), (4096, 3 * 4096)]


def test_version_0_has_its_map_behind_the_header() -> None:
    image = vdi(8192, {1: (0, b"old" * 100)}, block=4096, version=1)
    device = opened(image)
    assert device.info["version"] == "0.1"
    assert read(device) == bytes(4096) + (b"old" * 100).ljust(4096, b"\0")


def differencing() -> bytes:
    return vdi(
        12288, {0: (0, b"d" * 4096)}, block=4096, kind=4, special={1: 0xFFFFFFFE},
        parent=(IMAGE, MODIFIED), uuids=(bytes(15) + b"\1", bytes(15) + b"\2"),
    )  # fmt: skip


def test_a_differencing_image_reads_over_its_parent() -> None:
    base = opened(vdi(12288, {i: (i, b"b" * 4096) for i in range(3)}, block=4096))
    name = f"{{{UUID(bytes_le=IMAGE)}}}"
    gate = OpenGate(parents={name: base})
    device = opened(differencing(), gate)
    assert gate.asked == [(name, "parent", "vdi")]
    lawful(device)
    assert read(device) == b"d" * 4096 + bytes(4096) + b"b" * 4096


def test_a_changed_parent_is_refused() -> None:
    other = opened(vdi(12288, {}, block=4096, uuids=(IMAGE, bytes(16))))
    gate = OpenGate(parents={f"{{{UUID(bytes_le=IMAGE)}}}": other})
    with pytest.raises(CorruptError, match="modification uuid"):
        opened(differencing(), gate)


def test_a_parent_has_to_be_allowed() -> None:
    with pytest.raises(RefusedReferenceError):
        opened(differencing())


def test_a_layer_alone_leaves_bytes_absent() -> None:
    kinds = [row.kind for row in extents(opened(differencing(), OpenGate(listing=True)))]
    assert kinds == [Kind.DATA, Kind.ZERO, Kind.ABSENT]


def patched(at: int, value: int, width: int = 4) -> bytes:
    image = bytearray(vdi(4 * MIB, {0: (0, b"x")}))
    image[at : at + width] = value.to_bytes(width, "little")
    return bytes(image)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(0x44, 0x00020000), UnsupportedError),
        (patched(0x4C, 3), UnsupportedError),
        (patched(0x4C, 9), UnsupportedError),
        (patched(0x168, 4096), UnsupportedError),
        (patched(0x178, 0), CorruptError),
        (patched(0x178, 1000), CorruptError),
        (patched(0x178, 1 << 31), LimitError),
        (patched(0x170, (1 << 63) - 1, 8), LimitError),
        (patched(0x180, 3), CorruptError),
        (patched(0x180, 0xFFFFFFFF), TruncatedError),
        (patched(0x154, 0x7FFFFE00), TruncatedError),
        (patched(0x158, 512), CorruptError),
        (vdi(4 * MIB, {})[:300], TruncatedError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


def test_a_block_past_the_end_is_truncated_and_its_neighbours_are_not() -> None:
    image = vdi(3 * 4096, {0: (0, b"a" * 4096), 1: (1, b"b" * 4096)}, block=4096)[:-1]
    device = opened(image)
    assert read(device, 0, 4096) == b"a" * 4096
    with pytest.raises(TruncatedError, match=f"guest byte {8191} is stored at {4096 + 8191}"):
        read(device)


def test_the_last_block_may_end_with_the_guest() -> None:
    image = vdi(4096 + 512, {0: (0, b"a" * 4096), 1: (1, b"b" * 512)}, block=4096)[: -4096 + 512]
    assert read(opened(image)) == b"a" * 4096 + b"b" * 512
    assert list(check(MemorySource(image), OpenGate())) == []


class Claimed(MemorySource):
    """A file that is said to be longer than it is, as a sparse one may be."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self.size = size


def test_a_check_does_not_follow_the_size_of_a_sparse_file() -> None:
    image = vdi(1024, {0: (0, b"a" * 512)}, block=512)
    with pytest.raises(LimitError, match="metadata"):
        list(check(Claimed(image, 15 << 40), OpenGate()))
    assert list(check(Claimed(image, 1 << 30), OpenGate())) == []


def test_check_names_shared_lost_and_miscounted_blocks() -> None:
    image = vdi(5 * 4096, {0: (0, b"a" * 4096)}, block=4096, special={1: 0, 2: 7, 4: 0xFFFFFFFE})
    found = [(f.kind, f.message) for f in check(MemorySource(image), OpenGate())]
    assert [kind for kind, _ in found] == ["corrupt", "truncated", "corrupt"]
    assert "block 1 shares stored block 0" in found[0][1]
    assert "counts 1 stored blocks, the map 3" in found[2][1]


CONTENTS = {
    "empty": b"",
    "zeros": bytes(3 * MIB),
    "odd": noise(2 * MIB + 700, 1),
    "holes": noise(MIB, 2) + bytes(3 * MIB) + noise(512, 3) + bytes(MIB - 512) + b"\1",
    "hidden zeros": noise(512, 4) + bytes(3 * MIB) + noise(MIB, 5),
}


@pytest.mark.parametrize("type", ["dynamic", "fixed"])
@pytest.mark.parametrize("name", CONTENTS)
def test_created_images_satisfy_qemu_img(name: str, type: str, tmp_path: Path, peer: Peer) -> None:
    content = CONTENTS[name]
    raw, image = tmp_path / "a.raw", tmp_path / "a.vdi"
    padded = content + bytes(-len(content) % 512)
    raw.write_bytes(padded)
    image.write_bytes(made(disk(content), type=type))
    qemu = peer("qemu-img")
    subprocess.run([qemu, "check", "-f", "vdi", image], check=True, capture_output=True)
    if padded:
        back = tmp_path / "back.raw"
        command: list[str | Path] = [qemu, "convert", "-f", "vdi", "-O", "raw", image, back]
        subprocess.run(command, check=True, capture_output=True)
        assert back.read_bytes() == padded
    info = json.loads(
        subprocess.run(
            [qemu, "info", "--output=json", image], check=True, capture_output=True
        ).stdout
    )
    assert info["virtual-size"] == len(padded)


@pytest.mark.parametrize("type", ["dynamic", "fixed"])
@pytest.mark.parametrize("name", CONTENTS)
def test_created_images_hold_the_source(name: str, type: str) -> None:
    content = CONTENTS[name]
    image = made(disk(content), type=type)
    assert read(opened(image)) == content + bytes(-len(content) % 512)
    assert list(check(MemorySource(image), OpenGate())) == []


def test_zeros_are_not_stored_and_uuids_differ() -> None:
    one, two = made(disk(bytes(8 * MIB))), made(disk(bytes(8 * MIB)))
    assert len(one) == 2 * MIB
    assert one[0x188:0x1A8] != two[0x188:0x1A8]


def test_an_empty_image_of_a_tebibyte_is_its_map(tmp_path: Path, peer: Peer) -> None:
    image = tmp_path / "a.vdi"
    image.write_bytes(made(Blank(1 << 40)))
    assert image.stat().st_size < 8 * MIB
    subprocess.run([peer("qemu-img"), "check", image], check=True, capture_output=True)


def test_a_disk_that_no_map_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="map"):
        made(Blank(1 << 52))
    with pytest.raises(UsageError, match="type"):
        made(Blank(512), type="round")


def test_an_odd_size_is_announced() -> None:
    assert FORMAT.losses is not None
    assert [loss.name for loss in FORMAT.losses(disk(b"x" * 700))] == ["size"]
    assert FORMAT.losses(disk(b"x" * 1024)) == []


def test_qemu_img_images_read_right(tmp_path: Path, peer: Peer) -> None:
    content = CONTENTS["holes"] + bytes(511)
    raw, image = tmp_path / "a.raw", tmp_path / "a.vdi"
    raw.write_bytes(content)
    command: list[str | Path] = [peer("qemu-img"), "convert", "-f", "raw", "-O", "vdi", raw, image]
    subprocess.run(command, check=True, capture_output=True)
    device = opened(image.read_bytes())
    lawful(device)
    assert read(device) == content
    (allocated,) = struct.unpack_from("<I", image.read_bytes(), 0x184)
    assert device.info["allocated_blocks"] == allocated


SMALL = [
    vdi(20 * 512, {i: (p, noise(512, i)) for p, i in enumerate((7, 3, 12))}, block=512),
    vdi(20 * 512, {2: (0, noise(512))}, block=512, extra=512, special={3: 0xFFFFFFFE}),
    vdi(20 * 512, {2: (0, noise(512))}, block=512, version=1),
]


@given(st.sampled_from(SMALL), st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(image: bytes, data: st.DataObject) -> None:
    places = st.integers(0x40, 0x1D8) | st.integers(0, len(image) - 1)
    at, wrong = data.draw(places), data.draw(st.binary(min_size=1, max_size=8))
    damaged = image[:at] + wrong + image[at + len(wrong) :]
    with suppress(DiskImageError):
        list(check(MemorySource(damaged), OpenGate()))
    with suppress(DiskImageError):
        device = opened(damaged)
        lawful(device)
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size


PARENT = {"uuid": str(UUID(bytes_le=IMAGE)), "modification_uuid": str(UUID(bytes_le=MODIFIED))}


def layer() -> Rows:
    """A block of content, one of zeros, one that is the parent's, and a short one of content."""
    source = MemorySource(noise(MIB + 700, 9))
    return Rows([
        Extent(0, MIB, Kind.DATA, source=source, at=0),
        Extent(MIB, MIB, Kind.ZERO, hole=True),
        Extent(2 * MIB, MIB, Kind.ABSENT),
        Extent(3 * MIB, 512, Kind.DATA, source=source, at=MIB),
    ])  # fmt: skip


def over(what: Rows, **parent: object) -> bytes:
    told = {**PARENT, "size": what.size, **parent}
    return made(what, backing="base.vdi", backing_format="vdi", parent=told)


def test_a_created_difference_reads_over_its_parent() -> None:
    base = vdi(3 * MIB + 512, {i: (i, bytes([i + 1]) * MIB) for i in range(4)})
    gate = OpenGate(parents={f"{{{UUID(bytes_le=IMAGE)}}}": opened(base)})
    image = over(layer())
    own = noise(MIB + 700, 9)
    assert read(opened(image, gate)) == own[:MIB] + bytes(MIB) + b"\3" * MIB + own[MIB : MIB + 512]
    assert struct.unpack_from("<4I", image, MIB) == (0, 0xFFFFFFFE, 0xFFFFFFFF, 1)
    kinds = [row.kind for row in extents(opened(image, OpenGate(listing=True)))]
    assert kinds == [Kind.DATA, Kind.ZERO, Kind.ABSENT, Kind.DATA]
    assert image[0x1A8:0x1C8] == IMAGE + MODIFIED
    assert list(check(MemorySource(image), OpenGate())) == []


def test_a_difference_needs_a_parent_of_its_size_and_format() -> None:
    with pytest.raises(UsageError, match="over a parent"):
        over(layer(), size=MIB)
    with pytest.raises(UsageError, match="format"):
        made(layer(), backing="base.qcow2", backing_format="qcow2", parent=PARENT)
    with pytest.raises(UsageError, match="not known"):
        made(layer(), backing="base.vdi", backing_format="vdi")
    with pytest.raises(UsageError, match="fixed"):
        made(layer(), type="fixed", backing="base.vdi", backing_format="vdi", parent=PARENT)
    with pytest.raises((UsageError, RefusedReferenceError)):  # what is only in a parent
        made(layer())


def test_an_empty_difference_is_made_over_a_file_and_opens_over_it(tmp_path: Path) -> None:
    raw, base, child = tmp_path / "a.raw", tmp_path / "base.vdi", tmp_path / "child.vdi"
    raw.write_bytes(CONTENTS["holes"] + bytes(511))
    diskimage.convert(raw, base)
    diskimage.create(child, backing="base.vdi", backing_format="vdi")
    with diskimage.open(base) as parent:
        name = f"{{{parent.info['uuid']}}}"
    for policy in ({name: base}, "siblings", tmp_path):
        with diskimage.open(child, references=policy) as image:
            assert image.read(0, image.size) == raw.read_bytes()
    with pytest.raises(RefusedReferenceError), diskimage.open(child):
        pass
