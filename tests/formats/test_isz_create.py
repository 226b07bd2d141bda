"""ISZ images of ours, read by a reader that is written from the layout alone."""

from __future__ import annotations

import bz2
import random
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import LossError, UsageError
from diskimage.formats.isz import FORMAT
from diskimage.formats.isz.create import shape
from diskimage.layers.blank import Blank
from diskimage.model import Extent, Kind
from diskimage.sources.memory import MemorySource
from tests.makers import cue
from tests.makers.aes import encrypt
from tests.makers.executor import image_of
from tests.makers.gate import OpenGate
from tests.makers.iso import volume
from tests.makers.naive import Rows, read
from tests.makers.raw import sparse

MIB = 1 << 20
MASK = bytes((0xB6, 0x8C, 0xA5, 0xDE))
TEXT = b"".join(b"%d bottles\n" % n for n in range(60000))


def clear(table: bytes) -> bytes:
    return bytes(byte ^ MASK[i % 4] for i, byte in enumerate(table))


def unpacked(files: list[bytes], key: bytes = b"") -> tuple[bytes, list[int]]:
    """The guest of a set of files and the kind of every chunk; all sums and counts are checked."""
    head = struct.unpack_from("<4sBBIHIBQIIBBIII", files[0])
    assert head[:3] == (b"IsZ!", 64, 1)
    sector, sectors, sealed, segment, count, size, width = head[4:11]
    assert (sector, width, sealed) == (2048, 3, 4 if key else 0)
    table_at, segments_at, data_at = head[12:]
    rows = [(len(files[0]), count, 0, data_at, 0)]
    if segments_at:
        raw = clear(files[0][segments_at:table_at])
        every = [struct.unpack_from("<QIIII", raw, 24 * i) for i in range(len(raw) // 24)]
        rows = every[: next(i for i, row in enumerate(every) if row[0] == 0)]
    assert len(rows) == len(files)
    stream = b""
    for number, (file, row) in enumerate(zip(files, rows, strict=True)):
        assert file[34] == number
        assert file[6:10] == files[0][6:10]
        assert not segment or len(file) <= segment
        assert row[0] == len(file)
        stream += file[row[3] :]
    image, low, _, stored = struct.unpack_from("<IIII", files[0], 48)
    parts, kinds, at = [], [], 0
    pointers = clear(files[0][table_at : table_at + 3 * count])
    for number in range(count):
        pointer = int.from_bytes(pointers[3 * number : 3 * number + 3], "little")
        kind, length = pointer >> 22, pointer & 0x3FFFFF
        want = min(size, sectors * sector - number * size)
        coded = b""
        if kind:
            coded, at = stream[at : at + length], at + length
        coded = unsealed(coded, key) if key else coded
        plain = opened(kind, coded, want)
        assert len(plain) == want
        assert kind or length == want
        parts.append(plain)
        kinds.append(kind)
    guest = b"".join(parts)
    assert at == len(stream)
    assert len(guest) & 0xFFFFFFFF == low
    assert ~zlib.crc32(guest) & 0xFFFFFFFF == image
    assert ~zlib.crc32(stream) & 0xFFFFFFFF == stored
    return guest, kinds


def opened(kind: int, coded: bytes, want: int) -> bytes:
    if kind == 2:
        return zlib.decompress(coded)
    if kind == 3:
        return bz2.decompress(b"BZh" + coded[3:])
    return coded if kind else bytes(want)


def unsealed(coded: bytes, key: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    whole = len(coded) & ~15
    open_ = Cipher(algorithms.AES(key), modes.ECB()).decryptor().update(coded[:whole])
    assert encrypt(key, open_[:32]) == coded[: min(32, whole)]
    return open_ + coded[whole:]


def rows(content: bytes) -> Rows:
    source = MemorySource(content)
    found = [Extent(0, len(content), Kind.DATA, source=source)] if content else []
    return Rows(found)


def made(content: bytes, **options: object) -> bytes:
    assert FORMAT.create is not None
    return image_of(FORMAT.create(rows(content), "disc", **options))


CONTENT = TEXT[: 300 * 1024] + bytes(300 * 1024) + random.Random(1).randbytes(200 * 1024)


@pytest.mark.parametrize(
    ("compression", "kinds"),
    [("zlib", {0, 1, 2}), ("bzip2", {0, 1, 3}), ("smallest", {0, 1, 2, 3}), ("none", {0, 1})],
)
def test_chunks_are_what_was_asked_for(compression: str, kinds: set[int]) -> None:
    image = made(CONTENT, compression=compression, chunk="64K")
    guest, found = unpacked([image])
    assert guest == CONTENT
    assert set(found) == kinds
    assert FORMAT.check is not None
    assert list(FORMAT.check(MemorySource(image), OpenGate())) == []


def test_smallest_takes_each_chunk_as_it_is_smallest() -> None:
    guest = bytes(range(256)) * 256 + TEXT[: 64 * 1024]
    _, found = unpacked([made(guest, compression="smallest", chunk="64K")])
    assert set(found) == {2, 3}


@given(st.integers(0, 40000), st.sampled_from([2048, 6144, 131072]))
@settings(max_examples=25)
def test_any_size_is_padded_to_sectors(size: int, chunk: int) -> None:
    content = TEXT[:size]
    image = made(content, chunk=chunk)
    guest, _ = unpacked([image])
    assert guest == content + bytes(-size % 2048)
    device = FORMAT.open(MemorySource(image), OpenGate())
    assert not isinstance(device, diskimage.model.Disc)
    assert read(device) == guest


def test_more_than_one_group_of_chunks() -> None:
    content = TEXT[:2048] + bytes(70000 * 2048) + TEXT[:2048]
    source = MemorySource(content)
    ends = [Extent(0, 2048, Kind.DATA, source=source),
            Extent(2048, 70000 * 2048, Kind.ZERO, hole=True),
            Extent(70001 * 2048, 2048, Kind.DATA, source=source)]  # fmt: skip
    assert FORMAT.create is not None
    image = image_of(FORMAT.create(Rows(ends), "disc", chunk=2048))
    device = FORMAT.open(MemorySource(image), OpenGate())
    assert not isinstance(device, diskimage.model.Disc)
    assert read(device, 70000 * 2048) == bytes(2048) + TEXT[:2048]
    assert unpacked([image])[0] == content


def test_segments_are_files_of_a_set(tmp_path: Path) -> None:
    content = random.Random(2).randbytes(40 * MIB) + TEXT
    content += bytes(-len(content) % 2048)
    source = tmp_path / "a.iso"
    sparse(source, volume() + content)
    target = tmp_path / "b.isz"
    diskimage.convert(source, target, segment_size="16M")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.iso", "b.i01", "b.i02", "b.isz"]
    files = [(tmp_path / name).read_bytes() for name in ("b.isz", "b.i01", "b.i02")]
    assert unpacked(files)[0] == source.read_bytes()
    with diskimage.open(target) as image:
        assert not list(image.problems())
        assert not image.warnings
    assert diskimage.compare(source, target).equal


def test_a_password_seals_every_chunk() -> None:
    pytest.importorskip("cryptography", reason="needs the wheel cryptography")
    content = volume() + bytes(8192) + random.Random(3).randbytes(8192)
    image = made(content, chunk=8192, new_password="secret")
    guest, kinds = unpacked([image], b"secret".ljust(32, b"\0"))
    assert guest == content
    assert {0, 1, 2} <= set(kinds)
    assert content[-64:] not in image
    gate = OpenGate()
    gate.password = lambda: "secret"  # type: ignore[method-assign]  # what a caller gives
    device = FORMAT.open(MemorySource(image), gate)
    assert not isinstance(device, diskimage.model.Disc)
    assert read(device) == content


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzma"},
        {"level": "0"},
        {"level": "13"},
        {"compression": "bzip2", "level": "10"},
        {"chunk": "1000"},
        {"chunk": "4M"},
        {"chunk": "0"},
        {"chunk": "many"},
        {"segment_size": "1M"},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        shape(1 << 20, **options)


def test_an_empty_image_is_its_table() -> None:
    assert FORMAT.create is not None
    image = image_of(FORMAT.create(Blank(1 << 25), "disc"))
    assert len(image) == 64 + 3 * 256
    assert unpacked([image])[0] == bytes(1 << 25)


@pytest.mark.parametrize("password", ["", "a password that is longer than thirty-two bytes"])
def test_a_password_that_another_one_would_stand_for_is_refused(password: str) -> None:
    with pytest.raises(UsageError, match="password"):
        shape(1 << 20, new_password=password)


def test_a_disc_with_audio_needs_a_word(tmp_path: Path) -> None:
    mixed = next(one for one in cue.samples() if one.label == "mixed").write(tmp_path)
    with pytest.raises(LossError, match="audio"):
        diskimage.convert(mixed, tmp_path / "a.isz")
    diskimage.convert(mixed, tmp_path / "a.isz", lossy=["audio"])
    assert unpacked([(tmp_path / "a.isz").read_bytes()])[0] == volume()
