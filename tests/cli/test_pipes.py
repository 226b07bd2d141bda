"""Conversions to a pipe: in order, and never waiting for what does not come."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.cli.samples import MIB, Command, refusal
from tests.makers.frames import mode1
from tests.makers.raw import make


@pytest.mark.parametrize("format", ["qcow2", "vdi", "cue"])
@pytest.mark.parametrize("verb", [["convert", "disk.raw", "-"], ["create", "-", "--size", "1M"]])
def test_a_format_that_is_not_written_in_order_is_refused_before_the_first_byte(
    diskimage: Command, verb: list[str], format: str
) -> None:
    done = diskimage(*verb, "--to", format, "--json")
    assert done.returncode == 3
    assert refusal(done)["kind"] == "unsupported"
    assert done.stdout == ""


@pytest.mark.parametrize("threads", ["1", "2", "8"])
def test_a_bad_frame_ends_a_conversion_to_a_pipe(dim: str, folder: Path, threads: str) -> None:
    frames = bytearray(b"".join(mode1(b"u" * 2048, lba) for lba in range(8)))
    frames = bytearray(frames * 1500)  # 12000 frames: several windows; addresses are not checked
    frames[2352 * 100 + 700] ^= 1
    (folder / "bad.bin").write_bytes(frames)
    sheet = 'FILE "bad.bin" BINARY\n TRACK 01 MODE1/2352\n  INDEX 01 00:00:00\n'
    (folder / "bad.cue").write_text(sheet, encoding="ascii")
    command = [dim, "convert", "bad.cue", "-", "--to", "iso", "--threads", threads, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 4
    assert b"LBA 100" in done.stderr
    assert len(done.stdout) <= 100 * 2048


@pytest.mark.parametrize("threads", ["1", "8"])
def test_what_reaches_a_pipe_is_whole_and_in_order(dim: str, folder: Path, threads: str) -> None:
    piece = random.Random(3).randbytes(5 * MIB + 700)
    make(folder / "wide.raw", 60 * MIB, {0: piece, 21 * MIB + 512: piece, 50 * MIB: piece})
    for more in ([], ["--sparse"]):
        command = [dim, "convert", "wide.raw", "-", "--to", "raw", "--threads", threads, *more]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=60)
        assert done.stdout == (folder / "wide.raw").read_bytes()
