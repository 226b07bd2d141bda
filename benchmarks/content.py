"""What the benchmarks work on: 1 to 8 MiB runs of files, noise and written zeros, always the same.

About 55 % pieces of a tar of the system's libraries, 15 % random, 30 % zeros written (not holes).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

MIB = 1 << 20


def mixed(path: Path, size: int) -> Path:
    """A file of `size` bytes of that mixture; kept where it is there already."""
    return _apart("write_mixed", path, size)


def scattered(path: Path, clusters: int) -> Path:
    """`clusters` written blocks of 4 KiB, each followed by a hole of its size."""
    return _apart("write_scattered", path, clusters)


def islands(path: Path, size: int) -> Path:
    """A hole of `size` bytes with four islands of 4 MiB."""
    return _apart("write_islands", path, size)


def _apart(maker: str, path: Path, number: int) -> Path:
    """Written by a process of its own: a child's peak memory begins at its parent's."""
    if not path.exists():
        script = f"import content, pathlib; content.{maker}(pathlib.Path({str(path)!r}), {number})"
        here = Path(__file__).parent
        subprocess.run([sys.executable, "-c", script], check=True, cwd=here)
    return path


def write_mixed(path: Path, size: int) -> None:
    """See `mixed`."""
    draw = random.Random(1)
    with (
        subprocess.Popen(
            ["tar", "cf", "-", "--sort=name", "/usr/lib"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as tar,
        path.open("wb") as out,
    ):
        assert tar.stdout is not None
        while (left := size - out.tell()) > 0:
            length, which = min(left, draw.randint(1, 8) * MIB), draw.random()
            if which < 0.55:
                piece = tar.stdout.read(length)
                out.write(piece.ljust(length, b"\x5a"))
            elif which < 0.70:
                out.write(draw.randbytes(length))
            else:
                out.write(bytes(length))
        tar.kill()


def write_scattered(path: Path, clusters: int, block: int = 4096) -> None:
    """See `scattered`."""
    draw = random.Random(2)
    with path.open("wb") as out:
        for index in range(clusters):
            out.seek(2 * index * block)
            out.write(draw.randbytes(block))
        out.truncate(2 * clusters * block)


def write_islands(path: Path, size: int) -> None:
    """See `islands`."""
    with path.open("wb") as out:
        out.truncate(size)
        for part in range(4):
            out.seek(size * part // 4 + 3 * MIB)
            out.write(os.urandom(4 * MIB))
