"""Twins of `kernels.digests`: hashlib, block after block."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SIZES = {"md5": 16, "sha1": 20, "sha256": 32}
"""Bytes of one digest, by name."""


def blocks(name: str, buffer: ReadableBuffer, block: int, *, path: str | None = None) -> bytes:
    """Give the digests of each block, one after the other; the last block may be short."""
    view = memoryview(buffer).cast("B")
    return b"".join(
        hashlib.new(name, view[at : at + block], usedforsecurity=False).digest()
        for at in range(0, len(view), block)
    )


def paths() -> dict[str, list[tuple[str, str]]]:
    """Give the one path there is without the extension."""
    return {name: [("hashlib", "selected")] for name in SIZES}
