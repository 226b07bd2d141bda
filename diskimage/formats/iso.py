"""ISO images: a disc's user data, 2048 bytes a sector; and files of bare frames without a sheet.

A 2048-byte image is a device, byte for byte the file. A file of 2336, 2332, 2352, 2368 or 2448-byte
frames is a disc of one data track, whatever its suffix. ECMA-119 (volume descriptors), El Torito
1.0 (boot record), ECMA-130 (frames). Not supported: files of audio alone, which nothing marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from construct import Bytes, Int8ul, Int16ul, Int32ul, Padding, Struct

from diskimage.disc import volume
from diskimage.disc.content import SAMPLES, VOLUME, has_edc, shown
from diskimage.disc.modes import MODE2_2332, MODE2_2336, SYNC, USER, cooks
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.disc.tracks import Lay, assemble
from diskimage.errors import CorruptError, UnsupportedError
from diskimage.layers.records import Placed
from diskimage.model import (
    Bid,
    Copy,
    Device,
    Disc,
    Extent,
    Finding,
    Format,
    Gate,
    Kind,
    Look,
    Loss,
    Mode,
    Piece,
    Plan,
    Size,
    Source,
)
from diskimage.parse import fields, read
from diskimage.sources.memory import MemorySource

PRIMARY, BOOT, END = 1, 0, 255
BLOCKS = (512, 1024, 2048)
DIRECTORY = 0x02  # of a directory record's flags
EL_TORITO = b"EL TORITO SPECIFICATION"

# ECMA-119 8.4; both-byte-order fields are read little-endian here, the file system compares them
PRIMARY_DESCRIPTOR = Struct(
    "type" / Int8ul,
    "standard" / Bytes(5),
    "version" / Int8ul,
    Padding(1),
    "system" / Bytes(32),
    "label" / Bytes(32),
    Padding(8),
    "space" / Int32ul,
    Padding(36),
    "set_size" / Int16ul,
    Padding(2),
    "set_number" / Int16ul,
    Padding(2),
    "block" / Int16ul,
    Padding(26),
    "root_length" / Int8ul,
    Padding(24),
    "root_flags" / Int8ul,
)
HEAD_BYTES = 190


class Volume(NamedTuple):
    """What the descriptors say: `space` in blocks of `block` bytes; `catalog` the boot catalogue's
    sector, None without one; `ended` whether a terminator was found."""

    label: str
    system: str
    space: int
    block: int
    catalog: int | None
    ended: bool
    joliet: bool


def probe(look: Look) -> Bid | None:
    """A volume descriptor at sector 16 of any frame size, or two syncs a frame apart."""
    if _volume_at(look.head, volume.FIRST * USER):
        return Bid(90, f"{_standard(look.head, volume.FIRST * USER)} at 32769 (2048-byte frames)")
    head = MemorySource(look.head)
    found = shown(head, 0, len(look.head)) if look.head[:12] == SYNC else None
    if found is not None and cooks(found):
        return Bid(90, f"sync every {found.size} bytes ({found.name} frames)")
    for mode in (MODE2_2336, MODE2_2332):
        at = volume.FIRST * mode.size + mode.user_at
        if _volume_at(look.head, at):
            return Bid(90, f"{_standard(look.head, at)} at {at + 1} ({mode.size}-byte frames)")
    if look.suffix == ".iso" and look.size:
        return Bid(20, "suffix .iso, and no volume descriptor")
    return None


def _standard(head: bytes, at: int) -> str:
    return head[at + 1 : at + 6].decode("ascii")


def _volume_at(head: bytes, at: int) -> bool:
    return head[at + 1 : at + 6] in VOLUME


def open_iso(source: Source, gate: Gate) -> Device | Disc:
    """The device or one-track disc in `source`. Raises CorruptError for impossible descriptors."""
    mode = _mode(source)
    if mode is not None:
        _say_sheet(source, gate)
        return _disc(source, mode, gate)
    device = Placed(_all_of(source), USER, _describe(source, gate))
    if source.size % USER:
        rest = source.size % USER
        gate.warn("size", f"the last sector has {rest} of 2048 bytes", source.size - rest)
    return device


def _all_of(source: Source) -> Iterator[Extent]:
    if source.size:
        yield Extent(0, source.size, Kind.DATA, source=source)


def _mode(source: Source) -> Mode | None:
    """The mode of bare frames; None for a 2048-byte image, which its descriptor tells first."""
    if volume.present(source):
        return None
    mode = shown(source, 0, source.size)
    if mode is not None and cooks(mode) and mode.size != USER:
        return mode
    for bare in (MODE2_2336, MODE2_2332):
        at = volume.FIRST * bare.size + bare.user_at
        if source.size >= at + 6 and _volume_at(bytes(read(source, at, 6, "sector 16")), 0):
            return bare
    return None


def _disc(source: Source, mode: Mode, gate: Gate) -> Disc:
    """One data track from LBA 0. A cut last frame is left out and said: no sheet claims it."""
    count, rest = divmod(source.size, mode.size)
    if rest:
        gate.warn(
            "truncated",
            f"{rest} bytes after frame LBA {count - 1} are no whole {mode.size}-byte frame",
            source.size - rest,
        )
    if not has_edc(source, 0, source.size, mode):
        gate.warn("checksum", f"none of {min(count, SAMPLES)} sampled frames carries an EDC")
    piece = Piece(0, count, source, 0, mode)
    lay = Lay(1, 1, mode, (piece,), ((1, 0),))
    disc = assemble([lay], file=source.name, info={"variant": mode.name})
    volume.weigh_disc(disc, gate)
    return disc


def check(source: Source, _gate: Gate) -> Iterator[Finding]:
    """What the descriptors' place shows; the file system's own check says the rest."""
    if _mode(source) is None and not volume.present(source):
        yield Finding("corrupt", "no volume descriptor, of ISO 9660 or UDF", volume.FIRST * USER)


def _say_sheet(source: Source, gate: Gate) -> None:
    """A sheet of the same stem may tell more tracks than the bare file shows."""
    name = source.name.replace("\\", "/").rpartition("/")[2]
    stem = name.rpartition(".")[0].casefold()
    for other in gate.siblings():
        if stem and other.casefold() in (f"{stem}.cue", f"{stem}.ccd", f"{stem}.toc"):
            gate.warn("sheet", f"{other} lies beside it: open that for all tracks and their modes")


def _describe(source: Source, gate: Gate) -> dict[str, object]:
    """What the volume says of itself, held against the file."""
    info: dict[str, object] = {"variant": str(USER), "sector_size": USER}
    found = _volume(source, gate)
    if found is None:
        gate.warn("volume", "no primary volume descriptor")
        return info
    claimed = found.space * found.block
    volume.weigh(claimed, source.size, gate, source.size)
    if not found.ended:
        gate.warn("volume", "the volume descriptors have no terminator")
    if found.catalog is not None and (found.catalog + 1) * USER > source.size:
        gate.warn("boot", f"the boot catalogue at sector {found.catalog} is past the end")
    info |= {
        "volume": found.label, "system": found.system, "volume_size": claimed,
        "logical_block": found.block, "bootable": found.catalog is not None,
        "joliet": found.joliet,
    }  # fmt: skip
    return info


def _volume(source: Source, gate: Gate) -> Volume | None:
    """The first primary descriptor among at most as many as the limit says."""
    primary, catalog, joliet, ended = None, None, False, False
    for number in range(gate.limits.volume_descriptors):
        at = (volume.FIRST + number) * USER
        if at + USER > source.size:
            break
        sector = bytes(read(source, at, USER, "a volume descriptor"))
        if sector[1:6] != b"CD001":
            break
        if sector[0] == END:
            ended = True
            break
        if sector[0] == PRIMARY and primary is None:
            primary = _primary(sector, source, at)
        elif sector[0] == BOOT and sector[7:].startswith(EL_TORITO):
            catalog = int.from_bytes(sector[71:75], "little")
        elif sector[0] == 2:
            joliet = joliet or sector[88:90] == b"%/"
    if primary is None:
        return None
    return primary._replace(catalog=catalog, joliet=joliet, ended=ended)


def _primary(sector: bytes, source: Source, at: int) -> Volume:
    found = fields(PRIMARY_DESCRIPTOR, sector[:HEAD_BYTES], source, at, "the volume descriptor")
    if found.block not in BLOCKS:
        raise CorruptError(
            f"a logical block of {found.block} bytes; ECMA-119 knows 512, 1024 and 2048",
            file=source.name,
            at=at + 128,
            remedy="the volume descriptor is damaged; --format raw reads the bytes",
        )
    if found.root_length < 34 or not found.root_flags & DIRECTORY:
        raise CorruptError(
            "the root of the volume is no directory",
            file=source.name,
            at=at + 156,
            remedy="the volume descriptor is damaged; --format raw reads the bytes",
        )
    return Volume(
        _text(found.label), _text(found.system), found.space, found.block, None, False, False
    )


def _text(field: bytes) -> str:
    return field.decode("ascii", "replace").rstrip(" \0")


def losses(what: Device | Disc, **_options: object) -> list[Loss]:
    """What an ISO cannot hold of `what`, as its metadata tells; Form 2 only the pass can tell."""
    return reduced(what)


def create(what: Device | Disc, stem: str, **_options: object) -> Plan:
    """An ISO of `what`: the first data track of a disc, or the whole of a device.

    Raises UsageError for a disc without data, UnsupportedError for a device that is no multiple of
    2048 bytes.
    """
    device = user_bytes(what)
    if device.size % USER:
        raise UnsupportedError(
            f"{device.size} bytes are no multiple of the 2048-byte sectors of {stem or 'an ISO'}",
            remedy="convert to raw, or pad it first",
        )
    yield Size(device.size)
    yield Copy(device.runs(), 0)


FORMAT = Format(
    name="iso",
    title="ISO image (2048-byte sectors) or bare CD frames",
    suffixes=(".iso",),
    can=frozenset({"read", "create"}),
    probe=probe,
    open=open_iso,
    losses=losses,
    create=create,
    check=check,
    in_order=True,
)
