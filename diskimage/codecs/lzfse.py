"""LZFSE, with the blocks of LZVN that its streams may have, by the `lzfse` wheel.

The wheel decodes whatever a stream says it holds: the headers of its blocks are read first, so that
no stream gives more than its chunk. Facts: lzfse_internal.h of the format's authors.
"""

from __future__ import annotations

from typing import Any

from diskimage.errors import CorruptError, UnsupportedError

_PLAIN, _V1, _V2, _LZVN, _END = b"bvx-", b"bvx1", b"bvx2", b"bvxn", b"bvx$"
_V1_HEADER, _V2_HEADER = 772, 32  # bytes of a header of version 1; least of one of version 2


class Lzfse:
    """A codec of LZFSE streams. `name` is "lzfse". A stream gives its chunk whole, no more."""

    name = "lzfse"

    def decode(self, coded: memoryview, want: int) -> bytes:
        """Exactly `want` bytes. CorruptError; UnsupportedError without the extra `apple`."""
        told = told_size(coded)
        if told != want:
            raise CorruptError(f"says it gives {told} bytes, not {want}")
        wheel = _wheel()
        try:
            plain: bytes = wheel.decompress(bytes(coded))
        except wheel.error:
            raise CorruptError("does not decode") from None
        if len(plain) != want:
            raise CorruptError(f"gives {len(plain)} of {want} bytes")
        return plain

    def encode(self, plain: memoryview) -> bytes | None:
        """The chunk as one stream; None where it would not be smaller."""
        made: bytes = _wheel().compress(bytes(plain))
        return made if len(made) < len(plain) else None


def told_size(coded: memoryview) -> int:
    """The plain bytes that the blocks of a stream say they hold. Raises CorruptError."""
    at = total = 0
    while at + 4 <= len(coded):
        magic = bytes(coded[at : at + 4])
        if magic == _END:
            return total
        head = coded[at : at + _V2_HEADER]
        plain = int.from_bytes(head[4:8], "little")
        if magic == _PLAIN:
            at += 8 + plain
        elif magic == _LZVN:
            at += 12 + int.from_bytes(head[8:12], "little")
        elif magic == _V1:
            at += _V1_HEADER + int.from_bytes(head[8:12], "little")
        elif magic == _V2:
            at += _of_version_2(head)
        else:
            raise CorruptError(f"has a block {magic!r}")
        total += plain
    raise CorruptError("has no end")


def _of_version_2(head: memoryview) -> int:
    """Bytes of a block: its header, its literals and its matches, packed in three."""
    first, second, third = (int.from_bytes(head[i : i + 8], "little") for i in (8, 16, 24))
    header = third & 0xFFFFFFFF
    if header < _V2_HEADER:
        raise CorruptError(f"has a block with a header of {header} bytes")
    return header + (first >> 20 & 0xFFFFF) + (second >> 40 & 0xFFFFF)


def _wheel() -> Any:
    try:
        import lzfse
    except ImportError:
        raise UnsupportedError(
            "is coded by LZFSE, which is not installed",
            remedy="install the extra `apple`: pip install 'py-diskimage[apple]'",
        ) from None
    return lzfse
