"""A file that changes while it is read ends in `changed`, never in a result or in zeros."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import ChangedError, TruncatedError
from diskimage.jobs.hash import manifest
from tests.makers.iso import volume

MIB = 1 << 20
JOBS: dict[str, Callable[[diskimage.Image], object]] = {
    "hash": diskimage.hash,
    "manifest": lambda image: manifest(image, 4096),
    "compare": lambda image: diskimage.compare(image, image),
    "check": diskimage.check,
}


@pytest.mark.parametrize("content", [b"w" * 8 * MIB, b"w" * MIB])  # the second ends in a hole
def test_a_file_that_shrank_does_not_read_as_zeros(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.img"
    path.write_bytes(content)
    os.truncate(path, 8 * MIB)
    with diskimage.open(path) as image:
        os.truncate(path, MIB // 2)
        for start in (0, 4 * MIB):
            with pytest.raises((ChangedError, TruncatedError)):
                image.read(start, MIB)
        with pytest.raises((ChangedError, TruncatedError)):
            diskimage.hash(image)


@pytest.mark.parametrize("job", JOBS)
def test_a_file_rewritten_meanwhile_gives_no_result(job: str, tmp_path: Path) -> None:
    path = tmp_path / "w.iso"
    path.write_bytes(volume())
    with diskimage.open(path) as image:
        with path.open("r+b") as file:
            file.seek(40000)
            file.write(b"other")
        os.utime(path, ns=(0, 0))
        with pytest.raises(ChangedError, match="changed while it was read"):
            JOBS[job](image)


def test_what_is_rewritten_under_a_running_hash_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w.img"
    path.write_bytes(b"w" * 4 * MIB)

    def rewrite(_: object) -> None:
        path.write_bytes(b"v" * 4 * MIB)
        os.utime(path, ns=(0, 0))

    with pytest.raises(ChangedError):
        diskimage.hash(path, progress=rewrite)


def test_what_is_written_through_an_image_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "w.img"
    path.write_bytes(bytes(MIB))
    with diskimage.open(path, mode="r+") as image:
        image.write(0, b"mine")
        os.utime(path, ns=(0, 0))
        assert diskimage.compare(image, io.BytesIO(b"mine" + bytes(MIB - 4)), format_b="raw").equal
