"""BGZF: gzip members of at most 64 KiB that tell their own length, so that any of them is found."""

from __future__ import annotations

from functools import partial

from diskimage import codecs
from diskimage.codecs.crc32 import Crc32
from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.formats.gzip.opening import LAST
from diskimage.layers.packing import chunks, level_of
from diskimage.model import Barrier, Device, Disc, Encoder, Loss, Option, Plan, Put

CHUNK = 0xFF00  # plain bytes of a member, as bgzip takes them: stored as they are they still fit
_HEAD = bytes.fromhex("1f8b08040000000000ff0600424302")  # to the length of the subfield BC
_AROUND = 26  # bytes of header and trailer
OPTIONS = (Option("level", "1 to 12", "effort; what the library holds usual unless said"),)


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """It holds every byte of a disk, and of a disc its first data track."""
    return reduced(what)


def full(size: int, **_: object) -> int:
    """The bytes of a file in which no member of `size` plain bytes gets smaller."""
    return size + -(-size // CHUNK) * (_AROUND + 5) + len(LAST)


def create(what: Device | Disc, stem: str, *, level: object = None) -> Plan:
    """Members in order, and the empty one that says that there are no more."""
    codec = codecs.deflate(level=level_of(level, 12))
    end, _ = yield from chunks(user_bytes(what), CHUNK, 0, partial(_member, codec))
    yield Put(end, LAST)
    yield Barrier()


def _member(codec: Encoder, _start: int, plain: bytes | memoryview) -> bytes:
    """`plain` as a member; as a stored block where it gets no smaller."""
    coded = codec.encode(memoryview(plain))
    length = len(plain)
    if coded is None:
        both = length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
        coded = b"\1" + both + bytes(plain)
    crc = Crc32()
    crc.update(plain)
    return b"".join((
        _HEAD, b"\0", (len(coded) + _AROUND - 1).to_bytes(2, "little"), coded,
        crc.value.to_bytes(4, "little"), length.to_bytes(4, "little"),
    ))  # fmt: skip
