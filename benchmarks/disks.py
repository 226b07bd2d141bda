"""Disks of virtual machines, Macs and evidence: to raw and back, and 4 KiB at random."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from content import mixed
from measure import DIM, Contender, Job, based, ours, peer, shell
from vmdk import GIB, said

LONG = 2 * GIB
BEST = ("-m", "16", "-W")
READING = """
import random, sys
import diskimage
draw = random.Random(3)
with diskimage.open(sys.argv[1]) as image:
    for _ in range(2000):
        image.read(draw.randrange(image.size // 4096) * 4096, 4096)
"""


def tables(scratch: Path) -> Iterator[Job]:
    """VHD, VHDX and VDI, which store blocks as they are, beside qemu-img."""
    data, a, b = mixed(scratch / "data.img", LONG), scratch / "a.img", scratch / "b.img"
    for label, suffix, theirs in (("VHD", "vhd", "vpc"), ("VHDX", "vhdx", "vhdx"),
                                  ("VDI", "vdi", "vdi")):  # fmt: skip
        image, mine, other = (scratch / f"{name}.{suffix}" for name in ("image", "a", "b"))
        option = ("-o", "force_size=on") if theirs == "vpc" else ()
        make = ("qemu-img", "convert", *BEST, "-f", "raw", "-O", theirs, *option, data)
        yield Job(
            f"raw to {label}",
            ours("diskimage convert", "convert", "--no-fsync", data, mine, outputs=(mine,)),
            (peer("qemu-img convert", *make, other, outputs=(other,)),),
            {"qemu-img convert": 1.0},
            lambda theirs=theirs, mine=mine, other=other: said(theirs, mine, other),
        )
        subprocess.run([*make, image], check=True)
        yield Job(
            f"{label} to raw",
            ours("diskimage convert", "convert", "--no-fsync", image, a, outputs=(a,)),
            (peer("qemu-img convert", "qemu-img", "convert", *BEST, "-f", theirs, "-O", "raw",
                  image, b, outputs=(b,)),),
            {"qemu-img convert": 1.0},
            lambda: said("raw", a, b),
        )  # fmt: skip
        image.unlink()


def dmgs(scratch: Path) -> Iterator[Job]:
    """UDZO: its makers run on macOS alone, so pigz's streams of the same bytes stand beside."""
    data, image, zz = mixed(scratch / "data.img", GIB), scratch / "a.dmg", scratch / "b.zz"
    a, b, c = scratch / "a.img", scratch / "b.img", scratch / "c"
    write = ("convert", "--no-fsync", data, image)
    yield Job(
        "raw to DMG, UDZO",
        ours("diskimage convert", *write, outputs=(image,)),
        (shell("pigz -z -6", f"pigz -z -6 -c {data} > {zz}", (zz,)),
         *based(data, scratch / "c.dmg")),
        {"pigz -z -6": 1.0},
        lambda: f"size {image.stat().st_size / zz.stat().st_size:.3f} of the peer's",
    )  # fmt: skip
    subprocess.run([DIM, *map(str, write)], check=True, capture_output=True)
    yield Job(
        "DMG, UDZO, to raw",
        ours("diskimage convert", "convert", "--no-fsync", image, a, outputs=(a,)),
        (
            peer("dmg2img", "dmg2img", image, b, outputs=(b,)),
            shell("7z x", f"7z x -tdmg -y -so {image} > {c}", (c,)),
            *based(image, scratch / "d.img"),
        ),
        {"dmg2img": 1.0, "7z x": 1.0},
        lambda: said("raw", a, b),
    )


def e01s(scratch: Path) -> Iterator[Job]:
    """E01 beside libewf: deflate at its fast level, MD5 and SHA-1 taken."""
    data, mine = mixed(scratch / "data.img", GIB), scratch / "a.E01"
    other, a, b = scratch / "b.E01", scratch / "a.img", scratch / "b.raw"
    acquire = (
        f"ewfacquire -q -u -t {other.with_suffix('')} -f encase6 -c deflate:fast -S 4GiB"
        f" -b 64 -d sha1 {data}"
    )
    yield Job(
        "raw to E01",
        ours("diskimage convert", "convert", "--no-fsync", data, mine, outputs=(mine,)),
        (shell("ewfacquire", acquire, (other,)),
         *based(data, scratch / "c.E01")),
        {"ewfacquire": 1.0},
        lambda: f"size {mine.stat().st_size / other.stat().st_size:.3f} of the peer's",
    )  # fmt: skip
    subprocess.run(["sh", "-c", acquire], check=True, capture_output=True)
    export = f"ewfexport -q -u -f raw -S 0 -B {GIB} -o 0 -t {b.with_suffix('')} {other}"
    yield Job(
        "E01 to raw",
        ours("diskimage convert", "convert", "--no-fsync", other, a, outputs=(a,)),
        (shell("ewfexport", export, (b,)), *based(other, scratch / "d.img")),
        {"ewfexport": 2.0},
        lambda: said("raw", a, b),
    )


def at_random(scratch: Path) -> Iterator[Job]:
    """2000 reads of 4 KiB in images whose chunks are compressed."""
    data, draw = mixed(scratch / "data.img", GIB), random.Random(3)
    places = [draw.randrange(GIB // 4096) * 4096 for _ in range(2000)]
    reads = [word for at in places for word in ("-c", f"read {at} 4096")]
    for label, kind, options in (
        ("qcow2 zlib", "qcow2", ("-c",)),
        ("qcow2 zstd", "qcow2", ("-c", "-o", "compression_type=zstd")),
        ("streamOptimized VMDK", "vmdk", ("-o", "subformat=streamOptimized")),
    ):
        image = scratch / f"image.{kind}"
        subprocess.run(["qemu-img", "convert", *BEST, "-f", "raw", "-O", kind, *options, data,
                        image], check=True)  # fmt: skip
        yield Job(
            f"2000 random reads of 4 KiB, {label}",
            Contender("image.read", (sys.executable, "-c", READING, str(image)),
                      idle=(sys.executable, "-c", "import diskimage")),
            (peer("qemu-io", "qemu-io", "-r", "-f", kind, *reads, image),),
        )  # fmt: skip
        image.unlink()


def packed(scratch: Path) -> Iterator[Job]:
    """Streams of gzip and zstd to raw and back; sparse images of Android."""
    data, a, b = mixed(scratch / "data.img", GIB), scratch / "a.img", scratch / "b.img"
    for label, suffix, write, read in (
        ("gzip", "gz", "pigz -6 -c", "gzip -dc"),
        ("zstd", "zst", "zstd -T2 -q -c", "zstd -dc"),
    ):
        image, mine, other = (scratch / f"{name}.img.{suffix}" for name in ("image", "a", "b"))
        yield Job(
            f"raw to {label}",
            ours("diskimage convert", "convert", "--no-fsync", data, mine, outputs=(mine,)),
            (shell(write, f"{write} {data} > {other}", (other,)),),
            {write: 1.0},
            lambda mine=mine, other=other: (
                f"size {mine.stat().st_size / other.stat().st_size:.3f} of the peer's"
            ),
        )
        subprocess.run(["sh", "-c", f"{write} {data} > {image}"], check=True)
        yield Job(
            f"{label} to raw",
            ours("diskimage convert", "convert", "--no-fsync", image, a, outputs=(a,)),
            (shell(read, f"{read} {image} > {b}", (b,)),),
            {read: 1.0},
            lambda: said("raw", a, b),
        )
    sparse, peers = scratch / "a.simg", scratch / "b.simg"
    yield Job(
        "raw to Android sparse",
        ours("diskimage convert", "convert", "--no-fsync", data, sparse, outputs=(sparse,)),
        (peer("img2simg", "img2simg", data, peers, outputs=(peers,)),),
        {"img2simg": 1.0},
    )
    subprocess.run(["img2simg", data, image], check=True)
    yield Job(
        "Android sparse to raw",
        ours("diskimage convert", "convert", "--no-fsync", "--format", "simg", image, a,
             outputs=(a,)),
        (peer("simg2img", "simg2img", image, b, outputs=(b,)),),
        {"simg2img": 1.0},
        lambda: said("raw", a, b),
    )  # fmt: skip
