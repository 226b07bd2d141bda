"""Tables of contents and their files on disk, written as text and bytes, with no code of ours."""

from __future__ import annotations

from pathlib import Path

from tests.makers import frames
from tests.makers.iso import volume
from tests.makers.sample import Sample


def write(folder: Path, table: str | bytes, name: str = "disc.toc", **files: bytes) -> Path:
    """The table, and each of `files` (`a_bin` is a.bin) beside it; the table's path."""
    for key, content in files.items():
        (folder / key.replace("_", ".")).write_bytes(content)
    path = folder / name
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    return path


def big(samples: bytes) -> bytes:
    """Little-endian words as bare files of a table hold them: big-endian."""
    turned = bytearray(samples)
    turned[0::2], turned[1::2] = samples[1::2], samples[0::2]
    return bytes(turned)


def one(mode: str, rest: str = 'DATAFILE "a.bin"', kind: str = "CD_ROM") -> str:
    """A table of one track."""
    return f"{kind}\n\nTRACK {mode}\n{rest}\n"


def samples() -> list[Sample]:
    """One track of mode 1; a data track and audio in one file; cooked sectors; subchannel."""
    user = volume()
    count = len(user) // 2048
    data = [frames.mode1(user[i * 2048 : (i + 1) * 2048], i) for i in range(count)]
    sound = big(bytes(range(256)) * 147)  # 16 frames
    raw = b"".join(data)
    mixed = one("MODE1_RAW", f'DATAFILE "a.bin" 00:00:{count:02}') + (
        f'TRACK AUDIO\nSILENCE 00:02:00\nSTART\nFILE "a.bin" #{len(raw)} 0\n'
    )
    plain = one("MODE1_RAW").encode()
    woven = b"".join(frame + bytes(range(96)) for frame in data)
    return [
        Sample("one", {"a.toc": plain, "a.bin": raw}, user, len(plain), (2352 * 5 + 9,), "a.bin"),
        Sample("mixed", {"a.toc": mixed.encode(), "a.bin": raw + sound}, user),
        Sample("cooked", {"a.toc": one("MODE1").encode(), "a.bin": user}, user),
        Sample("woven", {"a.toc": one("MODE1_RAW RW_RAW").encode(), "a.bin": woven}, user),
        Sample("called", {"a.cue": plain, "a.bin": raw}, user),
    ]
