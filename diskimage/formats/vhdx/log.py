"""The log of a VHDX: what was on its way into the file when its writer ended, replayed in memory.

Facts: [MS-VHDX] 2.3. The log is a ring of entries in units of 4 KiB. An entry names the oldest one
that belongs to its sequence; the sequence that ends with the highest number is to be replayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import iter_unpack, pack, unpack_from
from typing import NamedTuple

from diskimage.errors import CorruptError, LimitError, TruncatedError
from diskimage.formats.vhdx.layout import MIB, Header, checksum, summed
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import demand, read
from diskimage.sources.patched import Patched

SECTOR = 4096
HEAD, ROW = 64, 32  # bytes of an entry's header, and of a descriptor
FIRST, NEXT = 126, 128  # descriptors of an entry's first sector, and of each further one
ROUNDS = 2
"""How many times its own size a log is summed at most: whole entries do not overlap."""
FARTHEST = (1 << 63) - 1


class Entry(NamedTuple):
    """A sound entry: `at` and `tail` are bytes of the log, `length` its bytes."""

    at: int
    length: int
    tail: int
    sequence: int
    flushed: int
    last: int


def replayed(source: Source, header: Header, limits: Limits) -> tuple[Patched, int]:
    """`source` as its log says it is to be, and how many entries say so.

    Raises CorruptError where no entry is sound, LimitError, TruncatedError.
    """
    name, length = source.name, header.log_length
    judge(source, header)
    if length > limits.chunk:
        text = f"a log of {length} bytes to be replayed, over chunk {limits.chunk}"
        raise LimitError(text, file=name)
    ring = _Ring(source, header)
    entries = _active({entry.at: entry for entry in ring.entries()}, length)
    if not entries:
        raise CorruptError(
            "its log is to be replayed, and holds no sound entry", file=name, at=header.log_at,
            remedy="take a copy whose writer closed it",
        )  # fmt: skip
    head = entries[-1]
    if source.size < head.flushed:
        raise TruncatedError(
            f"its log was written when the file had {head.flushed} bytes, it has {source.size}",
            file=name, at=source.size, remedy="the file is cut short: copy or download it again",
        )  # fmt: skip
    patched = Patched(source, min(head.last, FARTHEST))
    for entry in entries:
        for at, count, data in ring.changes(entry):
            patched.put(at, count, data)
    return patched, len(entries)


def judge(source: Source, header: Header) -> None:
    """CorruptError, TruncatedError where there is no room for a log."""
    length = header.log_length
    if length == 0 or length % MIB or header.log_at % MIB or header.log_at < MIB:
        raise CorruptError(f"a log of {length} bytes at {header.log_at}", file=source.name)
    demand(source, header.log_at, length, "the VHDX log")


def entry_bytes(header: Header, sectors: Sequence[tuple[int, bytes]], size: int) -> bytes:
    """An entry, alone in its log, that writes `sectors` (place, 4 KiB) to a file of `size` bytes.

    It is the first one of the log that `header` names.
    """
    head = described(len(sectors)) * SECTOR
    length = head + len(sectors) * SECTOR
    raw = bytearray(pack("<4s4xIIQI4x", b"loge", length, 0, 1, len(sectors)))
    raw += header.log.bytes_le + pack("<QQ", size, size)
    for at, data in sectors:
        raw += pack("<4s4s8sQQ", b"desc", data[-4:], data[:8], at, 1)
    raw += bytes(head - len(raw))
    for _, data in sectors:
        raw += pack("<4sI", b"data", 0) + data[8:-4] + pack("<I", 1)
    return summed(bytes(raw), length)


def _active(found: Mapping[int, Entry], length: int) -> list[Entry]:
    """The entries to be replayed, the oldest first; none where no sequence is whole.

    `found` are those of a log of `length` bytes by their place.
    """
    head: dict[int, Entry] = {}  # the last entry that follows on the one at a place
    for entry in sorted(found.values(), key=lambda one: -one.sequence):
        after = _after(entry, found, length)
        head[entry.at] = entry if after is None else head[after.at]
    for last in sorted(set(head.values()), key=lambda one: -one.sequence):
        if last.tail not in found or head[last.tail] != last:
            continue
        one: Entry | None = found[last.tail]
        chain = []
        while one is not None:
            chain.append(one)
            one = _after(one, found, length)
        if sum(entry.length for entry in chain) <= length:
            return chain
    return []


def _after(entry: Entry, found: Mapping[int, Entry], length: int) -> Entry | None:
    """The entry behind another one, where it is the next of its sequence."""
    after = found.get((entry.at + entry.length) % length)
    return after if after is not None and after.sequence == entry.sequence + 1 else None


class _Ring:
    """The bytes of the log, of which the first follows on the last."""

    def __init__(self, source: Source, header: Header) -> None:
        self._source, self._header = source, header
        self._length = header.log_length
        self._left = ROUNDS * header.log_length

    def entries(self) -> Iterator[Entry]:
        """Every sound entry, by its place. CorruptError where they overlap many times."""
        for first in range(0, self._length, MIB):
            piece = self._read(first, MIB)
            for at in range(0, MIB, SECTOR):
                if piece[at : at + 4] == b"loge":
                    entry = self._entry(first + at, piece[at : at + HEAD])
                    if entry is not None:
                        yield entry

    def _entry(self, at: int, head: bytes) -> Entry | None:
        """The entry at `at`, None where anything of it is wrong."""
        length, tail, sequence, count = unpack_from("<IIQI", head, 8)
        flushed, last = unpack_from("<QQ", head, 48)
        whole = length % SECTOR == tail % SECTOR == 0 < sequence and tail < self._length
        if head[32:48] != self._header.log.bytes_le or not whole:
            return None
        if not described(count) * SECTOR <= length <= self._length:
            return None
        self._left -= length
        if self._left < 0:
            raise CorruptError("the entries of its log overlap", file=self._source.name, at=at)
        raw = self._read(at, length)
        if checksum(raw) != int.from_bytes(raw[4:8], "little"):
            return None
        if not _lawful(raw, count, sequence):
            return None
        return Entry(at, length, tail, sequence, flushed, last)

    def changes(self, entry: Entry) -> Iterator[tuple[int, int, bytes | None]]:
        """(place, length, bytes) of what an entry writes, None for zeros."""
        raw = self._read(entry.at, entry.length)
        (count,) = unpack_from("<I", raw, 24)
        data = described(count) * SECTOR
        for kind, small, large, at, _ in _rows(raw, count):
            if kind == b"zero":
                yield at, int.from_bytes(large, "little"), None
            else:
                yield at, SECTOR, large + raw[data + 8 : data + SECTOR - 4] + small
                data += SECTOR

    def _read(self, at: int, length: int) -> bytes:
        """`length` bytes from `at` of the ring."""
        first = min(length, self._length - at)
        base = self._header.log_at
        raw = bytes(read(self._source, base + at, first, "the VHDX log"))
        if first == length:
            return raw
        return raw + bytes(read(self._source, base, length - first, "the VHDX log"))


def described(count: int) -> int:
    """Sectors that an entry's header and descriptors fill."""
    return 1 + -(-max(0, count - FIRST) // NEXT)


def _rows(raw: bytes, count: int) -> Iterator[tuple[bytes, bytes, bytes, int, int]]:
    """(signature, 4 bytes, 8 bytes, place, sequence) of each descriptor."""
    yield from iter_unpack("<4s4s8sQQ", raw[HEAD : HEAD + count * ROW])


def _lawful(raw: bytes, count: int, sequence: int) -> bool:
    """Whether every descriptor and data sector is of the entry and complete."""
    data = described(count) * SECTOR
    for kind, _, large, at, number in _rows(raw, count):
        length = SECTOR
        if kind == b"zero":
            length = int.from_bytes(large, "little")
        elif kind == b"desc":
            part = raw[data : data + SECTOR]
            data += SECTOR
            ends = part[4:8] + part[-4:] if len(part) == SECTOR else b""
            if part[:4] != b"data" or ends != (
                (sequence >> 32).to_bytes(4, "little")
                + (sequence & 0xFFFFFFFF).to_bytes(4, "little")
            ):
                return False
        else:
            return False
        if number != sequence or at % SECTOR or length % SECTOR or at > FARTHEST - length:
            return False
    return True
