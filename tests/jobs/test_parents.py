"""What a target names as its backing, and what the source names: neither is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

import diskimage
from diskimage.errors import BusyError, UsageError

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.raw").write_bytes(b"b" * MIB)
    diskimage.create(tmp_path / "top.qcow2", backing="base.raw", backing_format="raw")
    return tmp_path


@pytest.mark.parametrize("name", ["self.qcow2", "./self.qcow2", "link.qcow2"])
def test_a_target_is_not_its_own_backing(folder: Path, name: str) -> None:
    target = folder / "self.qcow2"
    (folder / "link.qcow2").symlink_to("self.qcow2")
    options = {"backing": name, "backing_format": "qcow2"}
    with pytest.raises(BusyError):
        diskimage.convert(folder / "base.raw", target, options=options)
    with pytest.raises(BusyError):
        diskimage.create(target, MIB, options=options)
    assert not target.exists()


def test_a_parent_that_was_only_listed_is_not_overwritten(folder: Path) -> None:
    base = folder / "base.raw"
    with pytest.raises(BusyError):
        diskimage.convert(
            folder / "top.qcow2", base, to="qcow2", references="list", overwrite=True,
            backing="other.raw", backing_format="raw",
        )  # fmt: skip
    assert base.read_bytes() == b"b" * MIB


def test_a_backing_format_is_one_of_ours(folder: Path) -> None:
    options = {"backing": "base.raw", "backing_format": "bogus"}
    with pytest.raises(UsageError, match="bogus"):
        diskimage.create(folder / "a.qcow2", MIB, options=options)
    with pytest.raises(UsageError, match="bogus"):
        diskimage.convert(folder / "base.raw", folder / "a.qcow2", options=options)
    assert not (folder / "a.qcow2").exists()


def test_a_backing_that_is_not_there_is_a_warning(folder: Path) -> None:
    options = {"backing": "none.raw", "backing_format": "raw"}
    made = diskimage.create(folder / "a.qcow2", MIB, options=options)
    done = diskimage.convert(folder / "base.raw", folder / "b.qcow2", options=options)
    assert [w.kind for w in made.warnings] == [w.kind for w in done.warnings] == ["missing"]
    there = diskimage.create(
        folder / "c.qcow2", MIB, options={"backing": "base.raw", "backing_format": "raw"}
    )
    assert there.warnings == ()
