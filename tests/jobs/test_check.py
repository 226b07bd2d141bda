"""Checks of a disc: each frame looked at once, progress told, a wish to stop heard, cuts named."""

from __future__ import annotations

import random
from pathlib import Path
from threading import Event

import pytest

import diskimage
from diskimage.engine.progress import Progress
from diskimage.errors import CancelledError
from diskimage.sources.file import FileSource
from tests.makers.cue import one, write
from tests.makers.frames import mode1
from tests.makers.iso import volume

COUNT = 1000  # frames, in three batches


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    user = volume(COUNT)
    raw = b"".join(mode1(user[2048 * lba : 2048 * lba + 2048], lba) for lba in range(COUNT))
    return write(tmp_path, one("MODE1/2352", name="A.BIN"), a_bin=raw)  # a case to warn of


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each read of a file."""
    told: list[int] = []
    read_into = FileSource.read_into

    def counted(self: FileSource, at: int, buffer: memoryview) -> int:
        told.append(len(buffer))
        return read_into(self, at, buffer)

    monkeypatch.setattr(FileSource, "read_into", counted)
    return told


@pytest.mark.parametrize("name", ["disc.cue", "a.bin"])
def test_a_disc_is_read_once(sheet: Path, reads: list[int], name: str) -> None:
    found = diskimage.check(sheet.with_name(name))
    assert not any("frame" in problem.message for problem in found.problems)
    assert COUNT * 2352 <= sum(reads) < 1.5 * COUNT * 2352
    said = [str(warning) for warning in found.warnings]
    assert len(said) == (name == "disc.cue")


def test_frames_tell_how_far_they_are(sheet: Path) -> None:
    told: list[tuple[str, int, int]] = []
    diskimage.check(sheet, progress=lambda p: told.append((p.phase, p.done, p.total)))
    frames = [(done, total) for phase, done, total in told if phase == "frames"]
    assert frames[-1] == (COUNT * 2352, COUNT * 2352)
    assert len(frames) == 4


@pytest.mark.parametrize("phase", ["structure", "frames", "file system"])
def test_a_check_stops_when_asked(sheet: Path, phase: str) -> None:
    stop = Event()

    def watch(now: Progress) -> None:
        if now.phase == phase and now.done + now.read:
            stop.set()

    with pytest.raises(CancelledError):
        diskimage.check(sheet, progress=watch, cancel=stop)


def test_a_cut_volume_is_converted_as_far_as_it_goes_and_never_called_intact(
    tmp_path: Path,
) -> None:
    whole = volume()
    cut = tmp_path / "cut.iso"
    cut.write_bytes(whole[: -4 * 2048])
    done = diskimage.convert(cut, tmp_path / "cut.cue")
    assert [warning.kind for warning in done.warnings] == ["size"]
    assert diskimage.compare(cut, tmp_path / "cut.cue").equal
    assert done.size == len(whole) - 4 * 2048
    assert "truncated" in {problem.kind for problem in diskimage.check(cut).problems}


def test_what_holds_no_volume_is_no_intact_iso(tmp_path: Path) -> None:
    path = tmp_path / "junk.iso"
    path.write_bytes(random.Random(4).randbytes(50000))
    found = diskimage.check(path)
    assert [(p.kind, p.at) for p in found.problems] == [("corrupt", 32768)]
    assert [warning.kind for warning in found.warnings] == ["volume", "size"]
    path.write_bytes(b"BEA01".rjust(6, b"\0").rjust(32768 + 6, b"\0").ljust(40960, b"\0"))
    assert diskimage.check(path).ok  # a UDF bridge's mark


def test_a_warning_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "a.vdi"
    diskimage.create(path, 1 << 20)
    with diskimage.open(path) as image:
        for _ in range(2):
            image.warn("odd", "said twice")
        assert [str(warning) for warning in diskimage.check(image).warnings] == ["odd: said twice"]
