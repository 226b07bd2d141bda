"""qcow2 and qcow under LUKS and the old AES: images of the maker, and of qemu-img."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import diskimage
from diskimage.errors import CorruptError, PasswordError, TruncatedError, UnsupportedError
from diskimage.model import Kind
from tests.bounded import Run
from tests.formats.test_luks_peers import shell
from tests.makers.luks import PASSWORD, content, luks1, sealed
from tests.makers.naive import lawful
from tests.makers.qcow2 import Cluster, Maker, patched

pytest.importorskip("cryptography", reason="needs the extra `crypto`")

Peer = Callable[[str], str]
SORTS = ["none", "data", "data", "zero", "coded"]
OLD_KEY = PASSWORD.encode()[:16].ljust(16, b"\0")


def clusters(bits: int, seed: int) -> tuple[dict[int, Cluster], bytes]:
    """Forty clusters of all sorts, and the guest."""
    chance, made, guest = random.Random(seed), {}, b""
    for number in range(40):
        kind = chance.choice(SORTS)
        plain = content(1 << bits, number) if kind == "data" else bytes(1 << bits)
        if kind == "coded":
            plain = b"soft" * (1 << bits >> 2)
        if kind != "none":
            made[number] = Cluster(kind, plain)
        guest += plain
    return made, guest


def opened(image: bytes, **how: Any) -> diskimage.Image:
    return diskimage.open(image, **{"password": PASSWORD, **how})


def luks_maker(cipher: str, size: int, bits: int, seed: int) -> tuple[Maker, bytes]:
    made, guest = clusters(bits, seed)
    key = random.Random(size).randbytes(size)
    return Maker(
        len(guest), made, bits=bits, encryption=2, seed=seed,
        luks=luks1(b"", cipher=cipher, size=size, payload=2048 * 512),
        seal=lambda _, at, plain: sealed(cipher, key, plain, first=at // 512),
    ), guest  # fmt: skip


def aes_maker(bits: int, seed: int, version: int = 3) -> tuple[Maker, bytes]:
    made, guest = clusters(bits, seed)
    kept = {n: one for n, one in made.items() if version == 3 or one.kind != "zero"}
    return Maker(
        len(guest), kept, bits=bits, encryption=1, seed=seed, version=version,
        seal=lambda at, _, plain: sealed("aes-cbc-plain64", OLD_KEY, plain, first=at // 512),
    ), guest  # fmt: skip


@pytest.mark.parametrize("bits", [9, 12, 16])
@pytest.mark.parametrize(
    ("cipher", "size"),
    [("aes-xts-plain64", 64), ("aes-cbc-essiv:sha256", 32), ("aes-cbc-plain", 16)],
)
def test_luks_counts_sectors_of_the_file(cipher: str, size: int, bits: int) -> None:
    maker, guest = luks_maker(cipher, size, bits, bits)
    with opened(maker.image()) as found:
        lawful(found.device)
        assert found.read(0, found.size) == guest
        assert found.read(700, 5000) == guest[700:5700]
        assert found.info["encryption"]["cipher"] == cipher  # type: ignore[index]  # a mapping
    assert diskimage.check(maker.image(), password=PASSWORD).ok


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("bits", [9, 12, 16])
def test_the_old_aes_counts_sectors_of_the_guest(bits: int, version: int) -> None:
    maker, guest = aes_maker(bits, bits, version)
    with opened(maker.image()) as found:
        lawful(found.device)
        assert found.read(0, found.size) == guest
        assert found.read(700, 5000) == guest[700:5700]
        assert [one.kind for one in found.warnings] == ["password"]


def test_a_wrong_password_of_luks_is_told() -> None:
    image = luks_maker("aes-xts-plain64", 64, 12, 1)[0].image()
    for password in ("wrong", None):
        with pytest.raises(PasswordError) as caught:
            opened(image, password=password)
        assert caught.value.remedy


def test_the_header_has_to_be_there() -> None:
    maker, _ = luks_maker("aes-xts-plain64", 64, 12, 1)
    image = maker.image()
    extension = image.index(b"\x05\x37\xbe\x77") + 8
    for at, value, width, error in [
        (extension - 8, 0x12345678, 4, CorruptError), (extension, 77, 8, CorruptError),
        (extension, 1 << 40, 8, TruncatedError), (extension + 8, 1 << 40, 8, TruncatedError),
        (extension + 8, 100, 8, TruncatedError), (4096 + 6, 2, 2, CorruptError),
    ]:  # fmt: skip
        with pytest.raises((error, UnsupportedError)):
            opened(patched(image, at, value, width))


def test_without_a_password_it_is_described(tmp_path: Path, dim: str, run: Run) -> None:
    path = tmp_path / "a.qcow2"
    for maker, guest in (luks_maker("aes-xts-plain64", 64, 16, 1), aes_maker(16, 2)):
        path.write_bytes(maker.image())
        documents = {}
        for verb in ("info", "map", "check"):
            done = run([dim, verb, path, "--json"], env={})
            assert done.returncode == 0, done.stderr
            documents[verb] = json.loads(done.stdout)
        assert documents["info"]["size"] == len(guest)
        assert documents["info"]["info"]["encryption"]["unlocked_by"] is None
        assert {row["kind"] for row in documents["map"]} >= {"data", "hole", "compressed"}
        done = run([dim, "hash", path, "--json"], env={})
        assert json.loads(done.stderr)["error"]["kind"] == "password"


def test_a_backing_has_its_own_cipher(tmp_path: Path) -> None:
    below, guest = luks_maker("aes-xts-plain64", 64, 16, 3)
    (tmp_path / "below.qcow2").write_bytes(below.image())
    over = Maker(
        len(guest), {3: Cluster("data", content(65536, 99))}, backing=b"below.qcow2",
        extensions=[(0xE2792ACA, b"qcow2")],
    ).image()  # fmt: skip
    (tmp_path / "over.qcow2").write_bytes(over)
    expected = guest[: 3 * 65536] + content(65536, 99) + guest[4 * 65536 :]
    with diskimage.open(tmp_path / "over.qcow2", references="siblings", password=PASSWORD) as found:
        assert found.read(0, found.size) == expected


SECRET = f"secret,id=s,data={PASSWORD}"


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("qcow2", "encrypt.format=luks,encrypt.iter-time=100"),
        ("qcow2", "encrypt.format=luks,encrypt.iter-time=100,cluster_size=4096,extended_l2=off"),
        ("qcow2", "encrypt.format=luks,encrypt.iter-time=100,extended_l2=on"),
        ("qcow2", "encrypt.format=luks,encrypt.iter-time=100,encrypt.cipher-alg=aes-128,"
                  "encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256"),
        ("qcow2", "encrypt.format=aes"),
        ("qcow2", "encrypt.format=aes,compat=0.10,cluster_size=512"),
        ("qcow", "encrypt.format=aes"),
    ],
)  # fmt: skip
def test_images_of_qemu_img(format: str, options: str, tmp_path: Path, peer: Peer) -> None:
    raw, image = tmp_path / "a.raw", tmp_path / f"a.{format}"
    guest = content(300_032) + bytes(1 << 20) + content(70_144, 1)
    raw.write_bytes(guest)
    shell(peer("qemu-img"), "convert", "--object", SECRET, "-f", "raw", "-O", format, "-o",
          f"encrypt.key-secret=s,{options}", raw, image)  # fmt: skip
    with diskimage.open(image, password=PASSWORD) as found:
        assert found.read(0, found.size) == guest
        assert any(extent.kind == Kind.ZERO for extent in found.extents())
    assert diskimage.check(image, password=PASSWORD).ok
    mapped = subprocess.run(
        [peer("qemu-img"), "map", "--output=json", "--object", SECRET, "--image-opts",
         f"driver={format},file.filename={image},encrypt.key-secret=s,encrypt.format="
         f"{'luks' if 'luks' in options else 'aes'}"],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert mapped.returncode == 0, mapped.stderr
    theirs = [(row["start"], row["length"]) for row in json.loads(mapped.stdout) if row["data"]]
    ours = [(row.start, row.length) for row in diskimage.map(image).records if row.data]
    assert ours == theirs


def test_writes_of_qemu_io(tmp_path: Path, peer: Peer) -> None:
    """Clusters in an order of their own: places in the file and in the guest differ."""
    image = tmp_path / "a.qcow2"
    shape = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=100"
    shell(peer("qemu-img"), "create", "-q", "--object", SECRET, "-f", "qcow2", "-o", shape, image,
          "8M")  # fmt: skip
    guest, chance, commands = bytearray(8 << 20), random.Random(5), []
    for _ in range(30):
        at, length = chance.randrange(0, 8000) * 1024, chance.randrange(1, 60) * 1024
        byte, length = chance.randrange(1, 255), min(length, (8 << 20) - at)
        commands += ["-c", f"write -P {byte} {at} {length}"]
        guest[at : at + length] = bytes([byte]) * length
    where = f"driver=qcow2,file.filename={image},encrypt.key-secret=s,encrypt.format=luks"
    shell(peer("qemu-io"), "--object", SECRET, *commands, "--image-opts", where)
    with diskimage.open(image, password=PASSWORD) as found:
        assert found.read(0, found.size) == guest


@pytest.mark.parametrize("beside", [False, True])
def test_a_data_file_and_a_snapshot_are_under_the_same_cipher(
    beside: bool, tmp_path: Path, peer: Peer
) -> None:
    image, raw, io = tmp_path / "a.qcow2", tmp_path / "a.raw", peer("qemu-io")
    shape = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=100"
    shape += f",data_file={tmp_path / 'd.raw'}" if beside else ""
    where = f"driver=qcow2,file.filename={image},encrypt.key-secret=s,encrypt.format=luks"
    shell(peer("qemu-img"), "create", "-q", "--object", SECRET, "-f", "qcow2", "-o", shape, image,
          "4M")  # fmt: skip
    writing = ["-c", "write -P 5 64k 200k", "-c", "write -P 6 2M 70k", "--image-opts", where]
    shell(io, "--object", SECRET, *writing)
    taken: list[str] = []
    if not beside:
        taken = ["-l", "one"]
        shell(peer("qemu-img"), "snapshot", "--object", SECRET, "-c", "one", "--image-opts", where)
        shell(io, "--object", SECRET, "-c", "write -P 9 0 3M", "--image-opts", where)
    shell(peer("qemu-img"), "convert", "--object", SECRET, *taken, "--image-opts", where, "-O",
          "raw", raw)  # fmt: skip
    how = {} if beside else {"snapshot": "one"}
    with diskimage.open(
        image, password=PASSWORD, references=str(tmp_path), open_options=how
    ) as found:
        assert found.read(0, found.size) == raw.read_bytes()
