"""CHD beside chdman, on the same cores with the same codecs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from content import mixed
from measure import Job, ours, peer

CODECS = (  # ours, chdman's, and sectors of work: a CD has 330,000, and LZMA takes its time
    ("zlib", "cdzl", 60_000),
    ("zstd", "cdzs", 60_000),
    ("lzma,zlib,flac", "cdlz,cdzl,cdfl", 10_000),
)


def chds(scratch: Path) -> Iterator[Job]:
    """BIN/CUE to CHD and back."""
    a, b, back, other = (scratch / name for name in ("a.chd", "b.chd", "e.cue", "f.cue"))
    for mine, theirs, sectors in CODECS:
        if theirs not in known():
            continue
        data, cue = mixed(scratch / f"{sectors}.img", sectors * 2048), scratch / f"{sectors}.cue"
        convert = ours("", "convert", "--overwrite", "--format", "iso", data, cue).command
        subprocess.run(convert, check=True)
        create = ("chdman", "createcd", "-f", "-np", "2", "-c", theirs, "-i", cue, "-o", b)
        yield Job(
            f"BIN/CUE to CHD, {mine}",
            ours("diskimage convert", "convert", "--no-fsync", "-o", f"codecs={mine}", cue, a,
                 outputs=(a,)),
            (peer("chdman createcd", *create, outputs=(b,)),),
            {"chdman createcd": 1.0},
            lambda: verified(a, b),
        )  # fmt: skip
        made = scratch / "made.chd"
        subprocess.run(
            ["chdman", "createcd", "-f", "-c", theirs, "-i", cue, "-o", made],
            check=True, capture_output=True,
        )  # fmt: skip
        yield Job(
            f"CHD to BIN/CUE, {mine}",
            ours("diskimage convert", "convert", "--no-fsync", made, back,
                 outputs=(back, scratch / "e.bin")),
            (peer("chdman extractcd", "chdman", "extractcd", "-f", "-i", made, "-o", other,
                  "-ob", scratch / "f.bin", outputs=(other, scratch / "f.bin")),),
            {"chdman extractcd": 1.0},
        )  # fmt: skip


def known() -> str:
    """The codecs that this chdman has: zstd came with 0.255."""
    done = subprocess.run(["chdman", "help"], capture_output=True, text=True, check=False)
    version = next((w for w in done.stdout.split() if w.replace(".", "").isdigit()), "0")
    return "cdzl cdlz,cdzl,cdfl" + (" cdzs" if float(version) >= 0.255 else "")


def verified(a: Path, b: Path) -> str:
    """What chdman says of ours, and its size over chdman's."""
    done = subprocess.run(
        ["chdman", "verify", "-i", a], capture_output=True, text=True, check=False
    )
    said = "verified by chdman" if done.returncode == 0 else done.stderr.strip()[-60:]
    return f"size {a.stat().st_size / b.stat().st_size:.3f} of the peer's; {said}"
