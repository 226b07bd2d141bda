"""bzip2 in streams of one block each, as parallel compressors write them."""

from __future__ import annotations

from functools import partial

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.layers.packing import chunks, level_of
from diskimage.model import Barrier, Device, Disc, Loss, Option, Plan, Put

_UNIT = 100_000  # plain bytes of a block for each level
_AROUND = 1024  # bytes of tables that a block of noise has more than its plain ones, at most
OPTIONS = (Option("level", "1 to 9", "hundreds of kB that are coded at once; 9 unless said"),)


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """It holds every byte of a disk, and of a disc its first data track."""
    return reduced(what)


def full(size: int, *, level: object = None, **_: object) -> int:
    """The bytes of a file in which no block of `size` plain bytes gets smaller."""
    return size + size // 64 + (size // _chunk(level) + 1) * _AROUND


def create(what: Device | Disc, stem: str, *, level: object = None) -> Plan:
    """Streams in order."""
    chunk = _chunk(level)
    device = user_bytes(what)
    yield from chunks(device, chunk, 0, partial(_stream, chunk // _UNIT))
    if not device.size:  # a file of no stream is none
        yield Put(0, _stream(9, 0, b""))
    yield Barrier()


def _chunk(level: object) -> int:
    return _UNIT * (level_of(level, 9, 9) or 9)


def _stream(level: int, _start: int, plain: bytes | memoryview) -> bytes:
    import bz2  # loaded by who writes such a file

    return bz2.compress(plain, level)
