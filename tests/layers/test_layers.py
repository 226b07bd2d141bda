"""Slices, concatenations, overlays and records, against plain bytes."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, strategies as st

from diskimage.layers.concat import Concat
from diskimage.layers.overlay import Overlay
from diskimage.layers.slice import Slice
from diskimage.model import Device, Extent, Kind, Records, Runs
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.naive import Rows, lawful, piece, read

STORE = bytes((i * 7 + i // 251) % 256 for i in range(6000))
SOURCES = (MemorySource(STORE, "one"), MemorySource(STORE[::-1], "two"))


class Folded:
    """A codec whose chunk is 40 bytes of its first byte, counting up."""

    name = "folded"

    def decode(self, coded: memoryview, want: int) -> bytes:
        return bytes((coded[0] + i) % 256 for i in range(want))

    def encode(self, plain: memoryview) -> bytes | None:
        return bytes(plain[:1])


FOLDED = Folded()


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """A device of a few extents of every kind but BAD."""
    made: list[Extent] = []
    start = 0
    for _ in range(draw(st.integers(0, 9))):
        kind = draw(st.sampled_from([Kind.DATA, Kind.CODED, Kind.ZERO, Kind.ABSENT]))
        length = draw(st.integers(1, 40))
        extent = Extent(start, length, kind, hole=kind == Kind.ZERO and draw(st.booleans()))
        if kind == Kind.CODED:
            at = draw(st.integers(0, 3000))
            skip = draw(st.integers(0, 40 - length))
            extent = extent._replace(source=SOURCES[0], at=at, stored=1, skip=skip, codec=FOLDED)
        if kind == Kind.DATA:
            shape = draw(st.sampled_from([None, None, Records(5, 9), Records(1, 3)]))
            skip = draw(st.integers(0, shape.take - 1)) if shape else 0
            extent = extent._replace(
                source=draw(st.sampled_from(SOURCES)),
                at=draw(st.sampled_from([0, 40, 80, 777, 3000])), skip=skip, records=shape,
            )  # fmt: skip
        made.append(extent)
        start += length
    return Rows(made, chunk=40)


def plain(device: Device) -> list[int | None]:
    """Each guest byte, None where it is absent: the model that layers are held against."""
    out: list[int | None] = []
    for extent in extents(device):
        absent = extent.kind == Kind.ABSENT
        out += [None] * extent.length if absent else list(piece(extent))
    return out


def ranges(size: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, size), st.integers(0, size)).map(
        lambda pair: (min(pair), max(pair))
    )


def held(device: Device, model: list[int | None], draw: st.DataObject) -> None:
    """The device says what the model says, whole and in any part."""
    assert device.size == len(model)
    lawful(device)
    assert plain(device) == model
    start, stop = draw.draw(ranges(device.size))
    lawful(device, start, stop)
    part: list[int | None] = []
    for extent in extents(device, start, stop):
        absent = extent.kind == Kind.ABSENT
        part += [None] * extent.length if absent else list(piece(extent))
    assert part == model[start:stop]


@given(rows(), st.data())
def test_rows_read_the_same_in_any_part(device: Rows, data: st.DataObject) -> None:
    held(device, plain(device), data)


@given(rows(), st.data())
def test_a_slice_is_a_slice_of_the_bytes(device: Rows, data: st.DataObject) -> None:
    start, stop = data.draw(ranges(device.size))
    held(Slice(device, start, stop - start), plain(device)[start:stop], data)


@given(st.lists(rows(), max_size=4), st.data())
def test_a_concatenation_is_the_sum_of_the_bytes(devices: list[Rows], data: st.DataObject) -> None:
    model = [byte for device in devices for byte in plain(device)]
    held(Concat(devices), model, data)


@given(rows(), rows(), st.data())
def test_an_overlay_answers_absent_bytes_from_below(
    top: Rows, bottom: Rows, data: st.DataObject
) -> None:
    below = plain(bottom) + [0] * top.size
    model = [below[i] if byte is None else byte for i, byte in enumerate(plain(top))]
    held(Overlay(top, bottom), model, data)


@given(rows(), rows(), rows(), st.data())
def test_layers_stack(one: Rows, two: Rows, three: Rows, data: st.DataObject) -> None:
    joined = Concat([one, two])
    over = Overlay(joined, three)
    below = plain(three) + [0] * joined.size
    model = [below[i] if byte is None else byte for i, byte in enumerate(plain(joined))]
    start, stop = data.draw(ranges(over.size))
    held(Slice(over, start, stop - start), model[start:stop], data)


@given(st.lists(rows(), min_size=2, max_size=6), st.data())
def test_a_chain_answers_as_its_pairs_do(layers: list[Rows], data: st.DataObject) -> None:
    """Where a layer ends, zeros begin, whatever a longer one below it holds."""
    over: Device = layers[-1]
    model = plain(over)
    for layer in reversed(layers[:-1]):
        below = model + [0] * layer.size
        model = [below[i] if byte is None else byte for i, byte in enumerate(plain(layer))]
        over = Overlay(layer, over)
    held(over, model, data)
    if len(layers) > 2:  # the other way round: pairs on top of the rest
        top = Overlay(Overlay(layers[0], layers[1]), layers[2])
        lawful(top)
        assert plain(top) == plain(Overlay(layers[0], Overlay(layers[1], layers[2])))


def test_a_chain_of_any_length_needs_no_deeper_stack() -> None:
    count = 2000
    bottom = Rows([Extent(0, count, Kind.DATA, source=SOURCES[0])])
    over: Device = bottom
    for i in range(count - 1):
        made = [Extent(0, i, Kind.ABSENT)] if i else []
        made += [Extent(i, 1, Kind.ZERO), Extent(i + 1, count - i - 1, Kind.ABSENT)]
        over = Overlay(Rows(made), over)
    assert read(over, 0, count) == bytes(count - 1) + STORE[count - 1 : count]


class Counted:
    """A device that counts how often it is asked."""

    def __init__(self, device: Device) -> None:
        self._device, self.asked = device, 0
        self.size, self.block, self.info = device.size, device.block, device.info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        self.asked += 1
        return self._device.runs(start, stop)


def scattered(count: int, *, odd: bool) -> Rows:
    made = []
    for i in range(count):
        mine = bool(i % 2) == odd
        kind = Kind.DATA if mine else Kind.ABSENT
        made.append(Extent(i * 8, 8, kind, source=SOURCES[0] if mine else None, at=i * 16 % 5000))
    return Rows(made)


def test_scattered_rows_ask_the_backing_few_times() -> None:
    top = scattered(20_000, odd=True)
    bottom = Counted(Rows([Extent(0, 160_000, Kind.ZERO, hole=True)]))
    over = Overlay(top, bottom)
    lawful(over)
    blocks = list(over.runs())
    bottom.asked = 0
    assert sum(len(runs) for runs in over.runs()) == 20_000
    assert bottom.asked <= 20_000 / 4096 + 1
    assert len(blocks) <= 8


def test_a_far_gap_is_asked_for_apart() -> None:
    gap = 64 << 20
    data = MemorySource(bytes(16))
    top = Rows([
        Extent(0, 8, Kind.ABSENT), Extent(8, gap, Kind.ZERO), Extent(8 + gap, 8, Kind.ABSENT),
    ])  # fmt: skip
    bottom = Counted(Rows([Extent(0, 16, Kind.DATA, source=data), Extent(16, gap, Kind.ZERO)]))
    over = Overlay(top, bottom)
    lawful(over)
    assert bottom.asked == 2
    assert read(over, 0, 16) == bytes(16)
