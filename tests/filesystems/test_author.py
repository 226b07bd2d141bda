"""Images we author, read by xorriso, isoinfo and pycdlib; images others make, read by us."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pycdlib import PyCdlib

from diskimage.errors import (
    ExistsError,
    MissingError,
    UnsupportedError,
    UsageError,
)
from diskimage.filesystems import FileSystem, ImagePath, detect, problems
from diskimage.filesystems.iso9660_author import Link, author
from diskimage.sources.file import open_file
from diskimage.sources.memory import MemorySource

Peer = Callable[[str], str]

DEEP = "/".join(f"level{i}" for i in range(12))
FILES = {
    "readme.txt": b"hello\n",
    "docs/A Long File Name with spaces and ünïcödé.txt": b"x" * 5000,
    "docs/a long file name with spaces and other letters.txt": b"y",
    "docs/a long file name with spaces and other colons.txt": b"z" * 2048,
    "no-extension": b"",
    ".hidden": b"dot",
    f"{DEEP}/deep.bin": bytes(range(256)) * 9,
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    root = tmp_path / "host"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "link").symlink_to("docs/../readme.txt")
    (root / "readme.txt").chmod(0o640)
    (root / "empty directory").mkdir()
    return root


def files_of(path: Path) -> FileSystem:
    found = detect(open_file(str(path)))
    assert found is not None
    return found


def contents(files: FileSystem) -> dict[str, bytes]:
    """Files by path, without the place where deep directories were put."""
    return {
        entry.path[1:]: ImagePath(files, tuple(entry.path[1:].split("/"))).read_bytes()
        for _, entry in files.walk()
        if entry.kind == "file"
    }


def tree(root: Path) -> dict[str, str]:
    """What a peer extracted: digests of files, targets of links, directories."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[name] = "directory"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_xorriso_extracts_the_directory_again(host: Path, tmp_path: Path, peer: Peer) -> None:
    image, out = tmp_path / "a.iso", tmp_path / "out"
    author(host, image, volume_id="TEST")
    command: list[str | Path] = [
        peer("xorriso"),
        "-osirrox",
        "on",
        "-indev",
        image,
        "-extract",
        "/",
        out,
    ]
    subprocess.run(command, check=True, capture_output=True)
    theirs = tree(out)
    theirs.pop("rr_moved", None)
    assert theirs == tree(host)
    assert ((out / "readme.txt").stat().st_mode & 0o777) == 0o640


def test_isoinfo_lists_the_same_names(host: Path, tmp_path: Path, peer: Peer) -> None:
    image = tmp_path / "a.iso"
    author(host, image)
    command: list[str | Path] = [peer("isoinfo"), "-R", "-f", "-i", image]
    listed = subprocess.run(command, check=True, capture_output=True).stdout.decode()
    theirs = {name for name in listed.splitlines() if not name.startswith("/rr_moved/")}
    ours = {entry.path for _, entry in files_of(image).walk()}
    assert theirs == {name for name in ours if "/level8" not in name}  # isoinfo leaves it moved


def test_every_tree_holds_every_file(host: Path, tmp_path: Path) -> None:
    author(host, tmp_path / "a.iso", volume_id="TEST")
    files = files_of(tmp_path / "a.iso")
    assert files.trees == ("rock-ridge", "joliet", "plain")
    assert files.info["label"] == "TEST"
    assert contents(files) == FILES
    for name in ("joliet", "plain"):
        assert set(FILES.values()) <= set(contents(files.using(name)).values())
    assert list(problems(open_file(str(tmp_path / "a.iso")))) == []


def test_pycdlib_reads_the_same(host: Path, tmp_path: Path) -> None:
    author(host, tmp_path / "a.iso")
    disc = PyCdlib()
    disc.open(str(tmp_path / "a.iso"))
    for name, content in FILES.items():
        out = io.BytesIO()
        disc.get_file_from_iso_fp(out, rr_path=f"/{name}")
        assert out.getvalue() == content
    disc.close()


@pytest.mark.parametrize("options", [["-R"], ["-J"], ["-R", "-J"], ["-iso-level", "4", "-R"], []])
def test_what_genisoimage_makes(options: list[str], host: Path, tmp_path: Path, peer: Peer) -> None:
    image = tmp_path / "b.iso"
    command: list[str | Path] = [peer("genisoimage"), "-quiet", "-D", *options, "-o", image, host]
    subprocess.run(command, check=True, capture_output=True)
    files = files_of(image)
    bodies = sorted(contents(files).values())
    assert [body for body in bodies if body] == sorted(filter(None, FILES.values()))
    if "-R" in options:
        assert contents(files) == FILES
        assert files.stat("/link", follow=False).target == "docs/../readme.txt"
    assert list(problems(open_file(str(image)))) == []


@pytest.mark.parametrize("tool", ["genisoimage", "xorriso"])
def test_directories_that_lie_too_deep_are_moved_back(
    tool: str, host: Path, tmp_path: Path, peer: Peer
) -> None:
    image = tmp_path / "c.iso"
    command: list[str | Path] = [
        peer(tool),
        *(["-as", "mkisofs"] if tool == "xorriso" else []),
        "-quiet",
    ]
    subprocess.run([*command, "-R", "-o", image, host], check=True, capture_output=True)
    assert contents(files_of(image)) == FILES


@pytest.mark.parametrize(("joliet", "rock_ridge"), [(True, False), (False, True), (False, False)])
def test_trees_can_be_left_out(joliet: bool, rock_ridge: bool) -> None:
    out = io.BytesIO()
    files = {"dir/name.txt": b"text", "empty/": b""}
    author(files, out, joliet=joliet, rock_ridge=rock_ridge)
    found = detect(MemorySource(out.getvalue()))
    assert found is not None
    assert ("joliet" in found.trees, "rock-ridge" in found.trees) == (joliet, rock_ridge)
    names = [entry.path for _, entry in found.walk()]
    wanted = ["/dir", "/dir/name.txt", "/empty"]
    assert names == (wanted if joliet or rock_ridge else [name.upper() for name in wanted])


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"../up": b""}, UsageError),
        ({"": b""}, UsageError),
        ({"a": b"", "a/b": b""}, UsageError),
        ({"/".join("abcdefghijkl"): b""}, UsageError),
        ({"link": Link("a")}, UnsupportedError),
        ({"a": Path("absent")}, MissingError),
    ],
)
def test_what_cannot_be_authored(files: dict[str, bytes], error: type[Exception]) -> None:
    with pytest.raises(error):
        author(files, io.BytesIO(), joliet=False, rock_ridge=False)


def test_the_image_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.iso"
    with pytest.raises(UsageError):
        author({"/".join("abcdefghijkl"): b""}, target, joliet=False, rock_ridge=False)
    assert list(tmp_path.iterdir()) == []
    author({"a": b"1"}, target)
    with pytest.raises(ExistsError):
        author({"a": b"2"}, target)
    author({"a": b"2"}, target, overwrite=True)
    assert contents(files_of(target)) == {"a": b"2"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_fifo_cannot_be_authored(tmp_path: Path) -> None:
    import os

    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree/pipe")
    with pytest.raises(UnsupportedError):
        author(tmp_path / "tree", tmp_path / "a.iso")
    assert not (tmp_path / "a.iso").exists()
