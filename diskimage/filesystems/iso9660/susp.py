"""System use entries and Rock Ridge: what POSIX wants to know of a directory record.

SUSP 1.12 (IEEE P1281) for the shape of entries and continuation areas, RRIP 1.12 (IEEE P1282) for
their meaning; CD-ROM XA for the 14 bytes that come first on XA discs; zisofs for ZF.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from struct import Struct

from diskimage.errors import CorruptError, LimitError, LoopError
from diskimage.filesystems.iso9660.records import long_seconds, seconds
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import read

_XA = 14  # bytes of extended attributes of a CD-ROM XA directory record
_RRIP = (b"RRIP_1991A", b"IEEE_P1282", b"IEEE_1282")
_RRIP_ONLY = frozenset({b"RR", b"PX", b"NM"})
_CONTINUE, _CURRENT, _PARENT, _ROOT = 1, 2, 4, 8  # flags of NM and of components of SL
_PX = Struct("<I12xI4xI4x")  # mode, (links,) uid, gid, the little-endian halves
_LONG = 0x80  # TF: dates of 17 bytes, else of 7


@dataclass(slots=True)
class RockRidge:
    """What the entries of one record said, filled as they come."""

    name: bytes | None = None
    mode: int | None = None  # file type and permissions, as in POSIX
    uid: int = 0
    gid: int = 0
    serial: int = 0
    device: tuple[int, int] | None = None  # the two halves of PN
    link: list[bytes] = field(default_factory=list)  # SL: parts of the target
    link_open: bool = False  # the last part goes on in the next component
    mtime: float | None = None
    child: int | None = None  # CL: the block of the directory that was moved away
    parent: int | None = None  # PL: the block of its true parent
    moved: bool = False  # RE: stands elsewhere in the tree by CL
    sparse: bool = False
    zisofs: bool = False

    @property
    def target(self) -> bytes | None:
        """A link's target; None without one."""
        return (b"/".join(self.link) or b"/") if self.link else None


class Areas:
    """Continuation areas of a volume. The block read last is kept: many records share one."""

    def __init__(self, source: Source, block: int) -> None:
        self._source = source
        self._size = block
        self._kept: tuple[int, bytes] = (-1, b"")

    def read(self, block: int, offset: int, length: int) -> bytes:
        """`length` bytes at `offset` of a logical block, which it may not leave (SUSP 5.1).

        Raises TruncatedError, CorruptError.
        """
        if offset + length > self._size:
            message = f"a continuation area at {offset} of {length} bytes leaves its block"
            raise CorruptError(message, file=self._source.name, at=block * self._size)
        kept, data = self._kept
        if kept != block:
            at = block * self._size
            data = bytes(read(self._source, at, self._size, "a continuation area"))
            self._kept = block, data
        return data[offset : offset + length]


def skipped(dot: bytes, xa: bool) -> int | None:
    """Bytes before the entries of each record, told by the root's own system use field.

    None where the root has no SP entry, so that there is no SUSP in the tree.
    """
    for at in (0, _XA):
        mark = dot[at : at + 7]
        if len(mark) == 7 and mark[:2] == b"SP" and mark[4:6] == b"\xbe\xef":
            return mark[6] or (_XA if at or xa else 0)
    return None


def start(system: bytes, skip: int) -> int:
    """Where the entries of a record's system use field begin, given what the root's SP skips."""
    if skip == 0 and system[6:8] == b"XA" and not system[:2].isalpha():
        return _XA  # the disc's author forgot to say so in SP
    return skip


def is_rock_ridge(dot: bytes, areas: Areas, limits: Limits) -> bool:
    """Whether the root's own entries name the Rock Ridge extension, or use it."""
    start = 0 if dot.startswith(b"SP") else _XA
    return any(
        name in _RRIP_ONLY or (name == b"ER" and any(mark in body for mark in _RRIP))
        for name, body in entries(dot[start:], areas, limits)
    )


def entries(first: bytes, areas: Areas, limits: Limits) -> Iterator[tuple[bytes, bytes]]:
    """(signature, body) of the entries in `first` and in the areas it continues to.

    Raises CorruptError for lengths that leave their area, LoopError for areas met before,
    LimitError past `continuations` or `continuation_bytes`.
    """
    data, seen, total = first, {(-1, -1)}, 0
    while True:
        continued = None
        found, wrong = _of_area(data)
        for name, body in found:
            if name == b"ST":
                return
            if name == b"CE":
                continued = _continuation(body)
            else:
                yield name, body
        if wrong is not None:
            raise wrong
        if continued is None:
            return
        block, offset, length = continued
        total += length
        if (block, offset) in seen:
            raise LoopError(f"a continuation area in block {block} leads back to itself")
        if len(seen) > limits.continuations or total > limits.continuation_bytes:
            raise LimitError(
                f"continuation areas of one record above {limits.continuations}"
                f" or {limits.continuation_bytes} bytes (continuations, continuation_bytes)"
            )
        seen.add((block, offset))
        data = areas.read(block, offset, length)


def _of_area(data: bytes) -> tuple[list[tuple[bytes, bytes]], CorruptError | None]:
    """The entries of one area, and the error that they end in.

    A zero byte, or fewer than four left, is padding.
    """
    found: list[tuple[bytes, bytes]] = []
    at = 0
    while at + 4 <= len(data) and data[at]:
        length = data[at + 2]
        if not 4 <= length <= len(data) - at:
            room = len(data) - at
            message = f"a system use entry of {length} bytes where 4 to {room} can be"
            return found, CorruptError(message)
        found.append((data[at : at + 2], data[at + 4 : at + length]))
        at += length
    return found, None


def _continuation(body: bytes) -> tuple[int, int, int]:
    """Block, offset and length of a CE entry."""
    if len(body) < 24:
        raise CorruptError("a CE entry that is too short")
    block, offset, length = _numbers(body, 3)
    return block, offset, length


def fill(found: RockRidge, system: bytes, areas: Areas, limits: Limits) -> None:
    """Read a record's entries into `found`: what was read before an error stays in it."""
    for name, body in entries(system, areas, limits):
        action = _ACTIONS.get(name)
        if action is not None:
            action(found, body)
    if found.name is not None and len(found.name) > limits.path_bytes:
        raise LimitError(f"a name of more than {limits.path_bytes} bytes (path_bytes)")
    if sum(map(len, found.link)) > limits.link_target:
        raise LimitError(f"a link target above {limits.link_target} bytes (link_target)")


def _nm(found: RockRidge, body: bytes) -> None:
    flags = body[0] if body else 0
    part = b".." if flags & _PARENT else b"." if flags & _CURRENT else body[1:]
    found.name = (found.name or b"") + part


def _px(found: RockRidge, body: bytes) -> None:
    if len(body) < _PX.size:
        raise CorruptError("a PX entry that is too short")
    found.mode, found.uid, found.gid = _PX.unpack_from(body)
    if len(body) >= 40:  # since RRIP 1.12
        found.serial = int.from_bytes(body[32:36], "little")


def _pn(found: RockRidge, body: bytes) -> None:
    high, low = _numbers(body.ljust(16, b"\0"), 2)
    found.device = (high, low) if high else (low >> 8, low & 0xFF)


def _sl(found: RockRidge, body: bytes) -> None:
    """Components of a link's target: a flag byte, a length, a text.

    An empty one says nothing; the root's adds a "/" wherever it stands, as old writers meant it.
    """
    at = 1
    while at + 2 <= len(body):
        flags, length = body[at], body[at + 1]
        if at + 2 + length > len(body):
            raise CorruptError("a component of a symbolic link leaves its entry")
        text = body[at + 2 : at + 2 + length]
        text = b".." if flags & _PARENT else b"." if flags & _CURRENT else text
        if found.link_open:
            found.link[-1] += text
        elif text or flags & (_ROOT | _CONTINUE):
            found.link.append(text)
        found.link_open = bool(flags & _CONTINUE)
        at += 2 + length


def _tf(found: RockRidge, body: bytes) -> None:
    """Times: bit 0 creation, bit 1 modification, in this order where both are there."""
    flags = body[0] if body else 0
    if not flags & 2:
        return
    length, date = (17, long_seconds) if flags & _LONG else (7, seconds)
    at = 1 + length * (flags & 1)
    if at + length > len(body):
        raise CorruptError("a TF entry that is too short for its dates")
    found.mtime = date(body[at : at + length])


def _cl(found: RockRidge, body: bytes) -> None:
    found.child = _numbers(body.ljust(8, b"\0"), 1)[0]


def _pl(found: RockRidge, body: bytes) -> None:
    found.parent = _numbers(body.ljust(8, b"\0"), 1)[0]


def _re(found: RockRidge, body: bytes) -> None:
    del body
    found.moved = True


def _sf(found: RockRidge, body: bytes) -> None:
    del body
    found.sparse = True


def _zf(found: RockRidge, body: bytes) -> None:
    found.zisofs = body[:2] in (b"pz", b"PZ")


def _numbers(body: bytes, count: int) -> list[int]:
    """The little-endian halves of the first `count` numbers in both orders."""
    return [int.from_bytes(body[at : at + 4], "little") for at in range(0, 8 * count, 8)]


_ACTIONS: dict[bytes, Callable[[RockRidge, bytes], None]] = {
    b"NM": _nm, b"PX": _px, b"PN": _pn, b"SL": _sl, b"TF": _tf,
    b"CL": _cl, b"PL": _pl, b"RE": _re, b"SF": _sf, b"ZF": _zf,
}  # fmt: skip
