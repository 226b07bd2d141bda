"""Descriptors of VMDK: their grammar, the extents that they name, parents and snapshots."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from diskimage import image as face
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    IoError,
    LimitError,
    MissingError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.vmdk import FORMAT
from diskimage.formats.vmdk.descriptor import Extent as Line, is_text, parse
from diskimage.limits import LIMITS
from diskimage.model import Device, Kind
from diskimage.runs import extents
from tests.makers.alone import Alone, noise
from tests.makers.gate import OpenGate
from tests.makers.naive import lawful, read
from tests.makers.vmdk import (
    GRAIN,
    SECTOR,
    cow,
    descriptor,
    se_sparse,
    sparse,
)

ALONE = Alone(FORMAT)
opened = ALONE.opened


def files(folder: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder / next(iter(content))


def lines(text: str, encoding: str = "utf-8") -> tuple[Line, ...]:
    return parse(text.encode(encoding), "a.vmdk", LIMITS).extents


@pytest.mark.parametrize(
    ("line", "extent"),
    [
        ('RW 4192256 SPARSE "d-s001.vmdk"', Line("RW", 4192256 * 512, "SPARSE", "d-s001.vmdk")),
        ('\trw\t63\tflat "a b.vmdk"\t7', Line("RW", 63 * 512, "FLAT", "a b.vmdk", 7 * 512)),
        ("RDONLY 5 ZERO", Line("RDONLY", 5 * 512, "ZERO")),
        ('NOACCESS 1 FLAT "x" 0', Line("NOACCESS", 512, "FLAT", "x")),
        ('RW 9 FLAT "d" 63 partitionUUID /dev/sda', Line("RW", 9 * 512, "FLAT", "d", 63 * 512)),
        ('RW 8 VMFS "x=1.vmdk"', Line("RW", 8 * 512, "VMFS", "x=1.vmdk")),
    ],
)  # fmt: skip
def test_lines_of_extents(line: str, extent: Line) -> None:
    assert lines(f"version=1\n{line}\n") == (extent,)


@pytest.mark.parametrize("line", ["RW -1 ZERO", "RW 1_0 ZERO", "RW ٣ ZERO", f"RW {'9' * 20} ZERO",
                                  "RW 0x10 ZERO", 'RW 5 FLAT "x" -1', "RW 5", "what is this",
                                  "RW five ZERO", 'RW 5 FLAT "x'])  # fmt: skip
def test_lines_without_a_meaning_are_corrupt(line: str) -> None:
    with pytest.raises(CorruptError):
        lines(f"version=1\n{line}\n")


def test_keys_are_read_in_any_form() -> None:
    text = '\ufeff# Disk DescriptorFile\r\n Version = "1"\rcid=ABCD\r\nPARENTCID = ffffffff\n'
    told = parse(text.encode() + b'CreateType="x"\nddb.uuid = "60 00"\0RW 1 ZERO', "a", LIMITS)
    assert (told.cid, told.parent_cid, told.create_type) == (0xABCD, None, "x")
    assert told.values["ddb.uuid"] == "60 00"
    assert told.extents == ()


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("Shift_JIS", "cp932"), ("windows-1252", "cp1252"), ("GBK", "gbk"), ("Big5", "big5")],
)
def test_names_are_in_the_encoding_that_is_named(name: str, encoding: str) -> None:
    file = {"cp1252": "Größe.vmdk"}.get(encoding, "表示-flat.vmdk")
    (extent,) = lines(f'version=1\nencoding="{name}"\nRW 1 FLAT "{file}" 0\n', encoding)
    assert extent.file == file
    with pytest.raises(UnsupportedError):
        lines('encoding="x-none"\nRW 1 ZERO\n')


PIECES = [
    "RW",
    "RDONLY",
    " ",
    "\t",
    "12",
    "-1",
    "FLAT",
    "ZERO",
    '"',
    "a.vmdk",
    "=",
    "\n",
    "\r",
    "\x00",
    "version",
    "CID",
    "parentCID",
    "ffffffff\nencoding",
    "gbk",
    "#",
    "é",
    "�",
]


@given(st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=30).map(
    lambda words: "".join(words).encode("utf-8", "surrogatepass")))  # fmt: skip
@settings(max_examples=300)
def test_any_text_is_a_descriptor_or_one_error(raw: bytes) -> None:
    with suppress(DiskImageError):
        for extent in parse(raw, "a.vmdk", LIMITS).extents:
            assert extent.size >= 0
            assert extent.offset >= 0


def test_too_much_text_is_a_limit() -> None:
    for text in ("RW 1 ZERO\n" * 4097, "# " + "x" * LIMITS.text_line):
        with pytest.raises(LimitError):
            lines(text)
    with pytest.raises(LimitError):
        opened(b"# Disk DescriptorFile\n" + b"#\n" * LIMITS.text_file)
    with pytest.raises(LimitError):
        opened(descriptor([f"RW {(1 << 63) - 1} ZERO"] * 2))


def test_a_text_is_told_by_its_beginning() -> None:
    assert is_text(b"# disk descriptorfile\n")
    assert is_text(b'#x\r\n\r\nversion=1\r\nCID=0\r\ncreateType="vmfs"\r\n')
    assert not is_text(b"version=1\nname=x\n")
    assert not is_text(b"x" * 1024 + b"\n# Disk DescriptorFile\n")


def test_extents_that_nobody_may_read_are_not_zeros(tmp_path: Path) -> None:
    text = descriptor(["RW 1 ZERO", 'NOACCESS 2 FLAT "x" 0', "RW 1 ZERO"])
    with face.open(files(tmp_path, {"a.vmdk": text})) as disk:
        assert [row.kind for row in disk.extents()] == [Kind.ZERO, Kind.BAD, Kind.ZERO]
        with pytest.raises(IoError):
            disk.read(512, 512)
        assert disk.size == 2048


@pytest.mark.parametrize("type", ["VMFSRDM", "VMFSRAW", "VSANSPARSE", "WHAT"])
def test_extents_of_other_types_are_refused_by_name(type: str) -> None:
    with pytest.raises(UnsupportedError, match=type):
        opened(descriptor([f'RW 1 {type} "x"']))


@pytest.mark.parametrize(
    ("name", "error"),
    [("/etc/passwd", RefusedReferenceError), ("..\\x", RefusedReferenceError),
     ("sub/x", RefusedReferenceError), ("json:{}", RefusedReferenceError), ("gone", MissingError)],
)  # fmt: skip
def test_extents_are_parts_of_the_directory(name: str, error: type, tmp_path: Path) -> None:
    path = files(tmp_path, {"a.vmdk": descriptor([f'RW 1 FLAT "{name}" 0'])})
    with pytest.raises(error):
        face.open(path, references="siblings")


def test_an_extent_is_as_long_as_its_line_says(tmp_path: Path) -> None:
    content = noise(2 * GRAIN)
    part = sparse(2 * GRAIN, {0: (0, content[:GRAIN]), 1: (1, content[GRAIN:])}, text=b"")
    for sectors in (17, 32, 33):
        text = descriptor([f'RW {sectors} SPARSE "p.vmdk"'])
        path = files(tmp_path, {"a.vmdk": text, "p.vmdk": part})
        if sectors > 32:
            with pytest.raises(CorruptError):
                face.open(path)
            continue
        with face.open(path) as disk:
            assert disk.read(0, disk.size) == content[: sectors * SECTOR]
            kinds = [warning.kind for warning in disk.warnings]
            assert kinds == (["size"] if sectors < 32 else [])


def test_an_extent_without_a_descriptor_is_told() -> None:
    gate = OpenGate()
    opened(sparse(GRAIN, {}, text=b""), gate)
    assert [warning.kind for warning in gate.warnings] == ["extent"]


def test_a_renamed_image_is_its_own_extent() -> None:
    content = noise(GRAIN)
    text = descriptor(['RW 16 SPARSE "/old/name.vmdk"'])
    assert read(opened(sparse(GRAIN, {0: (0, content)}, text=text))) == content


# parents


def child(parent: str = "0a0b0c0d") -> bytes:
    text = descriptor(['RW 48 SPARSE "b.vmdk"'], parent=parent, hint="base.vmdk")
    return sparse(3 * GRAIN, {0: (0, b"c" * GRAIN)}, text=text, special={1: 1}, flags=5)


def base(cid: str = "0a0b0c0d") -> Device:
    text = descriptor(['RW 48 SPARSE "base.vmdk"'], cid=cid)
    return opened(sparse(3 * GRAIN, {i: (i, b"b" * GRAIN) for i in range(3)}, text=text))


def test_a_child_reads_over_its_parent() -> None:
    gate = OpenGate(parents={"base.vmdk": base()})
    device = opened(child(), gate)
    lawful(device)
    assert gate.asked == [("base.vmdk", "parent", "vmdk")]
    assert read(device) == b"c" * GRAIN + bytes(GRAIN) + b"b" * GRAIN


def test_a_changed_parent_is_refused() -> None:
    with pytest.raises(CorruptError, match="CID"):
        opened(child(), OpenGate(parents={"base.vmdk": base("00000001")}))
    with pytest.raises(RefusedReferenceError):
        opened(child())


def test_a_layer_alone_leaves_bytes_absent() -> None:
    kinds = [row.kind for row in extents(opened(child(), OpenGate(listing=True)))]
    assert kinds == [Kind.DATA, Kind.ZERO, Kind.ABSENT]


@pytest.mark.parametrize(
    "image", [se_sparse(8192, {}), cow(8192, {}, parent="/vmfs/volumes/x/base.vmdk")]
)
def test_what_a_snapshot_without_its_descriptor_does_not_hold_is_no_zeros(image: bytes) -> None:
    assert [row.kind for row in extents(opened(image))] == [Kind.ABSENT]


def test_a_chain_of_files(tmp_path: Path) -> None:
    parent = descriptor(['RW 48 FLAT "base-flat.vmdk" 0'], cid="0a0b0c0d", kind="vmfs")
    delta = descriptor(['RW 48 VMFSSPARSE "b-delta.vmdk"'], parent="0a0b0c0d", hint="base.vmdk",
                       kind="vmfsSparse")  # fmt: skip
    changed = cow(3 * GRAIN, {3: (0, b"c" * 512)}, parent="base.vmdk")
    content = {"b.vmdk": delta, "base.vmdk": parent, "base-flat.vmdk": b"b" * 3 * GRAIN,
               "b-delta.vmdk": changed}  # fmt: skip
    path = files(tmp_path, content)
    with pytest.raises(RefusedReferenceError):
        face.open(path)
    with face.open(path, references="siblings") as disk:
        expected = b"b" * 1536 + b"c" * 512 + b"b" * (3 * GRAIN - 2048)
        assert disk.read(0, disk.size) == expected


# seSparse


def test_entries_of_sesparse_turn_their_bits() -> None:
    places = {0: (0, b"a" * 4096), 1: (0x1001, b"b" * 4096), 4097: (2, b"c" * 4096)}
    image = se_sparse(4099 * 4096, places, special={2: 1 << 60, 3: 2 << 60 | 77})
    rows = list(extents(opened(image)))
    assert [(r.start // 4096, r.length // 4096, r.kind) for r in rows] == [
        (0, 1, Kind.DATA), (1, 1, Kind.DATA), (2, 2, Kind.ZERO), (4, 4093, Kind.ABSENT),
        (4097, 1, Kind.DATA), (4098, 1, Kind.ABSENT),
    ]  # fmt: skip
    assert rows[1].at - rows[0].at == 0x1001 * 4096
    assert read(opened(image), 4097 * 4096, 4098 * 4096) == b"c" * 4096


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (se_sparse(8192, {}, replay=1), UnsupportedError),
        (se_sparse(8192, {}, special={0: 5 << 60}), CorruptError),
        (se_sparse(8192, {}, directory={0: 0x2000000000000000}), CorruptError),
        (se_sparse(8192, {}, directory={0: 1}), CorruptError),
        (se_sparse(8192, {}, special={0: 3 << 60 | 0xFFFF}), TruncatedError),
        (cow(8192, {})[:2560], TruncatedError),
        (cow(8192, {0: (0, b"x")})[:-1], TruncatedError),
    ],
)
def test_wrong_snapshots_have_their_errors(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(opened(image).runs())


def test_an_unclean_cowd_is_told() -> None:
    gate = OpenGate()
    opened(cow(8192, {}, dirty=1), gate)
    assert [warning.kind for warning in gate.warnings] == ["unclean", "extent"]


@pytest.mark.parametrize(
    "raw",
    [b"\n" * LIMITS.text_file, b" \n" * (LIMITS.text_file // 2), b"encoding" * 8000,
     *(b"%s%s%s\n" % (head, blank * 60_000, tail)
       for head in (b"x", b"RW", b"RW 1", b"RW 1 ZERO", b'RW 1 FLAT "a"', b"encoding", b"k=")
       for blank in (b" ", b"1", b'"', b"=") for tail in (b"", b"x", b'"'))],
    ids=range(87),
)  # fmt: skip
def test_no_text_takes_a_reader_forever(raw: bytes) -> None:
    """A pattern that tries every pair of places would need hours for these."""
    with suppress(DiskImageError):
        parse(raw * (LIMITS.text_file // len(raw)), "a.vmdk", LIMITS)
