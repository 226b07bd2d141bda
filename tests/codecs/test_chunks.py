"""Codecs of ISZ, CSO and DAX chunks: zlib, bzip2, LZ4 and AES, against their own makers."""

from __future__ import annotations

import bz2
import random
import sys
import tracemalloc
import zlib

import pytest
from hypothesis import example, given, strategies as st

from diskimage import codecs
from diskimage.codecs.lz4 import Lz4, decoded
from diskimage.errors import CorruptError
from diskimage.model import Encoder
from tests.makers import aes

PLAIN = b"".join(b"line %d of a text that is worth packing\n" % (n % 701) for n in range(800))
NOISE = random.Random(4).randbytes(4096)


@pytest.fixture(params=["libdeflate", "zlib"])
def stream(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Encoder:
    """zlib streams by each library in turn."""
    if request.param == "libdeflate":
        pytest.importorskip("deflate", reason="needs the wheel deflate")
    else:
        monkeypatch.setitem(sys.modules, "deflate", None)
    return codecs.zlib()


def test_a_zlib_stream_is_what_zlib_makes(stream: Encoder) -> None:
    for level in (0, 1, 6, 9):
        assert stream.decode(memoryview(zlib.compress(PLAIN, level)), len(PLAIN)) == PLAIN
    made = stream.encode(memoryview(PLAIN))
    assert made is not None
    assert zlib.decompress(made) == PLAIN
    assert stream.encode(memoryview(NOISE)) is None


def broken(whole: bytes) -> list[bytes]:
    """Cut short, with a wrong sum, with nothing, with other bytes."""
    return [whole[:-1], whole[:-3] + b"\0\0\0", b"", b"\xff" * 40, whole[: len(whole) // 2]]


@pytest.mark.parametrize("coded", broken(zlib.compress(PLAIN)))
def test_a_broken_zlib_stream_is_corrupt(stream: Encoder, coded: bytes) -> None:
    with pytest.raises(CorruptError):
        stream.decode(memoryview(coded), len(PLAIN))


@pytest.mark.parametrize("coded", broken(bz2.compress(PLAIN)))
def test_a_broken_bzip2_stream_is_corrupt(coded: bytes) -> None:
    with pytest.raises(CorruptError):
        codecs.bzip2().decode(memoryview(coded), len(PLAIN))


@pytest.mark.parametrize("other", [-1, 1])
def test_a_stream_of_another_length_is_corrupt(stream: Encoder, other: int) -> None:
    for codec, coded in ((stream, zlib.compress(PLAIN)), (codecs.bzip2(), bz2.compress(PLAIN))):
        with pytest.raises(CorruptError, match="gives"):
            codec.decode(memoryview(coded), len(PLAIN) + other)


def test_bzip2_is_what_the_standard_library_makes() -> None:
    codec = codecs.bzip2()
    assert codec.decode(memoryview(bz2.compress(PLAIN) + b"tail"), len(PLAIN)) == PLAIN
    made = codec.encode(memoryview(PLAIN))
    assert made is not None
    assert bz2.decompress(made) == PLAIN
    assert codec.encode(memoryview(NOISE)) is None


@pytest.mark.parametrize("name", ["zlib", "bzip2"])
def test_a_bomb_costs_no_more_than_a_chunk(name: str) -> None:
    zeros = bytes(64 << 20)
    bomb = zlib.compress(zeros) if name == "zlib" else bz2.compress(zeros)
    codec = codecs.zlib() if name == "zlib" else codecs.bzip2()
    tracemalloc.start()
    with pytest.raises(CorruptError, match="more than"):
        codec.decode(memoryview(bomb), 65536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("size", [16, 24, 32])
def test_aes_is_that_of_its_clauses(size: int) -> None:
    pytest.importorskip("cryptography", reason="needs the wheel cryptography")
    key = bytes(range(size))
    plain = PLAIN[:1003]
    sealed = aes.encrypt(key, plain[:992]) + plain[992:]
    codec = codecs.ecb(None, key)
    assert codec.decode(memoryview(sealed), 1003) == plain
    with pytest.raises(CorruptError):
        codec.decode(memoryview(sealed), 1004)
    assert codec.seal(5, plain) == sealed
    inner = codecs.ecb(codecs.zlib(), key)
    made = inner.seal(0, zlib.compress(PLAIN))
    assert inner.decode(memoryview(made), len(PLAIN)) == PLAIN
    with pytest.raises(CorruptError):
        codecs.ecb(codecs.zlib(), bytes(size)).decode(memoryview(made), len(PLAIN))


@given(st.binary(max_size=300), st.integers(1, 40))
@example(b"abcd" * 40, 9)
@example(b"", 1)
def test_lz4_blocks_decode_with_and_without_the_wheel(piece: bytes, times: int) -> None:
    block = pytest.importorskip("lz4.block", reason="needs the wheel lz4")
    plain = piece * times
    coded = memoryview(block.compress(plain, store_size=False))
    assert decoded(coded, len(plain)) == plain
    assert Lz4().decode(coded, len(plain)) == plain
    padded = memoryview(bytes(coded) + bytes(7))
    assert Lz4().decode(padded, len(plain)) == plain


def test_lz4_of_its_description() -> None:
    """Literals alone; a match that runs over itself; lengths of more than one byte."""
    assert decoded(memoryview(b"\x30abc"), 3) == b"abc"
    assert decoded(memoryview(b"\x10a\x01\x00\x00"), 5) == b"aaaaa"
    assert decoded(memoryview(b"\x1fa\x01\x00\xff\x02\x00"), 277) == b"a" * 277
    long = bytes(range(256)) + b"!"
    assert decoded(memoryview(b"\xf0\xf2" + long), 257) == long


@pytest.mark.parametrize(
    "coded",
    [b"", b"\x30ab", b"\x10a\x02\x00", b"\x10a\x00\x00", b"\xf0", b"\xf0\xff", b"\x10a\x01"],
)
def test_a_broken_lz4_block_is_corrupt(coded: bytes) -> None:
    with pytest.raises(CorruptError):
        Lz4().decode(memoryview(coded), 100)


@given(st.binary(max_size=200), st.integers(1, 4096))
def test_any_bytes_are_a_block_or_corrupt(coded: bytes, want: int) -> None:
    for codec in (Lz4(), codecs.zlib(), codecs.bzip2()):
        try:
            plain = codec.decode(memoryview(coded), want)
        except CorruptError:
            continue
        assert len(plain) == want
