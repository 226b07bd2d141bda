"""Paths inside an image answer as pathlib does on the same tree."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from importlib.resources import as_file
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import pytest

from diskimage.errors import LoopError, MissingError, UsageError
from diskimage.filesystems import ImagePath, detect
from diskimage.filesystems.iso9660_author import author
from diskimage.sources.memory import MemorySource

FILES = {
    "readme.txt": "first line\nsecond line: ünï\n".encode(),
    "empty": b"",
    "docs/manual.txt": b"manual",
    "docs/more/notes.md": b"notes",
    "docs/more/deep/notes.txt": b"deep",
    "data/level1.bin": bytes(range(256)) * 5000,
    "data/.hidden": b"dot",
}
LINKS = {
    "link": "readme.txt",
    "docs/up": "../readme.txt",
    "to-docs": "docs",
    "docs/more/here": ".",
    "broken": "nowhere/at/all",
    "loop-a": "loop-b",
    "loop-b": "loop-a",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("host")
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
    return root


@pytest.fixture(scope="module")
def image(host: Path) -> ImagePath:
    out = io.BytesIO()
    author(host, out)
    files = detect(MemorySource(out.getvalue()))
    assert files is not None
    return ImagePath(files)


def every(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in root.rglob("*")]


QUESTIONS: dict[str, Callable[[Any], object]] = {
    "exists": lambda p: p.exists(),
    "is_file": lambda p: p.is_file(),
    "is_dir": lambda p: p.is_dir(),
    "is_symlink": lambda p: p.is_symlink(),
    "name": lambda p: p.name,
    "stem": lambda p: p.stem,
    "suffix": lambda p: p.suffix,
    "content": lambda p: p.read_bytes() if p.is_file() else None,
    "below": lambda p: sorted(q.name for q in p.iterdir()) if p.is_dir() else None,
    "target": lambda p: str(p.readlink()) if p.is_symlink() else None,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_path_answers_as_on_the_host(question: str, host: Path, image: ImagePath) -> None:
    ask = QUESTIONS[question]
    names = [*every(host), "absent", "readme.txt/below", "to-docs/manual.txt", "docs/../empty"]
    # rglob does not go through links, and pathlib refuses loops by an error of its own
    for name in (name for name in names if "loop" not in name or question == "is_symlink"):
        assert ask(image / name) == ask(host / name), name


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "*.txt",
        "*/*.txt",
        "**/*.txt",
        "docs/**/notes.*",
        "[de]*",
        "d*/?evel[0-9].bin",
        "nothing",
    ],
)
def test_glob_finds_what_pathlib_finds(pattern: str, host: Path, image: ImagePath) -> None:
    ours = sorted(str(path)[1:] for path in image.glob(pattern))
    theirs = [path for path in host.glob(pattern) if not path.parent.is_symlink()]
    assert ours == sorted(path.relative_to(host).as_posix() for path in theirs)
    below = sorted(path.name for path in (image / "docs").glob(pattern))
    assert below == sorted(path.name for path in (host / "docs").glob(pattern))


def test_walk_goes_where_os_walk_goes(host: Path, image: ImagePath) -> None:
    def walked(steps: Iterator[Any], root: Any) -> set[tuple[str, frozenset[str], frozenset[str]]]:
        return {
            (str(here).removeprefix(str(root)).strip("/"), frozenset(below), frozenset(rest))
            for here, below, rest in steps
        }

    import os  # pathlib has walk since Python 3.12

    theirs = {
        (Path(here).relative_to(host).as_posix().removeprefix("."), below, rest)
        for here, below, rest in (
            # os.walk counts links to directories as directories
            (
                here,
                frozenset(d for d in dirs if not (Path(here) / d).is_symlink()),
                frozenset([*names, *(d for d in dirs if (Path(here) / d).is_symlink())]),
            )
            for here, dirs, names in os.walk(host)
        )
    }
    assert walked(image.walk(), "/") == theirs


def test_it_is_a_traversable(image: ImagePath) -> None:
    traversable: Traversable = image  # to the type checker too
    assert isinstance(traversable, Traversable)
    with as_file(image / "docs/manual.txt") as path:
        assert path.read_bytes() == b"manual"


def test_files_open_as_binary_and_as_text(image: ImagePath, host: Path) -> None:
    with (image / "readme.txt").open() as text:
        assert list(text) == ["first line\n", "second line: ünï\n"]
    assert (image / "readme.txt").read_text() == (host / "readme.txt").read_text("utf-8")
    name = "data/level1.bin"
    with (image / name).open("rb") as ours, (host / name).open("rb") as it:
        for offset, whence, count in [(0, 0, 10), (70000, 0, 70000), (-3, 2, 9), (-500, 1, 100)]:
            assert ours.seek(offset, whence) == it.seek(offset, whence)
            assert ours.read(count) == it.read(count)
            assert ours.tell() == it.tell()
    with pytest.raises(UsageError):
        (image / "readme.txt").open("w")


def test_links_do_not_leave_the_image(image: ImagePath) -> None:
    assert (image / "docs/up").read_bytes() == FILES["readme.txt"]
    assert (image / "docs/more/here/here/here/deep/notes.txt").read_bytes() == b"deep"
    assert (image / "../../readme.txt").is_file()
    with pytest.raises(MissingError):
        (image / "broken").read_bytes()
    with pytest.raises(LoopError):
        (image / "loop-a").stat()
    assert not (image / "loop-a").exists()


def test_errors_say_what_would_do(image: ImagePath) -> None:
    with pytest.raises(MissingError) as missing:
        (image / "README.TXT").stat()
    assert missing.value.remedy == "the name is readme.txt"
    with pytest.raises(UsageError):
        (image / "docs").read_bytes()
    with pytest.raises(MissingError):
        list((image / "readme.txt").iterdir())


def test_paths_are_values(image: ImagePath) -> None:
    assert image / "docs" / "more" == image.joinpath("docs", "more") == image / "docs/./more"
    assert (image / "docs/more").parent == image / "docs"
    assert image / "docs" / "/data" == image / "data"
    assert len({image / "a", image / "a", image / "b"}) == 2
    assert image.parent == image
    assert repr(image / "\x1b[31m") == "ImagePath('/\\x1b[31m')"
