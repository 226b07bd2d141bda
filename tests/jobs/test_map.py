"""Maps: the rows of qemu-img, byte for byte, and the pictures."""

from __future__ import annotations

import json
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import diskimage
from diskimage.engine.picture import Piece, tally
from tests.makers.raw import make
from tests.makers.vdi import vdi

KIB, MIB = 1 << 10, 1 << 20
Peer = Callable[[str], str]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    pieces = {0: b"a" * 5000, 2 * MIB: b"b" * MIB, 7 * MIB: b"c"}
    return make(tmp_path / "disk.raw", 8 * MIB, pieces)


def theirs(peer: Peer, image: Path) -> list[dict[str, object]]:
    command = [peer("qemu-img"), "map", "--output=json", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


def ours(image: Path, references: str = "parts") -> list[dict[str, object]]:
    rows = diskimage.map(image, references=references).to_json()
    for row in rows:
        assert row.pop("kind") in ("data", "compressed", "zero", "hole", "absent", "bad")
    return rows


def made(peer: Peer, image: Path, *options: str) -> Path:
    command = [peer("qemu-img"), "convert", *options, str(image), str(image.with_suffix(".made"))]
    subprocess.run(command, check=True, capture_output=True)
    return image.with_suffix(".made")


def test_raw(peer: Peer, raw: Path) -> None:
    assert ours(raw) == theirs(peer, raw)


@pytest.mark.parametrize(
    "options",
    [
        ["-O", "qcow2"], ["-O", "qcow2", "-c"], ["-O", "qcow2", "-o", "cluster_size=4k"],
        ["-O", "vdi"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_tables(peer: Peer, raw: Path, options: list[str]) -> None:
    image = made(peer, raw, *options)
    assert ours(image) == theirs(peer, image)


def test_a_chain_tells_the_depth(peer: Peer, raw: Path) -> None:
    base = made(peer, raw, "-O", "qcow2").rename(raw.with_name("base.qcow2"))
    over = raw.with_name("over.qcow2")
    create = [peer("qemu-img"), "create", "-qf", "qcow2", "-b", base.name, "-F", "qcow2"]
    create += [str(over), "12M"]
    subprocess.run(create, check=True, cwd=raw.parent)
    writes = ["write 3M 100k", "write -z 1M 64k", "write 2M 64k", "write 9M 4k"]
    commands = [word for write in writes for word in ("-c", write)]
    subprocess.run([peer("qemu-io"), *commands, str(over)], check=True, capture_output=True)
    assert ours(over, "siblings") == theirs(peer, over)
    layer = diskimage.map(over, layer=True)
    assert {row.depth for row in layer.records} == {0}
    assert "absent" in {row.kind for row in layer.records}


def test_kinds_are_told_apart(peer: Peer, raw: Path) -> None:
    image = diskimage.map(made(peer, raw, "-O", "qcow2", "-c"))
    assert {row.kind for row in image.records} == {"compressed", "hole"}
    assert sum(image.bytes_of.values()) == image.size == 8 * MIB


def test_a_cell_shows_what_is_stored_in_it_and_every_bad_byte() -> None:
    pieces = [Piece(0, 5, "data"), Piece(5, 1, "compressed"), Piece(6, 94, "hole"),
              Piece(100, 99, "zero"), Piece(199, 1, "bad"), Piece(200, 100, "absent"),
              Piece(300, 60, "hole"), Piece(360, 40, "zero")]  # fmt: skip
    counted = tally(pieces, 400, 4)
    assert counted.cells() == ["data", "bad", "absent", "hole"]
    assert counted.totals == {"data": 5, "compressed": 1, "zero": 139, "hole": 154, "absent": 100,
                              "bad": 1}  # fmt: skip


@pytest.mark.parametrize(("size", "width"), [(1, 10), (7, 3), (10, 10), (1000, 7), (0, 5)])
def test_cells_cover_every_byte_once(size: int, width: int) -> None:
    pieces = [Piece(at, min(3, size - at), "data") for at in range(0, size, 3)]
    counted = tally(pieces, size, width)
    assert counted.totals["data"] == size
    assert counted.cells() == ["data"] * (min(width, size) if size else 0)


def test_the_picture_is_a_document(raw: Path) -> None:
    drawn = ET.fromstring(diskimage.map(raw).svg())
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    with diskimage.open(raw) as image:
        shown = ET.fromstring(image._repr_html_())
    fills = [bar.get("fill") for bar in shown.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(set(fills)) >= 3  # data, hole, the frame around them


def test_a_name_cannot_break_out_of_the_picture(tmp_path: Path) -> None:
    image = make(tmp_path / "<script>&.raw", 4096, {0: b"x"})
    drawn = ET.fromstring(diskimage.map(image).svg())
    assert [e.tag for e in drawn.iter()].count("{http://www.w3.org/2000/svg}script") == 0


def test_the_command_prints_the_array_and_the_ruler(raw: Path, dim: str) -> None:
    command = [dim, "map", str(raw), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == diskimage.map(raw).to_json()
    svg = raw.with_name("map.svg")
    command = [dim, "map", str(raw), "--svg", str(svg)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "data" in done.stdout
    assert svg.read_text(encoding="utf-8").startswith("<svg")
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 6


def test_rows_are_not_kept(tmp_path: Path) -> None:
    count = 1 << 16  # stored blocks, each followed by one that is not
    path = tmp_path / "many.vdi"
    blocks = {2 * i: (i, b"") for i in range(count)}
    path.write_bytes(vdi(count * 1024, blocks, block=512, data_at=MIB))
    tracemalloc.start()
    try:
        found = diskimage.map(path)
        assert sum(1 for _ in found.records) == 2 * count
        assert found.bytes_of["data"] == found.bytes_of["hole"] == 512 * count
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_the_rows_of_an_open_image_leave_it_open(raw: Path) -> None:
    with diskimage.open(raw) as image:
        found = diskimage.map(image)
        assert list(found.records) == list(found.records)
        assert image.read(0, 1) == b"a"
