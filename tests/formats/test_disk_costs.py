"""Small files that ask for much: many resources of one place, bands, rows, texts, empty tables."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import diskimage
from diskimage.errors import CorruptError, LimitError
from diskimage.formats import asif, bochs
from diskimage.formats.e01.layout import FAULTS, TEXT
from diskimage.formats.e01.texts import TEXTS
from diskimage.model import Extent, Kind, Runs
from diskimage.runs import pack
from tests.makers import dmg, e01
from tests.makers.e01 import section, summed

SECTOR = 512
MIB = 1 << 20


def test_resources_of_a_fork_are_together_no_more_than_it() -> None:
    """A reference takes 12 bytes and names any place: 10,000 of one table are 2.5 GiB."""
    table = struct.pack(">4sIQQQIi24x", b"mish", 1, 0, 0, 0, 0x208, 0).ljust(1 << 18, b"\0")
    data = len(table).to_bytes(4, "big") + table
    count = 10_000
    index = struct.pack(">24xHHH4sHH", 28, 28, 0, b"blkx", count - 1, 10)
    index += struct.pack(">hHII", 0, 0xFFFF, 0, 0) * count
    fork = struct.pack(">IIII", 256, 256 + len(data), len(data), len(index)).ljust(256, b"\0")
    fork += data + index
    image = fork + dmg.koly(fork_at=0, fork_size=len(fork), sectors=1)
    with pytest.raises(CorruptError, match="more bytes than it"):
        diskimage.open(image, format="dmg")


def nodes(count: int, following: int = 4096) -> bytes:
    """Nodes of a sparse image, each numbering bands of a sector that lie over the next nodes."""
    out, number = bytearray(), 1
    sectors = count * 1010
    for node in range(count):
        place = (node + 1) * following if node + 1 < count else 0
        if node == 0:
            head = struct.pack(">4sIIIIQQ", b"sprs", 3, 1, 1, sectors, place, sectors)
            rows = 1008
        else:
            head, rows = struct.pack(">4sIIQ", b"sprs", node, 0, place), 1010
        out += head.ljust(4096 - 4 * rows, b"\0")
        out += struct.pack(f">{rows}I", *range(number, number + rows))
        number += rows
    return bytes(out) + bytes(1010 * SECTOR)


def test_bands_of_a_sparse_image_have_a_place_each() -> None:
    with pytest.raises(CorruptError, match="bands of 512 bytes in a file of"):
        diskimage.open(nodes(300), format="dmg")


def test_bands_of_a_sparse_image_are_bounded() -> None:
    """By the memory that their places take here, whatever the file's size."""
    limits = diskimage.Limits(metadata=50_000)
    image = dmg.sparse({n: bytes(SECTOR) for n in range(500)}, 500 * SECTOR, band=SECTOR)
    with pytest.raises(LimitError, match="500 bands take more memory than metadata 50000"):
        diskimage.open(image, format="dmg", limits=limits)


def with_sections(added: Iterable[tuple[str, bytes]]) -> bytes:
    """An evidence file with sections of `added` before its own."""
    (image,) = e01.e01(e01.content()).values()
    out, at = bytearray(image[:13]), 13
    own: list[tuple[str, bytes | None]] = []
    while image[at : at + 4] != b"done":
        (following,) = struct.unpack_from("<Q", image, at + 16)
        own.append((image[at : at + 16].rstrip(b"\0").decode(), image[at + 76 : following]))
        at = following
    for kind, content in (*added, *own, ("done", None)):
        out += section(kind, len(out), content)
    return bytes(out)


def test_unreadable_sectors_of_all_sections_are_bounded(tmp_path: Path) -> None:
    rows = struct.pack("<II", 1, 1) * (FAULTS // 2)
    content = summed(struct.pack("<I", FAULTS // 2).ljust(516, b"\0")) + summed(rows)
    path = tmp_path / "a.E01"
    path.write_bytes(with_sections([("error2", content)] * 3))
    with pytest.raises(LimitError, match="rows of unreadable sectors"):
        diskimage.open(path)


def test_texts_of_a_segment_are_bounded(tmp_path: Path) -> None:
    """Each may unpack to a thousand times its bytes."""
    text = zlib.compress(bytes(TEXT))
    path = tmp_path / "a.E01"
    path.write_bytes(with_sections([("header", text)] * (TEXTS + 1)))
    with pytest.raises(LimitError, match=f"more than {TEXTS} headers"):
        diskimage.open(path)


def second(kind: int, body: bytes, count: int) -> bytes:
    """A file of version 2 of which `count` sections claim all that is before them."""
    out = bytearray(struct.pack("<8sBBHI16s", b"EVF2\r\n\x81\0", 2, 1, 1, 1, bytes(16)) + body)
    before = 0
    for type_ in [kind] * count + [15]:
        at = len(out)
        length = at - 32 if type_ == kind else 0
        out += summed(struct.pack("<IIQQII28x", type_, 0, before, length, 64, 0))
        before = at
    return bytes(out)


def test_sections_of_version_2_that_overlap_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.Ex01"
    path.write_bytes(second(1, zlib.compress(bytes(TEXT)), TEXTS + 1))
    with pytest.raises(LimitError, match=f"more than {TEXTS} headers"):
        diskimage.open(path)
    head = struct.pack("<I12x", FAULTS // 2)
    body = summed(head).ljust(32, b"\0") + struct.pack("<QQ", 1, 1) * (FAULTS // 2)
    path.write_bytes(second(5, body, 3))
    with pytest.raises(LimitError, match="rows of unreadable sectors"):
        diskimage.open(path)


def blank(module: ModuleType, image: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Extent]:
    """The extents that a format makes of a guest of holes, before they are joined."""
    made: list[Extent] = []

    def seen(extents: Iterable[Extent]) -> Iterator[Runs]:
        made.extend(extents)
        return pack(made)

    monkeypatch.setattr(module, "pack", seen)
    with diskimage.open(image, format=module.FORMAT.name) as opened:
        list(opened.extents())
    return made


def test_tables_that_are_not_there_are_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of an ASIF names a table in 8 bytes, which says nothing of 126 GiB."""
    chunk, block, tables = MIB, 512, 4096
    reach = chunk // (8 * (4 * block + 1)) * 4 * block * chunk
    sectors = tables * reach // block
    head = struct.pack(">4sIIIQQ16sQQIHHQ", b"shdw", 1, 512, 0, 4096, 0, bytes(16), sectors,
                       sectors, chunk, block, 0, 0)  # fmt: skip
    image = head.ljust(4096, b"\0") + struct.pack(">Q", 1) + bytes(8 * tables)
    hole = Extent(0, sectors * block, Kind.ZERO, hole=True)
    assert blank(asif, image, monkeypatch) == [hole]


def test_extents_that_are_not_there_are_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    count, extent = 8192, 512
    head = b"Bochs Virtual HD Image".ljust(32, b"\0") + b"Redolog".ljust(16, b"\0")
    head += b"Growing".ljust(16, b"\0") + struct.pack("<II", 0x20000, 512)
    head += struct.pack("<IIIIQ", count, 512, extent, 0, count * extent)
    image = head.ljust(512, b"\0") + b"\xff" * 4 * count
    hole = Extent(0, count * extent, Kind.ZERO, hole=True)
    assert blank(bochs, image, monkeypatch) == [hole]
