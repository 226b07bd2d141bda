"""Scans against their twins and against what a line of Python says."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import checksums, extension, scan
from diskimage.reference import checksums as checksums_twin, scan as twin

sparse = st.lists(st.one_of(st.integers(0, 300).map(bytes), st.binary(max_size=5)), max_size=8).map(
    b"".join
)


@given(sparse, st.integers(0, 40))
def test_zero_is_zero(data: bytes, lead: int) -> None:
    view = memoryview(bytes(lead) + data)[lead:]
    assert scan.is_zero(view) == (not any(data))
    assert twin.is_zero(view) == (not any(data))


@given(sparse, st.integers(0, 400))
def test_the_first_byte_that_is_not_zero(data: bytes, start: int) -> None:
    start = min(start, len(data))
    want = next((i for i in range(start, len(data)) if data[i]), len(data))
    assert scan.first_nonzero(data, start) == want
    assert twin.first_nonzero(data, start) == want


@given(sparse, st.integers(1, 200))
def test_zero_blocks(data: bytes, block: int) -> None:
    want = bytes(not any(data[i : i + block]) for i in range(0, len(data), block))
    assert scan.zero_blocks(data, block) == want
    assert twin.zero_blocks(data, block) == want


@given(st.lists(st.sampled_from([b"\0\0\0\0", b"abcd", b"abce"]), max_size=60), st.integers(1, 9))
def test_filled_blocks(words: list[bytes], step: int) -> None:
    words = words[: len(words) // step * step]
    want = bytes(len(set(words[i : i + step])) == 1 for i in range(0, len(words), step))
    assert scan.filled_blocks(b"".join(words), 4 * step) == want
    assert twin.filled_blocks(b"".join(words), 4 * step) == want


@given(sparse, sparse, st.integers(1, 200))
def test_differing_blocks(a: bytes, b: bytes, block: int) -> None:
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    want = bytes(a[i : i + block] != b[i : i + block] for i in range(0, size, block))
    assert scan.differing_blocks(a, b, block) == want
    assert twin.differing_blocks(a, b, block) == want


def test_one_bit_anywhere_is_found() -> None:
    for size in (1, 127, 128, 129, 4096, 70001):
        data = bytearray(size)
        for at in {0, size // 2, size - 1}:
            data[at] = 0x80
            assert scan.first_nonzero(data) == at
            assert not scan.is_zero(data)
            data[at] = 0
        assert scan.is_zero(data)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="block"):
        scan.zero_blocks(b"a", 0)
    with pytest.raises(ValueError, match="words"):
        scan.filled_blocks(bytes(6), 6)
    with pytest.raises(ValueError, match="whole blocks"):
        scan.filled_blocks(bytes(12), 8)
    with pytest.raises(ValueError, match="lengths"):
        scan.differing_blocks(b"a", b"ab", 1)
    with pytest.raises(ValueError, match="outside"):
        scan.first_nonzero(b"a", 2)


# RFC 3720 B.4 and the check value of the CRC catalogue
CRC32C = [
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"", 0),
]


@pytest.mark.parametrize(("data", "value"), CRC32C)
def test_crc32c_vectors(data: bytes, value: int) -> None:
    assert checksums.crc32c(data) == checksums_twin.crc32c(data) == value


@given(st.binary(max_size=700), st.integers(0, 700), st.integers(0, 2**32 - 1))
def test_crc32c_goes_on(data: bytes, cut: int, value: int) -> None:
    whole = checksums_twin.crc32c(data, value)
    assert checksums.crc32c(data, value) == whole
    assert checksums.crc32c(data[cut:], checksums.crc32c(data[:cut], value)) == whole


def test_paths_are_told() -> None:
    told = extension.paths()
    assert not [row for row in told if row[1] == "failed self-test"]
    selected = [name.split()[0] for name, state in told if state == "selected"]
    assert sorted(selected) == (["crc", "parity", "scan"] if extension.NATIVE else [])
    print("unmeasured on this processor:", [n for n, state in told if state == "cpu lacks it"])
