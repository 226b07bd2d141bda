"""CHD written: accepted by chdman, with the same bytes, and opened with all that the disc had."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import diskimage
from diskimage import image
from diskimage.disc import tracks
from diskimage.disc.subchannel import stored
from diskimage.engine.copy import Work
from diskimage.engine.run import run
from diskimage.errors import UnsupportedError, UsageError
from diskimage.formats.chd.create import create, losses
from diskimage.layers.records import Placed
from diskimage.model import Disc, Extent, Kind, Mode, Piece, Track
from diskimage.sinks.file import FileSink
from diskimage.sources.memory import MemorySource
from tests.makers import cue, frames, naive, nrg
from tests.makers.executor import image_of
from tests.makers.iso import volume
from tests.makers.opened import disc, files_in
from tests.makers.sample import Sample

Peer = Callable[[str], str]
CODECS = ["none", "zlib", "lzma", "flac", "zlib,flac", "lzma,zlib,flac"]
SHEET = (
    'CATALOG 4006381333931\r\nREM COMMENT kept\r\nTITLE "Disc"\r\nFILE "a.bin" BINARY\r\n'
    "  TRACK 01 MODE1/2048\r\n    INDEX 01 00:00:00\r\n"
    "  TRACK 02 MODE2/2336\r\n    INDEX 00 00:00:20\r\n    INDEX 01 00:00:25\r\n"
    'FILE "b.bin" BINARY\r\n'
    '  TRACK 03 AUDIO\r\n    TITLE "Sound"\r\n    FLAGS DCP PRE\r\n    ISRC GBAYE0000351\r\n'
    "    PREGAP 00:00:30\r\n    INDEX 00 00:00:00\r\n    INDEX 01 00:00:02\r\n"
    "    INDEX 02 00:00:04\r\n"
    '    POSTGAP 00:00:02\r\nREM SESSION 02\r\nFILE "c.bin" BINARY\r\n'
    "  TRACK 04 CDG\r\n    INDEX 00 00:00:00\r\n    INDEX 01 00:00:03\r\n"
    'FILE "d.bin" BINARY\r\n'
    "  TRACK 05 MODE2/2352\r\n    PREGAP 00:02:00\r\n    INDEX 01 00:00:00\r\n"
)


def all_kinds(folder: Path) -> Disc:
    """Two sessions of every frame size, gaps stored and made up, subchannel in one track."""
    cooked, sound = b"".join(frames.sectors(20)), frames.audio(12, 4)
    forms = b"".join(frames.form1(one, 20 + i)[16:] for i, one in enumerate(frames.sectors(10, 3)))
    karaoke = bytes(range(256)) * 153  # 16 frames of 2448 bytes
    mixed = frames.form1(bytes(2048), 0) + frames.form2(b"video" * 464 + bytes(4), 1)
    path = cue.write(
        folder, SHEET, a_bin=cooked + forms, b_bin=sound, c_bin=karaoke, d_bin=mixed * 4
    )
    return disc(path)


def on_disk(folder: Path, what: Disc | Placed, name: str = "made.chd", **options: Any) -> Path:
    """`what` as a CHD, by the engine."""
    run(
        create(what, "made", **options),
        FileSink(str(folder / name), durable=False),
        Work(threads=2),
    )
    return folder / name


def shown(track: Track) -> tuple[object, ...]:
    return (
        track.number, track.session, track.mode.name, track.lba, track.length, track.pregap,
        track.postgap, track.indexes, track.flags, track.isrc, dict(track.text),
    )  # fmt: skip


def frames_of(pieces: Sequence[Piece]) -> bytes:
    return naive.read(Placed(tracks.frames(pieces), 2048))


def assert_equal(one: Disc, two: Disc) -> None:
    """All that two discs say and hold, but for where it lies."""
    assert list(map(shown, one.tracks)) == list(map(shown, two.tracks))
    for name in ("medium", "sessions", "catalog", "text", "cdtext", "toc"):
        assert getattr(one, name) == getattr(two, name), name
    for a, b in zip(one.tracks, two.tracks, strict=True):
        assert frames_of(a.pieces) == frames_of(b.pieces), a.number
        made = [[(p.lba, p.frames) for p in t.pieces if p.source is None] for t in (a, b)]
        assert made[0] == made[1]


def chdman(peer: Peer, *arguments: str | Path) -> str:
    done = subprocess.run([peer("chdman"), *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def verified(peer: Peer, path: Path) -> None:
    told = chdman(peer, "verify", "-i", path)
    assert "Raw SHA1 verification successful" in told
    assert "Overall SHA1 verification successful" in told


@pytest.mark.parametrize("codecs", [*CODECS, "zstd", "zstd,flac"])
def test_a_disc_comes_back_with_all_that_it_had(codecs: str, tmp_path: Path) -> None:
    found = all_kinds(tmp_path)
    assert losses(found) == []
    path = on_disk(tmp_path, found, codecs=codecs)
    again = disc(path)
    assert_equal(found, again)
    assert again.info["remarks"] == found.info["remarks"]
    (karaoke,) = (piece.sub for piece in again.tracks[3].pieces[-1:])
    assert karaoke is not None
    content = bytes(range(256)) * 153
    subs = [content[i + 2352 : i + 2448] for i in range(0, len(content), 2448)]
    assert stored(karaoke, 0, 16) == b"".join(subs)
    with image.open(path) as got:
        assert got.warnings == ()
        assert list(got.problems()) == []


def test_the_executor_writes_the_same(tmp_path: Path) -> None:
    found = all_kinds(tmp_path)
    assert image_of(create(found, "made")) == on_disk(tmp_path, found).read_bytes()


@pytest.mark.parametrize("codecs", CODECS)
@pytest.mark.parametrize("hunk", [2448, 19584, 2448 * 30])
def test_chdman_reads_what_we_write(codecs: str, hunk: int, peer: Peer, tmp_path: Path) -> None:
    data, sound = frames.data(40)[0], frames.audio(60) + bytes(40 * 2352)
    text = (
        cue.one("MODE1/2352") + "  TRACK 02 AUDIO\n    INDEX 00 00:00:40\n    INDEX 01 00:00:52\n"
    )
    sheet = cue.write(tmp_path, text, a_bin=data + sound)
    path = on_disk(tmp_path, disc(sheet), codecs=codecs, hunk=hunk)
    if codecs != "none":
        verified(peer, path)
    chdman(peer, "extractcd", "-i", path, "-o", tmp_path / "out.cue", "-ob", tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == data + sound
    assert_equal(disc(sheet), disc(tmp_path / "out.cue"))


def test_chdman_reads_every_frame_size(peer: Peer, tmp_path: Path) -> None:
    found = all_kinds(tmp_path)
    path = on_disk(tmp_path, found)
    verified(peer, path)
    told = "".join(
        chdman(peer, "dumpmeta", "-i", path, "-t", "CHT2", "-ix", str(i)) for i in range(5)
    )
    assert "TRACK:2 TYPE:MODE2 SUBTYPE:NONE FRAMES:10 PREGAP:5 PGTYPE:VMODE2" in told
    assert "TRACK:3 TYPE:AUDIO SUBTYPE:NONE FRAMES:42 PREGAP:32 PGTYPE:VAUDIO" in told
    assert "TRACK:4 TYPE:AUDIO SUBTYPE:RW_RAW FRAMES:16 PREGAP:3 PGTYPE:VAUDIO PGSUB:RW_RAW" in told
    assert "TRACK:5 TYPE:MODE2_RAW SUBTYPE:NONE FRAMES:8 PREGAP:150 PGTYPE:MODE2_RAW" in told
    chdman(peer, "extractcd", "-i", path, "-o", tmp_path / "out.cue", "-ob", tmp_path / "out.bin")
    theirs = (tmp_path / "out.bin").read_bytes()
    assert theirs.startswith(b"".join(frames.sectors(20)))
    assert frames.audio(12, 4) in theirs


def test_a_size_near_chdmans(peer: Peer, tmp_path: Path) -> None:
    words = b"".join(f"line {i} of a text, which repeats itself\n".encode() for i in range(20000))
    user = (words + bytes(200_000) + b"".join(frames.sectors(60)))[: 560 * 2048]
    data = b"".join(frames.mode1(user[i * 2048 :][:2048], i) for i in range(560))
    sheet = cue.write(tmp_path, cue.one("MODE1/2352"), a_bin=data)
    theirs = tmp_path / "theirs.chd"
    chdman(peer, "createcd", "-i", sheet, "-o", theirs)
    ours = on_disk(tmp_path, disc(sheet))
    assert ours.stat().st_size <= 1.02 * theirs.stat().st_size


def test_equal_hunks_are_stored_once(tmp_path: Path) -> None:
    block = b"".join(frames.sectors(2))
    rows = [
        Extent(0, 40 * 4096, Kind.DATA, MemorySource(block * 40)),
        Extent(40 * 4096, 1 << 30, Kind.ZERO, hole=True),
        Extent(40 * 4096 + (1 << 30), 4096, Kind.DATA, MemorySource(block)),
    ]
    path = on_disk(tmp_path, Placed(rows, 512))
    assert path.stat().st_size < 4096 + 4096 + 1000
    with image.open(path) as got:
        assert got.read(0, 40 * 4096) == block * 40
        assert got.read((1 << 30) + 39 * 4096, 8192) == bytes(4096) + block


def test_a_measure_is_no_less_than_what_is_written(tmp_path: Path) -> None:
    sparse = tmp_path / "a.raw"
    with sparse.open("wb") as file:
        for at in (0, 5 << 20, 90 << 20):
            file.seek(at)
            file.write(b"".join(frames.sectors(8)))
        file.truncate(100 << 20)
    for codecs in ("none", "zlib"):
        target = tmp_path / f"{codecs}.chd"
        diskimage.convert(sparse, target, codecs=codecs)
        told = diskimage.measure(sparse, "chd", options={"codecs": codecs})
        assert target.stat().st_size <= told.required < 500_000


def test_hunks_grow_with_the_disk_and_a_map_has_its_bounds(tmp_path: Path) -> None:
    huge = Placed([Extent(0, 1 << 40, Kind.ZERO, hole=True)], 512)
    with pytest.raises(UsageError, match="metadata"):
        next(create(huge, "a", hunk=4096))
    path = on_disk(tmp_path, Placed([Extent(0, 9 << 30, Kind.ZERO, hole=True)], 512), codecs="none")
    with image.open(path) as got:
        assert (got.size, got.info["hunk_size"]) == (9 << 30, 8192)


def test_the_map_tells_no_place_for_what_is_decoded(tmp_path: Path) -> None:
    device = Placed([Extent(0, 8192, Kind.DATA, MemorySource(b"".join(frames.sectors(4))))], 512)
    for codecs, placed in (("zlib", False), ("none", True)):
        path = on_disk(tmp_path, device, f"{codecs}.chd", codecs=codecs)
        rows = list(diskimage.map(path).records)
        assert [row.offset is not None for row in rows] == [placed] * len(rows)


@pytest.mark.parametrize("codecs", ["none", "zlib", "lzma", "lzma,zlib,flac"])
@pytest.mark.parametrize("size", [512 * 1001, 512 * 16 * 63 * 2, 300_000])
def test_disks_that_chdman_extracts(codecs: str, size: int, peer: Peer, tmp_path: Path) -> None:
    guest = (b"".join(frames.sectors(90)) + bytes(400_000) + b"end." * 100_000)[:size].ljust(
        size, b"!"
    )
    path = on_disk(tmp_path, Placed([Extent(0, size, Kind.DATA, MemorySource(guest))], 512),
                   codecs=codecs)  # fmt: skip
    if codecs != "none":
        verified(peer, path)
    chdman(peer, "extracthd", "-i", path, "-o", tmp_path / "out.raw")
    assert (tmp_path / "out.raw").read_bytes() == guest.ljust(-(-size // 512) * 512, b"\0")


def test_an_iso_becomes_a_dvd(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "a.iso").write_bytes(volume() * 20)
    diskimage.convert(tmp_path / "a.iso", tmp_path / "a.chd")
    with image.open(tmp_path / "a.chd") as got:
        assert (got.sector_size, got.disc, got.read(0, got.size)) == (2048, None, volume() * 20)
    verified(peer, tmp_path / "a.chd")
    assert "Tag='DVD '" in chdman(peer, "info", "-i", tmp_path / "a.chd")
    diskimage.convert(tmp_path / "a.chd", tmp_path / "b.iso")
    assert (tmp_path / "b.iso").read_bytes() == volume() * 20


def test_gd_roms_keep_their_addresses(peer: Peer, tmp_path: Path) -> None:
    text = (
        "REM SINGLE-DENSITY AREA\n" + cue.one("MODE1/2352") + 'FILE "b.bin" BINARY\n'
        "  TRACK 02 AUDIO\n    INDEX 00 00:00:00\n    INDEX 01 00:00:03\n"
        'REM HIGH-DENSITY AREA\nFILE "c.bin" BINARY\n  TRACK 03 MODE1/2352\n    INDEX 01 00:00:00\n'
    )
    high = frames.data(9, seed=7, lba=45000)[0]
    sheet = cue.write(tmp_path, text, a_bin=frames.data(9)[0], b_bin=frames.audio(9), c_bin=high)
    found = disc(sheet)
    path = on_disk(tmp_path, found)
    assert_equal(found, disc(path))
    verified(peer, path)
    bare = bytearray(path.read_bytes())
    bare[bare.index(b"PYDI")] ^= 1  # what others see of it
    (tmp_path / "bare.chd").write_bytes(bare)
    other = disc(tmp_path / "bare.chd")
    assert (other.medium, [t.lba for t in other.tracks]) == ("GD", [t.lba for t in found.tracks])
    assert frames_of(other.tracks[2].pieces) == high


def test_frames_before_lba_0_are_a_loss_that_is_said(tmp_path: Path) -> None:
    sample = next(
        one for one in nrg.samples() if any(t.pieces[0].lba < 0 for t in of(one, tmp_path))
    )
    found = disc(sample.write(tmp_path))
    assert "pregap" in {loss.name for loss in losses(found)}
    again = disc(on_disk(tmp_path, found))
    assert [(t.lba, t.length) for t in again.tracks] == [(t.lba, t.length) for t in found.tracks]


def of(sample: Sample, folder: Path) -> tuple[Track, ...]:
    return disc(files_in(folder / sample.label, sample.files)).tracks


def test_words_that_have_no_sense_are_refused(tmp_path: Path) -> None:
    found = all_kinds(tmp_path)
    refused: tuple[dict[str, Any], ...] = (
        {"codecs": "bzip2"}, {"codecs": "zlib,zlib"}, {"hunk": 4096}, {"hunk": "much"},
        {"hunk": 2448 * 1000},
    )  # fmt: skip
    for options in refused:
        with pytest.raises(UsageError):
            next(create(found, "a", **options))
    odd = replace(found.tracks[0], mode=Mode("ODD/2352", 2352, 16, 2048))
    with pytest.raises(UnsupportedError, match="ODD"):
        next(create(replace(found, tracks=(odd,)), "a"))
