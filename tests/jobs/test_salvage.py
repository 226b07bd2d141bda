"""Salvage: what reads of a damaged image is the original's; the rest and no more is listed."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import DiskImageError, IoError, RefusedReferenceError, UsageError
from diskimage.model import Kind
from diskimage.ranges import Ranges
from diskimage.sources.memory import MemorySource
from tests.bounded import Run
from tests.makers import cue, dmg, e01, isz, vdi
from tests.makers.sample import Sample
from tests.makers.vdi import MIB

draw = random.Random(8)
GUEST = b"".join(
    bytes(65536) if n % 7 == 3 else draw.randbytes(65536) if n % 7 < 3 else b"text %06d " % n * 5462
    for n in range(96)
)[: 6 * MIB]
WRITTEN = {
    "qcow2": ["-O", "qcow2"],
    "qcow2 compressed": ["-c", "-O", "qcow2"],
    "vmdk": ["-O", "vmdk"],
    "vmdk stream": ["-O", "vmdk", "-o", "subformat=streamOptimized"],
    "vdi": ["-O", "vdi"],
    "vhd": ["-O", "vpc", "-o", "force_size=on"],
    "vhdx": ["-O", "vhdx"],
    "parallels": ["-O", "parallels"],
    "qed": ["-O", "qed"],
}


def patched(content: bytes, bad: Ranges) -> bytes:
    """`content` with zeros in the ranges that were lost."""
    out = bytearray(content)
    for start, length in bad:
        out[start : start + length] = bytes(length)
    return bytes(out)


def salvage(path: Path) -> tuple[Ranges, bytes]:
    """What was lost of `path`, and what was written in place of the whole."""
    target = path.with_name("salvaged.raw")
    done = diskimage.convert(path, target, salvage=True, overwrite=True, durable=False)
    return done.bad, target.read_bytes()


def qemu(tool: str, *arguments: str | Path) -> None:
    subprocess.run([tool, *arguments], check=True, capture_output=True)


@pytest.fixture
def made(peer: Callable[[str], str], tmp_path: Path) -> Callable[[str], Path]:
    def make(label: str) -> Path:
        (tmp_path / "guest.raw").write_bytes(GUEST)
        path = tmp_path / "image"
        qemu(
            peer("qemu-img"), "convert", "-f", "raw", *WRITTEN[label], tmp_path / "guest.raw", path
        )
        return path

    return make


@pytest.mark.parametrize("label", WRITTEN)
def test_of_a_cut_image_of_a_peer_the_rest_is_right(
    label: str, made: Callable[[str], Path]
) -> None:
    path = made(label)
    whole = path.read_bytes()
    assert salvage(path) == (Ranges(), GUEST)
    for part in (3, 5, 8):
        path.write_bytes(whole[: len(whole) * part // 9 + 700])
        try:
            diskimage.open(path).close()
        except DiskImageError:
            continue  # of what does not open nothing is salvaged
        bad, content = salvage(path)
        assert content == patched(GUEST, bad), (label, part)
        assert bad or label == "vhdx"  # a block may lie past the end of what the guest has of it
        if label not in ("qed", "vhdx"):  # tables among the data; one block of all there is
            assert bad.total < len(GUEST) * (11 - part) // 9


@pytest.mark.parametrize("label", ["qcow2 compressed", "vmdk stream"])
def test_of_damaged_chunks_only_those_are_lost(label: str, made: Callable[[str], Path]) -> None:
    path = made(label)
    image = bytearray(path.read_bytes())
    with diskimage.open(path) as opened:
        coded = [row for row in opened.extents() if row.kind == Kind.CODED]
    hit = coded[5], coded[30]
    for row in hit:
        image[row.at + 20 : row.at + 24] = b"\xff\xff\xff\xff"
    path.write_bytes(image)
    with pytest.raises(DiskImageError):
        diskimage.hash(path)
    bad, content = salvage(path)
    assert bad == Ranges((row.start, row.length) for row in hit)
    assert content == patched(GUEST, bad)


def test_an_impossible_entry_loses_its_block(tmp_path: Path) -> None:
    sample = vdi.samples()[0]
    image = bytearray(sample.files[sample.main])
    image[512:516] = (9000).to_bytes(4, "little")
    path = sample.write(tmp_path, **{sample.main.replace(".", "_"): bytes(image)})
    bad, content = salvage(path)
    assert bad == Ranges([(0, MIB)])
    assert content == patched(sample.guest, bad)


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """Three blocks of four, the last in the middle of the file's end."""
    blocks = {0: (0, b"A" * MIB), 1: (1, b"B" * MIB), 3: (2, b"D" * MIB)}
    path = tmp_path / "a.vdi"
    path.write_bytes(vdi.vdi(4 * MIB, blocks)[: -MIB // 2])
    return path


BAD = Ranges([(3 * MIB + MIB // 2, MIB // 2)])
REST = b"A" * MIB + b"B" * MIB + bytes(MIB) + b"D" * (MIB // 2) + bytes(MIB // 2)


def test_without_salvage_nothing_is_published(cut: Path, tmp_path: Path) -> None:
    with pytest.raises(DiskImageError, match="the file has"):
        diskimage.convert(cut, tmp_path / "b.raw")
    assert not (tmp_path / "b.raw").exists()


def test_a_target_that_can_holds_what_is_bad(cut: Path, tmp_path: Path) -> None:
    done = diskimage.convert(cut, tmp_path / "b.E01", salvage=True)
    assert done.bad == BAD
    with diskimage.open(tmp_path / "b.E01") as image:
        rows = [(row.start, row.length) for row in image.extents() if row.kind == Kind.BAD]
        assert rows == [tuple(one) for one in BAD]
        assert image.read(0, BAD.invert(4 * MIB).total) == REST[: 3 * MIB + MIB // 2]
        with pytest.raises(IoError):
            image.read(4 * MIB - 512, 512)
    again = diskimage.convert(tmp_path / "b.E01", tmp_path / "c.raw", salvage=True)
    assert again.bad == BAD
    assert (tmp_path / "c.raw").read_bytes() == REST


@pytest.mark.parametrize("target", ["b.qcow2", "b.vhdx", "b.cue", "b.dmg"])
def test_other_targets_hold_zeros(target: str, cut: Path, tmp_path: Path) -> None:
    done = diskimage.convert(cut, tmp_path / target, salvage=True)
    assert done.bad == BAD
    assert "truncated" in {warning.kind for warning in done.warnings}
    with diskimage.open(tmp_path / target) as image:
        assert image.read(0, image.size) == REST


def test_a_map_shows_what_is_bad(cut: Path, dim: str, run: Run) -> None:
    found = diskimage.map(cut, salvage=True)
    rows = [(row.start, row.length, row.kind) for row in found.records]
    assert rows[-2:] == [(3 * MIB, MIB // 2, "data"), (*next(iter(BAD)), "bad")]
    assert [row[2] for row in rows[:-2]] == ["data", "hole"]
    assert found.bad == BAD
    done = run([dim, "map", cut, "--salvage", "--json"])
    assert done.returncode == 1
    assert json.loads(done.stdout)[-1]["kind"] == "bad"
    with pytest.raises(DiskImageError):
        list(diskimage.map(cut).records)


def test_digests_are_of_the_rest_over_zeros(cut: Path) -> None:
    found = diskimage.hash(cut, ["sha1"], salvage=True)
    assert found.digests == {"sha1": hashlib.sha1(REST).hexdigest()}
    assert found.bad == BAD


def test_the_command_lists_and_ends_with_1(cut: Path, dim: str, run: Run, tmp_path: Path) -> None:
    done = run([dim, "convert", cut, tmp_path / "b.raw", "--salvage", "--json"])
    assert done.returncode == 1
    assert json.loads(done.stdout)["bad"] == [[3 * MIB + MIB // 2, MIB // 2]]
    shown = run([dim, "hash", cut, "--salvage"])
    assert shown.returncode == 1
    assert "unreadable: 512 KiB (524288 bytes), taken as zeros" in shown.stdout
    assert "3670016" in shown.stdout
    whole = run([dim, "hash", tmp_path / "b.raw", "--salvage", "--json"])
    assert whole.returncode == 0
    assert "bad" not in json.loads(whole.stdout)


class Scratched(MemorySource):
    """A medium with one sector that cannot be read."""

    def read_into(self, at: int, buffer: memoryview) -> int:
        if at < 5120 and at + len(buffer) > 4608:
            raise IoError("unreadable", file=self.name, at=4608)
        return super().read_into(at, buffer)


def test_a_copy_goes_on_behind_a_bad_sector(tmp_path: Path) -> None:
    medium = Scratched(GUEST[: 3 * MIB], "medium")
    with pytest.raises(IoError):
        diskimage.copy(medium, tmp_path / "a.img")
    done = diskimage.copy(medium, tmp_path / "a.img", hashes=["md5"], verify=True, salvage=True)
    assert done.bad == Ranges([(4608, 512)])
    expected = patched(GUEST[: 3 * MIB], done.bad)
    assert (tmp_path / "a.img").read_bytes() == expected
    assert done.digests == {"md5": hashlib.md5(expected).hexdigest()}
    with pytest.raises(UsageError, match="twice"):
        diskimage.copy("-", tmp_path / "b.img", salvage=True)


def test_a_missing_parent_is_no_damage(peer: Callable[[str], str], tmp_path: Path) -> None:
    tool = peer("qemu-img")
    qemu(tool, "create", "-f", "raw", tmp_path / "base.raw", "1M")
    qemu(tool, "create", "-f", "qcow2", "-b", "base.raw", "-F", "raw", tmp_path / "top.qcow2")
    with pytest.raises(RefusedReferenceError):
        diskimage.hash(tmp_path / "top.qcow2", salvage=True)


def test_frames_that_fail_are_lost_and_frames_are_not_salvaged(tmp_path: Path) -> None:
    sample = cue.samples()[0]
    name = next(name for name in sample.files if name != sample.main)
    image = bytearray(sample.files[name])
    image[3 * 2352 + 500] ^= 1
    path = sample.write(tmp_path, **{name.replace(".", "_"): bytes(image)})
    done = diskimage.convert(path, tmp_path / "b.iso", salvage=True)
    assert done.bad == Ranges([(3 * 2048, 2048)])
    assert (tmp_path / "b.iso").read_bytes() == patched(sample.guest, done.bad)
    with pytest.raises(UsageError, match="frames are not salvaged"):
        diskimage.convert(path, tmp_path / "c.mds", salvage=True)


def test_chunks_of_evidence_are_lost_one_by_one(tmp_path: Path) -> None:
    sample = e01.samples()[0]
    image = bytearray(sample.files[sample.main])
    at = image.index(b"sectors\0") + 76 + 40
    image[at] ^= 0x10
    (tmp_path / sample.main).write_bytes(image)
    for name, content in sample.files.items():
        if name != sample.main:
            (tmp_path / name).write_bytes(content)
    bad, content = salvage(tmp_path / sample.main)
    assert len(bad) == 1
    assert content == patched(sample.guest, bad)


def flipped(image: bytes, at: int) -> bytes:
    """`image` with eight bytes changed, which no codec survives."""
    return image[:at] + bytes(byte ^ 0xA5 for byte in image[at : at + 8]) + image[at + 8 :]


@pytest.mark.parametrize(
    ("sample", "at"), [(dmg.samples()[0], 20), (isz.samples()[0], 10433)], ids=["dmg", "isz"]
)
def test_a_chunk_of_any_format_is_lost_alone(sample: Sample, at: int, tmp_path: Path) -> None:
    path = sample.write(tmp_path)
    path.write_bytes(flipped(sample.files[sample.main], at))
    bad, content = salvage(path)
    assert 0 < bad.total < len(sample.guest)
    assert content == patched(sample.guest, bad)


def test_a_hunk_of_a_chd_is_lost_alone(peer: Callable[[str], str], tmp_path: Path) -> None:
    size = len(GUEST) // (8 * 512) * (8 * 512)
    (tmp_path / "a.raw").write_bytes(GUEST[:size])
    path = tmp_path / "a.chd"
    shape = f"{size // (8 * 512)},2,4"
    qemu(peer("chdman"), "createhd", "-i", tmp_path / "a.raw", "-o", path, "-chs", shape)
    path.write_bytes(flipped(path.read_bytes(), path.stat().st_size // 2))
    bad, content = salvage(path)
    assert bad.total == 4096
    assert content == patched(GUEST[:size], bad)


def test_what_a_parent_has_of_a_damaged_layer_is_kept(
    peer: Callable[[str], str], tmp_path: Path
) -> None:
    """The layer's last cluster is cut; what it leaves to its parent reads on."""
    tool, base, top = peer("qemu-img"), tmp_path / "base.raw", tmp_path / "top.qcow2"
    base.write_bytes(GUEST)
    qemu(tool, "create", "-f", "qcow2", "-b", "base.raw", "-F", "raw", top)
    qemu(peer("qemu-io"), "-c", "write -P 1 64k 64k", "-c", "write -P 2 1M 64k", top)
    top.write_bytes(top.read_bytes()[:-60_000])
    target = tmp_path / "out.raw"
    done = diskimage.convert(top, target, references="siblings", salvage=True)
    assert [one.start // 65536 for one in done.bad] == [16]
    expected = bytearray(GUEST)
    expected[65536 : 2 * 65536] = b"\1" * 65536
    expected[MIB : MIB + 65536] = b"\2" * 65536
    assert target.read_bytes() == patched(bytes(expected), done.bad)
