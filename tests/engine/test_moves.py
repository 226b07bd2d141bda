"""The engine against the naive executor, on devices of random extents."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.engine import compare, digest
from diskimage.engine.batch import Buffers
from diskimage.engine.copy import Work, copy, digest as digest_device
from diskimage.engine.pack import pack
from diskimage.engine.progress import Watch
from diskimage.engine.read import Reader, read_into, source
from diskimage.engine.run import run
from diskimage.errors import CancelledError, RefusedReferenceError, TruncatedError
from diskimage.model import Copy, Extent, Kind, Pack, Plan, Put, Records, Size
from diskimage.sinks.file import FileSink
from diskimage.sinks.memory import MemorySink, MemoryTarget
from diskimage.sources.file import open_file
from diskimage.sources.memory import MemorySource
from tests.makers import executor, naive

CHUNK = 4096


class Deflate:
    """zlib's own streams, as a codec."""

    name = "test-deflate"

    def decode(self, coded: memoryview, want: int) -> bytes:
        return zlib.decompressobj().decompress(coded, want)

    def encode(self, plain: memoryview) -> bytes | None:
        made = zlib.compress(plain, 1)
        return made if len(made) < len(plain) else None


CODEC = Deflate()


@st.composite
def devices(draw: st.DrawFn) -> naive.Rows:
    """A device of up to 12 extents of every readable kind, over one memory source."""
    content, rows, at = bytearray(b"\xee" * 7), [], 0
    for _ in range(draw(st.integers(0, 12))):
        shape = draw(st.sampled_from(["data", "coded", "zero", "hole", "records"]))
        length = draw(st.integers(1, 9000))
        seed = draw(st.integers(0, 255))
        plain = bytes((seed + i * i) & 0xFF for i in range(16)) * 700
        here = len(content)
        if shape == "data":
            content += plain[:length]
            rows.append(Extent(at, length, Kind.DATA, at=here))
        elif shape == "coded":
            length = min(length, CHUNK)
            coded = zlib.compress(plain[:CHUNK])
            content += coded + b"tail"
            rows.append(Extent(at, length, Kind.CODED, at=here, stored=len(coded), codec=CODEC))
        elif shape == "records":
            content += plain[: -(-length // 5) * 7]
            content += bytes(max(0, here + -(-length // 5) * 7 - len(content)))
            rows.append(Extent(at, length, Kind.DATA, at=here, records=Records(5, 7)))
        else:
            rows.append(Extent(at, length, Kind.ZERO, hole=shape == "hole"))
        at += length
    held = MemorySource(bytes(content) + bytes(32))
    placed = [r._replace(source=held) if r.kind in (Kind.DATA, Kind.CODED) else r for r in rows]
    return naive.Rows(placed, chunk=CHUNK)


def whole(device: naive.Rows) -> bytes:
    out = bytearray()
    for extent in device.extents:
        out += naive.coded(extent, CHUNK) if extent.kind == Kind.CODED else naive.piece(extent)
    return bytes(out)


def work(threads: int = 1, window: int = CHUNK * 2, *, sparse: bool = False) -> Work:
    return Work(threads=threads, window=window, buffers=Buffers(window), sparse=sparse)


@given(devices(), st.integers(1, 3), st.sampled_from([512, 4096, 1 << 20]), st.booleans())
def test_a_copy_holds_the_guest_and_digests_see_it(
    device: naive.Rows, threads: int, window: int, sparse: bool
) -> None:
    target, sums = MemoryTarget("out"), (digest.new("sha256"), digest.new("crc32"))
    copy(device.runs(), 3, target, sums, work(threads, window, sparse=sparse))
    expected = whole(device)
    target.resize(3 + len(expected))
    assert target.data[3:] == expected
    assert sums[0].hexdigest() == hashlib.sha256(expected).hexdigest()
    assert sums[1].hexdigest() == f"{zlib.crc32(expected):08x}"


@given(devices(), st.integers(1, 2), st.booleans())
def test_a_file_copy_holds_the_guest(device: naive.Rows, threads: int, stale: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sink = FileSink(f"{folder}/out", durable=False)
        target = sink.target()
        if stale:  # bytes that a target which is not fresh must lose
            target.write(0, memoryview(b"\xaa" * (device.size + 10)))
            target.fresh = False
        copy(device.runs(), 0, target, (), work(threads))
        target.resize(device.size)
        sink.commit()
        assert Path(folder, "out").read_bytes() == whole(device)
        assert [found.name for found in Path(folder).iterdir()] == ["out"]


@given(devices(), st.data())
def test_any_part_reads_the_same(device: naive.Rows, data: st.DataObject) -> None:
    expected = whole(device)
    start = data.draw(st.integers(0, max(0, device.size - 1)))
    length = data.draw(st.integers(0, device.size + 5))
    buffer = bytearray(length)
    got = read_into(device, start, memoryview(buffer), Reader())
    assert buffer[:got] == expected[start : start + length]
    assert got == max(0, min(length, device.size - start))
    held = source(device)
    again = bytearray(length)
    assert held.read_into(start, memoryview(again)) == got
    assert again == buffer


@given(devices(), st.sampled_from([512, 4096]), st.integers(1, 2), st.sampled_from([1, 512]))
def test_a_pack_answers_for_every_chunk(
    device: naive.Rows, chunk: int, threads: int, align: int
) -> None:
    target, total = MemoryTarget("out"), digest.new("md5")
    step = Pack(device.runs(), chunk, (CODEC,), 100, align=align, sums=(total,))
    packed = pack(step, target, work(threads))
    expected = whole(device)
    assert packed.done == -(-len(expected) // chunk) == len(packed.to)
    made = b""
    for to, stored, codec in zip(packed.to, packed.stored, packed.codec, strict=True):
        held = bytes(target.data[to : to + stored]) if to >= 0 else b""
        assert to < 0 or (to % align == 0 or codec >= 0)
        made += bytes(chunk) if to < 0 else zlib.decompress(held) if codec >= 0 else held
    assert made[: len(expected)] == expected
    assert not any(made[len(expected) :])
    assert total.hexdigest() == hashlib.md5(expected).hexdigest()


@given(devices(), st.sampled_from([512, 4096]), st.sampled_from([1, 512]), st.integers(0, 1))
def test_a_lead_stands_before_each_stored_chunk(
    device: naive.Rows, chunk: int, align: int, threads: int
) -> None:
    def step() -> Pack:
        return Pack(device.runs(), chunk, (), 100, align=align, lead=b"before")

    target, expected = MemoryTarget("out"), bytearray()
    packed, wanted = pack(step(), target, work(1 + threads)), executor.pack(step(), expected)
    assert (packed.to, packed.end) == (wanted.to, wanted.end)
    assert target.data == expected
    assert all(target.data[to - 6 : to] == b"before" for to in packed.to if to >= 0)


@given(devices(), devices())
def test_differences_are_those_of_the_bytes(a: naive.Rows, b: naive.Rows) -> None:
    one, two = whole(a), whole(b)
    size = min(len(one), len(two))
    found = compare.differing(a, b, work())
    sectors = {i for i in range(size) if one[i] != two[i]}
    assert {i // 512 for i in sectors} == {
        s for r in found for s in range(r.start // 512, -(-r.stop // 512))
    }


@settings(max_examples=20)
@given(devices())
def test_a_digest_alone_sees_the_guest(device: naive.Rows) -> None:
    sums = (digest.new("sha1"),)
    digest_device(device.runs(), sums, work(2))
    assert sums[0].hexdigest() == hashlib.sha1(whole(device)).hexdigest()


def test_pack_stops_before_the_room_is_exceeded() -> None:
    held = MemorySource(os.urandom(CHUNK * 4))
    device = naive.Rows([Extent(0, CHUNK * 4, Kind.DATA, source=held)])
    target = MemoryTarget("out")
    packed = pack(Pack(device.runs(), CHUNK, (), 0, room=CHUNK * 2 + 1), target, work())
    assert packed.done == 2
    assert len(target.data) == CHUNK * 2


@given(devices(), st.integers(0, 30000))
def test_sums_see_what_is_done_and_what_is_stored(device: naive.Rows, room: int) -> None:
    target, plain, coded = MemoryTarget("out"), digest.new("md5"), digest.new("md5")
    step = Pack(
        device.runs(), CHUNK, (CODEC,), 0, room=room, sums=(plain,), stored_sums=(coded,)
    )  # fmt: skip
    packed = pack(step, target, work(2))
    expected = whole(device)[: packed.done * CHUNK]
    assert plain.hexdigest() == hashlib.md5(expected).hexdigest()
    assert coded.hexdigest() == hashlib.md5(target.data[: packed.end]).hexdigest()
    assert packed.end <= room


@given(devices(), st.integers(1, 3), st.booleans())
def test_equal_chunks_are_stored_once_and_summed(
    device: naive.Rows, threads: int, coded: bool
) -> None:
    codecs = (CODEC,) if coded else ()
    target, out = MemoryTarget("out"), bytearray()
    step = Pack(device.runs(), CHUNK, codecs, 0, dedupe=True, chunk_sum=zlib.crc32)
    packed = pack(step, target, work(threads))
    assert packed == executor.pack(step._replace(extents=device.runs()), out)
    assert bytes(target.data) == bytes(out)
    guest = whole(device)
    chunks = [guest[i : i + CHUNK].ljust(CHUNK, b"\0") for i in range(0, len(guest), CHUNK)]
    assert len({bytes(one) for one in chunks}) == sum(kind != -2 for kind in packed.codec)
    for i, (to, kind, total) in enumerate(zip(packed.to, packed.codec, packed.sum, strict=True)):
        if kind == -2:
            assert chunks[to] == chunks[i]
            assert (to < i, total) == (True, 0)
        else:
            assert total == zlib.crc32(chunks[i])


@given(devices(), st.integers(1, 3), st.booleans())
def test_a_sealed_pack_is_the_plain_one_enciphered_by_place(
    device: naive.Rows, threads: int, coded: bool
) -> None:
    def seal(start: int, stored: bytes | memoryview) -> bytes:
        key = start // CHUNK % 255 + 1
        return bytes(byte ^ key for byte in bytes(stored))

    clear, sealed = MemoryTarget("clear"), MemoryTarget("sealed")
    step = Pack(device.runs(), CHUNK, (CODEC,) if coded else (), 0)
    packed = pack(step, clear, work(threads))
    again = pack(step._replace(extents=device.runs(), seal=seal), sealed, work(threads))
    assert (again.to, again.stored, again.codec) == (packed.to, packed.stored, packed.codec)
    for number, (to, length) in enumerate(zip(packed.to, packed.stored, strict=True)):
        if to >= 0:
            plain = bytes(clear.data[to : to + length])
            assert sealed.data[to : to + length] == seal(number * CHUNK, plain)


def test_bytes_past_the_source_are_truncated() -> None:
    short = MemorySource(bytes(100), "short.img")
    device = naive.Rows([Extent(0, 200, Kind.DATA, source=short)])
    with pytest.raises(TruncatedError, match=r"short\.img.*past the end"):
        copy(device.runs(), 0, MemoryTarget("out"), (), work())


def test_absent_bytes_are_refused() -> None:
    device = naive.Rows([Extent(0, 200, Kind.ABSENT)])
    with pytest.raises(RefusedReferenceError, match="not in this layer"):
        copy(device.runs(), 0, MemoryTarget("out"), (), work())


def test_a_shrinking_source_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(b"x" * 100_000)
    held = open_file(str(path))
    device = naive.Rows([Extent(0, 100_000, Kind.DATA, source=held)])
    os.truncate(path, 50_000)
    for sums in ((), (digest.new("md5"),)):
        with pytest.raises(TruncatedError):
            copy(device.runs(), 0, FileSink(str(tmp_path / "o")).target(), sums, work())
    held.close()


def plan_of(device: naive.Rows) -> Plan:
    yield Put(0, b"head")
    yield Copy(device.runs(), 4, file="part.bin")
    yield Size(device.size + 4, file="part.bin")


def test_nothing_is_published_after_cancelling(tmp_path: Path) -> None:
    from threading import Event

    cancel = Event()
    cancel.set()
    held = MemorySource(bytes(range(256)) * 400)
    device = naive.Rows([Extent(0, 102_400, Kind.DATA, source=held)])
    moving = Work(watch=Watch(cancel=cancel))
    with pytest.raises(CancelledError):
        run(plan_of(device), FileSink(str(tmp_path / "main")), moving)
    assert list(tmp_path.iterdir()) == []
    cancel.clear()
    run(plan_of(device), FileSink(str(tmp_path / "main")), moving)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["main", "part.bin"]


def test_a_memory_sink_keeps_what_was_committed() -> None:
    held = MemorySource(b"abc" * 1000)
    sink = MemorySink()
    run(plan_of(naive.Rows([Extent(0, 3000, Kind.DATA, source=held)])), sink, work())
    assert sink.committed
    assert sink.targets["part.bin"].data == bytes(4) + b"abc" * 1000
