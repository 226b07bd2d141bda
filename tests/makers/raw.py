"""A raw image, written the long way round: pieces at offsets, holes elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.makers.sample import Sample


def make(path: Path, size: int, pieces: Mapping[int, bytes]) -> Path:
    """Write a file of `size` bytes with `pieces` (offset to bytes); the rest takes no space."""
    with path.open("wb") as out:
        for at, piece in sorted(pieces.items()):
            out.seek(at)
            out.write(piece)
        out.truncate(size)
    return path


def sparse(path: Path, content: bytes, block: int = 1 << 16) -> Path:
    """Write `content`; blocks of zeros take no space."""
    zeros = bytes(block)
    blocks = {at: content[at : at + block] for at in range(0, len(content), block)}
    stored = {at: piece for at, piece in blocks.items() if piece != zeros[: len(piece)]}
    return make(path, len(content), stored)


def samples() -> list[Sample]:
    """A whole number of sectors, a set of parts."""
    content = bytes(range(256)) * 8 + bytes(4096) + b"end." * 128
    return [
        Sample("plain", {"a.img": content}, content, borders=(0, 512, 4096), exact=False),
        Sample("set", {"a.001": content[:2048], "a.002": content[2048:]}, content),
    ]
