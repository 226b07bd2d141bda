"""Parents of CHD files: found by their sum, wherever they may lie, and held against the child."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import check, image, map as map_of
from diskimage.errors import DiskImageError
from tests.formats.test_chd import GUEST, coded, kind_of, written
from tests.makers import chd as make, frames
from tests.makers.cue import one, write

Peer = Callable[[str], str]
HUNK = 4096


def sha(content: bytes) -> bytes:
    """What children name a CHD of version 5 by."""
    return content[84:104]


def chain() -> tuple[bytes, bytes, bytes, bytes]:
    """A base, a child, a child of that which is not compressed, and what the last one holds."""
    base = make.coded5(GUEST, coded())
    middle_guest = b"new!" * 1024 + GUEST[HUNK:]
    rows: list[make.Coded] = [(0, make.deflated(middle_guest[:HUNK])), *[(11, 0)] * 4]
    middle = make.coded5(middle_guest, rows, parent=sha(base))
    guest = middle_guest[: 2 * HUNK] + b"top!" * 1024 + middle_guest[3 * HUNK :]
    return base, middle, make.plain5(guest, parent=sha(middle), absent=(0, 1, 3, 4)), guest


def test_parents_are_known_among_the_files_that_are_allowed(tmp_path: Path) -> None:
    base, middle, top, guest = chain()
    path = written(tmp_path, top, "top.chd")
    below = tmp_path / "below"
    below.mkdir()
    for folder in (tmp_path, below):
        written(folder, b"no such file", "0.chd")
        written(folder, make.coded5(bytes(HUNK), coded(bytes(HUNK))), "1.chd")
        written(folder, base[:100], "2.chd")
        os.mkfifo(folder / "3.chd")
        (folder / "4.chd").symlink_to("/dev/zero")
        written(folder, base, "old name.CHD")
        written(folder, middle, "middle.chd")
    for policy in ("siblings", below, str(below)):
        with image.open(path, references=policy) as got:
            assert got.read(0, got.size) == guest
            assert [(r.role, r.opened) for r in got.references] == [("parent", True)] * 2
    for policy in ("none", "parts"):
        assert kind_of(path, references=policy) == "refused-reference"
    (tmp_path / "old name.CHD").rename(tmp_path / "base.img")  # of another suffix
    assert kind_of(path, references="siblings") == "missing"


def test_a_file_that_is_called_by_the_sum_comes_first(tmp_path: Path) -> None:
    base, middle, _, _ = chain()
    path = written(tmp_path, middle, "a.chd")
    written(tmp_path, base, "base.chd")
    written(tmp_path, make.coded5(bytes(HUNK), coded(bytes(HUNK))), sha(base).hex())
    assert kind_of(path, references="siblings") == "corrupt"


def test_one_that_names_itself_is_a_loop(tmp_path: Path) -> None:
    alone = bytearray(make.plain5(GUEST, parent=b"1" * 20, absent=range(5)))
    alone[84:104] = b"1" * 20
    path = written(tmp_path, bytes(alone))
    assert kind_of(path, references="siblings") == "missing"
    assert kind_of(path, references={(b"1" * 20).hex(): path}) == "loop"
    written(tmp_path, bytes(alone), "b.chd")
    assert kind_of(path, references="siblings") == "loop"


@pytest.mark.parametrize("version", [3, 4])
def test_a_base_of_version_3_is_named_by_the_sum_of_its_guest(
    version: int, peer: Peer, tmp_path: Path
) -> None:
    disk = [(b"GDDD", 1, b"CYLS:5,HEADS:1,SECS:8,BPS:512\0")]
    base = make.old(GUEST, [(1, 0)] * 5, version=3, entries=disk)
    guest = GUEST[HUNK : 2 * HUNK] + GUEST[HUNK:]
    rows = [(5, 1), (5, 1), (1, 0), (5, 3), (5, 4)]
    child = make.old(guest, rows, version=version, entries=disk, parent=base[80:100])
    path = written(tmp_path, child)
    named, out = written(tmp_path, base, "base.chd"), tmp_path / "out.raw"
    with image.open(path, references="siblings") as got:
        assert got.read(0, got.size) == guest
    command: list[str | Path] = [peer("chdman"), "extracthd", "-i", path, "-ip", named, "-o", out]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, out.read_bytes()) == (0, guest)


def test_what_does_not_fit_a_parent_is_said(tmp_path: Path) -> None:
    base, middle, _, _ = chain()
    rows: list[make.Coded] = [*coded()[:4], (11, 0)]
    for child, words in (
        (make.coded5(GUEST, rows), "hunk 4.*none is named"),
        (make.coded5(GUEST, [*coded()[:4], (6, 33)], parent=sha(base)), "hunk 4.*of its parent"),
        (make.coded5(GUEST, rows, unit=1024, parent=sha(base)), "units of 1024.*has 512"),
        (make.plain5(GUEST + GUEST, parent=sha(base)), "40960 bytes over a parent of 20480"),
    ):
        path = written(tmp_path, child)
        written(tmp_path, base, "base.chd")
        with (
            pytest.raises(DiskImageError, match=words) as caught,
            image.open(path, references="siblings") as got,
        ):
            got.read(0, got.size)
        assert caught.value.kind == "corrupt"
    assert sha(middle) != sha(base)


def test_a_hunk_past_the_end_of_its_parent_is_an_error_and_never_zeros(tmp_path: Path) -> None:
    base = make.coded5(GUEST[:HUNK], coded(GUEST[:HUNK]))
    rows: list[make.Coded] = [(11, 0), (11, 0)]  # each the parent's at its own place
    path = written(tmp_path, make.coded5(GUEST[: 2 * HUNK], rows, parent=sha(base)))
    written(tmp_path, base, "base.chd")
    with image.open(path, references="siblings") as got:
        assert got.read(0, HUNK) == GUEST[:HUNK]
        with pytest.raises(DiskImageError, match="of its parent, which has 4096 bytes"):
            got.read(HUNK, 1)


def test_a_child_alone_is_not_called_damaged(tmp_path: Path) -> None:
    base, middle, _, _ = chain()
    path = written(tmp_path, middle)
    written(tmp_path, base, "base.chd")
    found = check(path)
    assert found.problems == ()
    assert [(one.part, one.status) for one in found.verdicts] == [
        ("structure", "intact"), ("chunks", "intact"), ("whole", "unjudged"),
    ]  # fmt: skip
    assert {one.kind for one in found.warnings} == {"reference"}
    assert [one.status for one in check(path, references="siblings").verdicts] == ["intact"] * 3
    spoiled = bytearray(middle)
    spoiled[130] ^= 1  # of the hunk that is the child's own
    assert {one.part for one in check(written(tmp_path, bytes(spoiled))).problems} == {"chunks"}


def test_a_map_tells_whose_a_hunk_is(tmp_path: Path) -> None:
    """Qemu's fields: no place in a file of what is decoded, `data` all the same."""
    base = written(tmp_path, make.coded5(GUEST, coded()), "base.chd")
    rows: list[make.Coded] = [(11, 0), (0, make.deflated(GUEST[:HUNK])), (5, 0), (6, 8), (5, 1)]
    guest = GUEST[:HUNK] * 3 + GUEST[HUNK : 2 * HUNK] + GUEST[:HUNK]
    path = written(tmp_path, make.coded5(guest, rows, parent=sha(base.read_bytes())))

    def told(path: Path, **how: object) -> list[tuple[int, int, str]]:
        found = map_of(path, **how)  # type: ignore[arg-type]  # any option of map
        assert all(row.offset is None for row in found.records)
        return [(row.length // HUNK, row.depth, row.kind) for row in found.records]

    assert told(base) == [(5, 0, "compressed")]
    with image.open(path, references="siblings") as got:
        assert got.read(0, got.size) == guest
    assert told(path, references="siblings") == [(1, 1, "compressed"), (4, 0, "compressed")]
    alone = [(1, 0, "absent"), (1, 0, "compressed"), (2, 0, "absent"), (1, 0, "compressed")]
    assert told(path, layer=True) == alone


def ran(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def held(path: Path, **how: str) -> bytes:
    with image.open(path, references="siblings", **how) as got:  # type: ignore[arg-type]  # any option of open
        assert list(got.problems()) == []
        return got.read(0, got.size)


@pytest.fixture
def raws(tmp_path: Path) -> tuple[Path, Path, bytes]:
    """A disk, one that differs in a few places, and the bytes of the second."""
    draw = random.Random(5)
    first = bytearray(GUEST * 30)
    first[100_000:140_000] = draw.randbytes(40_000)
    second = bytearray(first)
    second[50_000:50_010] = b"different!"
    second[300_000:302_000] = first[100_000:102_000]
    (tmp_path / "a.raw").write_bytes(first)
    (tmp_path / "b.raw").write_bytes(second)
    return tmp_path / "a.raw", tmp_path / "b.raw", bytes(second)


@pytest.mark.parametrize("codecs", ["zlib", "lzma,zlib,huff,flac", "none"])
@pytest.mark.parametrize("hunk", [4096, 8192])
def test_children_of_chdman(
    codecs: str, hunk: int, raws: tuple[Path, Path, bytes], peer: Peer, tmp_path: Path
) -> None:
    first, second, guest = raws
    tool, base, child = peer("chdman"), tmp_path / "base.chd", tmp_path / "child.chd"
    again = tmp_path / "again.chd"
    ran(tool, "createhd", "-i", first, "-o", base, "-c", "zlib", "-hs", "4096")
    ran(tool, "createhd", "-i", second, "-o", child, "-op", base, "-c", codecs, "-hs", str(hunk))
    ran(tool, "copy", "-i", child, "-ip", base, "-o", again, "-op", base)
    assert child.read_bytes()[104:124] == again.read_bytes()[104:124] == sha(base.read_bytes())
    assert held(child) == held(again) == guest


def test_chdman_names_no_parent_that_is_not_compressed(
    raws: tuple[Path, Path, bytes], peer: Peer, tmp_path: Path
) -> None:
    first, second, guest = raws
    tool, base, child = peer("chdman"), tmp_path / "base.chd", tmp_path / "child.chd"
    ran(tool, "createhd", "-i", first, "-o", base, "-c", "none")
    ran(tool, "createhd", "-i", second, "-o", child, "-op", base, "-c", "none")
    assert child.read_bytes()[104:124] == bytes(20)
    assert held(child) == guest


def test_hunks_smaller_than_the_parents_are_warned_of(
    raws: tuple[Path, Path, bytes], peer: Peer, tmp_path: Path
) -> None:
    """chdman mistakes the places of the parent's hunks: its own check says so too."""
    first, second, guest = raws
    tool, base, child = peer("chdman"), tmp_path / "base.chd", tmp_path / "child.chd"
    ran(tool, "createhd", "-i", first, "-o", base, "-hs", "4096")
    ran(tool, "createhd", "-i", second, "-o", child, "-op", base, "-hs", "2048")
    verify: list[str | Path] = [tool, "verify", "-i", child, "-ip", base]
    done = subprocess.run(verify, check=False, capture_output=True, text=True)
    assert "Error: Raw SHA1" in done.stderr
    out = tmp_path / "out.raw"
    ran(tool, "extractraw", "-i", child, "-ip", base, "-o", out)
    with image.open(child, references="siblings") as got:
        assert [one.kind for one in got.warnings] == ["parent"]
        assert got.read(0, got.size) == out.read_bytes() != guest
    found = check(child, references="siblings")
    assert {one.part for one in found.problems} == {"whole"}


@pytest.mark.parametrize("codecs", ["cdlz,cdzl,cdfl", "none"])
def test_discs_over_discs_of_chdman(codecs: str, peer: Peer, tmp_path: Path) -> None:
    data, sound = frames.data(60)[0], frames.audio(70)
    text = one("MODE1/2352") + "  TRACK 02 AUDIO\n    INDEX 01 00:00:60\n"
    cue = write(tmp_path, text, a_bin=data + sound)
    tool, base, child = peer("chdman"), tmp_path / "base.chd", tmp_path / "child.chd"
    ran(tool, "createcd", "-i", cue, "-o", base)
    changed = bytearray(data + sound)
    changed[20 * 2352 : 21 * 2352] = frames.mode1(b"Q" * 2048, 20)
    changed[-4704:] = changed[-14704:-10000]  # zeros over the parent are lost by chdman: -c none
    write(tmp_path, text, a_bin=bytes(changed))
    ran(tool, "createcd", "-i", cue, "-o", child, "-op", base, "-c", codecs)
    with image.open(child, references="siblings") as got:
        assert got.disc is not None
        assert [track.length for track in got.disc.tracks] == [60, 70]
        whole = bytearray()
        for track in got.disc.tracks:
            (piece,) = track.pieces
            for i in range(piece.frames):
                frame = bytearray(2352)
                assert piece.source is not None
                piece.source.read_into(piece.at + i * piece.pitch, memoryview(frame))
                whole += frame
        assert whole == changed
