"""Each kernel against its peer on one core, in turn, as ratios: `python benchmarks/kernels.py`.

Processor time of one thread, medians of ROUNDS. Nothing here is a job: whole jobs have their own
scripts. What this processor lacks is printed as unmeasured.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path

from diskimage.kernels import checksums, copying, digests, extension, frames, scan, tables
from diskimage.reference import digests as openssl

ROUNDS = 7
MIB = 1 << 20
RESULTS: list[dict[str, object]] = []


def in_turn(
    *jobs: Callable[[], object], clock: Callable[[], float] = time.thread_time
) -> list[float]:
    taken: list[list[float]] = [[] for _ in jobs]
    for _ in range(ROUNDS):
        for job, times in zip(jobs, taken, strict=True):
            begun = clock()
            job()
            times.append(clock() - begun)
    return [statistics.median(times) for times in taken]


def tell(job: str, peer: str, size: int, times: list[float]) -> None:
    ours, theirs = times
    ratio, rate = theirs / ours, size / ours / 1e9
    RESULTS.append({"job": job, "peer": peer, "ratio": round(ratio, 2), "GB/s": round(rate, 2)})
    print(f"{job:44} {ratio:7.2f} x {peer:30} {rate:7.2f} GB/s")


def aligned(size: int) -> mmap.mmap:
    """Pages of random bytes; an mmap begins on a line of the cache."""
    made = mmap.mmap(-1, size)
    made.write(random.Random(1).randbytes(MIB) * (size // MIB))
    return made


def digest_rates() -> None:
    data = aligned(64 * MIB)
    for name, rows in digests.paths().items():
        for path, state in rows:
            if state not in ("selected", "available"):
                print(f"{name} {path}: unmeasured, {state}")
            elif name != "sha1":
                times = in_turn(
                    partial(digests.blocks, name, data, MIB, path=path),
                    partial(openssl.blocks, name, data, MIB),
                )
                tell(f"{name} of 1 MiB blocks, {path} ({state})", "OpenSSL", len(data), times)


def with_children() -> float:
    """Processor time of this thread, and of what ended children spent in user space."""
    return time.thread_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def frame_rates(work: Path) -> None:
    count = 16384
    user, made = aligned(count * 2048), mmap.mmap(-1, count * 2352)
    out, status = mmap.mmap(-1, count * 2048), bytearray(count)
    frames.make(user, made, 1, 0)
    compiler = shutil.which("cc")
    if compiler is None:
        print("frames: no C compiler for the byte tables to compare with")
    else:
        tables_c, program = Path(__file__).with_name("tables.c"), work / "tables"
        subprocess.run([compiler, "-O2", tables_c, "-o", program], check=True)
        (work / "user").write_bytes(user)
        peer = partial(subprocess.run, [program, work / "user", work / "frames"], check=True)
        times = in_turn(lambda: frames.make(user, made, 1, 0), peer, clock=with_children)
        tell("frames made, EDC and ECC", "byte tables in C", len(made), times)
        assert (work / "frames").read_bytes() == made[:]
    cooked = in_turn(
        lambda: frames.cook(made, 2352, 0, 1, out, frames.Check.ALL),
        lambda: frames.gather(made, 2352, 16, 2048, out),
    )
    tell("frames cooked, every EDC checked", "gathering alone", len(made), cooked)
    checked = in_turn(
        lambda: frames.check(made, 2352, 0, 1, status), lambda: frames.make(user, made, 1, 0)
    )
    tell("frames checked, EDC and ECC", "making them", len(made), checked)


def cook_rate(work: Path) -> None:
    """One thread of cook_file, and bchunk, from cached file to file: wall time."""
    bchunk = shutil.which("bchunk")
    if bchunk is None:
        print("bchunk is not installed: cooking from file to file is not compared")
        return
    count = 128 * MIB // 2048
    made = bytearray(count * 2352)
    frames.make(random.Random(2).randbytes(MIB) * 128, made, 1, 0)
    (work / "a.bin").write_bytes(made)
    (work / "a.cue").write_text('FILE "a.bin" BINARY\n TRACK 01 MODE1/2352\n  INDEX 01 00:00:00\n')
    buffer = bytearray(1 << 19)

    def ours() -> None:
        (work / "ours.iso").unlink(missing_ok=True)
        src = os.open(work / "a.bin", os.O_RDONLY)
        dst = os.open(work / "ours.iso", os.O_RDWR | os.O_CREAT)
        verdict = frames.cook_file(src, 0, 2352, 0, 1, count, dst, 0, frames.Check.ALL, buffer)
        assert verdict.done == count
        os.close(src)
        os.close(dst)

    def theirs() -> None:
        (work / "b01.iso").unlink(missing_ok=True)
        subprocess.run([bchunk, "a.bin", "a.cue", "b"], cwd=work, check=True, capture_output=True)

    times = in_turn(ours, theirs, clock=time.perf_counter)
    tell("BIN to ISO, one thread, EDC checked (wall)", "bchunk, no check", len(made), times)
    assert (work / "ours.iso").read_bytes() == (work / "b01.iso").read_bytes()


def scattered_rate(work: Path) -> None:
    """Scattered 4 KiB rows: gathered writes against a loop of pread and pwrite."""
    rows, block = 30_000, 4096
    places = list(range(rows))
    random.Random(3).shuffle(places)
    (work / "src").write_bytes(os.urandom(MIB) * (rows * block // MIB + 1))
    at, to = array("q", (p * block for p in places)), array("q", range(0, rows * block, block))
    length = array("q", [block]) * rows
    src, dst = os.open(work / "src", os.O_RDONLY), os.open(work / "dst", os.O_RDWR | os.O_CREAT)
    buffer = bytearray(1 << 18)

    def loop() -> None:
        for place, target in zip(at, to, strict=True):
            os.pwrite(dst, os.pread(src, block, place), target)

    times = in_turn(lambda: copying.copy_runs(src, at, length, dst, to, buffer), loop)
    tell("scattered 4 KiB rows copied", "pread and pwrite each", rows * block, times)
    os.close(src)
    os.close(dst)


def scan_rates() -> None:
    zeros, small = mmap.mmap(-1, 64 * MIB), bytearray(256 << 10)
    zeros[:] = bytes(len(zeros))
    one = b"\1" * (64 * MIB)  # zeros would all be one page
    two = bytes(bytearray(one))
    tell("zeros scanned, 64 MiB", "memcmp of two buffers", len(zeros),
         in_turn(lambda: scan.is_zero(zeros), lambda: one == two))  # fmt: skip
    again = 256
    tell("zeros scanned, 256 KiB in cache", "bytes.strip", again * len(small), in_turn(
        lambda: [scan.is_zero(small) for _ in range(again)],
        lambda: [bytes(small).strip(b"\0") for _ in range(again)],
    ))  # fmt: skip


def other_rates() -> None:
    import zlib

    data = aligned(16 * MIB)
    tell("CRC-32C", "zlib's CRC-32", len(data),
         in_turn(lambda: checksums.crc32c(data), lambda: zlib.crc32(data)))  # fmt: skip
    tell("EDC", "zlib's CRC-32", len(data),
         in_turn(lambda: frames.edc(data), lambda: zlib.crc32(data)))  # fmt: skip
    entries = array("Q", (random.Random(4).randrange(1 << 30) << 16 for _ in range(1 << 18)))
    entries.byteswap()
    rule = tables.Rule(8, big_endian=True, mask=(1 << 56) - 512, align=65536)
    view = memoryview(entries).cast("B")

    def ours() -> None:
        taken = 0
        while taken < len(entries):
            taken += tables.table_runs(rule, view[8 * taken :], taken, 65536, 1 << 50).taken

    def swapped() -> None:
        column = array("Q", entries)
        column.byteswap()
        sum(entry & rule.mask for entry in column)

    tell(
        "table to runs, nothing joins", "a loop over array('Q')", len(view), in_turn(ours, swapped)
    )


def main() -> None:
    print(f"{extension.reason}; medians of {ROUNDS}, processor time of one thread")
    print("; ".join(f"{name}: {state}" for name, state in extension.paths()))
    memory = Path("/dev/shm")  # noqa: S108  (a directory of its own is made in it)
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as work:
        digest_rates()
        frame_rates(Path(work))
        cook_rate(Path(work))
        scattered_rate(Path(work))
    scan_rates()
    other_rates()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(RESULTS, indent=1) + "\n")


if __name__ == "__main__":
    main()
