"""NRG read: images of an independent maker, with every number at odds with another."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.disc.verify import problems
from diskimage.errors import (
    AmbiguousError,
    CorruptError,
    DiskImageError,
    LimitError,
    UnsupportedError,
)
from diskimage.formats.nrg import FORMAT
from diskimage.formats.nrg.opening import open_nrg
from diskimage.image import open as open_image
from diskimage.model import Disc, Look, Track
from diskimage.registry import HEAD, TAIL
from diskimage.sources.memory import MemorySource
from tests.makers import frames, naive, nrg, q
from tests.makers.gate import OpenGate
from tests.makers.iso import volume
from tests.makers.opened import main, user
from tests.makers.sample import Sample

USER = volume()


def opened(image: bytes, gate: OpenGate | None = None) -> Disc:
    found = open_nrg(MemorySource(image), gate or OpenGate())
    assert isinstance(found, Disc)
    return found


def places(disc: Disc) -> list[tuple[int, int, int, int]]:
    """Session, LBA of index 1, length, pregap of each track."""
    return [(track.session, track.lba, track.length, track.pregap) for track in disc.tracks]


def image(label: str) -> bytes:
    return next(one.files["a.nrg"] for one in nrg.samples() if one.label == label)


ONCE = [(1, 0, 24, 150), (1, 174, 30, 150), (1, 354, 8, 150)]
APART = [(1, 0, 24, 0), (1, 174, 30, 150), (1, 354, 8, 150)]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("mixed", ONCE),
        ("mixed 1", ONCE),
        ("binary times", ONCE),
        ("no cue chunk", ONCE),
        ("wrong cue chunk", ONCE),
        ("ETN2", APART),
        ("ETNF", APART),
        ("TINF", APART),
        ("two sessions", [(1, 0, 25, 150), (1, 25, 15, 0), (2, 11440, 24, 150)]),
        ("two sessions 1", [(1, 0, 25, 150), (1, 25, 15, 0), (2, 11440, 24, 150)]),
        ("sessions at once", [(1, 0, 25, 0), (1, 175, 15, 150), (2, 11590, 24, 0)]),
        ("sessions in one chunk", [(1, 0, 25, 0), (1, 175, 15, 150), (2, 11590, 24, 0)]),
        ("no pregap", [(1, 0, 24, 0)]),
        ("dvd", [(1, 0, 24, 0)]),
        ("dvd of MagicISO", [(1, 0, 24, 0)]),
    ],
)
def test_tracks_are_where_they_were_put(label: str, expected: list[tuple[int, ...]]) -> None:
    assert places(opened(image(label))) == expected


@pytest.mark.parametrize("label", ["mixed", "mixed 1", "two sessions", "ETN2", "2448"])
def test_every_track_has_its_frames(label: str) -> None:
    tracks = {
        "two sessions": [track for group in nrg.two()[0] for track in group],
        "2448": [nrg.data(USER, 0), nrg.song(2, 24, 20, seed=3)],
    }.get(label, nrg.mixed()[0])
    disc = opened(image(label))
    following = [*tracks[1:], None]
    for found, track, after in zip(disc.tracks, tracks, following, strict=True):
        assert main(found) == track.main
        assert after is None or found.number == track.number


@pytest.mark.parametrize("sample", nrg.samples(), ids=lambda one: one.label)
def test_frames_have_the_addresses_that_their_headers_hold(sample: Sample) -> None:
    disc = opened(sample.files["a.nrg"])
    for track in disc.tracks:
        assert track.main is not None
        naive.lawful(track.main)
    assert list(problems(disc)) == []


def test_the_pregap_of_a_first_track_is_stored() -> None:
    (track,) = opened(image("plain")).tracks
    (piece,) = track.pieces
    assert (piece.lba, piece.frames, piece.at) == (-150, 174, 0)
    assert track.indexes == ((0, -150), (1, 0))


def test_a_pause_of_track_at_once_is_made_up() -> None:
    track = opened(image("ETN2")).tracks[1]
    assert [(p.lba, p.frames, p.source is None) for p in track.pieces] == [
        (24, 150, True),
        (174, 30, False),
    ]


def test_what_a_disc_says_of_itself_is_kept() -> None:
    disc = opened(image("mixed"))
    assert disc.catalog == "4006381333931"
    assert disc.text == {"TITLE": "Disc", "PERFORMER": "Nobody"}
    assert disc.tracks[0].text == {"TITLE": "One"}
    assert disc.cdtext is not None
    assert disc.cdtext[:1] == b"\x80"
    assert disc.tracks[1].isrc == "DEZ650700001"
    assert disc.tracks[1].flags == {"DCP"}
    assert disc.tracks[1].indexes == ((0, 24), (1, 174), (2, 194))
    assert [session.kind for session in disc.sessions] == ["CDROM_XA"]
    assert [session.leadout for session in opened(image("two sessions")).sessions] == [40, 11464]


def test_subchannel_lies_behind_each_frame() -> None:
    disc = opened(image("2448"))
    for track in disc.tracks:
        (piece,) = track.pieces
        assert track.subchannel == "interleaved"
        assert track.mode.size == 2352
        assert piece.sub is not None
        at = piece.sub.at + (track.lba - piece.lba) * piece.sub.pitch
        control = 4 if track.number == 1 else 2
        expected = q.frame(track.lba, track.number, track.lba, control)
        assert naive.stored(piece.sub.source, at, 96) == expected


def first(label: str) -> Track:
    return opened(image(label)).tracks[0]


@pytest.mark.parametrize(
    ("label", "mode"),
    [
        ("2048", "MODE1/2048"),
        ("form 1", "MODE2/2048"),
        ("2336", "MODE2/2336"),
        ("MagicISO 0", "MODE1/2352"),
        ("MagicISO 2", "MODE2/2352"),
        ("MagicISO 3", "MODE2/2352"),
        ("wrong frame size", "MODE1/2352"),
        ("2448, mode 2", "MODE2/2352"),
    ],
)
def test_modes(label: str, mode: str) -> None:
    assert first(label).mode.name == mode


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("wrong cue chunk", "address"),
        ("wrong frame size", "mode"),
        ("dvd of MagicISO", "padding"),
    ],
)
def test_what_is_odd_is_said(label: str, kind: str) -> None:
    gate = OpenGate()
    opened(image(label), gate)
    assert [warning.kind for warning in gate.warnings] == [kind]


def test_medium_is_told() -> None:
    assert opened(image("dvd")).medium == "DVD"
    assert opened(image("plain")).medium == "CD"
    blu = nrg.tao([[nrg.Track(1, nrg.COOKED, 0, USER)]], medium=0x200000)
    assert opened(blu).medium == "BD"


def test_an_index_outside_of_its_track_is_left_out() -> None:
    track = replace(nrg.song(1, 0, 20, 150), further=(500,))
    gate = OpenGate()
    assert opened(nrg.dao([[track]]), gate).tracks[0].indexes == ((0, -150), (1, 0))
    assert [warning.kind for warning in gate.warnings] == ["index"]


def test_sinf_that_counts_otherwise_is_said() -> None:
    body = image("plain").replace(b"SINF\0\0\0\4\0\0\0\1", b"SINF\0\0\0\4\0\0\0\2")
    gate = OpenGate()
    assert len(opened(body, gate).tracks) == 1
    assert [warning.kind for warning in gate.warnings] == ["session"]


def test_a_mode_that_the_content_denies_is_refused() -> None:
    track = nrg.song(1, 0, 30, 150)
    with pytest.raises(CorruptError, match=r"declared MODE1/2352, its content is AUDIO"):
        opened(nrg.dao([[replace(track, mode=nrg.MODE1)]]))


def patched(old: bytes, new: bytes) -> bytes:
    plain = image("plain")
    assert plain.count(old) == 1
    return plain.replace(old, new)


SIZED = struct.pack(">HB", 2352, nrg.MODE1)
EDGES = struct.pack(">QQ", 0, 150 * 2352)


@pytest.mark.parametrize(
    ("damaged", "error"),
    [
        (patched(SIZED, struct.pack(">HB", 2352, 0x42)), UnsupportedError),
        (patched(SIZED, struct.pack(">HB", 0, nrg.MODE1)), CorruptError),
        (patched(EDGES, struct.pack(">QQ", 0, 150 * 2352 + 1)), CorruptError),
        (patched(EDGES, struct.pack(">QQ", 2352, 0)), CorruptError),
        (patched(EDGES, struct.pack(">QQ", 0, 174 * 2352)), CorruptError),
        (patched(b"\1\1\1\1" + bytes(12), b"\1\1\1\2" + bytes(12)), CorruptError),
        (patched(b"DAOX", b"DAOY"), CorruptError),
        (image("plain")[:-1], CorruptError),
        (b"", CorruptError),
    ],
)
def test_each_wrong_field_has_its_error(damaged: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(damaged)


def test_more_chunks_than_any_disc_needs_are_refused() -> None:
    many = nrg.whole(bytes(2048), [nrg.chunk(b"WXYZ", b"")] * 5000, 2)
    with pytest.raises(LimitError, match="chunks"):
        opened(many)
    with pytest.raises(LimitError, match="CDTX"):
        opened(nrg.whole(bytes(2048), [nrg.chunk(b"CDTX", bytes(2 << 20))], 2))


def test_cdtext_that_is_no_packs_is_left_out() -> None:
    gate = OpenGate()
    odd = nrg.dao([[nrg.data(USER, 0)]], nrg.Way(cdtext=b"\x80" * 17))
    assert opened(odd, gate).cdtext is None
    assert [warning.kind for warning in gate.warnings] == ["cdtext"]


def test_hidden_audio_is_the_first_tracks_pregap() -> None:
    hidden = frames.audio(300, 9)
    song = replace(nrg.song(1, 150, 30), gap=hidden)
    for cues in (True, False):
        (track,) = opened(nrg.dao([[song]], nrg.Way(cues=cues))).tracks
        assert (track.lba, track.pregap, track.pieces[0].lba) == (150, 300, -150)
        assert main(track) == song.main


def look(content: bytes, name: str = "a.nrg") -> Look:
    return Look(content[:HEAD], content[-TAIL:], len(content), name)


def test_the_footer_alone_is_no_proof() -> None:
    sure = FORMAT.probe(look(image("plain")))
    unsure = FORMAT.probe(look(bytes(4096) + b"NER5" + struct.pack(">Q", 100)))
    far = FORMAT.probe(look(bytes(200_000) + b"NER5" + struct.pack(">Q", 100)))
    assert sure is not None
    assert unsure is not None
    assert far is not None
    assert unsure.score < far.score < sure.score
    assert FORMAT.probe(look(bytes(4096))) is None


CHUNKS = [one for one in nrg.samples() if one.label in ("mixed", "mixed 1", "ETN2", "2448")]


@given(st.sampled_from(CHUNKS), st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(sample: Sample, data: st.DataObject) -> None:
    whole = sample.files["a.nrg"]
    start = next(
        whole.index(name) for name in (b"CUEX", b"CUES", b"ETN2", b"CDTX") if name in whole
    )
    at, wrong = (
        data.draw(st.integers(start, len(whole) - 1)),
        data.draw(st.binary(min_size=1, max_size=8)),
    )
    damaged = whole[:at] + wrong + whole[at + len(wrong) :]
    with suppress(DiskImageError):
        disc = opened(damaged[: len(whole)])
        assert disc.data is None or len(user(disc)) == disc.data.size


def hybrid() -> bytes:
    """An image whose first sector is an isohybrid's: bootable code before the volume."""
    boot = bytearray(USER)
    boot[446:450], boot[450], boot[510:512] = bytes((0x80, 0, 1, 0)), 0x17, b"\x55\xaa"
    return nrg.tao([[nrg.Track(1, nrg.COOKED, 0, bytes(boot))]])


def test_a_trailer_behind_a_boot_sector_needs_its_suffix(tmp_path: Path) -> None:
    for name in ("a.nrg", "a.img"):
        (tmp_path / name).write_bytes(hybrid())
    with open_image(tmp_path / "a.nrg") as found:
        assert found.format == "nrg"
        assert found.size == len(USER)
    with pytest.raises(AmbiguousError, match="nrg and "):
        open_image(tmp_path / "a.img")


def test_an_iso_that_ends_like_an_nrg_is_not_silently_one(tmp_path: Path) -> None:
    path = tmp_path / "a.iso"
    path.write_bytes(USER[:-12] + b"NER5" + struct.pack(">Q", 4096))
    with pytest.raises(AmbiguousError, match="iso and nrg"):
        open_image(path)
