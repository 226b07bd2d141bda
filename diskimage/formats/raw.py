"""Raw images: the file is the guest; also a set of parts, .001 .002 or .aa .ab, in order.

Facts: libsmraw's naming rules (width fixed by the first name until it is used up, gap-free),
SEEK_HOLE for what takes no space.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import LimitError, MissingError
from diskimage.layers.concat import Concat
from diskimage.layers.gather import hole
from diskimage.layers.plain import Plain
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


def next_suffixes(suffix: str) -> tuple[str, ...]:
    """The suffixes that may follow in a set, the usual one first; none after .zz.

    .001 .002, .999 .1000 (FTK Imager); .aa .ab, and from .yz on .za or .zaaa: split of GNU keeps
    names that begin with z for sets that grow (coreutils: split invocation, --suffix-length).
    """
    if suffix.isdecimal():
        return (f"{int(suffix) + 1:0{len(suffix)}d}",)
    rest = suffix.rstrip("zZ")
    if not rest:
        return ()
    low = "A" if suffix.isupper() else "a"
    tail = len(suffix) - len(rest)
    usual = rest[:-1] + chr(ord(rest[-1]) + 1) + low * tail
    if tail and rest[-1] in "yY" and not rest[:-1].strip("zZ"):
        return usual, usual[: len(rest)] + low * (tail + 2)
    return (usual,)


def is_first(suffix: str) -> bool:
    """Whether a suffix begins a set: zeros and perhaps a 1, or nothing but a."""
    if suffix.isdecimal():
        return len(suffix) >= 2 and int(suffix) <= 1
    return len(suffix) >= 2 and set(suffix.lower()) == {"a"}


def series(name: str, siblings: tuple[str, ...], most: int) -> list[str]:
    """The names of the set that `name` begins, without it. MissingError names a gap."""
    stem, dot, suffix = name.rpartition(".")
    if not (stem and dot and is_first(suffix)):
        return []
    present = {s for s in siblings if s.startswith(stem + dot) and _of_set(s, stem, suffix)}
    names: list[str] = []
    expected = next_suffixes(suffix)
    while here := [one for one in expected if f"{stem}.{one}" in present]:
        names.append(f"{stem}.{here[0]}")
        if len(names) > most:
            raise LimitError(f"more than {most} parts in a set", file=name)
        expected = next_suffixes(here[0])
    later = sorted(present - set(names) - {name}, key=_rank)
    if expected and later and _rank(later[-1]) > _rank(f"{stem}.{expected[0]}"):
        raise MissingError(
            f"part {stem}.{expected[0]} is missing, {later[-1]} is there",
            file=name,
            remedy="put the part beside the others, or open with --format raw a joined copy",
        )
    return names


def _rank(name: str) -> tuple[int, str]:
    """The order of the parts of a set: wider suffixes come later."""
    return len(name), name


def _of_set(name: str, stem: str, suffix: str) -> bool:
    """Whether the end of a name is a suffix of the set that begins with `suffix`."""
    end = name[len(stem) + 1 :]
    wider = len(end) - len(suffix)
    if suffix.isdecimal():
        return end.isdecimal() and (wider == 0 or (wider > 0 and end[0] != "0"))
    grown = wider > 0 and wider % 2 == 0 and set(end[: wider // 2].lower()) == {"z"}
    return end.isalpha() and end.isascii() and (wider == 0 or grown)


def probe(look: Look) -> Bid | None:
    """Raw has no magic: only its suffixes speak, and only where nothing else does."""
    if look.suffix in SUFFIXES:
        return Bid(5, f"suffix {look.suffix}, which says raw where no content says otherwise")
    return None


def open_raw(source: Source, gate: Gate) -> Device:
    """The file, and the parts of the set that its name begins."""
    name = source.name.replace("\\", "/").rpartition("/")[2]
    parts = [source]
    if is_first(name.rpartition(".")[2]):
        parts += [gate.part(p) for p in series(name, gate.siblings(), gate.limits.split_parts)]
    if len(parts) > 2 and any(part.size != source.size for part in parts[:-1]):
        gate.warn("size", "the parts of the set differ in size; a part may be cut short")
    device = RawDevice(tuple(parts))
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
