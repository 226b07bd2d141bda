"""ISZ: images of an independent maker read here; images of ours read as the layout says."""

from __future__ import annotations

import random
import struct
import sys
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    ContentError,
    CorruptError,
    DiskImageError,
    LimitError,
    MissingError,
    PasswordError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.isz import FORMAT
from diskimage.formats.isz.layout import segment_name, unmasked
from diskimage.model import Finding
from diskimage.sources.memory import MemorySource
from tests.makers.gate import OpenGate
from tests.makers.isz import EVERY, SMALL, Shape, content, encrypted, isz
from tests.makers.naive import lawful, read

GUEST = content()
WHOLE = isz(GUEST, replace(SMALL, kinds=EVERY))["a.isz"]


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / next(iter(files))


def checked(image: bytes) -> list[Finding]:
    assert FORMAT.check is not None
    return list(FORMAT.check(MemorySource(image), OpenGate()))


@given(st.data())
@settings(max_examples=60)
def test_any_mixture_of_chunks_reads_right(data: st.DataObject) -> None:
    chunk = data.draw(st.sampled_from([2048, 4096, 6144]))
    count = data.draw(st.integers(0, 9))
    zeros = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    draw = random.Random(count)
    guest = b"".join(bytes(2048) if zero else draw.randbytes(64) * 32 for zero in zeros)
    ways = st.sampled_from([None, 1, 2, 3])
    kinds = data.draw(st.lists(ways, min_size=count, max_size=count))
    shape = Shape(chunk=chunk, kinds=kinds, pointer=data.draw(st.sampled_from([2, 3, 4, 8])))
    image = isz(guest, shape)["a.isz"]
    device = FORMAT.open(MemorySource(image), OpenGate())
    assert not isinstance(device, diskimage.model.Disc)
    lawful(device)
    assert read(device) == guest
    start = data.draw(st.integers(0, device.size))
    stop = data.draw(st.integers(start, device.size))
    lawful(device, start, stop)
    assert read(device, start, stop) == guest[start:stop]
    assert checked(image) == []


def test_more_chunks_than_a_page_of_the_table() -> None:
    piece = random.Random(1).randbytes(2048)
    guest = piece + bytes(9000 * 2048) + piece * 3
    device = FORMAT.open(MemorySource(isz(guest, Shape(chunk=2048))["a.isz"]), OpenGate())
    assert not isinstance(device, diskimage.model.Disc)
    assert read(device, 9000 * 2048) == guest[9000 * 2048 :]
    assert read(device, 0, 4096) == guest[:4096]
    lawful(device)


def test_the_mask_goes_on_from_page_to_page() -> None:
    table = bytes(range(251))
    whole = unmasked(table)
    assert whole[:4] == bytes((0xB6, 0x8C ^ 1, 0xA5 ^ 2, 0xDE ^ 3))
    for cut in (1, 2, 3, 4, 99):
        assert whole == unmasked(table[:cut]) + unmasked(table[cut:], cut)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.isz", "a.i02"),
        ("A.ISZ", "A.I02"),
        ("my.disc.isz", "my.disc.i02"),
        ("a.part01.isz", "a.part03.isz"),
        ("a.part001.isz", "a.part003.isz"),
        ("a.Part01.ISZ", "a.Part03.ISZ"),
    ],
)
def test_segments_are_called_as_the_first_is(first: str, second: str) -> None:
    assert segment_name(first, 2) == second
    assert segment_name(first, 0) == first


SEGMENTED = isz(GUEST, replace(SMALL, segment=9000, kinds=EVERY))


def test_a_chunk_that_goes_on_in_the_next_segment(tmp_path: Path) -> None:
    assert len(SEGMENTED) > 2
    with diskimage.open(written(SEGMENTED, tmp_path)) as image:
        assert image.read(0, image.size) == GUEST
        assert image.info["segments"] == len(SEGMENTED)
        assert [one.name for one in image.references] == list(SEGMENTED)[1:]
        assert not list(image.problems())


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    path = written(SEGMENTED, tmp_path)
    (tmp_path / "a.i02").unlink()
    with pytest.raises(MissingError, match=r"a\.i02"):
        diskimage.open(path)


def test_a_segment_of_another_set_or_place_is_refused(tmp_path: Path) -> None:
    path = written(SEGMENTED, tmp_path)
    (tmp_path / "a.i02").write_bytes(SEGMENTED["a.i01"])
    with pytest.raises(CorruptError, match="segment 1 of set 1F2E3D4C, not 2") as caught:
        diskimage.open(path)
    assert str(caught.value.file).endswith("a.i02")
    other = bytearray(SEGMENTED["a.i02"])
    other[6] ^= 1
    (tmp_path / "a.i02").write_bytes(other)
    with pytest.raises(CorruptError, match="set 1F2E3D4D"):
        diskimage.open(path)
    with pytest.raises(CorruptError, match="segment 1 of a set") as caught:
        diskimage.open(tmp_path / "a.i01")
    assert "open the first" in str(caught.value.remedy)


def test_a_segment_cut_short_is_truncated(tmp_path: Path) -> None:
    path = written(SEGMENTED, tmp_path)
    (tmp_path / "a.i01").write_bytes(SEGMENTED["a.i01"][:-1])
    with pytest.raises(TruncatedError, match="segment 1"):
        diskimage.open(path)


@pytest.mark.parametrize("bits", [128, 192, 256])
@pytest.mark.parametrize("password", ["secret", "a password that is longer than thirty-two bytes"])
def test_a_password_opens_and_another_does_not(bits: int, password: str, tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="needs the wheel cryptography")
    path = written(encrypted(bits, password.encode()), tmp_path)
    with diskimage.open(path, password=password) as image:
        assert image.read(0, image.size) == GUEST
        assert not image.warnings
        assert not list(image.problems())
        assert image.info["encryption"] == f"AES-{bits}"
    with pytest.raises(PasswordError, match=f"AES-{bits}"):
        diskimage.open(path)
    with pytest.raises(PasswordError, match="wrong"):
        diskimage.open(path, password="Secret")


def test_a_password_as_windows_writes_it(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="needs the wheel cryptography")
    path = written(encrypted(128, "gru\u00df".encode("cp1252")), tmp_path)
    with diskimage.open(path, password="gru\u00df") as image:
        assert image.read(0, image.size) == GUEST


def test_stored_chunks_tell_a_password_by_their_volume(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="needs the wheel cryptography")
    shape = replace(SMALL, encryption=3, password=b"key", kinds=[1] * 99)
    path = written(isz(GUEST, shape), tmp_path)
    with diskimage.open(path, password="key") as image:
        assert image.read(0, image.size) == GUEST
        assert not image.warnings
    with diskimage.open(path, password="other") as image:
        assert [warning.kind for warning in image.warnings] == ["password"]
        assert [one.kind for one in image.problems()] == ["checksum"]


def test_zero_chunks_take_no_bytes() -> None:
    """A reader that adds the length of their pointers loses every chunk behind the first."""
    guest = bytes(4 * 8192) + b"end!" * 2048
    image = isz(guest, SMALL)["a.isz"]
    assert len(image) < 500
    device = FORMAT.open(MemorySource(image), OpenGate())
    assert not isinstance(device, diskimage.model.Disc)
    assert read(device) == guest


def patched(at: int, value: bytes) -> bytes:
    return WHOLE[:at] + value + WHOLE[at + len(value) :]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(4, b"\x2f"), UnsupportedError),
        (patched(5, b"\2"), UnsupportedError),
        (patched(10, b"\0\0"), CorruptError),
        (patched(10, b"\x30\x09"), UnsupportedError),
        (patched(12, b"\xff\xff\xff\xff"), CorruptError),
        (patched(16, b"\1"), UnsupportedError),
        (patched(16, b"\7"), UnsupportedError),
        (patched(16, b"\2"), PasswordError),
        (patched(25, b"\xff\xff\xff\xff"), CorruptError),
        (patched(29, bytes(4)), CorruptError),
        (patched(29, b"\xff\xff\xff\xff"), LimitError),
        (patched(33, b"\0"), CorruptError),
        (patched(33, b"\x09"), CorruptError),
        (patched(34, b"\1"), CorruptError),
        (patched(35, b"\xff\xff\xff\x7f"), TruncatedError),
        (patched(39, b"\xff\xff\xff\x7f"), TruncatedError),
        (patched(39, b"\x40\0\0\0"), CorruptError),
        (WHOLE[:47], TruncatedError),
        (WHOLE[:63], TruncatedError),
        (WHOLE[:70], TruncatedError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        FORMAT.open(MemorySource(image), OpenGate())


def test_a_check_names_chunks_and_sums() -> None:
    assert checked(WHOLE) == []
    assert [one.kind for one in checked(WHOLE[:-1])] == ["truncated"]
    at = WHOLE.index(b"BZh") if b"BZh" in WHOLE else len(WHOLE) - 8
    wrong = checked(WHOLE[:at] + b"\xff" + WHOLE[at + 1 :])
    assert wrong
    image = bytearray(WHOLE)
    image[48] ^= 1
    image[60] ^= 1
    assert [(one.kind, one.at) for one in checked(bytes(image))] == [
        ("checksum", 48),
        ("checksum", 60),
    ]


def test_a_password_image_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    gate = OpenGate()
    gate.password = lambda: "secret"  # type: ignore[method-assign]  # what a caller gave
    with pytest.raises(UnsupportedError, match="AES is not installed"):
        FORMAT.open(MemorySource(encrypted(128, b"secret")["a.isz"]), gate)


@given(st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(data: st.DataObject) -> None:
    at = data.draw(st.integers(4, 100) | st.integers(0, len(WHOLE) - 1))
    wrong = data.draw(st.binary(min_size=1, max_size=8))
    damaged = WHOLE[:at] + wrong + WHOLE[at + len(wrong) :]
    with suppress(DiskImageError):
        device = FORMAT.open(MemorySource(damaged), OpenGate())
        assert not isinstance(device, diskimage.model.Disc)
        lawful(device)
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size
    with suppress(ContentError, UnsupportedError, PasswordError):
        assert struct.unpack_from("<I", damaged, 29)[0] > 1 << 20 or checked(damaged) is not None


def test_the_sums_are_those_of_the_layout() -> None:
    """What the maker writes is what zlib computes: a check here is no circle."""
    (image,) = struct.unpack_from("<I", WHOLE, 48)
    assert ~image & 0xFFFFFFFF == zlib.crc32(GUEST)
