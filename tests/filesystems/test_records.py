"""Directory records and system use entries against models that only know bytes."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.errors import CorruptError, DiskImageError, LimitError, LoopError, TruncatedError
from diskimage.filesystems.iso9660 import susp
from diskimage.filesystems.iso9660.records import SECTOR, long_seconds, records, seconds
from diskimage.limits import LIMITS
from diskimage.sources.memory import MemorySource
from tests.makers import isotree

U32 = st.integers(0, 2**32 - 1)
NAMES = st.binary(min_size=1, max_size=60)


@given(
    st.lists(
        st.tuples(NAMES, st.integers(0, 2**31), U32, st.integers(0, 255), st.binary(max_size=80)),
        max_size=60,
    ),
    st.integers(0, 3),
)
def test_records_come_back_as_they_were_packed(
    rows: list[tuple[bytes, int, int, int, bytes]], before: int
) -> None:
    data = bytes(before * SECTOR) + isotree.packed([isotree.record(*row) for row in rows])
    at = before * SECTOR
    read = list(records(MemorySource(data), at, len(data) - at))
    assert [(r.name, r.block, r.size, r.flags) for r in read] == [row[:4] for row in rows]
    for found, row in zip(read, rows, strict=True):
        assert found.system.rstrip(b"\0") == row[4].rstrip(b"\0")
        assert found.sound
        assert not found.stray


@given(st.binary(max_size=5000), st.integers(0, 3000))
def test_any_bytes_are_records_or_one_error(data: bytes, at: int) -> None:
    source = MemorySource(data)
    with suppress(CorruptError):
        for found in records(source, at, max(0, len(data) - at)):
            assert data[found.at] >= 33 + len(found.name)


def test_a_directory_past_the_end_is_truncated() -> None:
    with pytest.raises(TruncatedError):
        list(records(MemorySource(bytes(SECTOR)), 0, 2 * SECTOR))


def test_a_record_behind_unused_room_is_stray() -> None:
    first, second = isotree.record(b"A", 1, 1), isotree.record(b"B", 2, 2)
    data = (first + bytes(10) + second).ljust(SECTOR, b"\0")
    assert [(r.name, r.stray) for r in records(MemorySource(data), 0, SECTOR)] == [
        (b"A", False),
        (b"B", True),
    ]


WHEN = st.datetimes(datetime(1901, 1, 1), datetime(2155, 12, 30))  # noqa: DTZ001 - zoned below


@given(WHEN, st.integers(-48, 52))
def test_dates_are_those_of_datetime(when: datetime, quarters: int) -> None:
    zoned = when.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=15 * quarters)))
    fields = [when.year - 1900, when.month, when.day, when.hour, when.minute, when.second]
    assert seconds(bytes([*fields, quarters % 256])) == zoned.timestamp()
    digits = zoned.strftime("%Y%m%d%H%M%S") + "50"
    assert long_seconds(digits.encode() + bytes([quarters % 256])) == zoned.timestamp() + 0.5


def test_dates_that_are_none() -> None:
    assert seconds(bytes(7)) is None
    assert seconds(bytes([100, 2, 30, 0, 0, 0, 0])) is None
    assert long_seconds(b"0" * 16 + b"\0") is None
    assert long_seconds(b"no digits at all!") is None
    assert seconds(bytes([70, 1, 1, 0, 0, 0, 0])) == datetime(1970, 1, 1, tzinfo=UTC).timestamp()


# --- system use entries -----------------------------------------------------------------------

ENTRIES = st.lists(
    st.tuples(
        st.binary(min_size=2, max_size=2).filter(lambda s: s not in (b"CE", b"ST") and s[0]),
        st.binary(max_size=60),
    ),
    max_size=20,
)


def areas_of(blocks: dict[int, bytes]) -> susp.Areas:
    """Continuation areas in a source of 64 blocks."""
    data = bytearray(64 * SECTOR)
    for block, content in blocks.items():
        data[block * SECTOR : block * SECTOR + len(content)] = content
    return susp.Areas(MemorySource(bytes(data)), SECTOR)


@given(ENTRIES, st.lists(st.integers(0, 20), max_size=5))
def test_entries_come_back_however_they_are_continued(
    rows: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(rows)), len(rows)]
    parts = [b"".join(isotree.susp(*row) for row in rows[a:b]) for a, b in pairwise(edges)]
    for i in range(len(parts) - 1, 0, -1):  # each part ends with the place of the next
        parts[i - 1] += isotree.ce(i, 0, len(parts[i]))
    areas = areas_of(dict(enumerate(parts)))
    assert list(susp.entries(parts[0], areas, LIMITS)) == rows


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_system_use_field_is_read_or_one_error(first: bytes, second: bytes) -> None:
    found = susp.RockRidge()
    with suppress(DiskImageError):
        susp.fill(found, isotree.ce(1, 0, len(second)) + first, areas_of({1: second}), LIMITS)
    assert len(found.name or b"") <= LIMITS.continuation_bytes


@given(st.binary(min_size=1, max_size=600), st.integers(1, 249))
def test_a_name_in_parts_is_one_name(name: bytes, step: int) -> None:
    parts = [name[i : i + step] for i in range(0, len(name), step)]
    field = b"".join(isotree.nm(p, 0 if p is parts[-1] else 1) for p in parts)
    found = susp.RockRidge()
    susp.fill(found, field, areas_of({}), LIMITS)
    assert found.name == name


PART = st.sampled_from([b"a", b"lib", b"name with space", b".", b".."])


@given(st.lists(PART, min_size=1, max_size=12), st.booleans(), st.integers(1, 4))
def test_a_link_is_the_path_of_its_components(
    parts: list[bytes], absolute: bool, each: int
) -> None:
    flags = {b".": (2, b""), b"..": (4, b"")}
    components = [(8, b"")] if absolute else []
    components += [flags.get(part, (0, part)) for part in parts]
    groups = [components[i : i + each] for i in range(0, len(components), each)]
    found = susp.RockRidge()
    susp.fill(found, b"".join(isotree.sl(*group) for group in groups), areas_of({}), LIMITS)
    expected = posixpath.join(b"/" if absolute else b"", *parts)
    assert found.target == expected


def test_a_component_goes_on_in_the_next() -> None:
    found = susp.RockRidge()
    field = isotree.sl((1, b"long")) + isotree.sl((0, b"name"), (0, b"end"))
    susp.fill(found, field, areas_of({}), LIMITS)
    assert found.target == b"longname/end"


def test_areas_that_do_not_end() -> None:
    itself = isotree.ce(1, 0, 28)
    with pytest.raises(LoopError):
        list(susp.entries(itself, areas_of({1: itself}), LIMITS))
    chain = {i: isotree.ce(i + 1, 0, 28) for i in range(1, 64)}
    many = susp.Areas(
        MemorySource(b"".join(chain[i].ljust(SECTOR, b"\0") for i in range(1, 64))), SECTOR
    )
    with pytest.raises((LimitError, TruncatedError)):
        list(susp.entries(isotree.ce(0, 0, 28), many, LIMITS))


@settings(max_examples=20)
@given(st.integers(2, 63))
def test_as_many_areas_as_the_limit(count: int) -> None:
    blocks = {i: isotree.ce(i + 1, 0, 28) for i in range(1, count)}
    blocks[count] = isotree.nm(b"end")
    limits = LIMITS.__class__(continuations=count)
    assert list(susp.entries(isotree.ce(1, 0, 28), areas_of(blocks), limits)) == [(b"NM", b"\0end")]
    tight = LIMITS.__class__(continuations=count - 1)
    with pytest.raises(LimitError):
        list(susp.entries(isotree.ce(1, 0, 28), areas_of(blocks), tight))
