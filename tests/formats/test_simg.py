"""Android sparse images: those of an independent maker and of img2simg, read here."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import diskimage
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    MissingError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.simg import FORMAT, layout
from diskimage.limits import LIMITS
from diskimage.model import Finding, Kind
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from tests.makers.alone import Alone
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read
from tests.makers.raw import make
from tests.makers.simg import CRC, FILL, RAW, SKIP, Chunk, crc, fill, raw, simg, skip

Peer = Callable[[str], str]
BODY = bytes(range(256)) * 16
VALUE = b"\x01\x02\x03\x04"


ALONE = Alone(FORMAT)
opened = ALONE.opened


def checked(image: bytes) -> list[Finding]:
    assert FORMAT.check is not None
    return list(FORMAT.check(MemorySource(image), OpenGate()))


@st.composite
def images(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An image and its guest, of chunks in any order."""
    block = draw(st.sampled_from([4, 512, 1020, 4096]))
    chunks, guest = [], b""
    for _ in range(draw(st.integers(0, 12))):
        blocks = draw(st.integers(0, 3))
        kind = draw(st.sampled_from([RAW, FILL, SKIP, CRC]))
        if kind == RAW:
            body = draw(st.randoms()).randbytes(blocks * block)
            chunks.append(raw(body, block))
            guest += body
        elif kind == FILL:
            value = draw(st.sampled_from([bytes(4), VALUE, b"abcd"]))
            chunks.append(fill(value, blocks))
            guest += value * (blocks * block // 4)
        elif kind == SKIP:
            chunks.append(skip(blocks))
            guest += bytes(blocks * block)
        else:
            chunks.append(crc(guest))
    header, head = draw(st.sampled_from([(28, 12), (32, 16), (77, 13)]))
    return simg(chunks, block=block, header=header, head=head), guest


@given(images(), st.data())
@settings(max_examples=150)
def test_chunks_read_right(made: tuple[bytes, bytes], data: st.DataObject) -> None:
    image, guest = made
    device = opened(image)
    lawful(device)
    assert read(device) == guest
    start = data.draw(st.integers(0, len(guest)))
    stop = data.draw(st.integers(start, len(guest)))
    lawful(device, start, stop)
    assert read(device, start, stop) == guest[start:stop]
    assert checked(image) == []


def test_what_is_left_alone_is_a_hole_and_zeros_are_not() -> None:
    device = opened(simg([skip(1), fill(bytes(4), 1), raw(BODY), fill(VALUE, 1)]))
    kinds = [(row.kind, row.hole) for row in extents(device)]
    assert kinds == [(Kind.ZERO, True), (Kind.ZERO, False), (Kind.DATA, False), (Kind.DATA, False)]


def test_many_small_chunks_come_in_full_blocks_of_rows() -> None:
    rows: list[Chunk] = []
    for number in range(6000):
        rows += [raw(number.to_bytes(4, "big") * 128, 512), skip(1)]
    device = opened(simg(rows, block=512))
    lawful(device)
    assert len(list(device.runs())) == 3
    assert read(device, 1024 * 5000, 1024 * 5000 + 4) == (5000).to_bytes(4, "big")


ONE = [raw(BODY), fill(VALUE, 2)]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (simg(ONE, version=(2, 0)), UnsupportedError),
        (simg(ONE, header=27), CorruptError),
        (simg(ONE, head=11), CorruptError),
        (simg(ONE, block=0), CorruptError),
        (simg(ONE, block=4094), CorruptError),
        (simg(ONE, blocks=4), CorruptError),
        (simg(ONE, blocks=2), CorruptError),
        (simg(ONE, count=3), TruncatedError),
        (simg(ONE, count=1), CorruptError),
        (simg([Chunk(0xCAC5, 1)]), CorruptError),
        (simg([raw(BODY)._replace(total=16)]), CorruptError),
        (simg([raw(BODY)._replace(blocks=2)]), CorruptError),
        (simg([fill(VALUE + b"more", 1)]), CorruptError),
        (simg([Chunk(SKIP, 1, b"four")]), CorruptError),
        (simg([Chunk(CRC, 0, b"")]), CorruptError),
        (simg(ONE)[:-1], TruncatedError),
        (simg([raw(BODY)])[:-1], TruncatedError),
        (simg(ONE)[:27], TruncatedError),
        (b"", TruncatedError),
        (BODY, CorruptError),
        (simg([skip(1)], block=0xFFFFFFFC, blocks=0xFFFFFFFF), LimitError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


def test_chunks_that_are_too_many_to_hold_are_the_limits_error() -> None:
    rows = [row for number in range(60) for row in (fill(number.to_bytes(4, "big"), 1), skip(1))]
    limits = replace(LIMITS, metadata=layout.ROW * 100)
    with pytest.raises(LimitError, match="metadata"):
        opened(simg(rows), OpenGate(limits=limits))


def test_each_sum_is_held_against_the_guest() -> None:
    guest = BODY + VALUE * 2048
    for image in (
        simg([raw(BODY), crc(BODY, 1), fill(VALUE, 2), crc(guest)]),
        simg([*ONE, crc(guest, 1)]),
        simg(ONE, sum=1),
    ):
        [problem] = checked(image)
        assert problem.kind == "checksum"
        assert problem.part == "whole"
    assert checked(simg([*ONE, skip(1), crc(guest + bytes(4096))])) == []


def test_the_sum_of_terabytes_of_one_value_takes_no_time() -> None:
    checked(simg([fill(VALUE, 0xFFFFFFFF), crc(b"")], block=4096))


def test_a_header_behind_that_of_a_vendor_is_found_and_said() -> None:
    gate = OpenGate()
    assert read(opened(bytes(4096) + simg(ONE), gate)) == BODY + VALUE * 2048
    assert [warning.kind for warning in gate.warnings] == ["offset"]


def test_bytes_after_the_last_chunk_are_said() -> None:
    gate = OpenGate()
    opened(simg(ONE) + b"more", gate)
    assert [warning.kind for warning in gate.warnings] == ["size"]


A, B, C = b"a" * 4096, b"b" * 4096, b"c" * 4096
PARTS = [
    simg([raw(A), skip(3)]),
    simg([skip(1), raw(B), skip(2)]),
    simg([skip(2), raw(C), skip(1)]),
]
WHOLE = A + B + C + bytes(4096)


def laid(folder: Path, names: list[str], parts: list[bytes] = PARTS) -> Path:
    for name, part in zip(names, parts, strict=True):
        (folder / name).write_bytes(part)
    return folder / names[0]


@pytest.mark.parametrize(
    "names",
    [
        ["super.img_sparsechunk.0", "super.img_sparsechunk.1", "super.img_sparsechunk.2"],
        ["system.img_sparsechunk1", "system.img_sparsechunk2", "system.img_sparsechunk3"],
        ["super_1.img", "super_2.img", "super_3.img"],
        ["super.img.0", "super.img.1", "super.img.2"],
        ["super.08.simg", "super.09.simg", "super.10.simg"],
        ["super_sparsechunk.simg", "super_sparsechunk.1", "super_sparsechunk.2"],
    ],
)
def test_the_parts_of_a_set_lie_over_one_another(names: list[str], tmp_path: Path) -> None:
    if "08" in names[0]:
        with diskimage.open(laid(tmp_path, names)) as image:  # no set begins with 8
            assert image.read(0, 16384) == A + bytes(12288)
            assert [warning.kind for warning in image.warnings] == ["set"]
        return
    with diskimage.open(laid(tmp_path, names)) as image:
        assert image.read(0, image.size) == WHOLE
        assert [reference.name for reference in image.references] == names[1:]
        assert not image.warnings


def test_simg2img_lays_parts_over_one_another_too(tmp_path: Path, peer: Peer) -> None:
    names = [f"a.img_sparsechunk.{number}" for number in range(3)]
    laid(tmp_path, names)
    target = tmp_path / "raw"
    command: list[str | Path] = [peer("simg2img"), *(tmp_path / name for name in names), target]
    subprocess.run(command, check=True, capture_output=True)
    assert target.read_bytes() == WHOLE


def test_a_missing_part_is_an_error(tmp_path: Path) -> None:
    first = laid(tmp_path, ["a.img_sparsechunk.0", "a.img_sparsechunk.2"], PARTS[::2])
    with pytest.raises(MissingError, match="part 1"):
        diskimage.open(first)


def test_a_later_part_alone_is_said_to_be_one(tmp_path: Path) -> None:
    laid(tmp_path, ["a.img_sparsechunk.0", "a.img_sparsechunk.1"], PARTS[:2])
    with diskimage.open(tmp_path / "a.img_sparsechunk.1") as image:
        assert image.read(0, image.size) == bytes(4096) + B + bytes(8192)
        assert [warning.kind for warning in image.warnings] == ["set"]


STRANGERS = [
    simg([skip(4), raw(B)]),  # of another size
    simg([raw(B), skip(3)]),  # of the same bytes: an image of its own
    b"no sparse image at all" * 100,
]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_is_no_part_by_content_ends_a_set_of_loose_names(
    stranger: bytes, tmp_path: Path
) -> None:
    with diskimage.open(laid(tmp_path, ["a_1.img", "a_2.img"], [PARTS[0], stranger])) as image:
        assert image.read(0, image.size) == A + bytes(12288)
        assert [warning.kind for warning in image.warnings] == ["set"]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_sure_name_is_held_to_what_it_says(stranger: bytes, tmp_path: Path) -> None:
    names = ["a.img_sparsechunk.0", "a.img_sparsechunk.1"]
    with pytest.raises(CorruptError):
        diskimage.open(laid(tmp_path, names, [PARTS[0], stranger]))


def test_a_part_that_is_cut_short_is_never_left_out(tmp_path: Path) -> None:
    parts = [PARTS[0], PARTS[1][:-100]]
    with pytest.raises(TruncatedError):
        diskimage.open(laid(tmp_path, ["a_1.img", "a_2.img"], parts))


def test_the_sums_of_every_part_are_checked(tmp_path: Path) -> None:
    parts = [simg([raw(A), skip(1)]), simg([skip(1), raw(B), crc(bytes(4096) + B, 1)])]
    first = laid(tmp_path, ["a_0.img", "a_1.img"], parts)
    assert [problem.kind for problem in diskimage.check(first).problems] == ["checksum"]


def pieces() -> Iterator[tuple[int, bytes]]:
    chance = random.Random(3)
    for at in (0, 1 << 20, (3 << 20) + 4096, 9 << 20):
        yield at, chance.randbytes(70000)
    yield 5 << 20, VALUE * 50000


@pytest.mark.parametrize("block", [1024, 4096])
def test_what_img2simg_wrote_reads_right(block: int, tmp_path: Path, peer: Peer) -> None:
    guest, image = make(tmp_path / "raw", 12 << 20, dict(pieces())), tmp_path / "a.simg"
    command: list[str | Path] = [peer("img2simg"), guest, image, str(block)]
    subprocess.run(command, check=True, capture_output=True)
    with diskimage.open(image) as made:
        lawful(made.device)
        assert made.info["block_size"] == block
        assert made.read(0, made.size) == guest.read_bytes()


def test_what_simg2simg_split_reads_as_one(tmp_path: Path, peer: Peer) -> None:
    guest, image = make(tmp_path / "raw", 12 << 20, dict(pieces())), tmp_path / "a.simg"
    commands: list[list[str | Path]] = [
        [peer("img2simg"), guest, image],
        [peer("simg2simg"), image, tmp_path / "a.img_sparsechunk", "100000"],
    ]
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    with diskimage.open(tmp_path / "a.img_sparsechunk.0") as made:
        parts = made.info["parts"]
        assert isinstance(parts, list)
        assert len(parts) > 3
        lawful(made.device)
        assert made.read(0, made.size) == guest.read_bytes()


PLAIN = simg([raw(BODY), fill(VALUE, 2), skip(1), crc(BODY + VALUE * 2048 + bytes(4096))])


@given(st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 40) | st.integers(4136, len(PLAIN) - 1))
    wrong = data.draw(st.binary(min_size=1, max_size=8))
    damaged = PLAIN[:at] + wrong + PLAIN[at + len(wrong) :]
    with suppress(DiskImageError):
        device = opened(damaged)
        lawful(device, 0, min(device.size, 1 << 20))
        if device.size <= 1 << 20:
            assert len(read(device)) == device.size
