"""An xz stream of many blocks: each is coded by itself, and the index at the end finds it."""

from __future__ import annotations

from array import array

from diskimage.disc.reduce import losses as reduced, user_bytes
from diskimage.errors import LimitError
from diskimage.formats.xz.layout import coded, end_of, header, number, padded
from diskimage.layers.packing import chunk_of, chunks, level_of
from diskimage.limits import KIB, MIB
from diskimage.model import Barrier, Device, Disc, Loss, Option, Plan, Put

_HEAD = 12
_MOST = 1 << 24  # blocks: their lengths are held until the index is written
_CHECK = 4  # CRC-64, as xz has it unless it is told otherwise
_AROUND = 64  # bytes of a block that holds what does not get smaller, beside a 64 KiB part's 3
OPTIONS = (
    Option("level", "1 to 9", "effort of the compression; 6 unless said"),
    Option("chunk", "64K to 16M", "plain bytes of a block; 1M unless said"),
)


def losses(what: Device | Disc, **_: object) -> list[Loss]:
    """It holds every byte of a disk, and of a disc its first data track."""
    return reduced(what)


def full(size: int, *, chunk: object = None, **_: object) -> int:
    """The bytes of a file in which no block of `size` plain bytes gets smaller."""
    blocks = -(-size // _chunk(chunk))
    return size + blocks * (_AROUND + 16) + size // (64 * KIB) * 3 + 64


def create(what: Device | Disc, stem: str, *, level: object = None, chunk: object = None) -> Plan:
    """The header, blocks in order, and what finds them."""
    device, size = user_bytes(what), _chunk(chunk)
    if device.size > _MOST * size:
        raise LimitError(f"more than {_MOST} blocks", remedy="say a larger --option chunk")
    effort = level_of(level, 9, 6)
    unpadded = array("q", bytes(8 * -(-device.size // size)))

    def seal(start: int, plain: bytes | memoryview) -> bytes:
        block, unpadded[start // size] = _block(plain, effort or 6, size)
        return block

    yield Put(0, header(_CHECK))
    end, _ = yield from chunks(device, size, _HEAD, seal)
    records = b"".join(
        coded(length) + coded(min(size, device.size - row * size))
        for row, length in enumerate(unpadded)
    )
    yield Barrier()
    yield Put(end, end_of(records, len(unpadded), _CHECK))


def _chunk(chunk: object) -> int:
    return chunk_of(chunk, 64 * KIB, 16 * MIB, MIB)


def _block(plain: bytes | memoryview, level: int, size: int) -> tuple[bytes, int]:
    """A block, padded, and its bytes without the padding: the one of a stream of its own."""
    import lzma  # loaded by who writes such a file

    filters = [{"id": lzma.FILTER_LZMA2, "preset": level, "dict_size": size}]
    made = lzma.compress(plain, lzma.FORMAT_XZ, lzma.CHECK_CRC64, filters=filters)
    index = 4 * (int.from_bytes(made[-8:-4], "little") + 1)
    unpadded, _ = number(made, len(made) - _HEAD - index + 2)
    return made[_HEAD : _HEAD + padded(unpadded)], unpadded
