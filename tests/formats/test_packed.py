"""gzip, bzip2, xz and zstd as disks: beside the tools that write them, and damaged."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import random
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from diskimage import image
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    ExistsError,
    LimitError,
    MissingError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)
from diskimage.jobs.check import check
from diskimage.jobs.convert import convert
from diskimage.limits import LIMITS
from diskimage.sources import unpacked
from tests.makers import gzip as gz, xz, zstd
from tests.makers.gzip import disk

Peer = Callable[[str], str]
DISK = disk(9 << 20, 5)
WRITTEN = {
    "gz": [["gzip", "-1"], ["gzip", "-9"], ["pigz", "-p2"], ["pigz", "-p2", "-i"]],
    "bz2": [["bzip2", "-1"], ["bzip2", "-9"]],
    "xz": [["xz", "-1"], ["xz", "-0", "--block-size=700KiB"], ["xz", "-0", "-Csha256", "-T2"]],
    "zst": [["zstd", "-3"], ["zstd", "-1", "--no-check"], ["pzstd", "-q", "-p2"]],
}
PEERS = [(suffix, command) for suffix, commands in WRITTEN.items() for command in commands]
TEST = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}


def packed(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def read(path: Path) -> bytes:
    with image.open(path) as opened:
        return opened.read(0, opened.size)


def flipped(content: bytes, at: int, by: int = 1) -> bytes:
    changed = bytearray(content)
    changed[at] ^= by
    return bytes(changed)


@pytest.mark.parametrize(
    ("suffix", "command"), PEERS, ids=[" ".join(command) for _, command in PEERS]
)
def test_what_a_peer_packs_reads_at_random(
    suffix: str, command: list[str], peer: Peer, tmp_path: Path
) -> None:
    plain = packed(tmp_path, "a.img", DISK)
    tool = [peer(command[0]), *command[1:]]
    target = tmp_path / f"a.img.{suffix}"
    out = ["-o", str(target), str(plain)] if command[0] == "pzstd" else ["-c", str(plain)]
    made = subprocess.run([*tool, *out], capture_output=True, check=True)
    if made.stdout:
        target.write_bytes(made.stdout)
    draw = random.Random(1)
    with image.open(target) as opened:
        assert opened.size == len(DISK)
        assert opened.warnings == ()
        for _ in range(60):
            start, length = draw.randrange(len(DISK)), draw.randrange(1 << 17)
            assert opened.read(start, length) == DISK[start : start + length]
        assert opened.read(0, opened.size) == DISK
    assert check(target).ok


@pytest.mark.parametrize("suffix", WRITTEN)
@pytest.mark.parametrize("size", [len(DISK), 0, 1, 1 << 20])
def test_what_is_written_a_peer_unpacks(suffix: str, size: int, peer: Peer, tmp_path: Path) -> None:
    plain = packed(tmp_path, "a.img", DISK[:size])
    target = tmp_path / f"b.img.{suffix}"
    convert(plain, target, format="raw")
    tool = peer(TEST[suffix])
    subprocess.run([tool, "-t", target], check=True, capture_output=True)
    unpacked = subprocess.run([tool, "-dc", target], check=True, capture_output=True).stdout
    assert unpacked == DISK[:size]
    assert read(target) == DISK[:size]


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("gz", {"level": 1}), ("bz2", {"level": 2}), ("xz", {"level": 1, "chunk": "64K"}),
     ("zst", {"level": 9, "chunk": "2M"})],
)  # fmt: skip
def test_options_are_kept_and_wrong_ones_refused(
    suffix: str, options: dict[str, object], tmp_path: Path
) -> None:
    plain = packed(tmp_path, "a.img", DISK)
    target = tmp_path / f"b.img.{suffix}"
    convert(plain, target, options=options)
    assert read(target) == DISK
    for wrong in ({"level": 99}, {"level": "x"}, {"chunk": 5}):
        with pytest.raises(UsageError):
            convert(plain, tmp_path / f"c.img.{suffix}", options=wrong)


def test_a_seek_table_finds_frames_without_reading_them(tmp_path: Path) -> None:
    """As the seekable format has it: the rows sum up to the file and to the disk."""
    target = tmp_path / "a.img.zst"
    convert(packed(tmp_path, "a.img", DISK), target, options={"chunk": "1M"})
    content = target.read_bytes()
    count, flags, magic = struct.unpack("<IBI", content[-9:])
    assert (count, flags, magic) == (9, 0, 0x8F92EAB1)
    rows = struct.unpack(f"<{2 * count}I", content[-9 - 8 * count : -9])
    assert sum(rows[1::2]) == len(DISK)
    assert sum(rows[::2]) == len(content) - 9 - 8 * count - 8


def test_members_are_of_bgzf(tmp_path: Path) -> None:
    target = tmp_path / "a.img.gz"
    convert(packed(tmp_path, "a.img", DISK[: 1 << 20]), target)
    content, at, plain = target.read_bytes(), 0, b""
    while at < len(content):
        assert content[at : at + 4] == b"\x1f\x8b\x08\x04"
        assert content[at + 12 : at + 16] == b"BC\2\0"
        length = 1 + int.from_bytes(content[at + 16 : at + 18], "little")
        plain += gzip.decompress(content[at : at + length])
        at += length
    assert plain == DISK[: 1 << 20]
    assert content.endswith(
        bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
    )


MEMBER = gz.one(DISK[:400_000])
BLOCKS = bz2.compress(DISK[:400_000], 1)
STREAM = xz.stream([DISK[:150_000], DISK[150_000:400_000]])
FRAME = zstandard.ZstdCompressor(write_checksum=True).compress(DISK[:400_000])
WRONG: list[tuple[str, bytes, type[DiskImageError]]] = [
    ("a.img.gz", flipped(MEMBER, -8), ChecksumError),
    ("a.img.gz", flipped(MEMBER, -1), ChecksumError),
    ("a.img.gz", MEMBER[:-9], TruncatedError),
    ("a.img.gz", MEMBER[:5000], TruncatedError),
    ("a.img.gz", MEMBER + MEMBER[:7], TruncatedError),
    ("a.img.gz", MEMBER + b"\x1f\x8b\x07" + bytes(30), UnsupportedError),
    ("a.img.gz", gz.one(b"x", coded=b"\x07" + bytes(9)), CorruptError),
    ("a.img.gz", flipped(gz.one(DISK[:999], header_sum=True), 4), ChecksumError),
    ("a.img.gz", gz.one(b"x", name=b"n" * 300_000), LimitError),
    ("a.img.gz", flipped(gz.bgzf(DISK[:400_000]), 3000), DiskImageError),
    ("a.img.bz2", flipped(BLOCKS, 11), ChecksumError),
    ("a.img.bz2", flipped(BLOCKS, 30), CorruptError),
    ("a.img.bz2", flipped(BLOCKS, -2, 16), ChecksumError),
    ("a.img.bz2", BLOCKS[:-1], TruncatedError),
    ("a.img.bz2", BLOCKS[: len(BLOCKS) // 2], TruncatedError),
    ("a.img.bz2", BLOCKS + b"BZh9", TruncatedError),
    ("a.img.xz", flipped(STREAM, -20), ChecksumError),
    ("a.img.xz", flipped(STREAM, 11 + len(xz.block(DISK[:150_000], 1)[0])), ChecksumError),
    ("a.img.xz", flipped(STREAM, 3000), CorruptError),
    ("a.img.xz", STREAM[:-1], TruncatedError),
    ("a.img.xz", STREAM + b"more", CorruptError),
    ("a.img.xz", STREAM + bytes(3), CorruptError),
    ("a.img.xz", flipped(STREAM, 7), CorruptError),
    ("a.img.zst", flipped(FRAME, -1), ChecksumError),
    ("a.img.zst", FRAME[:-5], TruncatedError),
    ("a.img.zst", FRAME + bytes(8), CorruptError),
    ("a.img.zst", b"\x28\xb5\x2f\xfd\x01\x48\x05\x01\0\0", UnsupportedError),
    ("a.img.zst", zstd.plain_frame(DISK[:9], window=0x90), LimitError),
    ("a.img.zst", zstd.skipped(b"") + b"\x26\xb5\x2f\xfd" + bytes(40), DiskImageError),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "error"), WRONG, ids=range(len(WRONG)))
def test_damage_is_an_error_of_its_kind(
    name: str, content: bytes, error: type[DiskImageError], tmp_path: Path
) -> None:
    path = packed(tmp_path, name, content)
    with pytest.raises(error) as caught:
        read(path)
    assert caught.value.at is not None or error is DiskImageError


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.img.gz", MEMBER + b"more"), ("a.img.bz2", BLOCKS + b"more")],
    ids=["gzip", "bzip2"],
)
def test_what_follows_is_ignored_with_a_warning_as_the_tools_do(
    name: str, content: bytes, peer: Peer, tmp_path: Path
) -> None:
    path = packed(tmp_path, name, content)
    with image.open(path) as opened:
        assert [w.kind for w in opened.warnings if w.kind != "size"] == ["garbage"]
        assert opened.read(0, opened.size) == DISK[:400_000]
    tool = peer(TEST[path.suffix[1:]])
    theirs = subprocess.run([tool, "-dc", path], capture_output=True, check=False)
    assert theirs.stdout == DISK[:400_000]


def test_a_lost_end_of_bgzf_is_told(tmp_path: Path) -> None:
    path = packed(tmp_path, "a.img.gz", gz.bgzf(DISK[: 512 * 300])[:-28])
    with image.open(path) as opened:
        assert [w.kind for w in opened.warnings] == ["end"]


@pytest.mark.parametrize(
    ("inside", "word"),
    [(b"QFI\xfb\0\0\0\3" + bytes(1016), "qcow2"), (gzip.compress(DISK[:512]), "gzip"),
     (bytes(32769) + b"CD001\1" + bytes(2041), "iso"), (b"text" * 128, "neither")],
    ids=["qcow2", "gzip", "iso", "text"],
)  # fmt: skip
def test_one_wrapping_is_taken_off_and_what_is_inside_is_named(
    inside: bytes, word: str, tmp_path: Path
) -> None:
    path = packed(tmp_path, "some.thing.gz", gzip.compress(inside))
    with image.open(path) as opened:
        told = [w.message for w in opened.warnings if w.kind == "content"]
        assert len(told) == 1
        assert word in told[0]
        assert opened.read(0, opened.size) == inside


def test_parts_of_a_set_are_one_file_and_a_missing_one_is_named(tmp_path: Path) -> None:
    names = ["a.img.xz.aa", "a.img.xz.ab", "a.img.xz.ac"]
    for row, name in enumerate(names):
        packed(tmp_path, name, STREAM[row * 20_000 : (row + 1) * 20_000 if row < 2 else None])
    assert read(tmp_path / names[0]) == DISK[:400_000]
    (tmp_path / names[1]).unlink()
    with pytest.raises(MissingError, match="ab is missing"):
        read(tmp_path / names[0])


def slow(tmp_path: Path) -> Path:
    """A file without a table of its own."""
    return packed(tmp_path, "a.img.gz", gz.one(DISK, coded=gz.deflated(DISK, 1, memory=1)))


def test_an_index_is_kept_where_asked_and_used_again(tmp_path: Path) -> None:
    path, index = slow(tmp_path), tmp_path / "kept"
    with image.open(path, index=str(index)) as opened:
        assert opened.read(0, opened.size) == DISK
        assert opened.info["entries"] == 1 or index.stat().st_size > 1000
    before = index.read_bytes()
    with image.open(path, index=str(index)) as opened:
        assert opened.read(5 << 20, 9999) == DISK[5 << 20 :][:9999]
        assert opened.warnings == ()
    assert index.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.img.gz", "kept"]


def test_an_index_of_another_file_is_made_again_and_a_damaged_one_refused(tmp_path: Path) -> None:
    path, index = slow(tmp_path), tmp_path / "kept"
    image.open(path, index=str(index)).close()
    path.write_bytes(gz.one(DISK[: 1 << 20]))
    with image.open(path, index=str(index)) as opened:
        assert [w.kind for w in opened.warnings] == ["index"]
        assert opened.read(0, opened.size) == DISK[: 1 << 20]
    index.write_bytes(flipped(index.read_bytes(), 40))
    with pytest.raises(CorruptError, match="damaged index"):
        image.open(path, index=str(index))
    index.write_bytes(b"notes of mine, not an index")
    with pytest.raises(ExistsError):
        image.open(path, index=str(index))
    assert index.read_bytes() == b"notes of mine, not an index"


@pytest.mark.parametrize("size", [1 << 63, 1 << 70, 0, -5])
def test_an_index_of_no_size_there_is_is_damaged(size: int, tmp_path: Path) -> None:
    path, index = packed(tmp_path, "a.img.gz", gz.one(DISK[:5000])), tmp_path / "a.index"
    image.open(path, index=str(index)).close()
    body = index.read_bytes()[:-32]
    length = int.from_bytes(body[8:12], "little")
    told = json.dumps({**json.loads(body[12 : 12 + length]), "size": size}).encode()
    body = body[:8] + len(told).to_bytes(4, "little") + told + body[12 + length :]
    index.write_bytes(body + hashlib.sha256(body).digest())
    with pytest.raises(CorruptError, match="damaged index"):
        image.open(path, index=str(index))


def test_an_empty_file_has_an_index_too(tmp_path: Path) -> None:
    path, index = packed(tmp_path, "a.img.gz", gz.one(b"")), str(tmp_path / "a.index")
    for _ in range(2):
        with image.open(path, index=index) as opened:
            assert opened.size == 0


def test_a_file_changed_behind_its_index_is_seen(tmp_path: Path) -> None:
    """Same length, time and head: the sum of the stretch tells."""
    path, index = slow(tmp_path), tmp_path / "kept"
    image.open(path, index=str(index)).close()
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(flipped(content, len(content) * 2 // 3))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(DiskImageError), image.open(path, index=str(index)) as opened:
        opened.read(0, opened.size)


def test_a_large_stretch_reads_backwards_too(tmp_path: Path) -> None:
    """One block of 40 MiB: a decoder goes on, and behind it a temporary file is kept."""
    guest = b"".join(DISK[at:] + DISK[:at] for at in range(0, 5 << 20, 1 << 20))[: 40 << 20]
    for name, content in (
        ("a.img.xz", lzma.compress(guest, preset=0)),
        ("a.img.zst", zstandard.compress(guest)),
        ("a.img.gz", gz.one(guest)),
    ):
        with image.open(packed(tmp_path, name, content)) as opened:
            for start in (0, 39 << 20, 1000, 20 << 20, 5, 33 << 20):
                assert opened.read(start, 70_000) == guest[start : start + 70_000]


def test_a_large_stretch_reads_at_once(tmp_path: Path) -> None:
    """More than a decoder that goes on keeps behind it, asked for in one read."""
    guest = b"".join(DISK[at:] + DISK[:at] for at in range(0, 6 << 20, 1 << 20))[: 48 << 20]
    assert len(guest) > unpacked.BEHIND + (8 << 20)
    with image.open(packed(tmp_path, "a.img.zst", zstandard.compress(guest))) as opened:
        assert opened.read(70_000, len(guest)) == guest[70_000:]


def test_a_bomb_that_tells_no_length_is_a_limit(tmp_path: Path) -> None:
    limits = replace(LIMITS, blind=1 << 20)
    many = b"".join(bz2.compress(bytes(1 << 20)) for _ in range(3))
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(3 << 20))
    for name, content in (("a.img.bz2", many), ("a.img.zst", silent)):
        with pytest.raises(LimitError, match="blind"):
            image.open(packed(tmp_path, name, content), limits=limits)
    told = zstandard.ZstdCompressor().compress(bytes(3 << 20))
    with image.open(packed(tmp_path, "b.img.zst", told), limits=limits) as opened:
        assert opened.size == 3 << 20


def test_an_xz_that_tells_petabytes_opens_without_decoding_them(tmp_path: Path) -> None:
    whole, unpadded = xz.block(DISK[:1000], lzma.CHECK_CRC32)
    size = 1 << 50
    index = b"\0" + xz.number(1) + xz.number(unpadded) + xz.number(size)
    index += bytes(-len(index) % 4)
    index += struct.pack("<I", zlib.crc32(index))
    tail = struct.pack("<I", len(index) // 4 - 1) + b"\0\1"
    head = b"\xfd7zXZ\0\0\1" + struct.pack("<I", zlib.crc32(b"\0\1"))
    end = struct.pack("<I", zlib.crc32(tail)) + tail + b"YZ"
    path = packed(tmp_path, "a.img.xz", head + whole + index + end)
    with pytest.raises(CorruptError):
        read_head(path)


def read_head(path: Path) -> bytes:
    with image.open(path) as opened:
        return opened.read(0, 4096)


def test_a_mark_inside_of_a_bzip2_block_is_none(tmp_path: Path) -> None:
    """A file is cut at no mark that only looks like one: here in what follows a stream."""
    content = BLOCKS + bytes.fromhex("314159265359") * 3
    assert read(packed(tmp_path, "a.img.bz2", content)) == DISK[:400_000]
