"""Addresses, modes, WAVE headers, and sources that compute."""

from __future__ import annotations

import io
import random
import wave as standard_wave

import pytest
from hypothesis import given, strategies as st

from diskimage.disc import address, wave
from diskimage.disc.framing import framed
from diskimage.disc.modes import MODES, cooks, whole
from diskimage.disc.tracks import Lay, assemble
from diskimage.errors import CorruptError, TruncatedError, UnsupportedError
from diskimage.layers.records import Placed
from diskimage.model import Extent, Kind, Piece, Records
from diskimage.runs import extents
from diskimage.sources.memory import MemorySource
from diskimage.sources.swap import Swap
from diskimage.sources.uncook import uncook
from tests.makers import frames, naive

RAW = 2352


@pytest.mark.parametrize(
    ("lba", "time"),
    [
        (0, (0, 2, 0)),
        (-150, (0, 0, 0)),
        (16, (0, 2, 16)),
        (449849, (99, 59, 74)),
        (-151, (99, 59, 74)),
        (-45150, (90, 0, 0)),
    ],
)
def test_disc_times(lba: int, time: tuple[int, int, int]) -> None:
    """MMC's table: 90 minutes and up are the lead-in, so 404850 and above are not told apart."""
    assert address.disc_time(lba) == time
    if lba < 404850:
        assert address.lba(*time) == lba


@pytest.mark.parametrize("lba", [-150, -1, 0, 74, 4350, 333000])
def test_headers_are_read_as_a_maker_writes_them(lba: int) -> None:
    assert address.of_header(frames.header(lba, 1)[12:15]) == lba


@pytest.mark.parametrize("header", [b"\x0a\0\0", b"\0\x60\0", b"\0\0\x75", b"\xff\xff\xff"])
def test_headers_that_are_no_time(header: bytes) -> None:
    assert address.of_header(header) is None


@given(st.integers(0, 10**6))
def test_file_times(count: int) -> None:
    minute, second, frame = map(int, address.time(count).split(":"))
    assert second < 60
    assert frame < 75
    assert address.frames(minute, second, frame) == count


def test_the_table_of_modes_is_the_standards() -> None:
    """User data lies inside the frame, and where the layouts of ECMA-130 and XA put it."""
    places = {"MODE1": 16, "MODE2": 24, "CDI": 24}
    for name, mode in MODES.items():
        kind, _, size = name.partition("/")
        assert mode.user_at + mode.user <= mode.size
        assert not size or mode.size == int(size)
        if cooks(mode):
            assert mode.user_at + mode.missing == places[kind]
        assert whole(mode) == (size in ("2352", "2368", "2448"))


# --- WAVE -----------------------------------------------------------------------------------


def test_a_wave_header_is_what_the_standard_library_reads() -> None:
    sound = frames.audio(3)
    with standard_wave.open(io.BytesIO(wave.header(3) + sound)) as read:
        assert read.getparams()[:4] == (2, 2, 44100, 3 * 588)
        assert read.readframes(3 * 588) == sound


def test_a_wave_file_of_the_standard_library_is_read() -> None:
    out = io.BytesIO()
    with standard_wave.open(out, "wb") as made:
        made.setparams((2, 2, 44100, 0, "NONE", ""))
        made.writeframes(frames.audio(2))
    assert wave.samples(MemorySource(out.getvalue())) == (44, 2 * RAW)


def test_broken_waves() -> None:
    good = wave.header(1) + bytes(RAW)
    no_form = good[:12] + good[36:]
    for content, error in (
        (good[:12] + b"LIST\x99\0\0\0" + bytes(30), TruncatedError),
        (good[:36] + b"junk" + bytes(8), TruncatedError),
        (no_form.ljust(99, b"\0"), CorruptError),
        (good[:12] + (b"JUNK" + bytes(4)) * 70, CorruptError),
        (good[:16] + b"\x02" + good[17:], CorruptError),
        (bytes(99), UnsupportedError),
        (b"", UnsupportedError),
    ):
        with pytest.raises(error):
            wave.samples(MemorySource(content))
    with pytest.raises(UnsupportedError):
        wave.header(1 << 21)


def test_a_wave_length_that_was_never_filled_in_runs_to_the_end() -> None:
    good = bytearray(wave.header(2) + bytes(2 * RAW))
    good[40:44] = b"\xff\xff\xff\xff"
    assert wave.samples(MemorySource(good)).length == 2 * RAW


# --- sources and layers ---------------------------------------------------------------------


@given(st.integers(0, 41), st.integers(0, 45))
def test_swapped_words_from_any_byte(at: int, length: int) -> None:
    content = random.Random(1).randbytes(40)
    turned = bytes(content[i ^ 1] for i in range(40))
    buffer = bytearray(length)
    got = Swap(MemorySource(content)).read_into(at, memoryview(buffer))
    assert bytes(buffer[:got]) == turned[at : at + length]


def test_an_odd_last_byte_stays() -> None:
    buffer = bytearray(9)
    assert Swap(MemorySource(b"badcfeh")).read_into(0, memoryview(buffer)) == 7
    assert buffer[:7] == b"abcdefh"


USER = frames.sectors(3, 8)
WHOLE = b"".join(frames.mode1(data, 70 + i) for i, data in enumerate(USER))


@given(st.integers(0, 3 * RAW), st.integers(0, 3 * RAW + 50))
def test_frames_are_made_from_any_byte(at: int, length: int) -> None:
    buffer = bytearray(length)
    source = uncook(MemorySource(b"".join(USER)), lba=70)
    assert source.size == len(WHOLE)
    got = source.read_into(at, memoryview(buffer))
    assert bytes(buffer[:got]) == WHOLE[at : at + length]


def test_frames_of_many_batches_and_another_subheader() -> None:
    plain = [bytes((i % 256,)) * 2048 for i in range(40)]
    source = uncook(MemorySource(b"".join(plain)), 2, subheader=b"\1\0\x89\0")
    buffer = bytearray(source.size)
    source.read_into(0, memoryview(buffer))
    made = [frames.form1(data, lba, b"\1\0\x89\0") for lba, data in enumerate(plain)]
    assert buffer == b"".join(made)


def test_addresses_start_again_after_99_59_74() -> None:
    source = uncook(MemorySource(b"".join(USER)), lba=449849)
    buffer = bytearray(source.size)
    source.read_into(0, memoryview(buffer))
    addresses = [buffer[at + 12 : at + 15].hex() for at in range(0, source.size, RAW)]
    assert addresses == ["995974", "000000", "000001"]


@given(st.data())
def test_any_part_of_placed_extents(data: st.DataObject) -> None:
    """Plain bytes, records, zeros: a part is that part of the whole, and the rules of runs hold."""
    source = MemorySource(random.Random(2).randbytes(4000))
    rows = [
        Extent(0, 100, Kind.DATA, source, 7),
        Extent(100, 90, Kind.DATA, source, 500, records=Records(20, 33)),
        Extent(190, 50, Kind.ZERO, hole=True),
        Extent(240, 60, Kind.DATA, source, 1000, records=Records(20, 33)),
    ]
    device = Placed(rows, 20)
    everything = naive.read(device)
    assert everything[100:140] == bytes(naive.read(Placed(rows[:1], 1), 0, 0)) + (
        naive.stored(source, 500, 20) + naive.stored(source, 533, 20)
    )
    start = data.draw(st.integers(0, device.size))
    stop = data.draw(st.integers(start, device.size))
    assert naive.read(device, start, stop) == everything[start:stop]
    found = list(extents(device, start, stop))
    assert sum(row.length for row in found) == stop - start


# --- assembly -------------------------------------------------------------------------------


def lay(number: int, lba: int, count: int, source: MemorySource) -> Lay:
    mode = MODES["AUDIO"]
    piece = Piece(lba, count, source, 0, mode)
    return Lay(number, 1, mode, (piece,), ((1, lba),))


def test_a_disc_is_refused_where_its_tracks_cannot_be() -> None:
    source = MemorySource(frames.audio(4))
    with pytest.raises(CorruptError, match="no track"):
        assemble([], file="x")
    with pytest.raises(CorruptError, match="track 2 begins at LBA 3, before track 1 ends at LBA 4"):
        assemble([lay(1, 0, 4, source), lay(2, 3, 4, source)], file="x")
    with pytest.raises(TruncatedError, match=r"track 1 needs 5 frames .* LBA 4"):
        assemble([lay(1, 0, 5, source)], file="x")


def test_a_plain_image_is_framed_from_lba_0() -> None:
    found = framed(MemorySource(b"".join(USER)))
    assert (found.tracks[0].lba, found.tracks[0].length) == (0, 3)
    assert found.data is not None
    assert naive.read(found.data) == b"".join(USER)
