"""Names of second files: judged after decoding, resolved below one directory, links included."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from diskimage import copy, detect, hash
from diskimage.errors import (
    DiskImageError,
    LimitError,
    LoopError,
    MissingError,
    RefusedReferenceError,
    UnsafeNameError,
    UsageError,
)
from diskimage.gate import FileGate, Named, Policy
from diskimage.limits import LIMITS
from diskimage.sources.below import open_below
from diskimage.sources.file import open_file
from diskimage.sources.memory import MemorySource

BAD = ["/etc/passwd", "../x", "a/../../x", "C:\\x", "\\\\host\\share\\x", "json:{}", "nbd://h/",
       "file:///x", "fat:rw:x", "a/b", "..", "./../x"]  # fmt: skip


def gate(
    folder: Path, policy: Policy = "parts", chain: tuple[tuple[int, int], ...] = ()
) -> FileGate:
    made = FileGate(str(folder / "main.img"), str(folder), policy)
    return replace(made, chain=chain)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("policy", ["parts", "siblings", "none"])
def test_a_part_has_a_plain_name(name: str, policy: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("here")
    with pytest.raises(RefusedReferenceError):
        gate(tmp_path, policy).part(name)


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "a\x1b[2J", "\x85"])
def test_what_is_no_name_is_unsafe(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeNameError):
        gate(tmp_path).part(name)


def test_a_name_that_only_begins_alike_is_another_file(tmp_path: Path) -> None:
    """A reader that matches names by their beginning opens the wrong file without a word."""
    (tmp_path / "data.bin.bak").write_bytes(b"old")
    with pytest.raises(MissingError, match=r"data\.bin"):
        gate(tmp_path).part("data.bin")


def test_a_part_is_found_by_case_or_by_another_name_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "Track.BIN").write_bytes(b"track")
    held = gate(tmp_path)
    assert held.part("track.bin").size == 5
    assert held.part("other.bin", instead=("track.bin",)).size == 5
    assert [w.kind for w in held.ledger.warnings] == ["case", "name"]
    with pytest.raises(MissingError, match=r"gone\.bin"):
        held.part("gone.bin")
    held.ledger.close()


def test_a_file_is_opened_through_no_link(tmp_path: Path) -> None:
    """As it was when it was judged: a link that takes its place later leads nowhere."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").write_bytes(b"a")
    (tmp_path / "folder").symlink_to("in")
    (tmp_path / "in/b").symlink_to("a")
    with closing(open_below(str(tmp_path), "in/a", "a")) as source:
        assert source.size == 1
    for below in ("folder/a", "in/b"):
        with pytest.raises(DiskImageError):
            open_below(str(tmp_path), below, "a")


@pytest.mark.parametrize("password", [b"sesame", "\udcff"])
def test_a_password_is_a_text(password: str) -> None:
    """Bytes of the environment that are no UTF-8 come as lone surrogates."""
    with pytest.raises(UsageError, match="no text"):
        FileGate("main.img", "", secret=lambda: password).password()


def test_no_second_file_under_none(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    with pytest.raises(RefusedReferenceError):
        gate(tmp_path, "none").part("a.bin")


@pytest.mark.parametrize("policy", ["none", "parts"])
def test_a_parent_is_refused_by_default(policy: str, tmp_path: Path) -> None:
    (tmp_path / "base.raw").write_bytes(bytes(512))
    held = gate(tmp_path, policy)
    with pytest.raises(RefusedReferenceError, match=r"base\.raw.*backing"):
        held.parent("base.raw", role="backing file", format="raw")
    assert [r.name for r in held.ledger.references] == ["base.raw"]


def test_a_parent_is_opened_as_said_and_never_probed(tmp_path: Path) -> None:
    (tmp_path / "base.img").write_bytes(b"QFI\xfb".ljust(512, b"\0"))
    held = gate(tmp_path, "siblings")
    opened = held.parent("./base.img", role="backing file", format="raw")
    assert opened is not None
    assert opened.size == 512
    with pytest.raises(RefusedReferenceError, match="backing file"):
        held.parent("base.img", role="backing file", format=None)
    held.ledger.close()


def test_a_directory_allows_what_lies_below_it(tmp_path: Path) -> None:
    (tmp_path / "images/deep").mkdir(parents=True)
    (tmp_path / "images/deep/base.raw").write_bytes(bytes(512))
    (tmp_path / "secret.raw").write_bytes(bytes(512))
    held = gate(tmp_path, str(tmp_path / "images"))
    for name in ("deep/base.raw", str(tmp_path / "images/deep/base.raw")):
        assert held.parent(name, role="backing file", format="raw") is not None
    for name in (str(tmp_path / "secret.raw"), "../secret.raw", "deep/../../secret.raw"):
        with pytest.raises(RefusedReferenceError):
            held.parent(name, role="backing file", format="raw")
    held.ledger.close()


def test_a_link_may_not_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(512))
    (folder / "real.bin").write_bytes(b"real!")
    (folder / "out.bin").symlink_to(tmp_path / "secret")
    (folder / "in.bin").symlink_to("real.bin")
    held = gate(folder)
    with pytest.raises(RefusedReferenceError, match="not allowed"):
        held.part("out.bin")
    assert held.part("in.bin").size == 5
    held.ledger.close()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(RefusedReferenceError):
            gate(tmp_path).part(name)


def test_a_chain_that_returns_is_a_loop_and_a_long_one_a_limit(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(512))
    found = (tmp_path / "a.raw").stat()
    chain = ((found.st_dev, found.st_ino),)
    with pytest.raises(LoopError):
        gate(tmp_path, "siblings", chain=chain).parent("a.raw", role="backing", format="raw")
    long = ((0, 0),) * LIMITS.chain_depth
    with pytest.raises(LimitError):
        gate(tmp_path, "siblings", chain=long).parent("a.raw", role="backing", format="raw")


def test_a_list_opens_nothing(tmp_path: Path) -> None:
    held = gate(tmp_path, "list")
    assert held.parent("/etc/passwd", role="backing file", format="raw") is None
    assert held.source("json:{}", role="data file") is None
    assert [r.opened for r in held.ledger.references] == [False, False]
    assert len(held.ledger.warnings) == 2


def test_a_mapping_and_a_callable_answer_for_names(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(bytes(1024))
    given: dict[str, Named] = {"/abs/base": tmp_path / "b", "uuid": MemorySource(bytes(512))}
    held = gate(tmp_path, given)
    for name, size in (("/abs/base", 1024), ("uuid", 512)):
        opened = held.parent(name, role="backing", format="raw")
        assert opened is not None
        assert opened.size == size
    with pytest.raises(DiskImageError):
        held.parent("other", role="backing", format="raw")
    asked = gate(tmp_path, lambda reference: given.get(reference.name))
    assert asked.parent("uuid", role="backing", format="raw") is not None
    held.ledger.close()
    asked.ledger.close()


def test_a_source_that_was_passed_stays_its_owners(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"disk" * 256)
    with closing(open_file(str(tmp_path / "disk.raw"))) as mine:
        held = gate(tmp_path, {"base": mine})
        assert held.parent("base", role="backing", format="raw") is not None
        held.ledger.close()
        for _ in range(2):
            assert hash(mine, format="raw").size == 1024
            assert detect(mine).format == "raw"
            assert copy(mine, tmp_path / "copy.raw", overwrite=True).size == 1024
        buffer = bytearray(4)
        assert mine.read_into(0, memoryview(buffer)) == 4
        assert buffer == b"disk"
