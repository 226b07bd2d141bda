"""How a job is measured: whole commands in turn, medians, ratios, peak memory.

The figure of a command is its wall time less that of the same program with `--help` (or what
`idle` names), so that start-up is told apart; both are kept. Outputs are removed before each run.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

DIM = str(Path(sys.executable).with_name("diskimage"))
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # users have their modules compiled


@dataclass(frozen=True)
class Contender:
    """A command, what it leaves behind, and the command whose time is its start-up alone."""

    name: str
    command: tuple[str, ...]
    outputs: tuple[Path, ...] = ()
    idle: tuple[str, ...] = ()
    package: str = ""

    @property
    def tool(self) -> str:
        """The program that has to be installed."""
        return self.command[0] if self.command[0] != "sh" else self.name.split()[0].rstrip(";")


@dataclass(frozen=True)
class Job:
    """Ours beside peers; `targets` maps a peer to the least ratio peer / ours."""

    name: str
    ours: Contender
    peers: tuple[Contender, ...]
    targets: dict[str, float] = field(default_factory=dict)
    same: Callable[[], str] | None = None  # what to say of the outputs after the last round


@dataclass
class Figures:
    """What was measured of one contender, in seconds and bytes."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0
    idle: float = 0.0

    @property
    def net(self) -> float:
        """The median wall time less start-up."""
        return max(1e-4, statistics.median(self.wall) - self.idle)


def ours(name: str, *arguments: str | Path, outputs: tuple[Path, ...] = ()) -> Contender:
    """Our command with `arguments`."""
    return Contender(name, (DIM, *map(str, arguments)), outputs, (DIM, "--help"))


def based(*arguments: str | Path) -> tuple[Contender, ...]:
    """Our conversion without the extra `speed`, where DISKIMAGE_BASE says where it is installed.

    The last of `arguments` is its target, which no other contender writes.
    """
    where = os.environ.get("DISKIMAGE_BASE")
    if where is None:
        return ()
    command = (where, "convert", "--no-fsync", *map(str, arguments))
    return (Contender("our base install", command, (Path(arguments[-1]),), (where, "--help")),)


def shell(name: str, line: str, outputs: tuple[Path, ...] = (), package: str = "") -> Contender:
    """A peer that is a line for sh; `name` begins with the tool."""
    return Contender(name, ("sh", "-c", line), outputs, ("sh", "-c", ":"), package)


def peer(name: str, *command: str | Path, outputs: tuple[Path, ...] = ()) -> Contender:
    """A peer as it is; its start-up is its own `--help`."""
    words = tuple(map(str, command))
    return Contender(name, words, outputs, (words[0], "--help"))


def once(command: tuple[str, ...]) -> tuple[float, float, int]:
    """(wall seconds, processor seconds, peak resident bytes) of one run, which has to succeed."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        said = child.stderr.read() if child.stderr else b""
    if child.returncode:
        sys.exit(f"{' '.join(command)}\nexit status {child.returncode}: {said.decode()[-500:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def idle(command: tuple[str, ...], rounds: int) -> float:
    """The median wall time of doing nothing; whatever the exit status."""
    walls = []
    for _ in range(rounds if command else 0):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        walls.append(time.perf_counter() - start)
    return statistics.median(walls) if walls else 0.0


def run(job: Job, rounds: int) -> dict[str, object]:
    """Measure `job`; peers that are not installed are named, not measured."""
    present = [p for p in job.peers if shutil.which(p.tool)]
    missing = [p.tool for p in job.peers if not shutil.which(p.tool)]
    field_of = {c.name: Figures() for c in (job.ours, *present)}
    for contender in (job.ours, *present):
        field_of[contender.name].idle = idle(contender.idle, rounds)
    for round_ in range(rounds + 1):  # the first round warms caches and is not counted
        for contender in (job.ours, *present):
            for output in contender.outputs:
                output.unlink(missing_ok=True)
            wall, cpu, peak = once(contender.command)
            figures = field_of[contender.name]
            figures.peak = max(figures.peak, peak)
            if round_:
                figures.wall.append(wall)
                figures.cpu.append(cpu)
    return _row(job, field_of, missing)


def _row(job: Job, found: dict[str, Figures], missing: list[str]) -> dict[str, object]:
    net = found[job.ours.name].net
    rows = {
        name: {
            "wall": round(statistics.median(f.wall), 4),
            "idle": round(f.idle, 4),
            "net": round(f.net, 4),
            "cpu": round(statistics.median(f.cpu), 4),
            "peak_mib": round(f.peak / (1 << 20), 1),
            "ratio": round(f.net / net, 2),
            "target": job.targets.get(name),
        }
        for name, f in found.items()
    }
    said = job.same() if job.same else ""
    for contender in (job.ours, *job.peers):
        for output in contender.outputs:
            output.unlink(missing_ok=True)
    return {"job": job.name, "rows": rows, "missing": missing, "note": said}
