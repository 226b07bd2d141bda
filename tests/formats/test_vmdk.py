"""VMDK read: sparse extents, streams and snapshots of an independent maker."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.vmdk import FORMAT
from diskimage.model import Device, Finding, Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read
from tests.makers.vmdk import (
    GRAIN,
    SECTOR,
    cow,
    se_sparse,
    sparse,
    stream,
)

SIZE = 5 * GRAIN


ALONE = Alone(FORMAT)
opened = ALONE.opened


def problems(image: bytes) -> list[tuple[str, str]]:
    assert FORMAT.check is not None
    return [(f.kind, f.message) for f in FORMAT.check(MemorySource(image), OpenGate())]


def wrong(image: bytes) -> tuple[Finding, ...]:
    return diskimage.check(image, format="vmdk").problems


@given(st.data())
@settings(max_examples=60)
def test_grains_in_any_order_read_right(data: st.DataObject) -> None:
    grain = data.draw(st.sampled_from([SECTOR, 4096]))
    size = data.draw(st.integers(1, 12)) * grain - data.draw(st.sampled_from([0, grain // 2]))
    size -= size % SECTOR
    count = -(-size // grain)
    used = data.draw(st.lists(st.integers(0, count - 1), unique=True)) if count else []
    contents = {index: noise(grain, index) for index in used}
    expected = b"".join(contents.get(i, bytes(grain)) for i in range(count))[:size]
    zeroed = {i: 1 for i in range(count) if i not in used and i % 2}
    if data.draw(st.booleans()):
        shuffled = {i: contents[i] for i in data.draw(st.permutations(used))}
        flags = 0x30005 if zeroed else data.draw(st.sampled_from([0x30001, 0x10001]))
        image = stream(size, shuffled, grain=grain, special=zeroed, flags=flags)
    else:
        places = data.draw(st.permutations(range(len(used))))
        stored = {i: (p, contents[i]) for i, p in zip(used, places, strict=True)}
        image = sparse(size, stored, grain=grain, special=zeroed, flags=5,
                       per_table=data.draw(st.sampled_from([4, 512])))  # fmt: skip
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]
    assert problems(image) == []


def test_neighbours_in_the_file_are_one_extent() -> None:
    grains = {i: (p, noise(GRAIN, i)) for i, p in enumerate([3, 0, 1, 2])}
    rows = list(extents(opened(sparse(4 * GRAIN, grains))))
    assert [(row.start, row.length) for row in rows] == [(0, GRAIN), (GRAIN, 3 * GRAIN)]


@pytest.mark.parametrize("cut", [False, True])
def test_the_last_grain_of_a_stream_is_whole_or_as_long_as_the_guest(cut: bool) -> None:
    content = noise(GRAIN + 512)
    last = content[GRAIN:] if cut else content[GRAIN:].ljust(GRAIN, b"\0")
    image = stream(GRAIN + 512, {0: content[:GRAIN], 1: last})
    assert read(opened(image)) == content


def test_a_grain_that_gives_more_or_less_than_a_grain_is_corrupt() -> None:
    for plain in (bytes(GRAIN + 1), bytes(GRAIN - 1)):
        image = stream(SIZE, {0: b"x"}, coded={0: zlib.compress(plain)})
        with pytest.raises(CorruptError):
            read(opened(image))
        assert [(one.kind, one.part) for one in wrong(image)] == [("corrupt", "chunks")]


def test_a_marker_that_names_another_sector_is_corrupt() -> None:
    image = stream(SIZE, {1: noise(GRAIN)}, sectors={1: 0})
    with pytest.raises(CorruptError, match="marker says sector 0"):
        read(opened(image))
    # only what is asked for is looked at
    assert read(opened(image), 0, GRAIN) == bytes(GRAIN)


@pytest.mark.parametrize("padding", [0, 512, 10240, 3 << 20])
def test_a_footer_is_found_in_front_of_zeros(padding: int) -> None:
    content = noise(GRAIN)
    assert read(opened(stream(GRAIN, {0: content}, padding=padding))) == content


def test_a_stream_without_its_end_is_truncated() -> None:
    image = stream(SIZE, {0: noise(GRAIN)})
    for stop in (len(image) - 512 - 1, len(image) - 1536, 70000, 66000):
        with pytest.raises(TruncatedError):
            opened(image[:stop])


def test_a_lost_directory_is_replaced_by_its_copy() -> None:
    content = noise(GRAIN)
    image = bytearray(sparse(SIZE, {0: (0, content)}))
    struct.pack_into("<Q", image, 56, 1 << 40)
    gate = OpenGate()
    assert read(opened(bytes(image), gate), 0, GRAIN) == content
    assert [warning.kind for warning in gate.warnings] == ["directory"]
    struct.pack_into("<I", image, 8, 1)
    with pytest.raises(TruncatedError):
        opened(bytes(image))


def test_an_entry_of_one_is_zeros_only_where_the_header_says_so() -> None:
    rows = [row.kind for row in extents(opened(sparse(GRAIN, {}, special={0: 1}, flags=5)))]
    assert rows == [Kind.ZERO]
    (row,) = extents(opened(sparse(GRAIN, {}, special={0: 1})))
    assert (row.kind, row.at) == (Kind.DATA, SECTOR)
    assert problems(sparse(GRAIN, {}, special={0: 1}))[0][0] == "corrupt"


def patched(at: int, value: int, width: int = 4) -> bytes:
    image = bytearray(sparse(SIZE, {0: (0, noise(GRAIN))}))
    image[at : at + width] = value.to_bytes(width, "little")
    return bytes(image)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(4, 0), UnsupportedError),
        (patched(4, 4), UnsupportedError),
        (patched(8, 0x10003), UnsupportedError),
        (patched(12, 1 << 62, 8), LimitError),
        (patched(12, 1 << 40, 8), TruncatedError),
        (patched(20, 0, 8), CorruptError),
        (patched(20, 3, 8), CorruptError),
        (patched(20, 1 << 32, 8), LimitError),
        (patched(36, 1 << 40, 8), LimitError),
        (patched(44, 0), CorruptError),
        (patched(44, 0xFFFFFFFF), LimitError),
        (patched(64, 1 << 40, 8), TruncatedError),
        (patched(74, ord("\n"), 1), CorruptError),
        (patched(75, ord("\n"), 1), CorruptError),
        (sparse(SIZE, {})[:70], TruncatedError),
        (b'# Disk DescriptorFile\nversion=1\ncreateType="custom"\n', CorruptError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


def test_an_unclean_extent_is_told() -> None:
    gate = OpenGate()
    opened(sparse(SIZE, {}, unclean=1), gate)
    assert [warning.kind for warning in gate.warnings] == ["unclean"]


def test_a_grain_past_the_end_is_truncated_and_its_neighbours_are_not() -> None:
    image = sparse(2 * GRAIN, {0: (0, b"a" * GRAIN), 1: (1, b"b" * GRAIN)})[:-1]
    device = opened(image)
    assert read(device, 0, GRAIN) == b"a" * GRAIN
    with pytest.raises(TruncatedError, match=f"guest byte {2 * GRAIN - 1}"):
        read(device)


def test_check_names_shared_sectors_and_tables_that_differ() -> None:
    shared = sparse(3 * GRAIN, {0: (0, noise(GRAIN))})
    (entry,) = struct.unpack_from("<I", shared, 22 * SECTOR)
    assert entry
    shared = sparse(3 * GRAIN, {0: (0, noise(GRAIN))}, special={2: entry + 1})
    found = problems(shared + bytes(GRAIN))
    assert [kind for kind, _ in found] == ["corrupt"]
    assert f"guest byte {2 * GRAIN} shares" in found[0][1]
    image = bytearray(sparse(3 * GRAIN, {0: (0, noise(GRAIN))}))
    struct.pack_into("<I", image, 22 * SECTOR, 0)  # the copy of the table stands first
    assert "grain table 0 and its copy differ" in problems(bytes(image))[0][1]


def test_check_tells_grains_that_do_not_decode_from_structure() -> None:
    bad = bytearray(zlib.compress(noise(GRAIN)))
    bad[-1] ^= 1
    image = stream(SIZE, {0: b"", 2: noise(GRAIN)}, coded={0: bytes(bad)})
    assert problems(image) == []
    assert [(one.part, one.message[:13]) for one in wrong(image)] == [("chunks", "guest byte 0:")]


SMALL = [
    sparse(20 * SECTOR, {i: (p, noise(SECTOR, i)) for p, i in enumerate((7, 3, 12))}, grain=SECTOR),
    stream(20 * SECTOR, {i: noise(SECTOR, i) for i in (7, 3, 12)}, grain=SECTOR),
    cow(20 * SECTOR, {i: (p, noise(SECTOR, i)) for p, i in enumerate((7, 3, 12))}),
    se_sparse(5 * 4096, {1: (1, noise(4096)), 4: (0, noise(4096))}),
]


@given(st.sampled_from(SMALL), st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(image: bytes, data: st.DataObject) -> None:
    near = st.integers(0, 80) | st.integers(512, 1400) | st.integers(10752, 15872)
    places = near | st.integers(0, len(image) - 1)
    at, wrong = data.draw(places), data.draw(st.binary(min_size=1, max_size=8))
    damaged = image[:at] + wrong + image[at + len(wrong) :]
    with suppress(DiskImageError):
        problems(damaged)
    with suppress(DiskImageError):
        device = opened(damaged, OpenGate(listing=True))
        lawful(device)
        if device.size <= 1 << 20 and not absent(device):
            assert len(read(device)) == device.size


def absent(device: Device) -> bool:
    return any(row.kind in (Kind.ABSENT, Kind.BAD) for row in extents(device))
