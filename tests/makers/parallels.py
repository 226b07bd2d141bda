"""Parallels images written byte by byte from QEMU's two documents, without the package's writer."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence

from tests.makers.sample import Sample

OLD, NEW = b"WithoutFreeSpace", b"WithouFreSpacExt"
TOP = "{5fbaabe3-6958-40ff-92a7-860e329aab41}"
NOBODY = "{00000000-0000-0000-0000-000000000000}"
SECTOR = 512


def parallels(
    size: int,
    clusters: Mapping[int, tuple[int, bytes]],
    *,
    tracks: int = 8,
    magic: bytes = NEW,
    in_use: int = 0x312E3276,
    special: Mapping[int, int] | None = None,
    flags: int = 0,
    data_off: int | None = None,
    extension: bytes = b"",
    entries: int | None = None,
) -> bytes:
    """An image of `size` guest bytes; `clusters` maps a cluster to (stored index, content).

    `extension` is the content of a cluster behind the others, its position put into the header.
    """
    cluster = tracks * SECTOR
    count = -(-size // cluster) if entries is None else entries
    end = 64 + 4 * count
    data_at = -(-end // cluster) * cluster if magic == NEW else -(-end // SECTOR) * SECTOR
    unit = cluster if magic == NEW else SECTOR
    table = [0] * count
    for index, (place, _) in clusters.items():
        table[index] = (data_at + place * cluster) // unit
    for index, entry in (special or {}).items():
        table[index] = entry
    stored = max((place + 1 for place, _ in clusters.values()), default=0)
    ext_at = data_at + stored * cluster if extension else 0
    image = bytearray(data_at + stored * cluster)
    image += extension.ljust(cluster, b"\0") if extension else b""
    struct.pack_into(
        "<16sIIIIIQIIIQ", image, 0, magic, 2, 16, 100, tracks, count, size // SECTOR, in_use,
        data_at // SECTOR if data_off is None else data_off, flags, ext_at // SECTOR,
    )  # fmt: skip
    struct.pack_into(f"<{count}I", image, 64, *table)
    for place, content in clusters.values():
        at = data_at + place * cluster
        image[at : at + len(content)] = content
    return bytes(image)


def extended(cluster: int, features: bytes) -> bytes:
    """A cluster of format extensions with its MD5."""
    rest = features.ljust(cluster - 24, b"\0")
    return struct.pack("<Q", 0xAB234CEF23DCEA87) + hashlib.md5(rest).digest() + rest


def descriptor(
    sectors: int,
    storages: Sequence[tuple[int, int, Sequence[tuple[str, str, str]]]],
    shots: Sequence[tuple[str, str]] = ((TOP, NOBODY),),
    *,
    top: str = "",
    padding: str = "0",
    engine: str = NOBODY,
    tracks: int = 8,
) -> bytes:
    """A DiskDescriptor.xml; each storage has (GUID, type, file) of its images."""
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<Parallels_disk_image Version="1.0">\n'
    text += f"<Disk_Parameters><Disk_size>{sectors}</Disk_size><Cylinders>1</Cylinders>"
    text += f"<Heads>1</Heads><Sectors>{sectors}</Sectors><Padding>{padding}</Padding>"
    text += f"<Encryption><Engine>{engine}</Engine><Data/></Encryption></Disk_Parameters>\n"
    text += "<StorageData>\n"
    for start, stop, images in storages:
        text += f"<Storage><Start>{start}</Start><End>{stop}</End><Blocksize>{tracks}</Blocksize>"
        for guid, kind, file in images:
            text += f"<Image><GUID>{guid}</GUID><Type>{kind}</Type><File>{file}</File></Image>"
        text += "</Storage>\n"
    text += "</StorageData>\n<Snapshots>"
    text += f"<TopGUID>{top}</TopGUID>" if top else ""
    for guid, parent in shots:
        text += f"<Shot><GUID>{guid}</GUID><ParentGUID>{parent}</ParentGUID></Shot>"
    return (text + "</Snapshots>\n</Parallels_disk_image>\n").encode()


BELOW = "{11111111-2222-3333-4444-555555555555}"


def bundle() -> Sample:
    """Two storages with a snapshot each: over a root image, and over a plain file."""
    one, two, three = b"one." * 1024, b"two!" * 1024, b"3333" * 1024
    root = parallels(4 * 4096, {0: (1, one), 1: (0, two)})
    over = parallels(4 * 4096, {1: (0, three), 3: (1, one)})
    plain, none = bytes(range(256)) * 16, parallels(4096, {})
    xml = descriptor(
        40,
        [
            (32, 40, [(BELOW, "Plain", "b.raw"), (TOP, "Compressed", "b.hds")]),
            (0, 32, [(BELOW, "Compressed", "a.hds"), (TOP, "Compressed", "top.hds")]),
        ],
        [(BELOW, NOBODY), (TOP, BELOW)],
    )
    files = {
        "DiskDescriptor.xml": xml, "a.hds": root, "top.hds": over, "b.raw": plain, "b.hds": none,
    }  # fmt: skip
    guest = one + three + bytes(4096) + one + plain
    return Sample("bundle", files, guest, cut="top.hds", borders=(64, 80, 4096, len(over)))


def samples() -> list[Sample]:
    """Both magics, clusters of 63 sectors, out of order, short at the end; a bundle."""
    one, two, half = b"one." * 1024, b"2222" * 1024, b"half" * 512
    clusters = {0: (1, one), 2: (0, two), 3: (2, half.ljust(4096, b"\0"))}
    size = 3 * 4096 + 2048
    guest = one + bytes(4096) + two + half
    new = parallels(size, clusters)
    borders = (0, 16, 64, 80, 4096, 8192, len(new) - 2049)
    odd = 63 * SECTOR
    first, last = b"abc" * (odd // 3), b"xyz" * (odd // 3)
    old = parallels(3 * odd, {0: (1, first), 2: (0, last)}, tracks=63, magic=OLD)
    return [
        Sample("new", {"a.hds": new}, guest, 64, borders),
        Sample("old", {"a.hds": parallels(size, clusters, magic=OLD)}, guest, 64),
        Sample("63 sectors", {"a.hds": old}, first + bytes(odd) + last),
        bundle(),
    ]
