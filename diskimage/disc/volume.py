"""What a volume says of its own size, held against what there is of it.

ECMA-119 8.4.8 (volume space size) and 8.4.12 (logical block size); ECMA-167 for the other marks.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.disc.content import VOLUME
from diskimage.disc.modes import USER
from diskimage.model import Disc, Gate, Source, Track

FIRST = 16  # the sector of the first volume descriptor
PADDING = 150  # sectors that writers add after the volume, so that drives can read ahead
_PRIMARY, _END = 1, 255


def present(source: Source) -> bool:
    """Whether sector 16 of the user data in `source` is a volume descriptor, ISO 9660 or UDF."""
    mark = bytearray(6)
    got = source.read_into(FIRST * USER, memoryview(mark)) if source.size > FIRST * USER else 0
    return got == len(mark) and bytes(mark[1:]) in VOLUME


def weigh(claimed: int, size: int, gate: Gate, at: int, what: str = "file") -> None:
    """Warn where a volume of `claimed` bytes is not what `what` of `size` bytes holds."""
    if claimed > size:
        gate.warn("size", f"the volume has {claimed} bytes, the {what} {size}", at)
    elif size - claimed > PADDING * USER:
        more = size - claimed
        gate.warn("size", f"{more} bytes follow the volume, more than padding", claimed)


def weigh_disc(disc: Disc, gate: Gate) -> None:
    """The same for the data track of `disc`: one that was cut between frames shows it here alone.

    A track that is not the disc's beginning is left alone: writers differ in whether its volume
    counts from there or from LBA 0.
    """
    number = disc.data.info.get("track") if disc.data is not None else None
    for track in disc.tracks:
        if track.number == number and track.lba <= 0:
            claimed = _claimed(track, gate.limits.volume_descriptors)
            if claimed is not None:
                stop = track.lba + track.length
                weigh(claimed, track.length * USER, gate, stop, f"data of track {number}")


def _claimed(track: Track, most: int) -> int | None:
    """Bytes of the volume by its primary descriptor; None without one."""
    for sector in _sectors(track, most):
        if sector[1:6] != b"CD001" or sector[0] == _END:
            break
        if sector[0] == _PRIMARY:
            block = int.from_bytes(sector[128:130], "little")
            return int.from_bytes(sector[80:84], "little") * block
    return None


def _sectors(track: Track, most: int) -> Iterator[bytearray]:
    """User data of the frames from sector 16 on, unchecked: what is odd in them is told later."""
    for lba in range(track.lba + FIRST, track.lba + FIRST + most):
        for piece in track.pieces:
            if piece.source is not None and piece.lba <= lba < piece.lba + piece.frames:
                sector = bytearray(USER)
                at = piece.at + (lba - piece.lba) * piece.pitch + piece.mode.user_at
                piece.source.read_into(at, memoryview(sector))
                yield sector
