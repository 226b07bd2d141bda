"""Ciphers and digests of ours: vectors of their specifications, and twins a block at a time."""

from __future__ import annotations

import hashlib
import random
import sys

import pytest
from hypothesis import given, settings, strategies as st

from diskimage.codecs.aes import Aes
from diskimage.codecs.lrw import Lrw
from diskimage.codecs.ripemd import derive, derive_plainly, ripemd160
from diskimage.codecs.xts import Xts
from diskimage.errors import UnsupportedError
from tests.makers import aes, mdx

MISSING = "ripemd160" not in hashlib.algorithms_available
WHEEL = "needs the extra `crypto`"

# the vectors of the paper's appendix B
DIGESTS = {
    b"": "9c1185a5c5e9fc54612808977ee8f548b2258d31",
    b"a": "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe",
    b"abc": "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    b"message digest": "5d0689ef49d2fae572b881b123a85ffa21595f36",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq":
        "12a053384a9c0c88e405a06c27dcf49ada62eb2b",
    b"1234567890" * 8: "9b752e45573d4b39f4dbd3323cab82bf63326bfb",
}  # fmt: skip


@pytest.mark.parametrize(("text", "digest"), DIGESTS.items(), ids=map(len, DIGESTS))
def test_ripemd_of_the_papers_texts(text: bytes, digest: str) -> None:
    assert ripemd160(text).hex() == digest


@pytest.mark.skipif(MISSING, reason="needs an OpenSSL that offers RIPEMD-160")
@given(st.binary(max_size=300))
def test_ripemd_is_that_of_openssl(text: bytes) -> None:
    assert ripemd160(text) == hashlib.new("ripemd160", text).digest()


@pytest.mark.skipif(MISSING, reason="needs an OpenSSL that offers RIPEMD-160")
@pytest.mark.parametrize("password", [b"", b"pass", b"x" * 64, b"y" * 65])
@pytest.mark.parametrize("length", [1, 20, 64])
def test_derived_keys_are_those_of_openssl(password: bytes, length: int) -> None:
    expected = hashlib.pbkdf2_hmac("ripemd160", password, b"salt" * 16, 3, length)
    assert derive_plainly(password, b"salt" * 16, 3, length) == expected


def test_keys_are_derived_where_openssl_lists_it_and_has_it_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = derive_plainly(b"pass", b"salt", 2, 40)

    def refuse(*_: object) -> bytes:
        raise ValueError("unsupported hash type ripemd160")

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", refuse)
    monkeypatch.setattr(hashlib, "algorithms_available", {"ripemd160"})
    assert derive(b"pass", b"salt", 2, 40) == expected
    monkeypatch.setattr(hashlib, "algorithms_available", set())
    assert derive(b"pass", b"salt", 2, 40) == expected


def test_without_the_wheel_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    with pytest.raises(UnsupportedError) as error:
        Aes(bytes(16))
    assert "py-diskimage[crypto]" in (error.value.remedy or "")


def test_aes_of_the_standards_vector() -> None:
    pytest.importorskip("cryptography", reason=WHEEL)
    cipher = Aes(bytes(range(32)))  # FIPS 197, C.3
    plain = bytes.fromhex("00112233445566778899aabbccddeeff")
    coded = cipher.encrypt(plain)
    assert coded.hex() == "8ea2b7ca516745bfeafc49904b496089"
    assert cipher.decrypt(coded) == plain
    assert aes.encrypt(bytes(range(32)), plain) == coded


def test_lrw_of_the_drafts_vector() -> None:
    pytest.importorskip("cryptography", reason=WHEEL)
    key = bytes.fromhex("4562ac25f828176d4c268414b5680185")  # P1619/D4, the first of its vectors
    tweak = bytes.fromhex("258e2a05e73e9d03ee5a830ccc094c87")
    coded = Lrw(key, tweak).encrypt(1, b"0123456789ABCDEF")
    assert coded.hex() == "f1b273cd65a3df5fe95d489254634eb8"


@settings(max_examples=20)
@given(
    st.sampled_from([1, 2, 1020, 1023, 1024, 70_000, (1 << 40) - 3]),
    st.integers(0, 130),
    st.integers(0, 1000),
)
def test_lrw_is_that_of_a_block_at_a_time(number: int, length: int, seed: int) -> None:
    pytest.importorskip("cryptography", reason=WHEEL)
    draw = random.Random(seed)
    keys, data = draw.randbytes(64), draw.randbytes(length)
    cipher = Lrw(keys[32:64], keys[:16])
    coded = cipher.encrypt(number, data)
    assert coded == mdx.lrw(keys, number, data)
    assert cipher.decrypt(number, bytearray(coded)) == data


def test_a_long_stretch_is_deciphered_as_its_parts() -> None:
    pytest.importorskip("cryptography", reason=WHEEL)
    data = random.Random(3).randbytes(5000 * 16)
    cipher = Lrw(bytes(range(32)), bytes(range(16)))
    parts = [cipher.decrypt(9 + i, data[16 * i : 16 * i + 16]) for i in range(5000)]
    assert cipher.decrypt(9, data) == b"".join(parts)


def test_xts_of_the_standards_vectors() -> None:
    pytest.importorskip("cryptography", reason=WHEEL)
    # IEEE 1619-2007, annex B, vectors 2 and 4 (the first two blocks)
    second = bytes.fromhex("c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0")
    key = bytes([0x11]) * 16 + bytes([0x22]) * 16
    number = bytes.fromhex("3333333333").ljust(16, b"\0")
    assert Xts(key).decrypt(number, second) == bytes([0x44]) * 32
    fourth = bytes.fromhex("27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c")
    key = bytes.fromhex("2718281828459045235360287471352631415926535897932384626433832795")
    assert Xts(key).decrypt(bytes(16), fourth) == bytes(range(32))


@given(st.integers(0, 9), st.sampled_from([512, 4096]), st.integers(0, 1 << 63))
@settings(max_examples=20)
def test_xts_is_that_of_the_wheel_a_unit_at_a_time(count: int, unit: int, first: int) -> None:
    pytest.importorskip("cryptography", reason=WHEEL)
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    draw = random.Random(first)
    key, plain = draw.randbytes(64), draw.randbytes(count * unit)
    numbers = [(first + i).to_bytes(16, "little") for i in range(count)]
    coded = b"".join(
        Cipher(algorithms.AES(key), modes.XTS(number)).encryptor().update(plain[i * unit :][:unit])
        for i, number in enumerate(numbers)
    )
    assert Xts(key).decrypt(b"".join(numbers), coded) == plain


@given(st.integers(0, 9), st.sampled_from([16, 512, 4096]), st.integers(0, 1 << 63))
@settings(max_examples=20)
def test_units_are_chains_of_their_own(count: int, unit: int, seed: int) -> None:
    pytest.importorskip("cryptography", reason=WHEEL)
    draw = random.Random(seed)
    key, coded, ivs = draw.randbytes(32), draw.randbytes(count * unit), draw.randbytes(count * 16)
    cipher = Aes(key)
    plain = b"".join(
        cipher.decrypt_chain(ivs[16 * i : 16 * i + 16], coded[i * unit : (i + 1) * unit])
        for i in range(count)
    )
    assert cipher.decrypt_units(ivs, coded) == plain
