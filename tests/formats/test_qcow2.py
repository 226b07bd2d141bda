"""qcow2 read and checked: images of an independent maker."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.engine.read import Reader, read_into
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    PasswordError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.qcow2 import FORMAT
from diskimage.formats.qcow2.check import check
from diskimage.layers.blank import Blank
from diskimage.model import Extent, Finding, Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, lawful, read
from tests.makers.qcow2 import COPIED, Cluster, Maker, edited, entry_at, patched

C9 = 512


ALONE = Alone(FORMAT)
opened = ALONE.opened


def findings(image: bytes) -> list[Finding]:
    return list(check(MemorySource(image), OpenGate()))


def kinds(image: bytes) -> set[str]:
    return {finding.kind for finding in findings(image)}


def soft(size: int, seed: int = 0) -> bytes:
    """Bytes that compress."""
    return bytes(random.Random(seed).choices(b"abcd", k=size))


def flat(content: bytes) -> Rows:
    return Rows([Extent(0, len(content), Kind.DATA, source=MemorySource(content))])


@st.composite
def makers(draw: st.DrawFn) -> tuple[Maker, list[bytes | None]]:
    """A maker and its guest clusters, None for one that is not allocated."""
    version = draw(st.sampled_from([2, 3]))
    bits = draw(st.sampled_from([9, 10, 12]))
    cluster = 1 << bits
    count = draw(st.integers(0, 200))
    chance = random.Random(draw(st.integers(0, 1 << 16)))
    sorts = ["none", "data", "coded"] + ["zero", "zero-kept"] * (version == 3)
    clusters, guest = {}, []
    for number in range(count):
        kind = chance.choice(sorts)
        content: bytes | None = None
        if kind != "none":
            content = soft(cluster, number) if kind in ("data", "coded") else bytes(cluster)
            stale = noise(cluster) if kind == "zero-kept" else content
            clusters[number] = Cluster(kind, stale)
        guest.append(content)
    maker = Maker(
        max(0, count * cluster - draw(st.sampled_from([0, 0, 512, 100]))), clusters, bits=bits,
        version=version, zstd=version == 3 and draw(st.booleans()),
        order=draw(st.integers(4, 6)) if version == 3 else 4, seed=chance.randrange(99),
    )  # fmt: skip
    return maker, guest


@given(makers(), st.data())
@settings(max_examples=60)
def test_any_layout_reads_right_and_checks_clean(
    made: tuple[Maker, list[bytes | None]], data: st.DataObject
) -> None:
    maker, guest = made
    image = maker.image()
    expected = b"".join(c if c is not None else bytes(1 << maker.bits) for c in guest)
    device = opened(image)
    lawful(device)
    assert read(device) == expected[: maker.size]
    start = data.draw(st.integers(0, maker.size))
    stop = data.draw(st.integers(start, maker.size))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]
    assert findings(image) == []


@given(makers())
@settings(max_examples=30)
def test_unallocated_clusters_are_the_backing_s(made: tuple[Maker, list[bytes | None]]) -> None:
    maker, guest = made
    maker.backing, maker.extensions = b"base.raw", [(0xE2792ACA, b"raw")]
    below = noise(maker.size // 2 + 1, 5)
    cluster = 1 << maker.bits
    gate = OpenGate(parents={"base.raw": flat(below)})
    device = opened(maker.image(), gate)
    under = below.ljust(len(guest) * cluster, b"\0")
    expected = b"".join(
        under[i * cluster : (i + 1) * cluster] if c is None else c for i, c in enumerate(guest)
    )
    lawful(device)
    assert read(device) == expected[: maker.size]
    assert gate.asked == [("base.raw", "backing", "raw")]


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=5))
def test_subclusters_read_one_by_one(bitmaps: list[tuple[int, int]]) -> None:
    bits, part = 14, 512
    clusters, expected = {}, b""
    for number, (allocated, mask) in enumerate(bitmaps):
        zeroed = mask & ~allocated
        content = noise(1 << bits, number)
        kind = "data" if allocated else "zero"
        clusters[number] = Cluster(kind, content, allocated, zeroed)
        for i in range(32):
            piece = content[i * part : (i + 1) * part]
            expected += piece if allocated >> i & 1 else bytes(part)
    image = Maker(len(expected), clusters, bits=bits, extended=True, seed=3).image()
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    assert findings(image) == []


def test_subclusters_over_a_backing() -> None:
    below = noise(1 << 14, 9)
    image = Maker(
        1 << 14, {0: Cluster("data", noise(1 << 14), 0b0011, 0b0100)}, bits=14, extended=True,
        backing=b"b", extensions=[(0xE2792ACA, b"raw")],
    ).image()  # fmt: skip
    device = opened(image, OpenGate(parents={"b": flat(below)}))
    assert read(device) == noise(1 << 14)[:1024] + bytes(512) + below[1536:]


def test_compressed_clusters_among_subclusters() -> None:
    plain = soft(1 << 14)
    image = Maker(1 << 15, {1: Cluster("coded", plain)}, bits=14, extended=True, zstd=True).image()
    assert read(opened(image)) == bytes(1 << 14) + plain
    assert findings(image) == []


def test_an_external_data_file_holds_guest_bytes_at_their_place() -> None:
    outside = noise(4 * 65536)
    image = Maker(
        4 * 65536, {0: Cluster("data"), 2: Cluster("data"), 3: Cluster("zero")}, outside=True,
        extensions=[(0x44415441, b"guest.raw")],
    ).image()  # fmt: skip
    gate = OpenGate(sources={"guest.raw": MemorySource(outside)})
    device = opened(image, gate)
    zeros = bytes(65536)
    assert read(device) == outside[:65536] + zeros + outside[131072:196608] + zeros
    assert gate.asked == [("guest.raw", "data-file", None)]
    assert device.info["data_file"] == "guest.raw"
    assert findings(image) == []


def test_references_can_be_listed_without_opening_them() -> None:
    overlay = Maker(
        131072, {0: Cluster("data", b"x" * 65536)}, backing=b"b", extensions=[(0xE2792ACA, b"raw")]
    ).image()
    gate = OpenGate(listing=True)
    rows = list(extents(opened(overlay, gate)))
    assert [row.kind for row in rows] == [Kind.DATA, Kind.ABSENT]
    assert gate.asked == [("b", "backing", "raw")]


def test_a_data_file_that_was_not_opened_has_places_and_no_bytes() -> None:
    outside = Maker(
        3 * 65536, {1: Cluster("data")}, outside=True, backing=b"b",
        extensions=[(0x44415441, b"d"), (0xE2792ACA, b"raw")],
    ).image()  # fmt: skip
    gate = OpenGate(listing=True)
    device = opened(outside, gate)
    assert [row.kind for row in extents(device)] == [Kind.ABSENT, Kind.DATA, Kind.ABSENT]
    assert gate.asked == [("d", "data-file", None), ("b", "backing", "raw")]
    with pytest.raises(RefusedReferenceError, match="was not opened"):
        read_into(device, 65536, memoryview(bytearray(512)), Reader())


def test_a_backing_of_unsaid_format_is_refused() -> None:
    image = Maker(65536, backing=b"b.img").image()
    with pytest.raises(RefusedReferenceError):
        opened(image, OpenGate(parents={"b.img": Blank(65536)}))


def test_version_2_has_extensions_where_version_3_has_features() -> None:
    image = Maker(65536, version=2, backing=b"b", extensions=[(0xE2792ACA, b"qcow2")]).image()
    device = opened(image, OpenGate(parents={"b": Blank(65536)}))
    assert device.info["backing_format"] == "qcow2"
    assert device.info["data_file"] is None


def test_info_says_what_the_header_says() -> None:
    image = Maker(
        65536, {0: Cluster("data", b"x")}, zstd=True, order=3, compatible=1,
        snapshots=[b"one", b"\x1b[31mred"], extensions=[(0x12345678, b"what")],
    ).image()  # fmt: skip
    info = opened(image).info
    assert info["variant"] == "v3, 64 KiB clusters, zstd"
    assert info["refcount_bits"] == 8
    assert info["features"] == ["compression type", "lazy refcounts"]
    assert info["extensions"] == ["0x12345678"]
    rows = info["snapshots"]
    assert isinstance(rows, list)
    assert [(row["id"], row["name"]) for row in rows] == [("0", "one"), ("1", "\x1b[31mred")]
    assert rows[0]["disk_size"] == 65536
    assert findings(image) == []


def test_snapshots_of_compressed_clusters_check_clean() -> None:
    clusters = {i: Cluster("coded", soft(C9, i)) for i in range(40)}
    clusters |= {i: Cluster("data", noise(C9, i)) for i in range(40, 50)}
    image = Maker(64 * C9, clusters, bits=9, snapshots=[b"a", b"b"]).image()
    assert findings(image) == []


def test_dirty_and_corrupt_are_warnings_of_a_reader() -> None:
    gate = OpenGate()
    opened(Maker(65536, incompatible=3).image(), gate)
    assert [finding.kind for finding in gate.warnings] == ["dirty", "corrupt"]


PLAIN = Maker(4 * 65536, {i: Cluster("data", noise(65536, i)) for i in range(2)}).image()
FEATURE_ROW = bytes([0, 40]) + b"time travel".ljust(46, b"\0")


@pytest.mark.parametrize(
    ("image", "error", "text"),
    [
        (patched(PLAIN, 4, 1), UnsupportedError, "version 1"),
        (patched(PLAIN, 4, 4), UnsupportedError, "version 4"),
        (patched(PLAIN, 20, 8), CorruptError, "2.8 bytes"),
        (patched(PLAIN, 20, 22), CorruptError, "2.22 bytes"),
        (patched(PLAIN, 24, (1 << 63) - 1, 8), LimitError, "guest_size"),
        (patched(PLAIN, 24, 1 << 40, 8), CorruptError, "L1 entries"),
        (patched(PLAIN, 32, 1), PasswordError, "AES"),
        (patched(PLAIN, 32, 2), CorruptError, "without a LUKS header"),
        (patched(PLAIN, 32, 3), UnsupportedError, "method 3"),
        (patched(PLAIN, 36, 0xFFFFFFFF), LimitError, "l1_table"),
        (patched(PLAIN, 40, 65536 + 8, 8), CorruptError, "aligned"),
        (patched(PLAIN, 40, 0, 8), CorruptError, "header"),
        (patched(PLAIN, 40, 1 << 40, 8), TruncatedError, "L1"),
        (patched(PLAIN, 60, 0xFFFFFFFF), LimitError, "snapshots"),
        (patched(PLAIN, 60, 1), TruncatedError, "snapshot|feature"),
        (patched(PLAIN, 8, 1 << 20, 8), CorruptError, "backing"),
        (patched(PLAIN, 72, 1 << 40, 8), UnsupportedError, "40 .no name"),
        (
            Maker(65536, incompatible=1 << 40, extensions=[(0x6803F857, FEATURE_ROW)]).image(),
            UnsupportedError,
            "40 .time travel",
        ),
        (patched(PLAIN, 72, 8, 8), CorruptError, "compression type 0"),
        (patched(PLAIN, 104, 1, 1), CorruptError, "compression type 1"),
        (patched(PLAIN, 104, 2, 1), UnsupportedError, "compression type 2"),
        (patched(PLAIN, 72, 4, 8), CorruptError, "without a name"),
        (patched(PLAIN, 96, 7), CorruptError, "2.7 bits"),
        (patched(PLAIN, 100, 96), CorruptError, "96 bytes"),
        (patched(PLAIN, 100, 0xFFFFFFF8), CorruptError, "4294967288"),
        (patched(PLAIN, 112, 0x12345678) and patched(patched(PLAIN, 112, 5), 116, 1 << 31),
         CorruptError, "extension"),
        (patched(Maker(4096, bits=9).image(), 72, 16, 8), CorruptError, "extended"),
        (PLAIN[:60], TruncatedError, "header"),
        (PLAIN[:80], TruncatedError, "header"),
        (PLAIN[:100], TruncatedError, "header"),
    ],
)  # fmt: skip
def test_each_wrong_field_has_its_error(
    image: bytes, error: type[DiskImageError], text: str
) -> None:
    if text == "snapshot|feature":
        image = patched(image, 64, 1 << 40, 8)
    with pytest.raises(error, match=text):
        opened(image)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda entry: entry + 512, CorruptError),
        (lambda entry: entry | 1 << 60, CorruptError),
        (lambda _: COPIED | 1 << 40, TruncatedError),
        (lambda _: 1 << 62 | 1 << 40, TruncatedError),
    ],
)
def test_a_wrong_entry_fails_where_it_is_read(
    change: Callable[[int], int], error: type[DiskImageError]
) -> None:
    device = opened(edited(PLAIN, 1, change))
    assert read(device, 0, 65536) == noise(65536, 0)
    with pytest.raises(error):
        read(device, 65536, 65537)


def test_a_zero_flag_in_version_2_is_corrupt() -> None:
    image = edited(Maker(65536, {0: Cluster("data", b"x")}, version=2).image(), 0, lambda _: 1)
    with pytest.raises(CorruptError, match="reserved"):
        read(opened(image))


def test_a_cluster_cut_by_the_end_is_truncated_unless_the_guest_ends_there() -> None:
    size = 65536 + 1000
    clusters = {0: Cluster("data", b"a" * 65536), 1: Cluster("data", b"b" * 1000)}
    whole = Maker(size, clusters).image()
    at = int.from_bytes(whole[entry_at(whole, 1) :][:8], "big") & ~COPIED
    moved = edited(whole + b"b" * 1000, 1, lambda _: COPIED | len(whole))
    assert read(opened(moved)) == b"a" * 65536 + b"b" * 1000
    with pytest.raises(TruncatedError, match=f"guest byte {65536 + 999}"):
        read(opened(moved[:-1]))
    assert "truncated" in kinds(moved[:-1])
    assert "truncated" not in kinds(moved)
    assert at < len(whole)


def test_an_unreadable_l2_table_fails_where_it_is_needed() -> None:
    maker = Maker(300 * C9, {0: Cluster("data", b"a"), 100: Cluster("data", b"b")}, bits=9)
    image = maker.image()
    l1_at = int.from_bytes(image[40:48], "big")
    for entry, error in ((COPIED | 1 << 45, TruncatedError), (COPIED | 8, CorruptError)):
        broken = opened(patched(image, l1_at + 8, entry, 8))
        assert read(broken, 0, 64 * C9)[:1] == b"a"
        with pytest.raises(error):
            read(broken, 64 * C9, 65 * C9)


@pytest.mark.parametrize(
    ("image", "kind", "text"),
    [
        (edited(PLAIN, 1, lambda e: e & ~COPIED), "corrupt", "copied flag is clear"),
        (edited(PLAIN, 1, lambda _: 0), "leak", "refcount 1 and 0 references"),
        (edited(PLAIN, 1, lambda e: e - 65536), "corrupt", "refcount 1 and 2 references"),
        (edited(PLAIN, 1, lambda _: COPIED | 1 << 40), "truncated", "past the end"),
        (edited(PLAIN, 1, lambda e: e | 512), "corrupt", "not aligned"),
        (edited(PLAIN, 1, lambda e: e | 1 << 59), "corrupt", "reserved"),
        (edited(PLAIN, 1, lambda _: COPIED | entry_at(PLAIN, 0)), "corrupt", "overlaps l2"),
        (patched(PLAIN, 48, 0, 8), None, "refcount table"),
        (patched(PLAIN, 56, 1 << 31), None, "refcount_table"),
        (patched(PLAIN, 56, 0), "corrupt", "no refcount table"),
        (patched(PLAIN, 72, 2, 8), "corrupt", "marked"),
    ],
)
def test_check_names_what_is_wrong(image: bytes, kind: str | None, text: str) -> None:
    if kind is None:
        with pytest.raises(DiskImageError, match=text):
            findings(image)
        return
    assert any(f.kind == kind and text in f.message for f in findings(image)), findings(image)


def test_an_l2_table_that_is_the_l1_table_is_an_overlap() -> None:
    l1_at = int.from_bytes(PLAIN[40:48], "big")
    assert "corrupt" in kinds(patched(PLAIN, l1_at, COPIED | l1_at, 8))


SMALL = [
    Maker(90 * C9, {i: Cluster("coded", soft(C9, i)) for i in range(0, 90, 3)}, bits=9).image(),
    Maker(
        90 * C9, {i: Cluster("coded" if i % 2 else "data", soft(C9, i)) for i in range(70)},
        bits=9, zstd=True, snapshots=[b"one"], order=5, backing=b"b",
        extensions=[(0xE2792ACA, b"raw"), (0x6803F857, FEATURE_ROW)],
    ).image(),
    Maker(90 * C9, {5: Cluster("data", noise(C9))}, bits=9, version=2).image(),
    Maker(
        1 << 16, {1: Cluster("data", noise(1 << 14), 0xFFFF, 0xF0000), 2: Cluster("zero")}, bits=14,
        extended=True,
    ).image(),
]  # fmt: skip


@given(st.sampled_from(SMALL), st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(image: bytes, data: st.DataObject) -> None:
    places = st.integers(0, 119) | st.integers(0, len(image) - 1)
    at, wrong = data.draw(places), data.draw(st.binary(min_size=1, max_size=8))
    damaged = image[:at] + wrong + image[at + len(wrong) :]
    with suppress(DiskImageError):
        findings(damaged)
    with suppress(DiskImageError):
        device = opened(damaged, OpenGate(parents={"b": Blank(1 << 16)}))
        lawful(device)
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size
