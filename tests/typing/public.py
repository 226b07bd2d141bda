"""The types that users see. Nothing here runs: `mypy --strict` reads it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import assert_type

import diskimage
from diskimage.model import Device, Disc, Extent, Finding, Reference
from diskimage.ranges import Ranges


def an_image_is_a_block_device(path: Path) -> None:
    with diskimage.open(path, references="siblings") as image:
        assert_type(image, diskimage.Image)
        assert_type(image.size, int)
        assert_type(image.sector_size, int)
        assert_type(image.format, str)
        assert_type(image.info, Mapping[str, object])
        assert_type(image.read(0, 512), bytes)
        assert_type(image.read_into(0, bytearray(512)), int)
        assert_type(image.extents(), Iterator[Extent])
        assert_type(image.as_file(), io.RawIOBase)
        assert_type(image.warnings, tuple[Finding, ...])
        assert_type(image.references, tuple[Reference, ...])
        assert_type(image.disc, Disc | None)
        assert_type(image.device, Device)


def what_can_be_opened(name: str, path: Path, content: bytes, file: io.BytesIO) -> None:
    for what in (name, path, content, file):
        diskimage.open(what).close()


def errors_have_a_kind_and_a_place(path: Path) -> None:
    try:
        diskimage.open(path)
    except diskimage.DiskImageError as error:
        assert_type(error.kind, str)
        assert_type(error.exit_code, int)
        assert_type(error.file, str | None)
        assert_type(error.at, int | None)
        assert_type(error.remedy, str | None)


def verbs_answer_with_values(path: Path) -> None:
    assert_type(diskimage.convert(path, "out.iso").files, tuple[str, ...])
    assert_type(diskimage.hash(path).digests, Mapping[str, str])
    assert_type(diskimage.hash(path).size, int)


def ranges_are_a_set(a: Ranges, b: Ranges) -> None:
    assert_type(a | b, Ranges)
    assert_type(a & b, Ranges)
    assert_type(a - b, Ranges)
