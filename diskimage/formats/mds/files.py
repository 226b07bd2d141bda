"""The data files of tracks: opened by name, counted as one, and what their frames show."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from diskimage.disc.address import of_header
from diskimage.disc.modes import SYNC
from diskimage.errors import TruncatedError
from diskimage.formats.mds.layout import Entry, names
from diskimage.kernels.subchannel import SUB, Q, q_check, sub_pack
from diskimage.model import Gate, Mode, Piece, Source, Subchannel

_LOOKS = 3  # frames of which one tells its address: a Q in a hundred tells something else
_ADDRESS = 1  # ADR of a Q that tells it


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """Data files, one behind the other; `bounds` are the places where each begins, and the end."""

    names: tuple[str, ...]
    sources: tuple[Source, ...]
    bounds: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of all together."""
        return self.bounds[-1]

    def pieces(
        self, lba: int, frames: int, at: int, mode: Mode, pitch: int, *, sub: bool
    ) -> Iterator[Piece]:
        """The frames that begin at byte `at` of all files together, in the files that hold them.

        Raises TruncatedError for the last file where it lacks frames, and for another that ends
        inside one: files end between frames.
        """
        part = min(bisect_right(self.bounds, at), len(self.sources)) - 1
        while frames:
            source, within = self.sources[part], at - self.bounds[part]
            part += 1
            room, rest = divmod(max(0, self.bounds[part] - at), pitch)
            if frames > room and (rest or part == len(self.sources)):
                raise TruncatedError(
                    f"ends in the frame at LBA {lba + room}, {frames - room} frames of the track "
                    "early",
                    file=source.name,
                    at=source.size,
                    remedy="the file is cut short, or belongs to another descriptor",
                )
            count = min(frames, room)
            if count:
                behind = Subchannel(source, within + mode.size, pitch, "interleaved")
                yield Piece(
                    lba, count, source, within, mode, pitch=pitch, sub=behind if sub else None
                )
            lba, frames, at = lba + count, frames - count, at + count * pitch

    def tells(self, entry: Entry, at: int) -> int | None:
        """The LBA of the frame at byte `at`, as it or one of the next two tells it."""
        size = entry.row.size
        for i in range(min(_LOOKS, entry.length)):
            told = _address(self._frame(at + i * size, size), sub=entry.row.subbed)
            if told is not None:
                return told - i
        return None

    def _frame(self, at: int, size: int) -> bytes:
        if at >= self.size:
            return b""
        part = min(bisect_right(self.bounds, at), len(self.sources)) - 1
        frame = bytearray(size)
        got = self.sources[part].read_into(at - self.bounds[part], memoryview(frame))
        return bytes(frame[:got])


def _address(frame: bytes, *, sub: bool) -> int | None:
    """The LBA that a frame's header tells, else its Q."""
    if frame[: len(SYNC)] == SYNC:
        return of_header(frame[12:15].ljust(3, b"\xff"))
    if not sub or len(frame) < SUB:
        return None
    packed, wrong = bytearray(SUB), bytearray(1)
    sub_pack(frame[-SUB:], packed)
    q = packed[Q : 2 * Q]
    q_check(q, Q, wrong)
    told = any(q) and not wrong[0] and q[0] & 15 == _ADDRESS
    return of_header(q[7:10]) if told else None


def opened(entries: Sequence[Entry], source: Source, gate: Gate) -> list[Files]:
    """The data files of each track; tracks of the same files have the same value."""
    stem = source.name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]

    @cache
    def part(name: str, instead: tuple[str, ...]) -> Source:
        return gate.part(name, instead=instead)

    @cache
    def joined(files: tuple[str, ...]) -> Files:
        lone = len(files) == 1 and stem  # it may have been renamed together with its descriptor
        instead = (f"{stem}.{files[0].rpartition('.')[2]}",) if lone else ()
        sources = tuple(part(name, instead) for name in files)
        bounds = [0]
        for one in sources:
            bounds.append(bounds[-1] + one.size)
        return Files(files, sources, tuple(bounds))

    @cache
    def named(footer_at: int, count: int) -> tuple[str, ...]:
        return tuple(name.replace("*", stem, 1) for name in names(source, footer_at, count))

    return [joined(named(entry.row.footer_at, entry.row.files)) for entry in entries]
