"""Real images: every row of the corpus has the bytes that its oracle has, or is refused by name.

The corpus is beside the repository (../shared/corpus): images written by other programs, and for
each what other tools decode it to. A row that we refuse stands in one of the tables below, with the
kind of error and the reason.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import diskimage
from diskimage.model import Kind
from tests.bounded import Run
from tests.rows import FORMATS, SHARED, table

MANIFEST = SHARED / "corpus/MANIFEST.tsv"
TRACKS = SHARED / "corpus/TRACKS.tsv"
TREES = SHARED / "corpus/TREES.tsv.xz"

Row = dict[str, str]

SHEETS = ({"corrupt", "truncated"}, "indexes past the end of the files, content without sync")
PATCHED = ({"checksum"}, "both footers were changed and kept their checksum")

REFUSED = {
    "cue/chdman-js__multiple/multiple.cue": SHEETS,
    "cue/igir__CD-ROM/CD-ROM.cue": SHEETS,
    "iso/libcdio__malformed.iso": ({"corrupt"}, "a logical block of 12336 bytes"),
    "vhd/dfvfs__image-differential/image-differential.vhd": PATCHED,
}
"""Rows whose bytes are known and that are refused all the same: path to (kinds, reason)."""

OTHERWISE = {
    # the oracle read no band and gave zeros; these are bands 0 and 2 as they are stored
    "sparseimage/dmg-forensic__synthetic.sparsebundle/Info.plist": (
        "b9622fe907e592e8a2bed0f722ec6da33e3eed382a02864c4b7a6d2891dd4c36"
    ),
}
"""Rows whose oracle is wrong: path to the digest of the bytes that are there."""

PARSE_ONLY = {
    "dmg/etcher-sdk__invalid.dmg": {"unknown-format"},
    "e01/ewf-forensic__fuzz-crash-parse_segment-add-overflow.E01": {"checksum"},
    "mds/mdftoiso__TEST.mds": {"missing"},
    "misc/pyaff4__dream.aff4": {"unsupported"},  # files, no image
    "cue/libcdio__bad-cat1.cue": {"corrupt"},
    "cue/libcdio__bad-mode1.cue": {"corrupt", "unsupported"},
    "cue/libcdio__bad-msf-3.cue": {"corrupt"},
    "cue/libcue__99_tracks.cue": {"missing"},
    "cue/whipper__bloc.cue": {"missing"},
    "cue/whipper__surferrosa.eac.noncompliant.cue": {"refused-reference"},  # names a directory
    "qcow2/qemu__afl5.img": {"truncated"},  # a VHD, whatever it is called, of 1028 bytes
    "vmdk/go-vmdk-parser__vmdk-invalid.img": {"truncated"},
    "vmdk/puremagic__test (split).vmdk": {"missing"},
    "vmdk/qemu__afl9.vmdk": {"corrupt"},
    "vmdk/vmdk-forensic__ms3-win.vmdk": {"missing"},
    "toc/cdrdao__cdtext.toc": {"usage"},  # one track of silence
    "toc/cdrdao__mode1_rw.toc": {"ok"},  # zeros that no file holds
    "toc/cdrdao__pregap1.toc": {"usage"},
    "toc/libcdio__bad-file.toc": {"missing"},
    "toc/libcdio__bad-mode1.toc": {"corrupt"},
    "toc/libcdio__bad-msf-1.toc": {"corrupt"},
    "toc/libcdio__cdtext.toc": {"usage"},
    "toc/libcdio__data1.toc": {"ok"},
    "toc/libcdio__t1.toc": {"usage"},
    "toc/whipper__capital.fast.toc": {"missing"},
}
"""Rows without bytes: sheets without their files, hostile headers. Path to the kinds of refusal;
"ok" where a sheet names no file and all of its bytes are zeros."""


def rows(path: Path, column: str, absent: bool = False) -> list[Any]:
    """A parameter a row with (or without) a value in `column`; one that skips without the table."""
    if not path.exists():
        beside = pytest.mark.skip(reason="../shared/corpus is not beside the repository")
        return [pytest.param({}, marks=beside, id="absent")]
    return [
        pytest.param(row, id="-".join([row["path"], *([row["track"]] if "track" in row else [])]))
        for row in table(path)
        if row["path"].partition("/")[0] in FORMATS
        and (row[column] == "-") == absent
        and not row.get("variant", "").startswith("companion of")
        and not (absent and "see TRACKS.tsv" in row["note"])  # several tracks: its rows are there
    ]


def password(row: Row) -> str | None:
    """What the table says after "pw="."""
    _, said, after = f"{row['variant']} {row['note']}".partition("pw=")
    return after.split()[0].rstrip(";") if said else None


def hashed(
    run: Run, dim: str, image: Path, *more: str, password: str | None = None
) -> dict[str, Any]:
    """The document of `hash --json`: of the success, or of the error."""
    command = [dim, "hash", image, "-a", "sha256", "--json", "--references", "siblings", *more]
    env = {} if password is None else {"DISKIMAGE_PASSWORD": password}
    done = run(command, memory_mib=1024, seconds=60, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    text = done.stdout if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
    document: dict[str, Any] = json.loads(text)
    return document


def stored(corpus: Path, row: Row) -> Path:
    """Where a row's file was unpacked."""
    return corpus / row["path"].removesuffix(".xz")


def sparse_digest(image: diskimage.Image) -> str:
    """SHA-256 over offset, length and bytes of each run of 64 KiB blocks that are not all zero."""
    digest, block, run, begin = hashlib.sha256(), 1 << 16, bytearray(), 0
    zero = {Kind.ZERO}
    parts = [(e.start // block, -(-e.stop // block)) for e in image.extents() if e.kind not in zero]
    numbers = sorted({n for first, stop in parts for n in range(first, stop)})
    for number in [*numbers, -1]:
        content = image.read(number * block, block) if number >= 0 else b""
        if run and (not any(content) or number * block != begin + len(run)):
            digest.update(struct.pack("<QQ", begin, len(run)) + run)
            run.clear()
        if any(content):
            begin = begin if run else number * block
            run += content
    return digest.hexdigest()


@pytest.mark.parametrize("row", rows(MANIFEST, "sha256"))
def test_bytes_are_the_oracles(row: Row, corpus: Path, run: Run, dim: str) -> None:
    name = row["path"].removesuffix(".xz")
    if row["sha256"].startswith("sparse:"):
        with diskimage.open(stored(corpus, row), references="siblings") as image:
            assert image.size == int(row["guest_size"])
            assert f"sparse:{sparse_digest(image)}" == row["sha256"]
        return
    got = hashed(run, dim, stored(corpus, row), password=password(row))
    if name in REFUSED:
        kinds, reason = REFUSED[name]
        assert got["error"]["kind"] in kinds, reason
        return
    wanted = OTHERWISE.get(name, row["sha256"])
    assert got == {**got, "size": int(row["guest_size"]), "digests": {"sha256": wanted}}


@pytest.mark.parametrize("row", rows(TRACKS, "sha256_stored"))
def test_tracks_are_the_oracles(row: Row, corpus: Path, run: Run, dim: str) -> None:
    got = hashed(run, dim, corpus / row["path"], "--track", row["track"])
    if row["path"] in REFUSED:
        kinds, reason = REFUSED[row["path"]]
        assert got["error"]["kind"] in kinds, reason
        return
    assert got["digests"] == {"sha256": row["sha256_stored"]}
    assert got["size"] == int(row["sectors"]) * int(row["sector_bytes"])


@pytest.mark.parametrize("row", rows(MANIFEST, "guest_size", absent=True))
def test_what_cannot_be_read_is_refused_by_name(row: Row, corpus: Path, run: Run, dim: str) -> None:
    name = row["path"].removesuffix(".xz")
    error = hashed(run, dim, stored(corpus, row)).get("error", {"kind": "ok"})
    assert error["kind"] in PARSE_ONLY[name], error


def trees() -> dict[str, dict[str, Counter[str]]]:
    """For each ISO the contents (SHA-256) of its files, by tool; links left out."""
    if not TREES.exists():
        return {}
    found: dict[str, dict[str, Counter[str]]] = {}
    for line in lzma.decompress(TREES.read_bytes()).decode().splitlines()[1:]:
        path, tool, _, size, digest = line.split("\t")
        if path.startswith("iso/"):
            by_tool = found.setdefault(path, {})
            by_tool.setdefault(tool, Counter()).update([digest] if size != "link" else [])
    return found


def tree_rows() -> list[Any]:
    """A parameter an ISO; where the table is absent, one that skips and says so."""
    return [pytest.param(path, tools, id=path) for path, tools in trees().items()] or [
        pytest.param(
            "", {}, id="absent",
            marks=pytest.mark.skip(reason="../shared/corpus is not beside the repository"),
        )
    ]  # fmt: skip


TREES_REFUSED = {
    "iso/libarchive__test_read_format_iso_rockridge_ce_loop.iso": "loop",
}
"""ISOs whose files are refused (one of the other tools never ends on it): path to kind."""


@pytest.mark.parametrize(("path", "tools"), tree_rows())
def test_files_are_those_that_another_tool_extracts(
    path: str, tools: dict[str, Counter[str]], corpus: Path, run: Run, dim: str, tmp_path: Path
) -> None:
    done = run([dim, "extract", corpus / path, tmp_path, "--json"])
    if path in TREES_REFUSED:
        assert json.loads(done.stderr)["error"]["kind"] == TREES_REFUSED[path]
        return
    assert done.returncode == 0, done.stderr
    files = [
        Path(folder, name)
        for folder, _, names in os.walk(tmp_path)
        for name in names
        if not Path(folder, name).is_symlink()
    ]
    ours = Counter(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    assert ours in tools.values(), {tool: sum(found.values()) for tool, found in tools.items()}
