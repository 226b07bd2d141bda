"""qcow2 written in place, cut after every operation, unsynced ones dropped: tables stay sound.

Every state is held against our own check and its guest compared; some of them go to qemu-img too.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

import diskimage
from diskimage.formats.qcow2 import FORMAT
from diskimage.sources.memory import MemorySource
from tests.crash.states import Change, foreign, logged, states, written
from tests.makers.gate import OpenGate
from tests.makers.qcow2 import Cluster, Maker

CLUSTER = 512
COUNT = 40  # clusters of the guest
SIZE = COUNT * CLUSTER
LEAKS = 3  # what qemu-img check says where clusters are counted that nobody uses, and no more
ASKED = 40  # states of an image that qemu-img looks at


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


BACKING = noise(SIZE - 1024, 99)
SAYS_RAW = [(0xE2792ACA, b"raw")]
STORED = {number: Cluster("data", noise(CLUSTER, number)) for number in (0, 2, 3, 9, 20)}
CODED = {number: Cluster("coded", bytes([number]) * CLUSTER) for number in (4, 5, 6, 30)}
ZEROS = {7: Cluster("zero"), 8: Cluster("zero-kept", noise(CLUSTER, 8))}
MIXED = STORED | CODED | ZEROS
IMAGES = {
    "plain": Maker(SIZE, MIXED, bits=9, seed=1),
    "snapshots": Maker(SIZE, MIXED, bits=9, snapshots=[b"one", b"two"], seed=2),
    "over a backing": Maker(
        SIZE, MIXED, bits=9, backing=b"b.raw", extensions=SAYS_RAW, snapshots=[b"one"]
    ),
    "version 2 over a backing": Maker(
        SIZE, STORED | CODED, bits=9, version=2, backing=b"b.raw", extensions=SAYS_RAW
    ),
    "refcounts of one bit": Maker(SIZE, STORED | ZEROS, bits=9, order=0),
    "refcounts of 64 bits": Maker(SIZE, MIXED, bits=9, order=6),
    "a full block of refcounts": Maker(
        SIZE, {n: Cluster("data", noise(CLUSTER, n)) for n in range(36)}, bits=9, order=6,
        snapshots=[b"one"],
    ),
}  # fmt: skip
CHANGES: list[Change] = [
    (100, noise(300, 10)),  # a part of a stored cluster
    (CLUSTER + 100, noise(200, 11)),  # a part of one that is not there
    (4 * CLUSTER + 50, noise(900, 12)),  # two compressed ones
    None,
    (7 * CLUSTER - 40, noise(3 * CLUSTER, 13)),  # compressed, zero ones, a stored one
    (2 * CLUSTER, 2 * CLUSTER),  # stored ones become zeros
    (9 * CLUSTER + 10, 100),
    None,
    (2 * CLUSTER, noise(4 * CLUSTER, 14)),  # where something was given back
    (12 * CLUSTER, noise(20 * CLUSTER, 15)),
    (30 * CLUSTER + 7, 3 * CLUSTER),
]


PART = 512  # bytes of a subcluster
EXTENDED = Maker(
    12 * 32 * PART,
    {
        0: Cluster("data", noise(32 * PART, 30), allocated=0x0FF0F00F, zeroed=0xF0000000),
        1: Cluster("data", noise(32 * PART, 31), allocated=1),
        2: Cluster("coded", b"coded" * 3000),
        3: Cluster("zero", zeroed=0xFFFFFFFF),
    },
    bits=14, extended=True, backing=b"b.raw", extensions=SAYS_RAW,
)  # fmt: skip


@pytest.fixture(params=IMAGES)
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "a.qcow2"
    path.write_bytes(IMAGES[request.param].image())
    (tmp_path / "b.raw").write_bytes(BACKING)
    return path


def crashed(
    path: Path, changes: list[Change], patch: pytest.MonkeyPatch
) -> tuple[list[bytes], Iterator[tuple[int, bytes]]]:
    """The guests that were, and what a crash may leave of the file."""
    before = path.read_bytes()
    with patch.context() as inner:
        log = logged(inner)
        guests = written(path, changes, "siblings")
    return guests, states(before, log)


def guest_of(state: bytes, path: Path) -> bytes:
    """The guest of a state of the file, which lies beside `path`."""
    other = path.with_name("state.qcow2")
    other.write_bytes(state)
    with diskimage.open(other, references="siblings") as opened:
        return opened.read(0, opened.size)


def wrong(state: bytes) -> list[str]:
    """What our check finds, leaks left out."""
    assert FORMAT.check is not None
    found = FORMAT.check(MemorySource(state), OpenGate(listing=True))
    return [finding.message for finding in found if finding.kind != "leak"]


def test_no_crash_breaks_a_table_or_shows_foreign_bytes(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guests, left = crashed(image, CHANGES, monkeypatch)
    count = 0
    for cut, state in left:
        count += 1
        assert wrong(state) == [], cut
        assert foreign(guest_of(state, image), guests) is None, cut
    assert count > 100
    assert guest_of(image.read_bytes(), image) == guests[-1]
    assert diskimage.check(image).ok, "nothing leaks where nothing crashed"


def test_qemu_img_finds_every_state_sound(
    image: Path, monkeypatch: pytest.MonkeyPatch, peer: Callable[[str], str]
) -> None:
    guests, left = crashed(image, CHANGES, monkeypatch)
    some = random.Random(5).sample(every := list(left), min(len(every), ASKED))
    raw = image.with_name("state.raw")
    for cut, state in some:
        guest = guest_of(state, image)
        checked = [peer("qemu-img"), "check", "-f", "qcow2", "state.qcow2"]
        done = subprocess.run(checked, capture_output=True, text=True, check=False, cwd=raw.parent)
        assert done.returncode in (0, LEAKS), (cut, done.stdout, done.stderr)
        convert = [peer("qemu-img"), "convert", "-O", "raw", "state.qcow2", raw.name]
        subprocess.run(convert, check=True, capture_output=True, cwd=raw.parent)
        assert raw.read_bytes() == guest, cut
    whole = subprocess.run([peer("qemu-img"), "check", image], capture_output=True, check=False)
    assert whole.returncode == 0
    assert len(guests) == len(CHANGES) + 1


def test_what_was_flushed_survives_every_crash(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = written(image, CHANGES[:6], "siblings")[-1]
    later, left = crashed(image, CHANGES[6:], monkeypatch)
    same = [at for at in range(SIZE) if len({guest[at] for guest in later}) == 1]
    assert later[0] == flushed
    for cut, state in left:
        guest = guest_of(state, image)
        assert all(guest[at] == flushed[at] for at in same), cut


def test_a_crash_leaves_the_guests_of_snapshots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Callable[[str], str]
) -> None:
    path = tmp_path / "a.qcow2"
    path.write_bytes(IMAGES["snapshots"].image())

    def taken(name: str) -> bytes:
        command = [peer("qemu-img"), "convert", "-l", "snapshot.id=1", "-O", "raw", name, "s.raw"]
        subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
        return (tmp_path / "s.raw").read_bytes()

    before = taken("a.qcow2")
    _, left = crashed(path, CHANGES, monkeypatch)
    for cut, state in random.Random(7).sample(list(left), ASKED):
        (tmp_path / "state.qcow2").write_bytes(state)
        assert taken("state.qcow2") == before, cut


def test_no_crash_breaks_subclusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.qcow2"
    path.write_bytes(EXTENDED.image())
    (tmp_path / "b.raw").write_bytes(noise(EXTENDED.size - 5000, 40))
    cluster = 32 * PART
    changes: list[Change] = [
        (3 * PART + 5, noise(2 * PART, 41)),
        (cluster - 100, noise(cluster + 200, 42)),
        None,
        (2 * cluster + 9, 3 * cluster),
        (6 * cluster + PART, noise(PART, 43)),
    ]
    guests, left = crashed(path, changes, monkeypatch)
    for cut, state in left:
        assert wrong(state) == [], cut
        assert foreign(guest_of(state, path), guests) is None, cut
    assert guest_of(path.read_bytes(), path) == guests[-1]
    assert diskimage.check(path).ok


def test_no_crash_breaks_refcounts_whose_table_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Callable[[str], str]
) -> None:
    path, size = tmp_path / "a.qcow2", 4 << 20
    path.write_bytes(Maker(size, {}, bits=9, order=6).image())
    table_at = path.read_bytes()[48:60]
    at, full = 0, 64 * 64 * CLUSTER  # what a table of 64 blocks of 64 counts can count
    with diskimage.open(path, mode="r+") as opened:
        while path.stat().st_size < full - 2 * CLUSTER:
            step = 1 << 15 if path.stat().st_size < full - (1 << 17) else CLUSTER
            opened.write(at, noise(step, at))
            opened.flush()
            at += step
    assert path.read_bytes()[48:60] == table_at
    changes: list[Change] = [(at, noise(4 * CLUSTER, 50)), None, (at - 700, 700)]
    guests, left = crashed(path, changes, monkeypatch)
    assert path.read_bytes()[48:60] != table_at
    near = slice(at - 4096, at + 4096)
    known = [guest[near] for guest in guests]
    for cut, state in islice(left, 3, None, 8):
        assert wrong(state) == [], cut
        assert foreign(guest_of(state, path)[near], known) is None, cut
        checked: list[str | Path] = [peer("qemu-img"), "check", path.with_name("state.qcow2")]
        done = subprocess.run(checked, capture_output=True, text=True, check=False)
        assert done.returncode in (0, LEAKS), (cut, done.stdout, done.stderr)
    assert diskimage.check(path).ok
