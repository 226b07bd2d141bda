"""VHDX written in place, cut after every operation, unsynced ones dropped, small ones torn."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.formats.vhdx import FORMAT
from diskimage.sources.memory import MemorySource
from tests.crash.states import Change, foreign, logged, states, written
from tests.formats.test_vhdx_write import IMAGES, PARENT, SIZE
from tests.makers.editing import noise
from tests.makers.gate import OpenGate
from tests.makers.vhdx import MIB

TEAR = 2048  # half of a header or of a sector of the log
CHANGES: list[Change] = [
    (2 * MIB + 100, noise(300, 10)),
    (MIB - 700, noise(1300, 11)),
    None,
    (MIB + 5000, noise(600, 12)),
    (3 * MIB + 50, 700),
    (0, MIB),
    None,
    (SIZE - 10, noise(10, 13)),
]
NAMES = ["dynamic", "fixed", "differencing", "dirty log"]


def guest_of(state: bytes, parent: Path) -> bytes:
    names = {".\\b.vhdx": parent}
    with diskimage.open(state, format="vhdx", references=names) as image:
        return image.read(0, image.size)


@pytest.mark.parametrize("name", NAMES)
def test_no_crash_shows_bytes_that_were_never_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, path, parent = IMAGES[name], tmp_path / "a.vhdx", tmp_path / "b.vhdx"
    path.write_bytes(before)
    parent.write_bytes(PARENT)
    with monkeypatch.context() as patch:
        log = logged(patch, TEAR)
        guests = written(path, CHANGES, "siblings")
    assert FORMAT.check is not None
    count = 0
    for cut, state in states(before, log):
        count += 1
        assert foreign(guest_of(state, parent), guests) is None, cut
        problems = {finding.kind for finding in FORMAT.check(MemorySource(state), OpenGate())}
        assert problems <= {"corrupt", "checksum"}, (cut, problems)
        said = [f.message for f in FORMAT.check(MemorySource(state), OpenGate())]
        assert all("header is damaged" in one or "of its log" in one for one in said), (cut, said)
    assert count > 20
    whole = path.read_bytes()
    assert guest_of(whole, parent) == guests[-1]
    assert list(FORMAT.check(MemorySource(whole), OpenGate())) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_was_flushed_survives_every_crash(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, parent = tmp_path / "a.vhdx", tmp_path / "b.vhdx"
    path.write_bytes(IMAGES[name])
    parent.write_bytes(PARENT)
    written(path, CHANGES[:3], "siblings")
    with monkeypatch.context() as patch:
        log, before = logged(patch, TEAR), path.read_bytes()
        later = written(path, CHANGES[3:], "siblings")
    for cut, state in states(before, log, seed=1):
        assert foreign(guest_of(state, parent), later) is None, cut


def test_every_crash_is_carried_out_by_qemu_img(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Callable[[str], str]
) -> None:
    path, cut, raw = tmp_path / "a.vhdx", tmp_path / "cut.vhdx", tmp_path / "cut.raw"
    path.write_bytes(IMAGES["dynamic"])
    before, qemu = path.read_bytes(), peer("qemu-img")
    with monkeypatch.context() as patch:
        log = logged(patch, TEAR)
        guests = written(path, CHANGES[:4])
    replayed = 0
    for number, (done, state) in enumerate(states(before, log, seed=2)):
        if number % 4:
            continue
        cut.write_bytes(state)
        ours = guest_of(state, path)
        looked = subprocess.run([qemu, "check", "-q", cut], capture_output=True, check=False)
        if looked.returncode:
            replayed += 1
            subprocess.run([qemu, "check", "-q", "-r", "all", cut], capture_output=True, check=True)
        command = [qemu, "convert", "-f", "vhdx", "-O", "raw", str(cut), str(raw)]
        subprocess.run(command, check=True, capture_output=True)
        assert raw.read_bytes() == ours, done
        assert foreign(ours, guests) is None, done
    assert replayed
