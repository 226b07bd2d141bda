"""VHDX written in place, cut after every operation, unsynced ones dropped, small ones torn."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import diskimage
from diskimage.formats.vhdx import FORMAT
from diskimage.sources.memory import MemorySource
from tests.crash.states import Change, foreign, logged, states, written
from tests.makers.alone import noise
from tests.makers.gate import OpenGate
from tests.makers.vhdx import BAT_AT, CONTENT, FIRST, LOG, MIB, header, log_entry, vhdx

TEAR = 4096  # a header, a sector of the log
SIZE = 2 * MIB + 8192
PARENT = vhdx(SIZE, {n: (n, noise(MIB, 30 + n)) for n in (0, 1)})
TABLE = struct.pack("<3Q", FIRST + MIB | 6, 0, FIRST | 6).ljust(4096, b"\0")
CHILD: dict[str, Any] = {
    "flags": 2, "parent": {"parent_linkage": "{" + CONTENT + "}", "relative_path": ".\\b.vhdx"},
    "headers": (header(1, content=LOG), header(2, content=LOG)),
}  # fmt: skip
IMAGES = {
    "dynamic": vhdx(SIZE, {1: (0, noise(MIB))}, states={2: 2}),
    "fixed": vhdx(SIZE, {n: (n, noise(MIB, n)) for n in range(3)}, flags=1),
    "differencing": vhdx(
        SIZE, {0: (0, noise(MIB, 5))}, states={0: 7, 2: 2}, bitmaps={0: (1, [5, 6, 2047])}, **CHILD
    ),
    "first difference": vhdx(SIZE, {}, **CHILD),
    "dirty log": vhdx(
        SIZE, {0: (0, noise(MIB, 8)), 2: (1, noise(8192, 9))}, states={0: 0, 2: 0},
        headers=(header(7), header(8, log=LOG)),
        log=log_entry(5, [(BAT_AT, TABLE)], flushed=6 * MIB, last=7 * MIB),
    ),
}  # fmt: skip
CHANGES: list[Change] = [
    (MIB - 700, noise(1300, 11)),
    None,
    (2 * MIB + 50, 700),
    (MIB, MIB),
    (5000, noise(600, 12)),
    None,
    (SIZE - 10, noise(10, 13)),
]


def guest_of(state: bytes, parent: Path) -> bytes:
    names = {".\\b.vhdx": parent}
    with diskimage.open(state, format="vhdx", references=names) as image:
        return image.read(0, image.size)


@pytest.mark.parametrize("name", IMAGES)
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
        said = [f.message for f in FORMAT.check(MemorySource(state), OpenGate())]
        assert all("header is damaged" in one or "of its log" in one for one in said), (cut, said)
    assert count > 10
    whole = path.read_bytes()
    assert guest_of(whole, parent) == guests[-1]
    assert list(FORMAT.check(MemorySource(whole), OpenGate())) == []


@pytest.mark.parametrize("name", IMAGES)
def test_what_was_flushed_survives_every_crash(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, parent = tmp_path / "a.vhdx", tmp_path / "b.vhdx"
    path.write_bytes(IMAGES[name])
    parent.write_bytes(PARENT)
    written(path, CHANGES[:2], "siblings")
    with monkeypatch.context() as patch:
        log, before = logged(patch, TEAR), path.read_bytes()
        later = written(path, CHANGES[2:], "siblings")
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
        guests = written(path, CHANGES[:6])
    replayed = 0
    for done, state in states(before, log, seed=2):
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
