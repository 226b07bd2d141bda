"""What a file of sectors or frames without a sheet is: by its content, never by its size alone.

ECMA-119 (volume descriptors), El Torito 1.0 (boot record), ECMA-130 (frames), and what marks the
other systems that a hybrid disc is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from diskimage.disc import volume
from diskimage.disc.address import of_header
from diskimage.disc.content import SAMPLES, VOLUME, has_edc, samples, shown
from diskimage.disc.modes import MODE2_2324, MODE2_2332, MODE2_2336, USER, cooks, whole
from diskimage.disc.tracks import Lay, assemble
from diskimage.errors import CorruptError
from diskimage.layers.records import Placed
from diskimage.model import Device, Disc, Extent, Gate, Kind, Mode, Piece, Source
from diskimage.parse import read

PRIMARY, BOOT, END = 1, 0, 255
BLOCKS = (512, 1024, 2048)
DIRECTORY = 0x02  # of a directory record's flags
EL_TORITO = b"EL TORITO SPECIFICATION"
PACK = b"\0\0\1\xba"  # begins each pack of an MPEG stream: a Form 2 frame of a Video CD holds one
_ADDRESS = 12  # where a whole frame's header is
ALSO = (
    ("GPT", 512, b"EFI PART"), ("APM", 512, b"PM\0\0"),
    ("APM", 2048, b"PM\0\0"), ("HFS", 1024, b"BD"), ("HFS+", 1024, b"H+\0\4"),
    ("HFS+", 1024, b"HX\0\5"),
)  # fmt: skip
"""What the unused sectors before a volume may hold besides: a name, an offset, a mark."""


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


def marked(head: bytes, at: int) -> bool:
    """Whether a volume descriptor is at `at`."""
    return head[at + 1 : at + 6] in VOLUME


def opened(source: Source, gate: Gate) -> Device | Disc:
    """The device of 2048-byte sectors in `source`, or the disc of its one track of frames.

    Raises CorruptError for impossible descriptors.
    """
    mode = mode_of(source)
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


def mode_of(source: Source) -> Mode | None:
    """The mode of bare frames; None for a 2048-byte image, which its descriptor tells first."""
    if volume.present(source):
        return None
    mode = shown(source, 0, source.size)
    if mode is not None and cooks(mode) and mode.size != USER:
        return mode
    for bare in (MODE2_2336, MODE2_2332):
        at = volume.FIRST * bare.size + bare.user_at
        if source.size >= at + 6 and marked(bytes(read(source, at, 6, "sector 16")), 0):
            return bare
    return MODE2_2324 if packs(source) else None


def packs(source: Source) -> bool:
    """Whether frames are 2324 bytes of Form 2, each a pack of an MPEG stream."""
    found = list(samples(source, 0, source.size, MODE2_2324.size))
    return len(found) > 1 and all(frame[: len(PACK)] == PACK for frame in found)


def _disc(source: Source, mode: Mode, gate: Gate) -> Disc:
    """One data track. A cut last frame is left out and said: no sheet claims it."""
    pitch = mode.size
    count, rest = divmod(source.size, pitch)
    if rest:
        gate.warn(
            "truncated",
            f"{rest} bytes after frame LBA {count - 1} are no whole {pitch}-byte frame",
            source.size - rest,
        )
    if not has_edc(source, 0, source.size, mode):
        gate.warn("checksum", f"none of {min(count, SAMPLES)} sampled frames carries an EDC")
    first = _address(source, mode, count)
    piece = Piece(first, count, source, 0, mode)
    indexes = ((0, first), (1, 0)) if first < 0 else ((1, first),)
    lay = Lay(1, 1, mode, (piece,), indexes)
    disc = assemble([lay], file=source.name, info={"variant": mode.name})
    volume.weigh_disc(disc, gate)
    return disc


def _address(source: Source, mode: Mode, count: int) -> int:
    """The LBA of the first frame, where the headers of all samples agree on it: a dump may begin
    with the pregap, or be a later session's. 0 where they do not, or there are none."""
    if not whole(mode):
        return 0
    taken = min(SAMPLES, count)
    told = set()
    for i in range(taken):
        number = i * (count - 1) // max(1, taken - 1)
        here = of_header(read(source, number * mode.size + _ADDRESS, 3, "a frame's header"))
        told.add(None if here is None else here - number)
    first = told.pop() if len(told) == 1 else None
    return 0 if first is None or first + count <= 0 else first


def _say_sheet(source: Source, gate: Gate) -> None:
    """A sheet of the same stem may tell more tracks than the bare file shows."""
    name = source.name.replace("\\", "/").rpartition("/")[2]
    stem = name.casefold().removesuffix(".ecm").rpartition(".")[0]
    for other in gate.siblings():
        if stem and other.casefold() in (f"{stem}.cue", f"{stem}.ccd", f"{stem}.toc"):
            gate.warn("sheet", f"{other} lies beside it: open that for all tracks and their modes")


def _describe(source: Source, gate: Gate) -> dict[str, object]:
    """What the volume says of itself, held against the file, and what the image is besides."""
    info: dict[str, object] = {"variant": str(USER), "sector_size": USER, "also": _also(source)}
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


def _also(source: Source) -> list[str]:
    """The names of what a volume's image is besides: a disk with partitions, HFS, UDF."""
    head = bytes(read(source, 0, min(4096, source.size), "the first sectors"))
    names = ["MBR"] if _partitioned(head) else []
    names += [name for name, at, mark in ALSO if head[at : at + len(mark)] == mark]
    if _marks(source) & {b"NSR02", b"NSR03"}:
        names.append("UDF")
    return list(dict.fromkeys(names))


def _partitioned(head: bytes) -> bool:
    """Whether a boot signature stands behind a row of a partition table that is in use."""
    rows = [row for row in (head[at : at + 16] for at in range(446, 510, 16)) if any(row)]
    plausible = all(row[0] in (0, 0x80) and row[4] for row in rows)
    return head[510:512] == b"\x55\xaa" and bool(rows) and plausible


def _marks(source: Source) -> set[bytes]:
    """The standards that the volume descriptors name: those of UDF stand behind ISO 9660's."""
    found = set()
    for sector in range(volume.FIRST, 2 * volume.FIRST):
        at = sector * USER
        if at + USER > source.size:
            break
        mark = bytes(read(source, at + 1, 5, "a volume descriptor"))
        if mark not in (*VOLUME, b"TEA01", b"BOOT2"):
            break
        found.add(mark)
    return found


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
    """ECMA-119 8.4. Numbers in both byte orders are read little-endian; the file system compares
    them."""
    block = int.from_bytes(sector[128:130], "little")
    if block not in BLOCKS:
        raise CorruptError(
            f"a logical block of {block} bytes; ECMA-119 knows 512, 1024 and 2048",
            file=source.name,
            at=at + 128,
            remedy="the volume descriptor is damaged; --format raw reads the bytes",
        )
    if sector[156] < 34 or not sector[181] & DIRECTORY:
        raise CorruptError(
            "the root of the volume is no directory",
            file=source.name,
            at=at + 156,
            remedy="the volume descriptor is damaged; --format raw reads the bytes",
        )
    space = int.from_bytes(sector[80:84], "little")
    label, system = _text(sector[40:72]), _text(sector[8:40])
    return Volume(label, system, space, block, None, False, False)


def _text(field: bytes) -> str:
    return field.decode("ascii", "replace").rstrip(" \0")
