"""ISO images and bare frames: what the file is, what its volume says, what an ISO cannot hold."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import CorruptError, UnsupportedError, UsageError
from diskimage.formats.iso import FORMAT, create, losses, probe
from diskimage.layers.records import Placed
from diskimage.model import Device, Disc, Extent, Kind, Look
from diskimage.sources.memory import MemorySource
from tests.makers import frames, naive
from tests.makers.cue import one, write
from tests.makers.iso import boot, volume
from tests.makers.opened import disc, kinds, outputs, said

RAW = 2352
Peer = Callable[[str], str]
PLAIN = volume(40, label="BOOKS")
SECTORS = [PLAIN[at : at + 2048] for at in range(0, len(PLAIN), 2048)]
FIRST = [frames.mode1(data, lba) for lba, data in enumerate(SECTORS)]
SECOND = [frames.form1(data, lba) for lba, data in enumerate(SECTORS)]
SUB = bytes(range(96))


def put(folder: Path, content: bytes, name: str = "a.iso") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def bid(content: bytes, name: str = "a.iso") -> tuple[int, str]:
    found = probe(Look(content[:102400], content[-65536:], len(content), name))
    return (0, "") if found is None else (found.score, found.reason)


def test_a_plain_image_is_the_file_and_says_what_it_is(tmp_path: Path) -> None:
    with image.open(put(tmp_path, PLAIN)) as opened:
        assert opened.disc is None
        assert opened.read(0, opened.size) == PLAIN
        assert opened.sector_size == 2048
        assert opened.warnings == ()
        assert opened.info["volume"] == "BOOKS"
        assert opened.info["variant"] == "2048"
        assert opened.info["bootable"] is False


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("MODE1/2352", b"".join(FIRST)),
        ("MODE1/2368", b"".join(frame + SUB[:16] for frame in FIRST)),
        ("MODE1/2448", b"".join(frame + SUB for frame in FIRST)),
        ("MODE2/2352", b"".join(SECOND)),
        ("MODE2/2368", b"".join(frame + SUB[:16] for frame in SECOND)),
        ("MODE2/2448", b"".join(frame + SUB for frame in SECOND)),
        ("MODE2/2336", b"".join(frame[16:] for frame in SECOND)),
        ("MODE2/2332", b"".join(frame[16:-4] for frame in SECOND)),
    ],
)
@pytest.mark.parametrize("suffix", [".iso", ".bin", ".img"])
def test_bare_frames_are_a_disc_of_one_track(
    tmp_path: Path, name: str, stored: bytes, suffix: str
) -> None:
    path = put(tmp_path, stored, f"a{suffix}")
    with image.open(path) as opened:
        assert opened.disc is not None
        assert opened.format == "iso"
        size = len(stored) // len(FIRST)
        layout = {2368: "q16", 2448: "interleaved"}.get(size)
        assert opened.disc.tracks[0].mode.name == name.replace(str(size), str(min(size, 2352)))
        assert opened.disc.tracks[0].subchannel == layout
        assert opened.info["variant"] == name
        assert opened.read(0, opened.size) == PLAIN
        assert opened.info["variant"] == name
        assert opened.warnings == ()


def test_frames_without_the_parity_of_form_1_are_known_by_their_edc(tmp_path: Path) -> None:
    """2332 and 2336 bytes have no sync: a volume descriptor, or subheaders whose EDC holds."""
    plain = frames.sectors(30)
    stored = b"".join(frames.form1(data, lba)[16:] for lba, data in enumerate(plain))
    with image.open(put(tmp_path, stored), format="iso") as opened:
        assert opened.info["variant"] == "MODE2/2336"
        assert opened.read(0, opened.size) == b"".join(plain)


def test_the_probe_tells_its_reason() -> None:
    assert bid(PLAIN, "a.xyz") == (90, "CD001 at 32769 (2048-byte frames)")
    assert bid(b"".join(FIRST), "a.bin") == (90, "sync every 2352 bytes (MODE1/2352 frames)")
    bare = b"".join(frame[16:] for frame in SECOND)
    assert bid(bare, "a.bin") == (90, "CD001 at 37385 (2336-byte frames)")
    assert bid(bytes(40960), "a.iso") == (20, "suffix .iso, and no volume descriptor")
    assert bid(bytes(40960), "a.bin") == (0, "")
    assert bid(b"", "a.iso") == (0, "")
    assert bid(frames.audio(20), "a.bin") == (0, "")


def test_a_sheet_beside_bare_frames_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, one("MODE1/2352"), name="A.CUE", a_bin=b"".join(FIRST))
    assert "A.CUE lies beside it" in said(path.with_name("a.bin"))


def test_a_cut_file_is_said(tmp_path: Path) -> None:
    path = put(tmp_path, b"".join(FIRST)[:-100], "a.bin")
    assert kinds(path) == ["truncated", "size"]
    assert disc(path).tracks[0].length == 39
    with image.open(put(tmp_path, PLAIN[:-100])) as opened:
        assert opened.read(0, opened.size) == PLAIN[:-100]
        assert [warning.kind for warning in opened.warnings] == ["size", "size"]


@pytest.mark.parametrize("name", ["MODE1/2352", "MODE2/2352", "MODE2/2336"])
@pytest.mark.parametrize(("cut", "warned"), [(0, []), (1, ["size"]), (20, ["size"])])
def test_frames_cut_between_two_are_said(
    tmp_path: Path, name: str, cut: int, warned: list[str]
) -> None:
    whole = FIRST if name.startswith("MODE1") else SECOND
    skip = 16 if name.endswith("2336") else 0
    stored = b"".join(frame[skip:] for frame in whole[: len(whole) - cut])
    path = write(tmp_path, one(name), a_bin=stored)
    assert kinds(path) == warned
    if warned:
        assert f"the volume has 81920 bytes, the data of track 1 {(40 - cut) * 2048}" in said(path)
    path.unlink()
    assert kinds(path.with_name("a.bin")) == warned


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        (volume(40, space=120), ["size"]),
        (PLAIN + bytes(150 * 2048), []),
        (PLAIN + bytes(151 * 2048), ["size"]),
        (volume(40, end=False), ["volume"]),
        (volume(40, extra=(boot(19),)), []),
        (volume(40, extra=(boot(40),)), ["boot"]),
        (volume(400, extra=(boot(19),) * 200, end=False), ["volume"]),
        (bytes(40960), ["volume"]),
        (volume(160, space=640, block=512), []),
        (volume(160, space=320, block=1024), []),
    ],
)
def test_the_volume_is_held_against_the_file(
    tmp_path: Path, content: bytes, warned: list[str]
) -> None:
    assert kinds(put(tmp_path, content)) == warned


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (volume(block=0), "logical block of 0"),
        (volume(block=1), "logical block of 1"),
        (volume(block=4096), "logical block of 4096"),
        (volume(flags=0), "root of the volume is no directory"),
    ],
)
def test_impossible_descriptors_are_corrupt(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(CorruptError, match=words) as caught:
        image.open(put(tmp_path, content))
    assert caught.value.remedy
    assert caught.value.at is not None


# --- created --------------------------------------------------------------------------------


def plain(content: bytes) -> Device:
    return Placed([Extent(0, len(content), Kind.DATA, MemorySource(content))], 512)


def names(found: Disc) -> dict[str, bool]:
    return {loss.name: loss.content for loss in losses(found)}


def test_an_iso_is_the_first_data_track(tmp_path: Path) -> None:
    sheet = one("AUDIO") + (
        'FILE "b.bin" BINARY\n  TRACK 02 MODE1/2352\n    INDEX 01 00:00:00\n'
        "  TRACK 03 MODE1/2352\n    INDEX 01 00:00:40\n"
    )
    more, _ = frames.data(3)
    content = b"".join(FIRST) + more
    found = disc(write(tmp_path, sheet, a_bin=frames.audio(2), b_bin=content))
    assert outputs(create(found, "x")) == {"": PLAIN}
    assert names(found) == {"audio": True, "tracks": True}
    assert outputs(create(plain(PLAIN), "x")) == {"": PLAIN}
    assert losses(plain(PLAIN)) == []


def test_what_an_iso_cannot_hold_is_named(tmp_path: Path) -> None:
    sheet = (
        'CATALOG 1234567890123\nTITLE "x"\n'
        + one("MODE2/2448")
        + ("    INDEX 02 00:00:09\nREM SESSION 02\n  TRACK 02 AUDIO\n    INDEX 01 00:00:40\n")
    )
    content = b"".join(frame + SUB for frame in SECOND) + frames.audio(3)
    found = disc(write(tmp_path, sheet, a_bin=content))
    content_losses = {"audio": True, "sessions": True, "subchannel": True}
    described = dict.fromkeys(("subheaders", "indexes", "titles", "catalog"), False)
    assert names(found) == content_losses | described


def test_what_cannot_be_an_iso_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data track"):
        losses(disc(write(tmp_path, one("AUDIO"), a_bin=frames.audio(2))))
    with pytest.raises(UsageError, match="no data track"):
        outputs(create(disc(write(tmp_path, one("AUDIO"), a_bin=frames.audio(2))), "x"))
    with pytest.raises(UnsupportedError, match="2049 bytes"):
        outputs(create(plain(bytes(2049)), "x"))
    assert FORMAT.can == {"read", "create"}


# --- held against peers ---------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["genisoimage", "xorriso"])
def test_volumes_of_other_makers(tmp_path: Path, peer: Peer, tool: str) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/readme.txt").write_bytes(b"hello\n")
    start = [peer(tool), *(["-as", "mkisofs"] if tool == "xorriso" else [])]
    command = [*start, "-quiet", "-J", "-R", "-V", "SHELF", "-o", "a.iso", "tree"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    with image.open(tmp_path / "a.iso") as opened:
        assert opened.info["volume"] == "SHELF"
        assert opened.info["joliet"] is True
        assert opened.warnings == ()
        assert opened.read(0, opened.size) == (tmp_path / "a.iso").read_bytes()


def test_bchunk_makes_the_same_iso(tmp_path: Path, peer: Peer) -> None:
    sheet = write(tmp_path, one("MODE1/2352"), a_bin=b"".join(FIRST))
    command = [peer("bchunk"), "a.bin", str(sheet), "out"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    device = disc(sheet).data
    assert device is not None
    assert naive.read(device) == (tmp_path / "out01.iso").read_bytes() == PLAIN


# --- dumps that begin elsewhere, frames of one form, hybrids ----------------------------------


@pytest.mark.parametrize("first", [-150, -3, 11702])
def test_a_dump_has_the_addresses_of_its_headers(tmp_path: Path, first: int) -> None:
    before = [frames.mode1(bytes(2048), first + i) for i in range(-first)]
    stored = [frames.mode1(sector, max(0, first) + i) for i, sector in enumerate(SECTORS)]
    path = put(tmp_path, b"".join(before + stored), "a.bin")
    with image.open(path) as opened:
        assert opened.disc is not None
        track = opened.disc.tracks[0]
        assert (track.lba, track.pregap) == (max(0, first), max(0, -first))
        assert opened.read(0, opened.size) == PLAIN
        assert opened.warnings == ()
        assert opened.disc.space.size == (max(0, first) + 40) * 2048


def test_headers_that_do_not_agree_tell_no_address(tmp_path: Path) -> None:
    mixed = [frames.mode1(sector, 500 + 2 * i) for i, sector in enumerate(SECTORS)]
    assert disc(put(tmp_path, b"".join(mixed), "a.bin")).tracks[0].lba == 0


def test_packs_of_a_video_are_frames_of_form_2(tmp_path: Path) -> None:
    stored = b"".join(b"\0\0\1\xba" + bytes([i]) * 2320 for i in range(60))
    for suffix in (".bin", ".iso", ".img"):
        found = disc(put(tmp_path, stored, f"a{suffix}"))
        assert (found.tracks[0].mode.name, found.tracks[0].length) == ("MODE2/2324", 60)
        assert naive.read(found.tracks[0].main or found.space) == stored
        assert found.data is None
    plain = b"\0\0\1\xba" + bytes(4000)
    assert bid(plain, "a.mpg") == (0, "")


def also(path: Path) -> object:
    with image.open(path) as opened:
        return opened.info["also"]


def test_what_an_image_is_besides_is_named(tmp_path: Path, peer: Peer) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/readme.txt").write_bytes(b"hello\n" * 1000)
    for tool, options, expected in (
        ("genisoimage", ["-quiet", "-J", "-R"], []),
        ("genisoimage", ["-quiet", "-udf"], ["UDF"]),
        ("genisoimage", ["-quiet", "-hfs"], ["HFS"]),
        ("xorriso", ["-as", "mkisofs", "-quiet", "-hfsplus"], ["APM"]),
        ("xorriso", ["-as", "mkisofs", "-quiet", "-partition_offset", "16",
                     "-append_partition", "2", "0xef", "tree/readme.txt"], ["MBR"]),
        ("xorriso", ["-as", "mkisofs", "-quiet", "-appended_part_as_gpt",
                     "-append_partition", "2", "0xef", "tree/readme.txt"], ["MBR", "GPT"]),
    ):  # fmt: skip
        command = [peer(tool), *options, "-o", "a.iso", "tree"]
        subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
        assert also(tmp_path / "a.iso") == expected, (tool, options)
    marked = bytearray(PLAIN)
    marked[510:512] = b"\x55\xaa"  # no row in use: no table
    assert also(put(tmp_path, bytes(marked))) == []
