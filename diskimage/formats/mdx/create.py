"""A disc as one MDX, or as an MDS of version 2 and its MDF: plain, in groups, under a password.

    MDX    header, place of the descriptor | tracks, each with its table | descriptor | its keys
    MDS    header | descriptor | its keys                        MDF    tracks, each with its table

The header comes last, behind a barrier: a plan cut short is no image. What is made up becomes
stored frames, but for pregaps that are made up whole and those of the first tracks of sessions.
"""

from __future__ import annotations

import struct as binary
import zlib
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from diskimage.codecs.aes import BLOCK
from diskimage.disc.framing import FRAMING
from diskimage.disc.losses import MADE, lacking
from diskimage.errors import UsageError
from diskimage.formats.mdx.describe import GROUP, descriptor
from diskimage.formats.mdx.groups import FILL, Cipher, Short, table_bytes
from diskimage.formats.mdx.keys import SALT, encipher, fresh, seal_data, seal_main
from diskimage.formats.mdx.layout import DATA_AT, FILE, INSIDE, PREFIX
from diskimage.formats.mdx.parts import Lying, Part, parts
from diskimage.model import (
    Barrier,
    Copy,
    Disc,
    Loss,
    Option,
    Pack,
    Packed,
    Plan,
    Put,
    Size,
    Step,
)
from diskimage.words import rounded

OPTIONS = (
    Option("layout", "mdx|mds", "one file, or a descriptor with an MDF beside it"),
    Option("compression", "none|zlib", "how frames are stored"),
    Option("new_password", "TEXT", "encrypt the frames; on the command line: --new-password-file"),
    FRAMING,
)
_HOLDS = {
    "audio", "tracks", "sessions", "subchannel", "rw", "subheaders", "indexes", "titles", "cdtext",
    "catalog", "flags", "toc",
}  # fmt: skip
_COPYRIGHT = b"\xa9 2000-2015 Disc Soft Ltd."  # 26 bytes of the header, the same in all of 2.1


def losses(what: Disc, **_options: object) -> list[Loss]:
    """Catalogue number and ISRC, indexes from 2 on, and what is stored before the first track.

    Raises UnsupportedError for a disc that an MDX has no words for.
    """
    parts(what)
    lost = lacking(what, _HOLDS)
    first = what.tracks[0]
    early = [p for p in first.pieces if p.source is not None and p.lba < first.lba]
    if any(max(0, piece.lba) < min(piece.stop, first.lba) for piece in early):
        lost.append(Loss("gaps", f"frames hidden before track {first.number}"))
    if any(t.subchannel and any(p.sub is None for p in t.pieces) for t in what.tracks):
        lost.append(MADE)
    return lost


def create(
    what: Disc,
    stem: str,
    *,
    layout: str = "mdx",
    compression: str = "none",
    new_password: str | None = None,
) -> Plan:
    """The tracks, then the descriptor that tells where they lie.

    Raises UsageError for another value of an option, UnsupportedError for tracks of Mode 0 and
    without the extra `crypto`.
    """
    _demand("layout", layout, ("mdx", "mds"))
    _demand("compression", compression, ("none", "zlib"))
    if new_password == "":
        raise UsageError("an empty password", remedy="leave it out for an image without one")
    inside = layout == "mdx"
    file, at = ("", DATA_AT) if inside else (f"{stem}.mdf", 0)
    keys = fresh() if new_password is not None else None
    lying: list[Lying] = []
    for part in parts(what):
        cipher = Cipher(keys.lrw, part.pitch) if keys is not None else None
        store = _packed if compression == "zlib" else _copied
        table, end = yield from store(part, cipher, at, file)
        lying.append(Lying(part, at, table))
        at = end
    sealed = seal_data(keys, new_password) if keys and new_password is not None else b""
    yield from _described(descriptor(what, lying, sealed, inside=inside), at, inside=inside)


def _demand(name: str, value: str, values: Sequence[str]) -> None:
    if value not in values:
        raise UsageError(f"{name} {value!r}", remedy=f"one of {', '.join(values)}")


Stored = Generator[Step, Any, tuple[int | None, int]]
"""Steps that end with a track's table, counted from its place, and the next free byte."""


def _copied(part: Part, cipher: Cipher | None, at: int, file: str) -> Stored:
    device = part.device(cipher)
    yield Size(at + device.size, file=file)
    yield Copy(device.runs(), at, file=file)
    return None, at + device.size


def _packed(part: Part, cipher: Cipher | None, at: int, file: str) -> Stored:
    """Groups, the last one as long as the rest, then their table."""
    device, chunk = part.device(None), GROUP * part.pitch
    seal = _sealing(part, cipher)
    entries, end = array("H"), at
    whole = device.size - device.size % chunk
    for start, stop, size in ((0, whole, chunk), (whole, device.size, device.size - whole)):
        if start == stop:
            continue
        packed: Packed = yield Pack(
            device.runs(start, stop), size, (Short(),), end, file=file, seal=seal
        )
        entries.extend(map(_entry, packed.to, packed.stored, packed.codec))
        end = packed.end
    table = table_bytes(entries)
    yield Put(end, table, file=file)
    return end - at, rounded(end + len(table), BLOCK)


def _sealing(
    part: Part, cipher: Cipher | None
) -> Callable[[int, bytes | memoryview], bytes] | None:
    """What enciphers a group by the guest byte that it begins with."""
    if cipher is None:
        return None

    def seal(start: int, stored: bytes | memoryview) -> bytes:
        return cipher.encrypt_group(start // part.pitch, stored)

    return seal


def _entry(to: int, stored: int, codec: int) -> int:
    """What the table says of a group: zeros, as it is, or the length of its stream."""
    return FILL if to < 0 else 0 if codec < 0 else stored


def _described(plain: bytes, at: int, *, inside: bool) -> Iterator[Step]:
    """The descriptor compressed and under its keys, at `at` of an MDX or in an MDS; the header."""
    coded = zlib.compress(plain[PREFIX:], 9)
    keys = fresh(len(coded), len(plain) - PREFIX)
    data, header = encipher(coded, keys), seal_main(keys)
    to = at if inside else FILE.sizeof()
    yield Size(to + len(data) + len(header))
    yield Put(to, data + header)
    yield Barrier()
    yield Put(0, plain[:PREFIX] + _COPYRIGHT + _place(to, len(data), inside=inside))


def _place(at: int, length: int, *, inside: bool) -> bytes:
    """The end of the header: where the descriptor's keys are, or all of it."""
    if not inside:
        return (at + length).to_bytes(4, "little")
    return binary.pack("<IQQ", INSIDE, at, length + SALT)
