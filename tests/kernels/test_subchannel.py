"""Subchannel against its twin, and against what single bits say."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from diskimage.kernels import subchannel
from diskimage.reference import subchannel as twin

KINDS = pytest.mark.parametrize("tried", [subchannel, twin], ids=["kernel", "twin"])


def bits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


@KINDS
@given(data=st.binary(min_size=192, max_size=192))
def test_every_bit_goes_to_its_place_and_back(tried: object, data: bytes) -> None:
    woven, back = bytearray(192), bytearray(192)
    tried.sub_interleave(data, woven)  # type: ignore[attr-defined]  # a module, whichever
    for frame in range(2):
        one, two = bits(data[frame * 96 :][:96]), bits(bytes(woven[frame * 96 :][:96]))
        channels = [one[c * 96 : c * 96 + 96] for c in range(8)]
        assert two == "".join(channels[c][i] for i in range(96) for c in range(8))
    tried.sub_pack(woven, back)  # type: ignore[attr-defined]  # as above
    assert back == data


@KINDS
def test_the_crc_is_that_of_the_catalogues(tried: object) -> None:
    """CRC-16/GSM by its name in catalogues: CE3C is its check value for 123456789."""
    q = bytearray(b"\0" + b"123456789" + bytes(2))  # a leading zero leaves a CRC from 0
    tried.q_seal(q, 12)  # type: ignore[attr-defined]  # as above
    assert bytes(q[10:]).hex() == "ce3c"


@KINDS
@given(data=st.binary(min_size=16 * 5, max_size=16 * 5), bit=st.integers(0, 95))
def test_one_wrong_bit_is_seen(tried: object, data: bytes, bit: int) -> None:
    q, wrong = bytearray(data), bytearray(5)
    tried.q_seal(q, 16)  # type: ignore[attr-defined]  # as above
    assert [q[i + 12 : i + 16] for i in range(0, 80, 16)] == [
        data[i + 12 : i + 16] for i in range(0, 80, 16)
    ]
    tried.q_check(q, 16, wrong)  # type: ignore[attr-defined]  # as above
    assert not any(wrong)
    q[32 + bit // 8] ^= 1 << bit % 8
    tried.q_check(q, 16, wrong)  # type: ignore[attr-defined]  # as above
    assert bytes(wrong) == b"\0\0\1\0\0"


def test_buffers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="whole"):
        subchannel.sub_pack(bytes(95), bytearray(95))
    with pytest.raises(ValueError, match="too few"):
        subchannel.q_check(bytes(23), 12, bytearray(2))
    with pytest.raises(ValueError, match="12"):
        subchannel.q_seal(bytearray(24), 11)
