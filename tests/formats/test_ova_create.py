"""An OVA beside tar, sha256sum and qemu-img; names and options that its parts can hold."""

from __future__ import annotations

import random
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from diskimage.errors import DiskImageError
from diskimage.jobs.convert import convert
from diskimage.jobs.create import create
from diskimage.jobs.measure import measure

Peer = Callable[[str], str]
OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"


def disk(folder: Path) -> Path:
    path, draw = folder / "a.raw", random.Random(4)
    path.write_bytes(draw.randbytes(300_000) + bytes(40 << 20) + b"text " * 99999 + bytes(33))
    return path


def test_the_parts_are_what_tar_qemu_img_and_sha256sum_take(tmp_path: Path, peer: Peer) -> None:
    raw, made, out = disk(tmp_path), tmp_path / "box.ova", tmp_path / "out"
    convert(raw, made, name="the <box>", memory=512, cpus="2")
    out.mkdir()
    subprocess.run([peer("tar"), "-xf", made, "-C", out], check=True)
    names = subprocess.run([peer("tar"), "-tf", made], check=True, capture_output=True, text=True)
    assert names.stdout.split() == ["box.ovf", "box.mf", "box-disk1.vmdk"]
    for name, digest in re.findall(r"SHA256\((.+)\)= (\w+)", (out / "box.mf").read_text()):
        told = subprocess.run([peer("sha256sum"), out / name], check=True, capture_output=True)
        assert told.stdout.split()[0].decode() == digest
    stored = out / "box-disk1.vmdk"
    subprocess.run(
        [peer("qemu-img"), "compare", "-f", "vmdk", "-F", "raw", stored, raw], check=True
    )
    root = ET.parse(out / "box.ovf").getroot()
    held = root.find(f"{OVF}DiskSection/{OVF}Disk")
    file = root.find(f"{OVF}References/{OVF}File")
    system = root.find(f"{OVF}VirtualSystem")
    assert held is not None
    assert file is not None
    assert system is not None
    assert int(held.attrib[f"{OVF}capacity"]) == -(-raw.stat().st_size // 512) * 512
    assert int(file.attrib[f"{OVF}size"]) == stored.stat().st_size
    assert system.attrib[f"{OVF}id"] == "the <box>"
    values = [e.text for e in root.iter() if e.tag.endswith("VirtualQuantity")]
    assert values == ["2", "512"]


def test_the_end_is_that_of_an_archive(tmp_path: Path) -> None:
    made = tmp_path / "box.ova"
    convert(disk(tmp_path), made)
    content = made.read_bytes()
    assert len(content) % 10240 == 0
    assert content.endswith(bytes(1024))
    with tarfile.open(made) as members:
        assert len(members.getmembers()) == 3


def test_a_name_that_no_part_can_have_is_replaced(tmp_path: Path) -> None:
    for stem in ('a"b(c)', "x" * 200, "é" * 41):
        made = tmp_path / f"{stem}.ova"
        create(made, 1 << 20)
        with tarfile.open(made) as members:
            assert members.getnames() == ["image.ovf", "image.mf", "image-disk1.vmdk"]


@pytest.mark.parametrize("option", [{"memory": "0"}, {"cpus": "many"}, {"name": "a\nb"},
                                    {"level": "13"}])  # fmt: skip
def test_options_are_judged_before_a_byte_is_written(
    option: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(DiskImageError) as caught:
        create(tmp_path / "a.ova", 1 << 20, options=option)
    assert caught.value.kind == "usage"
    assert list(tmp_path.iterdir()) == []


def test_its_size_is_told_before(tmp_path: Path) -> None:
    raw, made = disk(tmp_path), tmp_path / "box.ova"
    convert(raw, made)
    found = measure(raw, "ova")
    assert made.stat().st_size <= found.required <= found.fully_allocated
