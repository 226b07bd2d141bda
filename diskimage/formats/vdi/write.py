"""A VDI written in place: a new block and its bytes first, then the count of blocks, then the map.

Blocks lie without gaps, as VirtualBox takes the header's count for the place of the next one: the
count is durable before an entry that it covers, and what a crash left unused is used again.
"""

from __future__ import annotations

from uuid import uuid4

from diskimage.errors import LimitError
from diskimage.formats.vdi.layout import ZEROED, Header, entries
from diskimage.layers.gather import hole
from diskimage.layers.table import Flat
from diskimage.limits import Limits
from diskimage.model import Barrier, Copy, Device, Plan, Put, Source
from diskimage.sources.pending import Pending


class Map:
    """The room in a disk: its map and its count; `whole` is what the guest reads.

    `flat` is the map as far as readers keep it, over `pending`.
    """

    def __init__(
        self, flat: Flat, whole: Device, header: Header, source: Source, pending: Pending,
        limits: Limits,
    ) -> None:  # fmt: skip
        self._flat, self._whole, self._header, self._limits = flat, whole, header, limits
        self._source, self._pending = source, pending
        self._begun = self._counted = False
        self._gaps: list[int] | None = None  # places that no entry names, the first one last
        self._next = 0  # the place behind all of them

    def begin(self) -> Plan:
        """A new modification UUID: a child that was made over what was there is refused then."""
        if not self._begun:
            yield Put(self._header.modified_at, uuid4().bytes_le)
            yield Barrier()
            self._begun = True

    def present(self, start: int, stop: int) -> Plan:
        """A block for the guest's, what lies beside [start, stop) as it reads now."""
        header = self._header
        base = start - start % header.block
        end = min(base + header.block, header.size)
        beside = [
            (edge, list(self._whole.runs(edge, last)))
            for edge, last in ((base, start), (stop, end)) if edge < last
        ]  # fmt: skip
        index = self._free()
        at = header.data_at + index * header.pitch
        used = min(self._source.size, at + header.pitch) - at
        if used > 0:
            yield Copy(iter((hole(0, used),)), at)
        if used < header.pitch:
            yield Put(at + header.pitch - 1, b"\0")
        for edge, runs in beside:
            yield Copy(runs, at + header.extra + edge - base)
        self._counted = False
        self._change(base // header.block, index)

    def clear(self, start: int, stop: int) -> Plan:
        """A whole block by its entry, a part by a block that has zeros there."""
        header = self._header
        number, skip = divmod(start, header.block)
        if skip == 0 and stop == min(start + header.block, header.size):
            self._change(number, ZEROED)
            return
        yield from self.present(start, stop)
        place = next(self._flat.pieces(number, number + 1)).entries
        assert place is not None
        at = header.data_at + int.from_bytes(place, "little") * header.pitch + header.extra
        yield Copy(iter((hole(0, stop - start),)), at + skip)

    def flush(self) -> Plan:
        """The bytes and the count, then the entries."""
        if self._pending and not self._counted and self._gaps is not None:
            count = self._next.to_bytes(4, "little")
            self._pending.put(self._header.allocated_at, count)  # its sector may be the map's too
            yield Put(self._header.allocated_at, count)
            self._counted = True
        yield Barrier()
        if self._pending:
            yield from self._pending.plan()
            yield Barrier()

    def _change(self, block: int, entry: int) -> None:
        self._pending.put(self._header.map_at + 4 * block, entry.to_bytes(4, "little"))
        self._flat.pages.forget()

    def _free(self) -> int:
        """The number of a stored block that no entry names."""
        if self._gaps is None:
            self._gaps = self._found()
        if self._gaps:
            return self._gaps.pop()
        assert self._next < self._header.blocks, "as many stored blocks as entries, and no gap"
        self._next += 1
        return self._next - 1

    def _found(self) -> list[int]:
        """The gaps between stored blocks. LimitError where the map is too large to look at."""
        if self._header.blocks > self._limits.metadata:
            text = f"a map of {self._header.blocks} blocks is over metadata"
            raise LimitError(f"{text} {self._limits.metadata}", file=self._source.name)
        taken = bytearray(self._header.blocks)
        for entry in entries(self._source, self._header):
            if entry < ZEROED:
                self._next = max(self._next, entry + 1)
                if entry < len(taken):
                    taken[entry] = 1
        return [index for index in range(min(self._next, len(taken)) - 1, -1, -1)
                if not taken[index]]  # fmt: skip
