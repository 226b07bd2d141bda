"""Sheets and their files on disk, written as text and bytes, with no code of ours."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.makers import frames
from tests.makers.iso import volume
from tests.makers.sample import Sample


def write(folder: Path, sheet: str | bytes, name: str = "disc.cue", **files: bytes) -> Path:
    """The sheet, and each of `files` (`a_bin` is a.bin) beside it; the sheet's path."""
    for key, content in files.items():
        (folder / key.replace("_", ".")).write_bytes(content)
    path = folder / name
    path.write_bytes(sheet if isinstance(sheet, bytes) else sheet.encode())
    return path


def one(mode: str, *, name: str = "a.bin", kind: str = "BINARY", index: str = "00:00:00") -> str:
    """A sheet of one track."""
    return f'FILE "{name}" {kind}\n  TRACK 01 {mode}\n    INDEX 01 {index}\n'


def wave(samples: bytes, rate: int = 44100, channels: int = 2, bits: int = 16) -> bytes:
    """A WAVE file with a LIST chunk of odd length before its samples."""
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * width, width, bits)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form
    body += b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    body += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def samples() -> list[Sample]:
    """One track of mode 1; a data track and audio in several FILEs; cooked sectors."""
    user = volume()
    count = len(user) // 2048
    data = b"".join(frames.mode1(user[i * 2048 : (i + 1) * 2048], i) for i in range(count))
    sound = bytes(range(256)) * 147  # 16 frames
    mixed = one("MODE1/2352") + (
        'FILE "b.bin" BINARY\n  TRACK 02 AUDIO\n    INDEX 00 00:00:00\n    INDEX 01 00:00:08\n'
    )
    plain = one("MODE1/2352").encode()
    return [
        Sample("one", {"a.cue": plain, "a.bin": data}, user, len(plain), (2352 * 5 + 9,), "a.bin"),
        Sample("mixed", {"a.cue": mixed.encode(), "a.bin": data, "b.bin": sound}, user),
        Sample("cooked", {"a.cue": one("MODE1/2048").encode(), "a.bin": user}, user),
    ]
