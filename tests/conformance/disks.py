"""Every disk sample to every format that holds disks, judged by a program that is not ours.

`python -m tests.conformance.disks` prints the table of docs/reference/disks.md.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import NamedTuple

from diskimage import image, registry
from diskimage.errors import DiskImageError, LossError, PasswordError
from diskimage.jobs.convert import Converted, convert
from diskimage.model import Format
from tests.makers import qcow2, vhdx
from tests.makers.sample import Sample

Judge = Callable[[Path, Path, Path], bool]
"""Whether an image holds exactly the bytes of a raw file; the third path is a folder to work in."""


def _called(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False)


def qemu(driver: str) -> Judge:
    """`qemu-img compare`, and the size that it tells."""

    def judge(made: Path, guest: Path, _folder: Path) -> bool:
        told = _called("qemu-img", "info", "--output=json", "-f", driver, made)
        size = json.loads(told.stdout).get("virtual-size") if told.returncode == 0 else None
        same = _called("qemu-img", "compare", "-f", "raw", "-F", driver, guest, made)
        return size == guest.stat().st_size and same.returncode == 0

    return judge


def compared(made: Path, guest: Path, _folder: Path) -> bool:
    """cmp: qemu-img counts whole sectors."""
    return _called("cmp", made, guest).returncode == 0


def hyper_v(made: Path, guest: Path, folder: Path) -> bool:
    """qemu-img, or 7-Zip where the sectors have 4096 bytes, which qemu-img does not open."""
    with image.open(made) as found:
        wide = found.sector_size != 512
    return seven("vhdx")(made, guest, folder) if wide else qemu("vhdx")(made, guest, folder)


def unpacked(tool: str, *options: str) -> Judge:
    """A tool that writes what is in a file on its standard output."""

    def judge(made: Path, guest: Path, _folder: Path) -> bool:
        return _called(tool, *options, made).stdout == guest.read_bytes()

    return judge


def seven(kind: str) -> Judge:
    """7-Zip, which holds every sum of a DMG, and gives the one part of an image as a file."""

    def judge(made: Path, guest: Path, folder: Path) -> bool:
        if _called("7z", "x", f"-t{kind}", "-y", f"-o{folder / '7z'}", made).returncode:
            return False
        parts = list((folder / "7z").glob("*"))
        return len(parts) == 1 and parts[0].read_bytes() == guest.read_bytes()

    return judge


def ewf(made: Path, guest: Path, folder: Path) -> bool:
    """ewfverify for chunks and hashes, ewfexport for the bytes."""
    size = str(guest.stat().st_size)
    raw = folder / "ewf"
    export = ("ewfexport", "-u", "-q", "-f", "raw", "-B", size, "-S", "0", "-t", raw, made)
    if _called("ewfverify", "-q", made).returncode or _called(*export).returncode:
        return False
    return raw.with_name("ewf.raw").read_bytes() == guest.read_bytes()


def sparse(made: Path, guest: Path, folder: Path) -> bool:
    """simg2img."""
    if _called("simg2img", made, folder / "simg").returncode:
        return False
    return (folder / "simg").read_bytes() == guest.read_bytes()


def appliance(made: Path, guest: Path, folder: Path) -> bool:
    """The VMDK that is a member of the archive, by `qemu-img compare`."""
    with tarfile.open(made) as archive:
        member = next(one for one in archive if one.name.endswith(".vmdk"))
        content = archive.extractfile(member)
        assert content is not None
        (folder / "disk.vmdk").write_bytes(content.read())
    return qemu("vmdk")(folder / "disk.vmdk", guest, folder)


class By(NamedTuple):
    """Which tools judge a format, and how."""

    tools: tuple[str, ...]
    judge: Judge


JUDGES: Mapping[str, By] = {
    "raw": By(("cmp",), compared),
    "qcow2": By(("qemu-img",), qemu("qcow2")),
    "vdi": By(("qemu-img",), qemu("vdi")),
    "vhd": By(("qemu-img",), qemu("vpc")),
    "vhdx": By(("qemu-img", "7z"), hyper_v),
    "vmdk": By(("qemu-img",), qemu("vmdk")),
    "parallels": By(("qemu-img",), qemu("parallels")),
    "dmg": By(("7z",), seven("dmg")),
    "e01": By(("ewfverify", "ewfexport"), ewf),
    "simg": By(("simg2img",), sparse),
    "ova": By(("qemu-img",), appliance),
    "gzip": By(("gzip",), unpacked("gzip", "-dc")),
    "bzip2": By(("bzip2",), unpacked("bzip2", "-dc")),
    "xz": By(("xz",), unpacked("xz", "-dc")),
    "zstd": By(("zstd",), unpacked("zstd", "-dcq")),
}


def samples() -> Iterator[tuple[str, Sample]]:
    """The first sample of every maker whose image is a disk of whole sectors, then the odd ones."""
    for entry in registry.ENTRIES:
        for one in import_module(f"tests.makers.{entry.name}").samples()[:1]:
            with TemporaryDirectory() as folder, _opened(one.write(Path(folder))) as found:
                if found is not None and found.disc is None and len(one.guest) % 512 == 0:
                    yield entry.name, one
    yield from odd()


def odd() -> Iterator[tuple[str, Sample]]:
    """What not every format can hold: wide sectors, a snapshot inside, a part of a sector."""
    wide = next(one for one in vhdx.samples() if one.label == "4096-byte sectors")
    yield "vhdx, 4096-byte sectors", wide
    content = bytes(range(256)) * 256
    maker = qcow2.Maker(65536, {0: qcow2.Cluster("data", content)}, snapshots=[b"before"])
    yield "qcow2, a snapshot", Sample("snapshot", {"a.qcow2": maker.image()}, content)
    yield "raw, 1001 bytes", Sample("odd", {"a.img": content[:1001]}, content[:1001])


@contextmanager
def _opened(path: Path) -> Iterator[image.Image | None]:
    """An image, or None where it needs a password."""
    try:
        with image.open(path) as found:
            yield found
    except PasswordError:
        yield None


def targets() -> list[Format]:
    """Every format that can be created and has a judge."""
    found = [registry.load(entry) for entry in registry.ENTRIES]
    return [rules for rules in found if rules.create is not None and rules.name in JUDGES]


def lacking(rules: Format) -> list[str]:
    """Tools of a format's judge that are not here."""
    return [tool for tool in JUDGES[rules.name].tools if which(tool) is None]


def verdict(sample: Sample, rules: Format, folder: Path) -> tuple[str, list[str]]:
    """`exact`, `loss` or `padded` (and what was told), `refused` (and the kind), or `WRONG`.

    The guest is what the maker says, not what our reader does. A loss was refused before.
    """
    path = sample.write(folder)
    (folder / "out").mkdir()
    target = folder / "out" / f"made{rules.suffixes[0]}"
    try:
        done, told = _converted(path, target, rules)
    except DiskImageError as error:
        return "refused", [error.kind]
    guest, size = folder / "guest.raw", _size(target, rules)
    guest.write_bytes(sample.guest.ljust(size, b"\0"))
    if size < len(sample.guest) or not JUDGES[rules.name].judge(target, guest, folder):
        return "WRONG", told
    if size > len(sample.guest):
        return ("padded" if _said(done) else "WRONG"), [f"{size - len(sample.guest)} bytes"]
    return ("loss" if told else "exact"), told


def _converted(path: Path, target: Path, rules: Format) -> tuple[Converted, list[str]]:
    """The conversion, and what had to be given up by name for it."""
    try:
        done = convert(path, target, to=rules.name, durable=False)
        return done, sorted({loss.name for loss in done.dropped})
    except LossError as error:
        assert not target.exists()
        names = sorted(set(re.findall(r"\[(\w+)\]", error.message)))
        done = convert(path, target, to=rules.name, durable=False, lossy=names)
        assert {loss.name for loss in done.dropped} >= set(names)
        return done, names


def _size(target: Path, rules: Format) -> int:
    with image.open(target, format=rules.name) as made:
        return made.size


def _said(done: Converted) -> bool:
    """Whether it was told that the target is larger."""
    return any(loss.name == "size" for loss in done.dropped)


def table() -> Mapping[str, Mapping[str, tuple[str, list[str]]]]:
    """The verdict of each sample for each target."""
    found: dict[str, dict[str, tuple[str, list[str]]]] = {}
    for name, one in samples():
        found[name] = {}
        for rules in targets():
            with TemporaryDirectory() as folder:
                found[name][rules.name] = verdict(one, rules, Path(folder))
    return found


def main() -> None:
    """Print the table as Markdown, and how many of each there are."""
    rows = table()
    names = [rules.name for rules in targets()]
    print("| from \\ to | " + " | ".join(names) + " |")
    print("| --- " * (1 + len(names)) + "|")
    count: dict[str, int] = {}
    for name, row in rows.items():
        cells = []
        for word, told in row.values():
            count[word] = count.get(word, 0) + 1
            cells.append(word + (f": {', '.join(told)}" if told and word != "exact" else ""))
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(count)


if __name__ == "__main__":
    main()
