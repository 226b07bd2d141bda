"""Images mended in a copy and in place; what is not mended is said."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import (
    ExistsError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)
from tests.crash.states import foreign, logged, states
from tests.makers.alone import noise
from tests.makers.cue import samples as discs
from tests.makers.vdi import vdi
from tests.makers.vhd import fixed, footer, sparse
from tests.makers.vhdx import (
    BAT_AT,
    FIRST,
    LOG,
    MIB,
    REGIONS,
    header,
    log_entry,
    vhdx,
)

Peer = Callable[[str], str]
BLOCK = 4096
SIZE = 2 * MIB + 8192
TABLE = struct.pack("<3Q", FIRST + MIB | 6, 0, FIRST | 6).ljust(4096, b"\0")
DIRTY = vhdx(
    SIZE, {0: (0, noise(MIB, 8)), 2: (1, noise(8192, 9))}, states={0: 0, 2: 0},
    headers=(header(7), header(8, log=LOG)),
    log=log_entry(5, [(BAT_AT, TABLE), (7 * MIB, 8192)], flushed=6 * MIB, last=8 * MIB),
)  # fmt: skip
DYNAMIC = sparse(5 * BLOCK, {1: (0, noise(BLOCK)), 3: (1, noise(BLOCK, 1))}, block=BLOCK)
STORED = {0: (1, noise(BLOCK)), 2: (0, noise(BLOCK, 1))}
COUNTED = bytearray(vdi(4 * BLOCK, STORED, block=BLOCK))
COUNTED[388:392] = struct.pack("<I", 9)

DAMAGED = {
    "log.vhdx": (DIRTY, ["log"]),
    "header.vhdx": (vhdx(SIZE, {}, headers=(header(3), b"head" * 1024)), ["checksum"]),
    "regions.vhdx": (vhdx(SIZE, {}, tables=(b"regi" * 16384, REGIONS)), ["checksum"]),
    "both.vhdx": (
        vhdx(SIZE, {}, headers=(bytes(4096), header(3)), tables=(REGIONS, bytes(65536))),
        ["checksum", "checksum"],
    ),
    "copy.vhd": (bytes(512) + DYNAMIC[512:], ["footer"]),
    "none.vhd": (DYNAMIC[:-512], ["footer"]),
    "wrong.vhd": (DYNAMIC[:-100] + b"\xff" * 100, ["footer"]),
    "odd.vhd": (DYNAMIC[:-512] + b"\xee" * 100, ["footer"]),
    "count.vdi": (bytes(COUNTED), ["count"]),
}
SOUND = {
    "a.vhdx": vhdx(SIZE, {1: (0, noise(MIB))}),
    "a.vhd": DYNAMIC,
    "b.vhd": fixed(noise(BLOCK)),
    "a.vdi": vdi(4 * BLOCK, STORED, block=BLOCK),
}


def guest(path: Path) -> bytes:
    with diskimage.open(path) as image:
        return image.read(0, image.size)


@pytest.mark.parametrize("how", ["copy", "in place"])
@pytest.mark.parametrize("name", DAMAGED)
def test_what_can_be_mended_is(name: str, how: str, tmp_path: Path) -> None:
    content, kinds = DAMAGED[name]
    path, target = tmp_path / name, tmp_path / f"mended-{name}"
    path.write_bytes(content)
    before = guest(path)
    if how == "copy":
        done = diskimage.repair(path, target)
        assert path.read_bytes() == content
    else:
        done = diskimage.repair(path, in_place=True)
        target = path
    assert [one.kind for one in done.mended] == kinds
    assert (done.file, done.left, done.ok) == (str(target), (), True)
    assert guest(target) == before
    with diskimage.open(target) as image:
        assert image.warnings == ()
        assert list(image.problems()) == []
    assert diskimage.repair(target, in_place=True).mended == ()


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_stays_as_it_is(name: str, tmp_path: Path) -> None:
    path, target = tmp_path / name, tmp_path / "copy"
    path.write_bytes(SOUND[name])
    assert diskimage.repair(path, target).mended == ()
    assert diskimage.repair(path, in_place=True).mended == ()
    assert target.read_bytes() == path.read_bytes() == SOUND[name]


def test_a_mended_log_is_right_for_qemu_img(tmp_path: Path, peer: Peer) -> None:
    path, raw = tmp_path / "a.vhdx", tmp_path / "a.raw"
    path.write_bytes(DIRTY)
    before = guest(path)
    diskimage.repair(path, in_place=True)
    assert path.stat().st_size == 8 * MIB
    subprocess.run([peer("qemu-img"), "check", "-q", path], check=True)
    command = [peer("qemu-img"), "convert", "-f", "vhdx", "-O", "raw", str(path), str(raw)]
    subprocess.run(command, check=True)
    assert raw.read_bytes() == before


def test_a_crash_while_mending_leaves_the_same_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (content, _) in DAMAGED.items():
        path = tmp_path / name
        path.write_bytes(content)
        before = guest(path)
        with monkeypatch.context() as patch:
            log = logged(patch, 4096)
            diskimage.repair(path, in_place=True)
        for cut, state in states(content, log):
            with diskimage.open(state, format=path.suffix[1:]) as image:
                assert foreign(image.read(0, image.size), [before]) is None, (name, cut)


def test_no_footer_is_put_behind_what_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.vhd"
    path.write_bytes(DYNAMIC[: -512 - 1000])
    with pytest.raises(TruncatedError, match="block 3"):
        diskimage.repair(path, in_place=True)
    assert len(path.read_bytes()) == len(DYNAMIC) - 1512


def test_a_footer_over_a_block_is_not_taken_for_its_place(tmp_path: Path) -> None:
    inside = footer(5 * BLOCK, 3)[:8] + noise(BLOCK - 8)  # a block that begins like a footer
    content = sparse(5 * BLOCK, {1: (0, noise(BLOCK - 512) + inside[:512])}, block=BLOCK)[:-512]
    path = tmp_path / "a.vhd"
    path.write_bytes(content)
    before = guest(path)
    diskimage.repair(path, in_place=True)
    assert path.read_bytes() == content + footer(5 * BLOCK, 3)
    assert guest(path) == before


def test_what_is_not_mended_is_said(tmp_path: Path) -> None:
    raw, disc = tmp_path / "a.raw", next(iter(discs()))
    raw.write_bytes(bytes(BLOCK))
    with pytest.raises(UnsupportedError) as told:
        diskimage.repair(raw, in_place=True)
    assert "salvage" in str(told.value.remedy)
    with pytest.raises(UnsupportedError) as told:
        diskimage.repair(disc.write(tmp_path), tmp_path / "b.cue")
    assert "convert --repair" in str(told.value.remedy)


def test_a_copy_or_the_image_and_no_other_file(tmp_path: Path) -> None:
    path, target = tmp_path / "a.vhd", tmp_path / "b.vhd"
    path.write_bytes(DYNAMIC)
    for arguments in ({}, {"target": target, "in_place": True}):
        with pytest.raises(UsageError):
            diskimage.repair(path, **arguments)  # type: ignore[arg-type]  # both on purpose
    target.write_bytes(b"mine")
    with pytest.raises(ExistsError):
        diskimage.repair(path, target)
    assert target.read_bytes() == b"mine"
    diskimage.repair(path, target, overwrite=True)
    assert target.read_bytes() == DYNAMIC


def test_what_is_left_is_told_and_ends_with_status_1(tmp_path: Path, dim: str) -> None:
    def called(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [dim, "repair", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    path = tmp_path / "a.vdi"
    path.write_bytes(vdi(4 * BLOCK, STORED, block=BLOCK, special={1: 1}))
    done = called(path, tmp_path / "b.vdi", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"]) == (1, False)
    assert "shares stored block 1" in document["left"][0]["message"]
    path.write_bytes(bytes(COUNTED))
    done = called(path, "--in-place")
    assert done.returncode == 0
    assert "mended: the header counts 9" in done.stdout
    assert "nothing to mend" in called(path, "--in-place").stdout
