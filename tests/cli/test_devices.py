"""Block devices, as loop devices: read, written whole, and refused while anybody uses them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from diskimage import image
from diskimage.sources.device import DeviceFileSource
from diskimage.sources.file import FileSource
from tests.cli.samples import DISK, MIB, Command, document, refusal
from tests.makers.raw import make

Attach: TypeAlias = Callable[[str, int], str]


@pytest.fixture
def attach(peer: Callable[[str], str], folder: Path) -> Iterator[Attach]:
    """`attach(name, size)` is the loop device of a new file full of 0xA5; skips without root."""
    losetup = peer("losetup")
    made: list[str] = []

    def loop(name: str, size: int) -> str:
        (folder / name).write_bytes(b"\xa5" * size)
        command = [losetup, "-f", "--show", str(folder / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"losetup: {done.stderr.strip()} (loop devices need root)")
        made.append(done.stdout.strip())
        return made[-1]

    yield loop
    for device in made:
        subprocess.run([losetup, "-d", device], check=True)


def test_a_device_is_read_as_raw(diskimage: Command, attach: Attach) -> None:
    device = attach("device.img", 2 * MIB)
    told = document(diskimage("info", device, "--json"))
    assert (told["format"], told["size"], told["sector_size"]) == ("raw", 2 * MIB, 512)
    digests = document(diskimage("hash", device, "--json"))["digests"]
    assert digests == {"sha256": hashlib.sha256(b"\xa5" * 2 * MIB).hexdigest()}


@pytest.mark.parametrize("options", [[], ["--verify"], ["--direct"], ["--sparse", "--hash", "md5"]])
def test_a_copy_reaches_a_device_zeros_too(
    diskimage: Command, folder: Path, attach: Attach, options: list[str]
) -> None:
    device = attach("device.img", DISK + MIB)
    done = diskimage("copy", "disk.raw", device, "--allow-device", *options, "--json")
    assert document(done)["size"] == DISK
    content = (folder / "device.img").read_bytes()
    assert content[:DISK] == (folder / "disk.raw").read_bytes()
    assert content[DISK:] == b"\xa5" * MIB


@pytest.mark.parametrize("options", [[], ["--leave-unmapped"]])
@pytest.mark.parametrize("piped", [False, True])
def test_what_a_bmap_leaves_out_is_zeros_on_a_device_or_left(
    dim: str, folder: Path, attach: Attach, options: list[str], piped: bool
) -> None:
    device, content = attach("device.img", 2 * MIB), bytes(range(256)) * 256  # 64 KiB
    image = make(folder / "mapped.img", MIB, {0: content, 512 << 10: bytes(64 << 10)})
    made = subprocess.run([dim, "hash", image, "--bmap"], capture_output=True, check=True)
    (folder / "mapped.bmap").write_bytes(made.stdout)
    words: list[str | Path] = [
        dim, "copy", "-" if piped else image, device, "--allow-device", "--verify", *options,
        "--bmap", folder / "mapped.bmap",
    ]  # fmt: skip
    subprocess.run(words, input=image.read_bytes() if piped else b"", check=True)
    expected = bytearray(image.read_bytes())
    if options:  # the zeros that are stored are zeros all the same
        for start, stop in ((64 << 10, 512 << 10), (576 << 10, MIB)):
            expected[start:stop] = b"\xa5" * (stop - start)
    assert (folder / "device.img").read_bytes() == bytes(expected) + b"\xa5" * MIB


def test_a_device_is_a_target_only_by_name(
    diskimage: Command, folder: Path, attach: Attach
) -> None:
    device = attach("device.img", DISK)
    for verb in ("copy", "convert"):
        to = ["--to", "raw"] if verb == "convert" else []
        done = diskimage(verb, "disk.raw", device, "--overwrite", *to, "--json")
        assert (done.returncode, refusal(done)["kind"]) == (2, "usage")
    assert (folder / "device.img").read_bytes() == b"\xa5" * DISK


def test_a_small_device_is_refused_before_the_first_byte(
    diskimage: Command, folder: Path, attach: Attach
) -> None:
    device = attach("device.img", MIB)
    done = diskimage("copy", "disk.raw", device, "--allow-device", "--json")
    assert (done.returncode, refusal(done)["kind"]) == (6, "too-small")
    assert str(DISK) in refusal(done)["message"]
    assert (folder / "device.img").read_bytes() == b"\xa5" * MIB


def test_a_mounted_device_is_refused(
    diskimage: Command, folder: Path, attach: Attach, peer: Callable[[str], str]
) -> None:
    device = attach("device.img", 8 * MIB)
    subprocess.run([peer("mkfs.ext4"), "-qF", device], check=True, capture_output=True)
    (folder / "mounted").mkdir()
    mount = ["mount", device, str(folder / "mounted")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mount of a loop device is not possible here")
    try:
        before = (folder / "device.img").read_bytes()
        done = diskimage("copy", "disk.raw", device, "--allow-device", "--json")
        assert (done.returncode, refusal(done)["kind"]) == (6, "busy")
        assert "mounted on" in refusal(done)["message"]
        assert (folder / "device.img").read_bytes() == before
    finally:
        subprocess.run(["umount", str(folder / "mounted")], check=True)


def test_a_device_that_somebody_holds_alone_is_refused(
    diskimage: Command, folder: Path, attach: Attach
) -> None:
    device = attach("device.img", DISK)
    held = os.open(device, os.O_RDWR | os.O_EXCL)
    try:
        done = diskimage("copy", "disk.raw", device, "--allow-device", "--json")
    finally:
        os.close(held)
    assert (done.returncode, refusal(done)["kind"]) == (6, "busy")
    assert (folder / "device.img").read_bytes() == b"\xa5" * DISK


def test_source_and_target_may_not_be_one_device(diskimage: Command, attach: Attach) -> None:
    device = attach("device.img", DISK)
    done = diskimage("copy", device, device, "--allow-device", "--json")
    assert (done.returncode, refusal(done)["kind"]) == (6, "busy")


def test_a_device_below_an_overlay_is_never_taken_for_an_empty_file(
    diskimage: Command, folder: Path, attach: Attach, peer: Callable[[str], str]
) -> None:
    device = attach("device.img", 2 * MIB)
    over = str(folder / "over.qcow2")
    command = [peer("qemu-img"), "create", "-q", "-f", "qcow2", "-b", device, "-F", "raw", over]
    subprocess.run(command, check=True)
    done = diskimage("hash", over, "--references", "/dev", "--json")
    assert refusal(done)["kind"] == "refused-reference"
    with image.open(over, references={device: device}) as opened:
        assert opened.read(0, 2 * MIB) == b"\xa5" * 2 * MIB
        assert [type(source) for source in opened.sources] == [FileSource, DeviceFileSource]
