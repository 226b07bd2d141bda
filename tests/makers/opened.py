"""What an opened disc gives, read with no engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from diskimage import image
from diskimage.disc.subchannel import converted, stored
from diskimage.model import Barrier, Copy, Disc, Piece, Plan, Put, Size, Track
from tests.makers import naive
from tests.makers.executor import step


def disc(path: Path) -> Disc:
    opened = image.open(path)
    assert opened.disc is not None
    return opened.disc


def kinds(path: Path) -> list[str]:
    with image.open(path) as opened:
        return [warning.kind for warning in opened.warnings]


def said(path: Path) -> str:
    with image.open(path) as opened:
        return "\n".join(map(str, opened.warnings))


def main(track: Track) -> bytes:
    assert track.main is not None
    return naive.read(track.main)


def user(found: Disc) -> bytes:
    assert found.data is not None
    return naive.read(found.data)


def outputs(plan: Plan) -> dict[str, bytes]:
    """Every output of a plan, carried out with no engine; "" is the main one."""
    files: dict[str, bytearray] = {}
    for one in plan:
        assert isinstance(one, Barrier | Copy | Put | Size)
        if isinstance(one, Barrier):
            continue
        step(one, files.setdefault(one.file, bytearray()))
    return {name: bytes(content) for name, content in files.items()}


def publish(plan: Plan, folder: Path, name: str) -> Path:
    """The outputs of a plan as files; the main one is `name`."""
    folder.mkdir(exist_ok=True)
    for file, content in outputs(plan).items():
        (folder / (file or name)).write_bytes(content)
    return folder / name


def files_in(folder: Path, files: Mapping[str, bytes]) -> Path:
    """`files` written to `folder`; the path of the first."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def stored_frames(track: Track) -> bytes:
    """All frames of a track that are stored, pregap and all."""
    return b"".join(_bytes(piece) for piece in track.pieces)


def _bytes(piece: Piece) -> bytes:
    assert piece.source is not None
    assert piece.pitch == piece.mode.size
    out = bytearray(piece.frames * piece.mode.size)
    assert piece.source.read_into(piece.at, memoryview(out)) == len(out)
    return bytes(out)


def stored_subs(track: Track) -> bytes:
    """The subchannel of all its frames, packed."""
    (piece,) = track.pieces
    assert piece.sub is not None
    return bytes(stored(converted(piece.sub, piece.frames, "packed"), 0, piece.frames))
