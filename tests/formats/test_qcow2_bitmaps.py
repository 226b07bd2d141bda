"""Dirty bitmaps of qcow2: those of qemu-img, and tables made here."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)
from diskimage.limits import LIMITS
from diskimage.ranges import Ranges
from tests.bounded import Run
from tests.makers.qcow2 import Maker

Peer = Callable[[str], str]
C9 = 512


def image(
    size: int, entries: Sequence[int | bytes], *, grain: int = 9, flags: int = 0,
    autoclear: int = 1, name: bytes = b"b0", declared: int | None = None,
) -> bytes:  # fmt: skip
    """A disk of 512-byte clusters with a bitmap; entries are words, or a cluster of bits."""

    def made(at: int) -> bytes:
        place = struct.pack(">IIQQ", 1, 0, 24 + len(name) + -len(name) % 8, at)
        return Maker(size, bits=9, autoclear=autoclear, extensions=[(0x23852875, place)]).image()

    out = made(1 << 20)
    at = len(out)
    out = made(at)
    assert len(out) == at
    count = len(entries) if declared is None else declared
    row = struct.pack(">QIIBBHI", at + C9, count, flags, 1, grain, len(name), 0) + name
    words, data, to = b"", b"", at + 2 * C9
    for entry in entries:
        words += struct.pack(">Q", entry if isinstance(entry, int) else to + len(data))
        data += b"" if isinstance(entry, int) else entry.ljust(C9, b"\0")
    return out + row.ljust(C9, b"\0") + words.ljust(C9, b"\0") + data


def dirty(content: bytes, **how: object) -> Ranges:
    with diskimage.open(content, **how) as found:  # type: ignore[arg-type]  # its keywords
        return found.bitmap("b0")


def test_the_lowest_bit_is_the_first() -> None:
    assert dirty(image(20 * 512, [b"\x01\x80\x05"])) == Ranges(
        [(0, 512), (15 * 512, 512), (16 * 512, 512), (18 * 512, 512)]
    )


def test_clusters_of_bits_are_stored_or_all_alike() -> None:
    cover = 8 * C9 * 512
    size = 4 * cover - 700
    stored = random.Random(1).randbytes(C9)
    expected = [(cover, cover)]
    for bit in range(8 * C9):
        at = 3 * cover + bit * 512
        if stored[bit // 8] >> bit % 8 & 1 and at < size:
            expected.append((at, min(512, size - at)))
    assert dirty(image(size, [0, 1, 0, stored])) == Ranges(expected)
    assert dirty(image(size, [1, 1, 1, 1])) == Ranges([(0, size)])
    assert not dirty(image(size, [0, 0, 0, 0]))


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (image(4096, [1], flags=1), UnsupportedError, "in use"),
        (image(4096, [1], autoclear=0), UnsupportedError, "not kept"),
        (image(4096, [1], name=b"b1"), UsageError, "no bitmap"),
        (image(1 << 30, [1]), CorruptError, "entries"),
        (image(4096, [2]), CorruptError, "entry"),
        (image(4096, [1 << 56]), CorruptError, "entry"),
        (image(4096, [1 << 30]), TruncatedError, "bitmap"),
        (image(4096, [(1 << 30) + 1]), CorruptError, "entry"),
        (Maker(65536).image(), UsageError, "no bitmap"),
    ],
)
def test_what_is_not_to_be_trusted_is_refused(
    content: bytes, error: type[DiskImageError], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        dirty(content)
    if error in (UsageError, UnsupportedError):
        assert caught.value.remedy


def test_ranges_are_bounded() -> None:
    content = image(8 * C9 * 512, [b"\x55" * C9])
    assert len(dirty(content)) == 4 * C9
    with pytest.raises(LimitError, match="metadata"):
        dirty(content, limits=replace(LIMITS, metadata=1 << 17))


def test_a_format_without_bitmaps_says_so() -> None:
    with pytest.raises(UsageError, match="raw holds no bitmaps"):
        dirty(bytes(512), format="raw")


@pytest.mark.parametrize(("grain", "cluster"), [(512, 512), (65536, 65536), (4096, 4096)])
def test_bitmaps_of_qemu(
    grain: int, cluster: int, tmp_path: Path, peer: Peer, dim: str, run: Run
) -> None:
    path, size, chance = tmp_path / "a.qcow2", 8 << 20, random.Random(grain)
    tool, writer = peer("qemu-img"), peer("qemu-io")
    subprocess.run([tool, "create", "-q", "-f", "qcow2", "-o", f"cluster_size={cluster}", path,
                    str(size)], check=True)  # fmt: skip
    subprocess.run([tool, "bitmap", "--add", "-g", str(grain), path, "b0"], check=True)
    written, commands = [], []
    for _ in range(20):
        at = chance.randrange(0, size - 65536) // 512 * 512
        length = chance.randrange(1, 128) * 512
        commands += ["-c", f"write -P 3 {at} {length}"]
        first, last = at // grain, -(-(at + length) // grain)
        written.append((first * grain, (last - first) * grain))
    subprocess.run([writer, *commands, path], check=True, capture_output=True)
    with diskimage.open(path) as found:
        assert found.bitmap("b0") == Ranges(written)
        listed = found.info["bitmaps"]
        assert isinstance(listed, list)
        assert [(row["name"], row["granularity"]) for row in listed] == [("b0", grain)]
    rows = json.loads(run([dim, "map", path, "--bitmap", "b0", "--json"]).stdout)
    assert [(r["start"], r["length"]) for r in rows if r["dirty"]] == list(Ranges(written))
    assert sum(r["length"] for r in rows) == size
    subprocess.run([tool, "bitmap", "--disable", path, "b0"], check=True)
    with diskimage.open(path) as found:
        assert found.bitmap("b0") == Ranges(written)
