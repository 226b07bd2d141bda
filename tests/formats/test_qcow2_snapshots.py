"""The guest of a snapshot inside a qcow2, and what is lost of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage import registry
from diskimage.errors import CorruptError, LossError, TruncatedError, UsageError
from tests.bounded import Run
from tests.makers.luks import content
from tests.makers.qcow2 import Cluster, Maker, patched

Peer = Callable[[str], str]
CLUSTERS = {number: Cluster("data", content(65536, number)) for number in (0, 3)}


def qemu(peer: Peer, tool: str, *words: str | Path) -> str:
    done = subprocess.run(
        [peer(tool), *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def told(tmp_path: Path, peer: Peer) -> Path:
    """Three snapshots, of which one was of a smaller disk, and one's name is another's id."""
    image = tmp_path / "a.qcow2"
    qemu(peer, "qemu-img", "create", "-q", "-f", "qcow2", image, "4M")
    for number, name in enumerate(("first", "second", "1")):
        if number == 1:
            qemu(peer, "qemu-img", "resize", "-q", image, "9M")
        qemu(peer, "qemu-io", "-c", f"write -P {number + 1} {number}M 1500k", image)
        qemu(peer, "qemu-img", "snapshot", "-c", name, image)
    qemu(peer, "qemu-io", "-c", "write -P 77 0 6M", image)
    return image


def test_each_snapshot_reads_as_qemu_img_reads_it(told: Path, tmp_path: Path, peer: Peer) -> None:
    """It gives every snapshot the size that the disk has now: zeros behind what was there."""
    for number, name in ((1, "first"), (2, "second"), (3, "3")):
        raw = tmp_path / "a.raw"
        qemu(peer, "qemu-img", "convert", "-l", f"snapshot.id={number}", "-O", "raw", told, raw)
        with diskimage.open(told, snapshot=name) as found:
            assert found.read(0, found.size).ljust(9 << 20, b"\0") == raw.read_bytes()
            assert found.size == (4 << 20 if number == 1 else 9 << 20)
            assert found.info["snapshot"]["id"] == str(number)  # type: ignore[index]  # a mapping


def test_an_id_goes_before_a_name(told: Path) -> None:
    with diskimage.open(told, open_options={"snapshot": "1"}) as found:
        assert found.info["snapshot"]["name"] == "first"  # type: ignore[index]  # a mapping
    with pytest.raises(UsageError) as caught:
        diskimage.open(told, snapshot="never")
    assert "2 (second)" in (caught.value.remedy or "")


def test_the_command_opens_and_converts_one(told: Path, tmp_path: Path, dim: str, run: Run) -> None:
    rows = json.loads(run([dim, "info", told, "--json"]).stdout)["info"]["snapshots"]
    assert [row["name"] for row in rows] == ["first", "second", "1"]
    assert all(row["date"].startswith("20") and row["vm_state_size"] == 0 for row in rows)
    done = run([dim, "convert", told, tmp_path / "b.raw", "--json"])
    assert json.loads(done.stderr)["error"]["kind"] == "loss"
    for more in (["--lossy", "snapshots"], ["--open-option", "snapshot=second"]):
        done = run([dim, "convert", told, tmp_path / "b.raw", "--overwrite", "--json", *more])
        assert done.returncode == 0, done.stderr
    with diskimage.open(told, snapshot="2") as found:
        assert (tmp_path / "b.raw").read_bytes() == found.read(0, found.size)


NAMED = Maker(6 * 65536, CLUSTERS, snapshots=[b"a", b"b", b"b"])


def test_two_of_a_name_are_told_by_their_ids() -> None:
    image = NAMED.image()
    with pytest.raises(UsageError, match="several") as caught:
        diskimage.open(image, snapshot="b")
    assert "1 (b), 2 (b)" in (caught.value.remedy or "")
    with diskimage.open(image, snapshot="a") as found:
        assert found.read(0, 65536) == content(65536)
    with pytest.raises(UsageError, match="no snapshot"):
        diskimage.open(Maker(65536).image(), snapshot="a")


def test_a_snapshot_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    path.write_bytes(NAMED.image())
    with pytest.raises(diskimage.DiskImageError):
        diskimage.open(path, mode="r+", snapshot="a")


@pytest.mark.parametrize("rules", [one for one in registry.formats() if one.create is not None])
def test_no_target_takes_snapshots_unsaid(rules: diskimage.model.Format) -> None:
    if rules.disc_only or rules.name == "iso":
        return  # what a disk becomes there is told by its own losses
    image = NAMED.image()
    assert rules.losses is not None
    with diskimage.open(image) as found:
        lost = {one.name for one in rules.losses(found.content) if one.content}
        assert "snapshots" in lost
    state = patched(image, row_at(image) + 40, 1 << 20, 8)  # the extra data begin with it
    with diskimage.open(state, snapshot="a") as found:
        assert [one.message for one in rules.losses(found.content) if one.name == "snapshots"] == [
            "the state of its machine, 1048576 bytes"
        ]
    with diskimage.open(image, snapshot="a") as found:
        assert not [one for one in rules.losses(found.content) if one.name == "snapshots"]


def row_at(image: bytes) -> int:
    """Where the snapshot table is."""
    return int.from_bytes(image[64:72], "big")


def test_converting_names_them(tmp_path: Path) -> None:
    with pytest.raises(LossError, match=r"a, b, b \[snapshots\]"):
        diskimage.convert(NAMED.image(), tmp_path / "a.raw")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("at", "value", "width", "error"),
    [(0, 77, 8, CorruptError), (0, 0, 8, CorruptError), (0, 1 << 40, 8, TruncatedError),
     (8, 0, 4, CorruptError), (48, 1 << 50, 8, CorruptError)],
)  # fmt: skip
def test_a_wrong_row_is_an_error_once_it_is_opened(
    at: int, value: int, width: int, error: type[Exception]
) -> None:
    image = NAMED.image()
    image = patched(image, row_at(image) + at, value, width)
    diskimage.open(image).close()
    with pytest.raises(error):
        diskimage.open(image, snapshot="a")
