"""Where one can begin in a gzip file, and what lies between two such places."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from diskimage.codecs.crc32 import Crc32, behind
from diskimage.errors import ChecksumError, ContentError, CorruptError
from diskimage.formats.gzip.members import NEVER, TRAILER, Walk, following, header, padding
from diskimage.kernels.inflate import BORDER, END
from diskimage.layers.unpacked import Way, open_packed, problem, whole_file
from diskimage.limits import MIB
from diskimage.model import Checking, Device, Gate, Held, Source
from diskimage.parse import read
from diskimage.sources.entries import Entries, kept, window

SPAN = 4 * MIB  # plain bytes between two entries: 10 ms of decoding for a read at random
DEARER = 8 * MIB  # of windows: each time so many are kept, entries come half as often
GROUP = MIB  # plain bytes of neighbouring members that are decoded together
CUT = -2  # the note of a stretch that the file's end cuts: it has no trailer
LAST = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # of a BGZF file


def open_gzip(source: Source, gate: Gate, *, index: str | None = None) -> Device:
    """The plain bytes as a disk. Raises ContentError, and what keeping an `index` does."""
    return open_packed(source, gate, WAY, index)


def check(source: Source, gate: Gate) -> Checking:
    """Every member against its CRC-32 and length."""
    file = whole_file(source, gate)
    try:
        _Finder(file).run(gate)
    except ContentError as error:
        yield problem(error)
    return Held("CRC-32 and length of each member")


def find(source: Source, gate: Gate) -> Entries:
    """Where one can begin: told by BGZF members, else found in a pass that checks every member."""
    first = header(source, 0)
    told = _bgzf(source, gate) if first.whole and not gate.faults.salvaging else None
    return told or _Finder(source).run(gate)


def facts(source: Source, entries: Entries) -> dict[str, object]:
    """What the first header says."""
    first = header(source, 0)
    return {
        "variant": "BGZF" if first.whole else "members of any length",
        "stored_name": first.name or None,
        "stored_time": first.modified or None,
    }


def _bgzf(source: Source, gate: Gate) -> Entries | None:
    """Entries by the lengths that members tell; None where one tells none that can be."""
    starts, places = array("q", [0]), array("q", [0])
    at = size = 0
    last = b""
    while at < source.size:
        length = _whole(source, at)
        if not length or at + length > source.size:
            return None
        last = bytes(read(source, at + length - 4, 4, "a trailer"))
        size, at = size + int.from_bytes(last, "little"), at + length
        if size - starts[-1] >= GROUP and at < source.size:
            starts.append(size)
            places.append(8 * at)
    tail = min(len(LAST), source.size)
    if bytes(read(source, source.size - tail, tail, "the last member")) != LAST:
        gate.warn("end", "has no last member of BGZF: it may be cut short")
    return _entries(starts, places, size, array("q", [-1]) * len(starts), [])


def _whole(source: Source, at: int) -> int:
    """The length of the member at `at`, 0 where it is none or does not tell it."""
    if source.size - at < 18 + TRAILER:
        return 0
    head = bytes(read(source, at, 18, "a member"))
    if head[:4] == b"\x1f\x8b\x08\x04" and head[10:16] == b"\x06\0BC\x02\0":
        return (head[16] | head[17] << 8) + 1
    return header(source, at).whole if head[:2] == b"\x1f\x8b" else 0


def _entries(
    starts: array[int], places: array[int], size: int, notes: array[int],
    windows: list[bytes | None],
) -> Entries:  # fmt: skip
    """Columns without a last entry that nothing follows."""
    while starts and starts[-1] >= size:
        starts.pop(), places.pop(), notes.pop()
        if windows:
            windows.pop()
    return Entries(starts, places, size, notes, windows)


class _Finder:
    """A pass: an entry at the first border of a block after each span, and where members begin.

    A stretch is either within one member, and has a sum of its own, or a number of whole members.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._walk = source, Walk(source, 0, None)
        self._starts, self._places = array("q", [0]), array("q", [0])
        self._notes, self._windows = array("q"), list[bytes | None]((None,))
        self._span, self._room = SPAN, DEARER
        self._before = 0  # CRC of the member's bytes before this stretch
        self._within = False  # whether this stretch began inside of a member

    def run(self, gate: Gate) -> Entries:
        """Raises ContentError for a member that is not sound, unless that is survived."""
        walk = self._walk
        walk.border = self._span
        while True:
            with gate.faults.surviving():
                self._pass(gate)
                break
            if not self._behind():
                break
        # of nothing: the last member's end is an entry, or sums itself
        self._notes.append(CUT if walk.inside else -1)
        return _entries(self._starts, self._places, walk.plain, self._notes, self._windows)

    def _pass(self, gate: Gate) -> None:
        for _, told in self._walk.pieces():
            if told == BORDER:
                self._inside()
            elif told == END:
                self._between()
        self._rest(gate)

    def _behind(self) -> bool:
        """Pass the member that is at fault, which is lost; False where nothing follows.

        Of one that the file's end cuts, all that was decoded is kept.
        """
        walk, source = self._walk, self._source
        begun = walk.begun if walk.inside else walk.plain
        found = following(source, walk.member, walk.plain - begun)
        if found is None and walk.inside and walk.truncated:
            return False
        while len(self._starts) > 1 and self._starts[-1] >= begun:
            self._starts.pop(), self._places.pop(), self._windows.pop(), self._notes.pop()
        self._within, self._before = False, 0
        if found is None:
            walk.skip(begun, source.size)
            return False
        place, length = found
        self._add(begun, -1, None, -1)
        self._add(begun + length, 8 * place, None, -1)
        walk.skip(begun + length, place)
        walk.border = walk.plain + self._span
        return True

    def _inside(self) -> None:
        """An entry here, inside of a member."""
        walk = self._walk
        if self._starts[-1] < walk.begun:
            self._add(walk.begun, 8 * walk.member, None, -1)
        packed = kept(walk.window())
        self._add(walk.plain, walk.bit, packed, self._sum())
        self._before, self._within = walk.sum, True
        self._room -= len(packed)
        if self._room < 0:
            self._span, self._room = 2 * self._span, DEARER
        walk.border = walk.plain + self._span

    def _between(self) -> None:
        """An entry here, where a member ended, if the stretch is of one member or long enough."""
        walk = self._walk
        if self._within or walk.plain - self._starts[-1] >= GROUP:
            self._add(walk.plain, walk.bit, None, self._sum() if self._within else -1)
            self._before, self._within = 0, False
            walk.border = walk.plain + self._span

    def _sum(self) -> int:
        """The CRC-32 of the stretch of a member that ends here: that of the member so far, less
        what came before."""
        walk = self._walk
        return behind(self._before, walk.sum, walk.plain - self._starts[-1])

    def _add(self, start: int, place: int, packed: bytes | None, sum: int) -> None:
        if start == self._starts[-1]:  # nothing lies between: the later place is as good
            self._places[-1], self._windows[-1] = place, packed
            return
        self._notes.append(sum)
        self._starts.append(start)
        self._places.append(place)
        self._windows.append(packed)

    def _rest(self, gate: Gate) -> None:
        """What follows the last member, as gzip takes it: zeros are padding, the rest ignored.

        Raises CorruptError where it is salvaged and a sound member follows all the same.
        """
        at, source = self._walk.garbage, self._source
        if at >= 0 and not padding(source, at):
            rest = source.size - at
            if gate.faults.salvaging and following(source, at, 0) is not None:
                raise CorruptError("no member where one should be", file=source.name, at=at)
            gate.warn("garbage", f"{rest} bytes after the last member are not read", at)


def decode(source: Source, entries: Entries, number: int) -> Iterator[memoryview]:
    """The plain bytes of a stretch. Raises CorruptError, ChecksumError, TruncatedError."""
    places, starts, told_sum = entries.places, entries.starts, entries.notes[number]
    last = number + 1 == len(places)
    told_stop = not last and places[number + 1] >= 0  # not of what is lost
    stop = places[number + 1] if told_stop else NEVER
    walk = Walk(source, places[number], window(entries, number))
    walk.border = (entries.size if last else starts[number + 1]) - starts[number]
    crc = Crc32()
    for piece, told in walk.pieces():
        if told_sum >= 0:
            crc.update(piece)
        if piece:
            yield piece
        whole = walk.plain >= walk.border and (told == END or told_sum == CUT)
        if walk.bit >= stop or (whole and not told_stop):
            break
    if told_sum >= 0 and crc.value != told_sum:
        raise ChecksumError("plain bytes have not the sum that their index tells",
                            file=source.name, at=places[number] >> 3)  # fmt: skip
    if told_stop and walk.bit != stop:
        raise CorruptError("a member ends elsewhere than it tells", file=source.name,
                           at=walk.bit >> 3)  # fmt: skip


WAY = Way("gzip", find, decode, facts)
