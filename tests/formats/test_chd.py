"""CHD files read: maps, hunks, parents, metadata and tracks, of files made by hand."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import DiskImageError
from diskimage.formats.chd import hunks
from diskimage.jobs.check import check
from diskimage.kernels import chd
from diskimage.model import Disc
from tests.makers import chd as make, frames, opened

GUEST = b"".join(frames.sectors(10, seed=9))


def kind_of(path: Path, **options: object) -> str:
    """The kind of error that reading everything ends in, or "ok"."""
    try:
        with image.open(path, **options) as got:  # type: ignore[arg-type]  # any option of open
            got.read(0, got.size)
            if got.disc:
                for track in got.disc.tracks:
                    opened.main(track)
    except DiskImageError as error:
        return error.kind
    return "ok"


def coded(guest: bytes = GUEST) -> list[make.Coded]:
    """Every hunk of 4096 bytes by deflate."""
    return [
        (0, make.deflated(guest[i : i + 4096].ljust(4096, b"\0")))
        for i in range(0, len(guest), 4096)
    ]


def written(folder: Path, content: bytes, name: str = "a.chd") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def disc_file(
    content: list[tuple[bytes, int, bytes | None]], told: list[bytes], tag: bytes = b"CHT2",
    hunk: int = 19584, more: tuple[tuple[bytes, int, bytes], ...] = (),
) -> bytes:  # fmt: skip
    entries = [(tag, 1, one) for one in told]
    return make.plain5(make.units(content), entries=[*entries, *more], hunk=hunk, unit=2448)


# ---- hunks ----


def test_copies_and_words_of_the_map(tmp_path: Path) -> None:
    a, b = GUEST[:4096], GUEST[4096:8192]
    hunks: list[make.Coded] = [
        (0, make.deflated(a)), (4, b), (5, 0), (10, 0), (9, 0), (9, 0), (9, 0), (9, 0), (5, 2),
    ]  # fmt: skip
    guest = a + b + a + b * 5 + a  # the last is the copy of a copy
    with image.open(written(tmp_path, make.coded5(guest, hunks))) as got:
        assert got.read(0, got.size) == guest
        assert [got.read(4096 * i + 7, 4090) for i in range(9)] == [
            guest[4096 * i + 7 : 4096 * i + 4097] for i in range(9)
        ]
        assert list(got.problems()) == []
    for first in ((5, 0), (5, 1), (5, 900)):
        loop: list[make.Coded] = [first, (5, 0), *hunks[2:]]
        assert kind_of(written(tmp_path, make.coded5(guest, loop))) == "corrupt"


def test_a_wrong_crc_names_its_hunk(tmp_path: Path) -> None:
    plain = [GUEST[i : i + 4096] for i in range(0, len(GUEST), 4096)]
    plain[2] = bytes(4096)  # what its CRC will be made of
    path = written(tmp_path, make.coded5(GUEST, coded(), crcs=plain))
    with image.open(path) as got:
        assert got.read(0, 8192) == GUEST[:8192]
        with pytest.raises(DiskImageError, match=r"hunk 2 \(guest bytes 8192 to 12288\)") as caught:
            got.read(12000, 10)
    assert caught.value.kind == "checksum"


def test_a_wrong_map_is_seen_when_it_is_read(tmp_path: Path) -> None:
    content = bytearray(make.coded5(GUEST, coded()))
    at = content.index(
        make.map5(coded(), [GUEST[i : i + 4096] for i in range(0, 20480, 4096)], 124)
    )
    for place, kind in ((at + 11, "checksum"), (at + 12, "corrupt"), (at + 20, "corrupt")):
        wrong = bytearray(content)
        wrong[place] ^= 0x80
        assert kind_of(written(tmp_path, bytes(wrong))) == kind
    told = check(tmp_path / "a.chd").problems
    assert [one.kind for one in told] == [kind]  # once, not for every hunk


def test_a_wrong_map_is_expanded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, asked = bytearray(make.coded5(GUEST, coded())), list[int]()

    def map_read(bits: bytes, how: chd.Layout, count: int) -> bytearray:
        asked.append(count)
        return chd.map_read(bits, how, count)

    monkeypatch.setattr(hunks, "map_read", map_read)
    content[-1] ^= 0xFF
    content[-2] ^= 0xFF
    with image.open(written(tmp_path, bytes(content))) as got:
        for at in range(0, 4096, 512):
            with pytest.raises(DiskImageError):
                got.read(at, 512)
    assert len(asked) == 1


def test_sums_of_the_header_are_checked(tmp_path: Path) -> None:
    content = bytearray(
        make.coded5(GUEST, coded(), entries=[(b"GDDD", 1, b"x\0"), (b"OTHR", 0, b"y")])
    )
    assert list(image.open(written(tmp_path, bytes(content))).problems()) == []
    content[64] ^= 1
    wrong = list(image.open(written(tmp_path, bytes(content))).problems())
    assert [one.kind for one in wrong] == ["checksum"]
    content[64] ^= 1
    content[84] ^= 1
    assert "combined" in str(next(image.open(written(tmp_path, bytes(content))).problems()))


@pytest.mark.parametrize("version", [3, 4])
def test_old_maps_point_where_they_say(version: int, tmp_path: Path) -> None:
    rows = [(1, 0), (2, 0), (1, 0), (1, 0), (1, 0)]
    good = make.old(GUEST, rows, version=version)
    assert kind_of(written(tmp_path, good)) == "ok"
    assert (
        kind_of(written(tmp_path, make.old(GUEST, [*rows[:4], (9, 0)], version=version)))
        == "corrupt"
    )
    assert kind_of(written(tmp_path, good[:-3000])) == "truncated"
    head = 120 if version == 3 else 108
    wrong = bytearray(good)
    wrong[head + 8] ^= 1  # of the first CRC-32
    assert kind_of(written(tmp_path, bytes(wrong))) == "checksum"
    wrong[head + 15] |= 16  # which now does not count
    assert kind_of(written(tmp_path, bytes(wrong))) == "ok"


# ---- parents ----


def test_hunks_of_more_stored_bytes_than_they_have_are_not_read(tmp_path: Path) -> None:
    """Small hunks of an old map, each said to be stored in 1 MiB: their sum is a bomb."""
    hunks, stored = 4096, 1 << 20
    rows = b"".join(
        struct.pack(">QIHBB", place, 0, stored & 0xFFFF, stored >> 16, 1 | 16)
        for place in (1 << 17, 60 << 20)
    )
    head = b"MComprHD" + struct.pack(">IIIIIQQI", 108, 4, 0, 1, hunks, 16 * hunks, 0, 16)
    path = written(tmp_path, head.ljust(108, b"\0") + rows * (hunks // 2))
    os.truncate(path, 64 << 20)
    tracemalloc.start()
    assert kind_of(path) == "corrupt"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_parent_is_asked_for_by_its_sum(tmp_path: Path) -> None:
    base = written(tmp_path, make.coded5(GUEST, coded()), "base.chd")
    sha = base.read_bytes()[84:104]
    changed = b"new!" * 1024 + GUEST[4096:8192] + GUEST[512:4608] + GUEST[12288:]
    hunks: list[make.Coded] = [
        (0, make.deflated(changed[:4096])), (11, 0), (6, 1), (11, 0), (13, 0),
    ]  # fmt: skip
    path = written(tmp_path, make.coded5(changed, hunks, parent=sha))
    assert kind_of(path, references="parts") == "refused-reference"
    with image.open(path, references={sha.hex(): base}) as got:
        assert got.read(0, got.size) == changed
        assert [(one.role, one.opened) for one in got.references] == [("parent", True)]
    with image.open(path, references="list") as got:
        assert got.read(0, 4096) == changed[:4096]
        with pytest.raises(DiskImageError) as caught:
            got.read(4096, 1)
        assert caught.value.kind == "refused-reference"
    other = written(tmp_path, make.coded5(bytes(20480), coded(bytes(20480))), "other.chd")
    assert kind_of(path, references={sha.hex(): other}) == "corrupt"


def test_a_plain_child_has_its_parents_hunks(tmp_path: Path) -> None:
    base = written(tmp_path, make.coded5(GUEST, coded()), "base.chd")
    sha = base.read_bytes()[84:104]
    changed = GUEST[:4096] + b"new!" * 1024 + GUEST[8192:]
    child = make.plain5(changed, parent=sha, absent=(0, 2, 3, 4))
    path = written(tmp_path, child)
    with image.open(path, references={sha.hex(): base}) as got:
        assert got.read(0, got.size) == changed


def test_a_chain_that_comes_back_is_a_loop(tmp_path: Path) -> None:
    one_sha, two_sha = b"1" * 20, b"2" * 20
    first = bytearray(make.plain5(GUEST, parent=two_sha, absent=range(5)))
    first[84:104] = one_sha
    second = bytearray(make.plain5(GUEST, parent=one_sha, absent=range(5)))
    second[84:104] = two_sha
    path = written(tmp_path, bytes(first))
    other = written(tmp_path, bytes(second), "b.chd")
    assert kind_of(path, references={two_sha.hex(): other, one_sha.hex(): path}) == "loop"


# ---- metadata ----


def test_metadata_that_comes_back_to_itself_is_a_loop(tmp_path: Path) -> None:
    content = bytearray(
        make.coded5(GUEST, coded(), entries=[(b"AAAA", 0, b"x"), (b"BBBB", 0, b"y")])
    )
    first = int.from_bytes(content[48:56], "big")
    second = first + 17
    content[second + 8 : second + 16] = first.to_bytes(8, "big")
    assert kind_of(written(tmp_path, bytes(content))) == "loop"


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (b"CYLS:1,HEADS:1,SECS:5,BPS:4096\0", 4096),
        (b"CYLS:1,HEADS:1,SECS:1,BPS:7\0", 512),
        (b"", 512),
    ],
)
def test_a_disk_has_the_sectors_of_its_geometry(said: bytes, size: int, tmp_path: Path) -> None:
    with image.open(written(tmp_path, make.plain5(GUEST, entries=[(b"GDDD", 1, said)]))) as got:
        assert got.sector_size == size
        assert got.disc is None


def test_a_dvd_is_a_device_of_2048_bytes_a_sector(tmp_path: Path) -> None:
    content = make.plain5(GUEST, entries=[(b"DVD ", 1, b"\0")], unit=2048)
    with image.open(written(tmp_path, content)) as got:
        assert (got.sector_size, got.disc, got.read(0, got.size)) == (2048, None, GUEST)


def told(disc: Disc) -> list[tuple[object, ...]]:
    return [(t.number, t.mode.name, t.lba, t.length, t.pregap, t.postgap) for t in disc.tracks]


def test_gaps_are_stored_where_their_type_begins_with_v(tmp_path: Path) -> None:
    data, sound = frames.data(6)[0], frames.audio(30)
    content = disc_file(
        [(data, 2352, None), (make.swapped(sound[: 20 * 2352]), 2352, None),
         (make.swapped(sound[20 * 2352 :]), 2352, None)],
        [
            make.track(1, "MODE1_RAW", 6, "PREGAP:150 PGTYPE:MODE1_RAW PGSUB:NONE POSTGAP:3"),
            make.track(2, "AUDIO", 20, "PREGAP:5 PGTYPE:VAUDIO PGSUB:NONE POSTGAP:0"),
            make.track(3, "AUDIO", 10, "PREGAP:7 PGTYPE:AUDIO PGSUB:NONE POSTGAP:0"),
        ],
    )  # fmt: skip
    disc = opened.disc(written(tmp_path, content))
    assert told(disc) == [
        (1, "MODE1/2352", 0, 6, 150, 3),
        (2, "AUDIO", 14, 15, 5, 0),
        (3, "AUDIO", 36, 10, 7, 0),
    ]
    assert opened.main(disc.tracks[0]) == data
    assert opened.main(disc.tracks[1]) == sound[5 * 2352 : 20 * 2352]
    assert opened.main(disc.tracks[2]) == sound[20 * 2352 :]
    assert disc.tracks[1].indexes == ((0, 9), (1, 14))
    assert [piece.source is None for piece in disc.tracks[2].pieces] == [True, False]


@pytest.mark.parametrize(
    ("kind", "mode", "size"),
    [("MODE1", "MODE1/2048", 2048), ("MODE2_FORM1", "MODE2/2048", 2048),
     ("MODE2", "MODE2/2336", 2336), ("MODE2_FORM2", "MODE2/2324", 2324),
     ("MODE2_FORM_MIX", "MODE2/2336", 2336)],
)  # fmt: skip
def test_short_frames_lie_at_the_start_of_their_unit(
    kind: str, mode: str, size: int, tmp_path: Path
) -> None:
    body = b"".join(frames.form1(bytes([i]) * 2048, i)[16:][:size] for i in range(5))
    path = written(tmp_path, disc_file([(body, size, None)], [make.track(1, kind, 5, "")]))
    disc = opened.disc(path)
    assert disc.tracks[0].mode.name == mode
    assert opened.main(disc.tracks[0]) == body


def test_subchannel_lies_behind_each_frame(tmp_path: Path) -> None:
    data, sub = frames.data(6)[0], bytes(range(96)) * 6
    content = disc_file([(data, 2352, sub)], [make.track(1, "MODE1_RAW", 6, "", "RW_RAW")])
    (piece,) = opened.disc(written(tmp_path, content)).tracks[0].pieces
    assert piece.sub is not None
    assert (piece.sub.layout, piece.sub.pitch) == ("interleaved", 2448)
    buffer = bytearray(96)
    piece.sub.source.read_into(piece.sub.at + 2448, memoryview(buffer))
    assert buffer == sub[96:192]


def test_a_last_track_that_nothing_fills_up(tmp_path: Path) -> None:
    data, sound = frames.data(6)[0], frames.audio(5)
    units = make.units([(data, 2352, None)])[: 6 * 2448] + make.units(
        [(make.swapped(sound), 2352, None)]
    )
    entries = [(b"CHTR", 1, make.track(1, "MODE1_RAW", 6)), (b"CHTR", 1, make.track(2, "AUDIO", 5))]
    tight = make.plain5(units[: 11 * 2448], entries=entries, hunk=2448, unit=2448)
    disc = opened.disc(written(tmp_path, tight))
    assert [opened.main(track) for track in disc.tracks] == [data, sound]
    cut = make.units([(data, 2352, None)]) + make.swapped(sound[:2352]) + bytes(96)
    short = make.plain5(cut, entries=entries, hunk=2448, unit=2448)
    assert kind_of(written(tmp_path, short)) == "truncated"


def test_gd_rom_tracks_reach_the_high_density_area(tmp_path: Path) -> None:
    data, sound, high = frames.data(4)[0], frames.audio(6), frames.data(5, seed=3, lba=45000)[0]
    pad = 45000 - 4 - 3 - 6
    units = make.units([(data + bytes(3 * 2352), 2352, None), (make.swapped(sound), 2352, None)])
    said = ((1, "MODE1_RAW", 7, 3), (2, "AUDIO", 6 + pad, pad), (3, "MODE1_RAW", 5, 0))
    entries = [
        (b"CHGD", 1, make.track(n, kind, count, f"PAD:{behind} PREGAP:0 PGTYPE:MODE1 POSTGAP:0"))
        for n, kind, count, behind in said
    ]
    whole = (
        units[: 14 * 2448] + bytes((-(6 + pad) % 4 + pad) * 2448) + make.units([(high, 2352, None)])
    )
    path = written(tmp_path, make.plain5(whole, entries=entries, hunk=2448 * 8, unit=2448))
    disc = opened.disc(path)
    assert disc.medium == "GD"
    assert told(disc) == [
        (1, "MODE1/2352", 0, 4, 0, 0),
        (2, "AUDIO", 7, 6, 3, 0),
        (3, "MODE1/2352", 45000, 5, 0, 0),
    ]
    assert opened.main(disc.tracks[2]) == high
    assert opened.main(disc.tracks[1]) == sound


@pytest.mark.parametrize(
    "text",
    [
        make.track(1, "MODE1_RAW", 6, "PREGAP:9 PGTYPE:VMODE1 PGSUB:NONE POSTGAP:0"),
        make.track(0, "MODE1_RAW", 6, ""),
        make.track(1, "MODE1_RAW", 60, ""),
        make.track(1, "MODE9", 6, ""),
        make.track(1, "MODE1_RAW", 6, "", "XX"),
        b"TRACK:1 TYPE:MODE1_RAW SUBTYPE:NONE FRAMES:six\0",
        b"nothing of the sort",
    ],
)
def test_tracks_that_make_no_sense_are_refused(text: bytes, tmp_path: Path) -> None:
    content = disc_file([(frames.data(6)[0], 2352, None)], [text])
    assert kind_of(written(tmp_path, content)) in ("corrupt", "unsupported", "truncated")


@pytest.mark.parametrize(
    "facts",
    [
        b"{", b"[]", b"[" * 100_000, b"\xff\xfe", b'{"medium": "CD"}',
        b'{"medium":"CD","text":{},"toc":[],"kinds":{},"remarks":[],"tracks":[]}',
        b'{"medium":"CD","text":{},"toc":[[1]],"kinds":{},"remarks":[],"tracks":[]}',
        json.dumps({"medium": "CD", "text": {}, "toc": [], "kinds": {}, "remarks": [], "tracks": [
            {"number": 1, "session": 1, "mode": "AUDIO", "lba": 0, "pregap": 0, "made": 0,
             "indexes": [[1, 0]], "flags": [], "isrc": None, "text": {}}]}).encode(),
    ],
)  # fmt: skip
def test_facts_that_do_not_fit_are_left_out(facts: bytes, tmp_path: Path) -> None:
    data = frames.data(6)[0]
    track = make.track(1, "MODE1_RAW", 6, "")
    path = written(tmp_path, disc_file([(data, 2352, None)], [track], more=((b"PYDI", 0, facts),)))
    assert "metadata" in opened.kinds(path)
    assert opened.main(opened.disc(path).tracks[0]) == data
