"""LUKS, the encrypted volumes of Linux: versions 1 and 2 in a file or a device, by passphrase.

Facts: LUKS1 On-Disk Format Specification 1.2.3, LUKS2 On-Disk Format Specification 1.1.3. A header
with keyslots, then the sectors of the volume. Not supported: other ciphers than AES, integrity,
Opal drives, volumes whose encryption is being changed, tokens. What headers say is read in
`diskimage.encryption`.
"""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.encryption import luks1, luks2
from diskimage.encryption.volume import Header, asked, clear, missing, sized, unlocked
from diskimage.errors import ContentError, CorruptError, UnsupportedError
from diskimage.layers.plain import Plain
from diskimage.model import Bid, Device, Finding, Format, Gate, Look, Option, Source
from diskimage.parse import read
from diskimage.sources.locked import Locked
from diskimage.words import size_text

REMEDY = "give its password with --password-file, or say --format raw for its bytes as they are"
BEGIN = 8  # bytes of the magic and the version
OPTIONS = (
    Option("header", "NAME", "the detached header, a file beside the image that holds the data"),
)


def probe(look: Look) -> Bid | None:
    """The magic and a version, or the magic of a second header of version 2."""
    version = int.from_bytes(look.head[6:8])
    if look.head.startswith(luks1.MAGIC):
        return Bid(95 if version in (1, 2) else 80, f"the magic LUKS BA BE and version {version}")
    if any(look.head[at : at + 8] == luks2.SECOND + b"\0\2" for at in luks2.SIZES):
        return Bid(30, "the magic SKUL BA BE of a second header, and no first one")
    return None


def load(source: Source, gate: Gate) -> Header:
    """The header that `source` begins with, of either version. Raises DiskImageError."""
    head = bytes(read(source, 0, BEGIN, "LUKS header"))
    version = int.from_bytes(head[6:])
    if head.startswith(luks1.MAGIC) and version == 1:
        return luks1.load(source)
    if head.startswith(luks1.MAGIC) and version != 2:
        raise UnsupportedError(f"LUKS version {version}", file=source.name, at=6)
    return luks2.load(source, gate)


def open_luks(source: Source, gate: Gate, *, header: str | None = None) -> Device:
    """The clear volume by the password of the gate; locked where that is not asked for."""
    head = source if header is None else gate.part(header)
    found = load(head, gate)
    _demand_apart(found, source, detached=header is not None)
    length = sum(size for _, size in sized(found, source))
    password = asked(source, gate, _cipher(found), REMEDY)
    told = {**found.told, "header": header, "unlocked_by": None}
    if password is None:
        error = missing(source.name, _cipher(found), REMEDY)
        volume: Source = Locked(source.name, length, error)
    else:
        keys = unlocked(found, head, password, gate.limits)
        volume, told["unlocked_by"] = clear(found, keys, source), keys.slot
    device = Plain(volume)
    device.info = {"variant": _variant(found), **told}
    return device


def _demand_apart(header: Header, source: Source, *, detached: bool) -> None:
    """CorruptError where data begin inside the header that lies before them."""
    first = min((one.at for one in header.segments), default=header.reach)
    if not detached and first < header.reach:
        raise CorruptError(
            f"its data begin at {first}, its header ends at {header.reach}", file=source.name,
            remedy="of a detached header open the data, with --open-option header=NAME",
        )  # fmt: skip


def _cipher(header: Header) -> str:
    return f"LUKS{header.version}, {header.cipher}"


def _variant(header: Header) -> str:
    kdfs = dict.fromkeys(str(slot.kdf.told["kdf"]) for slot in header.slots)
    sectors = f"{size_text(header.sector)} sectors"
    return ", ".join([_cipher(header), sectors, *kdfs])


def check(source: Source, gate: Gate) -> Iterator[Finding]:
    """Both headers of version 2, and the places of key material."""
    try:
        header = load(source, gate)
    except ContentError:  # it is open, so that its header is detached: opening has held that
        return
    if header.version == 2:
        for found in luks2.copies(source):
            if isinstance(found, ContentError):
                yield Finding(found.kind, found.message, found.at)
    yield from _overlaps(header, source)


def _overlaps(header: Header, source: Source) -> Iterator[Finding]:
    """Material that shares bytes with other material, with a header, or ends past the file."""
    used = sorted((slot.at, slot.at + slot.size, slot.name) for slot in header.slots)
    end, last = header.own, ""
    for at, stop, name in used:
        if stop > source.size:
            yield Finding("truncated", f"keyslot {name} ends past the end of the file", at)
        if at < end:
            other = f"keyslot {last}" if last else "the header"
            yield Finding("corrupt", f"keyslot {name} overlaps {other}", at)
        end, last = max(end, stop), name


FORMAT = Format(
    name="luks",
    title="LUKS encrypted volume",
    suffixes=(".luks",),
    can=frozenset({"read"}),
    probe=probe,
    open=open_luks,
    check=check,
    opens=OPTIONS,
)
