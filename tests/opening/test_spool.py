"""An image that comes through a pipe."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import UsageError
from tests.makers.vmdk import GRAIN, descriptor, stream

CONTENT = b"by a pipe" * GRAIN
IMAGE = stream(len(CONTENT), {
    number: CONTENT[number * GRAIN : (number + 1) * GRAIN] for number in range(9)
}, padding=10240)  # fmt: skip


def piped(
    dim: str, folder: Path, content: bytes, *words: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([dim, *words], input=content, cwd=folder, capture_output=True,
                          check=False)  # fmt: skip


def test_a_stream_is_converted_from_a_pipe_to_a_pipe(dim: str, tmp_path: Path) -> None:
    done = piped(dim, tmp_path, IMAGE, "convert", "-", "-", "--to", "raw")
    assert (done.returncode, done.stdout) == (0, CONTENT)
    words = ("convert", "-", "-", "--format", "raw", "--to", "vmdk", "-o", "profile=esxi")
    again = piped(dim, tmp_path, done.stdout, *words)
    assert again.returncode == 0
    with image.open(again.stdout) as opened:
        assert opened.read(0, opened.size) == CONTENT
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_beside_a_pipe(dim: str, tmp_path: Path) -> None:
    (tmp_path / "a-flat.vmdk").write_bytes(bytes(512))
    text = descriptor(['RW 1 FLAT "a-flat.vmdk" 0'])
    done = piped(dim, tmp_path, text, "hash", "-", "-a", "sha256", "--json")
    assert done.returncode == 4
    assert b'"missing"' in done.stderr


def test_a_pipe_is_not_written_in_place() -> None:
    with pytest.raises(UsageError):
        image.open("-", mode="r+")
