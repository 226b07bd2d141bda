"""Tables of contents: addresses worked out by hand or told by cdrdao, content by other makers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import image, registry
from diskimage.disc import cdtext
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    LoopError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.model import Disc
from diskimage.sources.anything import as_source
from tests.makers import cue, frames
from tests.makers.opened import disc, kinds, main, said, user
from tests.makers.toc import big, one, write

RAW = 2352
Peer = Callable[[str], str]

DATA, PLAIN = frames.data(20)
SOUND = frames.audio(30, 3)


def marks(found: Disc) -> list[tuple[int, ...]]:
    """Number, pregap's first LBA, LBAs of index 1 and those after it, and where it ends."""
    return [
        (
            t.number,
            t.lba - t.pregap,
            *(lba for n, lba in t.indexes if n),
            t.lba + t.length + t.postgap,
        )
        for t in found.tracks
    ]


def shown(cdrdao: str, table: Path) -> list[tuple[int, ...]]:
    """The same as cdrdao prints them."""
    command = [cdrdao, "show-toc", table.name]
    done = subprocess.run(command, cwd=table.parent, capture_output=True, text=True, check=False)
    rows: list[tuple[int, ...]] = []
    for part in re.split(r"(?m)^TRACK +", done.stdout)[1:]:
        places = re.findall(r"(PREGAP|START|INDEX|END)[^(\n]*\( *(\d+)\)", part)
        told = {word: [int(n) for w, n in places if w == word] for word, _ in places}
        start = told["START"][0]
        first = start - told["PREGAP"][0] if "PREGAP" in told else start
        rows.append((int(part.split()[0]), first, start, *told.get("INDEX", []), told["END"][0]))
    assert rows, done.stderr
    return rows


# --- what a table means ---------------------------------------------------------------------


def test_a_track_of_each_mode_gives_its_frames(tmp_path: Path) -> None:
    plain = frames.sectors(20, 5)
    first = [frames.mode1(sector, i) for i, sector in enumerate(plain)]
    second = [frames.form1(sector, i) for i, sector in enumerate(plain)]
    stored = {
        "MODE1": plain,
        "MODE2_FORM1": plain,
        "MODE1_RAW": first,
        "MODE2_RAW": second,
        "MODE2": [frame[16:] for frame in second],
        "MODE2_FORM_MIX": [frame[16:] for frame in second],
    }
    for mode, content in stored.items():
        path = write(tmp_path, one(mode), a_bin=b"".join(content))
        assert user(disc(path)) == b"".join(plain), mode
        assert main(disc(path).tracks[0]) == b"".join(content)
        woven = b"".join(frame + bytes([i]) * 96 for i, frame in enumerate(content))
        for word, layout in (("RW_RAW", "interleaved"), ("RW", "rw")):
            found = disc(write(tmp_path, one(f"{mode} {word}"), a_bin=woven))
            assert user(found) == b"".join(plain), mode
            assert main(found.tracks[0]) == b"".join(content)
            assert found.tracks[0].subchannel == layout
            assert sub_of(found, 0) == b"".join(bytes([i]) * 96 for i in range(20))
    payload = b"".join(frames.form2(bytes([i]) * 2324, i)[24:-4] for i in range(9))
    found = disc(write(tmp_path, one("MODE2_FORM2"), a_bin=payload))
    assert main(found.tracks[0]) == payload
    assert found.data is None


def sub_of(found: Disc, track: int) -> bytes:
    """The stored subchannel of a track, frame after frame."""
    out = b""
    for piece in found.tracks[track].pieces:
        sub = piece.sub
        for i in range(piece.frames if sub is not None else 0):
            assert sub is not None
            frame = bytearray(sub.size)
            sub.source.read_into(sub.at + i * sub.pitch, memoryview(frame))
            out += frame
    return out


def test_bare_samples_are_big_endian_and_those_of_a_wave_are_not(tmp_path: Path) -> None:
    table = (
        'CD_DA\nTRACK AUDIO\nFILE "a.bin" 0\nTRACK AUDIO\nAUDIOFILE "b.wav" 0\n'
        'TRACK AUDIO\nDATAFILE "a.bin"\n'
    )
    path = write(tmp_path, table, a_bin=big(SOUND), b_wav=cue.wave(SOUND))
    assert [main(track) for track in disc(path).tracks] == [SOUND] * 3
    assert kinds(path) == ["no-data"]


def test_a_wave_by_another_name_is_read_as_one_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, one("AUDIO", 'FILE "a.bin" 0'), a_bin=cue.wave(SOUND))
    assert main(disc(path).tracks[0]) == SOUND
    assert kinds(path) == ["sheet", "no-data"]
    path = write(tmp_path, one("AUDIO", 'FILE "a.wav" 0'), a_wav=SOUND)
    with pytest.raises(UnsupportedError, match="not a WAVE file"):
        disc(path)
    path = write(tmp_path, one("AUDIO", 'FILE "a.bin" #44 0'), a_bin=cue.wave(SOUND))
    with pytest.raises(UnsupportedError, match="neither offset"):
        disc(path)


def test_audio_with_subchannel_is_turned_and_its_subchannel_is_not(tmp_path: Path) -> None:
    woven = b"".join(
        big(SOUND[i * RAW : (i + 1) * RAW]) + bytes(range(i, i + 96)) for i in range(30)
    )
    found = disc(write(tmp_path, one("AUDIO RW_RAW", 'DATAFILE "a.bin"'), a_bin=woven))
    assert main(found.tracks[0]) == SOUND
    assert sub_of(found, 0) == b"".join(bytes(range(i, i + 96)) for i in range(30))


def test_offsets_starts_and_lengths_count_what_the_statement_counts(tmp_path: Path) -> None:
    content = bytes(5) + big(SOUND)
    for rest, first, count in (
        ('FILE "a.bin" #5 0', 0, 30),
        ('FILE "a.bin" #5 588 1176', 1, 2),  # samples
        ('FILE "a.bin" #5 0:0:1 0:0:2', 1, 2),
        ('FILE "a.bin" #5 0:0:1 0', 1, 29),  # 0: all that is left
        ('DATAFILE "a.bin" #5 4704', 0, 2),  # bytes
        ('DATAFILE "a.bin" #5 0:0:3', 0, 3),
        ('FIFO "a.bin" #5 2352', 0, 1),
    ):
        found = disc(write(tmp_path, one("AUDIO", rest, "CD_DA"), a_bin=content))
        assert main(found.tracks[0]) == SOUND[first * RAW : (first + count) * RAW], rest
    found = disc(write(tmp_path, one("MODE1_RAW", f'FILE "a.bin" {RAW} 0:0:2'), a_bin=DATA))
    assert main(found.tracks[0]) == DATA[RAW : 3 * RAW]


def test_clips_that_are_no_whole_frames_follow_one_another(tmp_path: Path) -> None:
    wave = cue.wave(SOUND)
    table = (
        'CD_DA\nTRACK AUDIO\nFILE "a.bin" 0 100\nSTART\nFILE "b.wav" 100 1000\nSILENCE 76\n'
        'FILE "a.bin" 7 300\n'
    )
    path = write(tmp_path, table, a_bin=big(SOUND), b_wav=wave)
    found = disc(path)
    whole = SOUND[:400] + SOUND[400:4400] + bytes(304) + SOUND[28:1228]
    whole = whole.ljust(3 * RAW, b"\0")
    assert (found.tracks[0].lba, found.tracks[0].pregap) == (1, 1)  # rounded up to a frame
    assert main(found.tracks[0]) == whole[RAW:]
    assert kinds(path) == ["padding", "no-data"]


def test_a_short_last_sector_is_filled_up_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, one("MODE1"), a_bin=PLAIN[:-5])
    assert user(disc(path)) == PLAIN[:-5] + bytes(5)
    assert kinds(path) == ["padding"]


PLACES = {
    "pregap": 'TRACK AUDIO\nPREGAP 0:2:0\nFILE "a.bin" 0\nSILENCE 0:2:0\nINDEX 0:1:0\n',
    "start": 'TRACK AUDIO\nFILE "a.bin" 0\nSTART 0:1:0\nINDEX 0:2:0\nINDEX 0:3:0\n',
    "start here": 'TRACK AUDIO\nFILE "a.bin" 0 400\nSTART\nFILE "a.bin" 0\n',
    "end": 'TRACK AUDIO\nFILE "a.bin" 0\nSTART 0:1:0\nEND 0:3:0\nFILE "a.bin" 0\nINDEX 0:1:0\n',
    "end here": 'TRACK AUDIO\nPREGAP 0:1:0\nFILE "a.bin" 0\nEND\nFILE "a.bin" 0\n',
    "data": 'TRACK MODE1\nPREGAP 0:2:0\nDATAFILE "a.bin" 0:4:0\nZERO 0:2:0\n',
    "other zeros": 'TRACK MODE1\nZERO MODE2 0:3:0\nSTART\nZERO MODE1 RW 0:1:0\nDATAFILE "a.bin"\n',
    "samples": 'TRACK AUDIO\nSILENCE 705600\nFILE "a.bin" 0:1:0 176400\n',
}  # fmt: skip


@pytest.mark.parametrize("label", PLACES)
def test_places_are_those_that_cdrdao_prints(label: str, tmp_path: Path, peer: Peer) -> None:
    content = bytes(range(250)) * (RAW * 400 // 250)
    more = 'TRACK AUDIO\nFILE "a.bin" 0 0:4:0\n'
    path = write(tmp_path, f"CD_ROM\n{PLACES[label]}{more}", a_bin=content)
    assert marks(disc(path)) == shown(peer("cdrdao"), path)


def test_zeros_that_no_file_holds_are_made_up(tmp_path: Path) -> None:
    table = (
        'CD_ROM\nTRACK MODE1_RAW\nDATAFILE "a.bin"\nZERO 0:2:0 // post-gap\n'
        'TRACK AUDIO\nSILENCE 0:2:0\nSTART\nFILE "b.bin" 0\n'
    )
    found = disc(write(tmp_path, table, a_bin=DATA, b_bin=big(SOUND)))
    first, second = found.tracks
    assert (first.lba, first.length, first.postgap) == (0, 20, 150)
    assert (second.lba, second.length, second.pregap) == (320, 30, 150)
    assert user(found) == PLAIN
    assert main(second) == SOUND
    assert found.sessions[0].kind == "CDROM"
    silent = disc(write(tmp_path, "CD_DA\nTRACK AUDIO\nSILENCE 1:0:0\n"))
    assert (silent.tracks[0].length, silent.tracks[0].postgap) == (4500, 0)


def test_flags_and_codes(tmp_path: Path) -> None:
    table = (
        'CATALOG "1234567890123"\nCD_DA\nTRACK AUDIO COPY PRE_EMPHASIS FOUR_CHANNEL_AUDIO '
        'ISRC "ABCDE1234567" FILE "a.bin" 0 // all on one line\n'
        'TRACK AUDIO\nNO COPY\nNO PRE_EMPHASIS\nTWO_CHANNEL_AUDIO\nFILE "a.bin" 0\n'
    )
    found = disc(write(tmp_path, table, a_bin=big(SOUND)))
    assert found.catalog == "1234567890123"
    assert found.tracks[0].flags == {"DCP", "PRE", "4CH"}
    assert found.tracks[0].isrc == "ABCDE1234567"
    assert (found.tracks[1].flags, found.tracks[1].isrc) == (frozenset(), None)


# --- CD-TEXT --------------------------------------------------------------------------------


def test_one_english_language_is_text(tmp_path: Path) -> None:
    table = (
        'CD_DA\nCD_TEXT { LANGUAGE_MAP { 0 : EN }\n LANGUAGE 0 { TITLE "a } \\"b\\" \\351 // c" '
        'PERFORMER "" GENRE { 0, 12, 82, 111, 99, 107, 0 } } }\n'
        'TRACK AUDIO\nCD_TEXT { LANGUAGE 0 { TITLE "caf\\303\\251" ISRC "AB-CDE-12-34567" } }\n'
        'FILE "a.bin" 0\n'
    )
    found = disc(write(tmp_path, table, a_bin=big(SOUND)))
    assert found.text == {"TITLE": 'a } "b" \u00e9 // c', "GENRE": "Rock"}
    assert found.tracks[0].text == {"TITLE": "caf\u00e9", "ISRC": "AB-CDE-12-34567"}
    assert found.cdtext is None


def test_several_languages_become_packs(tmp_path: Path) -> None:
    tokyo = "\u6771\u4eac"
    octal = "".join(f"\\{byte:03o}" for byte in tokyo.encode("cp932"))
    sizes = ", ".join(["128", *["0"] * 35])
    table = (
        'CD_DA\nCD_TEXT {\n LANGUAGE_MAP { 0 : EN 1:105 }\n LANGUAGE 0 { TITLE "City" }\n'
        f' LANGUAGE 1 {{ TITLE "{octal}" SIZE_INFO {{ {sizes} }} }}\n}}\n'
        'TRACK AUDIO\nCD_TEXT { LANGUAGE 0 { TITLE "One" } LANGUAGE 1 { TITLE "" } }\n'
        'FILE "a.bin" 0\n'
    )
    found = disc(write(tmp_path, table, a_bin=big(SOUND)))
    assert found.text == {"TITLE": "City"}
    told = cdtext.parse(found.cdtext)
    assert [(one.block, one.charset, one.code) for one in told] == [
        (0, "iso8859-1", 9), (1, "cp932", 105),
    ]  # fmt: skip
    assert (told[1].disc, told[0].tracks) == ({"TITLE": tokyo}, {1: {"TITLE": "One"}})
    assert list(cdtext.problems(found.cdtext)) == []


# --- told by content ------------------------------------------------------------------------


def test_a_table_called_cue_and_a_sheet_called_toc_are_told_apart(tmp_path: Path) -> None:
    table, sheet = one("MODE1_RAW"), cue.one("MODE1/2352")
    titled = 'CATALOG "1234567890123"\n' + table.removeprefix("CD_ROM\n")
    for name, text, expected in (
        ("a.cue", table, "toc"), ("b.toc", sheet, "cue"), ("c.cue", sheet, "cue"),
        ("d.toc", table, "toc"), ("e.cue", f"// made by hand\n\n{table}", "toc"),
        ("f.cue", titled, "toc"), ("g.txt", table, "toc"),
        ("h.toc", f"CATALOG 1234567890123\n{sheet}", "cue"),
        ("i.cue", 'TRACK MODE1_RAW\nDATAFILE "a.bin"\n', "toc"),
    ):  # fmt: skip
        source = as_source(write(tmp_path, text, name, a_bin=DATA))
        assert registry.detect(registry.look(source), name).name == expected, name
        source.close()
        assert user(disc(tmp_path / name)) == PLAIN


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        ("CD_ROM\n", CorruptError, "no track"),
        (one("MODE3"), CorruptError, "line 3: track mode 'MODE3'"),
        (one("MODE1", "NEWS 1"), CorruptError, "line 4: unknown statement 'NEWS'"),
        (one("AUDIO", 'FILE "a.bin" 0:60:0'), CorruptError, "line 4: seconds 60"),
        (one("AUDIO", 'FILE "a.bin" 0:0:75'), CorruptError, "line 4: frames 75"),
        (one("AUDIO", 'FILE "a.bin" 0:0'), CorruptError, "line 5: ':' is wanted"),
        (one("AUDIO", 'FILE "a.bin 0'), CorruptError, "line 4: a quotation mark is not closed"),
        (one("AUDIO", "FILE a.bin 0"), CorruptError, "line 4: a file name is wanted"),
        (one("AUDIO", 'FILE "" 0'), CorruptError, "without a name"),
        (one("AUDIO", 'FILE "a.bin"'), CorruptError, "a length is wanted, 'the end' found"),
        (one("AUDIO", ""), CorruptError, "has no frames"),
        (one("AUDIO", "SILENCE 0:4:0\nPREGAP 0:2:0"), CorruptError, "line 5: PREGAP behind"),
        (one("AUDIO", "PREGAP 0:2:0\nSILENCE 0:4:0\nSTART"), CorruptError, "already said"),
        (one("AUDIO", "SILENCE 0:4:0\nSTART"), CorruptError, "outside of it"),
        (one("AUDIO", "SILENCE 0:4:0\nINDEX 0:4:0"), CorruptError, "outside of it"),
        (one("AUDIO", "SILENCE 0:4:0\nINDEX 0:1:0\nINDEX 0:1:0"), CorruptError, "twice"),
        (one("AUDIO", "SILENCE 0:4:0\nSTART 0:1:0\nEND 0:0:9"), CorruptError, "outside of it"),
        (one("AUDIO", "SILENCE 99999999999:0:0"), CorruptError, "a time of 99999999999 minutes"),
        (one("AUDIO", "SILENCE 9999999999999999999"), CorruptError, "longer than any disc"),
        (one("AUDIO", "SILENCE 99999999999999999999"), CorruptError, "a length 9999"),
        (one("MODE1", f'DATAFILE "a.bin" #{"9" * 20}'), CorruptError, "20 digits"),
        (one("MODE1", f'DATAFILE "a.bin" #{"9" * 19}'), TruncatedError, "LBA 0"),
        (one("MODE1_RAW", 'DATAFILE "a.bin" 0:0:21'), TruncatedError, "LBA 20"),
        (one("MODE1_RAW", 'DATAFILE "a.bin" 0:0:5\nFILE "a.bin" 0:0:9 0:0:30'), TruncatedError,
         "LBA 16, which track 1 needs"),
        (one("MODE1", 'DATAFILE "disc.toc"'), LoopError, "names itself"),
        ('CATALOG "12"\n' + one("AUDIO"), CorruptError, "line 1: CATALOG '12'"),
        ("COPY\n" + one("AUDIO"), CorruptError, "line 1: stands before any TRACK"),
        ("CD_ROM\n" + "TRACK AUDIO SILENCE 1\n" * 100, CorruptError, "line 101: a 100th track"),
        (one("AUDIO", "SILENCE 1\n" * 4097), LimitError, "4096 statements"),
        (one("AUDIO", f"SILENCE {' ' * 70000} 1"), LimitError, "65536"),
        ("CD_DA" + "\n" * (1 << 20), LimitError, "1048576"),
        ("CD_DA\nCD_TEXT { { {", CorruptError, "line 2: LANGUAGE_MAP"),
        ("CD_DA\nCD_TEXT { LANGUAGE 8 { } }", CorruptError, "a language number 8"),
        ('CD_DA\nCD_TEXT { LANGUAGE 0 { NAME "x" } }', CorruptError, "item 'NAME'"),
        ("CD_DA\nCD_TEXT { LANGUAGE 0 { GENRE { 256 } } }", CorruptError, "a byte 256"),
        ("CD_DA\nCD_TEXT { LANGUAGE_MAP { 0 : XX } }", CorruptError, "language 'XX'"),
        ("CD_DA\nCD_TEXT { LANGUAGE 0 {", CorruptError, "the end"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    table: str, error: type[DiskImageError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        image.open(write(tmp_path, table, a_bin=DATA), format="toc")


@pytest.mark.parametrize(
    ("declared", "content", "named"),
    [
        ("MODE1", DATA, "MODE1/2352"),
        ("MODE2_RAW", DATA, "MODE1/2352"),
        ("AUDIO", DATA, "MODE1/2352"),
        ("MODE1_RAW", SOUND, "AUDIO"),
        ("MODE2", frames.data(21, mode=2)[0], "MODE2/2352"),
    ],
)
def test_content_of_another_mode_is_refused(
    declared: str, content: bytes, named: str, tmp_path: Path
) -> None:
    rest = 'DATAFILE "a.bin" 0:0:18'
    with pytest.raises(CorruptError, match=f"its content is {named}"):
        disc(write(tmp_path, one(declared, rest), a_bin=content))


def test_an_odd_isrc_is_kept_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, one("AUDIO", 'ISRC "x"\nFILE "a.bin" 0'), a_bin=SOUND)
    assert disc(path).tracks[0].isrc == "x"
    assert "ISRC 'x'" in said(path)
