"""Where one can begin in a zstd file: its frames, by the seek table or by their headers."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import IO, cast

from diskimage.errors import ChecksumError, ContentError, CorruptError, LimitError, TruncatedError
from diskimage.formats.zstd.layout import SEEKABLE, following, frame, table, told_plain
from diskimage.layers.unpacked import Way, check_packed, judged, open_packed
from diskimage.limits import LIMITS, MIB, Limits
from diskimage.model import Checking, Device, Gate, Source
from diskimage.parse import read
from diskimage.sources.entries import Entries

GROUP = MIB  # plain bytes of neighbouring frames that are decoded together


def open_zstd(source: Source, gate: Gate, *, index: str | None = None) -> Device:
    """The plain bytes as a disk. Raises ContentError, and what keeping an `index` does."""
    return open_packed(source, gate, _way(gate.limits), index)


def check(source: Source, gate: Gate) -> Checking:
    """Every frame decoded, against its checksum where it has one."""
    return check_packed(source, gate, _way(gate.limits), "the checksum of each frame that has one")


def find(source: Source, gate: Gate) -> Entries:
    """The frames, neighbouring small ones as one; those that do not tell their plain bytes are
    decoded to count them. `notes` are the bytes of each stretch in the file."""
    if gate.faults.salvaging:
        return _entries(_survived(source, gate), 0)
    return _entries(table(source, gate.limits) or _walked(source, 0, gate.limits))


def _walked(source: Source, at: int, limits: Limits) -> Iterator[tuple[int, int]]:
    """(stored, plain) of every frame from byte `at` on."""
    while at < source.size:
        end, plain = frame(source, at, limits)
        yield end - at, _counted(source, at, end, limits) if plain < 0 else plain
        at = end


def _survived(source: Source, gate: Gate) -> Iterator[tuple[int, int]]:
    """As `_walked`, past frames that are damaged, and what there is of one that the end cuts.

    The stored bytes of what is lost are negative. Where a damaged frame does not tell its plain
    bytes nothing behind it has a place, unless a table tells.
    """
    found, limits, at = gate.faults.found, gate.limits, 0
    if (told := table(source, limits)) is not None:
        yield from told
        return
    while at < source.size:
        with gate.faults.surviving():
            for row in _walked(source, at, limits):
                yield row
                at += row[0]
            return
        plain, got, behind = told_plain(source, at), 0, following(source, at, limits)
        if behind == source.size and found[-1].kind == TruncatedError.kind:
            with suppress(ContentError):
                got = _counted(source, at, behind, limits)
                yield behind - at, got
        if plain < 0:
            return
        if plain > got:
            yield at - behind, plain - got
        at = behind


def _entries(frames: Iterable[tuple[int, int]], group: int = GROUP) -> Entries:
    starts, places, notes = array("q"), array("q"), array("q")
    at = size = 0
    for stored, plain in frames:
        if plain and (not starts or size - starts[-1] >= group or plain >= group):
            starts.append(size)
            places.append(8 * at if stored >= 0 else -1)
            notes.append(0)
        if notes:
            notes[-1] += stored
        at, size = at + abs(stored), size + plain
    return Entries(starts, places, size, notes, [])


def _counted(source: Source, at: int, end: int, limits: Limits) -> int:
    """The plain bytes of a frame that does not tell them."""
    size = 0
    for piece in _plain(source, at, end, limits):
        size += len(piece)
        judged(source, size, limits)
    return size


def facts(source: Source, entries: Entries) -> dict[str, object]:
    """Whether a table finds its frames."""
    length = len(SEEKABLE)
    end = bytes(read(source, source.size - length, length, "the end"))
    return {"variant": "frames with a seek table" if end == SEEKABLE else "frames"}


def decode(
    source: Source, entries: Entries, number: int, limits: Limits = LIMITS
) -> Iterator[bytes]:
    """The plain bytes of a stretch. Raises CorruptError, ChecksumError, LimitError."""
    at = entries.places[number] >> 3
    return _plain(source, at, at + entries.notes[number], limits)


class _Stored:
    """Stored bytes as a file that is read to its end."""

    def __init__(self, source: Source, at: int, end: int) -> None:
        self._source, self._at, self._end = source, at, end

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        buffer = bytearray(min(size, self._end - self._at))
        got = self._source.read_into(self._at, memoryview(buffer))
        self._at += got
        return bytes(buffer[:got])


def _plain(source: Source, at: int, end: int, limits: Limits) -> Iterator[bytes]:
    import zstandard  # 12 MB of library: loaded once a frame is read

    decoder = zstandard.ZstdDecompressor(max_window_size=1 << limits.window_log)
    stored = cast("IO[bytes]", _Stored(source, at, end))
    reader = decoder.stream_reader(stored, read_across_frames=True)
    try:
        while piece := reader.read(MIB):
            yield piece
    except zstandard.ZstdError as error:
        why = str(error)
        if "checksum" in why:
            raise ChecksumError("a frame has not its checksum", file=source.name, at=at) from None
        if "memory" in why:
            text = f"a window over 2^{limits.window_log} (limit window_log)"
            raise LimitError(text, file=source.name, at=at) from None
        raise CorruptError(f"a frame does not decode: {why}", file=source.name, at=at) from None


def _way(limits: Limits) -> Way:
    return Way("zstd", find, partial(decode, limits=limits), facts)
