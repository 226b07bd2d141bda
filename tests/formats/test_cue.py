"""Sheets of every dialect: addresses worked out by hand, content from an independent maker."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    MissingError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.cue import FORMAT
from diskimage.model import Kind, Look
from diskimage.runs import extents
from tests.makers import frames, naive
from tests.makers.cue import one, wave, write
from tests.makers.opened import disc, kinds, main, said, user

RAW = 2352


# --- what a sheet means ---------------------------------------------------------------------


def test_a_track_of_each_mode_gives_its_user_data(tmp_path: Path) -> None:
    plain = frames.sectors(20, 5)
    first = [frames.mode1(data, i) for i, data in enumerate(plain)]
    second = [frames.form1(data, i) for i, data in enumerate(plain)]
    sub = bytes(range(96))
    stored = {
        "MODE1/2048": b"".join(plain),
        "MODE2/2048": b"".join(plain),
        "MODE1/2352": b"".join(first),
        "MODE1/2448": b"".join(frame + sub for frame in first),
        "MODE2/2352": b"".join(second),
        "CDI/2352": b"".join(second),
        "MODE2/2448": b"".join(frame + sub for frame in second),
        "MODE2/2336": b"".join(frame[16:] for frame in second),
        "CDI/2336": b"".join(frame[16:] for frame in second),
        "MODE2/2332": b"".join(frame[16:-4] for frame in second),
    }
    for mode, content in stored.items():
        found = disc(write(tmp_path, one(mode), a_bin=content))
        assert user(found) == b"".join(plain), mode
        pitch = len(content) // 20
        frame = 2352 if pitch == 2448 else pitch  # the subchannel is told apart
        expected = b"".join(content[i : i + frame] for i in range(0, len(content), pitch))
        assert main(found.tracks[0]) == expected, mode
        assert found.tracks[0].subchannel == ("interleaved" if pitch == 2448 else None)
        assert found.data is not None
        assert len(list(extents(found.data))) == 1, "one extent, however many frames"


def test_modes_without_sectors_give_no_data(tmp_path: Path) -> None:
    for mode, size in (("AUDIO", RAW), ("CDG", 2448), ("MODE2/2324", 2324)):
        content = bytes(range(1, 251)) * (size * 4 // 250 + 1)
        path = write(tmp_path, one(mode), a_bin=content[: size * 4])
        assert disc(path).data is None
        frame = min(size, RAW)  # the subchannel is told apart
        stored = [content[i * size : i * size + frame] for i in range(4)]
        assert main(disc(path).tracks[0]) == b"".join(stored)
    empty = b"".join(frames.header(i, 0) + bytes(2336) for i in range(4))
    assert disc(write(tmp_path, one("MODE0/2352"), a_bin=empty)).data is None


def test_mixed_mode_in_one_file(tmp_path: Path) -> None:
    data, plain = frames.data(20)
    gap, sound = frames.audio(10, 2), frames.audio(30, 3)
    sheet = one("MODE1/2352") + (
        "  TRACK 02 AUDIO\n    INDEX 00 00:00:20\n    INDEX 01 00:00:30\n    INDEX 02 00:00:35\n"
        "  TRACK 03 AUDIO\n    PREGAP 00:02:00\n    INDEX 01 00:00:50\n    POSTGAP 00:00:05\n"
    )
    found = disc(write(tmp_path, sheet, a_bin=data + gap + sound))
    first, second, third = found.tracks
    assert user(found) == plain
    assert (first.lba, first.length, first.pregap) == (0, 20, 0)
    assert (second.lba, second.length, second.pregap) == (30, 20, 10)
    assert second.indexes == ((0, 20), (1, 30), (2, 35))
    assert (third.lba, third.length, third.pregap, third.postgap) == (200, 10, 150, 5)
    assert main(second) == sound[: 20 * RAW]
    assert main(third) == sound[20 * RAW :]
    assert found.sessions[0].leadout == 215
    assert found.space.size == 215 * 2048
    shape = [(row.kind, row.start, row.length) for row in extents(found.space)]
    assert shape == [(Kind.DATA, 0, 40960), (Kind.ABSENT, 40960, 195 * 2048)]


def test_frames_of_different_sizes_in_one_file(tmp_path: Path) -> None:
    """An index counts frames; the bytes before it are those of the tracks that own them."""
    plain, sound = b"".join(frames.sectors(16, 9)), frames.audio(8)
    sheet = one("MODE1/2048") + "  TRACK 02 AUDIO\n    INDEX 00 00:00:16\n    INDEX 01 00:00:20\n"
    found = disc(write(tmp_path, sheet, a_bin=plain + sound))
    assert user(found) == plain
    assert main(found.tracks[1]) == sound[4 * RAW :]


def test_one_file_a_track(tmp_path: Path) -> None:
    data, plain = frames.data(17)
    sound = frames.audio(12)
    sheet = one("MODE1/2352") + (
        'FILE "b.bin" BINARY\n  TRACK 02 AUDIO\n    INDEX 00 00:00:00\n    INDEX 01 00:00:04\n'
    )
    found = disc(write(tmp_path, sheet, a_bin=data, b_bin=sound))
    assert user(found) == plain
    assert (found.tracks[1].lba, found.tracks[1].pregap) == (21, 4)
    assert main(found.tracks[1]) == sound[4 * RAW :]


def test_a_pregap_at_the_end_of_the_file_before(tmp_path: Path) -> None:
    """Gaps appended: INDEX 00 under the previous FILE, INDEX 01 at the head of its own."""
    a, b = frames.audio(20, 1), frames.audio(15, 2)
    sheet = one("AUDIO") + (
        '  TRACK 02 AUDIO\n    INDEX 00 00:00:12\nFILE "b.bin" BINARY\n    INDEX 01 00:00:00\n'
    )
    first, second = disc(write(tmp_path, sheet, a_bin=a, b_bin=b)).tracks
    assert (first.length, second.lba, second.pregap, second.length) == (12, 20, 8, 15)
    assert main(first) == a[: 12 * RAW]
    assert main(second) == b


def test_hidden_audio_before_the_first_index(tmp_path: Path) -> None:
    sound = frames.audio(20)
    track = disc(write(tmp_path, one("AUDIO", index="00:00:08"), a_bin=sound)).tracks[0]
    assert (track.lba, track.pregap, track.length) == (8, 8, 12)
    assert main(track) == sound[8 * RAW :]


def test_pregap_and_index_0_in_one_track(tmp_path: Path) -> None:
    sheet = one("AUDIO") + (
        "  TRACK 02 AUDIO\n    PREGAP 00:00:10\n    INDEX 00 00:00:05\n    INDEX 01 00:00:07\n"
    )
    sound = frames.audio(12)
    second = disc(write(tmp_path, sheet, a_bin=sound)).tracks[1]
    assert (second.lba, second.pregap, second.indexes[0]) == (17, 12, (0, 15))
    assert main(second) == sound[7 * RAW :]


def test_a_pregap_of_the_first_track(tmp_path: Path) -> None:
    """Before data it is the one every disc has; before audio it moves the track (EAC)."""
    data, _ = frames.data(2)
    sheet = one("MODE1/2352").replace("    INDEX", "    PREGAP 00:02:00\n    INDEX")
    assert disc(write(tmp_path, sheet, a_bin=data)).tracks[0].lba == 0
    sheet = one("AUDIO").replace("    INDEX", "    PREGAP 00:00:32\n    INDEX")
    assert disc(write(tmp_path, sheet, a_bin=frames.audio(2))).tracks[0].lba == 32


def test_a_second_session_begins_after_lead_out_and_lead_in(tmp_path: Path) -> None:
    sheet = one("AUDIO") + (
        "REM LEAD-OUT 01:30:00\nREM SESSION 02\nREM LEAD-IN 01:00:00\nREM PREGAP 00:02:00\n"
        'FILE "b.bin" BINARY\n  TRACK 02 MODE2/2352\n    INDEX 01 00:00:00\n'
        "REM SESSION 03\n  TRACK 03 MODE2/2352\n    INDEX 01 00:00:04\n"
    )
    first = b"".join(frames.form1(s, 11410 + i) for i, s in enumerate(frames.sectors(4)))
    second = b"".join(frames.form1(s, 18314 + i) for i, s in enumerate(frames.sectors(3, 7)))
    found = disc(write(tmp_path, sheet, a_bin=frames.audio(10), b_bin=first + second))
    assert [session.tracks for session in found.sessions] == [(1,), (2,), (3,)]
    assert [session.leadout for session in found.sessions] == [10, 11414, 18317]
    assert [track.lba for track in found.tracks] == [0, 11410, 18314]
    shape = [(row.kind, row.start // 2048) for row in extents(found.space)]
    absent, there = Kind.ABSENT, Kind.DATA
    assert shape == [(absent, 0), (there, 11410), (absent, 11414), (there, 18314)]


@pytest.mark.parametrize("stored", [True, False])
def test_a_lead_out_that_is_a_place_in_the_file(tmp_path: Path, stored: bool) -> None:
    """ImgBurn and IsoBuster: the next INDEX jumps over the gap, which is in the file or not."""
    sheet = one("AUDIO") + (
        "REM LEAD-OUT 00:00:10\nREM SESSION 02\n  TRACK 02 MODE1/2352\n    INDEX 01 02:32:10\n"
    )
    data, plain = frames.data(4, lba=11410)
    gap = bytes(11400 * RAW) if stored else b""
    found = disc(write(tmp_path, sheet, a_bin=frames.audio(10) + gap + data))
    assert [track.lba for track in found.tracks] == [0, 11410]
    assert [track.length for track in found.tracks] == [10, 4]
    assert user(found) == plain


def test_the_high_density_area_of_a_gd_rom(tmp_path: Path) -> None:
    sheet = (
        "REM SINGLE-DENSITY AREA\n"
        + one("MODE1/2352")
        + (
            'REM HIGH-DENSITY AREA\nFILE "b.bin" BINARY\n'
            "  TRACK 02 MODE1/2352\n    INDEX 01 00:00:00\n"
        )
    )
    low, _ = frames.data(3)
    high, plain = frames.data(2, 4, lba=45000)
    found = disc(write(tmp_path, sheet, a_bin=low, b_bin=high))
    assert [track.lba for track in found.tracks] == [0, 45000]
    assert found.medium == "GD"
    assert naive.read(found.space, 45000 * 2048) == plain


def test_motorola_audio_is_turned_round_and_data_is_not(tmp_path: Path) -> None:
    data, plain = frames.data(3)
    sound = frames.audio(5)
    turned = bytes(sound[i ^ 1] for i in range(len(sound)))
    sheet = one("MODE1/2352", kind="MOTOROLA") + "  TRACK 02 AUDIO\n    INDEX 01 00:00:03\n"
    found = disc(write(tmp_path, sheet, a_bin=data + turned))
    assert user(found) == plain
    assert main(found.tracks[1]) == sound
    assert found.tracks[1].main is not None
    assert naive.read(found.tracks[1].main, 7, 1001) == sound[7:1001]


def test_descriptions_are_kept(tmp_path: Path) -> None:
    sheet = (
        'REM GENRE "x"\nCATALOG 1234567890123\nTITLE "Disc, \u00e9t\u00e9"\nPERFORMER "Who"\n'
        'CDTEXTFILE "a.cdt"\nFILE "a.bin" BINARY\n  TRACK 05 AUDIO\n    TITLE "TRACK 99 AUDIO"\n'
        "    FLAGS DCP 4CH PRE SCMS\n    ISRC ABCDE1234567\n    INDEX 01 00:00:00\n"
    )
    found = disc(write(tmp_path, sheet, a_bin=frames.audio(2), a_cdt=b"\x80" * 18 + b"\0"))
    track = found.tracks[0]
    assert found.catalog == "1234567890123"
    assert found.text == {"TITLE": "Disc, \u00e9t\u00e9", "PERFORMER": "Who"}
    assert (track.number, track.isrc) == (5, "ABCDE1234567")
    assert track.text == {"TITLE": "TRACK 99 AUDIO"}
    assert track.flags == {"DCP", "4CH", "PRE", "SCMS"}
    assert found.cdtext == b"\x80" * 18  # without the zero that closes the file
    assert found.info["remarks"] == ['REM GENRE "x"']


# --- WAVE -----------------------------------------------------------------------------------


def test_a_wave_file_is_read_past_its_header_and_filled_up(tmp_path: Path) -> None:
    samples = frames.audio(3)[: 2 * RAW + 100]
    path = write(tmp_path, one("AUDIO", name="a.wav", kind="WAVE"), a_wav=wave(samples))
    assert main(disc(path).tracks[0]) == samples + bytes(RAW - 100)
    assert kinds(path) == ["padding", "no-data"]


def test_a_wave_file_called_binary_is_said(tmp_path: Path) -> None:
    samples = frames.audio(3)
    path = write(tmp_path, one("AUDIO"), a_bin=wave(samples))
    assert main(disc(path).tracks[0]) == samples
    assert kinds(path) == ["sheet", "no-data"]


@pytest.mark.parametrize(
    ("rate", "channels", "bits"), [(48000, 2, 16), (44100, 1, 16), (44100, 2, 24)]
)
def test_other_waves_are_refused_with_what_was_found(
    tmp_path: Path, rate: int, channels: int, bits: int
) -> None:
    content = wave(bytes(RAW * 4), rate, channels, bits)
    with pytest.raises(UnsupportedError, match=f"{channels} channels, {rate} Hz, {bits} bits"):
        disc(write(tmp_path, one("AUDIO", name="a.wav", kind="WAVE"), a_wav=content))


def test_content_that_is_no_audio_file_is_refused(tmp_path: Path) -> None:
    for kind in ("WAVE", "MP3", "AIFF", "FLAC"):
        with pytest.raises(UnsupportedError, match=f"line 1: .* is no {kind} file"):
            disc(write(tmp_path, one("AUDIO", kind=kind), a_bin=b"x"))


def test_a_short_wave_is_truncated(tmp_path: Path) -> None:
    with pytest.raises(TruncatedError):
        disc(write(tmp_path, one("AUDIO", kind="WAVE"), a_bin=wave(frames.audio(2))[:-1]))


# --- tolerance ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8"),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: text.encode("cp1252"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("    ", "\t ").lower().encode(),
    ],
)
def test_encodings_line_ends_and_case(tmp_path: Path, encode: Callable[[str], bytes]) -> None:
    sheet = 'TITLE "\u00e9t\u00e9"\n' + one("AUDIO", name="\u00e9.bin")
    (tmp_path / "\u00e9.bin").write_bytes(frames.audio(2))
    found = disc(write(tmp_path, encode(sheet)))
    assert found.text == {"TITLE": "\u00e9t\u00e9"}
    assert found.tracks[0].length == 2


def test_what_is_odd_and_survives_is_said(tmp_path: Path) -> None:
    sheet = (
        "CATALOG 123\nFILE a b.bin\nTRACK 1 audio\nWHAT 7\nISRC short\nFLAGS DCP XYZ DATA\n"
        "INDEX 1  00 : 00 : 00\nTRACK 2 AUDIO\nINDEX 01 00:00:75\n"
    )
    (tmp_path / "a b.bin").write_bytes(frames.audio(80))
    path = write(tmp_path, sheet)
    assert disc(path).tracks[1].lba == 75
    for words in ("line 1: CATALOG", "line 2: FILE without a type", "line 4: unknown command",
                  "line 5: ISRC", "line 6: unknown flag 'XYZ'", "line 9: 00:00:75"):  # fmt: skip
        assert words in said(path)
    assert disc(path).tracks[0].flags == {"DCP"}


def test_a_file_in_another_case_or_with_the_sheets_name_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, one("AUDIO", name="A.BIN"), a_bin=frames.audio(1))
    assert kinds(path)[0] == "case"
    path = write(tmp_path, one("AUDIO", name="old.bin"), name="a.cue")
    assert kinds(path)[0] == "name"


def test_a_file_without_an_index_is_said_and_not_opened(tmp_path: Path) -> None:
    path = write(tmp_path, one("AUDIO") + 'FILE "none.bin" BINARY\n', a_bin=frames.audio(1))
    assert "line 4: FILE 'none.bin' holds no index" in said(path)


def test_frames_without_edc_are_said(tmp_path: Path) -> None:
    bare = b"".join(frames.mode1(s, i)[:2064] + bytes(288) for i, s in enumerate(frames.sectors(3)))
    path = write(tmp_path, one("MODE1/2352"), a_bin=bare)
    assert kinds(path) == ["checksum"]
    with image.open(path) as opened:
        assert opened.read(0, opened.size) == b"".join(frames.sectors(3))


# --- real sheets ----------------------------------------------------------------------------


def test_tracks_of_the_corpus(corpus: Path, shared: Path) -> None:
    from tests.rows import table

    seen = 0
    for row in table(shared / "corpus/TRACKS.tsv"):
        if not row["path"].startswith("cue/") or row["sectors"] == "0" or "igir" in row["path"]:
            continue
        if "chdman-js" in row["path"]:
            continue  # content without a sync: refused, as the next test has it
        found = disc(corpus / row["path"])
        track = found.tracks[int(row["track"]) - 1]
        assert (track.mode.name, track.length) == (row["type"], int(row["sectors"]))
        assert hashlib.sha256(main(track)).hexdigest() == row["sha256_stored"]
        if row["sha256_user2048"] != "-":
            assert hashlib.sha256(user(found)).hexdigest() == row["sha256_user2048"]
        seen += 1
    assert seen == 6


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("libcdio__bad-cat1.cue", CorruptError, "line 4: CATALOG without a number"),
        ("libcdio__bad-mode1.cue", CorruptError, "line 6: track mode 'MODE3_FORM1'"),
        ("libcdio__bad-msf-3.cue", CorruptError, "line 7: 'xx:yy:0' is no time"),
        ("libcue__99_tracks.cue", MissingError, "line 3: 'dummy.wav'"),
        ("whipper__bloc.cue", MissingError, "line 3: 'data.wav'"),
        ("igir__CD-ROM/CD-ROM.cue", CorruptError, "line 2: .*sync"),
        ("chdman-js__multiple/multiple.cue", CorruptError, "line 2: .*sync"),
    ],
)
def test_broken_sheets_of_the_corpus(
    corpus: Path, name: str, error: type[DiskImageError], words: str
) -> None:
    with pytest.raises(error, match=words):
        image.open(corpus / "cue" / name)


def test_a_sheet_of_toc2cue(tmp_path: Path, peer: Callable[[str], str]) -> None:
    data, plain = frames.data(20)
    gap, sound = frames.audio(150, 2), frames.audio(300, 3)
    (tmp_path / "a.bin").write_bytes(data + gap + sound)
    toc = (
        'CD_ROM\n\nTRACK MODE1_RAW\nDATAFILE "a.bin" 00:00:20\n\n'
        f'TRACK AUDIO\nFILE "a.bin" #{len(data)} 0 00:06:00\nSTART 00:02:00\n'
    )
    (tmp_path / "a.toc").write_text(toc)
    subprocess.run(
        [peer("toc2cue"), "a.toc", "a.cue"], check=True, cwd=tmp_path, capture_output=True
    )
    found = disc(tmp_path / "a.cue")
    assert user(found) == plain
    assert (found.tracks[1].lba, found.tracks[1].pregap) == (170, 150)
    assert main(found.tracks[1]) == sound


def test_a_sheet_is_told_by_its_suffix_and_its_content_together() -> None:
    """A text format by content alone would take any text file that lists FILE and TRACK lines."""
    sheet = one("MODE1/2352").encode()
    found = {
        name: FORMAT.probe(Look(content, content, len(content), name))
        for name, content in (("a.cue", sheet), ("a.txt", sheet), ("a", sheet), ("b.cue", b"hello"))
    }
    assert [name for name, bid in found.items() if bid is not None] == ["a.cue"]
