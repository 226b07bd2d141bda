"""What starting and opening cost, beside a bare interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from measure import DIM

IMPORTING = "import diskimage"
OPENING = """
import sys, time, construct
import diskimage, diskimage.formats.qcow2
start = time.perf_counter()
with diskimage.open(sys.argv[1]) as image:
    opened = time.perf_counter()
    rows = sum(1 for _ in image.extents())
    print(opened - start, time.perf_counter() - opened, rows)
"""

AGAIN = """
import resource, sys, time
import diskimage
with diskimage.open(sys.argv[1]) as image:
    image.read(0, 4096)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
with diskimage.open(sys.argv[1]) as image:
    opened = time.perf_counter() - start
    image.read(image.size // 2, 4096)
    sum(1 for _ in image.extents(0, image.size // 4))
print(opened, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
LARGE = (("64 TiB VHDX", "large.vhdx", "vhdx", "64T"), ("2 TiB VMDK", "large.vmdk", "vmdk", "2T"))


def median(command: list[str], rounds: int) -> float:
    """The median wall time."""
    walls = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        walls.append(time.perf_counter() - start)
    return statistics.median(walls)


def figures(scratch: Path, rounds: int) -> list[dict[str, object]]:
    """Rows of what, measured, wanted."""
    bare = median([sys.executable, "-c", "pass"], 3 * rounds)
    importing = median([sys.executable, "-c", IMPORTING], 3 * rounds) - bare
    helping = median([DIM, "--help"], 3 * rounds)
    image = scratch / "pib.qcow2"
    subprocess.run([DIM, "create", str(image), "--size", "1P"], check=True, capture_output=True)
    opens, maps = [], []
    for _ in range(rounds):
        said = subprocess.run(
            [sys.executable, "-c", OPENING, str(image)], check=True, capture_output=True, text=True
        ).stdout.split()
        opens.append(float(said[0]))
        maps.append(float(said[1]))
    return [
        {"what": "import diskimage over bare Python", "measured": f"{importing * 1e3:.0f} ms",
         "wanted": "<= 60 ms"},
        {"what": "diskimage --help", "measured": f"{helping:.3f} s", "wanted": "<= 0.2 s"},
        {"what": "opening an empty 1 PiB qcow2, construct imported",
         "measured": f"{statistics.median(opens) * 1e3:.1f} ms", "wanted": "<= 50 ms"},
        {"what": "mapping it", "measured": f"{statistics.median(maps) * 1e3:.0f} ms",
         "wanted": "< 1000 ms"},
        *(again(scratch / file, kind, size, label, rounds) for label, file, kind, size in LARGE),
    ]  # fmt: skip


def again(image: Path, kind: str, size: str, label: str, rounds: int) -> dict[str, object]:
    """The second open of a peer's large image in one process, and the memory that it takes."""
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, str(image), size], check=True)
    rows = []
    for _ in range(rounds):
        said = subprocess.run(
            [sys.executable, "-c", AGAIN, str(image)], check=True, capture_output=True, text=True
        ).stdout.split()
        rows.append((float(said[0]), float(said[1])))
    opened = statistics.median(row[0] for row in rows)
    return {"what": f"opening a {label} a second time, with a quarter of its map",
            "measured": f"{opened * 1e3:.1f} ms, {max(row[1] for row in rows):.1f} MiB more",
            "wanted": "<= 5 ms, < 32 MiB"}  # fmt: skip
