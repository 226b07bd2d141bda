"""VHDX created: what a peer and an independent reader of the structures find in it."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.engine.copy import Work
from diskimage.engine.run import run
from diskimage.errors import DiskImageError, UsageError
from diskimage.formats.vhdx import FORMAT
from diskimage.formats.vhdx.create import create, full, losses
from diskimage.layers.blank import Blank
from diskimage.model import Device, Extent, Kind
from diskimage.sinks.file import FileSink
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.executor import image_of
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, lawful, read
from tests.makers.vhdx import MIB, summed

Peer = Callable[[str], str]


CONTENTS = {
    "empty": b"",
    "zeros": bytes(3 * MIB),
    "odd": noise(2 * MIB + 700, 1),
    "holes": noise(MIB, 2) + bytes(3 * MIB) + noise(512, 3) + bytes(MIB - 512) + b"\1",
    "hidden zeros": noise(512, 4) + bytes(3 * MIB) + noise(MIB, 5),
}
TYPES = pytest.mark.parametrize("type", ["dynamic", "fixed"])
EACH = pytest.mark.parametrize("name", CONTENTS)


def disk(content: bytes, sector: int | None = None) -> Rows:
    """A device of `content`; whole MiB of zeros are holes."""
    source, rows = MemorySource(content), []
    for at in range(0, len(content), MIB):
        piece = content[at : at + MIB]
        stored = Extent(at, len(piece), Kind.DATA, source=source, at=at)
        rows.append(stored if any(piece) else Extent(at, len(piece), Kind.ZERO, hole=True))
    return Rows(rows, info={} if sector is None else {"sector_size": sector})


def made(device: Device, **options: object) -> bytes:
    return image_of(create(device, "disk", **options))


ALONE = Alone(FORMAT)
opened = ALONE.opened


def padded(content: bytes, sector: int = 512) -> bytes:
    return content + bytes(-len(content) % sector)


@TYPES
@pytest.mark.parametrize("name", [name for name, content in CONTENTS.items() if content])
def test_created_images_satisfy_qemu_img(name: str, type: str, tmp_path: Path, peer: Peer) -> None:
    raw, image = padded(CONTENTS[name]), tmp_path / "a.vhdx"
    image.write_bytes(made(disk(CONTENTS[name]), type=type, block_size="2M"))
    qemu = peer("qemu-img")
    subprocess.run([qemu, "check", "-f", "vhdx", image], check=True, capture_output=True)
    command: list[str | Path] = [qemu, "info", "-f", "vhdx", "--output=json", image]
    info = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert info["virtual-size"] == len(raw)
    back = tmp_path / "back.raw"
    convert: list[str | Path] = [qemu, "convert", "-f", "vhdx", "-O", "raw", image, back]
    subprocess.run(convert, check=True, capture_output=True)
    assert back.read_bytes() == raw


@pytest.mark.parametrize("sector", [512, 4096])
@TYPES
@EACH
def test_created_images_hold_the_source(name: str, type: str, sector: int) -> None:
    content = CONTENTS[name]
    image = made(disk(content), type=type, sector_size=sector)
    device = opened(image)
    lawful(device)
    assert read(device) == padded(content, sector)
    assert device.info["sector_size"] == sector
    assert device.info["type"] == type
    assert FORMAT.check is not None
    assert list(FORMAT.check(MemorySource(image), OpenGate())) == []
    assert len(image) % MIB == 0
    assert len(image) <= full(len(content), type=type, sector_size=sector)


@TYPES
def test_7_zip_reads_sectors_of_4096_bytes(type: str, tmp_path: Path, peer: Peer) -> None:
    """Of a disk of whole blocks: it refuses others of any sector."""
    image, content = tmp_path / "a.vhdx", padded(CONTENTS["holes"], MIB)
    image.write_bytes(made(disk(content), type=type, sector_size=4096))
    done = subprocess.run([peer("7z"), "x", "-so", image], check=True, capture_output=True)
    assert done.stdout == content


def test_both_copies_are_sound_and_the_log_is_empty() -> None:
    image = made(disk(noise(MIB)))
    first, second = image[65536 : 65536 + 4096], image[131072 : 131072 + 4096]
    assert [summed(raw) for raw in (first, second)] == [first, second]
    assert first[16:] == second[16:]
    assert struct.unpack_from("<Q", second, 8) > struct.unpack_from("<Q", first, 8)
    table = image[196608:262144]
    assert summed(table) == table == image[262144:327680]
    assert first[48:64] == bytes(16)
    assert not any(image[MIB : 2 * MIB])


def test_entries_of_sector_bitmaps_are_left_free(tmp_path: Path, peer: Peer) -> None:
    """Blocks of 64 MiB are 64 a chunk: the block of 4 GiB has entry 65."""
    size, source = (4 << 30) + 4 * MIB, MemorySource(b"x" * MIB)
    rows = Rows([
        Extent(0, MIB, Kind.DATA, source=source),
        Extent(MIB, (4 << 30) - MIB, Kind.ZERO, hole=True),
        Extent(4 << 30, MIB, Kind.DATA, source=source),
        Extent((4 << 30) + MIB, 3 * MIB, Kind.ZERO, hole=True),
    ])  # fmt: skip
    path = tmp_path / "a.vhdx"
    run(create(rows, "a", block_size="64M"), FileSink(str(path), durable=False), Work(threads=1))
    with path.open("rb") as file:
        table = struct.unpack("<66Q", file.read(3 * MIB + 528)[3 * MIB :])
    assert {n: entry & 7 for n, entry in enumerate(table) if entry} == {0: 6, 65: 6}
    with diskimage.open(path) as image:
        assert image.read(4 << 30, size - (4 << 30)) == b"x" * MIB + bytes(3 * MIB)
    raw = tmp_path / "a.raw"
    with raw.open("wb") as file:
        for at in (0, 4 << 30):
            file.seek(at)
            file.write(b"x" * MIB)
        file.truncate(size)
    compare: list[str | Path] = [peer("qemu-img"), "compare", "-f", "raw", "-F", "vhdx", raw, path]
    subprocess.run(compare, check=True, capture_output=True)


def test_identities_differ_and_zeros_are_not_stored() -> None:
    one, two = (made(Blank(8 * MIB)) for _ in range(2))
    assert len(one) == 4 * MIB
    for key in ("uuid", "data_write_guid"):
        assert opened(one).info[key] != opened(two).info[key]


def test_a_disk_of_64_tib_is_its_table(tmp_path: Path, peer: Peer) -> None:
    path = tmp_path / "a.vhdx"
    path.write_bytes(made(Blank(64 << 40)))
    assert path.stat().st_size < 16 * MIB
    subprocess.run([peer("qemu-img"), "info", "-f", "vhdx", path], check=True, capture_output=True)
    assert opened(path.read_bytes()).size == 64 << 40


def test_sectors_of_4096_bytes_stay_unless_512_is_said() -> None:
    wide = disk(noise(8192), 4096)
    assert opened(made(wide)).info["sector_size"] == 4096
    assert losses(wide) == []
    assert [loss.name for loss in losses(wide, sector_size=512)] == ["sectors"]
    assert [loss.name for loss in losses(disk(b"x" * 700))] == ["size"]
    assert [loss.name for loss in losses(disk(b"x" * 512), sector_size="4096")] == ["size"]


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (512, {"type": "round"}), (512, {"block_size": "3M"}), (512, {"block_size": "512K"}),
        (512, {"block_size": "128M"}), (512, {"block_size": "x"}), (512, {"sector_size": 2048}),
        ((64 << 40) + 512, {}),
    ],
)  # fmt: skip
def test_what_a_vhdx_cannot_be_is_refused(size: int, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        made(Blank(size), **options)


def test_bytes_of_a_parent_alone_are_refused() -> None:
    layer = Rows([Extent(0, MIB, Kind.ABSENT)])
    with pytest.raises(DiskImageError, match=r"parent|layer"):
        made(layer)
