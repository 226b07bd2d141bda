"""DMG: images of an independent maker read here, whole and damaged."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    LoopError,
    MissingError,
    PasswordError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.dmg import FORMAT
from diskimage.formats.dmg.plist import plist
from diskimage.limits import LIMITS
from diskimage.model import Device, Disc, Finding
from diskimage.sources.memory import MemorySource
from tests.makers import dmg
from tests.makers.dmg import (
    ADC,
    BZIP2,
    IGNORE,
    LZFSE,
    LZMA,
    RAW,
    SECTOR,
    ZERO,
    ZLIB,
    Chunk,
    Part,
    bundle,
    encrypted_1,
    encrypted_2,
    segmented,
    sparse,
    text,
    udif,
)
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read

GUEST = text(64 * SECTOR)
ONE = udif([Part(0, [Chunk(ZLIB, GUEST)])])


class Gate(OpenGate):
    """One that knows a password."""

    def __init__(self, secret: str | None = None) -> None:
        super().__init__()
        self.secret = secret

    def password(self) -> str | None:
        return self.secret


def opened(image: bytes, gate: OpenGate | None = None) -> Device:
    device = FORMAT.open(MemorySource(image), gate or OpenGate())
    assert not isinstance(device, Disc)
    return device


def checked(image: bytes) -> list[Finding]:
    assert FORMAT.check is not None
    return list(FORMAT.check(MemorySource(image), OpenGate()))


@given(st.data())
@settings(max_examples=60)
def test_any_mixture_of_chunks_reads_right(data: st.DataObject) -> None:
    kinds = st.sampled_from([ZERO, RAW, IGNORE, ADC, ZLIB, BZIP2, LZMA])
    parts, guest, sector = [], b"", 0
    for number in range(data.draw(st.integers(1, 3))):
        gap, chunks = data.draw(st.integers(0, 3)), []
        guest += bytes(gap * SECTOR)
        sector += gap
        first = sector
        for kind in data.draw(st.lists(kinds, max_size=6)):
            count = data.draw(st.integers(1, 5))
            plain = (
                bytes(count * SECTOR) if kind in (ZERO, IGNORE) else text(count * SECTOR, sector)
            )
            chunks.append(Chunk(kind, plain))
            guest += plain
            sector += count
        parts.append(Part(first, chunks, f"part {number}"))
    tail = data.draw(st.integers(0, 2))
    guest += bytes(tail * SECTOR)
    order = data.draw(st.permutations(parts))
    image = udif(
        order, sectors=sector + tail, in_fork=data.draw(st.booleans()),
        first=data.draw(st.booleans()), shuffled=data.draw(st.booleans()),
    )  # fmt: skip
    device = opened(image)
    assert device.size == len(guest)
    lawful(device)
    assert read(device) == guest
    start = data.draw(st.integers(0, device.size))
    stop = data.draw(st.integers(start, device.size))
    lawful(device, start, stop)
    assert read(device, start, stop) == guest[start:stop]


def test_lzfse_decodes_and_is_held_to_its_chunk() -> None:
    pytest.importorskip("lzfse", reason="needs the extra `apple`")
    assert read(opened(udif([Part(0, [Chunk(LZFSE, GUEST)])]))) == GUEST
    short = dmg.lzfse(GUEST[:-1])
    for coded in (short, dmg.lzfse(GUEST + b"x"), dmg.lzfse(GUEST)[:-4], b"bvx2" + bytes(40)):
        with pytest.raises(CorruptError):
            read(opened(udif([Part(0, [Chunk(LZFSE, GUEST, coded)])])))


def test_an_image_is_intact_and_every_sum_can_fail() -> None:
    chunks = [Chunk(RAW, GUEST), Chunk(ZERO, bytes(9 * SECTOR)), Chunk(IGNORE, bytes(SECTOR))]
    image = udif([Part(0, chunks), Part(100, [Chunk(ZLIB, GUEST)], "second")])
    assert checked(image) == []
    changed = bytearray(image)
    changed[1000] ^= 1
    found = checked(bytes(changed))
    assert [problem.kind for problem in found] == ["checksum", "checksum"]
    assert "disk image (Apple_HFS : 1)" in found[0].message
    assert "data fork" in found[1].message
    changed = bytearray(image)
    changed[-512 + 352 + 8] ^= 1
    assert "tables' sums" in checked(bytes(changed))[0].message
    damaged = bytearray(image)
    damaged[len(GUEST) + 20] ^= 0xFF
    assert [one.kind for one in checked(bytes(damaged))] == ["corrupt", "checksum"]


def test_gaps_are_holes_and_said() -> None:
    gate = OpenGate()
    device = opened(udif([Part(10, [Chunk(ZLIB, GUEST)])], sectors=100), gate)
    assert read(device) == bytes(10 * SECTOR) + GUEST + bytes(26 * SECTOR)
    assert [one.kind for one in gate.warnings] == ["gap"]


def test_bytes_behind_the_trailer_are_said() -> None:
    gate = OpenGate()
    assert read(opened(ONE + b"more", gate)) == GUEST
    assert [one.kind for one in gate.warnings] == ["size"]


def test_an_image_near_the_end_of_a_disk_is_not_the_disk() -> None:
    disk = text(8 * SECTOR) + ONE + bytes(SECTOR)
    with pytest.raises(CorruptError, match="no trailer"):
        opened(disk)
    pytest.importorskip("cryptography", reason="needs the extra `crypto`")
    image = encrypted_2(disk.ljust(-(-len(disk) // SECTOR) * SECTOR, b"\0"), "p")
    device = opened(image, Gate("p"))
    assert read(device)[: len(disk)] == disk
    assert device.info["encryption"] == "AES-128, version 2"


def test_a_trailer_without_sectors_has_the_size_of_its_tables() -> None:
    gate = OpenGate()
    assert read(opened(udif([Part(0, [Chunk(ZLIB, GUEST)])], sectors=0), gate)) == GUEST
    assert [one.kind for one in gate.warnings] == ["size"]


def test_an_image_without_tables_is_its_data_fork() -> None:
    plain = GUEST + dmg.koly(data_size=len(GUEST), sectors=64)
    assert read(opened(plain)) == GUEST
    with pytest.raises(CorruptError):
        opened(GUEST + dmg.koly(data_size=len(GUEST), sectors=63))


@pytest.mark.parametrize(
    ("chunk", "error"),
    [
        (Chunk(RAW, GUEST, GUEST[:-1]), CorruptError),
        (Chunk(ZLIB, GUEST, zlib.compress(GUEST[:-1])), CorruptError),
        (Chunk(ZLIB, GUEST, zlib.compress(GUEST + b"x")), CorruptError),
        (Chunk(ZLIB, GUEST, b""), CorruptError),
        (Chunk(0x8000000F, GUEST, b"x"), UnsupportedError),
    ],
)
def test_wrong_chunks_are_refused(chunk: Chunk, error: type[DiskImageError]) -> None:
    with pytest.raises(error):
        read(opened(udif([Part(0, [chunk])])))


def test_tables_are_judged() -> None:
    with pytest.raises(CorruptError, match="in two chunks"):
        opened(udif([Part(0, [Chunk(ZLIB, GUEST)]), Part(63, [Chunk(ZLIB, GUEST)])]))
    with pytest.raises(CorruptError, match="tables end"):
        opened(udif([Part(0, [Chunk(ZLIB, GUEST)])], sectors=10))
    gate = OpenGate(limits=replace(LIMITS, chunk=4096))
    with pytest.raises(LimitError):
        opened(ONE, gate)


@pytest.mark.parametrize(
    "wrong",
    [
        b"<plist><array/></plist>",
        b"<plist><dict><string>no key</string></dict></plist>",
        b"<plist><dict><key>a</key><data>!</data></dict></plist>",
        b"<plist><dict><key>a</key><integer>1e9</integer></dict></plist>",
        b"<plist><dict><key>a</key><string><b/></string></dict></plist>",
        b"<plist><key>a</key></plist>",
        b"<plist><dict/><dict/></plist>",
        b'<!DOCTYPE plist [<!ENTITY a "b">]><plist><dict/></plist>',
        b"<!DOCTYPE plist []><plist><dict/></plist>",
        b"<plist><dict>",
    ],
)
def test_wrong_property_lists_are_refused(wrong: bytes) -> None:
    with pytest.raises(CorruptError):
        plist(wrong, MemorySource(wrong), 0)


def test_a_deep_property_list_is_refused() -> None:
    deep = b"<plist><dict><key>a</key>" + b"<array>" * 100
    with pytest.raises(LimitError):
        plist(deep, MemorySource(deep), 0)


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder / next(iter(files))


def test_segments_are_parts_of_one_set(tmp_path: Path) -> None:
    files = segmented([Part(0, [Chunk(RAW, GUEST)])], "a", 5000)
    path = written(files, tmp_path)
    with diskimage.open(path) as image:
        assert image.read(0, image.size) == GUEST
        assert list(image.problems()) == []
    with pytest.raises(CorruptError, match="not the first"):
        diskimage.open(tmp_path / "a.002.dmgpart")
    other = segmented([Part(0, [Chunk(RAW, GUEST)])], "a", 6000)
    (tmp_path / "a.002.dmgpart").write_bytes(other["a.002.dmgpart"])
    with pytest.raises(CorruptError, match="wanted 2"):
        diskimage.open(path)
    (tmp_path / "a.002.dmgpart").unlink()
    with pytest.raises(MissingError):
        diskimage.open(path)


def test_a_sparse_image_of_several_nodes() -> None:
    bands = {n: text(SECTOR, n) for n in random.Random(3).sample(range(5000), 2500)}
    order = random.Random(4).sample(sorted(bands), len(bands))
    image = sparse(bands, 5000 * SECTOR, band=SECTOR, order=order)
    device = opened(image)
    lawful(device)
    assert read(device) == b"".join(bands.get(n, bytes(SECTOR)) for n in range(5000))
    assert device.info["nodes"] == 3


def test_a_sparse_image_is_judged() -> None:
    image = bytearray(sparse({0: GUEST[:4096]}, 8192))
    for change, error in (
        ((4, 4, 9), UnsupportedError),  # version
        ((8, 4, 0), CorruptError),  # band
        ((64, 4, 3), CorruptError),  # band 2 of two
        ((68, 4, 1), TruncatedError),  # a second band that is not there
        ((20, 8, 4096), CorruptError),  # a node that is a band
    ):
        at, width, value = change
        wrong = image[:]
        wrong[at : at + width] = value.to_bytes(width, "big")
        with pytest.raises(error):
            opened(bytes(wrong))
    two = bytearray(sparse({0: GUEST[:4096], 1: GUEST[4096:8192]}, 8192, rows=1))
    two[4096 * 2 + 12 : 4096 * 2 + 20] = (8192).to_bytes(8, "big")
    with pytest.raises(LoopError):
        opened(bytes(two))
    twice = sparse({0: GUEST[:4096]}, 8192, order=(0, 0))
    with pytest.raises(CorruptError, match="two chunks"):
        opened(twice)


def test_a_bundle_is_opened_by_its_directory(tmp_path: Path) -> None:
    folder = tmp_path / "a.sparsebundle"
    bands = {0: text(4096), 10: text(100, 1), 171: text(512, 2)}
    written(bundle(171 * 4096 + 512, bands, band=4096), folder)
    wanted = bytearray(171 * 4096 + 512)
    for number, content in bands.items():
        wanted[number * 4096 : number * 4096 + len(content)] = content
    with diskimage.open(folder) as image:
        assert (image.format, image.size) == ("dmg", len(wanted))
        assert image.read(0, image.size) == wanted
        lawful(image.device)
        stored = [(row.start, row.length) for row in image.extents() if not row.hole]
        assert stored == [(0, 4096), (40960, 100), (171 * 4096, 512)]
    with pytest.raises(RefusedReferenceError):
        diskimage.open(folder, references="none")


def test_bands_that_are_not_there_cost_nothing(tmp_path: Path) -> None:
    size = 1 << 60
    folder = tmp_path / "a.sparsebundle"
    path = written(bundle(size, {7: text(512), 1 << 40: text(512)}, band=512), folder)
    (folder / "bands/07").write_bytes(b"no band")
    (folder / "bands/x").write_bytes(b"nor this")
    with diskimage.open(path) as image:
        stored = [(row.start, row.length) for row in image.extents() if not row.hole]
        assert stored == [(7 * 512, 512), (512 << 40, 512)]
        assert image.read(8 * 512 - 1, 2) == text(512)[-1:] + b"\0"


def test_a_band_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = written(bundle(1024, {0: text(513)}, band=512), tmp_path)
    with diskimage.open(path) as image, pytest.raises(CorruptError, match="band 0"):
        image.read(0, 10)


def test_a_bundle_opens_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a.sparsebundle"
    written(bundle(8192, {0: text(4096)}, band=4096), folder)
    (tmp_path / "secret").write_bytes(b"s" * 4096)
    (folder / "bands/1").symlink_to(tmp_path / "secret")
    with diskimage.open(folder) as image:
        assert image.read(4096, 4096) == bytes(4096)
    (folder / "bands").rename(tmp_path / "elsewhere")
    (folder / "bands").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MissingError):
        diskimage.open(folder)


def test_a_bundle_with_more_bands_than_files_may_be_open(tmp_path: Path) -> None:
    bands = {n: text(SECTOR, n) for n in range(200)}
    folder = tmp_path / "a.sparsebundle"
    written(bundle(200 * SECTOR, bands, band=SECTOR), folder)
    with diskimage.open(folder) as image:
        whole = b"".join(bands[n] for n in range(200))
        assert image.read(0, image.size) == whole
        assert diskimage.hash(folder).size == len(whole)


def test_encrypted_images_open_by_their_password() -> None:
    pytest.importorskip("cryptography", reason="needs the extra `crypto`")
    for image in (encrypted_2(ONE, "secret"), encrypted_1(ONE.ljust(8192), "secret")):
        assert read(opened(image, Gate("secret"))) == GUEST
        for wrong in ("Secret", None, "secret\n"):
            with pytest.raises(PasswordError):
                opened(image, Gate(wrong))
        with pytest.raises((TruncatedError, CorruptError, DiskImageError)):
            opened(image[: len(image) // 2], Gate("secret"))


def test_an_encrypted_sparse_image_and_an_encrypted_disk() -> None:
    pytest.importorskip("cryptography", reason="needs the extra `crypto`")
    inner = sparse({1: text(SECTOR)}, 2 * SECTOR, band=SECTOR)
    assert read(opened(encrypted_2(inner, "p"), Gate("p"))) == bytes(SECTOR) + text(SECTOR)
    disk = text(3 * SECTOR)
    assert read(opened(encrypted_2(disk, "p"), Gate("p"))) == disk


def test_an_encrypted_bundle_counts_blocks_from_each_band(tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="needs the extra `crypto`")
    plain = {0: text(1024), 2: text(1024, 2)}
    files = bundle(3072, {n: dmg.ciphered(one, 512) for n, one in plain.items()}, band=1024)
    files["token"] = encrypted_2(b"", "p")
    folder = tmp_path / "a.sparsebundle"
    written(files, folder)
    with diskimage.open(folder, password="p") as image:
        assert image.read(0, image.size) == plain[0] + bytes(1024) + plain[2]


def test_a_key_derived_in_too_many_rounds_is_refused() -> None:
    pytest.importorskip("cryptography", reason="needs the extra `crypto`")
    image = bytearray(encrypted_2(ONE, "p", rounds=1))
    at = image.index((103).to_bytes(4, "big"), 0x4C)
    for rounds, error in ((0xFFFFFFFF, LimitError), (0, CorruptError)):
        image[at + 8 : at + 12] = rounds.to_bytes(4, "big")
        with pytest.raises(error):
            opened(bytes(image), Gate("p"))
