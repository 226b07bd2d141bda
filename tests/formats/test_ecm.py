"""ECM streams by an independent maker: the dump comes back wherever it is read, or is refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from diskimage import check, image
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    LimitError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.sources import ecm as source_of
from diskimage.sources.ecm import Ecm, moved
from diskimage.sources.memory import MemorySource
from tests.makers import cue, ecm, frames, toc
from tests.makers.iso import volume
from tests.makers.opened import disc, kinds, main, user

PLAIN = frames.sectors(50, 2)
FIRST = [frames.mode1(sector, i) for i, sector in enumerate(PLAIN)]
FIRST[20] = frames.mode1(PLAIN[20], 7777)  # an address that does not follow
FIRST[30] = FIRST[30][:12] + b"\xff\xff\xff" + FIRST[30][15:]  # no address, and wrong codes
SOUND = frames.audio(9)
SECOND = [
    frames.form1(sector, i) if i % 3 else frames.form2(bytes([i]) * 2324, i)
    for i, sector in enumerate(PLAIN)
]
DUMP = b"".join(FIRST) + SOUND + b"".join(SECOND) + b"xyz"
RECORDS = (
    ecm.mode1(FIRST[:30]) + ecm.literal(FIRST[30]) + ecm.mode1(FIRST[31:]) + ecm.literal(SOUND)
    + b"".join(
        ecm.literal(frame[:16]) + (ecm.form1 if i % 3 else ecm.form2)([frame])
        for i, frame in enumerate(SECOND)
    )
    + ecm.literal(b"xyz")
)  # fmt: skip
STREAM = ecm.stream(RECORDS, DUMP)


def read(inner: Ecm, at: int, length: int) -> bytes:
    buffer = bytearray(length)
    return bytes(buffer[: inner.read_into(at, memoryview(buffer))])


def test_any_range_is_that_of_the_dump() -> None:
    inner = Ecm(MemorySource(STREAM))
    assert inner.size == len(DUMP)
    assert read(inner, 0, inner.size + 9) == DUMP
    draw = random.Random(1)
    for _ in range(300):
        at, length = draw.randrange(inner.size), draw.choice((1, 15, 16, 2352, 5000, 90000))
        assert read(inner, at, length) == DUMP[at : at + length]


def test_records_longer_than_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_of, "_WINDOW", 7000)
    inner = Ecm(MemorySource(STREAM))
    assert read(inner, 0, inner.size) == DUMP


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_pass_in_any_near_order_is_held_to_the_edc(seed: int) -> None:
    spoiled = bytearray(STREAM)
    spoiled[50000] ^= 1
    stretches = [(at, min(7777, len(DUMP) - at)) for at in range(0, len(DUMP), 7777)]
    draw = random.Random(seed)
    order = sorted(stretches[1:], key=lambda one: one[0] + draw.randrange(30000))
    for content, whole in ((STREAM, True), (bytes(spoiled), False)):
        inner = Ecm(MemorySource(content))
        parts = [(0, read(inner, *stretches[0]))]
        if whole:
            parts += [(at, read(inner, at, length)) for at, length in order]
            assert b"".join(part for _, part in sorted(parts)) == DUMP
            assert read(inner, 0, inner.size) == DUMP, "and once more"
            continue
        with pytest.raises(ChecksumError, match="EDC of the whole"):
            b"".join(read(inner, at, length) for at, length in order)


def test_an_edc_moves_over_zeros() -> None:
    for length in (0, 1, 2, 9, 1000):
        long = int.from_bytes(frames.edc(b"abc" + bytes(length)), "little")
        assert moved(int.from_bytes(frames.edc(b"abc"), "little"), length) == long


def pieces(draw: random.Random) -> bytes:
    """A stretch of a dump: good frames of a kind, broken ones, sound, silence, odd bytes."""
    kind, lba = draw.randrange(9), draw.randrange(400_000)
    count = draw.randrange(1, 5)
    users = [draw.randbytes(2048) for _ in range(count)]
    made = {
        0: [frames.mode1(user, lba + i) for i, user in enumerate(users)],
        1: [frames.form1(user, lba + i) for i, user in enumerate(users)],
        2: [frames.form2(user.ljust(2324, b"v"), lba + i) for i, user in enumerate(users)],
        3: [frames.form2(user.ljust(2324, b"v"), lba)[:-4] + bytes(4) for user in users],
        4: [frames.mode1(user, lba)[16:] for user in users],  # no sync: literal
        5: [frames.form1(user, lba)[16:] for user in users],  # frames of 2336 bytes
        6: [frames.audio(count)],
        7: [bytes(2352 * count)],  # silence fits the codes of form 1
    }
    part = bytearray(b"".join(made.get(kind, [draw.randbytes(draw.randrange(1, 3000))])))
    if draw.randrange(4) == 0:
        part[draw.randrange(len(part))] ^= 1 << draw.randrange(8)
    return bytes(part)


@pytest.mark.parametrize("seed", range(12))
def test_what_an_encoder_finds_comes_back(seed: int) -> None:
    draw = random.Random(seed)
    dump = b"".join(pieces(draw) for _ in range(8))
    stream = ecm.encoded(dump)
    inner = Ecm(MemorySource(stream))
    assert read(inner, 0, len(dump) + 1) == dump
    for _ in range(40):
        at, length = draw.randrange(len(dump)), draw.choice((1, 4, 2336, 2352, 9000))
        assert read(inner, at, length) == dump[at : at + length]
    for cut in (1, 4, 5, len(stream) // 2):
        with pytest.raises(TruncatedError):
            Ecm(MemorySource(stream[:-cut]))
    records = list(zip(inner._index.at, inner._index.type, strict=True))
    for _ in range(20):
        spoiled, at = bytearray(stream), draw.randrange(4, len(stream))
        spoiled[at] ^= 1 << draw.randrange(8)
        try:
            inner = Ecm(MemorySource(bytes(spoiled)))
            read(inner, 0, inner.size)
        except (ChecksumError, CorruptError, TruncatedError):
            continue
        inside = [type for start, type in records if start <= at]
        assert inside[-1] == 3, "data of Form 2 with the EDC made from it changes no EDC behind it"


def test_counts_beyond_the_file_cost_nothing() -> None:
    for type, count in ((0, 1 << 30), (1, (1 << 31) - 2), (2, 1 << 29), (3, 1 << 20)):
        with pytest.raises(TruncatedError, match="record 2 goes on"):
            Ecm(MemorySource(b"ECM\0" + ecm.literal(b"a") + ecm.head(type, count) + bytes(9)))


def test_a_check_looks_into_what_is_behind_a_sheet(tmp_path: Path) -> None:
    """The data track is right, as far as its codes tell: what is wrong is in its user data."""
    data, _ = frames.data(20)
    sheet = cue.one("MODE1/2352", name="a.bin.ecm") + "  TRACK 02 AUDIO\n    INDEX 01 00:00:20\n"
    path = cue.write(tmp_path, sheet)
    stream = bytearray(ecm.dumped(data + SOUND))
    (tmp_path / "a.bin.ecm").write_bytes(stream)
    assert check(path).problems == ()
    for at in (9000, len(stream) - 5000):  # of user data, and of sound that no rule holds
        stream[at] ^= 1
        (tmp_path / "a.bin.ecm").write_bytes(stream)
        assert [one.kind for one in check(path).problems] == ["checksum"]
        stream[at] ^= 1


# --- opened ---------------------------------------------------------------------------------


def test_a_sheet_finds_the_file_and_says_so(tmp_path: Path) -> None:
    data, plain = frames.data(20)
    stream = ecm.dumped(data + SOUND)
    (tmp_path / "a.bin.ecm").write_bytes(stream)
    sheet = cue.one("MODE1/2352") + "  TRACK 02 AUDIO\n    INDEX 01 00:00:20\n"
    table = toc.one("MODE1_RAW", 'DATAFILE "a.bin" 0:0:20')
    for path in (cue.write(tmp_path, sheet), toc.write(tmp_path, table)):
        assert user(disc(path)) == plain
        assert "name" in kinds(path)
    assert main(disc(tmp_path / "disc.cue").tracks[1]) == SOUND
    named = cue.write(tmp_path, cue.one("MODE1/2352", name="a.bin.ecm"), "b.cue")
    (tmp_path / "a.bin.ecm").write_bytes(ecm.dumped(data))
    assert user(disc(named)) == plain
    (tmp_path / "a.bin").write_bytes(data[:-2352])  # what the sheet names comes first
    assert user(disc(toc.write(tmp_path, toc.one("MODE1_RAW")))) == plain[:-2048]


def test_a_bare_one_is_what_is_inside(tmp_path: Path) -> None:
    plain = volume(40, label="BOOKS")
    path = tmp_path / "a.iso.ecm"
    path.write_bytes(ecm.stream(ecm.literal(plain), plain))
    with image.open(path) as opened:
        assert opened.format == "ecm"
        assert opened.info["volume"] == "BOOKS"
        assert opened.read(0, opened.size) == plain
    (tmp_path / "a.cue").write_text("")
    (tmp_path / "a.bin.ecm").write_bytes(ecm.dumped(frames.data(20)[0]))
    assert kinds(tmp_path / "a.bin.ecm")[0] == "sheet"
    path.write_bytes(ecm.stream(ecm.literal(SOUND), SOUND))
    with pytest.raises(UnsupportedError, match="neither frames nor a volume"):
        image.open(path)


def test_a_check_tells_a_damaged_stream(tmp_path: Path) -> None:
    data, _ = frames.data(20)
    path = tmp_path / "a.ecm"
    path.write_bytes(ecm.dumped(data))
    assert check(path).problems == ()
    spoiled = bytearray(ecm.dumped(data))
    spoiled[9000] ^= 0x10
    path.write_bytes(spoiled)
    assert [problem.kind for problem in check(path).problems] == ["checksum"], check(path).problems
    with pytest.raises(ChecksumError):
        main(disc(path).tracks[0])


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"ECM\0", TruncatedError, "no end"),
        (b"ECM\1" + STREAM[4:], CorruptError, "no ECM"),
        (STREAM[:-1], TruncatedError, "EDC at its end"),
        (STREAM[:-9], TruncatedError, "record"),
        (STREAM[:5000], TruncatedError, "record 1"),
        (b"ECM\0" + b"\xff" * 5, TruncatedError, "no end"),
        (b"ECM\0" + b"\xff" * 20, CorruptError, "a record of"),
        (b"ECM\0" + b"\xfc\xff\xff\xff\x20" + bytes(9), CorruptError, "a record of 2214592511"),
        (b"ECM\0" + ecm.head(1, 1 << 30) + bytes(99), TruncatedError, "record 1 goes on"),
    ],
)
def test_a_broken_stream_is_one_error(
    content: bytes, error: type[DiskImageError], words: str
) -> None:
    with pytest.raises(error, match=words):
        Ecm(MemorySource(content))


def test_more_records_than_a_disc_can_need_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_of, "_RECORDS", 100)
    with pytest.raises(LimitError, match="more than 100 records"):
        Ecm(MemorySource(ecm.stream(ecm.literal(b"x") * 101, b"x" * 101)))
