"""What is not written in place is written through an overlay, as the refusal says."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

import diskimage
from diskimage import registry
from diskimage.errors import UnsupportedError
from diskimage.words import rounded
from tests.makers.alone import noise
from tests.makers.sample import Sample


def unwritten() -> list[tuple[str, Sample]]:
    """The first sample of every format that is not written in place."""
    names = [one.name for one in registry.ENTRIES if "write" not in registry.named(one.name).can]
    made = ((name, import_module(f"tests.makers.{name}").samples()) for name in names)
    return [(name, samples[0]) for name, samples in made if samples]


UNWRITTEN = unwritten()


def refusal(path: Path, format: str, password: str | None) -> str:
    with pytest.raises(UnsupportedError) as told:
        diskimage.open(path, format=format, mode="r+", references="siblings", password=password)
    assert told.value.remedy is not None
    return told.value.remedy


@pytest.mark.parametrize(("name", "sample"), UNWRITTEN, ids=[name for name, _ in UNWRITTEN])
def test_the_overlay_that_the_refusal_names_is_written(
    name: str, sample: Sample, tmp_path: Path, dim: str
) -> None:
    path = sample.write(tmp_path)
    before = {one: (tmp_path / one).read_bytes() for one in sample.files}
    secret = sample.password or None
    remedy = refusal(path, name, secret)
    with diskimage.open(path, format=name, references="siblings", password=secret) as image:
        is_disc, size = image.disc is not None, rounded(image.size, 512)
    if is_disc:
        assert "convert it to a raw image" in remedy
        return
    _, _, said = remedy.partition("diskimage ")
    command = [dim, *shlex.split(said.replace("OVERLAY", "over"))]
    if secret is not None:
        command += ["--size", str(size)]  # which is not told without the password
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    expected = bytearray(sample.guest.ljust(size, b"\0"))
    path = tmp_path / "over.qcow2"
    with diskimage.open(path, mode="r+", references="siblings", password=secret) as over:
        assert over.size == size
        data = noise(min(700, size // 2))
        start = size // 3
        over.write(start, data)
        expected[start : start + len(data)] = data
        over.zero(0, 100)
        expected[:100] = bytes(min(100, size))
        assert over.read(0, size) == expected
    with diskimage.open(path, references="siblings", password=secret) as over:
        assert over.read(0, size) == expected
    assert {one: (tmp_path / one).read_bytes() for one in sample.files} == before


@pytest.mark.parametrize("format", ["vhd", "vhdx", "vdi"])
def test_a_difference_that_we_create_is_written_over_its_parent(
    format: str, tmp_path: Path
) -> None:
    size = (5 << 20) + 512
    raw, base = tmp_path / "a.raw", tmp_path / f"base.{format}"
    content = bytearray(noise(size))
    raw.write_bytes(content)
    diskimage.convert(raw, base)
    kept = base.read_bytes()
    child = tmp_path / f"child.{format}"
    diskimage.create(child, backing=base.name, backing_format=format)
    with diskimage.open(base) as image:
        named = {f"{{{image.info['uuid']}}}": base}
    allowed = named if format == "vdi" else "siblings"
    with diskimage.open(child, mode="r+", references=allowed) as image:
        for number, start in enumerate((100, (2 << 20) - 300, (4 << 20) + 7, size - 9)):
            data = noise(min(5000, size - start), number + 1)
            image.write(start, data)
            content[start : start + len(data)] = data
        image.zero(3 << 20, 1 << 20)
        content[3 << 20 : 4 << 20] = bytes(1 << 20)
        assert image.read(0, size) == content
    with diskimage.open(child, references=allowed) as image:
        assert image.read(0, size) == content
        assert list(image.problems()) == []
    assert base.read_bytes() == kept


@pytest.mark.parametrize(("format", "word"), [("vhdx", "content"), ("vdi", "content")])
def test_commit_is_refused_where_it_would_part_a_child_from_its_parent(
    format: str, word: str, tmp_path: Path
) -> None:
    base, child = tmp_path / f"base.{format}", tmp_path / f"child.{format}"
    diskimage.create(base, 1 << 20)
    diskimage.create(child, backing=base.name, backing_format=format)
    with diskimage.open(base) as image:
        named = {f"{{{image.info['uuid']}}}": base}
    allowed = named if format == "vdi" else "siblings"
    with diskimage.open(child, mode="r+", references=allowed) as image:
        image.write(0, b"new")
    kept = base.read_bytes()
    with pytest.raises(UnsupportedError, match=word):
        diskimage.commit(child, references=allowed)
    assert base.read_bytes() == kept


def test_a_vhd_is_committed_into_its_parent(tmp_path: Path, peer: Callable[[str], str]) -> None:
    base, child, raw = tmp_path / "base.vhd", tmp_path / "child.vhd", tmp_path / "a.raw"
    diskimage.create(base, 4 << 20)
    diskimage.create(child, backing="base.vhd", backing_format="vhd")
    with diskimage.open(child, mode="r+", references="siblings") as image:
        image.write(1 << 20, b"new" * 1000)
        guest = image.read(0, image.size)
    assert diskimage.commit(child, references="siblings").written == 512 * -(-3000 // 512)
    with diskimage.open(child, references="siblings") as image:
        assert image.read(0, image.size) == guest
    command = [peer("qemu-img"), "convert", "-f", "vpc", "-O", "raw", str(base), str(raw)]
    subprocess.run(command, check=True)
    assert raw.read_bytes() == guest
