"""Tables of one integer a block: the kernel, its twin, and a twin of plain loops."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import tables
from diskimage.kernels.tables import Found, Illegal, Match, Rule
from diskimage.model import HOLE, Kind
from diskimage.reference import tables as twin

VDI = Rule(4, matches=(Match(0xFFFFFFFF, 0xFFFFFFFF, HOLE), Match(0xFFFFFFFF, 0xFFFFFFFE, HOLE)),
           scale=1 << 20, base=1 << 21)  # fmt: skip
OFFSET = 0x00FFFFFFFFFFFE00
QCOW2 = Rule(
    8,
    big_endian=True,
    coded=1 << 62,
    coded_split=62 - (16 - 8),
    reserved=0x3F000000000001FE,
    matches=(Match(OFFSET | 1, 1, HOLE), Match(1, 1, Kind.ZERO), Match(OFFSET, 0, Kind.ABSENT)),
    mask=OFFSET,
    align=1 << 16,
)
EXTENDED = QCOW2._replace(width=16, reserved=QCOW2.reserved | 1, matches=QCOW2.matches[2:])


def both(rule: Rule, table: bytes, first: int, block: int, size: int, limit: int = 4096) -> Found:
    found = tables.table_runs(rule, table, first, block, size, limit=limit)
    assert found == twin.table_runs(rule, table, first, block, size, limit=limit)
    return found


def shown(found: Found) -> list[tuple[int, ...]]:
    runs = found.runs
    return list(zip(runs.start, runs.length, runs.kind, runs.at, strict=True))


def test_vdi() -> None:
    mib = 1 << 20
    table = struct.pack("<7I", 0, 1, 5, 0xFFFFFFFF, 0xFFFFFFFE, 2, 3)
    found = both(VDI, table, 0, mib, 7 * mib - 512)
    assert shown(found) == [
        (0, 2 * mib, Kind.DATA, 2 * mib),
        (2 * mib, mib, Kind.DATA, 7 * mib),
        (3 * mib, 2 * mib, HOLE, 0),
        (5 * mib, 2 * mib - 512, Kind.DATA, 4 * mib),
    ]
    assert found.taken == 7
    assert not found.runs.stored


def test_qcow2_with_compressed_clusters() -> None:
    host = 0x123456
    coded = 1 << 62 | 3 << 54 | host
    entries = [1 << 63 | 0x30000, 1 << 63 | 0x40000, coded, coded, 1, 0x50001, 0, 0]
    found = both(QCOW2, struct.pack(">8Q", *entries), 10, 65536, 1 << 40)
    at = 10 * 65536
    assert shown(found) == [
        (at, 131072, Kind.DATA, 0x30000),
        (at + 131072, 65536, Kind.CODED, host),
        (at + 196608, 65536, Kind.CODED, host),
        (at + 262144, 65536, HOLE, 0),
        (at + 327680, 65536, Kind.ZERO, 0),
        (at + 393216, 131072, Kind.ABSENT, 0),
    ]
    stored = 4 * 512 - (host & 511)  # docs/interop/qcow2.txt: additional sectors
    assert list(found.runs.stored) == [0, stored, stored, 0, 0, 0]
    assert list(found.runs.skip) == [0] * 6
    clipped = both(QCOW2._replace(clip=host + 7), struct.pack(">Q", coded), 0, 65536, 65536)
    assert list(clipped.runs.stored) == [7]


@pytest.mark.parametrize(
    ("entry", "illegal"),
    [(0x30002, Illegal.RESERVED), (0x30200, Illegal.ALIGN), (1 << 61 | 0x30000, Illegal.RESERVED)],
)
def test_illegal_entries_stop_the_run(entry: int, illegal: Illegal) -> None:
    found = both(QCOW2, struct.pack(">3Q", 0, entry, 0), 0, 65536, 1 << 40)
    assert (found.taken, found.illegal) == (1, illegal)
    assert shown(found) == [(0, 65536, Kind.ABSENT, 0)]


def test_positions_outside_of_63_bits() -> None:
    rule = Rule(8, scale=1 << 20)
    found = both(rule, struct.pack("<2Q", 4, 1 << 50), 0, 512, 1 << 40)
    assert (found.taken, found.illegal) == (1, Illegal.RANGE)
    found = both(Rule(4, base=-5), struct.pack("<2I", 5, 4), 0, 512, 1 << 40)
    assert (found.taken, found.illegal) == (1, Illegal.RANGE)


def test_subclusters() -> None:
    part = 65536 // 32
    bitmap = 0b0111 | 0b11000 << 32
    table = struct.pack(">4Q", 1 << 63 | 0x30000, bitmap, 0, 1 << 63)
    found = both(EXTENDED, table, 0, 65536, 131072)
    assert shown(found) == [
        (0, 3 * part, Kind.DATA, 0x30000),
        (3 * part, 2 * part, Kind.ZERO, 0),
        (5 * part, 65536 - 5 * part + 65536 - part, Kind.ABSENT, 0),
        (131072 - part, part, HOLE, 0),
    ]
    for entry, word in ((0x30000, 1 | 1 << 32), (0, 1)):
        found = both(EXTENDED, struct.pack(">2Q", entry, word), 0, 65536, 65536)
        assert (found.taken, found.illegal) == (0, Illegal.SUBCLUSTERS)


ENTRIES = st.lists(st.integers(0, 9), max_size=40)


@given(ENTRIES, st.integers(0, 3), st.integers(1, 50), st.integers(1, 5), st.booleans())
def test_going_on_gives_all_of_a_table(
    entries: list[int], first: int, blocks: int, limit: int, big: bool
) -> None:
    block, size = 512, first * 512 + blocks * 512 - 100
    rule = Rule(
        4, big_endian=big, matches=(Match(15, 9, HOLE), Match(15, 8, Kind.ABSENT)), scale=512
    )
    table = struct.pack(f"{'>' if big else '<'}{len(entries)}I", *entries)
    told: list[tuple[int, int, int]] = []
    at = 0
    while first + at < first + len(entries) and (first + at) * block < size:
        found = both(rule, table[4 * at :], first + at, block, size, limit)
        assert 0 < len(found.runs) <= limit
        assert found.taken > 0
        for start, length, kind, host in shown(found):
            moved = host - start if kind == Kind.DATA else None
            told += [
                (i, kind, 0 if moved is None else i + moved) for i in range(start, start + length)
            ]
        at += found.taken
    want = []
    for i in range(first * block, min(size, (first + len(entries)) * block)):
        entry = entries[i // block - first]
        kind = {9: HOLE, 8: Kind.ABSENT}.get(entry, Kind.DATA)
        want.append((i, kind, entry * 512 + i % block if kind == Kind.DATA else 0))
    assert told == want


ANY = st.integers(0, 2**64 - 1)
WORDS = st.one_of(ANY, st.sampled_from([0, 1, 2**64 - 1, 1 << 63, 0x30000, 1 << 63 | 0x30000]))


@given(
    st.sampled_from([4, 8, 16]), st.booleans(), st.lists(WORDS, max_size=10), WORDS, WORDS, WORDS,
    st.integers(0, 63), st.integers(1, 2**40), st.integers(-(2**61), 2**61),
    st.sampled_from([1, 512, 65536]), st.integers(32, 40), st.integers(0, 2**62), st.booleans(),
)  # fmt: skip
def test_any_rule_on_any_table(
    width: int, big: bool, words: list[int], mask: int, value: int, reserved: int, shift: int,
    scale: int, base: int, align: int, limit: int, size: int, coded: bool,
) -> None:  # fmt: skip
    rule = Rule(
        width, big, (Match(mask, value & mask, Kind.ABSENT), Match(1, 1, Kind.ZERO)), mask, shift,
        scale, base, align, reserved & (reserved >> 3), 1 << 62 if coded else 0, 54, 1 << 40,
    )  # fmt: skip
    both(rule, struct.pack(f"{len(words)}Q", *words), 3, 65536, size, limit)


def test_wrong_rules_are_refused() -> None:
    for rule in (Rule(3), Rule(align=0), Rule(matches=(Match(0, 0, 0),) * 5), Rule(coded=3)):
        with pytest.raises(ValueError, match=r"entry|positive|four|one bit"):
            tables.table_runs(rule, b"", 0, 512, 512)
