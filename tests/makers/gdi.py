"""GDI sheets and the files they name, written line by line with no code of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.makers import frames
from tests.makers.iso import volume
from tests.makers.sample import Sample

HIGH = 45000


@dataclass(frozen=True)
class Row:
    """A line: the track's LBA, its control bits (4 data, 0 audio), its frames and their size."""

    lba: int
    control: int
    content: bytes
    size: int = 2352
    name: str = ""
    offset: int = 0


def gdi(rows: Sequence[Row], *, end: str = "\r\n", count: int | None = None) -> dict[str, bytes]:
    """The sheet, then the file of each track: `offset` bytes of something else, then its frames."""
    lines, files = [str(len(rows) if count is None else count)], dict[str, bytes]()
    for number, row in enumerate(rows, 1):
        suffix = "bin" if row.control & 4 else "raw"
        name = row.name or f"track{number:02}.{suffix}"
        shown = f'"{name}"' if " " in name else name
        lines.append(f"{number} {row.lba} {row.control} {row.size} {shown} {row.offset}")
        before = files.get(name, b"")
        files[name] = before.ljust(row.offset, b"?") + row.content
    return {"disc.gdi": end.join([*lines, ""]).encode()} | files


def game(size: int = 2352) -> list[Row]:
    """Low density: data, then 150 frames that no file has, then audio. High density: data, audio,
    and data again behind 225 frames that no file has."""
    user, more = volume(), b"".join(frames.sectors(12, 5))
    sound = frames.audio(20, 4)
    high, last = HIGH + 24 + 150, HIGH + 24 + 150 + 20 + 225
    return [
        Row(0, 4, stored(user, 0, size), size),
        Row(24 + 150, 0, frames.audio(10, 3)),
        Row(HIGH, 4, stored(volume(label="GAME"), HIGH, size), size),
        Row(high, 0, sound),
        Row(last, 4, stored(more, last, size), size),
    ]


def stored(user: bytes, lba: int, size: int) -> bytes:
    """User data as frames of mode 1, or as it is."""
    if size == 2048:
        return user
    parts = [user[at : at + 2048] for at in range(0, len(user), 2048)]
    return b"".join(frames.mode1(one, lba + i) for i, one in enumerate(parts))


def samples() -> list[Sample]:
    """Whole frames and cooked ones; one file for two tracks; the guest is the first data track."""
    files, user = gdi(game()), volume()
    first = stored(user, 0, 2352)
    both = [
        Row(0, 4, first, name="all tracks.bin"),
        Row(24, 0, frames.audio(5), name="all tracks.bin", offset=len(first)),
    ]
    cut = len(files["track01.bin"]) - 1
    return [
        Sample("game", files, user, len(files["disc.gdi"]), (2352 * 5 + 9, cut), "track01.bin"),
        Sample("cooked", gdi(game(2048), end="\n"), user),
        Sample("one file", gdi(both), user),
    ]
