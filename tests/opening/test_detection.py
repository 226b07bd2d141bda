"""What a file is told to be: content first, suffix only where content cannot speak."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from diskimage import image, registry
from diskimage.errors import (
    AmbiguousError,
    ChecksumError,
    MissingError,
    UnknownFormatError,
    UnsupportedError,
    UsageError,
)
from diskimage.sources.anything import as_source
from tests.makers.iso import volume

QCOW2 = b"QFI\xfb" + struct.pack(">I", 3)


def mbr() -> bytes:
    row = bytes((0x80, 0, 2, 0, 0x83, 0, 0, 0)) + struct.pack("<II", 2048, 4096)
    return (bytes(446) + row + bytes(48) + b"\x55\xaa").ljust(1 << 20, b"\0")


def fat() -> bytes:
    head = b"\xeb\x3c\x90MSDOS5.0" + struct.pack("<HB", 512, 4)
    return (head.ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 16, b"\0")


def told(tmp_path: Path, name: str, content: bytes) -> str:
    (tmp_path / name).write_bytes(content)
    with image.open(tmp_path / name) as opened:
        return opened.format


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.bin", mbr()),
        ("a.dat", fat()),
        ("noname", bytes(512) + b"EFI PART".ljust(4096, b"\0")),
        ("a.x", bytes(0x438) + b"\x53\xef".ljust(4096, b"\0")),
        ("a.x", bytes(1024) + b"H+\0\4".ljust(4096, b"\0")),
        ("a.x", bytes(3) + b"NTFS    ".ljust(4096, b"\0")),
        ("a.img", b"noise" * 512),
        ("a.raw", b""),
        ("a.vfd", bytes(2048)),
    ],
)
def test_a_disk_opens_as_raw(name: str, content: bytes, tmp_path: Path) -> None:
    assert told(tmp_path, name, content) == "raw"


@pytest.mark.parametrize("name", ["a.bin", "a", "a.vmdk", "a.xyz"])
def test_raw_is_never_guessed(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="no format") as caught:
        told(tmp_path, name, b"noise" * 4000)
    assert "--format raw" in str(caught.value.remedy)


def test_a_named_format_ends_all_guessing(tmp_path: Path) -> None:
    (tmp_path / "a.img").write_bytes(QCOW2.ljust(1024, b"\0"))
    with image.open(tmp_path / "a.img", format="raw") as opened:
        assert opened.read(0, 4) == QCOW2[:4]
    with pytest.raises(UsageError, match="no format named 'nonsense'"):
        image.open(tmp_path / "a.img", format="nonsense")


@pytest.mark.parametrize("head", [b"KDMV", b"vhdxfile", QCOW2])
def test_two_magics_are_ambiguous_whatever_the_suffix(head: bytes, tmp_path: Path) -> None:
    both = head + volume()[len(head) :]
    for name in ("a.iso", "a.img", "a.qcow2"):
        with pytest.raises(AmbiguousError) as caught:
            told(tmp_path, name, both)
        assert "iso" in str(caught.value)


def test_a_trailer_on_a_bootable_disk_is_ambiguous_unless_the_suffix_agrees(
    tmp_path: Path,
) -> None:
    disk = mbr()[:-512] + b"conectix".ljust(512, b"\0")
    with pytest.raises(AmbiguousError, match="vhd"):
        told(tmp_path, "a.img", disk)
    with pytest.raises(ChecksumError):
        told(tmp_path, "a.vhd", disk)


def test_an_isohybrid_is_an_iso(tmp_path: Path) -> None:
    assert told(tmp_path, "a.img", mbr()[:512] + volume()[512:]) == "iso"


def test_a_suffix_that_lies_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.vdi").write_bytes(volume())
    with image.open(tmp_path / "a.vdi") as opened:
        assert opened.format == "iso"
        assert [w.kind for w in opened.warnings] == ["suffix"]


def test_what_is_only_known_by_name_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="zip archive"):
        told(tmp_path, "a.zip", b"PK\x03\x04" + bytes(100))


def test_what_begins_like_a_packed_file_is_none(tmp_path: Path) -> None:
    for name, content in (("a.img.gz", b"\x1f\x8b\x08\xe0"), ("a.bz2", b"BZh9 and text")):
        with pytest.raises(UnknownFormatError):
            told(tmp_path, name, content.ljust(600, b"\0"))


def test_the_reason_of_every_candidate_is_told() -> None:
    seen = registry.look(as_source(volume()))
    (only,) = registry.candidates(seen)
    assert (only.name, "CD001" in only.reason) == ("iso", True)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such file"):
        image.open(tmp_path / "nothing.img")
