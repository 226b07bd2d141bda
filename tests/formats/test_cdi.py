"""CDI read: images of an independent maker, and descriptors with one number changed."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.disc.verify import problems
from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.formats.cdi import FORMAT
from diskimage.formats.cdi.opening import open_cdi
from diskimage.model import Disc, Look
from diskimage.registry import HEAD, TAIL
from diskimage.sources.memory import MemorySource
from tests.makers import cdi, naive
from tests.makers.gate import OpenGate
from tests.makers.opened import main, user
from tests.makers.sample import Sample

SAMPLES = {one.label: one.files["a.cdi"] for one in cdi.samples()}
RAW = 2352


def opened(image: bytes, gate: OpenGate | None = None) -> Disc:
    found = open_cdi(MemorySource(image), gate or OpenGate())
    assert isinstance(found, Disc)
    return found


def places(disc: Disc) -> list[tuple[int, int, int, int]]:
    """Session, LBA of index 1, length, pregap of each track."""
    return [(track.session, track.lba, track.length, track.pregap) for track in disc.tracks]


MIXED = [(1, 0, 24, 150), (1, 174, 30, 150), (1, 354, 8, 150)]
TWO = [(1, 0, 20, 150), (1, 20, 25, 0), (2, 11445, 24, 150)]


@pytest.mark.parametrize("version", cdi.VERSIONS)
def test_tracks_are_where_they_were_put(version: str) -> None:
    gate = OpenGate()
    mixed, two = (opened(SAMPLES[f"{kind} {version}"], gate) for kind in ("mixed", "two sessions"))
    assert places(mixed) == MIXED
    assert places(two) == TWO
    assert [(one.leadout, one.kind) for one in two.sessions] == [
        (45, "CDDA"),
        (11469, "CDROM_XA"),
    ]
    assert gate.warnings == []


@pytest.mark.parametrize("version", cdi.VERSIONS)
def test_every_track_has_its_frames(version: str) -> None:
    for tracks, label in ((cdi.mixed()[0], "mixed"), (cdi.two()[0], "two sessions")):
        made = [track for group in tracks for track in group]
        for found, track in zip(opened(SAMPLES[f"{label} {version}"]).tracks, made, strict=True):
            pregap = track.indexes[0] * cdi.SIZES[track.read]
            assert main(found) == track.main[pregap:]


@pytest.mark.parametrize("label", SAMPLES)
def test_frames_have_the_addresses_that_their_headers_and_q_hold(label: str) -> None:
    disc = opened(SAMPLES[label])
    for track in disc.tracks:
        assert track.main is not None
        naive.lawful(track.main)
    assert list(problems(disc)) == []


def test_indexes_are_lengths() -> None:
    track = opened(SAMPLES["mixed 3.5"]).tracks[1]
    assert track.indexes == ((0, 24), (1, 174), (2, 194))
    assert track.isrc == "DEZ650700001"


@pytest.mark.parametrize(
    ("label", "read", "layout", "size"),
    [("16 of Q", cdi.Q16, "q16", 16), ("96 raw", cdi.RAW96, "interleaved", 96)],
)
def test_subchannel_lies_behind_each_frame(label: str, read: int, layout: str, size: int) -> None:
    sessions, _ = cdi.kept(read)
    make = cdi.sub16 if read == cdi.Q16 else cdi.sub96
    for track, place in zip(opened(SAMPLES[label]).tracks, cdi.placed(sessions), strict=True):
        (piece,) = track.pieces
        assert track.subchannel == layout
        assert piece.sub is not None
        assert piece.sub.size == size
        for i in (0, 5, piece.frames - 1):
            at = piece.sub.at + i * piece.sub.pitch
            expected = make(place, piece.lba + i)
            assert naive.stored(piece.sub.source, at, size) == expected


def test_what_a_disc_says_of_itself_is_kept() -> None:
    named = opened(SAMPLES["texts"])
    assert named.catalog == "4006381333931"
    assert named.text == {"TITLE": "Disc"}
    song = replace(cdi.song(170, 150, 20), title=b"A song")
    assert opened(cdi.cdi([[song]])).tracks[0].text == {"TITLE": "A song"}
    assert opened(SAMPLES["dvd"]).medium == "DVD"
    assert opened(SAMPLES["plain"]).medium == "CD"


def started(image: bytes, old: int, new: int, frames: int) -> bytes:
    """`image` with the start of the track of so many frames changed."""
    field = struct.pack("<II", old, frames)
    assert image.count(field) == 1
    return image.replace(field, struct.pack("<II", new, frames))


def test_addresses_that_contradict_lengths_are_counted() -> None:
    gate = OpenGate()
    assert places(opened(started(SAMPLES["mixed 3.5"], 174, 170, 180), gate)) == MIXED
    assert places(opened(started(SAMPLES["two sessions 3.5"], 11445, 20, 174), gate)) == TWO
    assert [warning.kind for warning in gate.warnings] == ["address", "address"]


def test_a_first_track_without_pregap_begins_at_lba_0() -> None:
    track = cdi.song(20, 0, 20)
    assert places(opened(cdi.cdi([[track]]))) == [(1, 0, 20, 0)]


def test_bytes_of_no_track_are_said() -> None:
    image = SAMPLES["plain"]
    at = 174 * RAW
    gate = OpenGate()
    opened(image[:at] + bytes(RAW) + image[at:], gate)
    assert [warning.kind for warning in gate.warnings] == ["size"]


def moved(image: bytes, count: int) -> bytes:
    """`image` without its first bytes."""
    return image[count:]


NAME = struct.pack("<B", 8) + b"C:\\a.cdi"
COUNTED = struct.pack("<HIII", 2, 150, 24, 0)
READ = struct.pack("<II", cdi.RAW, 4)


def patched(old: bytes, new: bytes, which: str = "plain") -> bytes:
    image = SAMPLES[which]
    at = image.index(old, len(image) - 600)
    return image[:at] + new + image[at + len(old) :]


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (moved(SAMPLES["plain"], RAW), CorruptError),
        (moved(SAMPLES["plain"], 100), CorruptError),
        (SAMPLES["plain"][:-1], UnsupportedError),
        (b"", UnsupportedError),
        (patched(b"\6\0\0\x80", b"\7\0\0\x80"), UnsupportedError),
        (patched(NAME, b"\xff" + NAME[1:]), TruncatedError),
        (patched(COUNTED, struct.pack("<HIII", 2, 150, 25, 0)), CorruptError),
        (patched(COUNTED, struct.pack("<HIII", 200, 150, 24, 0)), CorruptError),
        (patched(COUNTED, struct.pack("<HIII", 2, 150, 24, 1000)), TruncatedError),
        (patched(READ, struct.pack("<II", 1, 4)), UnsupportedError),
        (patched(READ, struct.pack("<II", 9, 4)), UnsupportedError),
        (patched(READ, struct.pack("<II", cdi.RAW96, 4)), CorruptError),
        (patched(b"\1\0\1" + bytes(7), b"\0\0\1" + bytes(7)), CorruptError),
        (patched(b"\1\0\1" + bytes(7), b"\2\0\1" + bytes(7)), CorruptError),
        (patched(b"\1\0\1" + bytes(7), b"\1\0\0" + bytes(7)), CorruptError),
        (patched(cdi.MARK, bytes(10)), CorruptError),
    ],
)
def test_each_wrong_field_has_its_error(image: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(image)


def test_a_descriptor_that_no_disc_needs_is_refused() -> None:
    long = bytes(3 << 20) + struct.pack("<II", 0x80000006, 2 << 20)
    with pytest.raises(LimitError, match="descriptor"):
        opened(long)


def test_a_mode_that_the_content_denies_is_refused() -> None:
    song = replace(cdi.song(170, 150, 20), mode=cdi.MODE1)
    with pytest.raises(CorruptError, match=r"declared MODE1/2352, its content is AUDIO"):
        opened(cdi.cdi([[song]]))


def score(content: bytes, name: str = "a.cdi") -> int:
    bid = FORMAT.probe(Look(content[:HEAD], content[-TAIL:], len(content), name))
    return 0 if bid is None else bid.score


def test_a_version_word_alone_is_no_proof() -> None:
    word = bytes(4096) + struct.pack("<II", 0x80000006, 100)
    assert score(SAMPLES["plain"], "a.bin") == score(SAMPLES["version 2"]) > score(word) > 50
    assert score(word, "a.bin") == 0
    assert score(bytes(4096)) == 0
    far = bytes(200_000) + struct.pack("<II", 0x80000004, 100)
    assert 0 < score(far, "a.bin") < 50


FEW = [one for one in cdi.samples() if one.label in ("mixed 2", "mixed 3.5", "texts", "96 raw")]


@given(st.sampled_from(FEW), st.data())
@settings(max_examples=300)
def test_a_few_changed_bytes_end_in_bytes_or_one_error(sample: Sample, data: st.DataObject) -> None:
    whole = sample.files["a.cdi"]
    at = data.draw(st.integers(len(whole) - 1200, len(whole) - 1))
    wrong = data.draw(st.binary(min_size=1, max_size=8))
    damaged = whole[:at] + wrong + whole[at + len(wrong) :]
    with suppress(DiskImageError):
        disc = opened(damaged[: len(whole)])
        assert disc.data is None or len(user(disc)) == disc.data.size
