"""Raw images: the file is the guest; also a set of parts, .001 .002 or .aa .ab, in order.

Facts: SEEK_HOLE for what takes no space; the names of a set are told in `layers.series`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import UsageError
from diskimage.layers import bmap as sidecar
from diskimage.layers.concat import Concat
from diskimage.layers.gather import hole
from diskimage.layers.plain import Plain
from diskimage.layers.series import parts
from diskimage.model import (
    Barrier,
    Bid,
    Copy,
    Device,
    Disc,
    Format,
    Gate,
    Look,
    Loss,
    Option,
    Plan,
    Put,
    Runs,
    Size,
    Source,
)

SUFFIXES = (
    ".img", ".raw", ".dd", ".ima", ".vfd", ".flp", ".dsk", ".000", ".001", ".aa",
)  # fmt: skip
SECTOR = 512


class RawDevice:
    """The bytes of one source or of several, one after the other."""

    block = SECTOR

    def __init__(self, parts: tuple[Source, ...]) -> None:
        self._whole = Concat([Plain(part) for part in parts])
        self.size = self._whole.size
        variant = "one file" if len(parts) == 1 else f"{len(parts)} parts"
        self.info: Mapping[str, object] = {"variant": variant, "parts": [p.name for p in parts]}

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:
        """DATA where the file has bytes, holes where it says it has none."""
        return self._whole.runs(start, stop)

    def plan_write(self, start: int, data: memoryview) -> Plan:
        """Guest byte n is byte n of the file."""
        yield Put(start, data)

    def plan_zero(self, start: int, length: int) -> Plan:
        """A hole."""
        yield Copy(iter((hole(start, start + length),)), start)

    def plan_flush(self) -> Plan:
        """Nothing is held back."""
        yield Barrier()

    def plan_resize(self, size: int) -> Plan:
        """The file's size is the guest's."""
        yield Size(size)
        yield Barrier()


def probe(look: Look) -> Bid | None:
    """Raw has no magic: only its suffixes speak, and only where nothing else does."""
    if look.suffix in SUFFIXES:
        return Bid(5, f"suffix {look.suffix}, which says raw where no content says otherwise")
    return None


def open_raw(source: Source, gate: Gate, *, bmap: str | None = None) -> Device:
    """The file, and the parts of the set that its name begins.

    With the name of a `bmap` beside it, what that leaves out is a hole. CorruptError where it is of
    another image.
    """
    device = RawDevice(parts(source, gate))
    if device.size % SECTOR:
        gate.warn("size", f"{device.size} bytes are no whole number of {SECTOR}-byte sectors")
    if bmap is None:
        return device
    part = gate.part(bmap)
    found = sidecar.load(part, gate.limits)
    sidecar.demand_size(found, device.size, part.name)
    return sidecar.Mapped(device, found.ranges)


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """A raw image holds every byte of a disk, and of a disc its first data track."""
    return reduced(what)


def create(what: Device | Disc, stem: str, *, bmap: bool | str = False) -> Plan:
    """Every byte in place, zeros as holes; then the `bmap`, if it is asked for."""
    if not isinstance(bmap, bool):
        raise UsageError(f"bmap {bmap}", remedy="true or false")
    device = user_bytes(what)
    if not bmap:
        yield Copy(device.runs(), 0)
        yield Size(device.size)
        return
    ranges, digests = sidecar.stored(device), list[str]()
    sums = sidecar.RangeSums(ranges, sidecar.DEFAULT, lambda _, digits: digests.append(digits))
    yield Copy(device.runs(), 0, sums=(sums,))
    yield Size(device.size)
    told = sidecar.Bmap("2.0", device.size, sidecar.BLOCK, ranges, digests=tuple(digests))
    yield Put(0, sidecar.text(told), file=f"{stem}.bmap")


def in_order(*, bmap: bool | str = False) -> bool:
    """Whether a plan with these options writes one output from its first byte to its last."""
    return bmap is False


FORMAT = Format(
    name="raw",
    title="raw disk image",
    suffixes=SUFFIXES,
    can=frozenset({"read", "create", "write"}),
    probe=probe,
    open=open_raw,
    losses=losses,
    create=create,
    in_order=in_order,
    options=(Option("bmap", "true or false", "the ranges that take space in the source, each with "
                    "its SHA-256, in a file beside it; false unless said"),),
    opens=(Option("bmap", "NAME", "a bmap beside the image: what it leaves out is a hole"),),
)  # fmt: skip
