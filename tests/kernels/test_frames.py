"""Frames of compact discs: the kernel, its twin, a third opinion in tables, and a real disc."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import frames
from diskimage.kernels.frames import RAW, USER, Check, Fault, Verdict, Wrong
from diskimage.reference import frames as twin
from tests.kernels import twins

BOTH = [frames, twin]
USERS = [bytes(USER), b"\xff" * USER, random.Random(4).randbytes(USER)]


def disc(count: int, mode: int, seed: int = 5) -> tuple[bytes, bytes]:
    user = random.Random(seed).randbytes(count * USER)
    pieces = (user[at : at + USER] for at in range(0, len(user), USER))
    made = b"".join(
        twins.frame(piece, mode, (150 + i) // 4500, (150 + i) // 75 % 60, (150 + i) % 75)
        for i, piece in enumerate(pieces)
    )
    return user, made


@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("user", USERS)
def test_made_frames_are_those_of_byte_tables(mode: int, user: bytes) -> None:
    want = twins.frame(user, mode, 0, 2, 0) + twins.frame(user, mode, 0, 2, 1)
    for module in BOTH:
        out = bytearray(2 * RAW)
        module.make(user * 2, out, mode, 0)
        assert out == want


@pytest.mark.parametrize("mode", [1, 2])
def test_made_frames_pass_every_check(mode: int) -> None:
    user, made = disc(5, mode)
    out = bytearray(len(made))
    frames.make(user, out, mode, 0)
    assert out == made
    for module in BOTH:
        status = bytearray(5)
        module.check(out, RAW, 0, mode, status)
        assert status == bytes(5)
        cooked = bytearray(len(user))
        assert module.cook(out, RAW, 0, mode, cooked, Check.ALL) == Verdict(5, Fault.NONE)
        assert cooked == user


def test_addresses() -> None:
    # ECMA-130 and MMC: 0 is 00:02:00, -150 is 00:00:00, before that the lead-in counts from 90;
    # minutes have two digits, so that 100:00:00 is 00:00:00 again
    known = {0: "000200", -150: "000000", -1: "000174", 4350: "010000", 449849: "995974",
             -151: "995974", -45150: "900000",
             449850: "000000", 524287: "163237"}  # fmt: skip
    for lba, address in known.items():
        for module in BOTH:
            out = bytearray(RAW)
            module.make(bytes(USER), out, 1, lba)
            assert out[12:16].hex() == address + "01", lba


def test_edc_of_parts_goes_on() -> None:
    data = random.Random(6).randbytes(3000)
    whole = int.from_bytes(twins.edc(data), "little")
    for cut in (0, 1, 15, 64, 1000, 3000):
        for module in BOTH:
            assert module.edc(data[cut:], module.edc(data[:cut])) == whole


@given(st.binary(max_size=400))
def test_edc(data: bytes) -> None:
    assert frames.edc(data).to_bytes(4, "little") == twins.edc(data)


@pytest.mark.parametrize(
    ("pitch", "base"), [(2352, 0), (2448, 0), (2368, 0), (2336, 16), (2332, 16)]
)
@pytest.mark.parametrize("mode", [1, 2])
def test_every_pitch(pitch: int, base: int, mode: int) -> None:
    if mode == 1 and base:
        return
    user, made = disc(6, mode)
    records = [made[at + base : at + RAW] for at in range(0, len(made), RAW)]
    stored = b"".join(record.ljust(pitch, b"\xaa")[:pitch] for record in records)
    for module in BOTH:
        out, status = bytearray(len(user)), bytearray(6)
        assert module.cook(stored, pitch, base, mode, out, Check.ALL) == Verdict(6, Fault.NONE)
        assert out == user
        module.check(stored, pitch, base, mode, status)
        assert status == bytes(6)


FLIPS = [
    (1, 3, Fault.SYNC, Wrong.SYNC | Wrong.EDC),
    (1, 15, Fault.MODE, Wrong.MODE | Wrong.EDC | Wrong.P | Wrong.Q),
    (1, 13, Fault.EDC, Wrong.EDC | Wrong.P | Wrong.Q),
    (1, 1000, Fault.EDC, Wrong.EDC | Wrong.P | Wrong.Q),
    (1, 2066, Fault.EDC, Wrong.EDC | Wrong.P | Wrong.Q),
    (1, 2100, Fault.NONE, Wrong.P | Wrong.Q),
    (1, 2300, Fault.NONE, Wrong.Q),
    (2, 13, Fault.NONE, Wrong.NONE),
    (2, 16, Fault.SUBHEADER, Wrong.SUBHEADER | Wrong.EDC | Wrong.P | Wrong.Q),
    (2, 24, Fault.EDC, Wrong.EDC | Wrong.P | Wrong.Q),
    (2, 2071, Fault.EDC, Wrong.EDC | Wrong.P | Wrong.Q),
    (2, 2351, Fault.NONE, Wrong.Q),
]


@pytest.mark.parametrize(("mode", "at", "fault", "wrong"), FLIPS)
def test_a_flipped_byte(mode: int, at: int, fault: Fault, wrong: Wrong) -> None:
    user, made = disc(4, mode)
    damaged = bytearray(made)
    damaged[2 * RAW + at] ^= 0x02
    for module in BOTH:
        out, status = bytearray(len(user)), bytearray(4)
        want = Verdict(2, fault) if fault else Verdict(4, fault)
        assert module.cook(damaged, RAW, 0, mode, out, Check.ALL) == want
        assert module.cook(damaged, RAW, 0, mode, out, Check.NONE) == Verdict(4, Fault.NONE)
        module.check(damaged, RAW, 0, mode, status)
        assert list(status) == [0, 0, wrong, 0]


@pytest.mark.parametrize("mode", [1, 2])
def test_odd_frames_are_those_with_any_other_byte(mode: int) -> None:
    _, made = disc(2, mode)
    for module, step in ((frames, 1), (twin, 7)):  # the twin takes its time
        for at in range(0, RAW, step):
            damaged, marks = bytearray(made), bytearray(2)
            damaged[at] ^= 0x41
            module.odd(damaged, RAW, 0, mode, 0, marks, Check.NONE)
            assert list(marks) == [1, 0], at


@given(
    st.sampled_from([(1, 2352, 0), (1, 2448, 0), (2, 2352, 0), (2, 2336, 16), (2, 2332, 16)]),
    st.sampled_from([-45150, -150, 0, 449849]),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2351), st.integers(1, 255)), max_size=5),
)
def test_odd_frames_by_both(
    shape: tuple[int, int, int], lba: int, flips: list[tuple[int, int, int]]
) -> None:
    mode, pitch, base = shape
    made = bytearray(4 * RAW)
    frames.make(random.Random(9).randbytes(4 * USER), made, mode, lba)
    for number, at, value in flips:
        made[number * RAW + at] ^= value
    kept = min(pitch, RAW - base)
    stored = b"".join(
        made[i * RAW + base : i * RAW + base + kept] + bytes(pitch - kept) for i in range(4)
    )
    told = [bytearray(4), bytearray(4)]
    for module, marks in zip(BOTH, told, strict=True):
        module.odd(stored, pitch, base, mode, lba, marks, Check.NONE)
    assert told[0] == told[1]


def test_form_2() -> None:
    user, status = random.Random(7).randbytes(2324), bytearray(1)
    for coded in (True, False):
        frame = twins.form2(user, coded=coded)
        for module in BOTH:
            out = bytearray(USER)
            module.check(frame, RAW, 0, 2, status)
            assert status[0] == Wrong.FORM2
            assert module.cook(frame, RAW, 0, 2, out, Check.ALL) == Verdict(0, Fault.FORM2)
            assert module.repair(bytearray(frame), 2) == 0
    damaged = bytearray(twins.form2(user, coded=True))
    damaged[500] ^= 1
    for module in BOTH:
        module.check(damaged, RAW, 0, 2, status)
        assert status[0] == Wrong.FORM2 | Wrong.EDC
        assert module.repair(damaged, 2) is None


def test_copies_of_a_subheader_that_differ_under_a_good_edc() -> None:
    # libmirage writes such frames; the EDC tells that the form is 1
    body = bytes.fromhex("0000080000080000") + USERS[2]
    frame = twins.SYNC + bytes.fromhex("00020002") + body + twins.edc(body)
    frame = twins.with_parity(frame, 2)
    for module in BOTH:
        out, status = bytearray(USER), bytearray(1)
        assert module.cook(frame, RAW, 0, 2, out, Check.ALL) == Verdict(1, Fault.NONE)
        assert out == USERS[2]
        module.check(frame, RAW, 0, 2, status)
        assert status[0] == Wrong.SUBHEADER


@given(st.integers(1, 2), st.lists(st.integers(0, RAW - 1), max_size=12), st.integers(1, 255))
def test_repair_is_its_twin_and_right_or_nothing(mode: int, places: list[int], bits: int) -> None:
    made = bytearray(twins.frame(USERS[2], mode, 0, 2, 0))
    damaged = bytearray(made)
    for place in places:
        damaged[place] ^= bits
    one, two = bytearray(damaged), bytearray(damaged)
    changed = frames.repair(one, mode)
    assert changed == twin.repair(two, mode)
    assert one == two
    if changed is None:
        assert one == damaged
    elif mode == 1 or not any(12 <= place < 16 for place in places):
        assert one == made


def test_repair_mends_a_burst() -> None:
    made = bytearray(twins.frame(USERS[2], 1, 0, 2, 0))
    damaged = bytearray(made)
    damaged[900:986] = bytes(86)  # one row: a byte in each column
    assert frames.repair(damaged, 1)
    assert damaged == made
    lost = bytearray(random.Random(8).randbytes(RAW))
    kept = bytes(lost)
    assert frames.repair(lost, 1) is None
    assert lost == kept


def test_ecc_alone() -> None:
    for mode in (1, 2):
        made = twins.frame(USERS[2], mode, 12, 34, 56)
        for module in BOTH:
            bare = bytearray(made[:2076] + bytes(276))
            module.ecc(bare, mode)
            assert bare == made


def test_scrambling() -> None:
    for module in BOTH:
        zeros = bytearray(2 * RAW)
        module.scramble(zeros)
        # ECMA-130 annex B: the register starts with 1
        assert zeros[:24].hex() == "00" * 12 + "018000600028001e80086006"
        assert zeros[:RAW] == zeros[RAW:]
        module.scramble(zeros)
        assert zeros == bytes(2 * RAW)
    one, two = bytearray(USERS[2] + bytes(304)), bytearray(USERS[2] + bytes(304))
    frames.scramble(one)
    twin.scramble(two)
    assert one == two


@given(st.integers(1, 40), st.integers(0, 20), st.integers(0, 20), st.integers(0, 200))
def test_gather_and_scatter(take: int, skip: int, gap: int, size: int) -> None:
    pitch = take + skip + gap
    records = -(-size // take)
    src = random.Random(9).randbytes(records * pitch)
    want = b"".join(src[i * pitch + skip :][:take] for i in range(records))[:size]
    for module in BOTH:
        out = bytearray(size)
        module.gather(src, pitch, skip, take, out)
        assert out == want
        back = bytearray(b"\xee" * len(src))
        module.scatter(want, back, pitch, skip, take)
        for i in range(records):
            part = want[i * take : (i + 1) * take]
            record = back[i * pitch : (i + 1) * pitch]
            assert record[skip : skip + len(part)] == part
            assert set(record[:skip] + record[skip + len(part) :]) <= {0xEE}


@given(st.binary(max_size=300))
def test_swapped_words(data: bytes) -> None:
    data = data[: len(data) & ~1]
    want = b"".join(bytes((data[i + 1], data[i])) for i in range(0, len(data), 2))
    for module in BOTH:
        out = bytearray(len(data))
        module.swap16(data, out)
        assert out == want
        same = bytearray(data)
        module.swap16(same, same)
        assert same == want


@pytest.mark.parametrize("room", [2352 + 2048, 30_000, 1 << 19])
def test_cook_file(tmp_path: Path, room: int) -> None:
    user, made = disc(40, 2)
    records = [made[at + 16 : at + RAW] for at in range(0, len(made), RAW)]
    (tmp_path / "bin").write_bytes(b"lead" + b"".join(records))
    damaged = bytearray(made)
    damaged[33 * RAW + 99] ^= 1
    (tmp_path / "bad").write_bytes(damaged)
    for module in BOTH:
        for name, at, pitch, base, count, verdict in (
            ("bin", 4, 2336, 16, 40, Verdict(40, Fault.NONE)),
            ("bin", 4, 2336, 16, 41, Verdict(40, Fault.SHORT)),
            ("bad", 0, 2352, 0, 40, Verdict(33, Fault.EDC)),
            ("bad", RAW, 2352, 0, 5, Verdict(5, Fault.NONE)),
        ):
            with (tmp_path / name).open("rb") as src, (tmp_path / "iso").open("w+b") as dst:
                got = module.cook_file(
                    src.fileno(),
                    at,
                    pitch,
                    base,
                    2,
                    count,
                    dst.fileno(),
                    3,
                    Check.ALL,
                    bytearray(room),
                )
                assert got == verdict
                first = USER if at == RAW else 0
                assert dst.read() == bytes(3) + user[first : first + got.done * USER]


def test_cook_file_marks_odd_frames(tmp_path: Path) -> None:
    _, made = disc(40, 1)
    odd = bytearray(made)
    odd[21 * RAW + 2300] ^= 1
    (tmp_path / "bin").write_bytes(odd)
    for module in BOTH:
        marks, room = bytearray(35), bytearray(30_000)
        with (tmp_path / "bin").open("rb") as src, (tmp_path / "iso").open("w+b") as dst:
            module.cook_file(src.fileno(), 5 * RAW, RAW, 0, 1, 35, dst.fileno(), 0, Check.ALL,
                             room, 5, marks)  # fmt: skip
        assert list(marks) == [n == 16 for n in range(35)]


def test_cook_file_tells_the_system_s_error(tmp_path: Path) -> None:
    (tmp_path / "bin").write_bytes(disc(2, 1)[1])
    with (tmp_path / "bin").open("rb") as src, pytest.raises(OSError, match="descriptor"):
        frames.cook_file(src.fileno(), 0, RAW, 0, 1, 2, src.fileno(), 0, 15, bytearray(1 << 16))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer frames"):
        frames.cook(bytes(RAW), RAW, 0, 1, bytearray(2 * USER), Check.ALL)
    with pytest.raises(ValueError, match="EDC of mode 1"):
        frames.cook(bytes(RAW), 2336, 16, 1, bytearray(USER), Check.ALL)
    with pytest.raises(ValueError, match="mode"):
        frames.check(bytes(RAW), RAW, 0, 3, bytearray(1))
    with pytest.raises(ValueError, match="too short"):
        frames.gather(bytes(10), 10, 5, 5, bytearray(6))
    with pytest.raises(ValueError, match="pitch"):
        frames.cook(bytes(3000), 2050, 0, 1, bytearray(USER), Check.ALL)


def test_a_real_disc(corpus: Path) -> None:
    found = corpus / "cue/libcdio__isofs-m1/isofs-m1.bin"
    if not found.is_file():
        pytest.skip("the corpus has no isofs-m1.bin")
    stored = found.read_bytes()
    count = len(stored) // RAW
    status, user = bytearray(count), bytearray(count * USER)
    frames.check(stored, RAW, 0, 1, status)
    assert status == bytes(count)
    assert frames.cook(stored, RAW, 0, 1, user) == Verdict(count, Fault.NONE)
    again = bytearray(len(stored))
    frames.make(user, again, 1, 0)
    assert again == stored
