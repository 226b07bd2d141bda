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
    ]  # fmt: skip
