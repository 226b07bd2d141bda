"""LUKS read and checked: volumes of an independent maker."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import diskimage
from diskimage.errors import (
    ChecksumError,
    CorruptError,
    DiskImageError,
    LimitError,
    PasswordError,
    TruncatedError,
    UnsupportedError,
)
from diskimage.gate import Unhurried
from diskimage.limits import LIMITS
from tests.bounded import Run
from tests.makers.luks import PASSWORD, Luks2, content, luks1, sealed
from tests.makers.qcow2 import patched

pytest.importorskip("cryptography", reason="needs the extra `crypto`")

PLAIN = content(16 * 4096)


def opened(image: bytes, **how: Any) -> diskimage.Image:
    return diskimage.open(image, format="luks", **{"password": PASSWORD, **how})


def volume(image: bytes, **how: Any) -> bytes:
    with opened(image, **how) as found:
        return found.read(0, found.size)


def warnings(image: bytes) -> list[str]:
    with opened(image) as found:
        assert found.read(0, found.size) == PLAIN
        return [warning.kind for warning in found.warnings]


@pytest.mark.parametrize(
    ("cipher", "size", "hash_name"),
    [
        ("aes-xts-plain64", 64, "sha256"),
        ("aes-xts-plain", 32, "sha512"),
        ("aes-cbc-plain64", 24, "sha384"),
        ("aes-cbc-plain", 16, "sha1"),
        ("aes-cbc-essiv:sha256", 32, "sha1"),
        ("aes-cbc-essiv:md5", 16, "sha224"),
    ],
)
def test_each_cipher_of_version_1(cipher: str, size: int, hash_name: str) -> None:
    image = luks1(PLAIN, cipher=cipher, size=size, hash_name=hash_name)
    if cipher.endswith("md5"):  # a salt for ESSIV that no writer makes
        with pytest.raises(UnsupportedError, match="md5"):
            volume(image)
    else:
        assert volume(image) == PLAIN
        with opened(image) as found:
            assert found.info["cipher"] == cipher
            assert found.info["unlocked_by"] == "0"


def test_sectors_of_32_bits_begin_anew() -> None:
    """`plain` counts 32 bits alone: what lies 2 TiB further has the same IVs."""
    assert sealed("aes-cbc-plain", bytes(16), PLAIN, first=2**32) == sealed(
        "aes-cbc-plain", bytes(16), PLAIN
    )
    image = Luks2([("crypt", 512, 2**32 - 8, PLAIN)], cipher="aes-cbc-plain", size=32).image()
    assert volume(image) == PLAIN


@pytest.mark.parametrize("slot", [0, 3, 7])
def test_any_slot_opens_it(slot: int) -> None:
    image = luks1(PLAIN, size=32, slots=[(slot, PASSWORD), (5, "another")])
    with opened(image) as found:
        assert found.info["unlocked_by"] == str(slot)
    with opened(image, password="another") as found:
        assert found.read(0, found.size) == PLAIN
        assert found.info["unlocked_by"] == "5"


@pytest.mark.parametrize("kdf", ["pbkdf2", "argon2i", "argon2id"])
@pytest.mark.parametrize("sector", [512, 1024, 2048, 4096])
def test_sectors_and_derivations_of_version_2(sector: int, kdf: str) -> None:
    made = Luks2([("crypt", sector, 0, PLAIN)], kdf=kdf)
    with opened(made.image()) as found:
        assert found.read(0, found.size) == PLAIN
        assert found.sector_size == sector
        slots = found.info["keyslots"]
        assert isinstance(slots, list)
        assert [slot["kdf"] for slot in slots] == [kdf]


def test_sectors_are_counted_from_wherever_one_reads() -> None:
    """The IVs of larger sectors count 512 bytes too (dm-crypt, without iv_large_sectors)."""
    with opened(Luks2([("crypt", 4096, 8, PLAIN)]).image()) as found:
        for start in (4096, 5000, len(PLAIN) - 4096):
            assert found.read(start, 3000) == PLAIN[start : start + 3000]


def test_what_keeps_an_older_segment_is_no_part_of_the_volume() -> None:
    def backup(area: dict[str, Any]) -> None:
        segment = area["segments"]["0"]
        area["segments"]["1"] = {**segment, "flags": ["backup-previous"]}
        area["digests"]["0"]["segments"].append("1")

    assert volume(edited(backup)) == PLAIN


@pytest.mark.parametrize("tweak", [0, 8, 2**40])
def test_the_iv_counts_from_the_tweak(tweak: int) -> None:
    assert volume(Luks2([("crypt", 4096, tweak, PLAIN)]).image()) == PLAIN


def test_segments_lie_one_behind_the_other() -> None:
    parts = [("crypt", 512, 0, PLAIN[:8192]), ("linear", 512, 0, PLAIN[8192:16384]),
             ("crypt", 4096, 32, PLAIN[16384:])]  # fmt: skip
    assert volume(Luks2(parts).image()) == PLAIN
    assert volume(Luks2(parts, dynamic=False).image() + b"behind") == PLAIN


def test_a_last_part_of_a_sector_is_not_of_the_volume() -> None:
    image = Luks2([("crypt", 4096, 0, PLAIN)]).image() + bytes(4095)
    assert volume(image) == PLAIN
    with opened(image, password=Unhurried()) as locked:
        assert locked.size == len(PLAIN)


def test_slots_are_tried_by_priority() -> None:
    slots = [(PASSWORD, 1), (PASSWORD, 2), ("hidden", 0)]
    image = Luks2([("crypt", 512, 0, PLAIN)], slots=slots).image()
    with opened(image) as found:
        assert found.info["unlocked_by"] == "1"
    with pytest.raises(PasswordError):
        opened(image, password="hidden")
    with pytest.raises(PasswordError, match="no keyslot"):
        opened(Luks2([("crypt", 512, 0, PLAIN)], slots=slots[2:]).image())


IMAGE = Luks2([("crypt", 512, 0, PLAIN)])


def test_a_damaged_header_leaves_the_other() -> None:
    good = IMAGE.image()
    assert warnings(good) == []
    for at in (0, 8, 72, 100, 448, 4100):  # magic, size, hash, the rest under its checksum
        assert warnings(patched(good, at, good[at] ^ 1, 1)) == ["header"], at
        assert warnings(patched(good, 0x4000 + at, good[0x4000 + at] ^ 1, 1)) == ["header"], at
    with pytest.raises(ChecksumError):
        opened(patched(patched(good, 100, 1, 1), 0x4000 + 100, 1, 1))


def test_the_newer_header_counts() -> None:
    def renamed(area: dict[str, Any]) -> None:
        area["segments"]["0"]["encryption"] = "serpent-xts-plain64"

    old = replace(IMAGE, change=renamed, sequence=(3, 3)).image()
    new = replace(IMAGE, sequence=(4, 4), areas={}).image()
    mixed = old[:0x4000] + new[0x4000:]
    assert warnings(mixed) == ["header"]
    assert warnings(new[:0x4000] + old[0x4000:0x8000] + new[0x8000:]) == ["header"]


def test_check_finds_what_opening_survives() -> None:
    bad = patched(IMAGE.image(), 100, 1, 1)
    found = diskimage.check(bad, format="luks", password=PASSWORD)
    assert [problem.kind for problem in found.problems] == ["checksum"]
    overlapping = luks1(PLAIN, size=32, slots=[(0, PASSWORD), (1, PASSWORD)])
    found = diskimage.check(patched(overlapping, 208 + 48 + 40, 9), format="luks")
    assert [problem.kind for problem in found.problems] == ["corrupt"]
    assert "overlap" in found.problems[0].message
    found = diskimage.check(patched(luks1(PLAIN, size=32), 208 + 40, 1), format="luks")
    assert [problem.message for problem in found.problems] == ["keyslot 0 overlaps the header"]


def test_a_key_that_no_cipher_takes_is_not_derived() -> None:
    def costly(area: dict[str, Any]) -> None:
        area["keyslots"]["0"]["area"]["key_size"] = 512
        area["keyslots"]["0"]["kdf"]["iterations"] = 1 << 40

    with pytest.raises(CorruptError, match="512 bytes"):
        volume(edited(costly))


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    return replace(IMAGE, change=change, areas={}).image()


SLOT = ("keyslots", "0")
KDF = (*SLOT, "kdf")


def put(*path: object) -> Callable[[dict[str, Any]], object]:
    """Sets the value that `path` ends with, where the rest of it leads."""

    def change(area: dict[str, Any]) -> None:
        *folders, key, value = path
        for folder in folders:
            area = area[folder]  # type: ignore[index]  # a path is of texts
        area[key] = value  # type: ignore[index]  # as above

    return change


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (put("segments", "0", "encryption", "serpent-xts-plain64"), UnsupportedError, "serpent"),
        (put("segments", "0", "encryption", "twofish-cbc-essiv:sha256"), UnsupportedError, "twofi"),
        (put("segments", "0", "encryption", "aes-xts-lmk"), UnsupportedError, "lmk"),
        (put("segments", "0", "encryption", "cipher_null-ecb"), UnsupportedError, "cipher_null"),
        (put("segments", "0", "integrity", {"type": "hmac(sha256)"}), UnsupportedError, "hmac"),
        (put("segments", "0", "type", "hw-opal"), UnsupportedError, "hw-opal"),
        (put("segments", "0", "sector_size", 513), CorruptError, "513"),
        (put("segments", "0", "offset", "-1"), CorruptError, "offset"),
        (put("segments", "0", "offset", "9" * 30), CorruptError, "offset"),
        (put("segments", "0", "offset", str(1 << 40)), TruncatedError, "encrypted data"),
        (put("segments", "0", "offset", "4096"), CorruptError, "its header ends"),
        (put("segments", {}), CorruptError, "no segment"),
        (put("segments", []), CorruptError, "no object"),
        (put("config", "requirements", {"mandatory": ["online-reencrypt-v2"]}), UnsupportedError,
         "online-reencrypt-v2"),
        (put("config", "requirements", {"mandatory": ["time-travel"]}), UnsupportedError, "time"),
        (put(*SLOT, "af", "stripes", 4001), UnsupportedError, "4001"),
        (put(*SLOT, "af", "hash", "whirlpool"), UnsupportedError, "whirlpool"),
        (put(*SLOT, "area", "offset", str(1 << 50)), CorruptError, "header ends"),
        (put(*SLOT, "key_size", 1 << 40), CorruptError, "header ends"),
        (put(*SLOT, "key_size", 8), CorruptError, "8"),
        (put(*KDF, "type", "scrypt"), UnsupportedError, "scrypt"),
        (put(*KDF, "iterations", 1 << 40), LimitError, "key_rounds"),
        (put(*KDF, "iterations", 0), CorruptError, "no rounds"),
        (put(*KDF, "iterations", True), CorruptError, "iterations"),
        (put(*KDF, "salt", "!"), CorruptError, "base64"),
        (put(*KDF, "salt", "\u00e9"), CorruptError, "base64"),
        (put(*KDF, {"type": "argon2id", "salt": "c2FsdHNhbHQ=", "time": 4, "memory": 1 << 30,
                    "cpus": 1}), LimitError, "key_memory"),
        (put(*KDF, {"type": "argon2id", "salt": "c2FsdHNhbHQ=", "time": 1 << 30, "memory": 1 << 16,
                    "cpus": 1}), LimitError, "key_filled"),
        (put(*KDF, {"type": "argon2id", "salt": "c2FsdHNhbHQ=", "time": 4, "memory": 8,
                    "cpus": 9}), CorruptError, "9 lanes"),
        (put(*KDF, {"type": "argon2i", "salt": "", "time": 4, "memory": 64, "cpus": 1}),
         CorruptError, "salt"),
        (put("digests", "0", "iterations", 1 << 40), LimitError, "key_rounds"),
        (put("digests", {}), CorruptError, "digest"),
        (put("digests", "0", "digest", ""), CorruptError, "0 bytes"),
        (put("digests", "0", "digest", "eHh4" * 22), CorruptError, "66 bytes"),
        (put("keyslots", {str(n): {} for n in range(33)}), CorruptError, "33"),
        (put("keyslots", {"a": {}}), CorruptError, "number"),
    ],
)  # fmt: skip
def test_each_wrong_value_has_its_error(
    change: Callable[[dict[str, Any]], object], error: type[DiskImageError], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        volume(edited(change))
    assert type(caught.value) is error


def test_json_that_nests_without_end_is_one_error() -> None:
    made = Luks2([("crypt", 512, 0, PLAIN)], header=0x40000, change=lambda area: area.clear())
    deep = b"[" * 200_000
    image = bytearray(made.image())
    for at in (0, 0x40000):
        image[at + 4096 : at + 4096 + len(deep)] = deep
        image[at + 448 : at + 512] = bytes(64)
        digest = hashlib.sha256(image[at : at + 0x40000]).digest()
        image[at + 448 : at + 480] = digest
    with pytest.raises(CorruptError, match="no JSON"):
        opened(bytes(image))


FIRST = luks1(PLAIN, size=32)


@pytest.mark.parametrize(
    ("image", "error", "text"),
    [
        (patched(FIRST, 6, 3, 2), UnsupportedError, "version 3"),
        (patched(FIRST, 104, 0x7FFFFFFF), TruncatedError, "encrypted data"),
        (patched(FIRST, 104, 0), CorruptError, "open-option header|its header ends"),
        (patched(FIRST, 108, 0xFFFFFFFF), CorruptError, "header ends"),
        (patched(FIRST, 108, 33), CorruptError, "33 bytes"),
        (patched(FIRST, 164, 0xFFFFFFFF), LimitError, "key_rounds"),
        (patched(FIRST, 208, 1), CorruptError, "keyslot 0"),
        (patched(FIRST, 212, 0), CorruptError, "no rounds"),
        (patched(FIRST, 208 + 44, 1), UnsupportedError, "1 stripes"),
        (patched(FIRST, 208, 0xDEAD), PasswordError, "no keyslot"),
        (FIRST[:300], TruncatedError, "LUKS header"),
        (FIRST[: 10 * 512], TruncatedError, "encrypted data"),
    ],
)
def test_each_wrong_field_of_version_1_has_its_error(
    image: bytes, error: type[DiskImageError], text: str
) -> None:
    with pytest.raises(error, match=text):
        volume(image)


def test_costs_are_the_callers_to_raise() -> None:
    low = replace(LIMITS, key_rounds=999)
    with pytest.raises(LimitError):
        opened(FIRST, limits=low)
    assert volume(FIRST, limits=replace(LIMITS, key_rounds=1000)) == PLAIN
    image = Luks2([("crypt", 512, 0, PLAIN)], kdf="argon2id").image()
    with pytest.raises(LimitError, match="key_memory"):
        opened(image, limits=replace(LIMITS, key_memory=1 << 15))


def test_a_detached_header_is_a_part(tmp_path: Path) -> None:
    for number, image in enumerate((luks1(PLAIN, size=32, payload=0), IMAGE.image())):
        if number:
            head = edited(put("segments", "0", "offset", "0"))[: -len(PLAIN)]
            data = IMAGE.image()[-len(PLAIN) :]
        else:
            reach = image.index(sealed("aes-xts-plain64", key_of(32), PLAIN))
            head, data = image[:reach], image[reach:]
        (tmp_path / "head").write_bytes(head)
        (tmp_path / "data").write_bytes(data)
        with diskimage.open(
            tmp_path / "data", format="luks", password=PASSWORD, header="head"
        ) as found:
            assert found.read(0, found.size) == PLAIN
            assert found.references[0].name == "head"
            assert diskimage.check(found).ok
        with pytest.raises(CorruptError) as caught:
            diskimage.open(tmp_path / "head", password=PASSWORD)
        assert "open-option header" in (caught.value.remedy or "")


def key_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_without_a_password(tmp_path: Path, dim: str, run: Run) -> None:
    """It is described and mapped; whoever wants its bytes is told what to say."""
    path = tmp_path / "a.img"
    path.write_bytes(FIRST)
    for verb in ("hash", "info", "map", "check"):
        done = run([dim, verb, path, "--json"], env={})
        if verb == "hash":
            error = json.loads(done.stderr)["error"]
            assert (done.returncode, error["kind"]) == (7, "password")
            assert "--password-file" in error["remedy"]
            assert "--format raw" in error["remedy"]
            continue
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        if verb == "info":
            assert document["size"] == len(PLAIN)
            assert document["info"]["cipher"] == "aes-xts-plain64"
            assert document["info"]["unlocked_by"] is None
        if verb == "check":
            assert [one["kind"] for one in document["warnings"]] == ["password"]
    raw = json.loads(run([dim, "hash", path, "--format", "raw", "--json"]).stdout)
    assert raw["size"] == len(FIRST)
    wrong = run([dim, "info", path, "--json"], env={"DISKIMAGE_PASSWORD": "no"})
    assert json.loads(wrong.stderr)["error"]["kind"] == "password"


def test_a_wiped_first_header_is_a_weak_bid() -> None:
    image = bytes(4096) + IMAGE.image()[4096:]
    with diskimage.open(image, password=PASSWORD) as found:
        assert found.format == "luks"
        assert [one.kind for one in found.warnings] == ["header"]
