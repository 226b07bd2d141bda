"""Where things are, and rows of tab-separated tables."""

from __future__ import annotations

import csv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"  # real and hostile images, where they are present
FORMATS = frozenset(  # whose rows are tests here
    {
        "toc",
        "e01",
        "cue",
        "iso",
        "qcow2",
        "vdi",
        "vhd",
        "vhdx",
        "vmdk",
        "cloop",
        "simg",
        "bochs",
        "qcow1",
        "qed",
        "parallels",
        "raw",
        "nrg",
        "cdi",
        "mdx",
        "mds",
        "dmg",
        "sparseimage",
        "misc",
    }
)


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated file with a header line; nothing is quoted."""
    lines = path.read_text(encoding="utf-8").removeprefix("# ").splitlines()
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
