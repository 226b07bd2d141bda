"""zstd in frames of one size, each with its checksum, and a seek table that finds them."""

from __future__ import annotations

import sys
from array import array
from threading import local
from typing import TYPE_CHECKING

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import LimitError
from diskimage.formats.zstd.layout import FOOTER, SEEKABLE, TABLE
from diskimage.layers.packing import chunk_of, chunks, level_of
from diskimage.limits import KIB, MIB
from diskimage.model import Barrier, Device, Disc, Loss, Option, Plan, Put

if TYPE_CHECKING:
    import zstandard

_MOST = 0x8000000  # frames that the seekable format tells
OPTIONS = (
    Option("level", "1 to 19", "effort of the compression; 3 unless said"),
    Option("chunk", "64K to 16M", "plain bytes of a frame; 1M unless said"),
)


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """It holds every byte of a disk, and of a disc its first data track."""
    return reduced(what)


def full(size: int, *, chunk: object = None, **_: object) -> int:
    """The bytes of a file in which no frame of `size` plain bytes gets smaller."""
    frames = -(-size // _chunk(chunk))
    return size + frames * (22 + 8) + size // (128 * KIB) * 3 + 8 + FOOTER


def create(what: Device | Disc, stem: str, *, level: object = None, chunk: object = None) -> Plan:
    """Frames in order, then the table."""
    device, size = user_bytes(what), _chunk(chunk)
    if device.size > _MOST * size:
        raise LimitError(f"more than {_MOST} frames", remedy="say a larger --option chunk")
    coder = _Coder(level_of(level, 19, 3) or 3)
    end, lengths = yield from chunks(device, size, 0, coder.frame)
    if not device.size:  # a file of a table alone is no zstd to most
        first = coder.frame(0, b"")
        yield Put(0, first)
        end, lengths = len(first), array("q", [len(first)])
    rows = array("I", bytes(8 * len(lengths)))
    rows[::2] = array("I", lengths)
    rows[1::2] = array("I", [size]) * len(lengths)
    if device.size % size or not device.size:
        rows[-1] = device.size % size
    if sys.byteorder == "big":
        rows.byteswap()
    body = rows.tobytes() + len(lengths).to_bytes(4, "little") + b"\0" + SEEKABLE
    yield Put(end, TABLE.to_bytes(4, "little") + len(body).to_bytes(4, "little") + body)
    yield Barrier()


def _chunk(chunk: object) -> int:
    return chunk_of(chunk, 64 * KIB, 16 * MIB, MIB)


class _Coder:
    """Frames by contexts that are kept a thread: they are not shared."""

    def __init__(self, level: int) -> None:
        self._level, self._kept = level, local()

    def frame(self, _start: int, plain: bytes | memoryview) -> bytes:
        """`plain` as a frame that tells its length and its checksum."""
        coder: zstandard.ZstdCompressor | None = getattr(self._kept, "coder", None)
        if coder is None:
            import zstandard  # loaded by who writes such a file

            coder = zstandard.ZstdCompressor(level=self._level, write_checksum=True)
            self._kept.coder = coder
        return coder.compress(plain)
