"""The codecs of CHD: what they write they read, damage is damage."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from diskimage import codecs
from diskimage.errors import CorruptError
from diskimage.model import Encoder
from tests.makers import frames

SUBS = [bytes(96), bytes(range(96)), b"\0\xff" * 48]
MADE: dict[str, Callable[[], Encoder]] = {
    "cdzl": lambda: codecs.cd_frames(codecs.deflate(), codecs.deflate()),
    "cdlz": lambda: codecs.cd_frames(codecs.lzma(), codecs.deflate()),
    "cdzs": lambda: codecs.cd_frames(codecs.zstd(), codecs.zstd()),
    "cdfl": codecs.cd_sound,
    "lzma": codecs.lzma,
    "flac": codecs.flac,
}
EACH = pytest.mark.parametrize("name", MADE)


def units(count: int, seed: int = 0) -> bytes:
    """Frames of every kind with subchannel behind each."""
    user = frames.sectors(4, seed)
    kinds = [
        frames.mode1(bytes(2048), 0), frames.mode1(user[0][:64] * 32, 1), bytes(2352),
        frames.form1(user[1][:16] * 128, 2), frames.form2(b"sound and video " * 145 + b"end!", 3),
        b"\x10\0\x08\0" * 588,
    ]  # fmt: skip
    numbers = random.Random(seed)
    return b"".join(numbers.choice(kinds) + numbers.choice(SUBS) for _ in range(count))


@EACH
@pytest.mark.parametrize("count", [1, 8, 9, 27])
def test_chunks_come_back(name: str, count: int) -> None:
    codec, plain = MADE[name](), units(count, count)
    coded = codec.encode(memoryview(plain))
    assert coded is not None
    assert len(coded) < len(plain)
    assert bytes(codec.decode(memoryview(coded), len(plain))) == plain


@EACH
@given(seed=st.integers(0, 1000), cut=st.integers(0, 60), flip=st.integers(0, 1 << 20))
def test_damage_is_corrupt_or_other_bytes_of_the_same_number(
    name: str, seed: int, cut: int, flip: int
) -> None:
    codec, plain = MADE[name](), units(2, seed)
    coded = bytearray(codec.encode(memoryview(plain)) or plain)
    coded[flip % len(coded)] ^= 1 << flip % 8
    del coded[len(coded) - cut :]
    with suppress(CorruptError):
        assert len(codec.decode(memoryview(coded), len(plain))) == len(plain)


@EACH
@given(data=st.binary(max_size=200))
def test_noise_is_corrupt_or_so_many_bytes(name: str, data: bytes) -> None:
    for codec in (MADE[name](), codecs.huffman()):
        with suppress(CorruptError):
            assert len(codec.decode(memoryview(data), 2448 * 2)) == 2448 * 2


@EACH
def test_what_does_not_get_smaller_is_left(name: str) -> None:
    noise = random.Random(1).randbytes(2448 * 3)
    assert MADE[name]().encode(memoryview(noise)) is None


def test_lzma_needs_no_end_mark_and_bears_one() -> None:
    plain = b"every disk image is a block device " * 40
    coded = codecs.lzma().encode(memoryview(plain))
    assert coded is not None
    for end in range(len(coded) - 3, len(coded) + 1):  # the mark takes the last few bytes
        assert codecs.lzma().decode(memoryview(coded[:end]), len(plain)) == plain
    assert codecs.lzma().decode(memoryview(coded), 0) == b""


def test_lengths_of_frames_take_three_bytes_in_large_chunks() -> None:
    codec, small, large = MADE["cdzl"](), units(26, 3), units(27, 3)
    for plain, width in ((small, 2), (large, 3)):
        coded = codec.encode(memoryview(plain))
        assert coded is not None
        marks = (len(plain) // 2448 + 7) // 8
        length = int.from_bytes(coded[marks : marks + width], "big")
        main = codecs.deflate().decode(memoryview(coded)[marks + width :][:length], 2352)
        assert len(main) == 2352


def test_flac_tells_its_byte_order() -> None:
    tone = b"".join(int(9000 * ((i % 40) - 20) / 20).to_bytes(2, "little", signed=True) * 2
                    for i in range(1024))  # fmt: skip
    swapped = b"".join(tone[i : i + 2][::-1] for i in range(0, len(tone), 2))
    for plain, order in ((tone, b"L"), (swapped, b"B")):
        coded = codecs.flac().encode(memoryview(plain))
        assert coded is not None
        assert coded[:1] == order
        assert bytes(codecs.flac().decode(memoryview(coded), len(plain))) == plain
    assert codecs.flac().encode(memoryview(b"odd")) is None
