"""bmap files: those of bmaptool and of every version; copies by them; those that we write."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    LimitError,
    UnsupportedError,
    UsageError,
)
from diskimage.jobs.copy import copy
from diskimage.jobs.hash import block_map
from diskimage.jobs.verify import verify
from diskimage.layers import bmap
from diskimage.layers.bmap import Bmap, Mapped, RangeSums, load
from diskimage.layers.records import Placed
from diskimage.limits import LIMITS
from diskimage.model import Extent, Kind
from diskimage.ranges import Range
from diskimage.sources.memory import MemorySource
from tests.makers import naive
from tests.makers.raw import make

Peer = Callable[[str], str]
MIB = 1 << 20
SIZE = 12 * MIB + 100  # the last block is short
HEADED = {"1.2": "", "1.3": "sha1", "1.4": "chksum", "2.0": "chksum"}


def xml(
    version: str, size: int, ranges: Iterable[tuple[str, str]], *, mapped: int, algorithm: str = "",
    block: int = 4096, blocks: int | None = None, own: str = "",
) -> bytes:  # fmt: skip
    """A bmap as bmap-tools writes it: its own digest over itself with zeros in its place."""
    name = HEADED.get(version, "chksum")
    blocks = -(-size // block) if blocks is None else blocks
    rows = "".join(
        f'<Range {name}="{digits}"> {text} </Range>\n' if name else f"<Range> {text} </Range>\n"
        for text, digits in ranges
    )
    tag = {"sha1": "BmapFileSHA1", "chksum": "BmapFileChecksum", "": ""}[name]
    digest = algorithm or ("sha1" if name == "sha1" else "sha256")
    kind = f"<ChecksumType> {digest} </ChecksumType>\n" if name == "chksum" else ""
    zeros = "0" * (2 * hashlib.new(digest).digest_size)
    text = (
        f'<?xml version="1.0" ?>\n<!-- a comment -->\n<bmap version="{version}">\n'
        f"<ImageSize> {size} </ImageSize><BlockSize> {block} </BlockSize>\n"
        f"<BlocksCount> {blocks} </BlocksCount>\n"
        f"<MappedBlocksCount> {mapped}  </MappedBlocksCount>\n{kind}"
        + (f"<{tag}> {zeros} </{tag}>\n" if tag else "")
        + f"<BlockMap>\n{rows}</BlockMap></bmap>\n"
    )
    found = hashlib.new(digest, text.encode()).hexdigest()
    return text.replace(zeros, own or found).encode()


def pieces() -> Iterator[tuple[int, bytes]]:
    chance = random.Random(11)
    yield 0, chance.randbytes(9000)
    yield 3 * MIB, chance.randbytes(MIB + 1)
    yield 5 * MIB, bytes(MIB)  # zeros that are stored
    yield SIZE - 50, b"the end." * 6 + b"!!"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return make(tmp_path / "disk.raw", SIZE, dict(pieces()))


def mapped_of(disk: Path, algorithm: str = "sha256") -> tuple[list[tuple[str, str]], int]:
    """Ranges of blocks that hold the pieces, with their digests."""
    content = disk.read_bytes()
    rows, total = [], 0
    for first, last in ((0, 2), (768, 1024), (1280, 1535), (3072, 3072)):
        digits = hashlib.new(algorithm, content[first * 4096 : (last + 1) * 4096]).hexdigest()
        rows.append((f"{first}-{last}" if last > first else str(first), digits))
        total += last + 1 - first
    return rows, total


def told(disk: Path, version: str = "2.0", algorithm: str = "sha256") -> Path:
    rows, total = mapped_of(disk, "sha1" if version == "1.3" else algorithm)
    path = disk.with_suffix(".bmap")
    made = xml(version, SIZE, rows, mapped=total, algorithm=algorithm if version > "1.3" else "")
    path.write_bytes(made)
    return path


@pytest.mark.parametrize(
    ("version", "algorithm"),
    [("1.2", ""), ("1.3", "sha1"), ("1.4", "sha256"), ("2.0", "sha256"), ("2.0", "sha512")],
)
def test_every_version_is_read_and_held(
    version: str, algorithm: str, disk: Path, tmp_path: Path
) -> None:
    path = told(disk, version, algorithm or "sha256")
    found = load(MemorySource(path.read_bytes()), LIMITS)
    assert (found.version, found.size, found.block, found.algorithm) == (
        version, SIZE, 4096, algorithm,
    )  # fmt: skip
    assert [one.start // 4096 for one in found.ranges] == [0, 768, 1280, 3072]
    assert found.ranges[-1].length == 100
    done = copy(disk, tmp_path / "out", bmap=path, verify=True)
    assert (tmp_path / "out").read_bytes() == disk.read_bytes()
    assert done.mapped == found.mapped
    assert [w.kind for w in done.warnings] == ([] if algorithm else ["checksum"])


WRONG = [
    (lambda t: t.replace(b"<bmap ", b"<other ").replace(b"</bmap", b"</other"), CorruptError),
    (lambda t: t.replace(b'"2.0"', b'"two"'), CorruptError),
    (lambda t: t.replace(b'"2.0"', b'"3.0"'), UnsupportedError),
    (lambda t: t.replace(b" sha256 ", b" crc8 "), UnsupportedError),
    (lambda t: t.replace(b"<BlockSize> 4096", b"<BlockSize> 0"), CorruptError),
    (lambda t: t.replace(b"<BlocksCount> ", b"<BlocksCount> 9"), CorruptError),
    (lambda t: t.replace(b"<MappedBlocksCount> ", b"<MappedBlocksCount> 9"), CorruptError),
    (lambda t: t.replace(b"<ImageSize> ", b"<ImageSize> -"), CorruptError),
    (lambda t: t.replace(b"768-1024", b"1-1024"), CorruptError),
    (lambda t: t.replace(b"768-1024", b"1024-768"), CorruptError),
    (lambda t: t.replace(b"1280-1535", b"1280-99999"), CorruptError),
    (lambda t: t.replace(b"768-1024", b"many"), CorruptError),
    (lambda t: re.sub(rb'chksum="..', b'chksum="', t), CorruptError),
    (lambda t: t.replace(b"a comment", b"another"), ChecksumError),
    (lambda t: t[:-20], CorruptError),
    (lambda t: t.replace(b"<!--", b'<!DOCTYPE a [<!ENTITY b "c">]><!--'), CorruptError),
]


@pytest.mark.parametrize(("change", "error"), WRONG)
def test_each_wrong_field_has_its_error(
    change: Callable[[bytes], bytes], error: type[DiskImageError], disk: Path
) -> None:
    text = told(disk).read_bytes()
    changed = change(text)
    assert changed != text
    with pytest.raises(error):
        load(MemorySource(changed), LIMITS)


def test_a_bmap_as_large_as_a_disk_is_the_limits_error(disk: Path) -> None:
    with pytest.raises(LimitError, match="block_map"):
        load(MemorySource(told(disk).read_bytes()), replace(LIMITS, block_map=500))


def test_what_bmaptool_wrote_is_read(disk: Path, tmp_path: Path, peer: Peer) -> None:
    path = tmp_path / "a.bmap"
    subprocess.run([peer("bmaptool"), "create", disk, "-o", path], check=True, capture_output=True)
    found = load(MemorySource(path.read_bytes()), LIMITS)
    assert found.version == "2.0"
    with diskimage.open(disk) as image:
        assert found.ranges == bmap.stored(image.device)
    assert found == block_map(disk).bmap
    copy(disk, tmp_path / "out", bmap=path)
    assert (tmp_path / "out").read_bytes() == disk.read_bytes()


def test_bmaptool_copies_by_what_we_wrote(disk: Path, tmp_path: Path, peer: Peer) -> None:
    qcow2, target = tmp_path / "a.qcow2", tmp_path / "b.img"
    size = SIZE // 512 * 512
    with disk.open("r+b") as out:
        out.truncate(size)
    diskimage.convert(disk, qcow2)
    done = diskimage.convert(qcow2, target, bmap=True)
    assert sorted(done.files) == [str(tmp_path / "b.bmap"), str(target)]
    command: list[str | Path] = [
        peer("bmaptool"),
        "copy",
        "--bmap",
        tmp_path / "b.bmap",
        target,
        tmp_path / "c",
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "c").read_bytes() == disk.read_bytes() == target.read_bytes()


def test_what_shares_a_block_is_in_one_range() -> None:
    source = MemorySource(bytes(16384))
    rows = [Extent(at, 512, Kind.DATA, source, at) for at in (0, 1024, 9216, 10240)]
    gaps = [(512, 512), (1536, 7680), (9728, 512), (10752, 5632)]
    rows += [Extent(start, length, Kind.ZERO, hole=True) for start, length in gaps]
    found = bmap.stored(Placed(sorted(rows, key=lambda row: row.start), 512))
    assert found == (Range(0, 4096), Range(8192, 4096))


def test_zeros_that_are_stored_are_in_the_map(disk: Path) -> None:
    """They are to be zeros on the target too; what takes no space need not be."""
    ranges = block_map(disk).bmap.ranges
    assert Range(5 * MIB, MIB) in ranges
    told = block_map(disk).to_json()
    assert (told["size"], told["algorithm"], told["block_size"]) == (SIZE, "sha256", 4096)
    digest = hashlib.sha256(bytes(MIB)).hexdigest()
    rows = told["ranges"]
    assert isinstance(rows, list)
    assert {"start": 5 * MIB, "length": MIB, "digest": digest} in rows
    assert sum(one.length for one in ranges) < 3 * MIB


def test_a_changed_byte_is_the_checksum_error_of_its_range(disk: Path, tmp_path: Path) -> None:
    path = told(disk)
    with disk.open("r+b") as out:
        out.seek(3 * MIB + 5)
        out.write(b"?")
    with pytest.raises(ChecksumError, match="bytes 3145728 to 4198400") as caught:
        copy(disk, tmp_path / "out", bmap=path)
    assert caught.value.at == 3 * MIB
    assert not (tmp_path / "out").exists()
    assert [row.status for row in verify(disk, path).rows] == [
        "match", "differs", "match", "match",
    ]  # fmt: skip


def test_what_is_not_mapped_is_holes_whatever_the_source_has(disk: Path, tmp_path: Path) -> None:
    path, content = told(disk), bytearray(disk.read_bytes())
    clean = bytes(content)
    content[8 * MIB : 8 * MIB + 4096] = b"#" * 4096
    disk.write_bytes(content)
    copy(disk, tmp_path / "out.img", bmap=path)
    assert (tmp_path / "out.img").read_bytes() == clean
    with diskimage.open(disk, bmap="disk.bmap") as image:
        assert image.read(0, image.size) == clean
        naive.lawful(image.device)
        assert diskimage.compare(image, tmp_path / "out.img").equal


def piped(words: list[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, input=content, capture_output=True, timeout=60, check=False)


def test_a_pipe_is_copied_by_a_bmap_too(disk: Path, tmp_path: Path, dim: str) -> None:
    path, target = told(disk), tmp_path / "out"
    content = bytearray(disk.read_bytes())
    clean = hashlib.sha256(content).hexdigest()
    content[8 * MIB] = 1  # of no account
    words = [dim, "copy", "-", str(target), "--bmap", str(path), "--verify", "--hash", "sha256"]
    done = piped(words, bytes(content))
    assert done.returncode == 0, done.stderr
    assert clean.encode() in done.stdout
    assert hashlib.sha256(target.read_bytes()).hexdigest() == clean
    content[0] ^= 1
    done = piped([*words, "--overwrite"], bytes(content))
    assert done.returncode == 4
    assert b"error[checksum]" in done.stderr


def test_a_bmap_of_another_image_is_refused(disk: Path, tmp_path: Path) -> None:
    path = told(disk)
    with disk.open("r+b") as out:
        out.truncate(SIZE - 1)
    for job in (
        lambda: copy(disk, tmp_path / "out", bmap=path),
        lambda: verify(disk, path),
        lambda: diskimage.open(disk, bmap="disk.bmap"),
    ):
        with pytest.raises(CorruptError, match="of an image of"):
            job()


def test_what_has_no_meaning_together_is_refused(disk: Path, tmp_path: Path) -> None:
    path, out = told(disk), tmp_path / "out"
    with pytest.raises(UsageError):
        copy(disk, out, leave_unmapped=True)
    with pytest.raises(UsageError):
        copy(disk, out, bmap=path, leave_unmapped=True, sparse=True)
    with pytest.raises(UsageError):
        copy(disk, out, bmap=path, salvage=True)
    with pytest.raises(UsageError):
        diskimage.convert(disk, tmp_path / "a.img", bmap="yes")
    with pytest.raises(UnsupportedError, match="no digests"):
        verify(disk, told(disk, "1.2"))
    with pytest.raises(DiskImageError):
        diskimage.convert(disk, "-", to="raw", bmap=True)


@st.composite
def cut(draw: st.DrawFn) -> tuple[bytes, list[Range], list[int]]:
    """Bytes, ranges of them, and pieces (negative: that many zeros that nobody reads)."""
    content = bytearray(draw(st.binary(max_size=400)))
    edges = sorted(draw(st.lists(st.integers(0, len(content)), unique=True)))
    ranges = [Range(a, b - a) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    steps, at = [], 0
    while at < len(content):
        length = min(len(content) - at, draw(st.integers(1, 90)))
        if draw(st.booleans()):
            content[at : at + length] = bytes(length)
            steps.append(-length)
        else:
            steps.append(length)
        at += length
    return bytes(content), ranges, steps


@given(cut())
@settings(max_examples=150)
def test_each_range_has_its_digest_however_the_bytes_come(
    made: tuple[bytes, list[Range], list[int]],
) -> None:
    content, ranges, steps = made
    found: list[tuple[Range, str]] = []
    sums, at = RangeSums(ranges, "sha256", lambda one, digits: found.append((one, digits))), 0
    for step in steps:
        if step < 0:
            sums.zeros(-step)
        else:
            sums.update(memoryview(content)[at : at + step])
        at += abs(step)
    assert found == [
        (one, hashlib.sha256(content[one.start : one.stop]).hexdigest()) for one in ranges
    ]


def test_a_device_of_ranges_is_lawful_and_solid_where_asked() -> None:
    data = MemorySource(b"x" * 8192)
    rows = [
        Extent(0, 8192, Kind.DATA, source=data),
        Extent(8192, 8192, Kind.ZERO, hole=True),
    ]
    ranges = [Range(4096, 8192)]
    expected = bytes(4096) + b"x" * 4096 + bytes(8192)
    for solid in (False, True):
        device = Mapped(naive.Rows(rows), ranges, solid=solid)
        naive.lawful(device)
        assert naive.read(device) == expected
        holes = sum(r.length for r in naive_rows(device) if r.hole)
        assert holes == (8192 if solid else 12288)


def naive_rows(device: Mapped) -> list[Extent]:
    from diskimage.runs import extents

    return list(extents(device))


def test_what_is_written_is_what_is_read() -> None:
    ranges = (Range(0, 4096), Range(12288, 4196))
    digests = tuple(hashlib.sha256(bytes([n])).hexdigest() for n in range(2))
    made = Bmap("2.0", 16484, 4096, ranges, digests=digests)
    assert load(MemorySource(bmap.text(made)), LIMITS) == made
    empty = Bmap("2.0", 0, 4096, ())
    assert load(MemorySource(bmap.text(empty)), LIMITS) == empty
