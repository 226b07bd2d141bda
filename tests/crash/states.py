"""What a crash may leave of a file that is written in place.

Operations are logged as they are done. A crash comes after any of them; of those after the last
sync each may have reached the medium or not, in any order. With many of them not every subset is
tried: all, none, each alone, all but each, and some at random.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import diskimage
from diskimage.gate import Policy
from diskimage.sinks.inplace import InPlaceSink

TORN = 16  # pieces that a torn write comes in at most
PIECE = 1 << 16  # bytes of a guest compared at once
FEW = 6  # unsynced operations of which every subset is tried


class Done(NamedTuple):
    """One operation: bytes at a place (no byte: the file ends there, longer), or a sync (None)."""

    to: int
    data: bytes | None


def logged(patch: pytest.MonkeyPatch, tear: int = 0) -> list[Done]:
    """The log of all that is written in place from now on; no kernel copies past it.

    With `tear` a write of a few times so many bytes is as many operations: it may land in part.
    """
    log: list[Done] = []
    write, zero, sync = InPlaceSink.write, InPlaceSink.zero, InPlaceSink.sync
    made = InPlaceSink.__init__

    def without_kernels(sink: InPlaceSink, fd: int, name: str) -> None:
        made(sink, fd, name)
        sink.fd = None

    def noted_write(sink: InPlaceSink, to: int, data: memoryview) -> None:
        step = tear if len(data) <= TORN * tear else max(1, len(data))
        log.extend(Done(to + at, bytes(data[at : at + step])) for at in range(0, len(data), step))
        write(sink, to, data)

    def noted_zero(sink: InPlaceSink, to: int, length: int) -> None:
        log.append(Done(to, bytes(length)))
        zero(sink, to, length)

    resize = InPlaceSink.resize

    def noted_resize(sink: InPlaceSink, size: int) -> None:
        log.append(Done(size, b""))
        resize(sink, size)

    def noted_sync(sink: InPlaceSink) -> None:
        log.append(Done(0, None))
        sync(sink)

    patch.setattr(InPlaceSink, "__init__", without_kernels)
    patch.setattr(InPlaceSink, "write", noted_write)
    patch.setattr(InPlaceSink, "zero", noted_zero)
    patch.setattr(InPlaceSink, "resize", noted_resize)
    patch.setattr(InPlaceSink, "sync", noted_sync)
    return log


def states(before: bytes, log: list[Done], seed: int = 0) -> Iterator[tuple[int, bytes]]:
    """(operations done, file) of every crash: each state of the file once."""
    draw, seen = random.Random(seed), set()
    for cut in range(len(log) + 1):
        synced = max((i + 1 for i in range(cut) if log[i].data is None), default=0)
        durable = _applied(before, log[:synced])
        for kept in _subsets(log[synced:cut], draw):
            state = _applied(durable, kept)
            mark = hash(state)
            if mark not in seen:
                seen.add(mark)
                yield cut, state


def _applied(before: bytes, log: list[Done]) -> bytes:
    file = bytearray(before)
    for to, data in log:
        if data is not None:
            file.extend(bytes(max(0, to + len(data) - len(file))))
            file[to : to + len(data)] = data
    return bytes(file)


def _subsets(loose: list[Done], draw: random.Random) -> Iterator[list[Done]]:
    count = len(loose)
    if count <= FEW:
        for bits in range(1 << count):
            yield [one for i, one in enumerate(loose) if bits >> i & 1]
        return
    yield []
    yield loose
    for i in range(count):
        yield [loose[i]]
        yield loose[:i] + loose[i + 1 :]
    for _ in range(count):
        yield [one for one in loose if draw.random() < 0.5]


Change = tuple[int, bytes | int] | None
"""Bytes at a place, so many zeros at a place, or a flush (None)."""


def written(path: Path, changes: Sequence[Change], references: Policy = "parts") -> list[bytes]:
    """Make each change through the library; the guest before and after each."""
    with diskimage.open(path, mode="r+", references=references) as image:
        guests = [image.read(0, image.size)]
        for change in changes:
            if change is None:
                image.flush()
            elif isinstance(change[1], int):
                image.zero(change[0], change[1])
            else:
                image.write(change[0], change[1])
            guests.append(image.read(0, image.size))
    return guests


def foreign(guest: bytes, guests: Sequence[bytes]) -> int | None:
    """The first byte of `guest` that none of `guests` has at its place; None without any.

    Sectors are compared whole first: a write may begin inside of one.
    """
    for at in range(0, len(guest), PIECE):
        if guest[at : at + PIECE] not in {one[at : at + PIECE] for one in guests}:
            found = _foreign(guest, guests, at, min(len(guest), at + PIECE))
            if found is not None:
                return found
    return None


def _foreign(guest: bytes, guests: Sequence[bytes], start: int, stop: int) -> int | None:
    for at in range(start, stop, 512):
        known = {one[at : at + 512] for one in guests}
        mixed = guest[at : at + 512]
        if mixed not in known:
            for i, byte in enumerate(mixed):
                if byte not in {one[i] for one in known}:
                    return at + i
    return None
