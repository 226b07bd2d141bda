"""Parallels: images of an independent maker read here, ours read by qemu-img, bundles."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
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
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)
from diskimage.formats.parallels import FORMAT, check
from diskimage.formats.parallels.create import create, full
from diskimage.layers.blank import Blank
from diskimage.model import Extent, Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone, noise
from tests.makers.executor import image_of
from tests.makers.gate import OpenGate
from tests.makers.naive import Rows, lawful, read
from tests.makers.parallels import (
    BELOW,
    NEW,
    NOBODY,
    OLD,
    TOP,
    bundle,
    descriptor,
    extended,
    parallels,
)

Peer = Callable[[str], str]
MIB = 1 << 20


ALONE = Alone(FORMAT)
opened, found, warned = ALONE.opened, ALONE.problems, ALONE.warned


@given(st.data())
@settings(max_examples=60)
def test_clusters_in_any_order_read_right(data: st.DataObject) -> None:
    tracks, magic = data.draw(st.sampled_from([1, 8, 63])), data.draw(st.sampled_from([OLD, NEW]))
    cluster = tracks * 512
    size = data.draw(st.integers(0, 12)) * cluster + data.draw(st.sampled_from([0, 512]))
    count = -(-size // cluster)
    used = data.draw(st.lists(st.sampled_from(range(count)), unique=True)) if count else []
    places = data.draw(st.permutations(range(len(used))))
    contents = {index: noise(cluster, index) for index in used}
    stored = {i: (p, contents[i]) for i, p in zip(used, places, strict=True)}
    image = parallels(size, stored, tracks=tracks, magic=magic)
    expected = b"".join(contents.get(i, bytes(cluster)) for i in range(count))[:size]
    device = opened(image)
    lawful(device)
    assert read(device) == expected
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    lawful(device, start, stop)
    assert read(device, start, stop) == expected[start:stop]
    assert found(image) == []


PLAIN = parallels(3 * 4096, {0: (1, b"a" * 4096), 2: (0, b"b" * 4096)})


def patched(at: int, value: int, width: int = 4) -> bytes:
    return PLAIN[:at] + value.to_bytes(width, "little") + PLAIN[at + width :]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (patched(0, 0), CorruptError),
        (patched(16, 3), UnsupportedError),
        (patched(28, 0), CorruptError),
        (patched(28, 0xFFFFFFFF), LimitError),
        (patched(32, 2), CorruptError),
        (patched(32, 0x3FFFFFFF), TruncatedError),
        (patched(36, 1 << 62, 8), LimitError),
        (patched(48, 0xFFFFFFFF), None),
        (PLAIN[:70], TruncatedError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception] | None) -> None:
    if error is None:  # the header can be read: what the table says is before the data
        device = opened(image)
        with pytest.raises(CorruptError, match="the data begin at"):
            read(device)
        return
    with pytest.raises(error):
        opened(image)


def test_the_high_word_of_an_old_size_does_not_count() -> None:
    image = bytearray(parallels(4096, {0: (0, b"a" * 4096)}, magic=OLD))
    struct.pack_into("<I", image, 40, 7)
    assert read(opened(bytes(image))) == b"a" * 4096


def test_an_old_image_may_leave_out_where_its_data_begin() -> None:
    image = parallels(4096, {0: (0, b"a" * 4096)}, magic=OLD, data_off=0)
    assert read(opened(image)) == b"a" * 4096
    assert found(image) == []


def test_what_is_odd_is_said() -> None:
    assert warned(PLAIN) == []
    assert warned(patched(44, 0x746F6E59)) == ["dirty"]
    assert warned(patched(44, int.from_bytes(b"pd22", "little"))) == []
    assert warned(patched(52, 1)) == ["flags"]


BITMAP = struct.pack("<QQII", 0x20385FAE252CB34A, 1, 40, 0) + bytes(40)


@pytest.mark.parametrize(
    ("extension", "kinds"),
    [
        (extended(4096, BITMAP), []),
        (extended(4096, b""), []),
        (extended(4096, struct.pack("<QQII", 77, 1, 0, 0)), ["extension"]),
        (extended(4096, struct.pack("<QQII", 0x20385FAE252CB34A, 1, 5000, 0)), ["extension"]),
        (extended(4096, BITMAP)[:-1] + b"\1", ["extension"]),
        (b"no magic", ["extension"]),
    ],
)
def test_a_wrong_extension_does_not_hide_the_guest(extension: bytes, kinds: list[str]) -> None:
    image = parallels(8192, {1: (0, b"a" * 4096)}, extension=extension)
    assert warned(image) == kinds
    assert read(opened(image)) == bytes(4096) + b"a" * 4096


def test_an_extension_past_the_end_is_said() -> None:
    assert warned(patched(56, 1 << 40, 8)) == ["extension"]


def test_clusters_past_the_end_are_truncated_and_their_neighbours_are_not() -> None:
    device = opened(PLAIN[:-1])
    assert read(device, 4096) == bytes(4096) + b"b" * 4096
    with pytest.raises(TruncatedError, match="guest byte 4095"):
        read(device)
    assert found(PLAIN[:-1]) == ["truncated"]


def test_check_names_shared_and_misplaced_clusters() -> None:
    assert found(patched(68, 2)) == ["corrupt"]  # shares the first one's place
    old = parallels(8192, {0: (0, b"a" * 4096), 1: (1, b"b" * 4096)}, magic=OLD, special={1: 2})
    assert found(old) == ["corrupt"]
    header = parallels(8192, {0: (0, b"a" * 4096)}, magic=OLD, special={1: 0x7FFFFFF9})
    assert found(header) == ["truncated"]


def write(sample_files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, content in sample_files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_bundle_opens_by_its_directory(tmp_path: Path) -> None:
    sample = bundle()
    folder = write(dict(sample.files), tmp_path / "disk.hdd")
    with diskimage.open(folder) as image:
        assert image.format == "parallels"
        assert image.read(0, image.size) == sample.guest
    with pytest.raises(RefusedReferenceError), diskimage.open(folder, references="none"):
        pass
    with diskimage.open(folder / "top.hds") as image:
        assert [warning.kind for warning in image.warnings] == ["bundle"]


ROOT = parallels(8192, {0: (0, b"a" * 4096), 1: (1, b"b" * 4096)})
FILES = {"a.hds": ROOT, "b.hds": parallels(8192, {1: (0, b"c" * 4096)})}
ONE = [(0, 16, [(TOP, "Compressed", "a.hds")])]
TWO = [(0, 16, [(BELOW, "Compressed", "a.hds"), (TOP, "Compressed", "b.hds")])]


@pytest.mark.parametrize(
    ("xml", "guest"),
    [
        (descriptor(16, ONE), b"a" * 4096 + b"b" * 4096),
        (descriptor(16, ONE, []), b"a" * 4096 + b"b" * 4096),
        (descriptor(8, [(0, 8, ONE[0][2])]), b"a" * 4096),
        (descriptor(16, TWO, [(BELOW, NOBODY), (TOP, BELOW)]), b"a" * 4096 + b"c" * 4096),
        (descriptor(16, TWO, [(BELOW, NOBODY), (TOP, BELOW)], top=BELOW.upper()),
         b"a" * 4096 + b"b" * 4096),
    ],
)  # fmt: skip
def test_the_current_snapshot_is_what_a_bundle_reads(
    xml: bytes, guest: bytes, tmp_path: Path
) -> None:
    folder = write({"DiskDescriptor.xml": xml, **FILES}, tmp_path / "a.hdd")
    with diskimage.open(folder) as image:
        assert image.read(0, image.size) == guest
    assert diskimage.check(folder).ok


@pytest.mark.parametrize(
    ("xml", "error"),
    [
        (descriptor(16, ONE, padding="1"), UnsupportedError),
        (descriptor(16, ONE, engine=BELOW), UnsupportedError),
        (descriptor(16, [(0, 16, [(TOP, "Magic", "a.hds")])]), UnsupportedError),
        (descriptor(16, [(0, 16, [(TOP, "Compressed", "/etc/a.hds")])]), RefusedReferenceError),
        (descriptor(16, [(0, 16, [(TOP, "Compressed", "../a.hds")])]), RefusedReferenceError),
        (descriptor(16, [(0, 16, [(TOP, "Compressed", "gone.hds")])]), MissingError),
        (descriptor(32, [(0, 32, [(TOP, "Compressed", "a.hds")])]), TruncatedError),
        (descriptor(17, ONE), CorruptError),
        (descriptor(32, [*ONE, *ONE]), CorruptError),
        (descriptor(16, []), CorruptError),
        (descriptor(16, [(0, 16, [])]), CorruptError),
        (descriptor(16, TWO, [(BELOW, TOP), (TOP, BELOW)]), LoopError),
        (descriptor(16, TWO, [(TOP, NOBODY[:-2] + "1}")]), CorruptError),
        (descriptor(16, ONE).replace(b"<Start>0", b"<Start>-1"), CorruptError),
        (descriptor(16, ONE)[:-20], CorruptError),
        (descriptor(16, ONE).replace(b"\n<Par", b'\n<!DOCTYPE a [<!ENTITY b "c">]>\n<Par', 1),
         CorruptError),
        (descriptor(16, ONE).replace(b"<Snapshots>", b"<Snapshots>" + b"<a>" * 99), LimitError),
        (descriptor(16, ONE) + b" " * MIB, LimitError),
    ],
)  # fmt: skip
def test_a_wrong_descriptor_has_its_error(
    xml: bytes, error: type[Exception], tmp_path: Path
) -> None:
    folder = write({"DiskDescriptor.xml": xml, **FILES}, tmp_path / "a.hdd")
    with pytest.raises(error), diskimage.open(folder):
        pass


def disk(content: bytes) -> Rows:
    """A device of `content`; whole MiB of zeros are holes."""
    source, rows = MemorySource(content), []
    for at in range(0, len(content), MIB):
        part = content[at : at + MIB]
        data = any(part)
        rows.append(
            Extent(at, len(part), Kind.DATA, source=source, at=at)
            if data
            else Extent(at, len(part), Kind.ZERO, hole=True)
        )
    return Rows(rows)


CONTENTS = {
    "empty": b"",
    "zeros": bytes(3 * MIB),
    "odd": noise(2 * MIB + 700, 1),
    "holes": noise(MIB, 2) + bytes(3 * MIB) + noise(512, 3) + bytes(MIB - 512) + b"\1",
    "hidden zeros": noise(512, 4) + bytes(3 * MIB) + noise(MIB, 5),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_created_images_satisfy_qemu_img(name: str, tmp_path: Path, peer: Peer) -> None:
    content = CONTENTS[name]
    padded = content + bytes(-len(content) % 512)
    image, back = tmp_path / "a.hds", tmp_path / "back.raw"
    made = image_of(create(disk(content), "disk"))
    image.write_bytes(made)
    assert read(opened(made)) == padded
    assert found(made) == []
    qemu = peer("qemu-img")
    subprocess.run([qemu, "check", "-f", "parallels", image], check=True, capture_output=True)
    command: list[str | Path] = [qemu, "convert", "-f", "parallels", "-O", "raw", image, back]
    subprocess.run(command, check=True, capture_output=True)
    assert back.read_bytes() == padded
    told = subprocess.run(
        [qemu, "info", "--output=json", "-f", "parallels", image], check=True, capture_output=True
    )
    assert json.loads(told.stdout)["virtual-size"] == len(padded)


def test_zeros_are_not_stored_and_the_header_comes_last() -> None:
    made = image_of(create(disk(CONTENTS["holes"]), "disk"))
    assert len(made) == 4 * MIB
    assert len(made) <= full(len(CONTENTS["holes"]))
    steps = list(range(1, 5))
    for cut in steps:
        part = image_of(create(disk(CONTENTS["holes"]), "disk"), steps=cut)
        assert part == made or part[:16] == bytes(16)


def test_a_disk_that_no_table_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="more than"):
        image_of(create(Blank(1 << 52), "disk"))


def test_an_odd_size_is_announced() -> None:
    assert FORMAT.losses is not None
    assert [loss.name for loss in FORMAT.losses(disk(b"x" * 700))] == ["size"]


@pytest.mark.parametrize("cluster", ["64k", "1M"])
def test_qemu_img_images_read_right(cluster: str, tmp_path: Path, peer: Peer) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / "a.hds"
    raw.write_bytes(CONTENTS["holes"] + bytes(511))
    command: list[str | Path] = [
        peer("qemu-img"), "convert", "-f", "raw", "-O", "parallels", "-o",
        f"cluster_size={cluster}", raw, image,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    device = opened(image.read_bytes())
    lawful(device)
    assert read(device) == raw.read_bytes()
    assert found(image.read_bytes()) == []


def test_free_clusters_are_holes() -> None:
    kinds = [(row.kind, row.hole) for row in extents(opened(PLAIN))]
    assert kinds == [(Kind.DATA, False), (Kind.ZERO, True), (Kind.DATA, False)]


@given(st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 80) | st.integers(0, len(PLAIN) - 1))
    wrong = data.draw(st.binary(min_size=1, max_size=8))
    damaged = PLAIN[:at] + wrong + PLAIN[at + len(wrong) :]
    with suppress(DiskImageError):
        list(check(MemorySource(damaged), OpenGate()))
    with suppress(DiskImageError):
        device = opened(damaged)
        lawful(device)
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size
