"""The headers of LUKS 2: two copies, each a binary header and an area of JSON under a checksum.

Facts: LUKS2 On-Disk Format Specification 1.1.3. Binary fields are big-endian; offsets and lengths
in the JSON are decimal strings, of bytes.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, NamedTuple

from construct import Bytes, Int16ub, Int64ub, Padding, Struct

from diskimage.encryption.keys import Argon2, Kdf, Pbkdf2, digest
from diskimage.encryption.luks1 import MAGIC, text
from diskimage.encryption.volume import USUAL, Digest, Header, Segment, Slot
from diskimage.errors import ChecksumError, ContentError, CorruptError, UnsupportedError
from diskimage.model import Gate, Source
from diskimage.parse import read, struct

SECOND = b"SKUL\xba\xbe"
BINARY = Struct(
    "magic" / Bytes(6), "version" / Int16ub, "size" / Int64ub, "sequence" / Int64ub,
    "label" / Bytes(48), "sum_name" / Bytes(32), "salt" / Bytes(64), "uuid" / Bytes(40),
    "subsystem" / Bytes(48), "at" / Int64ub, Padding(184), "sum" / Bytes(64), Padding(3584),
)  # fmt: skip
SUM = range(448, 512)  # of the binary header: counted as zeros
SIZES = tuple(0x4000 << n for n in range(9))  # of a header, and so where the second may begin
SLOTS = 32
DIGEST = 64  # bytes of the longest one, SHA-512
SECTORS = (512, 1024, 2048, 4096)


class Copy(NamedTuple):
    """One of the two headers, sound."""

    at: int
    raw: Any
    area: bytes  # the JSON


def load(source: Source, gate: Gate) -> Header:
    """The header of `source` that is sound, and newer where both are.

    A damaged one is a warning as long as the other is not. Raises ContentError, UnsupportedError.
    """
    sound: list[Copy] = []
    faults: list[ContentError] = []
    for found in copies(source):
        if isinstance(found, Copy):
            sound.append(found)
        else:
            faults.append(found)
    if not sound:
        raise faults[0]
    best = max(sound, key=lambda one: int(one.raw.sequence))
    for fault in faults:
        gate.warn("header", f"{fault.message}; the other copy is used", fault.at)
    if len({one.raw.sequence for one in sound}) > 1:
        gate.warn("header", "its two headers differ in age: the newer one is used", best.at)
    return _parsed(best, source)


def copies(source: Source) -> Iterator[Copy | ContentError]:
    """The first header and the second, or what is wrong with each."""
    size = None
    try:
        first = _copy(source, 0, MAGIC)
        size = int(first.raw.size)
        yield first
    except ContentError as error:
        yield error
    places = SIZES if size is None else (size,)
    last: ContentError | None = None
    for at in places:
        try:
            yield _copy(source, at, SECOND)
            return
        except ContentError as error:
            last = last or error
    assert last is not None
    yield last


def _copy(source: Source, at: int, magic: bytes) -> Copy:
    """The header at `at`. Raises ContentError."""
    name = "first" if at == 0 else "second"
    raw = struct(BINARY, source, at, f"{name} LUKS header")
    if raw.magic != magic or raw.version != 2 or raw.at != at or raw.size not in SIZES:
        raise CorruptError(f"there is no {name} LUKS2 header at {at}", file=source.name, at=at)
    whole = read(source, at, raw.size, f"{name} LUKS header")
    area = bytes(whole[BINARY.sizeof() :])
    whole[SUM.start : SUM.stop] = bytes(len(SUM))
    try:
        made = digest(text(raw.sum_name), bytes(whole), source.name)
    except UnsupportedError as error:  # writers take SHA-256: its name is damaged
        raise CorruptError(error.message, file=source.name, at=at) from None
    if not hmac.compare_digest(made, raw.sum[: len(made)]):
        text_ = f"the checksum of its {name} header does not match"
        raise ChecksumError(text_, file=source.name, at=at)
    return Copy(at, raw, area.partition(b"\0")[0])


def _parsed(one: Copy, source: Source) -> Header:
    area = _Area(source.name, one.at + BINARY.sizeof())
    try:
        whole = area.map(json.loads(one.area), "the header")
    except (ValueError, RecursionError):
        raise area.fault("the header is no JSON") from None
    _demand_known(area.map(area.map(whole.get("config", {}), "config").get("requirements", {}),
                           "requirements"), area)  # fmt: skip
    slots = [
        slot for name, raw in area.rows(whole, "keyslots", SLOTS)
        if (slot := _slot(name, area.map(raw, "a keyslot"), area)) is not None
    ]  # fmt: skip
    digests: list[Digest] = []
    of_segment: dict[str, int] = {}
    for number, (_, raw) in enumerate(area.rows(whole, "digests", SLOTS)):
        told = area.map(raw, "a digest")
        digests.append(_digest(told, area))
        of_segment |= dict.fromkeys(map(str, area.row(told, "segments")), number)
    segments = [
        segment for name, raw in area.rows(whole, "segments", SLOTS)
        if (segment := _segment(name, area.map(raw, "a segment"), of_segment, area)) is not None
    ]  # fmt: skip
    if not segments:
        raise area.fault("it has no segment")
    return Header(
        version=2,
        uuid=text(one.raw.uuid),
        label=text(one.raw.label),
        slots=tuple(slots),
        digests=tuple(digests),
        segments=tuple(segments),
        own=2 * one.raw.size,
    )


def _demand_known(requirements: dict[str, Any], area: _Area) -> None:
    """UnsupportedError names what a reader has to know of, such as an unfinished reencryption."""
    needed = [str(name) for name in area.row(requirements, "mandatory")]
    if needed:
        done = "its encryption is being changed" if "reencrypt" in needed[0] else "it asks for"
        raise UnsupportedError(f"{done} ({', '.join(needed)})", file=area.file, at=area.at,
                               remedy="open it with cryptsetup")  # fmt: skip


def _slot(name: str, raw: dict[str, Any], area: _Area) -> Slot | None:
    """A keyslot; None for one that holds no key (of a reencryption)."""
    if raw.get("type") != "luks2":
        return None
    place, split = area.map(raw.get("area"), "area"), area.map(raw.get("af"), "af")
    return Slot(
        name=name,
        kdf=_kdf(area.map(raw.get("kdf"), "kdf"), area),
        key_size=area.number(raw, "key_size"),
        at=area.number(place, "offset"),
        area_key_size=area.number(place, "key_size"),
        area_cipher=area.text(place, "encryption"),
        hash=area.text(split, "hash"),
        stripes=area.number(split, "stripes") if split.get("type") == "luks1" else 0,
        priority=area.number(raw, "priority") if "priority" in raw else USUAL,
    )


def _kdf(raw: dict[str, Any], area: _Area) -> Kdf:
    kind, salt = area.text(raw, "type"), area.bytes(raw, "salt")
    if kind == "pbkdf2":
        return Pbkdf2(area.text(raw, "hash"), salt, area.number(raw, "iterations"))
    if kind in ("argon2i", "argon2id"):
        numbers = (area.number(raw, key) for key in ("time", "memory", "cpus"))
        return Argon2(kind, salt, *numbers)
    raise UnsupportedError(f"its keys are derived by {kind}", file=area.file, at=area.at)


def _digest(raw: dict[str, Any], area: _Area) -> Digest:
    kdf = _kdf(raw, area)
    if not isinstance(kdf, Pbkdf2):
        raise area.fault("a digest that is none of PBKDF2")
    slots, value = tuple(map(str, area.row(raw, "keyslots"))), area.bytes(raw, "digest")
    if not 0 < len(value) <= DIGEST:  # each further block of PBKDF2 costs all of its rounds again
        raise area.fault(f"a digest of {len(value)} bytes")
    return Digest(kdf, value, slots)


def _segment(
    name: str, raw: dict[str, Any], digests: dict[str, int], area: _Area
) -> Segment | None:
    """A segment; None for one that keeps what another was."""
    if any(str(flag).startswith("backup-") for flag in area.row(raw, "flags")):
        return None
    kind = area.text(raw, "type")
    length = None if raw.get("size") == "dynamic" else area.number(raw, "size")
    if kind == "linear":
        return Segment(area.number(raw, "offset"), length, None)
    if kind != "crypt" or "integrity" in raw:
        more = area.map(raw.get("integrity", {}), "integrity").get("type")
        told = f"a segment with integrity ({more})" if "integrity" in raw else f"a segment {kind}"
        raise UnsupportedError(f"it has {told}", file=area.file, at=area.at,
                               remedy="open it with cryptsetup")  # fmt: skip
    sector = area.number(raw, "sector_size")
    if sector not in SECTORS or name not in digests:
        raise area.fault(f"segment {name} has sectors of {sector} bytes, or no digest")
    return Segment(
        at=area.number(raw, "offset"),
        length=length,
        cipher=area.text(raw, "encryption"),
        sector=sector,
        first=area.number(raw, "iv_tweak"),
        digest=digests[name],
    )


class _Area(NamedTuple):
    """What asks JSON for values of a type, and says where it was wrong."""

    file: str
    at: int

    def fault(self, text: str) -> CorruptError:
        return CorruptError(f"LUKS2: {text}", file=self.file, at=self.at)

    def map(self, value: object, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fault(f"{what} is no object")
        return value

    def rows(self, raw: dict[str, Any], key: str, most: int) -> list[tuple[str, object]]:
        """The members of an object in the order of their numbers."""
        found = self.map(raw.get(key), key)
        if len(found) > most or not all(name.isdecimal() and len(name) < 9 for name in found):
            raise self.fault(f"{len(found)} {key}, or one without a number")
        return sorted(found.items(), key=lambda one: int(one[0]))

    def row(self, raw: dict[str, Any], key: str) -> list[Any]:
        value = raw.get(key, [])
        if not isinstance(value, list):
            raise self.fault(f"{key} is no list")
        return value

    def text(self, raw: dict[str, Any], key: str) -> str:
        value = raw.get(key)
        if not isinstance(value, str):
            raise self.fault(f"{key} is no text")
        return value

    def number(self, raw: dict[str, Any], key: str) -> int:
        value = raw.get(key)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
            raise self.fault(f"{key} is no number below 2^63")
        return value

    def bytes(self, raw: dict[str, Any], key: str) -> bytes:
        try:
            return b64decode(self.text(raw, key), validate=True)
        except ValueError:
            raise self.fault(f"{key} is no base64") from None
