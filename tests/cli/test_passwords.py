"""Where the command takes passwords from: a file, the environment, a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
from pathlib import Path

import pytest

from tests.bounded import Run
from tests.makers import luks, mdx
from tests.makers.iso import volume
from tests.makers.opened import files_in

pytest.importorskip("cryptography", reason="needs the extra `crypto`")


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    shape = mdx.Shape(sealed=True, password="sesame")
    return files_in(tmp_path / "sealed", mdx.files([[mdx.cooked(volume())]], shape))


def on_a_terminal(command: list[str], answers: bytes) -> tuple[int, str]:
    """Run `command` on a terminal of its own; its status and all that was shown."""
    terminal, theirs = pty.openpty()
    child = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - it is asked, not its pipes
    )  # fmt: skip
    os.close(theirs)
    shown, answered = b"", False
    waiting = select.poll()  # whatever the descriptor's number
    waiting.register(terminal, select.POLLIN)
    while waiting.poll(60_000):
        try:
            more = os.read(terminal, 4096)
        except OSError:  # the child has closed it
            break
        shown += more
        if not more:
            break
        if b"Password:" in shown and not answered:
            os.write(terminal, answers)
            answered = True
    os.close(terminal)
    return child.wait(), shown.decode()


@pytest.mark.parametrize(("answer", "status"), [(b"sesame\n", 0), (b"wrong\n", 7), (b"\x04", 7)])
def test_a_terminal_is_asked(
    sealed: Path, dim: str, answer: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISKIMAGE_PASSWORD", raising=False)
    got, shown = on_a_terminal([dim, "hash", str(sealed), "-a", "md5"], answer)
    assert got == status, shown
    assert "sesame" not in shown
    assert ("error[password]" in shown) == bool(status)


def test_an_image_without_one_asks_nobody(dim: str, tmp_path: Path) -> None:
    path = files_in(tmp_path / "clear", mdx.files([[mdx.cooked(volume())]], mdx.Shape()))
    got, shown = on_a_terminal([dim, "info", str(path)], b"")
    assert got == 0
    assert "Password" not in shown


def test_the_first_line_of_a_file_is_it(sealed: Path, dim: str, run: Run, tmp_path: Path) -> None:
    key = tmp_path / "key"
    for content, status in (
        (b"sesame\r\nmore\n", 0),
        (b"sesame", 0),
        (b"other\n", 7),
        (b"\xff", 2),
    ):
        key.write_bytes(content)
        done = run([dim, "hash", sealed, "-a", "md5", "--password-file", key])
        assert done.returncode == status, done.stderr
    absent = run([dim, "hash", sealed, "--password-file", tmp_path / "absent"])
    assert absent.returncode == 4
    assert "missing" in absent.stderr


def test_without_any_the_error_says_how(sealed: Path, dim: str, run: Run) -> None:
    done = run([dim, "hash", sealed, "-a", "md5"], env={"DISKIMAGE_PASSWORD": ""})
    assert done.returncode == 7
    done = run(["env", "-u", "DISKIMAGE_PASSWORD", dim, "hash", sealed, "-a", "md5"])
    assert done.returncode == 7
    assert "--password-file" in done.stderr


@pytest.mark.parametrize(("verb", "asked"), [("info", False), ("map", False), ("hash", True)])
def test_who_describes_is_not_asked_where_it_need_not_be(
    verb: str, asked: bool, tmp_path: Path, dim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISKIMAGE_PASSWORD", raising=False)
    (volume,) = luks.samples()[:1]
    got, shown = on_a_terminal(
        [dim, verb, str(volume.write(tmp_path))], luks.PASSWORD.encode() + b"\n"
    )
    assert got == 0, shown
    assert ("Password:" in shown) == asked


def test_who_describes_is_asked_where_nothing_is_told_without(
    sealed: Path, dim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISKIMAGE_PASSWORD", raising=False)
    got, shown = on_a_terminal([dim, "info", str(sealed)], b"sesame\n")
    assert got == 0, shown
    assert "Password:" in shown
