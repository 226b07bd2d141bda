"""cat: the bytes of one file, and nothing else."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from diskimage.engine.progress import Progress
from diskimage.errors import CancelledError, MissingError, TruncatedError, UsageError
from diskimage.filesystems.iso9660_author import Link, author
from diskimage.jobs.cat import cat

BIG = bytes(range(256)) * 10_000


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disc") / "disc.iso"
    author({"big.bin": BIG, "docs/empty": b"", "docs/link": Link("../big.bin")}, path)
    return path


@pytest.mark.parametrize(("path", "content"), [("/big.bin", BIG), ("docs/empty", b"")])
def test_the_bytes_of_a_file(path: str, content: bytes, disc: Path) -> None:
    out = io.BytesIO()
    report = cat(disc, path, out)
    assert out.getvalue() == content
    assert (report.bytes, report.warnings) == (len(content), ())


def test_a_link_is_followed(disc: Path) -> None:
    out = io.BytesIO()
    assert cat(disc, "/docs/link", out).path == "/big.bin"
    assert out.getvalue() == BIG


def test_the_same_bytes_as_isoinfo(disc: Path, peer: Callable[[str], str]) -> None:
    command = [peer("isoinfo"), "-R", "-x", "/big.bin", "-i", str(disc)]
    theirs = subprocess.run(command, check=True, capture_output=True).stdout
    out = io.BytesIO()
    cat(disc, "/big.bin", out)
    assert out.getvalue() == theirs


def test_what_is_no_file(disc: Path) -> None:
    with pytest.raises(UsageError):
        cat(disc, "/docs", io.BytesIO())
    with pytest.raises(MissingError):
        cat(disc, "/absent", io.BytesIO())


def test_a_short_image_gives_what_it_has_and_an_error(disc: Path) -> None:
    data = disc.read_bytes()
    cut = data.index(BIG) + (3 << 19)
    out = io.BytesIO()
    with pytest.raises(TruncatedError) as error:
        cat(data[:cut], "/big.bin", out)
    assert out.getvalue() == BIG[: 1 << 20]
    assert error.value.at == cut


def test_it_can_be_stopped(disc: Path) -> None:
    cancel, out = Event(), io.BytesIO()

    def stop(progress: Progress) -> None:
        if progress.done:
            cancel.set()

    with pytest.raises(CancelledError):
        cat(disc, "/big.bin", out, progress=stop, cancel=cancel)
    assert out.getvalue() == BIG[: 1 << 20]
