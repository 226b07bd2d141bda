"""DMG images of ours: read by the standard library from the layout alone, by 7-Zip and dmg2img."""

from __future__ import annotations

import bz2
import lzma
import plistlib
import random
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import LimitError, UsageError
from diskimage.formats.dmg.create import create, full, shape
from diskimage.layers.blank import Blank
from diskimage.model import Extent, Kind
from diskimage.sources.memory import MemorySource
from tests.makers.executor import image_of
from tests.makers.naive import Rows

Peer = Callable[[str], str]
KIB, MIB, SECTOR = 1 << 10, 1 << 20, 512
PLAIN = (b"a line of text\n" * 20000)[: 256 * KIB]
NOISE = random.Random(5).randbytes(128 * KIB)
DECODERS: dict[int, Callable[[bytes], bytes]] = {
    1: bytes, 0x80000005: zlib.decompress, 0x80000006: bz2.decompress,
    0x80000008: lzma.decompress,
}  # fmt: skip
WAYS = ("zlib", "bzip2", "lzma", "none")


def disk() -> tuple[Rows, bytes]:
    """Text, a hole over several chunks, zeros that are stored, noise, an odd end."""
    pieces = [PLAIN, None, bytes(64 * KIB), NOISE, PLAIN[: 10 * SECTOR]]
    rows, guest = [], b""
    for piece in pieces:
        start, size = len(guest), 640 * KIB if piece is None else len(piece)
        if piece is None:
            rows.append(Extent(start, size, Kind.ZERO, hole=True))
        else:
            rows.append(Extent(start, size, Kind.DATA, source=MemorySource(piece)))
        guest += piece or bytes(size)
    return Rows(rows), guest


def taken_apart(image: bytes) -> tuple[bytes, list[int]]:
    """The guest and the types of its rows, from the layout alone; every sum is held."""
    trailer = image[-512:]
    assert trailer[:12] == b"koly\0\0\0\4\0\0\2\0"
    data_at, data_size = struct.unpack_from(">QQ", trailer, 24)
    plist_at, plist_size = struct.unpack_from(">QQ", trailer, 216)
    assert plist_at + plist_size == len(image) - 512
    assert struct.unpack_from(">III", trailer, 80) == (2, 32, zlib.crc32(image[:data_size]))
    (table,) = plistlib.loads(image[plist_at : plist_at + plist_size])["resource-fork"]["blkx"]
    head = table["Data"]
    assert head[:8] == b"mish\0\0\0\1"
    sectors, count = struct.unpack_from(">Q", head, 16)[0], struct.unpack_from(">I", head, 200)[0]
    assert struct.unpack_from(">Q", trailer, 492) == (sectors,)
    assert len(head) == 204 + 40 * count
    guest, types = bytearray(), []
    for row in range(count):
        kind, _, start, length, at, stored = struct.unpack_from(">IIQQQQ", head, 204 + 40 * row)
        assert start * SECTOR == len(guest)
        types.append(kind)
        if kind == 0xFFFFFFFF:
            assert row == count - 1
        elif kind == 0:
            guest += bytes(length * SECTOR)
        else:
            plain = DECODERS[kind](image[data_at + at : data_at + at + stored])
            assert len(plain) == length * SECTOR
            guest += plain
    crc = zlib.crc32(guest)
    assert struct.unpack_from(">III", head, 64) == (2, 32, crc)
    assert struct.unpack_from(">III", trailer, 352) == (2, 32, zlib.crc32(crc.to_bytes(4, "big")))
    assert len(guest) == sectors * SECTOR
    return bytes(guest), types


@pytest.mark.parametrize("way", WAYS)
def test_the_layout_alone_reads_it(way: str) -> None:
    device, guest = disk()
    found, types = taken_apart(image_of(create(device, "a", compression=way, chunk="64K")))
    assert found == guest
    kind = {"zlib": 5, "bzip2": 6, "lzma": 8}.get(way)
    coded = 1 if kind is None else 0x80000000 + kind
    text, noise = [coded] * 4, [1, 1]
    assert types == [*text, 0, *noise, coded, 0xFFFFFFFF]


def test_an_empty_disk_and_one_of_zeros() -> None:
    assert taken_apart(image_of(create(Blank(0), "a"))) == (b"", [0xFFFFFFFF])
    assert taken_apart(image_of(create(Blank(3 * MIB + 512), "a"))) == (
        bytes(3 * MIB + 512), [0, 0, 0xFFFFFFFF],
    )  # fmt: skip


def test_an_odd_size_is_filled_up_to_a_sector() -> None:
    device = Rows([Extent(0, 1000, Kind.DATA, source=MemorySource(PLAIN))])
    assert taken_apart(image_of(create(device, "a")))[0] == PLAIN[:1000] + bytes(24)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "adc"}, {"level": "0"}, {"level": "13"}, {"level": "x"},
        {"compression": "none", "level": "1"}, {"compression": "bzip2", "level": "10"},
        {"chunk": "63K"}, {"chunk": "9M"}, {"chunk": "65537"}, {"chunk": "big"},
    ],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        shape(MIB, **options)


def test_a_table_that_no_list_holds_is_refused() -> None:
    with pytest.raises(LimitError, match="too large"):
        shape(1 << 42, chunk="64K")


def test_full_is_the_size_with_everything_stored() -> None:
    noise = Rows([Extent(0, 128 * KIB, Kind.DATA, source=MemorySource(NOISE))])
    image = image_of(create(noise, "a", compression="none", chunk="64K"))
    assert full(128 * KIB, compression="none", chunk="64K") == len(image)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "disk.raw"
    path.write_bytes(disk()[1] + bytes(3 * MIB) + NOISE)
    return path


@pytest.mark.parametrize("way", [*WAYS, "lzfse"])
def test_7zip_takes_it_and_compares_its_sums(
    way: str, raw: Path, peer: Peer, tmp_path: Path
) -> None:
    if way == "lzfse":
        pytest.importorskip("lzfse", reason="needs the extra `apple`")
    seven, path = peer("7z"), tmp_path / "a.dmg"
    diskimage.convert(raw, path, compression=way)
    assert diskimage.check(path).ok
    command: list[str | Path] = [seven, "x", "-y", f"-o{tmp_path / 'out'}", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (file,) = (tmp_path / "out").iterdir()
    assert file.read_bytes() == raw.read_bytes()
    damaged = bytearray(path.read_bytes())
    damaged[100_000] ^= 1  # inside of the noise, or of the text where nothing is coded
    path.write_bytes(damaged)
    done = subprocess.run([seven, "t", path], capture_output=True, text=True, check=False)
    assert done.returncode != 0, "7-Zip compares no sum: the test proves nothing"
    assert not diskimage.check(path).ok


@pytest.mark.parametrize("way", ["zlib", "bzip2", "none"])
def test_dmg2img_takes_it(way: str, raw: Path, peer: Peer, tmp_path: Path) -> None:
    path, out = tmp_path / "a.dmg", tmp_path / "out.raw"
    diskimage.convert(raw, path, compression=way, chunk="256K")
    subprocess.run([peer("dmg2img"), path, out], capture_output=True, check=True)
    assert out.read_bytes() == raw.read_bytes()


@pytest.mark.parametrize("way", ["zlib", "none"])
def test_qemu_takes_it(way: str, raw: Path, peer: Peer, tmp_path: Path) -> None:
    path, out = tmp_path / "a.dmg", tmp_path / "out.raw"
    diskimage.convert(raw, path, compression=way)
    command: list[str | Path] = [peer("qemu-img"), "convert", "-f", "dmg", "-O", "raw", path, out]
    subprocess.run(command, capture_output=True, check=True)
    assert out.read_bytes() == raw.read_bytes()


def test_a_tebibyte_of_holes_costs_no_reading(tmp_path: Path) -> None:
    """Its sum is told from the number of zeros; `check` tells it in the same way."""
    raw, path = tmp_path / "a.raw", tmp_path / "a.dmg"
    with raw.open("wb") as file:
        file.write(PLAIN)
        file.truncate(1 << 40)
    diskimage.convert(raw, path)
    with diskimage.open(path) as image:
        assert image.size == 1 << 40
        assert image.read(0, len(PLAIN) + 512) == PLAIN + bytes(512)
        assert list(image.problems()) == []
