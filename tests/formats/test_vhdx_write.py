"""VHDX written in place, held against a plain array of bytes; and what is not written."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import CorruptError, RefusedReferenceError
from tests.makers.alone import noise
from tests.makers.editing import Edit, drawn, edited, edits, taken_in_turns
from tests.makers.vhdx import BAT_AT, CONTENT, FIRST, LOG, MIB, header, log_entry, vhdx

Peer = Callable[[str], str]
SIZE = 4 * MIB + 8192
PARENT_SIZE = SIZE
LOCATOR = {"parent_linkage": "{" + CONTENT + "}", "relative_path": ".\\b.vhdx"}
OTHER = str(UUID(int=77))
TABLE = struct.pack("<3Q", FIRST + MIB | 6, 0, FIRST | 6).ljust(4096, b"\0")
PARENT = vhdx(SIZE, {n: (n, noise(MIB, 30 + n)) for n in (0, 1, 3)})
HEADERS = header(1, content=OTHER), header(2, content=OTHER)
IMAGES = {
    "empty": vhdx(SIZE, {}),
    "dynamic": vhdx(SIZE, {2: (0, noise(MIB)), 4: (1, noise(8192, 1))}, states={1: 2}),
    "fixed": vhdx(SIZE, {n: (n, noise(MIB, n)) for n in range(5)}, flags=1),
    "wide sectors": vhdx(SIZE, {2: (0, noise(MIB))}, sector=4096),
    "differencing": vhdx(
        SIZE, {1: (0, noise(MIB, 5)), 3: (2, noise(MIB, 6))}, states={3: 7, 2: 2}, flags=2,
        bitmaps={0: (1, [5, 6, 3 * 2048, 3 * 2048 + 9])}, parent=LOCATOR, headers=HEADERS,
    ),
    "first difference": vhdx(SIZE, {}, flags=2, parent=LOCATOR, headers=HEADERS),
    "dirty log": vhdx(
        SIZE, {0: (0, noise(MIB, 8)), 2: (1, noise(MIB, 9))}, states={0: 0, 2: 0},
        headers=(header(7), header(8, log=LOG)),
        log=log_entry(5, [(BAT_AT, TABLE)], flushed=6 * MIB, last=7 * MIB),
    ),
}  # fmt: skip


def family(folder: Path, name: str) -> Path:
    """The image called `name`, and the parent of those that have one."""
    path = folder / "a.vhdx"
    path.write_bytes(IMAGES[name])
    (folder / "b.vhdx").write_bytes(PARENT)
    return path


@pytest.mark.parametrize("name", IMAGES)
@given(edits(SIZE, [1, 512, 5000, MIB, MIB + 4096]))
@settings(max_examples=15)
def test_what_is_written_is_read(name: str, changes: list[Edit]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = family(Path(folder), name)
        if name == "dirty log":
            changes = [("write", 0, 1), ("reopen", 0, 1), *changes]
        edited(path, changes, "siblings")
        assert Path(folder, "b.vhdx").read_bytes() == PARENT


def identities(path: Path) -> list[tuple[int, bytes, bytes, bytes]]:
    """Sequence, file, content and log of both headers."""
    raw = path.read_bytes()
    return [
        (struct.unpack_from("<Q", raw, at + 8)[0], raw[at + 16 : at + 32], raw[at + 32 : at + 48],
         raw[at + 48 : at + 64])
        for at in (65536, 131072)
    ]  # fmt: skip


def test_headers_tell_that_file_and_content_changed(tmp_path: Path) -> None:
    path = family(tmp_path, "dynamic")
    before = identities(path)
    with diskimage.open(path, mode="r+") as image:
        assert image.read(0, 512)
    assert identities(path) == before
    with diskimage.open(path, mode="r+") as image:
        image.write(2 * MIB, b"in a stored block")
    after = identities(path)
    assert {one[0] for one in after} == {3, 4}
    assert after[0][1:] == after[1][1:]
    assert not {one[1] for one in before} & {one[1] for one in after}
    assert not {one[2] for one in before} & {one[2] for one in after}
    assert after[0][3] == bytes(16)


def test_a_child_of_a_disk_that_was_written_is_refused(tmp_path: Path) -> None:
    child = family(tmp_path, "differencing")
    assert diskimage.open(child, references="siblings").size == SIZE
    with diskimage.open(tmp_path / "b.vhdx", mode="r+") as parent:
        parent.write(0, b"x")
    with pytest.raises(CorruptError, match="content"):
        diskimage.open(child, references="siblings")


def test_a_whole_block_of_zeros_over_a_parent_takes_no_space(tmp_path: Path) -> None:
    path = family(tmp_path, "differencing")
    with diskimage.open(path, mode="r+", references="siblings") as image:
        image.zero(0, MIB)
        assert image.read(0, MIB) == bytes(MIB)
    assert path.stat().st_size == len(IMAGES["differencing"])
    assert struct.unpack_from("<Q", path.read_bytes(), BAT_AT) == (2,)


def test_a_layer_alone_takes_whole_sectors(tmp_path: Path) -> None:
    path = family(tmp_path, "differencing")
    with diskimage.open(path, mode="r+", references="list") as image:
        image.write(512, b"x" * 512)
        assert image.read(512, 512) == b"x" * 512
        with pytest.raises(RefusedReferenceError):
            image.write(100, b"part of a sector")


def test_a_damaged_header_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a.vhdx"
    path.write_bytes(vhdx(SIZE, {}, headers=(b"head" * 1024, header(5))))
    with diskimage.open(path, mode="r+") as image:
        image.write(MIB, b"new")
    with diskimage.open(path) as image:
        assert image.warnings == ()
        assert list(image.problems()) == []


@pytest.mark.parametrize(
    ("headers", "match"),
    [
        ((header(1), header(2, log_length=0)), "log of 0 bytes"),
        ((header(1), header((1 << 64) - 1)), "sequence"),
    ],
)
def test_what_cannot_be_written_on_is_refused_before_a_byte_is(
    headers: tuple[bytes, bytes], match: str, tmp_path: Path
) -> None:
    path, before = tmp_path / "a.vhdx", vhdx(SIZE, {}, headers=headers)
    path.write_bytes(before)
    with diskimage.open(path, mode="r+") as image, pytest.raises(CorruptError, match=match):
        image.write(0, b"x")
    assert path.read_bytes() == before


def test_more_changes_than_the_log_holds_are_written_in_turns(tmp_path: Path) -> None:
    path, size = tmp_path / "a.vhdx", 1 << 40
    diskimage.create(path, size)
    written: dict[int, bytes] = {}
    with diskimage.open(path, mode="r+") as image:
        for number in range(300):  # each in a sector of the table of its own
            at = number * 513 * MIB
            written[at] = noise(16, number)
            image.write(at, written[at])
    with diskimage.open(path) as image:
        assert all(image.read(at, 16) == data for at, data in written.items())
        assert list(image.problems()) == []


@pytest.mark.parametrize("how", ["dynamic", "fixed", "qemu-img"])
def test_an_image_that_was_written_is_right_for_qemu_img(
    how: str, tmp_path: Path, peer: Peer
) -> None:
    path, raw, size = tmp_path / "a.vhdx", tmp_path / "a.raw", (20 << 20) + 512
    qemu = peer("qemu-img")
    if how == "qemu-img":
        command = [qemu, "create", "-q", "-f", "vhdx", str(path), str(size)]
        subprocess.run(command, check=True)
    else:
        diskimage.create(path, size, type=how)
    expected = drawn(path, size, how)
    subprocess.run([qemu, "check", "-q", path], check=True)
    command = [qemu, "convert", "-f", "vhdx", "-O", "raw", str(path), str(raw)]
    subprocess.run(command, check=True)
    assert raw.read_bytes() == expected


def test_ours_and_qemu_io_take_turns(tmp_path: Path, peer: Peer) -> None:
    taken_in_turns(tmp_path / "a.vhdx", "vhdx", peer("qemu-io"))


def test_a_written_difference_reads_right_in_7_zip(tmp_path: Path, peer: Peer) -> None:
    path = family(tmp_path, "differencing")
    with diskimage.open(path, mode="r+", references="siblings") as image:
        image.write(100, noise(700, 3))
        image.write(3 * MIB - 900, noise(1800, 4))
        image.zero(4 * MIB, 600)
        guest = image.read(0, SIZE)
    command = [peer("7z"), "x", "-so", "-tVHDX", path.name]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert done.stdout == guest


@given(st.lists(st.tuples(st.integers(0, 90), st.binary(min_size=1, max_size=30)), max_size=9))
def test_what_waits_is_in_whole_sectors(changes: list[tuple[int, bytes]]) -> None:
    from diskimage.sources.memory import MemorySource
    from diskimage.sources.pending import Pending

    model = bytearray(noise(120))
    pending = Pending(MemorySource(bytes(model)), 16)
    for at, data in changes:
        model[at : at + len(data)] = data
        pending.put(at, data)
    model += bytes(8)
    for at, data in pending.sectors():
        assert at % 16 == 0
        assert data == model[at : at + 16]
    assert len(list(pending.sectors())) == len(pending)
