"""Refcounts: how often each cluster of the file is referred to, packed and placed."""

from __future__ import annotations

from array import array
from collections.abc import Generator
from typing import Any

from diskimage.layers.table import words, written
from diskimage.model import Packed, Put, Step

CODES = {3: "B", 4: "H", 5: "I", 6: "Q"}  # array codes of orders with whole bytes


def packed(counts: array[int], order: int) -> bytes:
    """Counts of 2^order bits as they are stored: big-endian, below a byte the first lowest."""
    if order >= 3:
        return written(array(CODES[order], counts), big_endian=True)
    width, per_byte = 1 << order, 8 >> order
    out = bytearray()
    for at in range(0, len(counts), per_byte):
        part = counts[at : at + per_byte]
        out.append(sum(count << i * width for i, count in enumerate(part)))
    return bytes(out)


def unpacked(raw: bytes | bytearray, order: int, most: int) -> array[int]:
    """The first `most` counts of stored bytes, or some more."""
    raw = raw[: (most << order) // 8 + 8]
    if order >= 3:
        return words(raw, CODES[order], big_endian=True)
    width, mask = 1 << order, (1 << (1 << order)) - 1
    return array("B", (byte >> at & mask for byte in raw for at in range(0, 8, width)))


def closing(clusters: int, placed: int, per_block: int, cluster: int) -> tuple[int, int]:
    """(further blocks, clusters of the table) so that `clusters` and these are counted.

    `placed` blocks are there already and count the clusters before; the table lists all blocks.
    """
    blocks = table = 0
    while True:
        need = -(-(clusters + blocks + table) // per_block)
        length = -(-8 * (placed + need) // cluster)
        if (need, length) == (blocks, table):
            return blocks, table
        blocks, table = need, length


class Refcounts:
    """Counts of the clusters of a file that is written in one pass, each block put when final."""

    def __init__(self, order: int, cluster_bits: int) -> None:
        self._order, self._bits = order, cluster_bits
        self._cluster = 1 << cluster_bits
        self._per_block = self._cluster * 8 >> order
        self._counts = array("Q")  # of the clusters that no placed block counts
        self._blocks = array("Q")  # where blocks are

    @property
    def _next(self) -> int:
        """The first cluster that has no count yet."""
        return len(self._blocks) * self._per_block + len(self._counts)

    def add(self, end: int) -> None:
        """Count once each cluster from the last counted up to the host byte `end`."""
        self._counts.extend(array("Q", [1]) * ((end >> self._bits) - self._next))

    def add_packed(self, step: Packed) -> None:
        """Count plain chunks once, and coded ones in each cluster that they touch."""
        if all(code < 0 for code in step.codec):
            self.add(step.end)
            return
        base = len(self._blocks) * self._per_block
        clusters = -(-step.end // self._cluster) - self._next
        self._counts.extend(array("Q", bytes(8 * clusters)))
        for to, stored in zip(step.to, step.stored, strict=True):
            if to < 0:
                continue
            first = (to >> self._bits) - base
            self._counts[first] += 1
            last = ((to + stored - 1) >> self._bits) - base
            if last > first:
                self._counts[last] += 1

    def flush(self, end: int) -> Generator[Step, Any, int]:
        """Put the blocks whose counts are final at `end`; the new end. `end` is aligned."""
        out, at = bytearray(), end
        while len(self._counts) >= self._per_block:
            self._counts.append(1)
            out += self._block(at)
            at += self._cluster
        if out:
            yield Put(end, out)
        return at

    def _block(self, at: int) -> bytes:
        """The first block's bytes; it will be at `at`."""
        full, self._counts = self._counts[: self._per_block], self._counts[self._per_block :]
        self._blocks.append(at)
        return packed(full, self._order).ljust(self._cluster, b"\0")

    def close(self, end: int) -> Generator[Step, Any, tuple[int, int, int]]:
        """Put the last blocks and the table of all: (its place, its clusters, the file's end)."""
        blocks, table = closing(
            len(self._counts), len(self._blocks), self._per_block, self._cluster
        )
        self.add(end + (blocks + table) * self._cluster)
        for number in range(blocks):
            yield Put(end + number * self._cluster, self._block(end + number * self._cluster))
        table_at = end + blocks * self._cluster
        listed = written(self._blocks, big_endian=True)
        yield Put(table_at, listed.ljust(table * self._cluster, b"\0"))
        return table_at, table, table_at + table * self._cluster
