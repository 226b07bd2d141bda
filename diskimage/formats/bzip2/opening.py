"""Where one can begin in a bzip2 file: at every block, found in a pass on all processors."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import NamedTuple

from diskimage.errors import ChecksumError, ContentError, CorruptError, TruncatedError
from diskimage.formats.bzip2.blocks import Mark, marks, plain, sum_of
from diskimage.layers.unpacked import Way, judged, open_packed, problem, whole_file
from diskimage.model import Checking, Device, Gate, Held, Source
from diskimage.parse import read
from diskimage.pool import default_threads, ordered
from diskimage.sources.entries import Entries

MAGIC = b"BZh"
LEVELS = tuple(b"%d" % level for level in range(1, 10))
_HEADER = MAGIC + LEVELS[-1]
_END = 80  # bits of a stream's end
_LOOKALIKES = 4  # blocks are tried with so many marks in them that are none


class Found(NamedTuple):
    """What lies between a mark and the next: a block of `size` plain bytes, or the error."""

    mark: Mark
    stop: int
    size: int = 0
    error: ContentError | None = None


def open_bzip2(source: Source, gate: Gate, *, index: str | None = None) -> Device:
    """The plain bytes as a disk. Raises ContentError, and what keeping an `index` does."""
    return open_packed(source, gate, WAY, index)


def check(source: Source, gate: Gate) -> Checking:
    """Every block and every stream against its sum."""
    try:
        find(whole_file(source, gate), gate)
    except ContentError as error:
        yield problem(error)
    return Held("CRC-32 of each block and of each stream")


def find(source: Source, gate: Gate) -> Entries:
    """The blocks, all decoded to count their bytes; `notes` are their bits."""
    starts, places, notes = array("q"), array("q"), array("q")
    size = 0
    with gate.faults.surviving():  # a block does not tell its plain bytes: none has a place behind
        for one in _blocks(source, gate):
            if one.size:
                starts.append(size)
                places.append(one.mark.bit)
                notes.append(one.stop - one.mark.bit)
            size += one.size
            judged(source, size, gate.limits)
    return Entries(starts, places, size, notes, [])


def _blocks(source: Source, gate: Gate) -> Iterator[Found]:
    """The blocks of all streams, each stream held against its sum."""
    if not _level(source, 0):
        raise CorruptError("no bzip2 stream", file=source.name, at=0)
    expected, total = 8 * len(_HEADER), 0
    for mark, stop, size, _ in _whole(source):
        if mark.bit < expected:
            continue  # between two streams, where nothing is a mark
        if mark.bit > expected:
            raise CorruptError("no block where one should be", file=source.name, at=expected >> 3)
        if not mark.ends:
            total = ((total << 1 | total >> 31) & 0xFFFFFFFF) ^ sum_of(source, mark.bit)
            expected = stop
            yield Found(mark, stop, size)
            continue
        if sum_of(source, mark.bit) != total:
            raise ChecksumError("a stream has not its sum", file=source.name, at=mark.bit >> 3)
        after = -(-(mark.bit + _END) // 8)
        if not _level(source, after):
            if after < source.size:
                rest = f"{source.size - after} bytes after the last stream are not read"
                gate.warn("garbage", rest, after)
            return
        expected, total = 8 * (after + len(_HEADER)), 0
    raise TruncatedError("its last stream has no end", file=source.name, at=source.size)


def _level(source: Source, at: int) -> int:
    """The level of the stream that begins at byte `at`, 0 where none does."""
    head = bytes(read(source, at, min(4, source.size - at), "a stream"))
    whole = len(head) == len(_HEADER) and head[:3] == MAGIC and head[3:] in LEVELS
    return head[3] - 48 if whole else 0


def _whole(source: Source) -> Iterator[Found]:
    """What lies between marks, put together again where something in a block looked like one."""
    failed: list[Found] = []
    for one in ordered(_counted, _between(source), default_threads()):
        found = one
        if failed:
            found = _counted(source, failed[0].mark, one.stop)
        if found.error is None:
            failed = []
            yield found
            continue
        failed.append(found)
        if len(failed) > _LOOKALIKES:
            break
    if failed and failed[0].stop < 8 * source.size:
        assert failed[0].error is not None
        raise failed[0].error


def _between(source: Source) -> Iterator[tuple[Source, Mark, int]]:
    """(source, mark, where the next one is) of every mark."""
    for mark, after in pairwise(chain(marks(source), [Mark(8 * source.size, ends=True)])):
        yield source, mark, after.bit


def _counted(source: Source, mark: Mark, stop: int) -> Found:
    """The plain bytes of the block that begins with a mark; an end has none."""
    if mark.ends:
        return Found(mark, stop)
    try:
        size = sum(len(piece) for piece in plain(source, mark.bit, stop - mark.bit))
    except ContentError as error:
        return Found(mark, stop, error=error)
    return Found(mark, stop, size)


def facts(source: Source, _entries: Entries) -> dict[str, object]:
    """How large blocks are at most, as the first stream says."""
    return {"variant": f"blocks of {_level(source, 0)}00 kB"}


def decode(source: Source, entries: Entries, number: int) -> Iterator[bytes]:
    """The plain bytes of a block. Raises CorruptError, ChecksumError."""
    return plain(source, entries.places[number], entries.notes[number])


WAY = Way("bzip2", find, decode, facts)
