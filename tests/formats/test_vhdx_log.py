"""The log of a VHDX replayed in memory: chains, rings, what is no entry, patches of a source."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, strategies as st

from diskimage.errors import CorruptError, TruncatedError
from diskimage.formats.vhdx import FORMAT
from diskimage.sources.memory import MemorySource
from diskimage.sources.patched import Patched
from tests.makers import vhdx as maker
from tests.makers.alone import Alone, noise
from tests.makers.naive import read
from tests.makers.vhdx import BAT_AT, FIRST, LOG, MIB, header, log_entry, vhdx

PAGE = 4096
ONE = vhdx(2 * MIB, {0: (0, b"a" * MIB)})
GUEST = b"a" * MIB + bytes(MIB)


ALONE = Alone(FORMAT)
opened, check, warned = ALONE.opened, ALONE.problems, ALONE.warned


def torn(raw: bytes) -> bytes:
    return raw[:4] + bytes([raw[4] ^ 1]) + raw[5:]


def dirty(log: bytes, *, log_length: int = MIB, end: int = 0) -> bytes:
    headers = (header(1), header(2, log=LOG, log_length=log_length))
    return vhdx(2 * MIB, {0: (0, b"a" * MIB)}, headers=headers, log=log, end=end)


def table(*entries: int) -> bytes:
    return struct.pack(f"<{len(entries)}Q", *entries).ljust(PAGE, b"\0")


def ring(*entries: tuple[int, bytes]) -> bytes:
    """A log of 1 MiB with entries at places, going on at its beginning behind its end."""
    raw = bytearray(MIB)
    for at, entry in entries:
        for place in range(0, len(entry), PAGE):
            to = (at + place) % MIB
            raw[to : to + PAGE] = entry[place : place + PAGE]
    return bytes(raw)


SWAPPED = bytes(MIB) + b"a" * MIB
TO_SECOND = (BAT_AT, table(0, FIRST | 6))


def test_a_log_is_replayed_in_memory_and_said() -> None:
    image = dirty(log_entry(4, [TO_SECOND]))
    assert read(opened(image)) == SWAPPED
    assert warned(image) == ["log"]
    assert opened(image).info["log_entries"] == 1
    assert check(image) == ["corrupt"]


def test_entries_are_replayed_from_the_tail_that_the_last_one_names() -> None:
    first, again = (BAT_AT, table(FIRST | 6, FIRST | 6)), (BAT_AT, PAGE)
    log = ring(
        (0, log_entry(4, [again])),  # flushed, before the tail
        (PAGE, log_entry(5, [first], tail=PAGE)),
        (3 * PAGE, log_entry(6, [again, TO_SECOND], tail=PAGE)),
        (9 * PAGE, log_entry(2, [again], tail=9 * PAGE)),  # old
        (11 * PAGE, log_entry(7, [again], tail=11 * PAGE, log=maker.CONTENT)),  # another's
        (13 * PAGE, log_entry(99, [again], tail=12 * PAGE)),  # a tail that is none
        (15 * PAGE, torn(log_entry(98, [again], tail=15 * PAGE))),
    )
    assert read(opened(dirty(log))) == SWAPPED
    assert opened(dirty(log)).info["log_entries"] == 2


def test_a_log_goes_on_at_its_beginning() -> None:
    """Between entries and inside of one: each sector of one that wraps is where it has to be."""
    zero = (BAT_AT, PAGE)
    changes = [(BAT_AT, table(FIRST | 6, 6 << 40)), (FIRST, b"n" * PAGE), TO_SECOND]
    for at in (MIB - 2 * PAGE, MIB - PAGE, MIB - 3 * PAGE, MIB - 4 * PAGE):
        before = log_entry(7, [zero], tail=at - PAGE)
        log = ring((at - PAGE, before), (at, log_entry(8, changes, tail=at - PAGE)))
        expected = bytes(MIB) + b"n" * PAGE + b"a" * (MIB - PAGE)
        assert read(opened(dirty(log))) == expected, at
        assert opened(dirty(log)).info["log_entries"] == 2


def test_an_entry_of_several_sectors_of_descriptors() -> None:
    pages = [(FIRST + PAGE * n, bytes([n]) * PAGE) for n in range(140)]
    expected = b"".join(page for _, page in pages) + b"a" * (MIB - 140 * PAGE)
    assert read(opened(dirty(log_entry(1 << 33, pages))), 0, MIB) == expected


def test_a_log_makes_its_file_longer() -> None:
    entry = log_entry(4, [(BAT_AT, table(FIRST | 6, FIRST + MIB | 6))], last=FIRST + 2 * MIB)
    assert read(opened(dirty(entry))) == GUEST
    with pytest.raises(TruncatedError):
        read(opened(dirty(log_entry(4, [(BAT_AT, table(0, FIRST + MIB | 6))]))))


def test_a_file_shorter_than_its_log_says_is_truncated() -> None:
    with pytest.raises(TruncatedError, match="log was written"):
        opened(dirty(log_entry(4, [TO_SECOND], flushed=len(ONE) + 1)))
    early = log_entry(4, [TO_SECOND], flushed=1 << 40)  # that of the last entry counts
    both = ring((0, early), (2 * PAGE, log_entry(5, [], flushed=len(ONE))))
    assert read(opened(dirty(both))) == SWAPPED


@pytest.mark.parametrize(
    "log",
    [
        b"",
        noise(8192),
        torn(log_entry(4, [TO_SECOND])),
        log_entry(0, [TO_SECOND]),
        log_entry(4, [TO_SECOND], tail=PAGE),
        log_entry(4, [TO_SECOND], tail=512),
        log_entry(4, [TO_SECOND], count=0xFFFFFFFF),
        log_entry(4, [TO_SECOND], count=2),
        log_entry(4, [(BAT_AT + 512, PAGE)]),
        log_entry(4, [(BAT_AT, PAGE + 1)]),
        log_entry(4, [((1 << 63) - PAGE, 1 << 63)]),
        log_entry(4, [TO_SECOND], log=maker.CONTENT),
        maker.summed(log_entry(4, [TO_SECOND])[:PAGE] + bytes(PAGE)),
        maker.summed(log_entry(4, [TO_SECOND])[:PAGE].replace(b"desc", b"dusk") + bytes(PAGE)),
    ],
)
def test_a_log_without_a_sound_entry_is_corrupt(log: bytes) -> None:
    with pytest.raises(CorruptError):
        opened(dirty(log))


def test_a_log_that_cannot_be_is_an_error() -> None:
    for length, error in ((0, CorruptError), (4096, CorruptError), (0xFFF00000, TruncatedError)):
        with pytest.raises(error):
            opened(dirty(b"", log_length=length))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12), st.booleans()), max_size=12))
def test_patches_are_as_if_they_were_written(patches: list[tuple[int, int, bool]]) -> None:
    plain = noise(20)
    source = Patched(MemorySource(plain), 45)
    expected = bytearray(plain.ljust(45, b"\0"))
    for number, (at, length, zeros) in enumerate(patches):
        data = None if zeros else noise(length, number)
        source.put(at, length, data)
        expected[at : at + length] = data or bytes(length)
    for at in range(46):
        for length in (1, 7, 60):
            buffer = bytearray(length)
            got = source.read_into(at, memoryview(buffer))
            assert buffer[:got] == expected[at : at + length]
            assert got == min(length, 45 - at)
