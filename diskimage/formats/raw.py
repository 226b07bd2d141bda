"""Raw images: the file is the guest; also a set of parts, .001 .002 or .aa .ab, in order.

Facts: SEEK_HOLE for what takes no space; the names of a set are told in `layers.series`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.disc.reduce import losses as reduced, user_bytes
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


def probe(look: Look) -> Bid | None:
    """Raw has no magic: only its suffixes speak, and only where nothing else does."""
    if look.suffix in SUFFIXES:
        return Bid(5, f"suffix {look.suffix}, which says raw where no content says otherwise")
    return None


def open_raw(source: Source, gate: Gate) -> Device:
    """The file, and the parts of the set that its name begins."""
    device = RawDevice(parts(source, gate))
    if device.size % SECTOR:
        gate.warn("size", f"{device.size} bytes are no whole number of {SECTOR}-byte sectors")
    return device


def losses(what: Device | Disc) -> list[Loss]:
    """A raw image holds every byte of a disk, and of a disc its first data track."""
    return reduced(what)


def create(what: Device | Disc, stem: str) -> Plan:
    """Every byte in place, zeros as holes."""
    device = user_bytes(what)
    yield Copy(device.runs(), 0)
    yield Size(device.size)


FORMAT = Format(
    name="raw",
    title="raw disk image",
    suffixes=SUFFIXES,
    can=frozenset({"read", "create", "write"}),
    probe=probe,
    open=open_raw,
    losses=losses,
    create=create,
    in_order=True,
)
