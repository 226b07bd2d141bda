"""The descriptor at the end of a DiscJuggler image as frozen values, read field by field.

Little-endian, with fields whose length and presence the fields before them decide. What no reader
knows the meaning of is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass

from diskimage.errors import CorruptError, LimitError, TruncatedError, UnsupportedError
from diskimage.limits import Limits
from diskimage.model import Look, Source
from diskimage.parse import read

VERSIONS = {0x80000004: "2", 0x80000005: "3", 0x80000006: "3.5"}
MARK = bytes((0, 0, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF))
TRAILER = 8
MOST_TRACKS = 99
MOST_INDEXES = 100
MEDIA = {0x38: "DVD", 0x98: "CD"}
_AHEAD = 8  # bytes that DiscJuggler 3.00.780 and later put before a track
_BEHIND = 78  # and after it
_CLOSING = 12  # bytes behind the last track of a session, the kind of the session first
_NEW = 0x80000000  # DiscJuggler 4: capacity and medium follow
_TEXTS = 18  # of a block of CD-TEXT
_TITLE = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A track as the descriptor tells it; `start` and all lengths in frames, `mode` and `read` as
    stored. `indexes` are the lengths of index 0, 1, 2 ..."""

    indexes: tuple[int, ...]
    mode: int
    start: int
    total: int
    read: int
    control: int
    isrc: str | None
    title: str
    medium: int | None
    kind: int
    at: int


@dataclass(frozen=True, slots=True)
class Told:
    """All that a descriptor says. Frames lie before `stop`, where it begins."""

    version: str
    stop: int
    sessions: tuple[tuple[Entry, ...], ...]
    catalog: str | None
    packs: bytes


def trailer(tail: bytes, size: int) -> tuple[str, int] | None:
    """Version, and where the descriptor begins, from the last 8 bytes of a file of `size` bytes."""
    if len(tail) < TRAILER:
        return None
    word, told = (int.from_bytes(tail[i : i + 4], "little") for i in (len(tail) - 8, len(tail) - 4))
    version = VERSIONS.get(word)
    if version is None:
        return None
    return version, size - told if version == "3.5" else told


def begins(look: Look) -> bool | None:
    """Whether a descriptor begins where the trailer of `look` says; None without a trailer."""
    told = trailer(look.tail, look.size)
    if told is None:
        return None
    place = told[1] - (look.size - len(look.tail))
    head = look.tail[place : place + 64] if place >= 0 else b""
    return any(head[at : at + 2 * len(MARK)] == 2 * MARK for at in (8, 8 + _AHEAD))


def load(source: Source, limits: Limits) -> Told:
    """The descriptor of `source`.

    Raises UnsupportedError for an unknown version, CorruptError, TruncatedError, LimitError.
    """
    tail = bytes(read(source, max(0, source.size - TRAILER), min(TRAILER, source.size), "trailer"))
    found = trailer(tail, source.size)
    if found is None:
        raise UnsupportedError(
            "ends with no version word that is known",
            file=source.name,
            at=max(0, source.size - TRAILER),
            remedy="the file is cut short, or no DiscJuggler image of version 2 to 4",
        )
    version, stop = found
    length = source.size - TRAILER - stop
    if stop <= 0 or length <= 0:
        raise CorruptError(
            f"its descriptor should begin at {stop}, the file has {source.size} bytes",
            file=source.name,
            at=source.size - 4,
        )
    if length > limits.text_file:
        raise LimitError(
            f"a descriptor of {length} bytes, above the limit of {limits.text_file}",
            file=source.name,
            at=stop,
            remedy="no disc needs so many",
        )
    return _Reader(bytes(read(source, stop, length, "CDI descriptor")), source.name, stop).told(
        version
    )


class _Reader:
    """A descriptor and the place in it that is read next."""

    def __init__(self, data: bytes, file: str, base: int) -> None:
        self._data, self._file, self._base = data, file, base
        self._at = 0

    def told(self, version: str) -> Told:
        """All of it."""
        count = self._integer(1)
        if not 1 <= count <= MOST_TRACKS:
            raise self._corrupt(f"{count} sessions")
        sessions: list[tuple[Entry, ...]] = []
        for number in range(count):
            tracks = self._tracks(old=version == "2" and number > 0)
            room = MOST_TRACKS - sum(map(len, sessions))
            if not 1 <= tracks <= room:
                raise self._corrupt(f"{tracks} tracks in session {number + 1}")
            sessions.append(tuple(self._track(version) for _ in range(tracks)))
            self._skip(_CLOSING)
        catalog, packs = self._disc() if version == "3.5" else (None, b"")
        return Told(version, self._base, tuple(sessions), catalog, packs)

    def _tracks(self, *, old: bool) -> int:
        """The count of a session; `old` ones lack the zero before it."""
        if not old and self._integer(1):
            raise self._corrupt("no session begins here")
        return self._integer(2)

    def _track(self, version: str) -> Entry:
        at = self._base + self._at
        medium = self._lead()
        count = self._integer(2)
        if count > MOST_INDEXES:
            raise self._corrupt(f"{count} indexes")
        indexes = tuple(self._integer(4) for _ in range(max(2, count)))
        title = self._title()
        self._skip(2)
        mode = self._integer(4)
        self._skip(12)
        start, total = self._integer(4), self._integer(4)
        self._skip(16)
        how, control = self._integer(4), self._integer(4)
        self._skip(9)
        isrc, valid = self._take(12), self._integer(4)
        if version != "2":
            self._skip(5)
            if self._integer(4) == 0xFFFFFFFF:
                self._skip(_BEHIND)
        kind = self._peek()
        if kind is None:
            raise self._cut()
        code = isrc.partition(b"\0")[0].decode("ascii", "replace").strip() if valid else ""
        return Entry(
            indexes, mode, start, total, how, control, code or None, title, medium, kind, at
        )

    def _lead(self) -> int | None:
        """What a track and the disc begin with, up to the medium; None where it is not told."""
        self._skip(4)
        if not self._marked(0) and self._marked(_AHEAD):
            self._skip(_AHEAD)
        if not self._marked(0):
            raise self._corrupt("no track begins here")
        self._skip(2 * len(MARK))
        self._skip(4)
        self._skip(self._integer(1))
        self._skip(19)
        if self._integer(4) != _NEW:
            return None
        self._skip(6)
        return self._integer(2)

    def _marked(self, skip: int) -> bool:
        """Whether two marks come after `skip` bytes."""
        return self._data.startswith(2 * MARK, self._at + skip)

    def _title(self) -> str:
        """The title in the first block of CD-TEXT, with all blocks passed over."""
        title = ""
        for block in range(self._integer(4)):
            for field in range(_TEXTS):
                text = self._take(self._integer(1))
                if block == 0 and field == _TITLE:
                    title = text.partition(b"\0")[0].decode("cp1252", "replace")
        return title

    def _disc(self) -> tuple[str | None, bytes]:
        """Catalogue number and packs from the block of the disc; nothing where there is none."""
        try:
            self._tracks(old=False)
            self._lead()
            self._skip(4)
            self._skip(self._integer(1))
            self._skip(9)
            catalog, valid = self._take(13), self._integer(4)
            packs = self._take(self._integer(4))
        except (CorruptError, TruncatedError):
            return None, b""
        code = catalog.partition(b"\0")[0].decode("ascii", "replace").strip() if valid else ""
        return code or None, packs

    def _peek(self) -> int | None:
        ahead = self._data[self._at : self._at + 4]
        return int.from_bytes(ahead, "little") if len(ahead) == 4 else None

    def _integer(self, width: int) -> int:
        return int.from_bytes(self._take(width), "little")

    def _skip(self, count: int) -> None:
        self._take(count)

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise self._cut()
        self._at += count
        return taken

    def _cut(self) -> TruncatedError:
        return TruncatedError(
            "its descriptor ends inside a field",
            file=self._file,
            at=self._base + len(self._data),
            remedy="the file is damaged",
        )

    def _corrupt(self, what: str) -> CorruptError:
        return CorruptError(
            f"{what} in its descriptor",
            file=self._file,
            at=self._base + self._at,
            remedy="the file is damaged",
        )
