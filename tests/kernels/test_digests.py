"""Every path of every digest against hashlib and against the vectors of the standards."""

from __future__ import annotations

import hashlib
import mmap
import random

import pytest

from diskimage.kernels import digests
from diskimage.kernels.extension import NATIVE

RFC1321 = {
    b"": "d41d8cd98f00b204e9800998ecf8427e",
    b"a": "0cc175b9c0f1b6a831c399e269772661",
    b"abc": "900150983cd24fb0d6963f7d28e17f72",
    b"message digest": "f96b697d7cb7938d525a2f31aaf161d0",
    b"abcdefghijklmnopqrstuvwxyz": "c3fcd3d76192e4007dfb496cca67e13b",
    b"1234567890" * 8: "57edf4a22be3c955ac49da2e2107b67a",
}
FIPS180 = {
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq":
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
}  # fmt: skip
USABLE = [
    (name, path)
    for name, rows in digests.paths().items()
    for path, state in rows
    if state in ("selected", "available")
]


def plain(name: str, data: bytes, block: int) -> bytes:
    pieces = (data[at : at + block] for at in range(0, len(data), block))
    return b"".join(hashlib.new(name, piece).digest() for piece in pieces)


def test_paths_are_told() -> None:
    for name, rows in digests.paths().items():
        states = [state for _, state in rows]
        assert states.count("selected") == 1, name
        assert "failed self-test" not in states, rows
    unmeasured = [
        row for rows in digests.paths().values() for row in rows if row[1] == "cpu lacks it"
    ]
    print("unmeasured on this processor:", unmeasured)


@pytest.mark.parametrize(("name", "path"), USABLE)
def test_vectors(name: str, path: str) -> None:
    known = {"md5": RFC1321, "sha256": FIPS180}.get(name, {})
    for message, digest in known.items():
        if message:
            got = digests.blocks(name, message, len(message), path=_path(name, path))
            assert got.hex() == digest
            many = digests.blocks(name, message * 40, len(message), path=_path(name, path))
            assert many.hex() == digest * 40


@pytest.mark.parametrize(("name", "path"), USABLE)
def test_blocks_of_every_length(name: str, path: str) -> None:
    data = random.Random(1).randbytes(70 * 200)
    for block in (1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 121, 127, 128, 129, 200, 1000):
        for blocks in (1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 70):
            for short in (0, 1, block // 2):
                piece = data[: max(0, min(len(data), blocks * block) - short)]
                got = digests.blocks(name, piece, block, path=_path(name, path))
                assert got == plain(name, piece, block), (block, blocks, short)


@pytest.mark.parametrize(("name", "path"), USABLE)
def test_megabyte_blocks_at_any_address(name: str, path: str) -> None:
    size = (1 << 20) * 5 + 12345
    room = mmap.mmap(-1, size + 64)
    data = random.Random(2).randbytes(size)
    for lead in (0, 1, 16):
        view = memoryview(room)[lead : lead + size]
        view[:] = data
        got = digests.blocks(name, view, 1 << 20, path=_path(name, path))
        assert got == plain(name, data, 1 << 20)
        view.release()


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256"])
def test_the_selected_path(name: str) -> None:
    data = random.Random(3).randbytes(100_000)
    for block in (64, 1000, 1024, 99_999, 100_000, 100_001):
        assert digests.blocks(name, data, block) == plain(name, data, block)
    assert digests.blocks(name, b"", 4) == b""


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="sha999"):
        digests.blocks("sha999", b"a", 1)
    with pytest.raises(ValueError, match="block"):
        digests.blocks("md5", b"a", 0)


def _path(name: str, path: str) -> str | None:
    return path if NATIVE and name != "sha1" else None
