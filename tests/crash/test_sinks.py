"""A target that fails at its n-th operation, for every n and every writer: nothing is published."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import registry
from diskimage.disc.framing import taken
from diskimage.engine.copy import Work
from diskimage.engine.read import source as device_source
from diskimage.engine.run import run
from diskimage.errors import DiskImageError, ExistsError, IoError, NoSpaceError
from diskimage.model import Extent, Kind, Plan
from diskimage.sinks.file import FileSink, FileTarget
from diskimage.sinks.memory import MemorySink
from diskimage.sources.memory import MemorySource
from tests.makers.naive import Rows

WRITERS = [r for r in map(registry.named, ("raw", "iso", "cue", "vdi", "qcow2")) if r.create]
CONTENT = MemorySource(bytes(range(1, 256)) * 2048)
GUEST = Rows([
    Extent(0, 300 * 1024, Kind.DATA, source=CONTENT),
    Extent(300 * 1024, 1 << 20, Kind.ZERO, hole=True),
    Extent((1 << 20) + 300 * 1024, 20480, Kind.DATA, source=CONTENT, at=999),
])  # fmt: skip


class Failing:
    """Counts what is done to targets, and fails from the n-th operation on."""

    def __init__(self, at: int, code: int) -> None:
        self.at, self.code, self.done = at, code, 0

    def step(self) -> None:
        self.done += 1
        if self.done > self.at:
            raise OSError(self.code, os.strerror(self.code))

    def wrap(self, patch: pytest.MonkeyPatch) -> None:
        """Every write, resize and sync of a file target counts; memory stands in for kernels."""
        from diskimage.errors import from_os

        for name in ("write", "resize", "sync", "zero"):
            real = getattr(FileTarget, name)

            def failing(
                target: FileTarget, *values: object, real: Callable[..., None] = real
            ) -> None:
                try:
                    self.step()
                except OSError as error:
                    raise from_os(error, target.name) from error
                real(target, *values)

            patch.setattr(FileTarget, name, failing)
        patch.setattr(FileTarget, "fd", None)


def plan(name: str) -> Plan:
    rules = registry.named(name)
    assert rules.create is not None
    what, _, _ = taken(rules, GUEST, lambda: device_source(GUEST), {})
    return rules.create(what, "out")


@pytest.mark.parametrize("name", [rules.name for rules in WRITERS])
@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, NoSpaceError), (errno.EIO, IoError)])
def test_a_failure_anywhere_publishes_nothing(
    name: str,
    code: int,
    error: type[DiskImageError],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "neighbour").write_text("stays")
    count = 0
    while True:
        with monkeypatch.context() as patch:
            failing = Failing(count, code)
            failing.wrap(patch)
            try:
                run(plan(name), FileSink(str(tmp_path / "out")), Work(threads=1))
                break
            except error as raised:
                told = raised.errno
        assert told == code
        assert [path.name for path in tmp_path.iterdir()] == ["neighbour"], count
        count += 1
    assert count >= 3
    assert (tmp_path / "out").exists()


def test_an_old_target_survives_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(ExistsError):
        FileSink(str(tmp_path / "out"))
    with monkeypatch.context() as patch:
        Failing(1, errno.EIO).wrap(patch)
        with pytest.raises(IoError):
            run(plan("raw"), FileSink(str(tmp_path / "out"), overwrite=True), Work())
    assert (tmp_path / "out").read_text() == "old"


def test_a_name_taken_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    sink = FileSink(str(tmp_path / "out"))
    sink.target().write(0, memoryview(b"new"))
    sink.target("part").write(0, memoryview(b"part"))
    (tmp_path / "out").write_text("somebody else's")
    with pytest.raises(ExistsError):
        sink.commit()
    assert (tmp_path / "out").read_text() == "somebody else's"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_sync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "the medium says no")

    sink = FileSink(str(tmp_path / "out"))
    sink.target().write(0, memoryview(b"x"))
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(IoError):
        sink.commit()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", [None, "elsewhere"])
def test_an_error_of_publishing_is_the_librarys_and_names_a_file(named: str | None) -> None:
    class Refusing(MemorySink):
        def commit(self) -> None:
            raise OSError(errno.ENOSPC, "full", named)

    sink = Refusing()
    with pytest.raises(NoSpaceError) as caught:
        run(plan("raw"), sink, Work(threads=1))
    assert caught.value.file == (named or sink.target().name)
