"""What an opened disc gives, read with no engine."""

from __future__ import annotations

from pathlib import Path

from diskimage import image
from diskimage.model import Disc, Track
from tests.makers import naive


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
