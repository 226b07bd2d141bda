"""QCOW images of version 1 written byte by byte from QEMU's qcow.c, not by the package."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

from tests.makers.sample import Sample


def qcow1(
    size: int,
    clusters: Mapping[int, bytes],
    *,
    bits: int = 12,
    l2_bits: int = 6,
    packed: Sequence[int] = (),
    order: Sequence[int] | None = None,
    backing: bytes = b"",
    encryption: int = 0,
    special: Mapping[int, int] | None = None,
) -> bytes:
    """An image of `size` guest bytes: clusters stored in `order`, those of `packed` deflated.

    `special` are entries of clusters as they stand.
    """
    cluster, per = 1 << bits, 1 << l2_bits
    special = special or {}
    tables = -(-size // (cluster * per))
    name_at = 48
    l1_at = -(-(name_at + len(backing)) // 8) * 8
    image = bytearray(l1_at + 8 * tables)
    struct.pack_into(
        ">4sIQIIQBBHIQ", image, 0, b"QFI\xfb", 1, name_at if backing else 0, len(backing), 0, size,
        bits, l2_bits, 0, encryption, l1_at,
    )  # fmt: skip
    image[name_at : name_at + len(backing)] = backing
    places: dict[int, int] = {}
    for number in sorted({n // per for n in (*clusters, *special)}):
        image += bytes(-len(image) % cluster)
        places[number] = len(image)
        struct.pack_into(">Q", image, l1_at + 8 * number, len(image))
        image += bytes(8 * per)
    entries = dict(special)
    for number in order or list(clusters):
        if number in packed:
            coder = zlib.compressobj(9, zlib.DEFLATED, -12)
            stored = coder.compress(clusters[number].ljust(cluster, b"\0")) + coder.flush()
            entries[number] = 1 << 63 | len(stored) << (63 - bits) | len(image)
        else:
            image += bytes(-len(image) % cluster)
            stored = clusters[number]
            entries[number] = len(image)
        image += stored
    for number, entry in entries.items():
        struct.pack_into(">Q", image, places[number // per] + 8 * (number % per), entry)
    return bytes(image)


def samples() -> list[Sample]:
    """Clusters out of order over two tables, compressed ones between, sizes that are not whole."""
    one, two, half = b"one." * 1024, b"2222" * 1024, b"half" * 256
    clusters = {0: one, 2: two, 70: half}
    size = 70 * 4096 + 1024
    guest = one + bytes(4096) + two + bytes(67 * 4096) + half
    plain = qcow1(size, clusters, order=[2, 0, 70])
    borders = (0, 4, 48, 64, 4096, 8192, 12288, 16384, len(plain) - 1)
    packed = qcow1(size, clusters, packed=[0, 70], order=[70, 2, 0])
    small = {number: bytes([number + 1]) * 512 for number in range(0, 20, 3)}
    fine = qcow1(20 * 512, small, bits=9, packed=[3, 9])
    return [
        Sample("plain", {"a.qcow": plain}, guest, 48, borders),
        Sample("packed", {"a.qcow": packed}, guest, 48, (len(packed) - 5, len(packed) - 40)),
        Sample("small", {"a.qcow": fine},
               b"".join(small.get(n, bytes(512)) for n in range(20))),
    ]  # fmt: skip
