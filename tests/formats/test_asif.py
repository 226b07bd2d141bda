"""ASIF: images of an independent maker; no foreign one was found to read."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.asif import FORMAT, check
from diskimage.model import Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.asif import BLOCK, CHUNK, PER, asif
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read

ALONE = Alone(FORMAT)
opened, found = ALONE.opened, ALONE.problems


@given(st.integers(0, 1 << 32), st.integers(0, 12), st.data())
@settings(max_examples=40)
def test_chunks_in_any_order_and_in_part_read_right(
    seed: int, count: int, data: st.DataObject
) -> None:
    chance = random.Random(seed)
    used = chance.sample(range(count), count // 2)
    places = chance.sample(range(len(used)), len(used))
    contents = {index: noise(CHUNK, index) for index in used}
    partial = {i: [chance.randint(0, 1) for _ in range(CHUNK // BLOCK)] for i in used if i % 2}
    stored = {i: (p, contents[i]) for i, p in zip(used, places, strict=True)}
    image = asif(count * CHUNK, stored, partial=partial)
    expected = b"".join(
        contents[i][at : at + BLOCK]
        if i in contents and (i not in partial or partial[i][at // BLOCK])
        else bytes(BLOCK)
        for i in range(count)
        for at in range(0, CHUNK, BLOCK)
    )
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]
    assert found(image) == []


PLAIN = asif(3 * CHUNK, {0: (1, b"a" * CHUNK), 2: (0, b"b" * CHUNK)}, partial={2: [0, 1]})


def test_blocks_that_were_never_written_are_zeros_whatever_is_stored() -> None:
    rows = [(row.length, row.kind, row.hole) for row in extents(opened(PLAIN))]
    assert rows == [
        (CHUNK, Kind.DATA, False), (CHUNK, Kind.ZERO, True), (BLOCK, Kind.ZERO, False),
        (BLOCK, Kind.DATA, False), (CHUNK - 2 * BLOCK, Kind.ZERO, False),
    ]  # fmt: skip


def test_the_directory_of_the_higher_version_counts() -> None:
    chunks = {0: (0, b"a" * CHUNK)}
    assert read(opened(asif(CHUNK, chunks, versions=(1, 2)))) == b"a" * CHUNK
    assert read(opened(asif(CHUNK, chunks, versions=(3, 2)))) == bytes(CHUNK)


def patched(at: int, value: int, width: int = 8) -> bytes:
    return PLAIN[:at] + value.to_bytes(width, "big") + PLAIN[at + width :]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(0, 0, 4), CorruptError),
        (patched(4, 2, 4), UnsupportedError),
        (patched(70, 1, 2), UnsupportedError),
        (patched(68, 0, 2), CorruptError),
        (patched(68, 1000, 2), CorruptError),
        (patched(64, 0, 4), CorruptError),
        (patched(64, 16384, 4), CorruptError),
        (patched(64, 1 << 31, 4), LimitError),
        (patched(48, 1 << 60), LimitError),
        (patched(48, 1 << 50), LimitError),
        (PLAIN[:70], TruncatedError),
        (PLAIN[:600], TruncatedError),
        (patched(16, 1 << 40), TruncatedError),
        (patched(24, 0)[:16] + bytes(8) + patched(24, 0)[24:], CorruptError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


TABLE = CHUNK


@pytest.mark.parametrize(
    ("image", "error", "kinds"),
    [
        (patched(TABLE, 1 << 62), CorruptError, ["corrupt"]),
        (patched(TABLE, 5), CorruptError, ["corrupt"]),
        (patched(TABLE, 1 << 62 | 1 << 55 | 3), CorruptError, ["corrupt"]),
        (patched(TABLE, 1 << 62 | 1 << 30), TruncatedError, ["truncated"]),
        (patched(TABLE, 1 << 62 | 3), None, ["corrupt"]),
        (patched(TABLE + 8 * PER, 0), CorruptError, None),
        (patched(1032, 1 << 30), TruncatedError, ["truncated"]),
    ],
)
def test_a_wrong_entry_is_an_error_where_it_is_read(
    image: bytes, error: type[Exception] | None, kinds: list[str] | None
) -> None:
    if error is not None:
        with pytest.raises(error):
            read(opened(image))
    assert kinds is None or found(image) == kinds


def test_a_state_that_nobody_knows_is_refused() -> None:
    image = asif(CHUNK, {0: (0, b"a" * CHUNK)}, partial={0: [1, 2]})
    with pytest.raises(UnsupportedError, match="state 2"):
        read(opened(image))


def test_what_is_odd_is_said() -> None:
    gate = OpenGate()
    opened(asif(CHUNK, {}, flags=4), gate)
    assert [finding.kind for finding in gate.warnings] == ["flags"]
    assert FORMAT.unproven


@given(st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(data: st.DataObject) -> None:
    places = st.integers(0, 80) | st.integers(512, 1048) | st.integers(TABLE, TABLE + 24)
    at, wrong = data.draw(places), data.draw(st.binary(min_size=1, max_size=8))
    damaged = PLAIN[:at] + wrong + PLAIN[at + len(wrong) :]
    with suppress(DiskImageError):
        list(check(MemorySource(damaged), OpenGate()))
    with suppress(DiskImageError):
        device = opened(damaged)
        lawful(device, 0, min(device.size, 1 << 20))
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size
