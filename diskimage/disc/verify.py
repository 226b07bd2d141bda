"""What is wrong with the stored frames of a disc: sync, header, subheader, EDC and ECC of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Protocol, runtime_checkable

from diskimage.disc import cdtext, subchannel
from diskimage.disc.address import of_header, times
from diskimage.disc.modes import coded, number, whole
from diskimage.disc.tracks import between
from diskimage.errors import ContentError, TruncatedError
from diskimage.kernels.frames import Wrong, check, gather
from diskimage.model import Disc, Finding, Piece, Track

BATCH = 446  # frames of one kernel call: 1 MiB
_ADDRESS = 12  # where a frame's header is
_CODES = int(Wrong.EDC | Wrong.P | Wrong.Q)
_SAID = (
    (Wrong.SYNC, "corrupt", "no sync pattern"),
    (Wrong.MODE, "corrupt", "the header names another mode"),
    (Wrong.SUBHEADER, "corrupt", "the two copies of the subheader differ"),
    (Wrong.EDC, "checksum", "EDC does not match the content"),
    (Wrong.P, "checksum", "ECC P does not match the content"),
    (Wrong.Q, "checksum", "ECC Q does not match the content"),
)

Fault = tuple[int, str, str]  # LBA, kind, what


@runtime_checkable
class Provable(Protocol):
    """A source that is decoded, and held to a sum of the whole where it tells one."""

    @property
    def size(self) -> int: ...
    def prove(self, passed: Callable[[int], object]) -> None:
        """Read all of it; `passed` is told the bytes of each step. Raises ContentError."""
        ...


def problems(disc: Disc, passed: Callable[[int], object] = int) -> Iterator[Finding]:
    """What is wrong with data tracks from index 1 on, with stored Q, with CD-TEXT, with files that
    are decoded; neighbours with one fault are one finding.

    `at` is the LBA of the first of them. `passed` is told the bytes of each batch that was read,
    of `weight(disc)` in all. Memory is bounded by one batch of 1 MiB. Raises IoError, and what
    `passed` raises.
    """
    for track in disc.tracks:
        try:
            yield from _grouped(fault for p in _checked(track) for fault in _faults(p, passed))
        except ContentError as error:
            yield Finding(error.kind, str(error), error.at)
    yield from _grouped(subchannel.faults(disc, passed))
    yield from cdtext.problems(disc.cdtext)
    for source in _provable(disc):
        try:
            source.prove(passed)
        except ContentError as error:
            yield Finding(error.kind, str(error), error.at)


def weight(disc: Disc) -> int:
    """Stored bytes of the frames that `problems` looks at."""
    frames = sum(p.frames * p.pitch for track in disc.tracks for p in _checked(track))
    return frames + subchannel.weight(disc) + sum(one.size for one in _provable(disc))


def _provable(disc: Disc) -> list[Provable]:
    """The files of the disc that are decoded, each once."""
    sources: list[object] = [piece.source for track in disc.tracks for piece in track.pieces]
    return list({id(one): one for one in sources if isinstance(one, Provable)}.values())


def _checked(track: Track) -> Iterator[Piece]:
    """What of a track is stored and has rules to hold: index 1 may lie inside a piece."""
    if track.mode.check == "none":
        return
    for piece in between(track.pieces, track.lba, track.lba + track.length):
        if piece.source is not None:
            yield piece


def _faults(piece: Piece, passed: Callable[[int], object]) -> Iterator[Fault]:
    """The faults of a piece, frame after frame."""
    source, mode, pitch = piece.source, piece.mode, piece.pitch
    assert source is not None
    for done in range(0, piece.frames, BATCH):
        count, lba = min(BATCH, piece.frames - done), piece.lba + done
        raw = memoryview(bytearray((count - 1) * pitch + mode.size))
        at = piece.at + done * pitch
        got = source.read_into(at, raw)
        if got != len(raw):
            raise TruncatedError(
                f"frame LBA {lba + got // pitch} is cut short by the end of the file",
                file=source.name,
                at=at + got,
                remedy="the file became shorter while it was read",
            )
        passed(len(raw))
        yield from _batch(raw, piece, lba, count)


def _batch(raw: memoryview, piece: Piece, lba: int, count: int) -> Iterator[Fault]:
    """The faults of `count` frames from `lba` on. Sound ones cost no work in Python."""
    mode, pitch, status = piece.mode, piece.pitch, bytearray(count)
    check(raw, pitch, mode.missing, number(mode), status)
    wanted = 0xFF & ~int(Wrong.FORM2)
    addresses, expected = bytearray(3 * count), bytearray()
    if whole(mode):
        gather(raw, pitch, _ADDRESS, 3, addresses)
        expected = times(lba, count)
    if not any(status.translate(_masks(wanted))) and expected in (b"", addresses):
        return
    for i in range(count):
        if status[i] & _CODES and not coded(raw[i * pitch : i * pitch + mode.size], mode):
            status[i] &= 0xFF & ~_CODES
        for bit, kind, what in _SAID:
            if status[i] & wanted & bit:
                yield lba + i, kind, what
        here = slice(3 * i, 3 * i + 3)
        if expected and addresses[here] != expected[here] and not status[i] & Wrong.SYNC:
            yield lba + i, "corrupt", _elsewhere(addresses[here], lba + i)


def _elsewhere(header: bytearray, lba: int) -> str:
    told = of_header(header)
    if told is None:
        return "the header holds no address"
    return f"the header's address is {told - lba:+d} frames off"


@cache
def _masks(wanted: int) -> bytes:
    """A translation that keeps the wanted bits."""
    return bytes(value & wanted for value in range(256))


def _grouped(faults: Iterable[Fault]) -> Iterator[Finding]:
    """Faults of the same kind in neighbouring frames as one finding."""
    open_runs: dict[str, tuple[str, int, int]] = {}  # what: kind, first and last LBA
    for lba, kind, what in faults:
        for old in [name for name, run in open_runs.items() if run[2] < lba - 1]:
            yield _finding(old, *open_runs.pop(old))
        first = open_runs[what][1] if what in open_runs else lba
        open_runs[what] = (kind, first, lba)
    for what, run in open_runs.items():
        yield _finding(what, *run)


def _finding(what: str, kind: str, first: int, last: int) -> Finding:
    where = f"frame LBA {first}" if first == last else f"frames LBA {first} to {last}"
    return Finding(kind, f"{where}: {what}", first)
