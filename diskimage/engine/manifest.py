"""Digests of each block of a device, many blocks at a time."""

from __future__ import annotations

from diskimage.engine.batch import WINDOW, Buffers
from diskimage.engine.copy import Work, load
from diskimage.engine.guard import guarded
from diskimage.engine.windows import Window, windows
from diskimage.errors import UsageError
from diskimage.kernels import digests
from diskimage.limits import MIB
from diskimage.model import Device
from diskimage.pool import ordered

LANES = 16  # blocks that the widest kernel digests at once
LARGEST = 64 * MIB
ROOM = 64 * MIB  # of all windows under way


def block_digests(device: Device, algorithm: str, block: int, work: Work) -> bytes:
    """The digests of each `block` bytes of `device`, one after the other; the last may be short.

    Blocks of zeros are not read: their digest is made once. Raises UsageError.
    """
    if algorithm not in digests.SIZES:
        names = ", ".join(digests.SIZES)
        raise UsageError(f"no block manifest of {algorithm}", remedy=f"one of: {names}")
    if not 512 <= block <= LARGEST:
        raise UsageError(f"blocks of {block} bytes", remedy="from 512 bytes to 64 MiB")
    if -(-device.size // block) * digests.SIZES[algorithm] > ROOM:
        raise UsageError(f"{device.size // block} blocks are too many", remedy="take larger blocks")
    size = max(block, min(max(WINDOW, LANES * block), ROOM // (2 * work.threads)) // block * block)
    work.threads = min(work.threads, max(1, ROOM // (2 * size)))
    buffers = work.buffers = Buffers(size, aligned=True)
    zeros: dict[int, bytes] = {}

    def one(window: Window) -> tuple[Window, bytes]:
        if not window.parts:
            return window, _of_zeros(window.length, block, algorithm, zeros)
        buffer = load(window, work)
        try:
            return window, digests.blocks(algorithm, buffer, block)
        finally:
            buffers.give(buffer)

    made = bytearray()
    tasks = ((window,) for window in windows(guarded(device), size, block))
    for window, piece in ordered(one, tasks, work.threads):
        work.watch.passed(window.length, read=window.length if window.parts else 0)
        made += piece
    return bytes(made)


def _of_zeros(length: int, block: int, algorithm: str, known: dict[int, bytes]) -> bytes:
    """The digests of `length` zeros, at most two of them computed."""
    whole, rest = divmod(length, block)
    for size in (block, rest):
        if size and size not in known:
            known[size] = digests.blocks(algorithm, bytes(size), size)
    return known[block] * whole + (known[rest] if rest else b"")
