"""VHD read: images of an independent maker, recovery, parents, traps, and those of qemu-img."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    LimitError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.vhd import FORMAT
from diskimage.layers.bits import stretches
from diskimage.model import Kind
from diskimage.runs import extents
from tests.makers.alone import Alone, noise
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read
from tests.makers.vhd import BLOCK, MIB, UUID as IMAGE, fixed, footer, sparse, summed

Peer = Callable[[str], str]


ALONE = Alone(FORMAT)
opened, check, warned = ALONE.opened, ALONE.problems, ALONE.warned


@given(st.data())
@settings(max_examples=60)
def test_blocks_and_bitmaps_in_any_order_read_right(data: st.DataObject) -> None:
    block = data.draw(st.sampled_from([512, 4096, 8192]))
    size = data.draw(st.integers(0, 10)) * block + data.draw(st.sampled_from([0, 512, 100]))
    count = -(-size // block)
    used = data.draw(st.lists(st.sampled_from(range(count)), unique=True)) if count else []
    places = data.draw(st.permutations(range(len(used))))
    contents = {index: noise(block, index) for index in used}
    sectors = st.lists(st.integers(0, block // 512 - 1), unique=True)
    present = {index: data.draw(sectors) for index in used if index % 3}
    image = sparse(
        size, {i: (p, contents[i]) for i, p in zip(used, places, strict=True)},
        block=block, present=present, lead=512,
    )  # fmt: skip
    expected = b"".join(
        contents[i][at : at + 512]
        if i in contents and (i not in present or at // 512 in present[i])
        else bytes(512)
        for i in range(count)
        for at in range(0, block, 512)
    )[:size]
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]
    assert check(image) == []


@given(st.binary(min_size=1, max_size=20), st.data())
def test_stretches_are_the_bits_one_by_one(bitmap: bytes, data: st.DataObject) -> None:
    last = data.draw(st.integers(0, 8 * len(bitmap)))
    first = data.draw(st.integers(0, last))
    for high_first in (True, False):
        spread = []
        for bit, stop, there in stretches(bitmap, first, last, high_first=high_first):
            assert stop > bit
            spread += [there] * (stop - bit)
        order = [7 - bit % 8 if high_first else bit % 8 for bit in range(first, last)]
        bits = [
            bool(bitmap[first // 8 + (first % 8 + i) // 8] >> o & 1) for i, o in enumerate(order)
        ]
        assert spread == bits


def test_clear_bits_are_zeros_that_take_space_and_free_blocks_holes() -> None:
    image = sparse(12288, {1: (0, b"x" * 4096)}, block=4096, present={1: [0]})
    rows = [(row.start, row.length, row.kind, row.hole) for row in extents(opened(image))]
    assert rows == [
        (0, 4096, Kind.ZERO, True), (4096, 512, Kind.DATA, False),
        (4608, 3584, Kind.ZERO, False), (8192, 4096, Kind.ZERO, True),
    ]  # fmt: skip


DYNAMIC = sparse(8192, {0: (0, b"a" * 4096)}, block=4096)
GUEST = b"a" * 4096 + bytes(4096)
BAD = footer(8192, 3)[:64] + bytes(4) + footer(8192, 3)[68:]


def test_either_footer_is_enough_and_said() -> None:
    assert warned(DYNAMIC) == []
    for image in (
        sparse(8192, {0: (0, b"a" * 4096)}, block=4096, copy=BAD),
        sparse(8192, {0: (0, b"a" * 4096)}, block=4096, copy=bytes(512)),
        sparse(8192, {0: (0, b"a" * 4096)}, block=4096, end=BAD),
        sparse(8192, {0: (0, b"a" * 4096)}, block=4096, tail=False),
        sparse(8192, {0: (0, b"a" * 4096)}, block=4096, end=noise(300)),
    ):
        assert read(opened(image)) == GUEST
        assert warned(image) == ["footer"]
        assert "corrupt" in check(image)


def test_both_footers_wrong_or_that_of_a_fixed_disk_is_an_error() -> None:
    with pytest.raises(ChecksumError):
        opened(sparse(8192, {}, block=4096, copy=BAD, end=BAD))
    whole = fixed(noise(2048))
    with pytest.raises(ChecksumError):
        opened(whole[:-400] + b"\1" + whole[-399:])


def test_padding_behind_a_footer_is_looked_past() -> None:
    content = noise(4096)
    for padding in (512, 3584):
        assert read(opened(fixed(content) + bytes(padding))) == content
    with pytest.raises(CorruptError, match="no VHD footer"):
        opened(fixed(content) + bytes(4096))


def test_a_fixed_disk_before_too_early_a_footer_is_truncated() -> None:
    with pytest.raises(TruncatedError):
        opened(bytes(1024) + footer(4096, 2))


@pytest.mark.parametrize("creator", [b"win ", b"qem2", b"d2v\0", b"wa\0\0", b"test"])
def test_the_size_is_the_current_size(creator: bytes) -> None:
    image = fixed(bytes(8192), creator=creator, geometry=(1, 1, 12))
    assert opened(image).size == 8192
    assert warned(image) == []


@pytest.mark.parametrize("creator", [b"vpc ", b"qemu"])
def test_some_creators_go_by_geometry(creator: bytes) -> None:
    image = fixed(noise(8192), creator=creator, geometry=(1, 3, 4))
    assert read(opened(image)) == noise(8192)[: 12 * 512]
    assert warned(image) == ["size"]
    for geometry in ((65535, 16, 255), (2, 16, 63), (0, 0, 0), (2, 2, 4)):
        assert opened(fixed(bytes(8192), creator=creator, geometry=geometry)).size == 8192


def test_a_saved_state_is_said() -> None:
    assert warned(fixed(b"", saved=1)) == ["saved-state"]


def patched(at: int, value: int, width: int = 4) -> bytes:
    """A dynamic disk of four blocks with a field of its header changed, and its sum made right."""
    image = bytearray(sparse(16384, {0: (0, b"x")}, block=4096))
    image[at : at + width] = value.to_bytes(width, "big")
    image[512:1536] = summed(bytes(image[512:1536]), 36)
    return bytes(image)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (fixed(b"", version=0x20000), UnsupportedError),
        (footer(0, 7), UnsupportedError),
        (footer((1 << 63) + 512, 2), LimitError),
        (footer(4096, 3, header_at=1 << 40), TruncatedError),
        (footer(4096, 3, header_at=0) * 3, CorruptError),
        (patched(512, 0), CorruptError),
        (patched(536, 0x20000), UnsupportedError),
        (patched(544, 0), CorruptError),
        (patched(544, 3000), CorruptError),
        (patched(544, 256), CorruptError),
        (patched(540, 3), CorruptError),
        (patched(540, 0xFFFFFFFF), TruncatedError),
        (patched(528, 1 << 62, 8), TruncatedError),
        (patched(548, 0)[:548] + b"\1" + patched(548, 0)[549:], ChecksumError),
        (b"", CorruptError),
        (b"conectix", ChecksumError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


def test_a_block_past_the_end_or_over_the_headers_is_an_error_of_its_own_bytes_alone() -> None:
    for entry, error in ((0x7FFFFFFF, TruncatedError), (0, CorruptError)):
        device = opened(sparse(8192, {0: (0, b"a" * 4096)}, block=4096, special={1: entry}))
        assert read(device, 0, 4096) == b"a" * 4096
        with pytest.raises(error):
            read(device)


def test_check_names_blocks_that_share_bytes() -> None:
    two = {0: (0, b"a" * 4096), 1: (1, b"b" * 4096)}
    first = (1536 + 512) // 512
    assert check(sparse(16384, two, block=4096)) == []
    for special, kinds in (
        ({2: first}, ["corrupt"]),
        ({2: first + 3}, ["corrupt", "corrupt"]),  # the second half of one, the first of the other
        ({3: 0}, ["corrupt"] * 4),  # copy, header, table and block 0
        ({2: first + 18}, ["truncated"]),
        ({2: first + 10}, ["corrupt", "corrupt"]),  # block 1, and the footer
    ):
        assert check(sparse(16384, two, block=4096, special=special)) == kinds, special


CHILD = bytes(16)


def child(
    time: int = 0, locators: tuple[tuple[bytes, bytes], ...] = (), name: str = "base.vhd"
) -> bytes:
    return sparse(
        12288, {1: (0, b"d" * 4096)}, block=4096, kind=4, present={1: [0, 7]}, uuid=CHILD,
        parent=(IMAGE, time, name), locators=locators,
    )  # fmt: skip


BASE = sparse(12288, {i: (i, bytes([98 + i]) * 4096) for i in (0, 1)}, block=4096)
MERGED = b"b" * 4096 + b"d" * 512 + b"c" * 3072 + b"d" * 512 + bytes(4096)


def test_a_differencing_disk_reads_over_its_parent() -> None:
    gate = OpenGate(parents={"base.vhd": opened(BASE)})
    device = opened(child(), gate)
    assert gate.asked == [("base.vhd", "parent", "vhd")]
    lawful(device)
    assert read(device) == MERGED
    assert gate.warnings == []


def test_a_parent_that_is_another_disk_is_corrupt_and_one_of_another_time_is_said() -> None:
    other = sparse(12288, {}, block=4096, uuid=bytes(15) + b"\1")
    with pytest.raises(CorruptError, match="UUID"):
        opened(child(), OpenGate(parents={"base.vhd": opened(other)}))
    for time, kinds in ((600_000_000, []), (600_000_001, []), (5, ["parent-time"])):
        gate = OpenGate(parents={"base.vhd": opened(BASE)})
        opened(child(time), gate)
        assert [finding.kind for finding in gate.warnings] == kinds


def test_a_parent_has_to_be_allowed_and_named() -> None:
    with pytest.raises(RefusedReferenceError):
        opened(child())
    with pytest.raises(CorruptError, match="names no parent"):
        opened(child(name=""))


def test_a_layer_alone_leaves_bytes_absent() -> None:
    kinds = [row.kind for row in extents(opened(child(), OpenGate(listing=True)))]
    assert kinds == [Kind.ABSENT, Kind.DATA, Kind.ABSENT, Kind.DATA, Kind.ABSENT]


@pytest.mark.parametrize(
    ("locators", "name"),
    [
        (((b"W2ku", "C:\\v\\b.vhd".encode("utf-16-le")), (b"W2ru", ".\\b.vhd".encode("utf-16-le"))),
         ".\\b.vhd"),
        (((b"W2ku", "C:\\v\\b.vhd".encode("utf-16-le")),), "C:\\v\\b.vhd"),
        (((b"MacX", b"file:///v/b%20b.vhd"),), "file:///v/b b.vhd"),
        (((b"Wi2k", b"old"),), "base.vhd"),
    ],
)  # fmt: skip
def test_names_of_parents_are_believed_in_order(
    locators: tuple[tuple[bytes, bytes], ...], name: str
) -> None:
    gate = OpenGate(listing=True)
    opened(child(locators=locators), gate)
    assert gate.asked == [(name, "parent", "vhd")]


def test_a_long_or_broken_name_is_an_error() -> None:
    with pytest.raises(LimitError):
        opened(child(locators=((b"W2ru", b"x" * 5000),)), OpenGate(listing=True))
    with pytest.raises(CorruptError, match="no text"):
        opened(child(locators=((b"W2ru", b"\0\xdc"),)), OpenGate(listing=True))


def test_a_chain_of_files_opens_with_its_siblings(tmp_path: Path) -> None:
    (tmp_path / "base.vhd").write_bytes(BASE)
    relative = ((b"W2ru", ".\\base.vhd".encode("utf-16-le")),)
    (tmp_path / "child.vhd").write_bytes(child(700_000_000, relative))
    os.utime(tmp_path / "base.vhd", (946684800 + 700_000_000, 946684800 + 700_000_000))
    with pytest.raises(RefusedReferenceError):
        diskimage.open(tmp_path / "child.vhd")
    with diskimage.open(tmp_path / "child.vhd", references="siblings") as image:
        assert image.read(0, image.size) == MERGED
        assert image.warnings == ()  # the time is that of the parent's file
    with diskimage.open(
        tmp_path / "child.vhd", references={".\\base.vhd": tmp_path / "base.vhd"}
    ) as image:
        assert image.read(0, image.size) == MERGED


@pytest.mark.parametrize("options", ["subformat=dynamic", "subformat=fixed,force_size=on"])
def test_qemu_img_images_read_right(options: str, tmp_path: Path, peer: Peer) -> None:
    content = noise(MIB, 2) + bytes(3 * BLOCK) + noise(BLOCK, 3) + bytes(MIB)
    raw, image = tmp_path / "a.raw", tmp_path / "a.vhd"
    raw.write_bytes(content)
    convert = [peer("qemu-img"), "convert", "-f", "raw", "-O", "vpc", "-o", options]
    subprocess.run([*convert, raw, image], check=True, capture_output=True)
    with diskimage.open(image) as found:
        assert found.format == "vhd"
        lawful(found.device)
        assert found.read(0, len(content)) == content
        assert not any(found.read(len(content), found.size))
        assert list(found.problems()) == []


SMALL = [
    sparse(20 * 512, {i: (p, noise(512, i)) for p, i in enumerate((7, 3, 12))}, block=512),
    sparse(20 * 512, {2: (0, noise(2048))}, block=2048, present={2: [1, 3]}),
    child(),
    fixed(noise(1024)),
]


@given(st.sampled_from(SMALL), st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(image: bytes, data: st.DataObject) -> None:
    at, wrong = (
        data.draw(st.integers(0, len(image) - 1)),
        data.draw(st.binary(min_size=1, max_size=8)),
    )
    damaged = bytearray(image[:at] + wrong + image[at + len(wrong) :])
    if len(image) > 2048 and data.draw(st.booleans()):  # deeper: with sums made right again
        damaged[512:1536] = summed(bytes(damaged[512:1536]), 36)
        damaged[:512] = summed(bytes(damaged[:512]), 64)
    with suppress(DiskImageError):
        check(bytes(damaged))
    with suppress(DiskImageError):
        device = opened(bytes(damaged), OpenGate(listing=True))
        lawful(device)
