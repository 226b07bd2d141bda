"""The kernels of CHD against their twins, and against what the format's own words say."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import chd
from diskimage.reference import chd as twin
from tests.makers import frames

KINDS = pytest.mark.parametrize("tried", [chd, twin], ids=["kernel", "twin"])
HOW = chd.Layout(hunk=4096, hunk_units=2, first=124, length_bits=13, self_bits=9, parent_bits=7)
CODED, PLAIN, SELF = 0, 4, 5


def row(kind: int, length: int, place: int, crc: int) -> bytes:
    return bytes([kind]) + b"".join(
        value.to_bytes(size, "big") for value, size in ((length, 3), (place, 6), (crc, 2))
    )


@st.composite
def maps(draw: st.DrawFn) -> bytes:
    """Rows in runs, as a writer of the format may have them."""
    numbers = random.Random(draw(st.integers(0, 1 << 30)))
    rows, at, count = bytearray(), HOW.first, 0
    for kind, run in draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 300)), max_size=9)):
        for _ in range(run):
            if kind == SELF:
                rows += row(SELF, 0, numbers.choice([count, max(0, count - 1), 7]) & 511, 0)
            else:
                length = HOW.hunk if kind == PLAIN else numbers.randrange(8192)
                rows += row(kind, length, at, numbers.randrange(65536))
                at += length
            count += 1
    return bytes(rows)


@given(rows=maps())
def test_maps_come_back_from_either_writer_by_either_reader(rows: bytes) -> None:
    hunks = len(rows) // chd.ROW
    sizes = set()
    for writer in (chd, twin):
        bits = writer.map_write(rows, HOW)
        sizes.add(len(bits))
        for reader in (chd, twin):
            assert reader.map_read(bits, HOW, hunks) == rows
    assert max(sizes) - min(sizes) <= 2 + max(sizes) // 50  # ties among weights may fall either way


@KINDS
def test_a_map_by_hand(tried: object) -> None:
    """Codes 0: parent at its own place, 10: codec 0, 11: the run of three of the last."""
    lengths = {0: 2, 7: 2, 11: 1}  # the longest code comes first: 0 is 00, 7 is 01, 11 is 1
    head = "".join(
        "00010001" if n == 1 else f"{n:04b}" for n in (lengths.get(i, 0) for i in range(16))
    )
    bits = head + "00" + "01" + "00" + "1" + f"{5:013b}{0xBEEF:016b}" * 4
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    got = tried.map_read(data, HOW, 5)  # type: ignore[attr-defined]  # a module, whichever
    stored = [row(0, 5, 124 + 5 * i, 0xBEEF) for i in range(4)]
    assert got == b"".join([*stored, row(6, 0, 4 * 2, 0)])


@given(data=st.binary(max_size=300), hunks=st.integers(0, 60))
def test_noise_means_the_same_to_both(data: bytes, hunks: int) -> None:
    assert chd.map_read(data, HOW, hunks) == twin.map_read(data, HOW, hunks)
    out, again = bytearray(200), bytearray(200)
    done = chd.huffman_read(data, out)
    assert done == twin.huffman_read(data, again)
    assert out[:done] == again[:done]


@KINDS
def test_bytes_coded_by_hand(tried: object) -> None:
    """Every byte has a code of 8 bits: lengths 8 by a code of two, one of which repeats it."""
    small = f"{1:03b}{7:03b}" + "000" + f"{1:03b}" + f"{7:03b}"  # symbols 0 and 9 have one bit each
    lengths = "1" + "0" + f"{7:03b}{255 - 9:08b}"  # 9: a length of 8; 0: it once more, 255 times
    plain = b"Every disk image is a block device."
    bits = small + lengths + "".join(f"{byte:08b}" for byte in plain)
    bits = bits.ljust(-(-len(bits) // 8) * 8, "0")
    coded, out = int(bits, 2).to_bytes(len(bits) // 8, "big"), bytearray(len(plain))
    assert tried.huffman_read(coded, out) == len(plain)  # type: ignore[attr-defined]  # as above
    assert out == plain


@KINDS
def test_the_check_value_of_the_crc(tried: object) -> None:
    """CRC-16/IBM-3740 in catalogues of CRCs: 29B1 of 123456789."""
    assert tried.crc16(b"123456789") == 0x29B1  # type: ignore[attr-defined]  # as above


@given(data=st.binary(max_size=100), value=st.integers(0, 65535))
def test_crcs_are_equal(data: bytes, value: int) -> None:
    assert chd.crc16(data, value) == twin.crc16(data, value)


@KINDS
def test_frames_that_can_be_made_again_lose_sync_and_parity(tried: object) -> None:
    user = frames.sectors(3)
    wrong = bytearray(frames.mode1(user[1], 1))
    wrong[2100] ^= 1
    units = [
        frames.mode1(user[0], 0), bytes(wrong), frames.form1(user[2], 2),
        frames.form2(bytes(2324), 3), frames.audio(1),
    ]  # fmt: skip
    subs = [bytes([i]) * 96 for i in range(5)]
    stored = b"".join(a + b for a, b in zip(units, subs, strict=True))
    main, sub, marked = bytearray(5 * 2352), bytearray(5 * 96), bytearray(1)
    tried.cd_split(stored, main, sub, marked)  # type: ignore[attr-defined]  # as above
    assert marked == bytes([0b00101])
    assert sub == b"".join(subs)
    for i, unit in enumerate(units):
        kept = main[i * 2352 : (i + 1) * 2352]
        if marked[0] >> i & 1:
            assert kept[12:2076] == unit[12:2076]
            assert not any(kept[:12] + kept[2076:])
        else:
            assert kept == unit
    back = bytearray(len(stored))
    tried.cd_join(main, sub, marked, back)  # type: ignore[attr-defined]  # as above
    assert back == stored


@KINDS
def test_frames_without_marks_are_kept_as_they_are(tried: object) -> None:
    stored = frames.mode1(bytes(2048), 0) + bytes(96)
    main, sub, back = bytearray(2352), bytearray(96), bytearray(2448)
    tried.cd_split(stored, main, sub, None)  # type: ignore[attr-defined]  # as above
    assert main == stored[:2352]
    tried.cd_join(main, sub, None, back)  # type: ignore[attr-defined]  # as above
    assert back == stored


def test_buffers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="for each frame"):
        chd.cd_join(bytes(2352), bytes(95), None, bytearray(2448))
    with pytest.raises(ValueError, match="mark"):
        chd.cd_split(bytes(2448), bytearray(2352), bytearray(96), bytearray(0))
    with pytest.raises(ValueError, match="whole rows"):
        chd.map_write(bytes(13), HOW)
    with pytest.raises(ValueError, match="24 bits"):
        chd.map_read(b"", HOW._replace(length_bits=25), 1)
