"""What is written: whole, right, under its final name, or not there at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import wave
from functools import partial
from pathlib import Path

import pytest

import diskimage as library
from diskimage.errors import CancelledError, ChangedError, ChecksumError
from diskimage.sinks.file import FileTarget
from tests.cli.samples import AUDIO, DISK, MIB, USER, Command, document, refusal
from tests.makers.raw import make


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_cue_to_iso_drops_audio_only_by_name(diskimage: Command, folder: Path) -> None:
    told = document(diskimage("convert", "game.cue", "game.iso", "--lossy", "audio", "--json"))
    assert (folder / "game.iso").read_bytes() == USER
    assert told["files"] == ["game.iso"]
    assert (told["source_format"], told["target_format"]) == ("cue", "iso")
    assert (told["size"], told["written"]) == (len(USER), len(USER))
    assert "audio" in {loss["name"] for loss in told["dropped"]}
    assert {warning["kind"] for warning in told["warnings"]} == {"loss", "volume"}  # USER has none


def test_audio_is_written_beside_as_wave(diskimage: Command, folder: Path) -> None:
    told = document(
        diskimage("convert", "game.cue", "game.iso", "--extract", "audio=wav", "--json")
    )
    assert "audio" not in {loss["name"] for loss in told["dropped"]}
    assert told["files"] == ["game (Track 02).wav", "game.iso"]
    with wave.open(str(folder / "game (Track 02).wav")) as sound:
        shape = sound.getnchannels(), sound.getsampwidth(), sound.getframerate()
        assert shape == (2, 2, 44100)
        assert sound.readframes(sound.getnframes()) == AUDIO[150 * 2352 :]


def test_python_does_what_the_command_does(diskimage: Command, folder: Path) -> None:
    diskimage("convert", "game.cue", "command.iso", "--lossy", "audio")
    done = library.convert(folder / "game.cue", folder / "python.iso", lossy=["audio"])
    assert (folder / "python.iso").read_bytes() == (folder / "command.iso").read_bytes()
    assert done.files == (str(folder / "python.iso"),)


def test_dry_run_writes_nothing(diskimage: Command, folder: Path) -> None:
    before = names(folder)
    told = document(
        diskimage("convert", "game.cue", "game.iso", "--lossy", "audio", "--dry-run", "--json")
    )
    assert (told["dry_run"], told["written"], told["files"]) == (True, len(USER), ["game.iso"])
    cue = document(diskimage("convert", "game.cue", "made.cue", "--dry-run", "--json"))
    assert cue["files"] == ["made.bin", "made.cue"]
    assert names(folder) == before
    assert diskimage("convert", "game.cue", "game.iso", "--dry-run").returncode == 7


def test_a_bad_frame_publishes_nothing_and_names_its_lba(diskimage: Command, folder: Path) -> None:
    frames = bytearray((folder / "game-1.bin").read_bytes())
    frames[11 * 2352 + 700] ^= 0x40
    (folder / "game-1.bin").write_bytes(frames)
    before = names(folder)
    done = diskimage("convert", "game.cue", "game.iso", "--lossy", "audio", "--json")
    assert done.returncode == 4
    assert refusal(done)["kind"] == "checksum"
    assert "LBA 11" in refusal(done)["message"]
    assert names(folder) == before
    mended = document(
        diskimage("convert", "game.cue", "game.iso", "--lossy", "audio", "--repair", "--json")
    )
    assert (folder / "game.iso").read_bytes() == USER
    assert "repaired" in {warning["kind"] for warning in mended["warnings"]}


def test_copy_with_digests(diskimage: Command, folder: Path) -> None:
    content = (folder / "disk.raw").read_bytes()
    told = document(diskimage("copy", "disk.raw", "c.raw", "--hash", "md5,sha256", "--json"))
    assert told["digests"] == {
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert (told["size"], told["verified"]) == (DISK, None)
    assert (folder / "c.raw").read_bytes() == content


@pytest.mark.parametrize(
    "options",
    [
        [], ["--sparse"], ["--direct"], ["--block-size", "64K"], ["--threads", "3"], ["--verify"],
        ["--direct", "--verify", "--hash", "md5"], ["--sparse", "--hash", "sha1"], ["--no-fsync"],
        ["--direct", "--block-size", "4K", "--threads", "2"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("size", [DISK, DISK + 777, 1, 0])
def test_every_way_of_copying_copies(
    diskimage: Command, folder: Path, options: list[str], size: int
) -> None:
    with (folder / "disk.raw").open("r+b") as image:
        image.truncate(size)
        image.seek(max(0, size - 1))
        image.write(b"z" * min(1, size))
    told = document(diskimage("copy", "disk.raw", "c.raw", *options, "--json"))
    assert (folder / "c.raw").read_bytes() == (folder / "disk.raw").read_bytes()
    assert told["verified"] in (("direct", "dropped") if "--verify" in options else (None,))
    assert sorted(names(folder) - {"c.raw"}) == [
        "disk.raw", "game-1.bin", "game-2.bin", "game.cue", "game.data",
    ]  # fmt: skip


def test_written_zeros_become_holes_only_with_sparse(diskimage: Command, folder: Path) -> None:
    (folder / "zeros.raw").write_bytes(b"x" * 4096 + bytes(2 * MIB))
    diskimage("copy", "zeros.raw", "as-is.raw")
    diskimage("copy", "zeros.raw", "sparse.raw", "--sparse")
    assert (folder / "sparse.raw").read_bytes() == (folder / "zeros.raw").read_bytes()
    taken = [(folder / name).stat().st_blocks * 512 for name in ("as-is.raw", "sparse.raw")]
    assert taken[0] >= 2 * MIB
    assert taken[1] < MIB


def test_pipes_at_both_ends(dim: str, folder: Path) -> None:
    content = (folder / "disk.raw").read_bytes()
    line = f"'{dim}' copy disk.raw - | '{dim}' copy - out.raw --hash sha256 --verify --json"
    done = subprocess.run(line, shell=True, cwd=folder, capture_output=True, check=True, text=True)
    told = json.loads(done.stdout)
    assert (folder / "out.raw").read_bytes() == content
    assert told["digests"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert told["size"] == DISK


def test_convert_to_a_pipe(dim: str, folder: Path) -> None:
    command = [dim, "convert", "game.cue", "-", "--to", "iso", "--lossy", "audio"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    assert done.stdout == USER


def test_a_reader_that_goes_away_is_no_noise(dim: str, folder: Path) -> None:
    make(folder / "big.raw", 8 * MIB, {0: b"q" * (8 * MIB)})
    for verb in ("copy big.raw -", "hash big.raw --block-size 512"):
        line = f"'{dim}' {verb} | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True,
                              check=True)  # fmt: skip
        assert done.stderr == ""
        assert done.stdout.strip() == "141"


def test_progress_as_lines(diskimage: Command) -> None:
    done = diskimage("copy", "disk.raw", "c.raw", "--hash", "md5", "--progress", "json")
    lines = [json.loads(line)["progress"] for line in done.stderr.splitlines()]
    assert lines[0] == {"phase": "copy", "done": 0, "total": DISK, "read": 0, "written": 0}
    assert lines[-1]["done"] == DISK
    assert [line["done"] for line in lines] == sorted(line["done"] for line in lines)
    assert diskimage("copy", "disk.raw", "d.raw", "--hash", "md5").stderr == ""


@pytest.mark.parametrize("target", ["c.raw", "c.qcow2", "c.vdi", "c.cue"])
def test_a_file_size_limit_at_every_step_publishes_nothing(
    dim: str, folder: Path, target: str
) -> None:
    make(folder / "full.raw", 512 * 1024, {0: random.Random(1).randbytes(512 * 1024)})
    before = names(folder)
    for limit in range(0, 512 * 1024, 64 * 1024):
        verb = "copy" if target == "c.raw" else "convert"
        done = subprocess.run(
            [dim, verb, "full.raw", target, "--json"], cwd=folder, capture_output=True, text=True,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)),
            check=False,
        )  # fmt: skip
        assert done.returncode == 6, done.stderr
        assert refusal(done)["kind"] == "no-space"
        assert names(folder) == before


def test_a_full_medium_publishes_nothing(dim: str, folder: Path) -> None:
    make(folder / "full.raw", 2 * MIB, {0: random.Random(2).randbytes(2 * MIB)})
    place = folder / "small"
    place.mkdir()
    script = (
        "mount -t tmpfs -o size=1M none small || exit 99\n"
        f"for t in c.raw c.qcow2 c.vdi; do v=convert; [ $t = c.raw ] && v=copy\n"
        f"'{dim}' $v full.raw small/$t --json; echo $?; ls -A small; done"
    )
    command = ["unshare", "-m", "sh", "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("needs root: a tmpfs of 1 MiB in a mount namespace of its own")
    assert done.stdout.split() == ["6", "6", "6"], done.stderr
    kinds = [json.loads(line)["error"]["kind"] for line in done.stderr.splitlines()]
    assert kinds == ["no-space"] * 3


def started(dim: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A copy that takes long: its source is a pipe that stays open.

    SIGINT means what it does on a terminal, even where a shell ignores it in the background.
    """
    command = ["env", "--default-signal=INT", dim, *arguments]
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def under_way(folder: Path, child: subprocess.Popen[str]) -> None:
    """Wait until the child has a temporary file."""
    while not any(name.endswith(".part") for name in names(folder)):
        assert child.poll() is None, child.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_copy_leaves_nothing(dim: str, folder: Path, number: signal.Signals) -> None:
    before = names(folder)
    child = started(dim, folder, "copy", "-", "c.raw", "--json")
    assert child.stdin is not None
    child.stdin.write("x" * (3 * MIB))
    child.stdin.flush()
    under_way(folder, child)
    child.send_signal(number)
    _, errors = child.communicate()
    assert child.returncode == 130
    assert json.loads(errors.splitlines()[-1])["error"]["kind"] == "cancelled"
    assert names(folder) == before


def test_a_picture_that_finds_no_room_leaves_nothing(dim: str, folder: Path) -> None:
    before = names(folder)
    command = f"ulimit -f 0; exec {dim} map disk.raw --svg map.svg"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert done.stderr.startswith("error[no-space]: map.svg")
    assert names(folder) == before
    subprocess.run([dim, "map", "disk.raw", "--svg", "map.svg"], cwd=folder, check=True)
    assert (folder / "map.svg").read_text().rstrip().endswith("</svg>")


def test_a_killed_convert_publishes_all_or_nothing(dim: str, folder: Path) -> None:
    make(folder / "big.raw", 48 * MIB, {0: random.Random(3).randbytes(48 * MIB)})
    clean = [dim, "convert", "big.raw", "whole.qcow2", "-o", "compression=zlib"]
    began = time.monotonic()
    subprocess.run(clean, cwd=folder, capture_output=True, check=True)
    whole, dice = time.monotonic() - began, random.Random(4)
    wanted = (folder / "whole.qcow2").stat().st_size
    for _ in range(8):
        child = started(dim, folder, "convert", "big.raw", "c.qcow2", "-o", "compression=zlib")
        time.sleep(dice.random() * whole)
        child.kill()
        child.communicate()
        if (folder / "c.qcow2").exists():
            assert (folder / "c.qcow2").stat().st_size == wanted
            (folder / "c.qcow2").unlink()
        for name in names(folder):
            assert name.endswith(".part") or not name.startswith(".")
            if name.endswith(".part"):
                (folder / name).unlink()


def test_a_source_that_changes_is_not_published(folder: Path) -> None:
    source, before = folder / "disk.raw", names(folder)

    def touch(_: object) -> None:
        os.utime(source, ns=(1, 1))

    for job in (library.copy, library.convert):
        os.utime(source)
        with pytest.raises(ChangedError):
            job(source, folder / "c.raw", progress=touch)
        assert names(folder) == before


def test_cancel_from_another_thread(folder: Path) -> None:
    before, stop = names(folder), threading.Event()
    with pytest.raises(CancelledError):
        library.copy(
            folder / "disk.raw", folder / "c.raw", hashes=["md5"], cancel=stop,
            progress=lambda progress: stop.set() if progress.done else None,
        )  # fmt: skip
    assert names(folder) == before


@pytest.mark.parametrize("piped", [False, True])
def test_verify_finds_what_did_not_reach_the_medium(
    folder: Path, monkeypatch: pytest.MonkeyPatch, piped: bool
) -> None:
    """One byte of the target changes between the write and the reading back."""
    sync = FileTarget.sync

    def damaged(target: FileTarget) -> None:
        target.write(600, memoryview(b"?"))
        sync(target)

    monkeypatch.setattr(FileTarget, "sync", damaged)
    before = names(folder)
    with (folder / "game.data").open("rb") as source:
        if piped:
            monkeypatch.setattr(sys, "stdin", source)
        with pytest.raises(ChecksumError, match="not what was written") as caught:
            library.copy("-" if piped else folder / "game.data", folder / "c.raw", verify=True)
    assert caught.value.at == (None if piped else 512)
    assert names(folder) == before


def test_overwrite_replaces_whole(diskimage: Command, folder: Path) -> None:
    (folder / "old.raw").write_bytes(b"old" * 5000)
    assert refusal(diskimage("copy", "disk.raw", "old.raw", "--json"))["kind"] == "exists"
    assert (folder / "old.raw").read_bytes() == b"old" * 5000
    diskimage("copy", "disk.raw", "old.raw", "--overwrite")
    assert (folder / "old.raw").read_bytes() == (folder / "disk.raw").read_bytes()


@pytest.mark.parametrize("verb", ["copy", "convert"])
def test_what_is_no_regular_file_is_never_replaced(
    diskimage: Command, folder: Path, verb: str
) -> None:
    os.mkfifo(folder / "pipe.raw")
    (folder / "link.raw").symlink_to("/dev/null")
    for name in ("pipe.raw", "link.raw"):
        done = diskimage(verb, "disk.raw", name, "--overwrite", "--json")
        assert (done.returncode, refusal(done)["kind"]) == (2, "usage")
    assert (folder / "pipe.raw").is_fifo()
    assert (folder / "link.raw").is_char_device()


def test_an_error_of_the_system_keeps_its_number(folder: Path) -> None:
    with pytest.raises(library.DiskImageError) as caught:
        library.copy(folder / "absent", folder / "c.raw")
    assert caught.value.errno == errno.ENOENT


def test_without_the_extra_the_command_says_how_to_get_it(folder: Path) -> None:
    script = (
        "import sys; sys.modules['click'] = None; sys.argv = ['diskimage', 'info', 'x', '--json']\n"
        "from diskimage.cli import main\nmain()"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert refusal(done)["kind"] == "usage"
    assert "pip install" in refusal(done)["remedy"]
