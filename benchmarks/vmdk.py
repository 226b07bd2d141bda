"""VMDK beside qemu-img: the stream, which qemu-img codes on one core, and plain grains."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from content import mixed
from measure import Job, based, ours, peer

GIB = 1 << 30


def vmdks(scratch: Path) -> Iterator[Job]:
    """Raw to VMDK and back."""
    names = ("image.vmdk", "a.vmdk", "b.vmdk", "a.img", "b.img")
    image, a, b, back, other = (scratch / name for name in names)
    for label, subformat, size, read, write in (
        ("streamOptimized", "streamOptimized", GIB, 3.0, 2.0),
        ("plain", "monolithicSparse", 4 * GIB, 0.9, 0.9),
    ):
        data = mixed(scratch / f"data{size // GIB}.img", size)
        coded = subformat == "streamOptimized"
        option, best = ("-o", f"subformat={subformat}"), ("-m", "16", "-W")
        make = ("qemu-img", "convert", *best, "-f", "raw", "-O", "vmdk", *option, data)
        yield Job(
            f"raw to VMDK {label}",
            ours("diskimage convert", "convert", "--no-fsync", *option, data, a, outputs=(a,)),
            (peer("qemu-img convert", *make, b, outputs=(b,)),
             *(based(*option, data, scratch / "c.vmdk") * coded)),
            {"qemu-img convert": write},
            lambda: compared(a, b),
        )  # fmt: skip
        subprocess.run([*make, image], check=True)
        yield Job(
            f"VMDK {label} to raw",
            ours("diskimage convert", "convert", "--no-fsync", image, back, outputs=(back,)),
            (peer("qemu-img convert", "qemu-img", "convert", *best, "-O", "raw", image, other,
                  outputs=(other,)),
             *(based(image, scratch / "c.img") * coded)),
            {"qemu-img convert": read},
            lambda: said("raw", back, other),
        )  # fmt: skip


def compared(a: Path, b: Path) -> str:
    """Our file's size over the peer's, and whether the guests are the same."""
    return f"size {a.stat().st_size / b.stat().st_size:.3f} of the peer's; {said('vmdk', a, b)}"


def said(format: str, a: Path, b: Path) -> str:
    """What qemu-img says of two images."""
    done = subprocess.run(
        ["qemu-img", "compare", "-f", format, "-F", format, a, b], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr.strip()
