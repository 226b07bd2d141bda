"""Images that are cut, or have a hole in their index, made by foreign tools: what is there is the
original's, what is not is listed or said, and without being asked nothing of it opens."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import DiskImageError, UsageError
from diskimage.jobs.convert import Converted
from diskimage.ranges import Ranges
from tests.bounded import Run
from tests.makers import isz

Peer = Callable[[str], str]
draw = random.Random(11)
MIB = 1 << 20
GUEST = b"".join(
    bytes(65536) if n % 7 == 3 else draw.randbytes(65536) if n % 7 < 3 else b"text %06d " % n * 5462
    for n in range(80)
)[: 5 * MIB]
PART = 700_000
WAYS = {
    "gzip": (["gzip", "-c"], ".gz"),
    "pigz": (["pigz", "-c", "-p2"], ".gz"),
    "bzip2": (["bzip2", "-c", "-1"], ".bz2"),
    "xz -T2": (["xz", "-c", "-1", "-T2", "--block-size=1MiB"], ".xz"),
    "xz -T1": (["xz", "-c", "-0", "-T1"], ".xz"),
    "zstd": (["zstd", "-c"], ".zst"),
    "pzstd": (["pzstd", "-c", "-1"], ".zst"),
}
CUTS = (0.003, 0.21, 0.5, 0.77, 0.97)


def packed(peer: Peer, label: str, plain: bytes = GUEST) -> bytes:
    """What a tool makes of `plain`, which it reads from a pipe."""
    command = [peer(WAYS[label][0][0]), *WAYS[label][0][1:]]
    return subprocess.run(command, input=plain, capture_output=True, check=True).stdout


def salvage(path: Path, guest: bytes = GUEST) -> tuple[Converted, int]:
    """The report, and how many bytes are right; any that is neither right nor listed fails."""
    target = path.with_name("salvaged.raw")
    done = diskimage.convert(path, target, salvage=True, overwrite=True, durable=False)
    content = target.read_bytes()
    assert len(content) == done.size <= len(guest)
    expected = bytearray(guest[: len(content)])
    for start, length in done.bad:
        expected[start : start + length] = bytes(length)
    assert content == expected
    good = len(content) - done.bad.total
    assert good == len(guest) or done.bad or done.faults
    assert set(done.faults) <= set(done.warnings)
    return done, good


def flipped(image: bytes, at: int) -> bytes:
    return image[:at] + bytes([image[at] ^ 0x55]) + image[at + 1 :]


@pytest.mark.parametrize("label", WAYS)
def test_what_is_before_the_cut_of_a_packed_disk_is_read(
    label: str, peer: Peer, tmp_path: Path
) -> None:
    whole = packed(peer, label)
    path = tmp_path / f"a.raw{WAYS[label][1]}"
    path.write_bytes(whole)
    assert salvage(path)[0].faults == ()
    for part in CUTS:
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(DiskImageError):
            diskimage.open(path)
        if label == "bzip2" and part < 0.1:
            continue  # not one block is there
        done, good = salvage(path)
        assert "truncated" in {fault.kind for fault in done.faults}
        assert good > (part - 0.15) * len(GUEST)


@pytest.mark.parametrize("label", ["gzip", "xz -T1", "xz -T2", "zstd"])
@pytest.mark.parametrize("hits", [(0.02,), (0.5,), (0.4, 0.8)])
def test_members_and_blocks_behind_damage_are_read(
    label: str, hits: tuple[float, ...], peer: Peer, tmp_path: Path
) -> None:
    """Each in a file of its own; zstd tells the plain bytes of a file, not of a pipe."""
    pieces = [GUEST[at : at + PART] for at in range(0, len(GUEST), PART)]
    if label == "zstd":
        files = [tmp_path / f"{n}" for n in range(len(pieces))]
        for file, piece in zip(files, pieces, strict=True):
            file.write_bytes(piece)
        whole = b"".join(
            subprocess.run([peer("zstd"), "-c", f], capture_output=True, check=True).stdout
            for f in files
        )
    else:
        whole = b"".join(packed(peer, label, piece) for piece in pieces)
    path = tmp_path / f"a.raw{WAYS[label][1]}"
    image = whole
    for hit in hits:
        image = flipped(image, int(len(image) * hit))
    path.write_bytes(image)
    done, good = salvage(path)
    assert done.size == len(GUEST)
    assert [row.length for row in done.bad] == [PART] * len(hits)
    assert good == len(GUEST) - PART * len(hits)


def test_what_has_no_sure_place_is_not_given(peer: Peer, tmp_path: Path) -> None:
    """A hole over several members hides how many bytes they had; of a bzip2 block nobody tells."""
    members = [packed(peer, "gzip", GUEST[at : at + PART]) for at in range(0, len(GUEST), PART)]
    begin, stop = len(members[0]) + 100, sum(map(len, members[:3])) + 100
    path = tmp_path / "a.raw.gz"
    path.write_bytes(b"".join(members)[:begin] + bytes(stop - begin) + b"".join(members)[stop:])
    done, good = salvage(path)
    assert done.size == good == PART
    whole = packed(peer, "bzip2")
    path = tmp_path / "a.raw.bz2"
    path.write_bytes(flipped(whole, len(whole) // 2))
    done, good = salvage(path)
    assert done.faults
    assert 2 * MIB < done.size == good < 3 * MIB


def test_where_nothing_can_be_read_it_stays_an_error(peer: Peer, tmp_path: Path) -> None:
    whole = packed(peer, "gzip")
    (tmp_path / "a.raw.gz").write_bytes(flipped(whole, len(whole) // 2))
    with pytest.raises(DiskImageError, match="nothing of it can be read"):
        diskimage.convert(tmp_path / "a.raw.gz", tmp_path / "b.raw", salvage=True)
    assert not (tmp_path / "b.raw").exists()
    with pytest.raises(UsageError, match="not written"):
        diskimage.open(tmp_path / "a.raw.gz", mode="r+", salvage=True)


def test_commands_tell_of_a_cut_and_end_with_1(
    peer: Peer, dim: str, run: Run, tmp_path: Path
) -> None:
    whole = packed(peer, "gzip")
    path = tmp_path / "a.raw.gz"
    path.write_bytes(whole[: len(whole) // 2])
    done = run([dim, "convert", path, tmp_path / "b.raw", "--salvage", "--json"])
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [fault["kind"] for fault in told["faults"]] == ["truncated"]
    assert told["faults"][0] in told["warnings"]
    for verb in ("hash", "map"):
        shown = run([dim, verb, path, "--salvage"])
        assert shown.returncode == 1
        assert "warning[truncated]" in shown.stderr


@pytest.fixture
def evidence(peer: Peer, tmp_path: Path) -> dict[str, bytes]:
    """A set of segments: the files by name, all in `tmp_path`."""
    (tmp_path / "guest").write_bytes(GUEST)
    options = ["-u", "-c", "deflate:none", "-S", "1048576", "-t"]
    command: list[str | Path] = [
        peer("ewfacquire"), *options, tmp_path / "x", tmp_path / "guest",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return {file.name: file.read_bytes() for file in sorted(tmp_path.glob("x.E*"))}


def test_of_missing_segments_the_others_are_read(
    evidence: dict[str, bytes], tmp_path: Path
) -> None:
    names = list(evidence)
    assert len(names) > 3
    total = sum(map(len, evidence.values()))
    for lost in (names[-1:], names[1:2], names[2:3], names[1:3], names[1:]):
        for name in lost:
            (tmp_path / name).unlink()
        with pytest.raises(DiskImageError):
            diskimage.open(tmp_path / "x.E01")
        done, good = salvage(tmp_path / "x.E01")
        assert done.size == len(GUEST)
        assert len(done.bad) == 1
        assert "missing" in {fault.kind for fault in done.faults}
        there = total - sum(len(evidence[name]) for name in lost)
        assert good > 0.5 * len(GUEST) * there / total
        for name in lost:
            (tmp_path / name).write_bytes(evidence[name])
    for name in (names[1], names[-2]):  # two gaps: between them nothing has a place
        (tmp_path / name).unlink()
    assert len(salvage(tmp_path / "x.E01")[0].bad) == 1


def test_of_cut_segments_the_others_are_read(evidence: dict[str, bytes], tmp_path: Path) -> None:
    for name in list(evidence)[:2] + list(evidence)[-1:]:
        path = tmp_path / name
        for part in (0.02, 0.5, 0.98):
            path.write_bytes(evidence[name][: int(len(evidence[name]) * part)])
            done, good = salvage(tmp_path / "x.E01")
            assert len(done.bad) == 1
            assert good > len(GUEST) // 2
        path.write_bytes(evidence[name])


def test_of_a_cut_sparse_image_the_rest_is_read(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "guest").write_bytes(GUEST)
    path = tmp_path / "a.simg"
    subprocess.run([peer("img2simg"), tmp_path / "guest", path], check=True)
    whole = path.read_bytes()
    for part in CUTS:
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(DiskImageError):
            diskimage.open(path)
        done, good = salvage(path)
        assert done.bad == Ranges([(good, len(GUEST) - good)])
        assert good > (part - 0.15) * len(GUEST)


def test_of_a_set_of_sparse_images_the_other_parts_are_read(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "guest").write_bytes(GUEST)
    subprocess.run([peer("img2simg"), tmp_path / "guest", tmp_path / "a"], check=True)
    split: list[str | Path] = [
        peer("simg2simg"),
        tmp_path / "a",
        tmp_path / "s_sparsechunk",
        "1200000",
    ]
    subprocess.run(split, check=True, capture_output=True)
    files = {file.name: file.read_bytes() for file in tmp_path.glob("s_sparsechunk.*")}
    assert len(files) > 3
    first = tmp_path / "s_sparsechunk.0"
    assert salvage(first)[0].faults == ()
    for number in range(len(files) - 1):
        name = f"s_sparsechunk.{number}"
        (tmp_path / name).write_bytes(files[name][: len(files[name]) // 2])
        done, good = salvage(first)
        assert len(done.bad) == 1
        assert good > len(GUEST) // 2
        if number:
            (tmp_path / name).unlink()
            done, good = salvage(first)
            assert len(done.bad) == 1
            assert good > len(GUEST) // 2
        (tmp_path / name).write_bytes(files[name])


def test_of_a_vdi_that_ends_in_its_map_nothing_is_zeros(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "guest").write_bytes(GUEST)
    path = tmp_path / "a.vdi"
    subprocess.run([peer("qemu-img"), "convert", "-O", "vdi", tmp_path / "guest", path], check=True)
    whole = path.read_bytes()
    for length in (512, 520, 4096, MIB, 3 * MIB + 5):
        path.write_bytes(whole[:length])
        done, good = salvage(path)
        assert done.size == len(GUEST)
        assert good == max(0, length - 1024) // 512 * 512  # header and map take two sectors
    path.write_bytes(whole[:520])
    with pytest.raises(DiskImageError, match="block map"):
        diskimage.open(path)


def test_of_missing_segments_of_an_isz_the_others_are_read(tmp_path: Path) -> None:
    sample = next(one for one in isz.samples() if len(one.files) > 2)
    path = sample.write(tmp_path)
    for name in sample.files:
        if name != sample.main:
            content = (tmp_path / name).read_bytes()
            (tmp_path / name).unlink()
            done, good = salvage(path, sample.guest)
            assert done.bad
            assert good > len(sample.guest) // 2
            (tmp_path / name).write_bytes(content)
