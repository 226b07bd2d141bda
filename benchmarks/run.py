"""The benchmarks: ours beside the peers that are installed, in turn, in one run.

    python benchmarks/run.py [FAMILY ...] [--rounds 5] [--scratch DIR] [--page FILE]

Keeps the figures as JSON beside this file and, with --page, the table of docs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from jobs import FAMILIES
from measure import run
from startup import figures as startup_figures

TMPFS = "/dev/shm"  # noqa: S108 - the benchmarks measure software, not a disk
OWN = ("startup", "kernels")  # measured their own way
RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=[], help=", ".join([*FAMILIES, *OWN]))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scratch", type=Path, help="where 16 GiB are free (default: tmpfs)")
    parser.add_argument(
        "--base",
        action="store_true",
        help="beside codecs, install without the extra speed and measure that too",
    )
    parser.add_argument("--page", type=Path, help="write the table there as Markdown")
    arguments = parser.parse_args()
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"families": {}}
    kept["machine"] = machine()
    with tempfile.TemporaryDirectory(dir=arguments.scratch or TMPFS) as folder:
        if arguments.base:
            os.environ["DISKIMAGE_BASE"] = str(base_install(Path(folder)))
        for family in arguments.families or [*FAMILIES, *OWN]:
            with tempfile.TemporaryDirectory(dir=folder) as own:  # no family fills another's memory
                kept["families"][family] = measured(family, Path(own), arguments.rounds)
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    if arguments.page:
        arguments.page.write_text(page(kept), "utf-8")


def base_install(folder: Path) -> Path:
    """This tree in an environment of its own, with the command and no faster codecs."""
    made = folder / "base"
    venv.create(made, with_pip=True)
    tree = Path(__file__).resolve().parent.parent
    install = [made / "bin/pip", "install", "--quiet", f"{tree}[cli]"]
    subprocess.run(install, check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    return made / "bin/diskimage"


def measured(family: str, folder: Path, rounds: int) -> list[dict[str, object]]:
    """The rows of one family, printed as they come."""
    if family == "kernels":
        script, out = Path(__file__).with_name("kernels.py"), folder / "kernels.json"
        subprocess.run([sys.executable, script, out], check=True)
        return json.loads(out.read_text("utf-8"))
    if family == "startup":
        rows = startup_figures(folder, rounds)
        for row in rows:
            print(f"{row['what']}: {row['measured']} (wanted {row['wanted']})", flush=True)
        return rows
    rows = []
    for job in FAMILIES[family](folder):
        row = run(job, rounds)
        print(text(row), flush=True)
        rows.append(row)
    return rows


def text(row: dict) -> str:
    """A job for the terminal."""
    lines = [f"{row['job']}  {row['note']}"]
    for name, f in row["rows"].items():
        wanted = f"  wanted >= {f['target']}" if f["target"] else ""
        lines.append(
            f"  {name:34} net {f['net']:.3f} s  (wall {f['wall']:.3f}, idle {f['idle']:.3f},"
            f" cpu {f['cpu']:.3f})  peak {f['peak_mib']} MiB  ratio {f['ratio']}{wanted}"
        )
    return "\n".join(lines)


def page(kept: dict) -> str:
    """The table of docs."""
    lines = [
        "# Benchmarks",
        "",
        "`make bench` measures ours beside the peers that are installed, in turn, in one run:",
        "medians of whole commands, each less the time of the same command with `--help`. A ratio",
        "is the peer's time over ours: above 1, ours is faster. A job works on 4 GiB where 1 GiB",
        "takes less than a second (2 GiB for VHD, VHDX and VDI, 1 GB on a CD), else on 1 GiB; CHD",
        "on a fifth of a CD and less, in three rounds: LZMA takes its time. The base install is",
        "ours without the extra `speed`.",
        f"This table: {kept['machine']}. Ratios on other machines differ; run it on yours.",
        "",
        "| job | peer | ratio | wanted | ours, s | start-up, s | peer, s | our peak, MiB | |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for family, rows in kept["families"].items():
        if family in OWN:
            continue
        for row in rows:
            mine, *others = row["rows"].values()
            names = list(row["rows"])[1:]
            for name, other in zip(names, others, strict=True):
                lines.append(
                    f"| {row['job']} | {name} | {other['ratio']} | {other['target'] or ''} |"
                    f" {mine['net']} | {mine['idle']} | {other['net']} | {mine['peak_mib']} |"
                    f" {row['note']} |"
                )
    if "startup" in kept["families"]:
        lines += ["", "| what | measured | wanted |", "| --- | ---: | ---: |"]
        lines += [
            f"| {r['what']} | {r['measured']} | {r['wanted']} |"
            for r in kept["families"]["startup"]
        ]
    if "kernels" in kept["families"]:
        lines += ["", "One kernel on one core, in memory, processor time:", ""]
        lines += ["| kernel | peer | ratio | GB/s |", "| --- | --- | ---: | ---: |"]
        lines += [
            f"| {r['job']} | {r['peer']} | {r['ratio']} | {r['GB/s']} |"
            for r in kept["families"]["kernels"]
        ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """What it ran on, without names."""
    flags = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    have = [f for f in ("avx2", "avx512bw", "sha_ni", "vpclmulqdq") if f" {f}" in flags]
    return (
        f"{len(os.sched_getaffinity(0))} cores of {platform.machine()} ({', '.join(have)}),"
        f" {platform.system()}, Python {platform.python_version()}, files on tmpfs"
    )


if __name__ == "__main__":
    main()
