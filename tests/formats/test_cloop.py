"""cloop: images of an independent maker, read here and by qemu-img."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.cloop import FORMAT
from tests.makers.alone import Alone
from tests.makers.cloop import SCRIPT, cloop
from tests.makers.naive import lawful, read

Peer = Callable[[str], str]


ALONE = Alone(FORMAT)
opened = ALONE.opened


def soft(size: int, seed: int = 0) -> bytes:
    """Bytes that compress."""
    return bytes(random.Random(seed).choices(b"abcd", k=size))


@given(
    st.integers(0, 20), st.sampled_from([512, 1536, 4096]), st.sampled_from([0, 1, 9]), st.data()
)
@settings(max_examples=40)
def test_blocks_read_right(count: int, block: int, level: int, data: st.DataObject) -> None:
    guest = soft(count * block, count)
    device = opened(cloop(guest, block=block, level=level))
    lawful(device)
    assert read(device) == guest
    start = data.draw(st.integers(0, len(guest)))
    stop = data.draw(st.integers(start, len(guest)))
    lawful(device, start, stop)
    assert read(device, start, stop) == guest[start:stop]


def test_an_index_of_several_pages_reads_right() -> None:
    guest = soft(20_000 * 512)
    device = opened(cloop(guest, block=512, level=1))
    assert read(device, 512 * 8190, 512 * 8195) == guest[512 * 8190 : 512 * 8195]
    assert read(device) == guest


@pytest.mark.parametrize("block", [512, 65536])
def test_qemu_img_agrees_with_the_maker(block: int, tmp_path: Path, peer: Peer) -> None:
    image, raw, guest = tmp_path / "a.cloop", tmp_path / "a.raw", soft(20 * block)
    image.write_bytes(cloop(guest, block=block))
    command: list[str | Path] = [
        peer("qemu-img"), "convert", "-f", "cloop", "-O", "raw", image, raw,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    assert raw.read_bytes() == guest
    assert read(opened(image.read_bytes())) == guest


PLAIN = cloop(soft(3 * 4096))
INDEX = 136


def patched(at: int, value: int, width: int = 4) -> bytes:
    return PLAIN[:at] + value.to_bytes(width, "big") + PLAIN[at + width :]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(0, 0), CorruptError),
        (cloop(b"", script=SCRIPT.replace(b"V2", b"V3")), UnsupportedError),
        (patched(128, 0), CorruptError),
        (patched(128, 700), CorruptError),
        (patched(128, 1 << 31), LimitError),
        (patched(132, 0xFFFFFFFF), TruncatedError),
        (PLAIN[:130], TruncatedError),
        (PLAIN[:150], TruncatedError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(INDEX, 136, 8), CorruptError),
        (patched(INDEX, 1 << 63, 8), CorruptError),
        (patched(INDEX + 8, 1 << 40, 8), CorruptError),
        (patched(INDEX + 16, INDEX + 40, 8), CorruptError),
        (patched(INDEX + 24, len(PLAIN) + 1, 8), TruncatedError),
        (PLAIN[:-1], TruncatedError),
        (PLAIN[:-4] + b"sums", CorruptError),
    ],
)
def test_a_wrong_index_is_an_error_where_it_is_read(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(opened(image))


@given(st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(data: st.DataObject) -> None:
    at = data.draw(st.integers(128, 170) | st.integers(0, len(PLAIN) - 1))
    wrong = data.draw(st.binary(min_size=1, max_size=8))
    damaged = PLAIN[:at] + wrong + PLAIN[at + len(wrong) :]
    with suppress(DiskImageError):
        device = opened(damaged)
        lawful(device, 0, min(device.size, 1 << 20))
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size
