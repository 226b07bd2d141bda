"""VMDK written: held against qemu-img and 7-Zip, and against the specification of the stream."""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from diskimage import image as face
from diskimage.engine.copy import Work
from diskimage.engine.run import run
from diskimage.errors import RefusedReferenceError, UsageError
from diskimage.formats.vmdk import FORMAT
from diskimage.formats.vmdk.create import EXTENT, create, full
from diskimage.formats.vmdk.opening import open_vmdk
from diskimage.layers.blank import Blank
from diskimage.model import Barrier, Device, Extent, Kind, Pack, Put
from diskimage.sinks.file import FileSink
from diskimage.sources.memory import MemorySource
from tests.makers.executor import image_of, step
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, read

Peer = Callable[[str], str]
SECTOR, GRAIN, MIB = 512, 65536, 1 << 20
SUBFORMATS = ("monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
              "streamOptimized")  # fmt: skip


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def disk(content: bytes, hole: int = MIB) -> Rows:
    """A device of `content`; whole `hole`-sized pieces of zeros are holes."""
    source, rows = MemorySource(content), []
    for at in range(0, len(content), hole):
        piece = content[at : at + hole]
        if any(piece):
            rows.append(Extent(at, len(piece), Kind.DATA, source=source, at=at))
        else:
            rows.append(Extent(at, len(piece), Kind.ZERO, hole=True))
    return Rows(rows)


def made(device: Device, folder: Path, **options: object) -> Path:
    path = folder / "a.vmdk"
    run(create(device, "a", **options), FileSink(str(path), durable=False), Work(threads=2))
    return path


CONTENTS = {
    "empty": b"",
    "zeros": bytes(3 * MIB),
    "odd": noise(2 * MIB + 700, 1),
    "text": b"words that repeat " * 100_000,
    "holes": noise(MIB, 2) + bytes(40 * MIB) + noise(512, 3) + bytes(MIB - 512) + b"\1",
    "hidden zeros": noise(512, 4) + bytes(3 * MIB) + noise(MIB, 5),
}


@pytest.mark.parametrize("subformat", SUBFORMATS)
@pytest.mark.parametrize("name", CONTENTS)
def test_created_images_hold_the_source(name: str, subformat: str, tmp_path: Path) -> None:
    content = CONTENTS[name]
    path = made(disk(content), tmp_path, subformat=subformat)
    with face.open(path) as opened:
        assert opened.read(0, opened.size) == content + bytes(-len(content) % SECTOR)
        assert opened.info["create_type"] == subformat
        assert list(opened.problems()) == []
        assert opened.warnings == ()
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size <= full(len(content), subformat=subformat)


@pytest.mark.parametrize("subformat", SUBFORMATS)
@pytest.mark.parametrize("name", [name for name in CONTENTS if name != "empty"])
def test_created_images_satisfy_qemu_img(
    name: str, subformat: str, tmp_path: Path, peer: Peer
) -> None:
    content = CONTENTS[name]
    path, back = made(disk(content), tmp_path, subformat=subformat), tmp_path / "back.raw"
    qemu = peer("qemu-img")
    if "Sparse" in subformat or subformat == "streamOptimized":
        subprocess.run([qemu, "check", "-f", "vmdk", path], check=True, capture_output=True)
    command: list[str | Path] = [qemu, "convert", "-f", "vmdk", "-O", "raw", path, back]
    subprocess.run(command, check=True, capture_output=True)
    assert back.read_bytes() == content + bytes(-len(content) % SECTOR)
    shown = subprocess.run([qemu, "info", "--output=json", path], check=True, capture_output=True)
    assert json.loads(shown.stdout)["format-specific"]["data"]["create-type"] == subformat


@pytest.mark.parametrize("name", ["text", "holes", "odd"])
def test_7_zip_reads_the_stream(name: str, tmp_path: Path, peer: Peer) -> None:
    path = made(disk(CONTENTS[name]), tmp_path, profile="esxi")
    done = subprocess.run([peer("7z"), "e", "-so", path], check=True, capture_output=True)
    assert done.stdout == CONTENTS[name] + bytes(-len(CONTENTS[name]) % SECTOR)


def markers(image: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(sector, first word, size, type) of every marker, as one who reads a pipe meets them."""
    at = struct.unpack_from("<Q", image, 64)[0]
    while at * SECTOR < len(image):
        first, size, kind = struct.unpack_from("<QII", image, at * SECTOR)
        yield at, first, size, kind if size == 0 else -1
        at += -(-(12 + size) // SECTOR) if size else 1 + first


def test_a_stream_has_every_marker_and_its_end(tmp_path: Path) -> None:
    content = CONTENTS["holes"]
    image = made(disk(content), tmp_path, profile="esxi").read_bytes()
    assert struct.unpack_from("<4sII", image) == (b"KDMV", 3, 0x30001)
    assert struct.unpack_from("<Q", image, 56) == ((1 << 64) - 1,)
    guest, tables, placed = bytearray(len(content) + 511 & ~511), {}, {}
    order, sector, directory_at = [], 0, 0
    directory: tuple[int, ...] = ()
    for sector, first, size, kind in markers(image):
        order.append(kind)
        body = image[(sector + 1) * SECTOR : (sector + 1 + first) * SECTOR]
        if kind == -1:
            data = image[sector * SECTOR + 12 : sector * SECTOR + 12 + size]
            plain = zlib.decompress(data)
            assert len(plain) == GRAIN
            part = plain[: len(guest) - first * SECTOR]
            guest[first * SECTOR : first * SECTOR + len(part)] = part
            placed[first * SECTOR // GRAIN] = sector
        elif kind == 1:
            tables[sector + 1] = struct.unpack("<512I", body)
        elif kind == 2:
            directory_at, directory = sector + 1, struct.unpack_from("<2I", body)
        elif kind == 3:
            assert body[:56] == image[:56]
            assert struct.unpack_from("<Q", body, 56) == (directory_at,)
    assert bytes(guest) == content + bytes(-len(content) % SECTOR)
    assert re.fullmatch("(g+T)+DFE", "".join("gETDF"[kind + 1] for kind in order))
    assert len(image) == (sector + 1) * SECTOR
    found = {
        number * 512 + row: entry
        for number, at in enumerate(directory)
        for row, entry in enumerate(tables[at])
        if entry
    }
    assert found == placed


def test_a_grain_that_does_not_become_smaller_is_stored_in_the_stream(tmp_path: Path) -> None:
    path = made(disk(noise(GRAIN)), tmp_path, subformat="streamOptimized")
    assert path.stat().st_size > 2 * GRAIN
    with face.open(path) as opened:
        assert [row.kind for row in opened.extents()] == [Kind.CODED]
        assert opened.read(0, GRAIN) == noise(GRAIN)


def test_the_stream_is_written_from_its_first_byte_to_its_last() -> None:
    out, done, result = bytearray(), 0, None
    plan = create(disk(CONTENTS["holes"]), "a", subformat="streamOptimized")
    with suppress(StopIteration):
        while True:
            one = plan.send(result)
            assert isinstance(one, Put | Pack | Barrier)
            if not isinstance(one, Barrier):
                assert one.to == done
            result = step(one, out)
            done = len(out)
    assert done > MIB


def test_a_header_and_a_descriptor_as_vmware_writes_them(tmp_path: Path) -> None:
    path = made(disk(CONTENTS["text"]), tmp_path)
    image = path.read_bytes()
    head = struct.unpack_from("<4sIIQQQQIQQQB4sH", image)
    size = -(-len(CONTENTS["text"]) // SECTOR)
    assert head[:8] == (b"KDMV", 1, 3, size, 128, 1, 20, 512)
    assert head[11:] == (0, b"\n \r\n", 0)
    text = image[512 : 21 * 512].rstrip(b"\0").decode()
    assert f'RW {size} SPARSE "a.vmdk"' in text
    assert len(text) < 1024  # of 10 KiB: VirtualBox adds lines in place
    (cid,) = re.findall(r"^CID=([0-9a-f]{8})$", text, re.MULTILINE)
    assert int(cid, 16) < 0xFFFFFFFE
    assert re.search(rf'^ddb.longContentID = "[0-9a-f]{{24}}{cid}"$', text, re.MULTILINE)
    for line in ('ddb.adapterType = "lsilogic"', 'ddb.toolsVersion = "2147483647"',
                 "parentCID=ffffffff", 'ddb.virtualHWVersion = "4"'):  # fmt: skip
        assert f"\n{line}\n" in text
    (tmp_path / "other").mkdir()
    other = made(disk(CONTENTS["text"]), tmp_path / "other", subformat="monolithicFlat")
    assert cid not in other.read_text()


def test_a_set_has_extents_below_two_gibibytes(tmp_path: Path, peer: Peer) -> None:
    device = Blank(5 << 30)
    for subformat, letter in (("twoGbMaxExtentSparse", "s"), ("twoGbMaxExtentFlat", "f")):
        folder = tmp_path / subformat
        folder.mkdir()
        path = made(device, folder, subformat=subformat)
        parts = [f"a-{letter}00{number}.vmdk" for number in (1, 2, 3)]
        assert sorted(file.name for file in folder.iterdir()) == [*parts, "a.vmdk"]
        assert all(file.stat().st_size < 1 << 31 for file in folder.iterdir())
        done = subprocess.run([peer("qemu-img"), "info", "--output=json", path], check=True,
                              capture_output=True)  # fmt: skip
        assert json.loads(done.stdout)["virtual-size"] == 5 << 30
        with face.open(path) as opened:
            assert opened.size == 5 << 30


def test_content_on_both_sides_of_an_extents_end(tmp_path: Path) -> None:
    source = MemorySource(noise(2 * MIB))
    edge = EXTENT
    rows = Rows([Extent(0, edge - MIB, Kind.ZERO, hole=True),
                 Extent(edge - MIB, 2 * MIB, Kind.DATA, source=source),
                 Extent(edge + MIB, 100 * MIB, Kind.ZERO, hole=True)])  # fmt: skip
    path = made(rows, tmp_path, subformat="twoGbMaxExtentSparse")
    with face.open(path) as opened:
        assert opened.size == rows.size
        assert opened.read(edge - MIB, 2 * MIB) == noise(2 * MIB)
        rest = [row.length for row in opened.extents() if row.kind == Kind.DATA]
        assert sum(rest) == 2 * MIB


def test_a_disk_of_two_tebibytes_is_its_tables(tmp_path: Path) -> None:
    path = made(Blank((2 << 40) - (1 << 30)), tmp_path)
    assert path.stat().st_blocks * 512 < MIB
    with face.open(path) as opened:
        assert [row.kind for row in opened.extents()] == [Kind.ZERO]


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (2 << 40, {}),
        (2 << 40, {"subformat": "streamOptimized"}),
        (9 << 40, {"subformat": "twoGbMaxExtentSparse"}),
        (512, {"subformat": "round"}),
        (512, {"profile": "azure"}),
        (512, {"profile": "esxi", "subformat": "monolithicFlat"}),
        (512, {"adapter": "sata"}),
        (512, {"level": "13"}),
        (512, {"level": "-1"}),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_step(
    size: int, options: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        next(create(Blank(size), "a", **options))
    with pytest.raises(UsageError):
        full(size, **options)


def test_a_name_that_no_descriptor_holds_is_refused() -> None:
    for stem in ('a"b', "a\nb", "x" * 12000):
        with pytest.raises(UsageError):
            next(create(Blank(512), stem))


@pytest.mark.parametrize("subformat", ["monolithicSparse", "streamOptimized"])
def test_what_is_in_a_parent_is_not_written_as_zeros(subformat: str) -> None:
    with pytest.raises(RefusedReferenceError, match="not in this layer"):
        image_of(create(Blank(MIB, Kind.ABSENT), "a", subformat=subformat))


def test_an_odd_size_is_announced() -> None:
    assert FORMAT.losses is not None
    assert [loss.name for loss in FORMAT.losses(disk(b"x" * 700))] == ["size"]
    assert FORMAT.losses(disk(b"x" * 1024)) == []


def test_only_a_stream_goes_to_a_pipe() -> None:
    assert callable(FORMAT.in_order)
    assert FORMAT.in_order(profile="esxi")
    assert not FORMAT.in_order()


@pytest.mark.parametrize("subformat", ["monolithicSparse", "streamOptimized"])
def test_the_plan_in_memory_is_the_image(subformat: str) -> None:
    content = CONTENTS["hidden zeros"]
    image = image_of(create(disk(content), "a", subformat=subformat))
    assert read(open_vmdk(MemorySource(image), OpenGate())) == content


def over(base: Path, folder: Path, content: Rows) -> Path:
    """`content` as a child of `base`."""
    with face.open(base) as parent:
        known = {**parent.info, "size": parent.size}
    path = folder / "child.vmdk"
    plan = create(content, "child", backing=base.name, backing_format="vmdk", parent=known)
    run(plan, FileSink(str(path), durable=False), Work(threads=2))
    return path


def test_a_child_holds_its_own_bytes_and_hides_what_it_makes_zero(
    tmp_path: Path, peer: Peer
) -> None:
    base = made(disk(noise(4 * MIB)), tmp_path)
    source = MemorySource(noise(MIB, 9))
    rows = Rows([Extent(0, MIB, Kind.ABSENT), Extent(MIB, MIB, Kind.DATA, source=source),
                 Extent(2 * MIB, MIB, Kind.ZERO, hole=True),
                 Extent(3 * MIB, MIB, Kind.ABSENT)])  # fmt: skip
    child = over(base, tmp_path, rows)
    wanted = noise(4 * MIB)
    wanted = wanted[:MIB] + noise(MIB, 9) + bytes(MIB) + wanted[3 * MIB :]
    with face.open(child, references="siblings") as opened:
        assert opened.read(0, opened.size) == wanted
        assert list(opened.problems()) == []
    back = tmp_path / "back.raw"
    command: list[str | Path] = [peer("qemu-img"), "convert", "-O", "raw", child, back]
    subprocess.run(command, check=True, capture_output=True)
    assert back.read_bytes() == wanted


def test_a_new_layer_of_the_command_is_empty_over_its_parent(
    dim: str, tmp_path: Path, peer: Peer
) -> None:
    made(disk(CONTENTS["text"] + bytes(208)), tmp_path)
    words = ["create", "child.vmdk", "-o", "backing=a.vmdk", "-o", "backing_format=vmdk"]
    subprocess.run([dim, *words], cwd=tmp_path, check=True, capture_output=True)
    with face.open(tmp_path / "child.vmdk", references="list") as layer:
        assert [row.kind for row in layer.extents()] == [Kind.ABSENT]
    command = [peer("qemu-img"), "compare", "child.vmdk", "a.vmdk"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(
    "options",
    [{"backing": "/a.vmdk"}, {"backing": "..\\a.vmdk"}, {"backing": "C:a.vmdk"}, {"backing": ""},
     {"backing_format": "raw"}, {"subformat": "streamOptimized"}, {"parent": None},
     {"parent": {"cid": None, "size": 512}}, {"parent": {"cid": "1", "size": 1024}}],
)  # fmt: skip
def test_a_child_that_cannot_be_is_refused(options: dict[str, object]) -> None:
    known: dict[str, object] = {"cid": "00000001", "size": 512}
    right = {"backing": "a.vmdk", "backing_format": "vmdk", "parent": known}
    next(create(Blank(512, Kind.ABSENT), "b", **right))
    with pytest.raises(UsageError):
        next(create(Blank(512, Kind.ABSENT), "b", **{**right, **options}))
