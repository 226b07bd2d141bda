"""Digests of each block of a buffer, several blocks at a time where the processor can."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from diskimage.kernels.extension import NATIVE, STATES, ffi, lib, need, readable, writable
from diskimage.reference import digests as twin

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SIZES = twin.SIZES
"""Bytes of a digest, by name."""
_ALGORITHMS = {"md5": 0, "sha256": 1}
_PORTABLE = "portable"
_FEW = 2  # one message alone: OpenSSL's code for it is as good or better on every processor


def blocks(name: str, buffer: ReadableBuffer, block: int, *, path: str | None = None) -> bytes:
    """Give the digests of each `block` bytes, one after the other; the last block may be short.

    `name` is md5, sha1 or sha256 (FIPS 180-4, RFC 1321). Best given 32 blocks in a
    buffer aligned to 64 bytes, as an mmap is: 1.6 times as fast as one that is not. `path`
    names one of `paths()`, for tests. Raises ValueError.
    """
    need(block > 0, "a block has at least one byte")
    need(name in SIZES, f"no such digest: {name}")
    if not NATIVE or name not in _ALGORITHMS:
        return twin.blocks(name, buffer, block, path=path)
    view = memoryview(buffer).cast("B")
    if path is not None:
        return _side_by_side(name, view, block, _index(name, path))
    whole = len(view) // block
    if whole < _FEW or not _has_lanes(name):
        return twin.blocks(name, view, block)
    cut = whole * block
    return _side_by_side(name, view[:cut], block, -1) + twin.blocks(name, view[cut:], block)


def _side_by_side(name: str, view: memoryview, block: int, index: int) -> bytes:
    out = bytearray(-(-len(view) // block) * SIZES[name])
    data = readable(view)
    lib.di_digest_blocks(_ALGORITHMS[name], index, data, len(view), block, writable(out))
    return bytes(out)


@cache
def _has_lanes(name: str) -> bool:
    return (_PORTABLE, "selected") not in paths()[name]


def _index(name: str, path: str) -> int:
    rows = paths()[name]
    need((path, "selected") in rows or (path, "available") in rows, f"no such path: {path}")
    return [told for told, _ in rows].index(path)


def paths() -> dict[str, list[tuple[str, str]]]:
    """Tell each digest's implementations, best first, and whether each is selected, available,
    failed its self-test, or could not be measured because the processor lacks what it needs."""
    if not NATIVE:
        return twin.paths()
    told = twin.paths()
    for name, algorithm in _ALGORITHMS.items():
        count = lib.di_digest_paths(algorithm)
        told[name] = [
            (
                ffi.string(lib.di_digest_path_name(algorithm, i)).decode(),
                STATES[lib.di_digest_path_state(algorithm, i)],
            )
            for i in range(count)
        ]
    return told
