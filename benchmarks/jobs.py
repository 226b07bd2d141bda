"""The jobs: ours and the peers at their best flags, doing the same work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from chd import chds
from content import islands, mixed, scattered
from disks import at_random, dmgs, e01s, packed, tables
from measure import DIM, Job, based, ours, peer, shell
from vmdk import vmdks

GIB = 1 << 30
LONG = 4 * GIB  # where a GiB takes less than a second: start-up weighs what it does for users
CD = 449_000 * 2048  # as much as a CD's addresses reach: 1.06 GB of frames


def equal(a: Path, b: Path, format: str = "raw") -> str:
    """What qemu-img says of two images."""
    done = subprocess.run(
        ["qemu-img", "compare", "-f", format, "-F", format, a, b], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr.strip()


def raw(scratch: Path) -> Iterator[Job]:
    """A raw image copied, with and without its digest."""
    data, a, b = mixed(scratch / "data.img", LONG), scratch / "a.img", scratch / "b.img"
    qemu = ("qemu-img", "convert", "-f", "raw", "-O", "raw")
    yield Job(
        "raw copy, not synced",
        ours("diskimage copy --no-fsync", "copy", "--no-fsync", data, a, outputs=(a,)),
        (
            peer("cp", "cp", data, b, outputs=(b,)),
            peer("qemu-img convert -S 0", *qemu, "-S", "0", data, b, outputs=(b,)),
            peer("dd bs=64k", "dd", f"if={data}", f"of={b}", "bs=64k", outputs=(b,)),
        ),
        {"cp": 0.95, "qemu-img convert -S 0": 1.3},
        lambda: equal(a, b),
    )
    yield Job(
        "raw copy, written zeros left out",
        ours("diskimage copy --sparse", "copy", "--no-fsync", "--sparse", data, a, outputs=(a,)),
        (
            peer("qemu-img convert", *qemu, data, b, outputs=(b,)),
            peer("cp --sparse=always", "cp", "--sparse=always", data, b, outputs=(b,)),
        ),
        {"qemu-img convert": 1.3},
        lambda: equal(a, b),
    )
    yield Job(
        "raw copy, synced",
        ours("diskimage copy", "copy", data, a, outputs=(a,)),
        (shell("cp; sync", f"cp {data} {b} && sync {b}", (b,)),),
        {"cp; sync": 0.95},
    )
    yield Job(
        "raw copy with SHA-256",
        ours("diskimage copy --hash", "copy", "--no-fsync", "--hash", "sha256", data, a,
             outputs=(a,)),
        (
            shell("openssl after cp", f"cp {data} {b} && openssl dgst -sha256 {data}", (b,)),
            peer("dc3dd", "dc3dd", f"if={data}", f"of={b}", "hash=sha256", outputs=(b,)),
        ),
        {"openssl after cp": 1.0, "dc3dd": 1.7},
    )  # fmt: skip


def holes(scratch: Path) -> Iterator[Job]:
    """200 GiB of hole with four islands."""
    data, a, b = islands(scratch / "hole.img", 200 * GIB), scratch / "a.img", scratch / "b.img"
    yield Job(
        "200 GiB hole copied",
        ours("diskimage copy --no-fsync", "copy", "--no-fsync", data, a, outputs=(a,)),
        (
            shell("cp; python -c pass", f"cp {data} {b} && {sys.executable} -c pass", (b,)),
            peer("cp", "cp", data, b, outputs=(b,)),
            peer("qemu-img convert", "qemu-img", "convert", "-f", "raw", "-O", "raw", data, b,
                 outputs=(b,)),
        ),
        {"cp; python -c pass": 1.0},
    )  # fmt: skip


def discs(scratch: Path) -> Iterator[Job]:
    """BIN/CUE to ISO and back."""
    data = mixed(scratch / "disc.img", CD)
    cue, track = scratch / "d.cue", scratch / "d.bin"
    if not cue.exists():
        subprocess.run([*ours("", "convert", "--format", "iso", data, cue).command], check=True)
    iso, back = scratch / "a.iso", scratch / "e.cue"
    yield Job(
        "BIN/CUE to ISO, every EDC checked",
        ours("diskimage convert", "convert", "--no-fsync", cue, iso, outputs=(iso,)),
        (
            peer("bchunk (checks nothing)", "bchunk", track, cue, scratch / "bc",
                 outputs=(scratch / "bc01.iso",)),
            peer("cp of the ISO (floor)", "cp", data, scratch / "b.iso",
                 outputs=(scratch / "b.iso",)),
        ),
        {"bchunk (checks nothing)": 1.5},
    )  # fmt: skip
    tables = build_tables(scratch)
    yield Job(
        "ISO to BIN/CUE, EDC and ECC made",
        ours("diskimage convert", "convert", "--no-fsync", "--format", "iso", data, back,
             outputs=(back, scratch / "e.bin")),
        (peer("byte tables in C", tables, data, scratch / "t.bin",
              outputs=(scratch / "t.bin",)),),
        {"byte tables in C": 8.0},
    )  # fmt: skip


def build_tables(scratch: Path) -> Path:
    """The byte-table framer, compiled."""
    made = scratch / "tables"
    source = Path(__file__).with_name("tables.c")
    subprocess.run(["cc", "-O2", "-o", made, source], check=True)
    return made


def qcow2_read(scratch: Path) -> Iterator[Job]:
    """qcow2 of QEMU's own making to raw."""
    data, a, b = mixed(scratch / "data.img", LONG), scratch / "a.img", scratch / "b.img"
    for label, options, least in (
        ("zlib", ("-c", "-o", "compression_type=zlib"), 1.8),
        ("zstd", ("-c", "-o", "compression_type=zstd"), 1.8),
        ("plain", (), 1.2),
    ):
        image = scratch / "image.qcow2"  # made anew: all of them at once fill a machine's memory
        make = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-m", "16", "-W", *options]
        subprocess.run([*make, data, image], check=True)
        best = ("-m", "16", "-W") if options else ()
        yield Job(
            f"qcow2 {label} to raw",
            ours("diskimage convert", "convert", "--no-fsync", image, a, outputs=(a,)),
            (peer("qemu-img convert", "qemu-img", "convert", *best, "-O", "raw", image, b,
                  outputs=(b,)),
             *(based(image, scratch / "c.img") if options else ())),
            {"qemu-img convert": least},
            lambda: equal(a, b),
        )  # fmt: skip
    yield from qcow2_scattered(scratch, a, b)


def qcow2_scattered(scratch: Path, a: Path, b: Path) -> Iterator[Job]:
    """120,000 clusters of 4 KiB, each with a hole behind it."""
    image, data = scratch / "scattered.qcow2", scattered(scratch / "scattered.img", 120_000)
    make = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4096"]
    subprocess.run([*make, data, image], check=True)
    best = ("-m", "16", "-W")
    yield Job(
        "120,000 scattered 4 KiB clusters to raw",
        ours("diskimage convert", "convert", "--no-fsync", image, a, outputs=(a,)),
        (peer("qemu-img convert -m 16 -W", "qemu-img", "convert", *best, "-O", "raw", image, b,
              outputs=(b,)),),
        {"qemu-img convert -m 16 -W": 4.0},
        lambda: equal(a, b),
    )  # fmt: skip


def qcow2_write(scratch: Path) -> Iterator[Job]:
    """Raw to qcow2, sizes beside."""
    a, b = scratch / "a.qcow2", scratch / "b.qcow2"
    for label, size, mine, theirs, least in (
        ("zlib", GIB, ("-o", "compression=zlib"), ("-c", "-m", "16", "-W"), 5.0),
        ("zstd", GIB, ("-o", "compression=zstd"),
         ("-c", "-m", "16", "-W", "-o", "compression_type=zstd"), 1.5),
        ("plain", LONG, (), (), 1.0),
    ):  # fmt: skip
        data = mixed(scratch / f"data{size // GIB}.img", size)
        yield Job(
            f"raw to qcow2 {label}",
            ours("diskimage convert", "convert", "--no-fsync", *mine, data, a, outputs=(a,)),
            (peer("qemu-img convert", "qemu-img", "convert", "-f", "raw", "-O", "qcow2", *theirs,
                  data, b, outputs=(b,)),
             *(based(*mine, data, scratch / "c.qcow2") if mine else ())),
            {"qemu-img convert": least},
            lambda: sizes(a, b),
        )  # fmt: skip


def sizes(a: Path, b: Path) -> str:
    """Our file's size over the peer's, and what the peer's checker says of ours."""
    ratio = a.stat().st_size / b.stat().st_size
    check = subprocess.run(["qemu-img", "check", a], capture_output=True, text=True, check=False)
    same = equal(a, b, "qcow2")
    return f"size {ratio:.3f} of the peer's; {check.stdout.splitlines()[0]}; {same}"


def isz(scratch: Path) -> Iterator[Job]:
    """An ISO to ISZ and back, beside zlib streams of the same bytes and level: it has no peer."""
    data, a, b = mixed(scratch / "data.img", GIB), scratch / "a.isz", scratch / "b.zz"
    back, again = scratch / "a.iso", scratch / "b.iso"
    yield Job(
        "raw to ISZ, zlib",
        ours("diskimage convert", "convert", "--no-fsync", data, a, outputs=(a,)),
        (shell("pigz -z -6", f"pigz -z -6 -c {data} > {b}", (b,)),),
        {"pigz -z -6": 1.0},
        lambda: f"size {a.stat().st_size / b.stat().st_size:.3f} of the peer's",
    )
    subprocess.run([DIM, "convert", "--no-fsync", "--overwrite", data, a], check=True,
                   capture_output=True)  # fmt: skip
    with b.open("wb") as out:
        subprocess.run(["pigz", "-z", "-6", "-c", data], stdout=out, check=True)
    yield Job(
        "ISZ to raw, zlib",
        ours("diskimage convert", "convert", "--no-fsync", "--to", "raw", a, back, outputs=(back,)),
        (shell("pigz -d", f"pigz -d -c {b} > {again}", (again,)),),
        {"pigz -d": 1.5},
        lambda: equal(back, again),
    )


FAMILIES = {
    "raw": raw,
    "holes": holes,
    "discs": discs,
    "isz": isz,
    "qcow2-read": qcow2_read,
    "qcow2-write": qcow2_write,
    "chd": chds,
    "vmdk": vmdks,
    "tables": tables,
    "dmg": dmgs,
    "e01": e01s,
    "random": at_random,
    "packed": packed,
}
