"""CHD files read: those that chdman writes, those that it reads too, and real ones."""

from __future__ import annotations

import hashlib
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import image
from diskimage.disc import tracks
from diskimage.errors import DiskImageError
from diskimage.layers.records import Placed
from diskimage.model import Disc
from tests.formats.test_chd import GUEST, kind_of, told, written
from tests.makers import chd as make, frames, naive, opened
from tests.makers.cue import one, write
from tests.rows import table

Peer = Callable[[str], str]


def ran(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def stored_frames(disc: Disc) -> bytes:
    """All frames that are stored, track after track."""
    pieces = [piece for track in disc.tracks for piece in track.pieces if piece.source is not None]
    return naive.read(Placed(tracks.frames(pieces), 2048))


def sheet(folder: Path) -> tuple[Path, bytes]:
    """Mode 1, a gap, sound, and the bytes of its BIN."""
    data, sound = frames.data(40)[0], frames.audio(50) + bytes(250 * 2352)
    text = one("MODE1/2352") + "  TRACK 02 AUDIO\n    INDEX 00 00:00:40\n    INDEX 01 00:00:52\n"
    return write(folder, text, a_bin=data + sound), data + sound


@pytest.mark.parametrize("codecs", ["none", "cdzl", "cdlz", "cdfl", "cdlz,cdzl,cdfl"])
@pytest.mark.parametrize("hunk", [2448, 19584, 2448 * 28])  # chdman fails at three hunks and fewer
def test_discs_of_chdman(codecs: str, hunk: int, peer: Peer, tmp_path: Path) -> None:
    cue, content = sheet(tmp_path)
    target = tmp_path / "made.chd"
    ran(peer("chdman"), "createcd", "-i", cue, "-o", target, "-c", codecs, "-hs", str(hunk))
    disc = opened.disc(target)
    assert told(disc) == told(opened.disc(cue))
    assert b"".join(map(opened.main, disc.tracks)) == content[: 40 * 2352] + content[52 * 2352 :]
    with image.open(target) as got:
        assert list(got.problems()) == []


@pytest.mark.parametrize("codecs", ["none", "zlib", "lzma", "huff", "flac", "zlib,lzma,huff,flac"])
@pytest.mark.parametrize("hunk", [512, 4096, 65536])
def test_disks_of_chdman(codecs: str, hunk: int, peer: Peer, tmp_path: Path) -> None:
    words = b"".join(number.to_bytes(2, "little") for number in range(0, 60000, 3))
    guest = (GUEST + bytes(30000) + words * 4 + GUEST).ljust(3 * 262144, b"\1")
    (tmp_path / "a.raw").write_bytes(guest)
    target = tmp_path / "made.chd"
    ran(peer("chdman"), "createraw", "-i", tmp_path / "a.raw", "-o", target, "-c", codecs,
        "-hs", str(hunk), "-us", "512")  # fmt: skip
    with image.open(target) as got:
        assert got.read(0, got.size) == guest
        assert list(got.problems()) == []


def test_chdmans_children(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(GUEST * 40)
    changed = bytearray(GUEST * 40)
    changed[50_000:50_010] = b"different!"
    (tmp_path / "b.raw").write_bytes(changed)
    base, child = tmp_path / "base.chd", tmp_path / "child.chd"
    shape = ["-hs", "4096", "-us", "512"]
    create = (peer("chdman"), "createraw", *shape)
    ran(*create, "-i", tmp_path / "a.raw", "-o", base)
    ran(*create, "-i", tmp_path / "b.raw", "-o", child, "-op", base)
    sha = base.read_bytes()[84:104].hex()
    with image.open(child, references={sha: base}) as got:
        assert got.read(0, got.size) == changed


@pytest.mark.parametrize("version", [3, 4])
def test_chdman_reads_the_makers_old_versions_as_we_do(
    version: int, peer: Peer, tmp_path: Path
) -> None:
    disk = [(b"GDDD", 1, b"CYLS:5,HEADS:1,SECS:8,BPS:512\0")]
    rows = [(1, 0), (2, 0), (3, 0), (4, 1), (1, 0)]
    guest = GUEST[:8192] + b"ABCDEFGH" * 512 + GUEST[4096:8192] + GUEST[16384:]
    path = written(tmp_path, make.old(guest, rows, version=version, entries=disk))
    out = tmp_path / "out.raw"
    ran(peer("chdman"), "extracthd", "-i", path, "-o", out)
    with image.open(path) as got:
        assert out.read_bytes() == guest == got.read(0, got.size)


@pytest.mark.parametrize("version", [3, 4])
def test_chdman_reads_the_makers_old_discs_as_we_do(
    version: int, peer: Peer, tmp_path: Path
) -> None:
    data, sound = frames.data(10)[0], frames.audio(7)
    content = make.units([(data, 2352, None), (make.swapped(sound), 2352, None)])
    entries = [
        (b"CHTR", 1, make.track(1, "MODE1_RAW", 10)),
        (b"CHTR", 1, make.track(2, "AUDIO", 7)),
    ]
    hunks = [(1 + i % 2, 0) for i in range(len(content) // 9792)]
    path = written(tmp_path, make.old(content, hunks, version=version, hunk=9792, entries=entries))
    out = tmp_path / "out.bin"
    ran(peer("chdman"), "extractcd", "-i", path, "-o", tmp_path / "out.cue", "-ob", out)
    assert out.read_bytes() == data + sound == stored_frames(opened.disc(path))


@pytest.mark.parametrize("version", [3, 4])
def test_an_old_child_has_its_parents_hunks(version: int, peer: Peer, tmp_path: Path) -> None:
    disk = [(b"GDDD", 1, b"CYLS:5,HEADS:1,SECS:8,BPS:512\0")]
    base = written(tmp_path, make.old(GUEST, [(1, 0)] * 5, version=4, entries=disk), "base.chd")
    sha = base.read_bytes()[48:68]
    guest = GUEST[:4096] + GUEST[12288:16384] + GUEST[8192:]
    rows = [(5, 0), (5, 3), (1, 0), (5, 3), (5, 4)]
    child = make.old(guest, rows, version=version, entries=disk, parent=sha)
    path, out = written(tmp_path, child), tmp_path / "out.raw"
    with image.open(path, references={sha.hex(): base}) as got:
        assert got.read(0, got.size) == guest
    if version == 4:  # chdman tells parents of version 3 by their MD5
        ran(peer("chdman"), "extracthd", "-i", path, "-ip", base, "-o", out)
        assert out.read_bytes() == guest


def test_a_child_is_described_without_its_parent(peer: Peer, tmp_path: Path) -> None:
    cue, _ = sheet(tmp_path)
    base, child = tmp_path / "base.chd", tmp_path / "child.chd"
    ran(peer("chdman"), "createcd", "-i", cue, "-o", base)
    ran(peer("chdman"), "createcd", "-i", cue, "-o", child, "-op", base)
    with image.open(child, references="list") as got:
        assert got.disc is not None
        assert told(got.disc) == told(opened.disc(cue))
        assert [one.role for one in got.references] == ["parent"]
        with pytest.raises(DiskImageError) as caught:
            got.read(0, 2048)
        assert caught.value.kind == "refused-reference"
    sha = base.read_bytes()[84:104].hex()
    with image.open(child, references={sha: base}) as got, image.open(cue) as whole:
        assert got.read(0, got.size) == whole.read(0, whole.size)


def test_chdman_reads_the_makers_disc(peer: Peer, tmp_path: Path) -> None:
    sample = next(one for one in make.samples() if one.label == "disc")
    path = sample.write(tmp_path)
    ran(peer("chdman"), "extractcd", "-i", path, "-o", tmp_path / "out.cue")
    ours = b"".join(map(opened.main, opened.disc(path).tracks))
    theirs = (tmp_path / "out.bin").read_bytes()
    count = opened.disc(path).tracks[0].length
    assert theirs[: count * 2352] + theirs[(count + 3) * 2352 :] == ours


def test_the_corpus(shared: Path, tmp_path: Path) -> None:
    """A disc has the bytes that chdman extracts: all stored frames of its tracks in turn."""
    seen = 0
    for row in table(shared / "corpus/MANIFEST.tsv"):
        if row["format"] != "chd":
            continue
        content = (shared / "corpus" / row["path"]).read_bytes()
        xz = row["path"].endswith(".xz")
        path = written(tmp_path, lzma.decompress(content) if xz else content)
        if "igir__CD-ROM" in row["path"]:
            assert kind_of(path) == "corrupt"  # a pregap of 150 frames in a track of 2
            continue
        with image.open(path) as got:
            content = got.read(0, got.size)
            if got.disc:
                content = stored_frames(got.disc)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            int(row["guest_size"]), row["sha256"],
        ), row["path"]  # fmt: skip
        seen += 1
    assert seen >= 13
