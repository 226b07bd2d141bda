"""How fast copies are here: ours over block sizes, threads, direct I/O and digests, beside others.

Every command copies the same file to a fresh target; rounds go in turn, so that a busy moment hits
all alike. A time is that of the whole command less that of the same command with --help.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from threading import Event

from diskimage.engine.progress import Report, Watch
from diskimage.errors import NoSpaceError, UsageError, from_os
from diskimage.limits import MIB

BLOCKS = (64 * 1024, 256 * 1024, MIB, 4 * MIB)
THREADS = (1, 2)
SEED = 5
ZEROS = 0.3  # of the content: written zeros, as real disks have


@dataclass(frozen=True, slots=True)
class Contender:
    """A command line with {source} and {target} in it; `bare` is what its start costs."""

    name: str
    command: tuple[str, ...]
    bare: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians in seconds: of the whole command, and of its bare start. `ratio` is the speed beside
    cp, or beside ours where there is no cp; None for the command that failed, with its `error`."""

    name: str
    seconds: float
    bare: float
    ratio: float | None = None
    error: str | None = None

    @property
    def job(self) -> float:
        """Seconds of the work alone."""
        return max(1e-6, self.seconds - self.bare)


@dataclass(frozen=True, slots=True)
class Benched:
    """The timings of `rounds` rounds over `size` bytes in `folder`."""

    folder: str
    size: int
    rounds: int
    timings: tuple[Timing, ...]

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "folder": self.folder, "size": self.size, "rounds": self.rounds,
            "timings": [
                {
                    "name": t.name, "seconds": round(t.seconds, 4), "bare": round(t.bare, 4),
                    "bytes_per_second": None if t.error else round(self.size / t.job),
                    "ratio": None if t.ratio is None else round(t.ratio, 3), "error": t.error,
                }
                for t in self.timings
            ],
            "warnings": [],
        }  # fmt: skip

    def svg(self) -> str:
        """Rates as a bar chart."""
        done = [t for t in self.timings if t.error is None]
        best = max((self.size / t.job for t in done), default=1.0)
        bars = "".join(
            f'<text x="240" y="{44 + 24 * i}" text-anchor="end">{escape(t.name)}</text>'
            f'<rect x="250" y="{32 + 24 * i}" width="{460 * self.size / t.job / best:.1f}" '
            f'height="16" fill="{"#2f6f9f" if t.name.startswith("diskimage") else "#b9c6cf"}"/>'
            f'<text x="{256 + 460 * self.size / t.job / best:.1f}" y="{44 + 24 * i}">'
            f"{self.size / t.job / 1e9:.2f} GB/s</text>"
            for i, t in enumerate(done)
        )
        title = f"Copying {self.size // MIB} MiB, medians of {self.rounds} rounds"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {44 + 24 * len(done)}" '
            f'font-family="sans-serif" font-size="12"><text x="10" y="18">{title}</text>{bars}'
            "</svg>\n"
        )


def bench(
    folder: str | os.PathLike[str] = ".",
    *,
    size: int = 1024 * MIB,
    rounds: int = 5,
    block_sizes: Sequence[int] = BLOCKS,
    threads: Sequence[int] = THREADS,
    direct: bool = True,
    digest: str | None = "sha256",
    peers: bool = True,
    progress: Report | None = None,
    cancel: Event | None = None,
) -> Benched:
    """Time copies in `folder`, which needs room for twice `size` bytes; all is removed again.

    Nothing waits for the medium (`--no-fsync`; cp and dd do not either). Raises UsageError,
    NoSpaceError, CancelledError.
    """
    if size < 1 or rounds < 1:
        text = f"{size} bytes in {rounds} rounds are no benchmark"
        raise UsageError(text, remedy="at least one byte and one round")
    try:
        room = shutil.disk_usage(folder).free
    except OSError as error:
        raise from_os(error, os.fspath(folder)) from error
    if room < 2 * size:
        text = f"{2 * size} bytes are needed, {room} are free"
        raise NoSpaceError(text, file=os.fspath(folder), remedy="choose a smaller --size")
    contenders = [*_ours(block_sizes, threads, direct, digest), *(_peers() if peers else ())]
    watch = Watch(progress, cancel)
    with tempfile.TemporaryDirectory(prefix="diskimage-bench-", dir=folder) as place:
        source, target = Path(place) / "source.raw", Path(place) / "target.raw"
        _make(source, size)
        watch.begin("bench", rounds * len(contenders) * size)
        runs, failed = _rounds(contenders, rounds, source, target, lambda: watch.passed(size))
    return Benched(os.fspath(folder), size, rounds, _timings(contenders, runs, failed))


def _ours(
    block_sizes: Sequence[int], threads: Sequence[int], direct: bool, digest: str | None
) -> Iterator[Contender]:
    start = (sys.executable, "-m", "diskimage")
    copy = (*start, "copy", "--no-fsync", "{source}", "{target}")

    def ours(name: str, *options: str) -> Contender:
        return Contender(f"diskimage copy{name}", (*copy, *options), (*start, "--help"))

    yield ours("")
    for block in block_sizes:
        yield ours(f" --block-size {_short(block)}", "--block-size", str(block))
    for count in threads:
        yield ours(f" --threads {count}", "--threads", str(count), "--block-size", str(MIB))
    if direct:
        yield ours(" --direct", "--direct")
    if digest is not None:
        yield ours(f" --hash {digest}", "--hash", digest)


def _short(size: int) -> str:
    return f"{size // MIB}M" if size % MIB == 0 else f"{size // 1024}K"


def _peers() -> Iterator[Contender]:
    """What is installed of the tools that people use for this."""
    lines = (
        ("cp", "cp {source} {target}"),
        ("dd bs=1M", "dd if={source} of={target} bs=1M status=none"),
        ("qemu-img convert", "qemu-img convert -f raw -O raw {source} {target}"),
        ("nbdcopy", "nbdcopy {source} {target}"),
    )
    for name, line in lines:
        words = tuple(line.split())
        if shutil.which(words[0]) is not None:
            yield Contender(name, words, (words[0], "--help"))


def _make(path: Path, size: int) -> None:
    """Content that neither compresses to nothing nor not at all, the same on every run."""
    dice = random.Random(SEED)
    piece, blank = dice.randbytes(MIB), bytes(MIB)
    try:
        with path.open("xb") as out:
            for at in range(0, size, MIB):
                chosen = blank if dice.random() < ZEROS else piece
                out.write(chosen[: min(MIB, size - at)])
    except OSError as error:
        raise from_os(error, str(path)) from error


def _rounds(
    contenders: Sequence[Contender], rounds: int, source: Path, target: Path,
    passed: Callable[[], None],
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, str]]:  # fmt: skip
    """(whole, bare) seconds of each round by name, and what failed."""
    runs: dict[str, list[tuple[float, float]]] = {c.name: [] for c in contenders}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for i in range(len(contenders)):
            contender = contenders[(number + i) % len(contenders)]
            words = [w.format(source=source, target=target) for w in contender.command]
            whole, error = _timed(words)
            if error is not None:
                failed[contender.name] = error
            runs[contender.name].append((whole, _timed(contender.bare)[0]))
            target.unlink(missing_ok=True)
            passed()
    return runs, failed


def _timed(command: Sequence[str]) -> tuple[float, str | None]:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    took = time.perf_counter() - began
    if done.returncode == 0:
        return took, None
    return took, (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]


def _timings(
    contenders: Sequence[Contender], runs: dict[str, list[tuple[float, float]]],
    failed: dict[str, str],
) -> tuple[Timing, ...]:  # fmt: skip
    made = [
        Timing(
            c.name, statistics.median(whole for whole, _ in runs[c.name]),
            statistics.median(bare for _, bare in runs[c.name]), None, failed.get(c.name),
        )
        for c in contenders
    ]  # fmt: skip
    sound = {t.name: t for t in made if t.error is None}
    base = sound.get("cp") or sound.get("diskimage copy")
    return tuple(
        t if base is None or t.error else
        Timing(t.name, t.seconds, t.bare, base.job / t.job)
        for t in made
    )  # fmt: skip
