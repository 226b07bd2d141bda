"""Codecs: every library that may be installed, against zlib and zstandard themselves."""

from __future__ import annotations

import random
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, strategies as st

from diskimage import codecs
from diskimage.codecs.deflate import Deflate
from diskimage.errors import CorruptError
from diskimage.model import Encoder

WHEELS = {"libdeflate": (), "isal": ("deflate",), "zlib": ("deflate", "isal")}
ABSENT = {"libdeflate": "deflate", "isal": "isal"}


@pytest.fixture(params=WHEELS)
def deflate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Encoder:
    """Deflate with a 12-bit window by each library in turn, the faster ones hidden."""
    if request.param in ABSENT:
        pytest.importorskip(ABSENT[request.param], reason=f"needs the wheel {request.param}")
    for name in WHEELS[request.param]:
        monkeypatch.setitem(sys.modules, name, None)
    return Deflate(12)


def raw(plain: bytes, window: int = 15) -> bytes:
    coder = zlib.compressobj(6, wbits=-window)
    return coder.compress(plain) + coder.flush()


def text(size: int, seed: int = 0) -> bytes:
    """Bytes that compress, with matches near and far."""
    chance = random.Random(seed)
    words = [chance.randbytes(chance.randint(3, 20)) for _ in range(1500)]
    out = bytearray()
    while len(out) < size:
        out += chance.choice(words)
    return bytes(out[:size])


PLAIN = text(65536)


def test_what_zlib_wrote_decodes(deflate: Encoder) -> None:
    for window in (9, 12, 15):
        assert deflate.decode(memoryview(raw(PLAIN, window)), 65536) == PLAIN


def test_bytes_after_the_stream_do_not_matter(deflate: Encoder) -> None:
    for tail in (b"\0", b"\xff" * 700, raw(PLAIN)):
        assert deflate.decode(memoryview(raw(PLAIN) + tail), 65536) == PLAIN


def test_one_chunk_is_enough_though_the_stream_goes_on(deflate: Encoder) -> None:
    unended = zlib.compressobj(6, wbits=-15)
    coded = unended.compress(PLAIN + b"more") + unended.flush(zlib.Z_SYNC_FLUSH)
    assert deflate.decode(memoryview(coded), 65536) == PLAIN
    assert deflate.decode(memoryview(raw(PLAIN + b"more")), 65536) == PLAIN


@pytest.mark.parametrize("coded", [b"", b"\xff" * 64, raw(PLAIN)[:-500], raw(PLAIN[:-1])])
def test_short_or_broken_chunks_are_corrupt(deflate: Encoder, coded: bytes) -> None:
    with pytest.raises(CorruptError):
        deflate.decode(memoryview(coded), 65536)


def test_a_bomb_is_cut_at_one_chunk(deflate: Encoder) -> None:
    bomb = raw(bytes(64 << 20))
    tracemalloc.start()
    assert deflate.decode(memoryview(bomb), 65536) == bytes(65536)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def in_steps(coded: bytes) -> bytes:
    """Inflate as a reader with a 4 KiB window does, in steps: only then does the window count."""
    reader, out = zlib.decompressobj(-12), b""
    while coded:
        out += reader.decompress(coded, 1000)
        coded = reader.unconsumed_tail
    return out + reader.flush()


def test_our_streams_decode_through_a_window_of_4_kib(deflate: Encoder) -> None:
    with pytest.raises(zlib.error, match="distance too far back"):
        in_steps(raw(PLAIN, 15))
    for seed in range(20):
        plain = text(65536, seed)
        coded = deflate.encode(memoryview(plain))
        assert coded is not None
        assert in_steps(coded) == plain


def test_what_would_not_shrink_is_not_encoded(deflate: Encoder) -> None:
    assert deflate.encode(memoryview(random.Random(1).randbytes(4096))) is None


@given(st.binary(max_size=3000), st.integers(0, 3))
def test_round_trips(content: bytes, repeats: int) -> None:
    plain = content * (repeats + 1)
    for codec in (codecs.deflate(12), codecs.deflate(15, 9), codecs.zstd()):
        coded = codec.encode(memoryview(plain))
        if coded is not None:
            assert len(coded) < len(plain)
            assert codec.decode(memoryview(coded), len(plain)) == plain


@given(st.binary(max_size=400), st.integers(0, 5000))
def test_noise_ends_in_bytes_or_corrupt(noise: bytes, want: int) -> None:
    for codec in (codecs.deflate(), codecs.zstd()):
        try:
            assert len(codec.decode(memoryview(noise), want)) == want
        except CorruptError:
            continue


def frames(*parts: bytes, size: bool = True) -> bytes:
    coder = zstandard.ZstdCompressor(write_content_size=size)
    return b"".join(coder.compress(part) for part in parts)


@pytest.mark.parametrize(
    "coded",
    [
        frames(PLAIN),
        frames(PLAIN, size=False),
        frames(PLAIN[:1000], PLAIN[1000:]),
        frames(PLAIN[:1000], PLAIN[1000:], size=False),
        frames(PLAIN + b"more"),
        frames(PLAIN) + b"\xff" * 300,
    ],
    ids=["one", "unsized", "two", "two unsized", "longer", "tail"],
)
def test_zstd_frames_of_every_sort(coded: bytes) -> None:
    assert codecs.zstd().decode(memoryview(coded), 65536) == PLAIN


@pytest.mark.parametrize("coded", [b"", b"\xff" * 64, frames(PLAIN)[:-9], frames(PLAIN[:-1])])
def test_short_or_broken_zstd_chunks_are_corrupt(coded: bytes) -> None:
    with pytest.raises(CorruptError):
        codecs.zstd().decode(memoryview(coded), 65536)


def test_a_zstd_window_over_the_limit_is_refused() -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    coder = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    coded = memoryview(coder.compress(PLAIN) + coder.flush())
    assert codecs.zstd(window_log=27).decode(coded, 65536) == PLAIN
    with pytest.raises(CorruptError, match="memory"):
        codecs.zstd(window_log=25).decode(coded, 65536)


def test_a_zstd_bomb_is_cut_at_one_chunk() -> None:
    bomb = frames(bytes(64 << 20))
    assert codecs.zstd().decode(memoryview(bomb), 65536) == bytes(65536)


@pytest.mark.parametrize("make", [codecs.deflate, codecs.zstd])
def test_threads_share_a_codec(make: Callable[[], Encoder]) -> None:
    codec = make()
    plains = [text(20000, seed) for seed in range(8)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(20):
            coded = codec.encode(memoryview(plains[seed]))
            if coded is None or codec.decode(memoryview(coded), 20000) != plains[seed]:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
