"""Copies between descriptors: the kernel and its twin against slices of bytes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from diskimage.kernels import copying
from diskimage.kernels.extension import NATIVE
from diskimage.reference import copying as twin

BOTH = [copying, twin]
CONTENT = random.Random(10).randbytes(1 << 20)


@pytest.fixture
def src(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "src").write_bytes(CONTENT)
    fd = os.open(tmp_path / "src", os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def dst(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "dst", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def content(fd: int) -> bytes:
    return os.pread(fd, 1 << 24, 0)


@pytest.mark.parametrize("module", BOTH)
def test_a_range(src: int, dst: int, module: ModuleType) -> None:
    for at, to, length in ((0, 0, 0), (0, 0, 1), (4097, 3, 300_000), (5, 0, len(CONTENT) - 5)):
        os.ftruncate(dst, 0)
        assert module.copy_range(src, at, dst, to, length) == length
        assert content(dst) == (bytes(to) + CONTENT[at : at + length] if length else b"")


@pytest.mark.parametrize("module", BOTH)
def test_a_source_that_ends(src: int, dst: int, module: ModuleType) -> None:
    left = module.copy_range(src, len(CONTENT) - 9, dst, 0, 1 << 30)
    assert left == 9
    assert content(dst) == CONTENT[-9:]
    assert module.copy_range(src, len(CONTENT) + 5, dst, 0, 5) == 0


def test_a_pipe_and_a_device_of_zeros(src: int, dst: int) -> None:
    zeros = os.open("/dev/zero", os.O_RDONLY)
    try:
        assert copying.copy_range(zeros, 0, dst, 0, 300_000) == 300_000
    finally:
        os.close(zeros)
    assert content(dst) == bytes(300_000)
    one, other = os.pipe()
    try:
        with pytest.raises(OSError, match=r"seek"):
            copying.copy_range(src, 0, other, 0, 10)
    finally:
        os.close(one)
        os.close(other)


def test_errors_are_the_system_s(src: int) -> None:
    with pytest.raises(OSError, match="descriptor") as caught:
        copying.copy_range(src, 0, src, 0, 10)
    assert caught.value.errno


ROWS = st.lists(
    st.tuples(
        st.integers(0, 4000), st.sampled_from([1, 7, 512, 4096, 4096, 140_000, 300_000]),
        st.sampled_from([0, 0, 0, 1, 5000]), st.booleans(),
    ),
    max_size=12,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.sampled_from([1, 4096, 10_000, 1 << 18]))
def test_runs(src: int, dst: int, rows: list[tuple[int, int, int, bool]], room: int) -> None:
    at, length, to = array("q"), array("q"), array("q")
    end = place = 0
    for start, size, gap, follows in rows:
        at.append(place if follows and place + size <= len(CONTENT) else start * 100)
        length.append(size)
        to.append(end + gap)
        end, place = end + gap + size, at[-1] + size
    want = bytearray(end)
    for start, size, target in zip(at, length, to, strict=True):
        want[target : target + size] = CONTENT[start : start + size]
    for module in BOTH:
        os.ftruncate(dst, 0)
        count = module.copy_runs(src, at, length, dst, to, bytearray(room))
        assert count == sum(length)
        assert content(dst) == want
        gathered = bytearray(sum(length) + 3)
        assert module.read_runs(src, at, length, gathered) == sum(length)
        joined = b"".join(CONTENT[a : a + n] for a, n in zip(at, length, strict=True))
        assert gathered == joined + bytes(3)


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize("size", [4096, 200_000])
def test_runs_of_a_source_that_ends(src: int, dst: int, size: int, module: ModuleType) -> None:
    at = array("q", [0, len(CONTENT) - 100, 0])
    length, to = array("q", [size] * 3), array("q", [0, size, 2 * size])
    left = module.copy_runs(src, at, length, dst, to, bytearray(1 << 18))
    assert left == size + 100
    assert content(dst) == CONTENT[:size] + CONTENT[-100:]
    buffer = bytearray(3 * size)
    assert module.read_runs(src, at, length, buffer) == size + 100
    assert buffer[: size + 100] == CONTENT[:size] + CONTENT[-100:]


@pytest.mark.skipif(not NATIVE, reason="the twin has no fallocate")
def test_holes_and_zeros(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(fd, CONTENT, 0)
        before = os.fstat(fd).st_blocks
        if copying.punch(fd, 65536, 131072):
            assert os.fstat(fd).st_blocks < before
            assert content(fd) == CONTENT[:65536] + bytes(131072) + CONTENT[196608:]
        assert os.fstat(fd).st_size == len(CONTENT)
        os.pwrite(fd, CONTENT, 0)
        if copying.zero_range(fd, 100, 5000):
            assert content(fd) == CONTENT[:100] + bytes(5000) + CONTENT[5100:]
        assert copying.punch(fd, 0, 0)
    finally:
        os.close(fd)
    with pytest.raises(OSError, match="descriptor"):
        copying.punch(fd, 0, 1)


def test_a_clone_is_equal_or_refused(src: int, dst: int) -> None:
    if copying.clone_range(src, 0, dst, 0, len(CONTENT)):
        assert content(dst) == CONTENT
    else:
        assert content(dst) == b""


def test_wrong_arguments_are_refused(src: int, dst: int) -> None:
    one, two = array("q", [0]), array("q", [0, 1])
    with pytest.raises(ValueError, match="unequal"):
        copying.copy_runs(src, one, one, dst, two, bytearray(8))
    with pytest.raises(ValueError, match="fit"):
        copying.read_runs(src, one, array("q", [9]), bytearray(8))


def child(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_reference_can_be_asked_for() -> None:
    code = "from diskimage.kernels import extension as e, scan; print(e.NATIVE, scan.is_zero(b''))"
    said = child(code, DISKIMAGE_REFERENCE="1")
    assert said == "False True\n"


def test_a_missing_extension_is_said_once() -> None:
    code = (
        "import sys; sys.modules['diskimage._kernels'] = None\n"
        "from diskimage.kernels import extension, scan, frames\n"
        "print(extension.NATIVE, frames.edc(b'a'))"
    )
    said = child(code, DISKIMAGE_REFERENCE="")
    assert said.startswith("False ")
    assert said.count("RuntimeWarning") == 1
    assert "kernels run in Python" in said
