"""E01, s01 and Ex01: sets of an independent maker read here, and what is wrong with them told."""

from __future__ import annotations

import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    ChangedError,
    ChecksumError,
    ContentError,
    CorruptError,
    DiskImageError,
    IoError,
    LimitError,
    MissingError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.e01.chunks import EITHER, Entries, Last
from diskimage.formats.e01.layout import Table
from diskimage.formats.e01.names import segment_name
from diskimage.model import Extent, Kind
from diskimage.sources.memory import MemorySource
from tests.makers.e01 import CODED, FILL, MIXED, PLAIN, SMALL, Shape, content, e01, ex01, summed
from tests.makers.gate import OpenGate

GUEST = content()
SET = replace(SMALL, kinds=MIXED, table=5)


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / next(iter(files))


def guest_of(path: Path) -> bytes:
    with diskimage.open(path) as image:
        return image.read(0, image.size)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_set_reads_right(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    sectors = data.draw(st.integers(1, 40))
    guest = content(sectors)
    shape = Shape(
        per_chunk=data.draw(st.sampled_from([1, 2, 3, 8])),
        kinds=data.draw(st.lists(st.sampled_from([CODED, PLAIN]), min_size=1, max_size=8)),
        table=data.draw(st.integers(1, 12)),
        segment=data.draw(st.integers(1, 12)),
        padded=data.draw(st.booleans()),
        base=data.draw(st.booleans()),
        copies=data.draw(st.booleans()),
    )
    second = data.draw(st.booleans())
    if second:
        shape = replace(
            shape, sums=data.draw(st.booleans()), bzip2=data.draw(st.booleans()), padded=False
        )
    elif data.draw(st.booleans()):
        shape = replace(shape, smart=True)
    folder = tmp_path_factory.mktemp("set")
    path = written((ex01 if second else e01)(guest, shape), folder)
    assert guest_of(path) == guest
    assert diskimage.check(path).ok


def test_info_tells_the_case(tmp_path: Path) -> None:
    with diskimage.open(written(e01(GUEST, SET), tmp_path)) as image:
        told = dict(image.info)
    assert told["case_number"] == "seven"
    assert told["description"] == "disk"
    assert (told["chunk_size"], told["segments"], told["sector_size"]) == (2048, 1, 512)
    assert len(str(told["md5"])) == 32
    assert len(str(told["sha1"])) == 40


LONG = replace(SMALL, per_chunk=1, segment=1)


def test_a_set_of_200_segments_holds_few_files_open(tmp_path: Path) -> None:
    guest = content(200)
    files = e01(guest, replace(LONG, kinds=(PLAIN, CODED)))
    renamed = {segment_name("a.E01", n): data for n, data in enumerate(files.values(), 1)}
    path = written({str(name): data for name, data in renamed.items()}, tmp_path)
    assert len(renamed) == 200
    assert (tmp_path / "a.EDW").exists()
    with diskimage.open(path) as image:
        assert image.read(0, image.size) == guest
        assert image.read(0, image.size) == guest
        if sys.platform == "linux":
            links = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
            held = [str(link.readlink()) for link in links]
            assert 33 <= sum(str(tmp_path) in name for name in held) <= 65
        image.unchanged()
        other = tmp_path / "other"
        other.write_bytes(files["a.E50"])
        other.replace(tmp_path / "a.E50")
        with pytest.raises(ChangedError):
            image.unchanged()


def test_segments_are_named_as_the_first_is() -> None:
    names = {n: segment_name("x.E01", n) for n in (1, 2, 99, 100, 125, 126, 775, 776)}
    assert list(names.values()) == [
        "x.E01", "x.E02", "x.E99", "x.EAA", "x.EAZ", "x.EBA", "x.EZZ", "x.FAA",
    ]  # fmt: skip
    assert segment_name("x.e01", 776) == "x.faa"
    assert segment_name("x.s01", 100) == "x.saa"
    assert segment_name("x.Ex01", 100) == "x.ExAA"
    assert segment_name("x.Ex01", 776) == "x.EyAA"
    assert segment_name("x.E01", 99 + 22 * 676) == "x.ZZZ"
    assert segment_name("x.E01", 100 + 22 * 676) is None
    assert segment_name("x.dd", 2) is None


def test_a_neighbour_is_no_segment(tmp_path: Path) -> None:
    path = written(e01(GUEST, replace(SET, segment=9)), tmp_path)
    for name in ("a.TXT", "a.ETA", "a.E99", "a.F01"):
        (tmp_path / name).write_bytes(b"notes")
    assert guest_of(path) == GUEST


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    path = written(e01(GUEST, replace(SET, segment=9)), tmp_path)
    (tmp_path / "a.E02").unlink()
    with pytest.raises(MissingError, match=r"a\.E02"):
        diskimage.open(path)


def test_parts_are_refused_where_the_caller_says_so(tmp_path: Path) -> None:
    path = written(e01(GUEST, replace(SET, segment=9)), tmp_path)
    with pytest.raises(RefusedReferenceError):
        diskimage.open(path, references="none")


def test_segments_of_another_number_or_set_are_refused(tmp_path: Path) -> None:
    files = e01(GUEST, replace(SET, segment=9))
    path = written(files, tmp_path)
    with pytest.raises(CorruptError, match="segment 2"):
        diskimage.open(path.with_name("a.E02"))
    third = bytearray(files["a.E03"])
    at = third.index(bytes(range(16)))
    third[at] ^= 1
    volume = at - 64
    third[volume + 1048 : volume + 1052] = struct.pack(
        "<I", zlib.adler32(third[volume : volume + 1048])
    )
    path.with_name("a.E03").write_bytes(third)
    with pytest.raises(CorruptError, match="another set"):
        diskimage.open(path)


@pytest.mark.parametrize("kind", [CODED, PLAIN])
@pytest.mark.parametrize("make", [e01, ex01])
def test_a_flipped_byte_is_never_handed_out(kind: str, make: object, tmp_path: Path) -> None:
    assert callable(make)
    files = make(GUEST, replace(SMALL, kinds=(kind,)))
    name, image = next(iter(files.items()))
    stored = (zlib.compress if kind == CODED else summed)(GUEST[6144:8192])
    at = image.index(stored) + len(stored) // 2
    path = tmp_path / name
    path.write_bytes(image[:at] + bytes([image[at] ^ 0x40]) + image[at + 1 :])
    with diskimage.open(path) as opened:
        assert opened.read(0, 6144) == GUEST[:6144]
        with pytest.raises(ChecksumError if kind == PLAIN else CorruptError):
            opened.read(7000, 1)
        assert opened.read(8192, 4096) == GUEST[8192:12288]
    problems = diskimage.check(path).problems
    assert [one.message.partition(":")[0] for one in problems] == ["chunk 3"]


def test_a_wrong_hash_is_the_third_verdict(tmp_path: Path) -> None:
    path = written(e01(GUEST, SET), tmp_path)
    image = bytearray(path.read_bytes())
    at = image.rindex(b"hash\0") + 76
    image[at : at + 36] = summed(bytes(32))
    path.write_bytes(image)
    problems = diskimage.check(path).problems
    assert {(one.kind, one.part) for one in problems} == {("checksum", "whole")}


def damaged(image: bytes, kinds: tuple[bytes, ...], skip: int) -> bytes:
    """`image` with a byte of the content of each first section of `kinds` changed."""
    out = bytearray(image)
    for kind in kinds:
        out[image.index(kind + bytes(16 - len(kind))) + 76 + skip] ^= 1
    return bytes(out)


@pytest.mark.parametrize("skip", [20, 24])
def test_the_copy_of_a_table_is_there_to_be_used(skip: int, tmp_path: Path) -> None:
    (name, image), *_ = e01(GUEST, SET).items()
    path = tmp_path / name
    for kind in (b"table", b"table2"):
        path.write_bytes(damaged(image, (kind,), skip))
        with diskimage.open(path) as opened:
            assert opened.read(0, opened.size) == GUEST
            told = [one.kind for one in opened.warnings]
        assert told == ["checksum"] or (kind == b"table2" and skip == 24)
        found = diskimage.check(path)
        assert found.problems or found.warnings
    path.write_bytes(damaged(image, (b"table", b"table2"), skip))
    with pytest.raises(ChecksumError):
        diskimage.open(path)


FAULTS = ((3, 2), (20, 9))


@pytest.mark.parametrize("make", [e01, ex01])
def test_unreadable_sectors_are_bad_extents(make: object, tmp_path: Path) -> None:
    assert callable(make)
    path = written(make(GUEST, replace(SET, faults=FAULTS)), tmp_path)
    with diskimage.open(path) as image:
        bad = [(row.start, row.length) for row in image.extents() if row.kind == Kind.BAD]
        assert bad == [(1536, 1024), (10240, 4608)]
        assert image.read(0, 1536) == GUEST[:1536]
        with pytest.raises(IoError):
            image.read(0, 1537)
        assert image.info["unreadable"] == 5632
    assert {one.kind for one in diskimage.check(path).problems} == {"io"}
    again = tmp_path / "b.E01"
    diskimage.convert(path, again, chunk="16K")
    with diskimage.open(again) as image:
        assert [(row.start, row.length) for row in image.extents() if row.kind == Kind.BAD] == bad
        assert image.read(14848, 2048) == GUEST[14848:16896]


def test_entries_that_go_back_are_32_bits_of_place() -> None:
    """As EnCase 6.7.1 wrote them past 2 GiB."""
    places = [100, 0x7FFF0000, 0x80000100, 0x80001104]
    raw = struct.pack("<4I", places[0] | 1 << 31, *places[1:])
    source = MemorySource(raw)
    entries = Entries(source, OpenGate(), 4096, Last(99, 4096))
    table = Table(0, 4, 0, 0, 0, 0x80002108, zlib.adler32(raw))
    columns = entries.columns(table)
    assert list(columns.at) == places
    assert list(columns.stored)[1:] == [4100, 4100, 4100]
    assert columns.code[1:] == bytes([EITHER]) * 3


def cut(image: bytes, section: bytes) -> bytes:
    return image[: image.rindex(section + b"\0")]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (b"LVF\x09\x0d\x0a\xff\0" + bytes(600), UnsupportedError),
        (b"LEF2\x0d\x0a\x81\0" + bytes(600), UnsupportedError),
        (b"ADCRYPT\0" + bytes(600), UnsupportedError),
        (cut(e01(GUEST, SET)["a.E01"], b"done"), TruncatedError),
        (cut(e01(GUEST, SET)["a.E01"], b"table2"), TruncatedError),
        (ex01(GUEST, SET)["a.Ex01"][:-1], ChecksumError),
        (ex01(GUEST, SET)["a.Ex01"][:40], ContentError),
    ],
)
def test_what_cannot_be_read_is_refused(
    image: bytes, error: type[DiskImageError], tmp_path: Path
) -> None:
    path = tmp_path / ("a.Ex01" if image[:4] == b"EVF2" else "a.E01")
    path.write_bytes(image)
    with pytest.raises(error):
        diskimage.open(path)


def test_encrypted_files_of_version_2_are_named(tmp_path: Path) -> None:
    (name, image), *_ = ex01(GUEST, SET).items()
    head = bytearray(image[-64:-4])
    head[4] |= 2
    path = tmp_path / name
    path.write_bytes(image[:-64] + summed(bytes(head)))
    with pytest.raises(UnsupportedError, match="encrypted"):
        diskimage.open(path)


def test_limits_bound_a_chunk(tmp_path: Path) -> None:
    path = written(e01(GUEST, SET), tmp_path)
    with pytest.raises(LimitError):
        diskimage.open(path, limits=replace(diskimage.LIMITS, chunk=1024))


def test_repeated_bytes_are_no_stored_chunk(tmp_path: Path) -> None:
    guest = b"patterns" * 256 + bytes(2048) + GUEST
    files = ex01(guest, replace(SMALL, kinds=(FILL, FILL, CODED)))
    with diskimage.open(written(files, tmp_path)) as image:
        first, second, *_ = image.extents()
        assert (first.kind, first.stored) == (Kind.CODED, 8)
        assert second == Extent(2048, 2048, Kind.ZERO, hole=True)
        assert image.read(0, image.size) == guest
