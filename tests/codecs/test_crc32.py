"""CRC-32 beside zlib's own."""

from __future__ import annotations

import zlib

from hypothesis import given, strategies as st

from diskimage.codecs.crc32 import Crc32

PIECES = st.one_of(
    st.binary(max_size=200),
    st.integers(0, 5000),
    st.tuples(st.binary(min_size=1, max_size=9), st.integers(0, 3000)),
)


@given(st.lists(PIECES, max_size=6))
def test_pieces_zeros_and_repetitions_sum_as_their_bytes_do(
    pieces: list[bytes | int | tuple[bytes, int]],
) -> None:
    running, plain = Crc32(), b""
    for piece in pieces:
        if isinstance(piece, bytes):
            running.update(piece)
            plain += piece
        elif isinstance(piece, int):
            running.zeros(piece)
            plain += bytes(piece)
        else:
            running.repeated(*piece)
            plain += piece[0] * piece[1]
    assert running.value == zlib.crc32(plain)
    assert running.hexdigest() == f"{zlib.crc32(plain):08x}"
