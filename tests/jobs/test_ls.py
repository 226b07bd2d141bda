"""ls, on every container whose bytes are a file system, against isoinfo."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage.errors import MissingError, UnsupportedError, UsageError
from diskimage.filesystems.iso9660_author import author
from diskimage.image import open as open_image
from diskimage.jobs.ls import ls
from tests.makers import frames

FILES = {"readme.txt": b"hello\n", "docs/manual.txt": b"m" * 5000, "docs/a b": b""}


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disc") / "disc.iso"
    author(FILES, path)
    return path


def test_a_directory_and_a_file(disc: Path) -> None:
    root = ls(disc)
    assert [(entry.name, entry.kind) for entry in root.entries] == [
        ("docs", "dir"),
        ("readme.txt", "file"),
    ]
    assert (root.path, root.tree, root.trees[-1]) == ("/", "rock-ridge", "plain")
    (file,) = ls(disc, "/docs/manual.txt").entries
    assert (file.path, file.size, file.mode) == ("/docs/manual.txt", 5000, 0o644)
    with pytest.raises(MissingError):
        ls(disc, "/docs/absent")


def test_another_tree(disc: Path) -> None:
    assert [entry.name for entry in ls(disc, tree="plain").entries] == ["DOCS", "README.TXT"]
    with pytest.raises(UsageError):
        ls(disc, tree="udf")


def test_a_disk_without_a_file_system(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(bytes(1 << 20))
    with pytest.raises(UnsupportedError):
        ls(tmp_path / "disk.img")


def test_the_document(disc: Path) -> None:
    document = json.loads(json.dumps(ls(disc, "/docs").to_json()))
    names = {entry["name"]: entry for entry in document["entries"]}
    assert names["manual.txt"]["size"] == 5000
    assert names["manual.txt"]["mode"] == "0644"
    assert names["manual.txt"]["path"] == "/docs/manual.txt"
    assert (document["path"], document["warnings"]) == ("/docs", [])


def test_the_order_and_names_of_isoinfo(disc: Path, peer: Callable[[str], str]) -> None:
    command = [peer("isoinfo"), "-R", "-f", "-i", str(disc)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    theirs = [name for name in listed.splitlines() if name.count("/") == 1]
    assert sorted(entry.path for entry in ls(disc).entries) == sorted(theirs)


def bin_cue(disc: Path, folder: Path, mode: str) -> Path:
    """The ISO as frames, with 4 s of audio behind it."""
    user = disc.read_bytes()
    make = frames.mode1 if mode.startswith("MODE1") else frames.form1
    cooked = (user[i : i + 2048] for i in range(0, len(user), 2048))
    (folder / "a.bin").write_bytes(
        b"".join(make(sector, lba) for lba, sector in enumerate(cooked)) + bytes(2352 * 300)
    )
    start = len(user) // 2048
    at = f"{start // 75 // 60:02}:{start // 75 % 60:02}:{start % 75:02}"
    sheet = f'FILE "a.bin" BINARY\n TRACK 01 {mode}\n  INDEX 01 00:00:00\n'
    (folder / "a.cue").write_text(sheet + f" TRACK 02 AUDIO\n  INDEX 01 {at}\n", encoding="ascii")
    return folder / "a.cue"


@pytest.mark.parametrize("mode", ["MODE1/2352", "MODE2/2352"])
def test_the_files_of_a_disc_in_frames(mode: str, disc: Path, tmp_path: Path) -> None:
    with open_image(bin_cue(disc, tmp_path, mode)) as image:
        framed, plain = ls(image, "/docs"), ls(disc, "/docs")
        assert framed.entries == plain.entries
        assert image.filesystem.open("/docs/manual.txt").size == 5000


@pytest.mark.parametrize("format", ["qcow2", "vdi"])
def test_the_files_of_a_disk_image(
    format: str, disc: Path, tmp_path: Path, peer: Callable[[str], str]
) -> None:
    image = tmp_path / f"a.{format}"
    command = [peer("qemu-img"), "convert", "-f", "raw", "-O", format, str(disc), str(image)]
    subprocess.run(command, check=True, capture_output=True)
    assert ls(image, "/docs").entries == ls(disc, "/docs").entries
