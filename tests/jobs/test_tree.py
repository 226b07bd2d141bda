"""tree: everything below a directory, once, whatever the names hold."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from diskimage.errors import LimitError, MissingError
from diskimage.filesystems.iso9660_author import Content, Link, author
from diskimage.image import open as open_image
from diskimage.jobs.tree import tree
from diskimage.limits import Limits
from tests.makers.isotree import ER, SP, Dir, File, nm, px, volume

FILES: dict[str, Content] = {
    "readme.txt": b"hello\n",
    "docs/manual.txt": b"m" * 5000,
    "docs/more/notes": b"",
    "docs/more/link": Link("notes"),
}


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disc") / "disc.iso"
    author(FILES, path)
    return path


def test_everything_below(disc: Path) -> None:
    found = tree(disc)
    assert [(depth, entry.path) for depth, entry in found.entries] == [
        (1, "/docs"),
        (2, "/docs/manual.txt"),
        (2, "/docs/more"),
        (3, "/docs/more/link"),
        (3, "/docs/more/notes"),
        (1, "/readme.txt"),
    ]
    assert (found.files, found.bytes) == (4, 5006)
    assert [entry.name for _, entry in tree(disc, "/docs/more").entries] == ["link", "notes"]
    with pytest.raises(MissingError):
        tree(disc, "/readme.txt")


def test_no_name_reaches_the_document_unescaped() -> None:
    name = "\x1b[31mred\x07\u202etxt.exe\x7f".encode()
    dot = SP + b"\0" + px(stat.S_IFDIR | 0o755) + ER
    root = Dir({"A.;1": File(b"x", system=px(stat.S_IFREG | 0o644) + nm(name))}, dot=dot)
    document = tree(volume(root)).to_json()
    printed = json.dumps(document).replace("\x7f", "\\u007f")
    assert printed.isprintable()
    assert printed.isascii()
    assert json.loads(printed)["entries"][0]["name"].encode() == name


def test_limits_are_those_of_the_image(disc: Path) -> None:
    with open_image(disc, limits=Limits(directory_depth=2)) as image, pytest.raises(LimitError):
        tree(image)
