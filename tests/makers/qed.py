"""QED images written byte by byte from QEMU's document, without the package's reader."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.makers.sample import Sample

CLUSTER = 4096


def qed(
    size: int,
    clusters: Mapping[int, tuple[int, bytes]],
    *,
    zeros: frozenset[int] = frozenset(),
    table: int = 1,
    features: int = 0,
    backing: bytes = b"",
    special: Mapping[int, int] | None = None,
) -> bytes:
    """An image of `size` guest bytes; `clusters` maps a cluster to (stored index, content).

    Behind the header stand the L1 table, then the L2 tables in reverse order, then the clusters.
    """
    per = table * CLUSTER // 8
    special = special or {}
    used = sorted({n // per for n in (*clusters, *zeros, *special)}, reverse=True)
    l2_at = {number: (1 + table + i * table) * CLUSTER for i, number in enumerate(used)}
    data_at = (1 + table + len(used) * table) * CLUSTER
    stored = max((place + 1 for place, _ in clusters.values()), default=0)
    image = bytearray(data_at + stored * CLUSTER)
    if backing:
        features |= 1
        image[100 : 100 + len(backing)] = backing
    struct.pack_into(
        "<4sIIIQQQQQII", image, 0, b"QED\0", CLUSTER, table, 1, features, 0, 0, CLUSTER, size,
        100 if backing else 0, len(backing),
    )  # fmt: skip
    for number, at in l2_at.items():
        struct.pack_into("<Q", image, CLUSTER + 8 * number, at)
    entries = dict.fromkeys(zeros, 1) | {n: data_at + p * CLUSTER for n, (p, _) in clusters.items()}
    for number, entry in (entries | dict(special)).items():
        struct.pack_into("<Q", image, l2_at[number // per] + 8 * (number % per), entry)
    for place, content in clusters.values():
        image[data_at + place * CLUSTER : data_at + place * CLUSTER + len(content)] = content
    return bytes(image)


def samples() -> list[Sample]:
    """Clusters out of order, zero clusters, two L2 tables, a short end."""
    one, two, half = b"one." * 1024, b"2222" * 1024, b"half" * 256
    far = 512  # the first cluster of the second table
    size = far * CLUSTER + 1024
    plain = qed(size, {0: (1, one), 2: (0, two), far: (2, half)}, zeros=frozenset({1, 5}))
    guest = one + bytes(CLUSTER) + two + bytes((far - 3) * CLUSTER) + half
    borders = (0, 4, 64, 4096, 4097, 8192, 12288, 16384, 20480, len(plain) - CLUSTER + 1023)
    wide = qed(3 * CLUSTER, {2: (0, two)}, table=2)
    return [
        Sample("plain", {"a.qed": plain}, guest, 64, borders),
        Sample("wide tables", {"a.qed": wide}, bytes(2 * CLUSTER) + two),
    ]
