"""What of a device can be read: any sectors lost by its map, its bytes, or its chunks."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st

from diskimage import codecs
from diskimage.engine.copy import Work
from diskimage.engine.salvage import GRAIN, salvaged, survey
from diskimage.errors import CorruptError, IoError, LimitError, RefusedReferenceError
from diskimage.layers.salvaged import Salvaged
from diskimage.layers.table import Flat, Match, Pages, Rule, TableDevice
from diskimage.model import HOLE, Device, Extent, Kind, Runs
from diskimage.ranges import Ranges
from diskimage.runs import extents, pack
from diskimage.sources.memory import MemorySource
from tests.makers import naive

BLOCK = 2 * GRAIN  # both of whose sectors are asked about
GUEST = bytes(range(1, 251)) * 400


class Scratched(MemorySource):
    """A medium that does not give the bytes of some sectors."""

    def __init__(self, data: bytes, bad: frozenset[int]) -> None:
        super().__init__(data, "scratched")
        self._bad = bad
        self.reads = 0

    def read_into(self, at: int, buffer: memoryview) -> int:
        self.reads += 1
        sectors = range(at // GRAIN, -(-(at + len(buffer)) // GRAIN))
        if not self._bad.isdisjoint(sectors):
            raise IoError("unreadable", file=self.name, at=at)
        return super().read_into(at, buffer)


@dataclass
class Mapped:
    """A device over `source` that has no map of some sectors, whatever else is asked with them."""

    source: MemorySource
    lost: frozenset[int]
    size: int = len(GUEST)
    block: int = BLOCK
    info: Mapping[str, object] = field(default_factory=dict)

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        stop = self.size if stop is None else min(self.size, stop)
        return pack(self._rows(start, stop))

    def _rows(self, start: int, stop: int) -> Iterator[Extent]:
        while start < stop:
            if start // GRAIN in self.lost:
                raise CorruptError("no map", file="mapped", at=start)
            end = min(stop, (start // GRAIN + 1) * GRAIN)
            yield Extent(start, end - start, Kind.DATA, source=self.source, at=start)
            start = end


def sectors_of(numbers: frozenset[int]) -> Ranges:
    return Ranges((n * GRAIN, GRAIN) for n in numbers).clip(0, len(GUEST))


def read(device: Device) -> bytes:
    """With no engine; what is BAD as the letter B."""
    return b"".join(
        b"B" * row.length if row.kind == Kind.BAD else naive.read(device, row.start, row.stop)
        for row in extents(device)
    )


SECTORS = st.frozensets(st.integers(0, len(GUEST) // GRAIN), max_size=40)


@given(lost=SECTORS, bad=SECTORS)
def test_every_sector_that_reads_is_given_and_no_other(
    lost: frozenset[int], bad: frozenset[int]
) -> None:
    device = Mapped(Scratched(GUEST, bad), lost)
    made, found = salvaged(device, Work(threads=1), blank=False)
    assert found.bad == sectors_of(lost | bad)
    expected = bytearray(GUEST)
    for start, length in found.bad:
        expected[start : start + length] = b"B" * length
    assert read(made) == expected
    assert len(found.reasons) == len(found.bad) or found.bad
    holes = Salvaged(device, found.bad, blank=True)
    assert naive.read(holes) == bytes(expected).replace(b"B", b"\0") or b"B" in GUEST


def test_a_whole_device_is_what_it_was() -> None:
    device = Mapped(MemorySource(GUEST), frozenset())
    made, found = salvaged(device, Work(threads=2))
    assert made is device
    assert not found.bad


def test_chunks_that_do_not_decode_are_lost_whole() -> None:
    plain = [bytes([n]) * 2048 for n in range(40)]
    stored = [zlib.compress(chunk) for chunk in plain]
    stored[7] = b"x" * len(stored[7])
    stored[39] = stored[39][:-3] + b"\0\0\0"
    source, rows, at = MemorySource(b"".join(stored), "chunks"), [], 0
    for number, chunk in enumerate(stored):
        rows.append(Extent(number * 2048, 2048, Kind.CODED, source=source, at=at,
                           stored=len(chunk), codec=codecs.zlib()))  # fmt: skip
        at += len(chunk)
    found = survey(naive.Rows(rows, 2048, chunk=2048), Work(threads=2), 10)
    assert found.bad == Ranges([(7 * 2048, 2048), (39 * 2048, 2048)])
    assert [one.kind for one in found.reasons] == ["corrupt", "corrupt"]


def test_what_the_device_calls_bad_is_bad() -> None:
    source = MemorySource(GUEST)
    rows = [
        Extent(0, 3000, Kind.DATA, source=source),
        Extent(3000, 700, Kind.BAD),
        Extent(3700, 300, Kind.ZERO),
    ]
    found = survey(naive.Rows(rows), Work(threads=1), 10)
    assert found.bad == Ranges([(3000, 700)])
    assert [one.message for one in found.reasons] == [
        "700 guest bytes from 3000: marked unreadable"
    ]


def test_what_only_the_caller_can_change_is_no_damage() -> None:
    rows = [Extent(0, 4096, Kind.ABSENT)]
    with pytest.raises(RefusedReferenceError):
        survey(naive.Rows(rows), Work(threads=1), 10)


def test_reasons_are_few_and_ranges_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = frozenset(range(1, 190, 2))
    found = survey(Mapped(MemorySource(GUEST), odd), Work(threads=1), 3)
    assert len(found.reasons) == 3
    assert len(found.bad) == len(odd)
    monkeypatch.setattr("diskimage.engine.salvage.MOST", 20)
    with pytest.raises(LimitError, match="more than 20 ranges"):
        survey(Mapped(MemorySource(GUEST), odd), Work(threads=1), 3)


def test_behind_a_table_that_is_cut_all_is_lost() -> None:
    table = MemorySource(b"".join(n.to_bytes(4, "little") for n in (3, 0, 1))[:-1], "table")
    device = TableDevice(
        size=4 * BLOCK, block=BLOCK, data=MemorySource(GUEST), rule=Rule(scale=BLOCK), empty=HOLE,
        entries=Flat(Pages(table, 1 << 20), 0, 4, 4),
    )  # fmt: skip
    made, found = salvaged(device, Work(threads=1), blank=False)
    assert found.bad == Ranges([(2 * BLOCK, 2 * BLOCK)])
    assert read(made)[: 2 * BLOCK] == GUEST[3 * BLOCK : 4 * BLOCK] + GUEST[:BLOCK]
    assert [one.kind for one in found.reasons] == ["truncated"]


def test_a_long_loss_is_not_asked_for_sector_by_sector() -> None:
    size = 1 << 22
    source = Scratched(bytes(size), frozenset())
    device = Mapped(source, frozenset(range(1000, 5000)), size=size, block=1 << 18)
    asked: list[int] = []
    walk = device._rows

    def counted(start: int, stop: int) -> Iterator[Extent]:
        asked.append(start)
        return walk(start, stop)

    device._rows = counted  # type: ignore[method-assign]  # counted, not mocked
    assert survey(device, Work(threads=1), 1).bad == Ranges([(1000 * GRAIN, 4000 * GRAIN)])
    assert len(asked) < 400


def test_blocks_past_the_end_of_the_file_are_asked_for_by_the_page() -> None:
    """Of 20,000 blocks all but the first three and two that are holes; the table is whole."""
    blocks, asked = 20_000, 0
    table = bytearray(b"".join((n + 1).to_bytes(4, "little") for n in range(blocks)))
    for n in (9000, 17_000):
        table[4 * n : 4 * n + 4] = bytes(4)
    file = MemorySource(bytes(4 * BLOCK), "file")
    device = TableDevice(
        size=blocks * BLOCK, block=BLOCK, data=file,
        entries=Flat(Pages(MemorySource(bytes(table), "table"), 1 << 20), 0, blocks, 4),
        rule=Rule(width=4, matches=(Match(0xFFFFFFFF, 0, HOLE),), mask=0xFFFFFFFF, scale=BLOCK),
        empty=HOLE,
    )  # fmt: skip

    class Counted:
        size, block, info = device.size, device.block, device.info

        def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
            nonlocal asked
            asked += 1
            return device.runs(start, stop)

    bad = survey(Counted(), Work(threads=1), 10).bad
    expected = [(3, 9000), (9001, 17_000), (17_001, blocks)]
    assert bad == Ranges((a * BLOCK, (b - a) * BLOCK) for a, b in expected)
    assert asked < 300
