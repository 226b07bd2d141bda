"""LUKS volumes of cryptsetup and of qemu-img."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import PasswordError
from tests.makers.luks import PASSWORD, content, sealed

pytest.importorskip("cryptography", reason="needs the extra `crypto`")

Peer = Callable[[str], str]
GUEST = content(16 * 4096)


def shell(*words: str | Path, stdin: bytes = b"") -> bytes:
    for _ in range(20):
        done = subprocess.run(words, input=stdin, capture_output=True, check=False, timeout=60)
        if done.returncode == 0:
            return done.stdout
        # it measures how fast it derives keys, which may fail on a busy machine
        assert b"accurate CPU usage" in done.stderr, done.stderr
    pytest.fail("qemu-img could not measure its own speed twenty times")


@pytest.mark.parametrize(
    "options",
    [
        "cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64,hash-alg=sha256",
        "cipher-alg=aes-128,cipher-mode=xts,ivgen-alg=plain,hash-alg=sha512",
        "cipher-alg=aes-256,cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256,hash-alg=sha1",
        "cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=plain64,hash-alg=ripemd160",
    ],
)
def test_volumes_of_qemu_img(options: str, tmp_path: Path, peer: Peer) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / "a.luks"
    raw.write_bytes(GUEST)
    shell(peer("qemu-img"), "convert", "--object", f"secret,id=s,data={PASSWORD}", "-f", "raw",
          "-O", "luks", "-o", f"key-secret=s,iter-time=100,{options}", raw, image)  # fmt: skip
    with diskimage.open(image, password=PASSWORD) as found:
        assert found.read(0, found.size) == GUEST
    assert diskimage.check(image, password=PASSWORD).ok


@pytest.mark.parametrize(
    ("version", "cipher", "bits", "kdf", "sector"),
    [
        ("luks1", "aes-xts-plain64", 512, "pbkdf2", 512),
        ("luks1", "aes-cbc-essiv:sha256", 256, "pbkdf2", 512),
        ("luks2", "aes-xts-plain64", 512, "argon2id", 4096),
        ("luks2", "aes-xts-plain64", 256, "argon2i", 512),
        ("luks2", "aes-cbc-plain64", 256, "pbkdf2", 2048),
    ],
)
def test_volumes_of_cryptsetup(
    version: str, cipher: str, bits: int, kdf: str, sector: int, tmp_path: Path, peer: Peer
) -> None:
    """Its headers, slots and keys; the sectors are the maker's, for it writes none without root."""
    tool, image, key = peer("cryptsetup"), tmp_path / "a.img", tmp_path / "key"
    key.write_bytes(content(bits // 8, 4))
    with image.open("wb") as made:
        made.truncate(20 << 20)
    cost = ["--pbkdf-force-iterations", "1000"] if kdf == "pbkdf2" else [
        "--pbkdf-memory", "64", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2",
    ]  # fmt: skip
    shape = ["--sector-size", str(sector)] if version == "luks2" else []
    shell(tool, "luksFormat", "--batch-mode", "--type", version, "--cipher", cipher, "--key-size",
          str(bits), "--pbkdf", kdf, *cost, *shape, "--volume-key-file", key, "--key-file", "-",
          image, stdin=b"first")  # fmt: skip
    (tmp_path / "old").write_bytes(b"first")
    shell(tool, "luksAddKey", "--batch-mode", "--pbkdf", kdf, *cost, "--key-file",
          tmp_path / "old", image, "-", stdin=PASSWORD.encode())  # fmt: skip
    with diskimage.open(image, password=PASSWORD) as found:
        size = found.size
        assert found.info["unlocked_by"] == "1"
    with image.open("r+b") as made:
        made.seek((20 << 20) - size)
        made.write(sealed(cipher, key.read_bytes(), GUEST, sector=sector))
    for password in (PASSWORD, "first"):
        with diskimage.open(image, password=password) as found:
            assert found.read(0, len(GUEST)) == GUEST
            assert found.sector_size == sector
    with pytest.raises(PasswordError):
        diskimage.open(image, password="second")
    assert diskimage.check(image, password=PASSWORD).ok
