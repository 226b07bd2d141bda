"""MDX and MDS of version 2: what others wrote, what the layout allows, and what is wrong in it."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    LimitError,
    MissingError,
    PasswordError,
    RefusedReferenceError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.limits import LIMITS
from diskimage.model import Disc
from tests.makers import frames, mdx, naive
from tests.makers.iso import volume
from tests.makers.mdx import Shape, Track, files, lead_in
from tests.makers.opened import disc, files_in, kinds, main, said, user

RAW = 2352
CRYPTO = pytest.importorskip("cryptography", reason="needs the extra `crypto`")


def one(tracks: list[Track], folder: Path, **shape: object) -> Path:
    """A disc of one session as files."""
    return files_in(folder, files([tracks], replace(Shape(), **shape)))  # type: ignore[arg-type]  # fields by name


def read(path: Path, password: str | None = None) -> bytes:
    with image.open(path, password=password) as opened:
        return opened.read(0, opened.size)


def fails(path: Path, password: str | None = None) -> DiskImageError:
    """The error that reading all of an image ends with."""
    with pytest.raises(DiskImageError) as error:
        read(path, password)
    return error.value


@pytest.mark.parametrize("group", [0, 3])
def test_a_password_opens_what_is_under_it(tmp_path: Path, group: int) -> None:
    content = volume()
    path = one([mdx.cooked(content)], tmp_path, sealed=True, password="pässword", group=group)
    assert read(path, "pässword") == content
    assert isinstance(fails(path, "Password"), PasswordError)
    missing = fails(path)
    assert isinstance(missing, PasswordError)
    assert "--password-file" in (missing.remedy or "")


def test_a_password_is_asked_for_once_and_only_where_it_is_needed(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("once")
        return "pass"

    plain = one([mdx.cooked(volume())], tmp_path / "plain")
    sealed = one([mdx.cooked(volume())], tmp_path / "sealed", sealed=True, password="pass")
    for path in (plain, sealed):
        with image.open(path, password=ask) as opened:
            assert opened.size == len(volume())
    assert asked == ["once"]


def test_of_a_long_password_64_bytes_count(tmp_path: Path) -> None:
    path = one([mdx.cooked(volume())], tmp_path, sealed=True, password="k" * 64)
    assert read(path, "k" * 64 + "more") == volume()


def test_every_mode_and_subchannel_is_told_apart(tmp_path: Path) -> None:
    draw = random.Random(5)
    sound, sub = frames.audio(3), draw.randbytes(96 * 3)
    both = b"".join(sound[i * RAW : (i + 1) * RAW] + sub[i * 96 : (i + 1) * 96] for i in range(3))
    data, _ = frames.data(3, 1, lba=3)
    mixed = frames.form1(bytes(2048), 6) + frames.form2(bytes(2324), 7)
    short = b"".join(mixed[i * RAW + 16 : (i + 1) * RAW] for i in range(2))
    payload = draw.randbytes(2324 * 2)
    cooked = draw.randbytes(2048 * 2)
    q16 = b"".join(data[i * RAW : (i + 1) * RAW] + draw.randbytes(16) for i in range(3))
    wanted = [
        ("AUDIO", "interleaved", 0xA9, 2448, both, 1),
        ("MODE1/2352", None, 0xAA, 2352, data, 0),
        ("MODE2/2352", None, 0xAB, 2352, mixed, 0),
        ("MODE2/2352", None, 0xEC, 2352, mixed, 0),
        ("MODE2/2336", None, 0x03, 2336, short, 0),
        ("MODE2/2324", None, 0x05, 2324, payload, 0),
        ("MODE2/2048", None, 0x04, 2048, cooked, 0),
        ("MODE1/2352", "q16", 0xAA, 2368, q16, 2),
        ("AUDIO", "rw", 0xA9, 2448, both, 4),
        ("AUDIO", "interleaved", 0xA9, 2448, both, 0),  # as version 2.0 has it
    ]
    lba, tracks = 0, []
    for point, (_, _, kind, pitch, content, subs) in enumerate(wanted, 1):
        lengths = (150, 0) if point == 1 else (0, 0)
        tracks.append(Track(point, kind, pitch, (content,), lba, lengths, sub=subs,
                            control=0 if kind == 0xA9 else 4))  # fmt: skip
        lba += len(content) // pitch
    for sealed in (False, True):
        for group in (0, 2):
            folder = tmp_path / f"{sealed}{group}"
            found = disc(one(tracks, folder, sealed=sealed, group=group))
            assert [(t.mode.name, t.subchannel) for t in found.tracks] == [w[:2] for w in wanted]
            for track, (_, layout, _, pitch, content, _) in zip(found.tracks, wanted, strict=True):
                size = track.mode.size
                count = len(content) // pitch
                split = [content[i * pitch : (i + 1) * pitch] for i in range(count)]
                assert main(track) == b"".join(frame[:size] for frame in split)
                if layout is not None:
                    assert subs_of(track.pieces[0]) == b"".join(frame[size:] for frame in split)


def subs_of(piece: object) -> bytes:
    """The subchannel of a piece as it is stored."""
    from diskimage.disc.subchannel import stored
    from diskimage.model import Piece

    assert isinstance(piece, Piece)
    assert piece.sub is not None
    return bytes(stored(piece.sub, 0, piece.frames))


@pytest.mark.parametrize("kept", [True, False])
def test_a_pregap_is_where_the_frames_are_counted(tmp_path: Path, kept: bool) -> None:
    data, _ = frames.data(20)
    sound = frames.audio(14 if kept else 10)
    second = Track(2, 0xA9, RAW, (sound,), 24, (4, 10), first=20 if kept else 24, control=0)
    path = one([Track(1, 0xAA, RAW, (data,)), second], tmp_path)
    track = disc(path).tracks[1]
    assert (track.lba, track.length, track.pregap) == (24, 10, 4)
    assert (track.pieces[0].source is None) == (not kept)
    assert main(track) == sound[-10 * RAW :]
    assert kinds(path) == []


def test_a_pregap_that_its_row_denies_is_said(tmp_path: Path) -> None:
    data, _ = frames.data(20)
    second = Track(2, 0xA9, RAW, (frames.audio(14),), 24, (4, 10), first=24, control=0)
    path = one([Track(1, 0xAA, RAW, (data,)), second], tmp_path)
    assert "pregap" in kinds(path)
    assert disc(path).tracks[1].length == 10


def test_other_numbers_of_frames_are_corrupt(tmp_path: Path) -> None:
    data, _ = frames.data(20)
    second = Track(2, 0xA9, RAW, (frames.audio(12),), 24, (4, 10), control=0)
    error = fails(one([Track(1, 0xAA, RAW, (data,)), second], tmp_path))
    assert isinstance(error, CorruptError)
    assert "track 2" in str(error)


def test_further_lengths_are_indexes(tmp_path: Path) -> None:
    track = Track(1, 0xA9, RAW, (frames.audio(12),), 0, (150, 5, 4, 3), control=0)
    assert disc(one([track], tmp_path)).tracks[0].indexes == ((1, 0), (2, 5), (3, 9))


def test_flags_sessions_rows_and_texts(tmp_path: Path) -> None:
    from diskimage.disc.cdtext import encode

    packs = encode({"TITLE": "Disc"}, {1: {"TITLE": "One"}, 2: {}})
    tracks = [Track(1, 0xA9, RAW, (frames.audio(5),), control=3)]
    data, content = frames.data(6, 1, lba=11405)
    later = [Track(2, 0xAA, RAW, (data,), 11405)]
    rows = (lead_in(0xA0, (1, 0x20, 0)), lead_in(0xA1, (1, 0, 0)), lead_in(0xA2, (0, 2, 5)))
    shape = Shape(packs=packs, rows=rows)
    found = disc(files_in(tmp_path, files([tracks, later], shape)))
    assert found.tracks[0].flags == {"PRE", "DCP"}
    assert [(s.number, s.tracks, s.leadout) for s in found.sessions] == [
        (1, (1,), 5), (2, (2,), 11411),
    ]  # fmt: skip
    assert found.sessions[0].kind == "CDROM_XA"
    assert [row.point for row in found.toc] == [0xA0, 0xA1, 0xA2, 1, 2]
    assert (found.text["TITLE"], found.tracks[0].text["TITLE"]) == ("Disc", "One")
    assert found.cdtext == packs
    assert user(found) == content


def test_a_dvd_has_its_length_in_its_row(tmp_path: Path) -> None:
    found = disc(one([mdx.cooked(volume())], tmp_path, medium=3))
    assert (found.medium, user(found)) == ("DVD", volume())


def test_a_split_set_is_one_track(tmp_path: Path) -> None:
    made, content = mdx.split()
    path = files_in(tmp_path, made)
    assert read(path) == content
    assert len(disc(path).tracks[0].pieces) == 2


def test_a_descriptor_renamed_with_its_file_finds_it(tmp_path: Path) -> None:
    shape = Shape(inside=False, names=("first.mdf",))
    made = files([[mdx.cooked(volume())]], shape, "b")
    path = files_in(tmp_path, {"b.mds": made["b.mds"], "b.mdf": made["first.mdf"]})
    assert read(path) == volume()
    assert "first.mdf" in said(path)


@pytest.mark.parametrize(
    ("name", "kind"), [("..\\x.mdf", RefusedReferenceError), ("x.mdf", MissingError)]
)
def test_names_are_judged(tmp_path: Path, name: str, kind: type[DiskImageError]) -> None:
    made = files([[mdx.cooked(volume())]], Shape(inside=False, names=(name,)))
    path = files_in(tmp_path / "in", {"a.mds": made["a.mds"]})
    (tmp_path / "x.mdf").write_bytes(volume())
    assert isinstance(fails(path), kind)


def test_the_content_has_the_last_word_on_a_mode(tmp_path: Path) -> None:
    data, _ = frames.data(20)
    path = one([Track(1, 0xA9, RAW, (data,))], tmp_path)
    assert "mode" in kinds(path)
    assert disc(path).tracks[0].mode.name == "MODE1/2352"


def cut(path: Path, length: int) -> Path:
    path.write_bytes(path.read_bytes()[:length])
    return path


def test_frames_that_are_not_there_are_truncated(tmp_path: Path) -> None:
    made = files([[mdx.cooked(volume())]], Shape(inside=False))
    path = files_in(tmp_path, made)
    cut(tmp_path / "a.mdf", 2048 * 5 + 7)
    error = fails(path)
    assert isinstance(error, TruncatedError)
    assert "track 1" in str(error)
    assert "LBA 5" in str(error)


@pytest.mark.parametrize("sealed", [True, False])
def test_groups_that_are_not_there_are_truncated(tmp_path: Path, sealed: bool) -> None:
    content = random.Random(1).randbytes(2048 * 40)
    made = files([[mdx.cooked(content)]], Shape(inside=False, group=4, sealed=sealed))
    path = files_in(tmp_path, made)
    whole = made["a.mdf"]
    (tmp_path / "a.mdf").write_bytes(whole[:20000] + whole[20001:])
    assert isinstance(fails(path), CorruptError | TruncatedError)
    cut(tmp_path / "a.mdf", 20000)
    assert isinstance(fails(path), TruncatedError)


def test_keys_with_a_wrong_crc_are_checksum(tmp_path: Path) -> None:
    made = files([[mdx.cooked(volume())]], Shape(sealed=True, password="p"))
    path = files_in(tmp_path, made)
    whole = bytearray(path.read_bytes())
    whole[-512 + 64 + 15 * 16] ^= 1  # in CBC this garbles one block of the keys and a bit more
    path.write_bytes(whole)
    assert isinstance(fails(path, "p"), ChecksumError)


def test_a_header_that_does_not_open_is_corrupt(tmp_path: Path) -> None:
    path = one([mdx.cooked(volume())], tmp_path)
    whole = bytearray(path.read_bytes())
    whole[-512] ^= 1
    path.write_bytes(whole)
    assert isinstance(fails(path), CorruptError)


def test_another_version_is_unsupported(tmp_path: Path) -> None:
    path = one([mdx.cooked(volume())], tmp_path)
    whole = bytearray(path.read_bytes())
    whole[16] = 3
    path.write_bytes(whole)
    with pytest.raises(UnsupportedError):
        image.open(path, format="mdx")


FIELDS = {
    "sessions": (20, "<H"), "CD-TEXT": (40, "<I"), "place of sessions": (80, "<I"),
    "keys": (88, "<I"), "rows": (0x60 + 10, "<B"), "place of rows": (0x60 + 20, "<I"),
    "mode": (0x80, "<B"), "lengths": (0x80 + 12, "<I"), "frame size": (0x80 + 16, "<H"),
    "byte": (0x80 + 40, "<Q"), "footers": (0x80 + 48, "<I"), "footer": (0x80 + 52, "<I"),
    "pregap": (0x80 + 80, "<I"), "length": (0x80 + 84, "<I"), "name": (0x80 + 88, "<I"),
    "group": (0x80 + 88 + 12, "<I"), "frames": (0x80 + 88 + 16, "<Q"),
    "table": (0x80 + 88 + 24, "<Q"),
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("inside", [True, False])
def test_every_field_of_a_descriptor_may_lie(tmp_path: Path, field: str, inside: bool) -> None:
    """Zero, the highest value, and some: bytes as they were, or one error of ours."""
    at, code = FIELDS[field]
    content = volume() + bytes(4096)
    width = struct.calcsize(code)
    draw = random.Random(field)
    values = [bytes(width), b"\xff" * width, b"\x7f".rjust(width, b"\xff"), draw.randbytes(width)]
    wrong = 0
    for i, value in enumerate(values):
        path = one(
            [mdx.cooked(content)], tmp_path / str(i), inside=inside, group=4,
            packs=bytes(18), wrong={at: value},
        )  # fmt: skip
        try:
            got = read(path)
        except DiskImageError:
            wrong += 1
        else:
            assert got == content, (field, value)
    assert wrong or field in ("CD-TEXT", "pregap", "keys", "name")


def test_a_group_above_the_limit_is_refused(tmp_path: Path) -> None:
    content = bytes(2048 * 4096)
    path = one([mdx.cooked(content)], tmp_path, group=1 << 20)
    assert read(path) == content  # a group is no larger than its track
    with pytest.raises(LimitError, match="chunk"):
        image.open(path, limits=replace(LIMITS, chunk=1 << 20))


def test_a_small_file_of_a_large_disc_is_holes_and_no_memory(tmp_path: Path) -> None:
    """Two million sectors of one byte in two kilobytes: read where asked, never held."""
    count = 1 << 21
    table = struct.pack("<H", 0x8000) * (count // 16 - 1) + struct.pack("<H", 0x80EE)
    made = mdx.files_of_table(table, count)
    path = files_in(tmp_path, made)
    with image.open(path) as opened:
        assert opened.size == count * 2048
        assert opened.read(opened.size - 4, 4) == b"\xee" * 4
        assert opened.read(1 << 30, 4) == bytes(4)


def test_a_table_of_more_than_it_should_hold_is_read_no_further(tmp_path: Path) -> None:
    made = mdx.files_of_table(bytes(64 << 20), 16)
    path = files_in(tmp_path, made)
    assert len(path.read_bytes()) < 1 << 20
    assert isinstance(fails(path), CorruptError | TruncatedError)


@pytest.mark.parametrize("label", ["plain", "groups", "sealed-groups", "mdf"])
def test_flipped_bytes_end_in_bytes_or_one_error(tmp_path: Path, label: str) -> None:
    sample = next(one for one in mdx.samples() if one.label == label)
    path, draw = sample.write(tmp_path), random.Random(label)
    for name, content in sample.files.items():
        for _ in range(60):
            wrong = bytearray(content)
            for _ in range(draw.randint(1, 4)):
                wrong[draw.randrange(len(wrong))] ^= 1 << draw.randrange(8)
            (tmp_path / name).write_bytes(wrong)
            try:
                read(path)
            except DiskImageError:
                continue
        (tmp_path / name).write_bytes(content)


def test_frames_read_from_many_threads_are_the_same(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    sample = next(one for one in mdx.samples() if one.label == "sealed-groups")
    with image.open(sample.write(tmp_path)) as opened, ThreadPoolExecutor(8) as pool:
        draw = random.Random(2)
        spans = [sorted(draw.choices(range(opened.size), k=2)) for _ in range(200)]
        got = pool.map(lambda span: opened.read(span[0], span[1] - span[0]), spans)
        for (start, stop), content in zip(spans, got, strict=True):
            assert content == sample.guest[start:stop]


def test_extents_of_a_disc_are_lawful(tmp_path: Path) -> None:
    sample = next(one for one in mdx.samples() if one.label == "groups")
    with image.open(sample.write(tmp_path)) as opened:
        assert isinstance(opened.content, Disc)
        naive.lawful(opened.device, 5, opened.size - 3)
