"""CSO, ZSO, DAX: images of an independent maker and a real one; ours read by the layout alone."""

from __future__ import annotations

import random
import struct
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)
from diskimage.formats.cso import FORMAT, shape
from diskimage.model import Device, Disc, Extent, Kind
from diskimage.sources.memory import MemorySource
from tests.makers.cso import content, cso, dax
from tests.makers.executor import image_of
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, lawful, read

GUEST = content()
TEXT = b"".join(b"%d bottles\n" % n for n in range(60000))
IMAGE = cso(GUEST, plain=(3, 20))


def opened(image: bytes) -> Device:
    device = FORMAT.open(MemorySource(image), OpenGate())
    assert not isinstance(device, Disc)
    return device


@given(st.data())
@settings(max_examples=80)
def test_any_image_reads_right(data: st.DataObject) -> None:
    draw = random.Random(data.draw(st.integers(0, 99)))
    size = data.draw(st.integers(0, 20)) * 2048
    guest = b"".join(
        draw.choice([bytes(2048), draw.randbytes(2048), TEXT[:2048]]) for _ in range(size // 2048)
    )
    chosen = st.sets(st.integers(0, 20))
    kind = data.draw(st.sampled_from([b"CISO", b"ZISO", b"DAX\0"]))
    if kind == b"DAX\0":
        count = -(-size // 8192)
        areas = [(n, 1) for n in sorted(data.draw(chosen)) if n < count]
        noise = [(n, 1) for n in range(count)]
        image = dax(guest, areas=areas or noise)
    else:
        version = 1 if kind == b"ZISO" else data.draw(st.sampled_from([1, 2]))
        chunk = 2048 if version == 2 else data.draw(st.sampled_from([2048, 8192]))
        other = data.draw(chosen) if version == 2 else ()
        # in version 2 padding may make a chunk of noise look stored: no writer pads so
        shift = 0 if version == 2 else data.draw(st.integers(0, 3))
        image = cso(guest, magic=kind, version=version, chunk=chunk, plain=data.draw(chosen),
                    other=other, shift=shift)  # fmt: skip
    device = opened(image)
    lawful(device)
    assert read(device) == guest
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    assert read(device, start, stop) == guest[start:stop]


def test_without_the_wheel_zso_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4", None)
    for shift in (0, 3):
        assert read(opened(cso(GUEST, magic=b"ZISO", shift=shift))) == GUEST


def test_a_real_image_is_its_counterpart(shared: Path) -> None:
    image = shared / "corpus/misc/igir__UMD.cso"
    raw = shared / "corpus/iso/igir__UMD.iso"
    with diskimage.open(image) as found:
        assert found.format == "cso"
        assert found.read(0, found.size) == raw.read_bytes()


def patched(at: int, value: bytes) -> bytes:
    return IMAGE[:at] + value + IMAGE[at + len(value) :]


GAMECUBE = b"CISO" + struct.pack("<I", 1 << 21) + b"\1\1\0\1".ljust(0x8000 - 8, b"\0") + bytes(4096)


@pytest.mark.parametrize(
    ("image", "error", "told"),
    [
        (GAMECUBE, UnsupportedError, "GameCube"),
        (b"JISO" + bytes(64), UnsupportedError, "JSO"),
        (patched(20, b"\3"), UnsupportedError, "version 3"),
        (patched(16, b"\0\0\0\0"), CorruptError, "chunks of 0 bytes"),
        (patched(16, b"\1\x08\0\0"), CorruptError, "chunks"),
        (patched(16, b"\0\0\0\x80"), LimitError, "chunks"),
        (patched(21, b"\x40"), CorruptError, "units"),
        (patched(8, b"\xff" * 7), TruncatedError, "index"),
        (patched(8, b"\xff" * 8), LimitError, "guest_size"),
        (IMAGE[:20], TruncatedError, "header"),
        (IMAGE[:40], TruncatedError, "index"),
        (dax(GUEST)[:40], TruncatedError, "index"),
        (dax(GUEST, areas=((5, 99),)), CorruptError, "areas"),
        (dax(GUEST)[:8] + b"\2" + dax(GUEST)[9:], UnsupportedError, "version 2"),
        (dax(GUEST)[:12] + b"\xff" + dax(GUEST)[13:], CorruptError, "areas"),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        opened(image)


def test_an_index_that_goes_back_is_corrupt_where_it_does() -> None:
    at = 24 + 4 * 10
    with pytest.raises(CorruptError, match="goes back") as caught:
        read(opened(patched(at, b"\1\0\0\0")))
    assert caught.value.at == at - 4


def test_a_cut_image_reads_up_to_its_end() -> None:
    device = opened(IMAGE[:-1])
    assert read(device, 0, 20480) == GUEST[:20480]
    with pytest.raises(TruncatedError, match="guest byte"):
        read(device)


FUZZED = [IMAGE, cso(GUEST, magic=b"ZISO"), cso(GUEST, version=2, other=range(9)), dax(GUEST)]


@given(st.sampled_from(FUZZED), st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(image: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(4, 200) | st.integers(0, len(image) - 1))
    wrong = data.draw(st.binary(min_size=1, max_size=8))
    with suppress(DiskImageError):
        device = opened(image[:at] + wrong + image[at + len(wrong) :])
        if device.size <= 1 << 20:
            lawful(device)
            assert len(read(device)) == device.size


def unpacked(image: bytes) -> bytes:
    """The guest of a CSO of version 1, by its layout."""
    magic, head, size, chunk, version, shift = struct.unpack_from("<4sIQIBB", image)
    assert (magic, head, version) == (b"CISO", 24, 1)
    count = -(-size // chunk)
    entries = struct.unpack_from(f"<{count + 1}I", image, 24)
    parts = []
    for number in range(count):
        at = (entries[number] & 0x7FFFFFFF) << shift
        stop = (entries[number + 1] & 0x7FFFFFFF) << shift
        stored = image[at:stop]
        plain = stored if entries[number] >> 31 else zlib.decompressobj(-15).decompress(stored)
        want = min(chunk, size - number * chunk)
        assert want <= len(plain) <= chunk + (1 << shift)
        parts.append(plain[:want])
    assert entries[-1] << shift == len(image)
    return b"".join(parts)


def rows(content: bytes) -> Rows:
    """A device of bytes, with holes where 64 KiB are zeros."""
    source, found = MemorySource(content), []
    for at in range(0, len(content), 1 << 16):
        piece = content[at : at + (1 << 16)]
        if any(piece):
            found.append(Extent(at, len(piece), Kind.DATA, source=source, at=at))
        else:
            found.append(Extent(at, len(piece), Kind.ZERO, hole=True))
    return Rows(found)


CONTENTS = {
    "empty": b"",
    "sector": b"x" * 2048,
    "odd": TEXT[:5000],
    "holes": TEXT[: 1 << 16] + bytes(3 << 16) + random.Random(1).randbytes(1 << 16) + b"end",
    "zeros": bytes(1 << 18),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("chunk", ["2K", "16K", "64K"])
def test_what_is_written_is_what_the_layout_says(name: str, chunk: str) -> None:
    assert FORMAT.create is not None
    image = image_of(FORMAT.create(rows(CONTENTS[name]), "disc", chunk=chunk, level="9"))
    padded = CONTENTS[name] + bytes(-len(CONTENTS[name]) % 2048)
    assert unpacked(image) == padded
    assert read(opened(image)) == padded


def test_the_engine_writes_the_same_bytes(tmp_path: Path) -> None:
    source, target = tmp_path / "a.iso", tmp_path / "a.cso"
    guest = GUEST + TEXT[: 600 * 1024] + bytes(8 << 20)
    source.write_bytes(guest)
    diskimage.convert(source, target, overwrite=True)
    assert unpacked(target.read_bytes()) == guest
    assert FORMAT.create is not None
    assert target.read_bytes() == image_of(FORMAT.create(rows(guest), "disc"))


def test_places_past_two_gibibytes_are_told_in_units() -> None:
    made, _ = shape((1 << 31) - (1 << 28))
    assert made.shift == 0
    for bits in (32, 33, 40):
        header, _ = shape(1 << bits, chunk="64K")
        end = (1 << bits) + header.chunks * (1 << header.shift) + 24 + 4 * (header.chunks + 1)
        assert end >> header.shift <= 0x7FFFFFFF
        assert header.shift == bits - 31 + 1
    with pytest.raises(LimitError):
        shape(1 << 45)


def test_units_align_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from diskimage.formats import cso as module

    whole = module.shape

    def wider(size: int, **options: object) -> tuple[object, object]:
        header, codec = whole(size, **options)  # type: ignore[arg-type]  # passed on
        return header._replace(shift=3), codec

    monkeypatch.setattr(module, "shape", wider)
    image = image_of(module.create(rows(CONTENTS["holes"]), "disc"))
    assert image[21] == 3
    assert unpacked(image) == CONTENTS["holes"] + bytes(-len(CONTENTS["holes"]) % 2048)
    assert read(opened(image))[: len(CONTENTS["holes"])] == CONTENTS["holes"]


@pytest.mark.parametrize("options", [{"chunk": "1K"}, {"chunk": "3K"}, {"chunk": "128K"},
                                     {"chunk": "x"}, {"level": "0"}, {"level": "13"}])  # fmt: skip
def test_options_that_mean_nothing_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        shape(1 << 20, **options)
