"""What people are told: each refusal says what was found and what to do, and nothing breaks."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

import diskimage as library
from diskimage.errors import UsageError
from tests.cli.samples import Command, document

REFUSED = [
    ("info ", "missing", "a name is empty", "name a file"),
    ("info folder", "unsupported", "is a directory", "name a file"),
    ("info /dev/null", "unsupported", "is a character device", "block device"),
    ("info disk.raw --references nowhere", "missing", "no such directory", "check the name"),
    ("convert disk.raw a.gdi", "unsupported", "gdi is not created", "diskimage formats"),
    ("info disk.raw --format vhdx", "corrupt", "vhdxfile", "leave out --format"),
    ("measure disk.raw --to ghost", "unsupported", "ghost is not created", "diskimage formats"),
    ("convert disk.raw a.qcow2 --extract audio=wav", "usage", "has no audio", "--extract"),
    ("convert disk.raw a.vdi --new-password-file disk.pw", "usage", "encrypted", "leave out"),
    ("hash disk.raw --track 1", "usage", "has no tracks", "leave out --track"),
    ("create a.qcow2 -o backing=disk.raw", "usage", "format is not known", "backing_format"),
    ("create a.iso --from-tree folder -o joliet=perhaps", "usage", "perhaps", "true or false"),
    ("create a.iso --from-tree disk.raw", "missing", "no such directory", "check the name"),
    ("create a.iso --from-tree folder --size 1M", "usage", "the size it takes", "--size"),
    ("create a.nrg --size 9T", "unsupported", "more frames", "iso or chd"),
    ("create a.mds --size 9T", "unsupported", "more sectors", "iso or chd"),
    ("create a.cso --size 9T", "limit", "index can tell", "another format"),
    ("create a.isz --size 9T", "limit", "more sectors", "another format"),
    ("create a.img.xz --size 32P", "limit", "blocks", "larger --option chunk"),
    ("resize disk.raw 8M --lossy everything", "usage", "'everything'", "data"),
    ("commit disk.raw", "unsupported", "has no backing", "make an overlay"),
    ("flatten disk.raw", "unsupported", "has no backing", "make an overlay"),
    ("map disk.raw --svg disk.pw", "exists", "already exists", "another file"),
    ("map disk.raw --bitmap b", "usage", "raw holds no bitmaps", "qcow2"),
    ("bench folder --size 0", "usage", "0 bytes", "at least one"),
    ("ls disk.raw", "unsupported", "no file system", "ISO 9660"),
    ("repair disk.raw", "usage", "either a copy", "--in-place"),
    ("extract volume.iso nowhere", "missing", "no such directory", "make it first"),
    ("extract volume.iso disk.raw", "exists", "is not a directory", "another place"),
    ("cat volume.iso:/", "usage", "is a directory", "name a file"),
]


@pytest.mark.parametrize(("line", "kind", "message", "remedy"), REFUSED)
def test_a_refusal_says_what_was_found_and_what_to_do(
    diskimage: Command, folder: Path, line: str, kind: str, message: str, remedy: str
) -> None:
    (folder / "folder").mkdir()
    (folder / "disk.pw").write_text("secret\n")
    if "volume.iso" in line:
        assert diskimage("create", "volume.iso", "--from-tree", "folder").returncode == 0
    before = sorted(folder.iterdir())
    done = diskimage(*line.split(" "))
    assert done.returncode > 1
    said, told = done.stderr.splitlines()
    assert said.startswith(f"error[{kind}]: ")
    assert message in said
    assert told.startswith("help: ")
    assert remedy in told
    assert sorted(folder.iterdir()) == before


def test_a_disk_without_a_parent_has_none_to_be_committed_into(diskimage: Command) -> None:
    assert diskimage("convert", "disk.raw", "whole.vdi").returncode == 0
    assert "has no backing" in diskimage("commit", "whole.vdi").stderr


def test_what_a_caller_asks_wrongly_is_no_fault_of_the_file(folder: Path) -> None:
    with library.open(folder / "disk.raw") as image:
        with pytest.raises(UsageError, match="from -5"):
            list(image.extents(-5, 10))
        with pytest.raises(UsageError, match="from -1"):
            image.read(-1, 5)
    with pytest.raises(UsageError, match="NoneType"):
        library.open(None)  # type: ignore[arg-type]  # what a caller without types may do
    with pytest.raises(TypeError):
        library.create(folder / "new.qcow2", 1e6)  # type: ignore[arg-type]  # the same


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_standard_stream_that_is_closed_breaks_nothing(
    dim: str, folder: Path, closed: int
) -> None:
    script = f'exec {closed}{"<" if closed == 0 else ">"}&-; exec "$@"'
    command = ["sh", "-c", script, "sh", dim, "hash", "disk.raw"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr
    assert done.returncode == (5 if closed == 1 else 0)  # digests that nobody gets are no success
    assert bool(done.stdout) == (closed != 1)


def test_a_write_to_a_closed_standard_output_is_an_error(dim: str, folder: Path) -> None:
    command = ["sh", "-c", 'exec >&-; exec "$@"', "sh", dim, "convert", "disk.raw", "-", "--to=raw"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 5
    assert b"error[io]" in done.stderr


def test_what_goes_to_a_pipe_is_the_image_alone(dim: str, folder: Path) -> None:
    command = [dim, "create", "-", "--to", "raw", "--size", "64K"]
    for more in ([], ["--json"]):
        done = subprocess.run([*command, *more], cwd=folder, capture_output=True, check=True)
        assert done.stdout == bytes(64 << 10)


def test_many_warnings_are_counted_for_people_and_listed_for_programs(
    diskimage: Command, folder: Path
) -> None:
    (folder / "striped.raw").write_bytes((b"x" * 65536 + bytes(65536)) * 40)
    assert diskimage("convert", "striped.raw", "whole.vmdk", "--sparse").returncode == 0
    content = (folder / "whole.vmdk").read_bytes()
    (folder / "cut.vmdk").write_bytes(content[: len(content) // 4])
    listed = document(diskimage("hash", "cut.vmdk", "--salvage", "--json"))["warnings"]
    assert len(listed) > 20
    told = diskimage("hash", "cut.vmdk", "--salvage").stderr.splitlines()
    assert told[-1] == f"and {len(listed) - 20} more warnings (--json lists them)"
    assert sum(line.startswith("warning[") for line in told) == 20


def test_one_is_not_many(diskimage: Command, folder: Path) -> None:
    (folder / "tree").mkdir()
    (folder / "tree" / "one.txt").write_text("1")
    assert diskimage("create", "one.iso", "--from-tree", "tree").returncode == 0
    assert "1 file, " in diskimage("tree", "one.iso").stdout
    assert diskimage("convert", "one.iso", "x.raw", "--dry-run").stdout.endswith("in 1 file\n")


def _on_a_terminal(command: list[str], folder: Path, prompt: bytes, answer: bytes) -> str:
    """What a terminal of 80 columns shows, `answer` typed where `prompt` is."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvp(command[0], command)
    shown, until = b"", time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        shown += piece
        if prompt and prompt in shown:
            os.write(terminal, answer)
            prompt = b""
    os.close(terminal)
    os.waitpid(child, 0)
    return shown.decode()


def test_a_digest_stands_on_one_line_of_a_terminal(dim: str, folder: Path) -> None:
    long = folder / ("long-" * 10 + ".raw")
    (folder / "disk.raw").rename(long)
    shown = _on_a_terminal([dim, "hash", long.name], folder, b"", b"")
    assert any(line.endswith(long.name) and "sha256  " in line for line in shown.split("\r\n"))


def test_a_password_is_asked_before_a_bar_is_drawn(dim: str, folder: Path) -> None:
    (folder / "new.pw").write_text("secret\n")
    made = [dim, "convert", "game.data", "locked.isz", "--format", "raw"]
    subprocess.run(
        [*made, "--new-password-file", "new.pw"], cwd=folder, check=True, capture_output=True
    )
    shown = _on_a_terminal([dim, "hash", "locked.isz"], folder, b"Password: ", b"secret\n")
    before, _, after = shown.partition("Password: ")
    assert before == ""
    assert "sha256  " in after
