"""The table layer against a plain list of entries, and how much of a table it reads."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.errors import CorruptError, TruncatedError
from diskimage.layers.table import Flat, Match, Nested, Pages, Rule, TableDevice, words, written
from diskimage.model import HOLE, Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.naive import lawful, read

BLOCK = 64
MISSING = 0xFFFFFFFF


class Counted(MemorySource):
    """A source that keeps what is asked of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[tuple[int, int]] = []

    def read_into(self, at: int, buffer: memoryview) -> int:
        self.asked.append((at, len(buffer)))
        return super().read_into(at, buffer)


class Endless:
    """A source of `size` zeros that counts the bytes read of it; `lit` gives 8 bytes at places."""

    name = "endless"
    fd: int | None = None

    def __init__(self, size: int, lit: dict[int, bytes]) -> None:
        self.size, self.lit, self.bytes = size, lit, 0

    def read_into(self, at: int, buffer: memoryview) -> int:
        count = min(len(buffer), self.size - at)
        buffer[:count] = bytes(count)
        for place, value in self.lit.items():
            if at <= place < at + count:
                buffer[place - at : place - at + 8] = value
        self.bytes += count
        return count

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        yield at, stop, True

    def close(self) -> None:
        """Nothing is open."""


def flat(table: list[int], size: int, blocks: int, at: int = 0) -> TableDevice:
    raw = struct.pack(f"<{len(table)}I", *table)
    stored = bytes(i * 31 % 251 for i in range(blocks * BLOCK))
    source = MemorySource(bytes(at) + raw + stored)
    base = at + len(raw)
    rule = Rule(width=4, matches=(Match(MISSING, MISSING, HOLE),), scale=BLOCK, base=base)
    entries = Flat(Pages(source, 1 << 20), at, len(table), 4)
    return TableDevice(
        size=size, block=BLOCK, data=source, entries=entries, rule=rule, empty=HOLE
    )  # fmt: skip


@given(st.lists(st.integers(-1, 9), max_size=60), st.integers(0, BLOCK - 1), st.data())
def test_a_flat_table_is_its_list_of_blocks(
    places: list[int], cut: int, data: st.DataObject
) -> None:
    table = [MISSING if place < 0 else place for place in places]
    size = max(0, len(places) * BLOCK - cut)
    device = flat(table, size, 10)
    stored = bytes(i * 31 % 251 for i in range(10 * BLOCK))
    expected = b"".join(
        bytes(BLOCK) if place < 0 else stored[place * BLOCK : (place + 1) * BLOCK]
        for place in places
    )[:size]
    lawful(device)
    assert read(device) == expected
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]


PER = 8  # entries of a table in the nested tests
TABLE = PER * 8


def nested(directory: list[list[int] | None], size: int) -> TableDevice:
    """Tables of eight 8-byte entries behind their directory; entry n is block n - 1 of the data."""
    data_at = 1024
    tables = bytearray(data_at - 8 * len(directory))
    roots, used = [], 0
    for table in directory:
        if table is None:
            roots.append(0)
            continue
        at = 8 * len(directory) + used
        at += -at % TABLE
        tables[at - 8 * len(directory) : at - 8 * len(directory) + TABLE] = struct.pack(
            f">{PER}Q", *table
        )
        used = at + TABLE - 8 * len(directory)
        roots.append(at)
    raw = struct.pack(f">{len(roots)}Q", *roots) + tables
    assert len(raw) == data_at
    stored = bytes(i * 17 % 253 for i in range(16 * BLOCK))
    source = MemorySource(raw + stored)
    rule = Rule(
        width=8, big_endian=True, matches=(Match((1 << 64) - 1, 0, Kind.ABSENT),),
        scale=BLOCK, base=data_at - BLOCK,
    )  # fmt: skip
    roots_of = Flat(Pages(source, 4096), 0, len(directory), 8, "directory")
    entries = Nested(
        roots_of, PER, 8, mask=(1 << 60) - 1, align=TABLE, reserved=1 << 63, big_endian=True
    )
    return TableDevice(
        size=size, block=BLOCK, data=source, entries=entries, rule=rule, empty=Kind.ABSENT
    )  # fmt: skip


@given(
    st.lists(st.none() | st.lists(st.integers(0, 16), min_size=PER, max_size=PER), max_size=9),
    st.integers(0, BLOCK * PER - 1),
    st.data(),
)
@settings(max_examples=60)
def test_nested_tables_are_their_lists(
    directory: list[list[int] | None], cut: int, data: st.DataObject
) -> None:
    size = max(0, len(directory) * PER * BLOCK - cut)
    device = nested(directory, size)
    flat_list = [entry for table in directory for entry in (table or [0] * PER)]
    lawful(device)
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    lawful(device, start, stop)
    stored = bytes(i * 17 % 253 for i in range(16 * BLOCK))
    for extent in extents(device, start, stop):
        for byte in range(extent.start, extent.stop, 13):
            entry = flat_list[byte // BLOCK]
            assert (extent.kind == Kind.ABSENT) == (entry == 0)
            if entry:
                expected = stored[(entry - 1) * BLOCK + byte % BLOCK]
                assert read(device, byte, byte + 1) == bytes([expected])


def test_a_page_is_read_once_while_it_is_kept() -> None:
    source = Counted(bytes(1 << 18))
    pages = Pages(source, 1 << 17)
    for _ in range(3):
        pages.read(0, 1 << 16, "table")
        pages.read(1 << 16, 1 << 16, "table")
    assert len(source.asked) == 2
    pages.read(1 << 17, 1 << 16, "table")  # pushes the oldest out
    pages.read(1 << 16, 1 << 16, "table")
    assert len(source.asked) == 3
    pages.read(0, 1 << 16, "table")
    assert len(source.asked) == 4


def test_one_byte_reads_one_page_of_each_level() -> None:
    tables = 1 << 21
    source = Endless(1 << 40, {8 * 1000: (1 << 30).to_bytes(8, "big")})
    directory = Flat(Pages(source, 1 << 24), 0, tables, 8, "directory")
    entries = Nested(directory, 8192, 8, mask=(1 << 60) - 1, big_endian=True)
    rule = Rule(width=8, big_endian=True, matches=(Match((1 << 64) - 1, 0, HOLE),))
    size = tables * 8192 * 65536
    device = TableDevice(
        size=size, block=65536, data=source, entries=entries, rule=rule, empty=HOLE
    )
    begin = 1000 * 8192 * 65536
    assert [row.kind for row in extents(device, begin, begin + 1)] == [Kind.ZERO]
    assert source.bytes == 2 << 16
    assert sum(len(runs) for runs in device.runs()) == 1
    assert source.bytes == 8 * tables + (1 << 16)  # the page of the directory was kept


def test_errors_name_the_file_and_the_entry() -> None:
    with pytest.raises(TruncatedError, match="block map"):
        read(TableDevice(
            size=640, block=BLOCK, data=MemorySource(b"x" * 39), rule=Rule(), empty=HOLE,
            entries=Flat(Pages(MemorySource(b"x" * 39, "short"), 100), 0, 10, 4),
        ), 9 * BLOCK)  # fmt: skip
    table = [0, 1, 2]
    device = flat(table, 3 * BLOCK, 2)
    assert len(read(device, 0, 2 * BLOCK)) == 2 * BLOCK
    with pytest.raises(TruncatedError) as caught:
        read(device)
    assert caught.value.at == 12 + 2 * BLOCK
    source = MemorySource(struct.pack(">QQ", 1 << 63 | 64, 65) + bytes(2000))
    for place, text in ((0, "reserved"), (1, "aligned")):
        entries = Nested(
            Flat(Pages(source, 100), 0, 2, 8, "root"), PER, 8, mask=(1 << 60) - 1, align=64,
            reserved=1 << 63, big_endian=True,
        )  # fmt: skip
        with pytest.raises(CorruptError, match=text) as wrong:
            list(entries.pieces(place * PER, place * PER + 1))
        assert wrong.value.at == 8 * place


@given(st.lists(st.integers(0, (1 << 64) - 1)), st.booleans())
def test_words_are_what_struct_says(values: list[int], big_endian: bool) -> None:
    raw = struct.pack(f"{'>' if big_endian else '<'}{len(values)}Q", *values)
    assert list(words(raw, "Q", big_endian=big_endian)) == values
    assert written(words(raw, "Q", big_endian=big_endian), big_endian=big_endian) == raw


def test_tables_that_lie_together_are_read_together() -> None:
    per, table = 16, 8192
    rows = [struct.pack("<16I", *([number + 1] * per)) for number in range(40)]
    places = [table + 64 * number for number in range(40)]
    places[20] = 0  # a hole between, and then a table out of the row
    places[30] = table + 64 * 5
    source = Counted(struct.pack("<40I", *places).ljust(table, b"\0") + b"".join(rows))
    directory = Flat(Pages(source, 1 << 20), 0, 40, 4)
    entries = Nested(directory, per, 4, mask=MISSING)
    found = {
        piece.first + row: piece.entries[4 * row]
        for piece in entries.pieces(3, 40 * per - 5)
        if piece.entries is not None
        for row in range(piece.blocks)
    }
    wanted = {
        block: 6 if block // per == 30 else block // per + 1
        for block in range(3, 40 * per - 5)
        if block // per != 20
    }
    assert found == wanted
    assert source.asked == [(0, 160), (table, 1280), (table + 64 * 21, 576), (table + 320, 64),
                            (table + 64 * 31, 576)]  # fmt: skip
    source.asked.clear()
    assert [piece.blocks for piece in entries.pieces(per, 2 * per)] == [per]
    assert source.asked == [(places[1], 64)]
