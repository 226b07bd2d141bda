"""Norton Ghost and System Recovery images (.gho, .v2i): identified, and not read.

Facts: the 512-byte header of .gho and .ghs as one open parser and an older dump tell it. What lies
behind it is known from that one parser alone, and with Ghost's own settings it is files, not
sectors: nothing here guesses at it. Of .v2i no layout is public.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

from construct import Bytes, Const, Int8ul, Int32ul, Padding, Struct

from diskimage.errors import CorruptError, UnsupportedError
from diskimage.model import Bid, Device, Format, Gate, Look, Runs, Source
from diskimage.parse import struct

MAGIC = b"\xfe\xef"
TYPES = {1: "first file", 9: "span"}
RECOVERY = (".v2i", ".iv2i", ".sv2i")
HEADER = Struct(
    "magic" / Const(MAGIC), "type" / Int8ul, "compression" / Int8ul, "id" / Int32ul, Padding(4),
    "flags" / Int8ul, "rest" / Bytes(499),
)  # fmt: skip
ENCRYPTED = 0x02
REMEDY = "restore it with the program that made it, and image the restored disk with another"


class Unread:
    """An image of which the header is known and no byte of the guest.

    `size` is that of what is stored behind it: as an empty guest it could be read, to nothing.
    """

    block = 512

    def __init__(self, name: str, size: int, info: Mapping[str, object]) -> None:
        self._name, self.size, self.info = name, size, info

    def runs(self, start: int = 0, stop: int | None = None) -> Iterator[Runs]:  # noqa: ARG002 - none
        """Refused, whatever the range."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UnsupportedError(
            "is a Norton Ghost image: its layout is not public, and most hold files, not sectors",
            file=self._name,
            remedy=REMEDY,
        )


def probe(look: Look) -> Bid | None:
    """FE EF, a type that there is, and a whole header; of System Recovery the suffix alone."""
    head = look.head
    if head[:2] == MAGIC and len(head) >= HEADER.sizeof() and head[2] in TYPES and head[3] <= 9:
        return Bid(80, f"FE EF and type {head[2]} at 0 (Norton Ghost)")
    if look.suffix in RECOVERY:
        return Bid(20, f"suffix {look.suffix} (Norton Ghost 10 and later, System Recovery)")
    return None


def open_ghost(source: Source, gate: Gate) -> Device:
    """What the header of a .gho tells; its guest is refused. UnsupportedError for a .v2i."""
    if source.name.lower().endswith(RECOVERY):
        text = "is an image of System Recovery (V2I), whose layout is not public"
        raise UnsupportedError(text, file=source.name, remedy=REMEDY)
    header = struct(HEADER, source, 0, "Ghost header")
    if header.type not in TYPES or header.compression > 9:
        text = f"a Ghost header of type {header.type}, compression {header.compression}"
        raise CorruptError(text, file=source.name, at=2)
    gate.warn("unsupported", "no byte of its disk can be read; the size is that of what is stored")
    packed = compression(header.compression)
    return Unread(source.name, source.size - HEADER.sizeof(), {
        "variant": f"{TYPES[header.type]}, {packed}",
        "type": TYPES[header.type],
        "compression": packed,
        "id": f"{header.id:08X}",
        "encrypted": bool(header.flags & ENCRYPTED),
    })  # fmt: skip


def compression(number: int) -> str:
    """What the header's number says."""
    if number == 0:
        return "not compressed"
    return f"zlib level {number}" if number >= 3 else f"fast compression {number}"


FORMAT = Format(
    name="ghost",
    title="Norton Ghost image: identified, not read",
    suffixes=(".gho", ".ghs", *RECOVERY),
    can=frozenset(),
    probe=probe,
    open=open_ghost,
    unproven=True,
)
