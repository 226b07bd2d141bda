"""MDS and MDF of ours: read by hand from the layout, and discs of every sort kept through them."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from diskimage import image, registry
from diskimage.disc.framing import framed, taken
from diskimage.disc.recast import recast
from diskimage.disc.subchannel import stored
from diskimage.disc.verify import problems
from diskimage.errors import UsageError
from diskimage.formats.mds import FORMAT
from diskimage.formats.mds.create import create, losses
from diskimage.layers.blank import Blank
from diskimage.model import Disc, Put, Track
from diskimage.sources.memory import MemorySource
from diskimage.sources.zeros import Zeros
from tests.makers import frames, mds, q
from tests.makers.cue import one, write
from tests.makers.iso import volume
from tests.makers.opened import (
    disc,
    files_in,
    kinds,
    main,
    outputs,
    publish,
    stored_subs,
    user,
)
from tests.makers.sample import Sample

RAW = 2352
DISCS = ("mds", "cue", "ccd", "cdi", "nrg", "toc")
SAMPLES = [
    pytest.param(sample, id=f"{name}-{sample.label}")
    for name in DISCS
    if name in {entry.name for entry in registry.ENTRIES}
    for sample in import_module(f"tests.makers.{name}").samples()
]


def again(found: Disc, folder: Path, **options: str) -> Disc:
    """`found` written as MDS and read again."""
    return disc(publish(create(found, "x", **options), folder / "again", "x.mds"))


def places(found: Disc) -> list[tuple[int, ...]]:
    """Numbers, sessions, addresses, lengths and gaps."""
    return [(t.number, t.session, t.lba, t.length, gap(found, t)) for t in found.tracks]


def gap(found: Disc, track: Track) -> int:
    """A track's pregap and the postgap before it: an MDS has no other word for either."""
    before = [t for t in found.tracks if (t.session, t.number) == (track.session, track.number - 1)]
    return track.lba - before[0].lba - before[0].length if before else track.pregap


def pregap_bytes(track: Track) -> bytes:
    """What is stored of a pregap, zeros for what is made up."""
    out = b""
    for piece in track.pieces:
        count = min(piece.stop, track.lba) - piece.lba
        whole = recast(piece, track.mode)
        for i in range(count):
            frame = bytearray(whole.mode.size)
            assert whole.source is not None
            whole.source.read_into(whole.at + i * whole.pitch, memoryview(frame))
            out += frame
    return out


@pytest.mark.parametrize("subchannel", ["stored", "made"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_disc_of_any_format_comes_back(sample: Sample, subchannel: str, tmp_path: Path) -> None:
    found = disc(sample.write(tmp_path))
    refused = {loss.name for loss in losses(found, subchannel=subchannel) if loss.content}
    if refused:
        assert refused == {"medium"}, sample.label
        return
    back = again(found, tmp_path, subchannel=subchannel)
    if found.medium == "DVD":  # has sectors, and no gaps
        assert (back.medium, user(back)) == ("DVD", user(found))
        return
    assert places(back) == places(found)
    assert [t.flags for t in back.tracks] == [t.flags for t in found.tracks]
    assert (found.data is None) == (back.data is None)
    assert found.data is None or user(back) == user(found)
    for old, new in zip(found.tracks, back.tracks, strict=True):
        if old.mode.size == new.mode.size:
            assert main(new) == main(old), old.number
            if not found.tracks[0].postgap:
                assert pregap_bytes(new) == pregap_bytes(old)
    if found.toc:
        assert back.toc == found.toc


def mixed(folder: Path) -> Disc:
    """Data and audio with a stored and a made-up pregap, an INDEX 02, a postgap."""
    data, _ = frames.data(18)
    sheet = one("MODE1/2352") + (
        '    POSTGAP 00:00:05\nFILE "b.bin" BINARY\n  TRACK 02 AUDIO\n    FLAGS DCP PRE\n'
        "    INDEX 00 00:00:00\n    INDEX 01 00:00:03\n    INDEX 02 00:00:07\n"
        'FILE "c.bin" BINARY\n  TRACK 03 AUDIO\n    ISRC ABCDE1234567\n    PREGAP 00:02:00\n'
        "    INDEX 01 00:00:00\n"
    )
    return disc(write(folder, sheet, a_bin=data, b_bin=frames.audio(12), c_bin=frames.audio(9, 2)))


SHEETS = {
    "hidden audio": "  TRACK 01 AUDIO\n    INDEX 00 00:00:00\n    INDEX 01 00:00:32\n",
    "declared silence": "  TRACK 01 AUDIO\n    PREGAP 00:00:32\n    INDEX 01 00:00:00\n",
    "sessions": (
        "  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n  TRACK 02 AUDIO\n    INDEX 01 00:00:10\n"
        "REM SESSION 02\n  TRACK 03 AUDIO\n    INDEX 00 00:00:20\n    INDEX 01 00:00:25\n"
        "REM SESSION 03\n  TRACK 04 AUDIO\n    INDEX 01 00:00:40\n"
    ),
    "later numbers": "  TRACK 07 AUDIO\n    FLAGS 4CH\n    INDEX 01 00:00:00\n",
}


@pytest.mark.parametrize("name", SHEETS)
def test_places_of_a_sheet_come_back(name: str, tmp_path: Path) -> None:
    sheet = 'FILE "a.bin" BINARY\n' + SHEETS[name]
    found = disc(write(tmp_path, sheet, a_bin=frames.audio(60)))
    back = again(found, tmp_path)
    assert places(back) == places(found)
    assert [main(t) for t in back.tracks] == [main(t) for t in found.tracks]
    assert [pregap_bytes(t) for t in back.tracks] == [pregap_bytes(t) for t in found.tracks]
    assert [t.flags for t in back.tracks] == [t.flags for t in found.tracks]
    assert [s.leadout for s in back.sessions] == [s.leadout for s in found.sessions]


@pytest.mark.parametrize("mode", ["CDG", "MODE1/2448", "MODE2/2332", "MODE2/2324", "CDI/2352"])
def test_frames_of_every_shape_are_kept_or_made_whole(mode: str, tmp_path: Path) -> None:
    whole, _ = frames.data(20, mode=1 if "1" in mode[:5] else 2)
    lead, size = {"MODE2/2332": (16, 2332), "MODE2/2324": (24, 2324)}.get(mode, (0, RAW))
    subs = [bytes([i]) * 96 if mode in ("CDG", "MODE1/2448") else b"" for i in range(20)]
    if mode == "CDG":
        whole = frames.audio(20)
    kept = [whole[i * RAW + lead : i * RAW + lead + size] + subs[i] for i in range(20)]
    path = write(tmp_path, one(mode), a_bin=b"".join(kept))
    back = again(disc(path), tmp_path).tracks[0]
    assert back.mode.size == RAW
    if mode == "MODE2/2324":
        assert [main(back)[i + 24 : i + RAW - 4] for i in range(0, 20 * RAW, RAW)] == kept
    else:
        assert main(back) == whole
    assert back.subchannel == ("interleaved" if subs[0] else None)
    assert not subs[0] or stored_interleaved(back) == b"".join(subs)


def stored_interleaved(track: Track) -> bytes:
    """The subchannel of all frames of a track, as it is stored."""
    (piece,) = track.pieces
    assert piece.sub is not None
    return bytes(stored(piece.sub, 0, piece.frames))


def rows(descriptor: bytes) -> Iterator[tuple[int, ...]]:
    """Of each track's row of one session: mode, subchannel, control, point, PMSF, size, start,
    offset, pregap, length."""
    count, at = descriptor[88 + 10], struct.unpack_from("<I", descriptor, 88 + 20)[0]
    for i in range(count):
        row = descriptor[at + 80 * i : at + 80 * (i + 1)]
        if row[4] < 0xA0:
            extra, size = struct.unpack_from("<IH", row, 12)
            start, offset = struct.unpack_from("<IQ", row, 36)
            told = struct.unpack_from("<II", descriptor, extra)
            yield (*row[:3], row[4], *row[9:12], size, start, offset, *told)


def test_the_descriptor_has_what_the_layout_says(tmp_path: Path) -> None:
    made = outputs(create(mixed(tmp_path), "x"))
    assert list(made) == ["x.mdf", ""]
    gap_and_song = 8 * RAW  # the postgap and the stored pregap lie before track 2
    third = 18 * RAW + gap_and_song + 9 * RAW
    start = 18 + 5 + 3
    assert list(rows(made[""])) == [
        (0xAA, 0, 0x14, 1, *q.msf(150), RAW, 0, 0, 150, 18),
        (0xA9, 0, 0x13, 2, *q.msf(start + 150), RAW, start, 26 * RAW, 8, 9),
        (0xA9, 0, 0x10, 3, *q.msf(start + 9 + 300), RAW, start + 159, third, 150, 9),
    ]
    header = struct.unpack_from("<BBHHH", made[""], 16)
    assert header == (1, 3, 0, 1, 2)
    assert made[""].endswith(b"*.mdf\0")
    content = frames.audio(12)
    assert made["x.mdf"] == (frames.data(18)[0] + bytes(5 * RAW) + content + frames.audio(9, 2))


def test_what_it_cannot_say_is_said(tmp_path: Path) -> None:
    names = [(loss.name, loss.content) for loss in losses(mixed(tmp_path))]
    assert names == [("indexes", False), ("indexes", False), ("catalog", False)]


def test_made_subchannel_agrees_with_the_gaps_that_are_told(tmp_path: Path) -> None:
    """A postgap is the next track's pregap in an MDS, and so in its Q."""
    sheet = (
        'FILE "a.bin" BINARY\n TRACK 01 AUDIO\n INDEX 01 00:00:00\n POSTGAP 00:00:05\n'
        " TRACK 02 AUDIO\n INDEX 00 00:00:08\n INDEX 01 00:00:10\n"
    )
    found = disc(write(tmp_path, sheet, a_bin=frames.audio(20)))
    back = again(found, tmp_path, subchannel="made")
    assert back.tracks[1].pregap == 7
    assert list(problems(back)) == []


def test_the_flag_scms_is_said(tmp_path: Path) -> None:
    """Its bit is in no control nibble (MMC, Q subchannel)."""
    sheet = one("AUDIO").replace("    INDEX", "    FLAGS DCP SCMS\n    INDEX")
    found = disc(write(tmp_path, sheet, a_bin=frames.audio(8)))
    assert [loss.message for loss in losses(found)] == ["the flag SCMS of tracks"]
    assert again(found, tmp_path).tracks[0].flags == {"DCP"}


def test_the_same_as_the_maker_writes(tmp_path: Path) -> None:
    """Descriptors agree to the byte but for what each leaves open."""
    tracks, _ = mds.sessions()
    files = mds.cd(tracks, medium=mds.CD_ROM, stem="x")
    found = disc(files_in(tmp_path, files))
    made = outputs(create(found, "x"))
    assert made["x.mdf"] == files["x.mdf"]
    assert (len(made[""]), made[""][:88]) == (len(files["x.mds"]), files["x.mds"][:88])


def test_subchannel_is_made_for_frames_without(tmp_path: Path) -> None:
    found = mixed(tmp_path)
    back = again(found, tmp_path, subchannel="made")
    assert [t.subchannel for t in back.tracks] == ["interleaved"] * 3
    expected = [q.packed(q.position(i, 1, 1, 0, 4)) for i in range(18)]
    assert stored_subs(back.tracks[0]) == b"".join(expected)
    assert "made" in {loss.name for loss in losses(found, subchannel="made")}


def test_subchannel_is_kept(tmp_path: Path) -> None:
    tracks, _ = mds.mixed(sub=True)
    files = mds.cd(tracks, placement="before")
    found = disc(files_in(tmp_path, files))
    assert outputs(create(found, "a"))["a.mdf"] == files["a.mdf"]
    assert losses(found) == []


def test_a_long_image_is_a_dvd() -> None:
    long = Blank(449851 * 2048)
    what, left, lost = taken(FORMAT, long, lambda: Zeros(long.size), {})
    assert isinstance(what, Disc)
    assert (left, lost, losses(what)) == ({}, [], [])
    *_, last = create(what, "x")
    assert isinstance(last, Put)
    descriptor = bytes(last.data)
    assert struct.unpack_from("<H", descriptor, 18) == (0x10,)
    assert struct.unpack_from("<I", descriptor, 88 + 24 + 12) == (449851,)
    with pytest.raises(UsageError, match="more than a CD"):
        losses(what, medium="cd")


@pytest.mark.parametrize("framing", ["mode1", "mode2", "2048"])
def test_an_image_becomes_a_dvd_where_that_is_asked(framing: str, tmp_path: Path) -> None:
    content = volume()
    what = framed(MemorySource(content), framing)
    path = publish(create(what, "x", medium="dvd"), tmp_path, "x.mds")
    assert (tmp_path / "x.mdf").read_bytes() == content
    found = disc(path)
    assert (found.medium, found.tracks[0].mode.name, user(found)) == ("DVD", "MODE1/2048", content)
    assert kinds(path) == []


def test_a_dvd_of_a_disc_with_audio_is_a_loss(tmp_path: Path) -> None:
    content = {loss.name for loss in losses(mixed(tmp_path), medium="dvd") if loss.content}
    assert content == {"audio"}


@pytest.mark.parametrize("options", [{"medium": "bd"}, {"subchannel": "none"}])
def test_options_are_held_to_their_values(options: dict[str, str], tmp_path: Path) -> None:
    found = mixed(tmp_path)
    with pytest.raises(UsageError):
        losses(found, **options)
    with pytest.raises(UsageError):
        outputs(create(found, "x", **options))


def test_through_the_command_of_the_library(tmp_path: Path) -> None:
    import diskimage

    mixed(tmp_path)
    report = diskimage.convert(tmp_path / "disc.cue", tmp_path / "out.mds")
    assert {loss.name for loss in report.dropped} == {"indexes", "catalog"}
    with image.open(tmp_path / "out.mds") as made:
        assert made.disc is not None
        assert [t.length for t in made.disc.tracks] == [18, 9, 9]


@pytest.mark.parametrize("subchannel", ["stored", "made"])
@pytest.mark.parametrize("framing", ["mode1", "mode2"])
def test_a_foreign_reader_finds_the_iso(
    framing: str, subchannel: str, tmp_path: Path, peer: Callable[[str], str]
) -> None:
    """iat looks at the frames of the MDF alone; no packaged program reads the descriptor."""
    content = volume()
    plan = create(framed(MemorySource(content), framing), "x", subchannel=subchannel)
    publish(plan, tmp_path, "x.mds")
    out = tmp_path / "out.iso"
    subprocess.run(
        [peer("iat"), str(tmp_path / "x.mdf"), str(out)], check=True, capture_output=True
    )
    assert out.read_bytes() == content
