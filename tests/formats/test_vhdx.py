"""VHDX read: images of an independent maker, parents, traps, and those of qemu-img."""

from __future__ import annotations

import struct
import subprocess
from array import array
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
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
from diskimage.formats.vhdx import FORMAT
from diskimage.formats.vhdx.blocks import Interleaved
from diskimage.formats.vhdx.open import open_vhdx
from diskimage.layers.table import Flat, Pages
from diskimage.model import Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from diskimage.sources.patched import Patched
from tests.makers import vhdx as maker
from tests.makers.alone import Alone, noise
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read
from tests.makers.vhdx import BAT_AT, FIRST, LOG, LOG_AT, META_AT, MIB, header, log_entry, vhdx

Peer = Callable[[str], str]


ALONE = Alone(FORMAT)
opened, check, warned = ALONE.opened, ALONE.problems, ALONE.warned


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_blocks_in_any_order_and_state_read_right(data: st.DataObject) -> None:
    sector = data.draw(st.sampled_from([512, 4096]))
    size = data.draw(st.integers(0, 5)) * MIB + data.draw(st.sampled_from([0, sector]))
    count = -(-size // MIB)
    used = data.draw(st.lists(st.sampled_from(range(count)), unique=True)) if count else []
    places = data.draw(st.permutations(range(len(used))))
    contents = {index: noise(4096, index) for index in used}
    states = {n: data.draw(st.sampled_from([0, 1, 2, 3])) for n in range(count) if n not in used}
    image = vhdx(
        size, {i: (p, contents[i]) for i, p in zip(used, places, strict=True)},
        sector=sector, states=states,
    )  # fmt: skip
    expected = b"".join(contents.get(i, b"").ljust(MIB, b"\0") for i in range(count))[:size]
    device = opened(image)
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    lawful(device, start, stop)
    assert read(device) == expected
    assert read(device, start, stop) == expected[start:stop]
    assert check(image) == []


def test_entries_behind_a_sector_bitmaps_are_those_of_the_next_chunk() -> None:
    """A fixed disk too, of which one library reads zeros from 4 GiB on."""
    block, size = 256 * MIB, 18 * 256 * MIB  # sixteen blocks a chunk
    for flags in (0, 1):
        image = vhdx(size, {}, flags=flags, block=block)
        table = bytearray(8 * 20)
        struct.pack_into("<Q", table, 8 * 17, FIRST | 6)  # entry 16 is the bitmap's
        struct.pack_into("<Q", table, 8 * 15, FIRST + block | 6)
        image = image[:BAT_AT] + table + image[BAT_AT + len(table) :]
        source = Patched(MemorySource(image), FIRST + 2 * block)
        rows = [
            (row.start, row.length, row.at)
            for row in extents(open_vhdx(source, OpenGate()))
            if row.kind == Kind.DATA
        ]
        assert rows == [(15 * block, block, FIRST + block), (16 * block, block, FIRST)]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_entries_are_those_of_blocks_alone_across_pages(data: st.DataObject) -> None:
    ratio = data.draw(st.sampled_from([16, 128, 4096, 32768]))
    blocks = data.draw(st.integers(1, 40000))
    used = data.draw(st.sets(st.integers(0, blocks - 1), max_size=6))
    table = array("Q", bytes(8 * (blocks + blocks // ratio + 1)))
    for chunk in range(blocks // ratio):
        table[chunk * (ratio + 1) + ratio] = data.draw(st.sampled_from([0, 6 << 40]))
    for block in used:
        table[block + block // ratio] = block + 1
    source = MemorySource(table.tobytes())
    entries = Interleaved(Flat(Pages(source, 1 << 20), 0, len(table), 8), ratio)
    first = data.draw(st.integers(0, blocks - 1))
    last = data.draw(st.integers(first + 1, blocks))
    found: list[int] = []
    for piece in entries.pieces(first, last):
        assert piece.blocks > 0
        assert piece.first == first + len(found)
        whole = bytes(8 * piece.blocks) if piece.entries is None else bytes(piece.entries)
        assert len(whole) == 8 * piece.blocks
        if piece.entries is not None:
            assert table.tobytes()[piece.at : piece.at + len(whole)] == whole
        found += array("Q", whole)
    assert found == [block + 1 if block in used else 0 for block in range(first, last)]


ONE = vhdx(2 * MIB, {0: (0, b"a" * MIB)})
GUEST = b"a" * MIB + bytes(MIB)


def torn(raw: bytes) -> bytes:
    return raw[:4] + bytes([raw[4] ^ 1]) + raw[5:]


def test_either_copy_of_header_and_region_table_is_enough_and_said() -> None:
    whole = maker.REGIONS
    for headers, tables, kind in (
        ((header(1), torn(header(2))), (whole, whole), "header"),
        ((torn(header(1)), header(2)), (whole, whole), "header"),
        ((header(1), header(2)), (torn(whole), whole), "region-table"),
        ((header(1), header(2)), (whole, torn(whole)), "region-table"),
    ):
        image = vhdx(2 * MIB, {0: (0, b"a" * MIB)}, headers=headers, tables=tables)
        assert read(opened(image)) == GUEST
        assert warned(image) == [kind]
        assert check(image) == ["checksum"]
    assert warned(ONE) == check(ONE) == []


def test_headers_of_one_sequence_have_to_be_one() -> None:
    assert read(opened(vhdx(MIB, {}, headers=(header(3), header(3))))) == bytes(MIB)
    with pytest.raises(CorruptError, match="one sequence"):
        opened(vhdx(MIB, {}, headers=(header(3), header(3, content=LOG))))


def test_the_header_of_the_higher_sequence_counts() -> None:
    for pair in ((header(9), header(8, content=LOG)), (header(1, content=LOG), header(2))):
        assert opened(vhdx(MIB, {}, headers=pair)).info["data_write_guid"] == maker.CONTENT


def regions(*rows: tuple[str, int, int, int], count: int | None = None) -> bytes:
    table = maker.regions(rows, count)
    return vhdx(2 * MIB, {}, tables=(table, table))


def item(kind: str, content: bytes) -> bytes:
    return vhdx(2 * MIB, {}, items={kind: content})


BAT, META = (maker.BAT_ROW, BAT_AT, MIB, 1), (maker.META_ROW, META_AT, MIB, 1)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (vhdx(MIB, {}, headers=(torn(header(1)), torn(header(2)))), ChecksumError),
        (vhdx(MIB, {}, tables=(torn(maker.REGIONS), torn(maker.REGIONS))), ChecksumError),
        (vhdx(MIB, {}, headers=(header(1), header(2, version=2))), UnsupportedError),
        (vhdx(MIB, {}, headers=(header(1), header(2, log=LOG, log_version=1))), UnsupportedError),
        (regions(BAT, META, (LOG, FIRST, 0, 1)), UnsupportedError),
        (regions(BAT), CorruptError),
        (regions(META), CorruptError),
        (regions(BAT, META, META), CorruptError),
        (regions(BAT, (maker.META_ROW, META_AT + 512, 65536, 1)), CorruptError),
        (regions(BAT, (maker.META_ROW, 0, MIB, 1)), CorruptError),
        (regions(BAT, (maker.META_ROW, 1 << 50, MIB, 1)), TruncatedError),
        (regions(BAT, META, count=2048), CorruptError),
        (regions((maker.BAT_ROW, BAT_AT, 8, 1), META), CorruptError),
        (item(LOG, b""), UnsupportedError),
        (item(maker.SIZE, struct.pack("<Q", MIB + 1)), CorruptError),
        (item(maker.SIZE, struct.pack("<Q", (64 << 40) + 512)), CorruptError),
        (item(maker.SIZE, struct.pack("<Q", 64 << 40)), CorruptError),
        (item(maker.SIZE, b"1234"), CorruptError),
        (item(maker.LOGICAL, struct.pack("<I", 1024)), CorruptError),
        (item(maker.PARAMETERS, struct.pack("<II", 3 * MIB, 0)), CorruptError),
        (item(maker.PARAMETERS, struct.pack("<II", MIB // 2, 0)), CorruptError),
        (item(maker.PARAMETERS, struct.pack("<II", 512 * MIB, 0)), CorruptError),
        (b"vhdxfile", TruncatedError),
        (b"vhdxfils", CorruptError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


def test_an_unknown_region_that_is_not_required_is_let_be() -> None:
    assert read(opened(regions(BAT, META, (LOG, 1 << 60, 0, 0)))) == bytes(2 * MIB)


@pytest.mark.parametrize(
    ("entry", "error"),
    [(4, CorruptError), (FIRST | 5, CorruptError), (FIRST | 7, CorruptError), (6, CorruptError),
     (1 << 50 | 6, TruncatedError), (1 << 63 | 6, CorruptError)],
)  # fmt: skip
def test_a_wrong_entry_is_an_error_of_its_own_bytes_alone(
    entry: int, error: type[Exception]
) -> None:
    image = ONE[: BAT_AT + 8] + struct.pack("<Q", entry) + ONE[BAT_AT + 16 :]
    assert read(opened(image), 0, MIB) == GUEST[:MIB]
    with pytest.raises(error):
        read(opened(image), MIB - 1)
    assert check(image)


def test_check_names_what_shares_bytes_or_lies_past_the_end() -> None:
    for entry, kinds in (
        (FIRST | 6, ["corrupt"]), (BAT_AT | 6, ["corrupt"]), (LOG_AT | 6, ["corrupt"]),
        (FIRST + MIB | 6, ["truncated"]), (3, []),
    ):  # fmt: skip
        image = ONE[: BAT_AT + 8] + struct.pack("<Q", entry) + ONE[BAT_AT + 16 :]
        assert check(image) == kinds, entry


LINK = {"parent_linkage": f"{{{maker.CONTENT}}}"}
NAMED = {**LINK, "relative_path": ".\\base.vhdx"}
BASE = vhdx(3 * MIB, {0: (0, b"b" * MIB), 1: (1, b"c" * MIB)}, end=FIRST + 2 * MIB)


def child(names: dict[str, str] = NAMED, sector: int = 512, content: str = LOG) -> bytes:
    per = MIB // sector
    return vhdx(
        3 * MIB, {1: (0, b"d" * MIB), 2: (1, b"e" * MIB)}, flags=2, sector=sector,
        states={1: 7}, bitmaps={0: (2, [per, per + 7, 2 * per - 1])}, parent=names,
        headers=(header(1, content=content), header(2, content=content)),
    )  # fmt: skip


def merged(sector: int) -> bytes:
    part = bytearray(b"c" * MIB)
    for at in (0, 7 * sector, MIB - sector):
        part[at : at + sector] = b"d" * sector
    return b"b" * MIB + part + b"e" * MIB


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_differencing_disk_reads_over_its_parent(sector: int) -> None:
    gate = OpenGate(parents={".\\base.vhdx": opened(BASE)})
    device = opened(child(sector=sector), gate)
    assert gate.asked == [(".\\base.vhdx", "parent", "vhdx")]
    lawful(device)
    assert read(device) == merged(sector)
    for start, stop in pairwise([0, MIB, MIB + 100, MIB + sector, 2 * MIB - 1, 3 * MIB]):
        assert read(device, start, stop) == merged(sector)[start:stop]
    assert gate.warnings == []
    assert check(child(sector=sector)) == []


def test_a_chain_of_three_with_partial_blocks_reads_whole() -> None:
    middle = opened(child(), OpenGate(parents={".\\base.vhdx": opened(BASE)}))
    top = vhdx(
        3 * MIB, {1: (0, b"x" * MIB)}, flags=2, states={1: 7}, bitmaps={0: (1, [2048 + 1])},
        parent={"parent_linkage": f"{{{LOG}}}", "relative_path": "m.vhdx"},
    )  # fmt: skip
    whole = bytearray(merged(512))
    whole[MIB + 512 : MIB + 1024] = b"x" * 512
    assert read(opened(top, OpenGate(parents={"m.vhdx": middle}))) == whole


def test_a_parent_of_other_content_is_corrupt() -> None:
    for link in (LOG, "nonsense"):
        names = {**NAMED, "parent_linkage": link}
        with pytest.raises(CorruptError, match="made over"):
            opened(child(names), OpenGate(parents={".\\base.vhdx": opened(BASE)}))
    second = {**NAMED, "parent_linkage": LOG, "parent_linkage2": f"{{{maker.CONTENT}}}"}
    assert opened(child(second), OpenGate(parents={".\\base.vhdx": opened(BASE)})).size == 3 * MIB


def test_a_parent_has_to_be_allowed_and_named() -> None:
    with pytest.raises(RefusedReferenceError):
        opened(child())
    with pytest.raises(CorruptError, match="names no parent"):
        opened(child(LINK))
    with pytest.raises(LimitError):
        opened(child({**LINK, "relative_path": "x" * 3000}))


def test_names_are_believed_in_order() -> None:
    names = {"absolute_win32_path": "C:\\b", "volume_path": "\\\\?\\b", "relative_path": "b"}
    while names:
        gate = OpenGate(listing=True)
        opened(child({**LINK, **names}), gate)
        assert gate.asked == [(names.popitem()[1], "parent", "vhdx")]


def test_a_layer_alone_leaves_bytes_absent() -> None:
    kinds = [row.kind for row in extents(opened(child(), OpenGate(listing=True)))]
    absent, data = Kind.ABSENT, Kind.DATA
    assert kinds == [absent, data, absent, data, absent, data]


def test_a_block_in_part_present_needs_a_bitmap() -> None:
    lost = vhdx(MIB, {0: (0, b"d")}, flags=2, states={0: 7}, parent=NAMED)
    with pytest.raises(CorruptError, match="bitmap"):
        read(opened(lost, OpenGate(listing=True)))


def test_a_chain_of_files_opens_with_its_siblings(tmp_path: Path) -> None:
    (tmp_path / "base.vhdx").write_bytes(BASE)
    (tmp_path / "child.vhdx").write_bytes(child())
    with pytest.raises(RefusedReferenceError):
        diskimage.open(tmp_path / "child.vhdx")
    with diskimage.open(tmp_path / "child.vhdx", references="siblings") as image:
        assert image.read(0, image.size) == merged(512)


@pytest.mark.parametrize("options", ["subformat=dynamic", "subformat=fixed"])
def test_qemu_img_images_read_right(options: str, tmp_path: Path, peer: Peer) -> None:
    content = noise(MIB, 2) + bytes(3 * MIB) + noise(MIB, 3) + bytes(512)
    raw, image = tmp_path / "a.raw", tmp_path / "a.vhdx"
    raw.write_bytes(content)
    convert = [peer("qemu-img"), "convert", "-f", "raw", "-O", "vhdx"]
    options += ",block_size=1M"
    subprocess.run([*convert, "-o", options, raw, image], check=True, capture_output=True)
    with diskimage.open(image) as found:
        assert found.format == "vhdx"
        lawful(found.device)
        assert found.read(0, found.size) == content
        assert list(found.problems()) == []


LOGGED = vhdx(
    2 * MIB, {0: (0, b"a" * MIB)}, headers=(header(1), header(2, log=LOG)),
    log=log_entry(4, [(BAT_AT, 4096), (FIRST, 4096)]),
)  # fmt: skip
SMALL = [ONE, child(), LOGGED]
FIELDS = [
    *range(65536, 65616), *range(131072, 131152), *range(196608, 196688),
    *range(META_AT, META_AT + 256), *range(META_AT + 65536, META_AT + 65800),
    *range(BAT_AT, BAT_AT + 24), *range(LOG_AT, LOG_AT + 128),
]  # fmt: skip


@given(st.sampled_from(SMALL), st.sampled_from(FIELDS), st.binary(min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(image: bytes, at: int, wrong: bytes) -> None:
    damaged = bytearray(image[:at] + wrong + image[at + len(wrong) :])
    damaged[65536:69632] = maker.summed(bytes(damaged[65536:69632]))
    damaged[131072:135168] = maker.summed(bytes(damaged[131072:135168]))
    if 196608 <= at < 262144:
        damaged[196608:262144] = maker.summed(bytes(damaged[196608:262144]))
    if LOG_AT <= at < META_AT:
        damaged[LOG_AT : LOG_AT + 8192] = maker.summed(bytes(damaged[LOG_AT : LOG_AT + 8192]))
    with suppress(DiskImageError):
        check(bytes(damaged))
    with suppress(DiskImageError):
        device = opened(bytes(damaged), OpenGate(listing=True))
        lawful(device, 0, min(device.size, 1 << 33))
