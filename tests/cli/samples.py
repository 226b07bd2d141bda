"""Images for the command's tests, and how its answers are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeAlias

from tests.makers.frames import mode1
from tests.makers.raw import make

KIB, MIB = 1 << 10, 1 << 20
USER = b"".join(bytes([n % 251 + 1]) * 2048 for n in range(40))
AUDIO = bytes(range(256)) * 2352  # 256 frames
SHEET = """\
FILE "game-1.bin" BINARY
  TRACK 01 MODE1/2352
    INDEX 01 00:00:00
FILE "game-2.bin" BINARY
  TRACK 02 AUDIO
    TITLE "First light"
    INDEX 00 00:00:00
    INDEX 01 00:02:00
"""
PIECES = {0: b"a" * 5000, MIB: bytes(range(256)) * 1024, 3 * MIB + 512: b"b" * 70000}
DISK = 4 * MIB

Command: TypeAlias = Callable[..., CompletedProcess[str]]


def write(folder: Path) -> None:
    """game.cue with its two BINs, game.data (its user data), disk.raw (with holes)."""
    (folder / "game-1.bin").write_bytes(
        b"".join(mode1(USER[at : at + 2048], at // 2048) for at in range(0, len(USER), 2048))
    )
    (folder / "game-2.bin").write_bytes(AUDIO)
    (folder / "game.cue").write_text(SHEET, encoding="ascii")
    (folder / "game.data").write_bytes(USER)
    make(folder / "disk.raw", DISK, PIECES)


def document(done: CompletedProcess[str]) -> Any:
    """The JSON document of a run that succeeded or answered no."""
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def refusal(done: CompletedProcess[str]) -> dict[str, Any]:
    """The error of a run under --json: the one line of its standard error that is one."""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    errors = [line["error"] for line in lines if "error" in line]
    assert len(errors) == 1, done.stderr
    error: dict[str, Any] = errors[0]
    assert set(error) == {"kind", "message", "file", "at", "remedy"}
    return error
