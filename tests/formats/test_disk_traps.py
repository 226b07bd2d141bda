"""The traps of disk images in which trusted tools give other bytes, or none, with exit status 0.

Each is an image of an independent maker or of a peer, read by the public face.
docs/reference/disk-traps.md is the list.
"""

from __future__ import annotations

import json
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    MissingError,
    PasswordError,
    RefusedReferenceError,
    TruncatedError,
    UnsafeNameError,
    UnsupportedError,
)
from diskimage.limits import MIB
from tests.bounded import Run
from tests.makers import asif, dmg, e01, parallels, qcow2, raw, vdi, vhd, vhdx, vmdk
from tests.makers.qcow2 import Cluster, Maker
from tests.makers.sample import Sample


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def guest_of(path: Path, **how: object) -> bytes:
    with diskimage.open(path, **how) as image:  # type: ignore[arg-type]  # keywords of open
        return image.read(0, image.size)


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def named(samples: list[Sample], label: str) -> Sample:
    return next(one for one in samples if one.label == label)


def test_t01_a_differencing_vhd_has_a_parent(tmp_path: Path) -> None:
    base = vhd.sparse(8192, {0: (0, b"P" * 4096), 1: (1, b"Q" * 4096)}, block=4096)
    name = "base.vhd".encode("utf-16-le")
    child = vhd.sparse(
        8192, {0: (0, b"c" * 4096)}, block=4096, kind=4, present={0: [1, 2]},
        parent=(vhd.UUID, 600_000_000, "base.vhd"), locators=[(b"W2ru", name)],
    )  # fmt: skip
    put(tmp_path / "base.vhd", base)
    path = put(tmp_path / "child.vhd", child)
    expected = b"P" * 512 + b"c" * 1024 + b"P" * 2560 + b"Q" * 4096
    assert guest_of(path, references="siblings") == expected
    with pytest.raises(RefusedReferenceError):
        guest_of(path)


def test_t02_clear_bits_of_a_dynamic_vhd_are_zeros_whatever_is_stored(tmp_path: Path) -> None:
    image = vhd.sparse(4096, {0: (0, b"stale..." * 512)}, block=4096, present={0: [0, 7]})
    expected = b"stale..." * 64 + bytes(3072) + b"stale..." * 64
    assert guest_of(put(tmp_path / "a.vhd", image)) == expected


def test_t03_a_fixed_vhd_is_told_by_its_end(tmp_path: Path) -> None:
    path = put(tmp_path / "a.vhd", vhd.fixed(noise(10240)))
    with diskimage.open(path) as image:
        assert (image.format, image.size) == ("vhd", 10240)
        assert image.read(0, 10240) == noise(10240)


def test_t04_blocks_behind_the_first_sector_bitmap_of_a_vhdx(tmp_path: Path) -> None:
    blocks = {4095: (0, noise(MIB, 1)), 4096: (1, noise(MIB, 2)), 8192: (2, noise(MIB, 3))}
    path = put(tmp_path / "a.vhdx", vhdx.vhdx(8193 * MIB, blocks))
    with diskimage.open(path) as image:
        assert image.read(4095 * MIB, 2 * MIB) == noise(MIB, 1) + noise(MIB, 2)
        assert image.read(8192 * MIB, MIB) == noise(MIB, 3)


def test_t05_a_log_is_replayed_and_the_file_left_alone(tmp_path: Path) -> None:
    sample = named(vhdx.samples(), "dirty log")
    path = sample.write(tmp_path)
    assert guest_of(path) == sample.guest
    assert path.read_bytes() == sample.files[sample.main]


@pytest.mark.parametrize("bad", [0, 1])
def test_t06_either_region_table_of_a_vhdx_is_enough(bad: int, tmp_path: Path) -> None:
    damaged = bytes([vhdx.REGIONS[0] ^ 1]) + vhdx.REGIONS[1:]
    tables = (damaged, vhdx.REGIONS) if bad == 0 else (vhdx.REGIONS, damaged)
    path = put(tmp_path / "a.vhdx", vhdx.vhdx(MIB, {0: (0, noise(MIB))}, tables=tables))
    with diskimage.open(path) as image:
        assert image.read(0, MIB) == noise(MIB)
        assert image.warnings


def test_t07_a_chain_of_three_vhdx_with_blocks_in_part(tmp_path: Path) -> None:
    names = ["base.vhdx", "middle.vhdx", "top.vhdx"]
    ids = [vhdx.CONTENT, vhdx.LOG, vhdx.NONE.replace("0000", "1111", 1)]
    guest = bytearray(noise(MIB))
    for layer, name in enumerate(names):
        link = {"parent_linkage": f"{{{ids[layer - 1]}}}", "relative_path": names[layer - 1]}
        heads = (vhdx.header(1, content=ids[layer]), vhdx.header(2, content=ids[layer]))
        if layer == 0:
            made = vhdx.vhdx(MIB, {0: (0, bytes(guest))}, headers=heads)
        else:
            own, sector = noise(MIB, layer), 10 * layer
            made = vhdx.vhdx(
                MIB, {0: (0, own)}, flags=2, states={0: 7}, bitmaps={0: (1, [sector])},
                parent=link, headers=heads,
            )  # fmt: skip
            guest[sector * 512 : sector * 512 + 512] = own[sector * 512 : sector * 512 + 512]
        put(tmp_path / name, made)
    assert guest_of(tmp_path / "top.vhdx", references="siblings") == guest


@pytest.mark.parametrize("label", ["flat"])
def test_t08_t10_extents_of_zeros_read_only_ones_and_offsets_stay_in_their_places(
    label: str, tmp_path: Path
) -> None:
    sample = named(vmdk.samples(), label)
    text = sample.files[sample.main]
    assert b"ZERO" in text
    assert b"rdonly" in text
    assert text.count(b'-flat.vmdk" 8') == 1
    assert guest_of(sample.write(tmp_path)) == sample.guest


@pytest.mark.parametrize(
    "sample",
    [named(qcow2.samples(), "plain"), named(vmdk.samples(), "flat"), vdi.samples()[3],
     parallels.samples()[0]],
    ids=["qcow2", "vmdk", "vdi", "parallels"],
)  # fmt: skip
def test_t09_a_truncated_image_is_an_error_and_never_zeros(sample: Sample, tmp_path: Path) -> None:
    cut = sample.cut or sample.main
    path = sample.write(tmp_path)
    (tmp_path / cut).write_bytes(sample.files[cut][: len(sample.files[cut]) // 2])
    with pytest.raises(TruncatedError):
        guest_of(path)
    with pytest.raises(TruncatedError):
        diskimage.convert(path, tmp_path / "out.raw")
    assert not (tmp_path / "out.raw").exists()


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "C:\\\\secret", "sub/secret"])
def test_t11_an_extent_outside_of_the_directory_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "vm").mkdir()
    put(tmp_path / "secret", bytes(512))
    text = vmdk.descriptor([f'RW 1 FLAT "{name}" 0'], kind="monolithicFlat")
    with pytest.raises((RefusedReferenceError, UnsafeNameError, MissingError)) as caught:
        diskimage.open(put(tmp_path / "vm" / "a.vmdk", text))
    assert not isinstance(caught.value, MissingError) or "/" not in name


@pytest.mark.parametrize("padding", [512, 10240])
def test_t12_a_stream_with_zeros_behind_it(padding: int, tmp_path: Path) -> None:
    content = noise(2 * vmdk.GRAIN)
    grains = {0: content[: vmdk.GRAIN], 1: content[vmdk.GRAIN :]}
    image = vmdk.stream(len(content), grains, padding=padding)
    assert guest_of(put(tmp_path / "a.vmdk", image)) == content


def test_t13_a_stream_as_qemu_makes_it_is_read_and_ours_is_as_specified(
    peer: Callable[[str], str], tmp_path: Path
) -> None:
    guest = put(tmp_path / "a.raw", noise(MIB) + bytes(MIB))
    made, ours = tmp_path / "q.vmdk", tmp_path / "o.vmdk"
    command = [peer("qemu-img"), "convert", "-f", "raw", "-O", "vmdk"]
    command += ["-o", "subformat=streamOptimized", str(guest), str(made)]
    subprocess.run(command, check=True)
    assert guest_of(made) == guest.read_bytes()
    diskimage.convert(guest, ours, subformat="streamOptimized")
    seven = [peer("7z"), "t", "-tvmdk", str(ours)]
    assert subprocess.run(seven, capture_output=True, check=False).returncode == 0


def test_t14_blocks_of_a_vdi_out_of_order_in_one_long_read(tmp_path: Path) -> None:
    order = [3, 0, 2, 1]
    blocks = {n: (place, noise(MIB, n)) for n, place in enumerate(order)}
    path = put(tmp_path / "a.vdi", vdi.vdi(4 * MIB, blocks))
    assert guest_of(path) == b"".join(noise(MIB, n) for n in range(4))


def test_t15_version_2_of_qcow2_has_extensions_where_version_3_has_features(
    tmp_path: Path,
) -> None:
    put(tmp_path / "base.qcow2", Maker(65536, {0: Cluster("data", noise(65536))}).image())
    top = Maker(65536, {}, version=2, backing=b"base.qcow2",
                extensions=[(0xE2792ACA, b"qcow2")]).image()  # fmt: skip
    path = put(tmp_path / "top.qcow2", top)
    assert guest_of(path, references="siblings") == noise(65536)


@pytest.mark.parametrize("zstd", [False, True])
def test_t16_compressed_clusters_of_512_bytes(zstd: bool, tmp_path: Path) -> None:
    plain = {n: bytes([n]) * 300 + noise(100, n) + bytes(112) for n in (0, 2, 3, 7)}
    clusters = {n: Cluster("coded", content) for n, content in plain.items()}
    image = Maker(8 * 512, clusters, bits=9, zstd=zstd).image()
    expected = b"".join(plain.get(n, bytes(512)) for n in range(8))
    assert guest_of(put(tmp_path / "a.qcow2", image)) == expected


def test_t17_an_encrypted_qcow2_gives_no_bytes_without_its_password(tmp_path: Path) -> None:
    image = Maker(65536, {0: Cluster("data", noise(65536))}, encryption=1).image()
    path = put(tmp_path / "a.qcow2", image)
    with pytest.raises(PasswordError):
        guest_of(path)


def test_t18_extended_entries_take_bounded_memory(dim: str, run: Run, tmp_path: Path) -> None:
    content = noise(1 << 14)
    clusters = {n: Cluster("data", content, 0xFFFFFFFF) for n in range(64)}
    image = Maker(64 << 14, clusters, bits=14, extended=True).image()
    path = put(tmp_path / "a.qcow2", image)
    done = run([dim, "hash", path, "-a", "md5", "--json"])  # in bounded memory
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["size"] == 64 << 14
    assert guest_of(path) == content * 64


@pytest.mark.parametrize("bit", [5, 17, 63])
def test_t19_an_unknown_incompatible_feature_is_refused(bit: int, tmp_path: Path) -> None:
    image = Maker(65536, {}, incompatible=1 << bit).image()
    with pytest.raises(UnsupportedError, match=str(bit)):
        diskimage.open(put(tmp_path / "a.qcow2", image))


def test_t20_chunks_of_lzma_are_part_of_the_disk(tmp_path: Path) -> None:
    chunks = [dmg.Chunk(dmg.RAW, noise(1024)), dmg.Chunk(dmg.LZMA, dmg.text(4096)),
              dmg.Chunk(dmg.ZLIB, dmg.text(2048, 3))]  # fmt: skip
    path = put(tmp_path / "a.dmg", dmg.udif([dmg.Part(0, chunks)]))
    assert guest_of(path) == noise(1024) + dmg.text(4096) + dmg.text(2048, 3)


def test_t21_tables_out_of_order_with_gaps_are_one_disk(tmp_path: Path) -> None:
    sample = named(dmg.samples(), "gaps")
    assert guest_of(sample.write(tmp_path)) == sample.guest


@pytest.mark.parametrize("kind", [dmg.RAW, dmg.ZLIB, dmg.BZIP2, dmg.LZMA])
def test_t22_a_damaged_chunk_of_a_dmg_is_noticed(kind: int, tmp_path: Path) -> None:
    image = bytearray(dmg.udif([dmg.Part(0, [dmg.Chunk(kind, noise(65536))])]))
    image[30_000] ^= 4
    path = put(tmp_path / "a.dmg", bytes(image))
    assert {one.part for one in diskimage.check(path).problems} >= {"chunks"}
    if kind != dmg.RAW:  # whose only sum is that of all chunks of its table
        with pytest.raises(DiskImageError):
            guest_of(path)


def test_t23_a_damaged_chunk_of_evidence_is_never_handed_out(tmp_path: Path) -> None:
    sample = named(e01.samples(), "mixed")
    path = sample.write(tmp_path)
    image = bytearray(path.read_bytes())
    image[image.index(b"sectors\0") + 76 + 3000] ^= 1
    path.write_bytes(image)
    with pytest.raises((ChecksumError, CorruptError)):
        guest_of(path)


def test_t24_a_neighbour_of_evidence_is_no_segment(tmp_path: Path) -> None:
    sample = named(e01.samples(), "segments")
    path = sample.write(tmp_path)
    for name in ("a.TXT", "a.EXE", "a.E99"):
        put(tmp_path / name, b"notes")
    assert guest_of(path) == sample.guest


def test_t25_blocks_that_were_never_written_of_an_asif_are_zeros(tmp_path: Path) -> None:
    image = asif.asif(asif.CHUNK, {0: (0, b"stale..." * 4096)}, partial={0: [1, 0, 1] + [0] * 61})
    expected = b"stale..." * 64 + bytes(512) + b"stale..." * 64
    assert guest_of(put(tmp_path / "a.asif", image)) == expected.ljust(asif.CHUNK, b"\0")


def test_t26_both_magics_of_parallels(tmp_path: Path) -> None:
    for label in ("new", "old"):
        sample = named(parallels.samples(), label)
        assert guest_of(sample.write(tmp_path)) == sample.guest


def test_t27_a_mebibyte_of_literals_in_adc(tmp_path: Path) -> None:
    content = noise(MIB)
    literals = b"".join(
        bytes([0x80 | len(piece) - 1]) + piece
        for piece in (content[at : at + 128] for at in range(0, MIB, 128))
    )
    image = dmg.udif([dmg.Part(0, [dmg.Chunk(dmg.ADC, content, literals)])])
    assert guest_of(put(tmp_path / "a.dmg", image)) == content


def test_t28_a_sparse_image_of_several_nodes(tmp_path: Path) -> None:
    bands = {n: struct.pack(">I", n) * 128 for n in range(2100)}
    order = list(range(2099, -1, -1))
    image = dmg.sparse(bands, 2100 * 512, band=512, order=order)
    assert guest_of(put(tmp_path / "a.sparseimage", image)) == b"".join(bands.values())


def test_a_raw_disk_is_what_it_is(tmp_path: Path) -> None:
    """The control: of an image without a trap nothing is said."""
    with diskimage.open(raw.samples()[0].write(tmp_path)) as image:
        assert image.format == "raw"
        assert not image.warnings
