"""Content told by name that no format here opens, or that opens as raw: containers and guests.

A container is refused by its name; what a guest writes on its disk (partition tables, file
systems) says that the file is a raw image of one.
"""

from __future__ import annotations

from typing import NamedTuple

from diskimage.model import Look

Signature = tuple[int, bytes]  # an offset from the start, or from the end where negative


class Known(NamedTuple):
    """Content recognised by name that no format of ours opens; `opens_as_raw` for guest content."""

    name: str
    signatures: tuple[Signature, ...]
    suffixes: tuple[str, ...] = ()
    opens_as_raw: bool = False


CONTAINERS = (
    Known("AFF", ((0, b"AFF10\x0d\x0a\0"),), (".aff",)),
    Known("partclone", ((0, b"partclone-image"),), ()),
    Known("zip archive", ((0, b"PK\x03\x04"),), (".zip",)),
)

GUESTS = tuple(
    Known(name, signatures, opens_as_raw=True)
    for name, signatures in (
        ("GUID partition table", ((512, b"EFI PART"), (4096, b"EFI PART"))),
        ("Apple partition map", ((512, b"PM\0\0"),)),
        ("NTFS", ((3, b"NTFS    "),)),
        ("exFAT", ((3, b"EXFAT   "),)),
        ("FAT", ((54, b"FAT12   "), (54, b"FAT16   "), (82, b"FAT32   "))),
        ("XFS", ((0, b"XFSB"),)),
        ("btrfs", ((0x10040, b"_BHRfS_M"),)),
        ("HFS", ((1024, b"BD"),)),
        ("HFS+", ((1024, b"H+\0\4"), (1024, b"HX\0\5"))),
        ("APFS", ((32, b"NXSB"),)),
        ("JFS", ((0x8000, b"JFS1"),)),
        ("squashfs", ((0, b"hsqs"), (0, b"sqsh"))),
        ("UDF", ((0x8001, b"BEA01"),)),
        ("UFS", ((0x255C, b"\x54\x19\x01\0"), (0x255C, b"\0\1\x19\x54"),
                 (0x1055C, b"\x19\x01\x54\x19"), (0x1055C, b"\x19\x54\x01\x19"))),
        ("swap area", ((4086, b"SWAPSPACE2"),)),
    )
)  # fmt: skip


def containers(seen: Look) -> list[tuple[Known, str]]:
    """The containers whose signature stands in `seen`, each with the reason."""
    return _told(CONTAINERS, seen)


def guests(seen: Look) -> list[tuple[Known, str]]:
    """The guest content that `seen` shows: by fixed bytes, else by the rules of a boot sector."""
    return _told(GUESTS, seen) or _by_rule(seen)


def holds(seen: Look, signature: Signature) -> bool:
    """Whether the bytes of `signature` stand where it says."""
    at, magic = signature
    if at >= 0:
        return seen.head[at : at + len(magic)] == magic
    end = len(seen.tail) + at
    return end >= 0 and seen.tail[end : end + len(magic)] == magic


def _told(table: tuple[Known, ...], seen: Look) -> list[tuple[Known, str]]:
    return [
        (known, f"{known.name}: {held[1]!r} at {held[0]}")
        for known in table
        if (held := next((s for s in known.signatures if holds(seen, s)), None)) is not None
    ]


def _by_rule(seen: Look) -> list[tuple[Known, str]]:
    """Content that no fixed bytes tell: an MBR with plausible rows, ext2/3/4, a FAT boot sector."""
    head, name = seen.head, None
    if head[0x438:0x43A] == b"\x53\xef" and seen.size >= 2048:
        name = "ext2/3/4: 53 EF at 1080"
    elif head[510:512] == b"\x55\xaa" and head[0] in (0xE9, 0xEB) and _fat_boot(head):
        name = "FAT: a plausible boot sector"
    elif head[510:512] == b"\x55\xaa" and _mbr(head):
        name = "MBR: 55 AA at 510 and plausible rows"
    if name is None:
        return []
    return [(Known(name.partition(":")[0], (), opens_as_raw=True), name)]


def _mbr(head: bytes) -> bool:
    rows = [head[446 + 16 * i : 462 + 16 * i] for i in range(4)]
    used = [row for row in rows if any(row)]
    return all(row[0] in (0, 0x80) and row[4] for row in used) and bool(used)


def _fat_boot(head: bytes) -> bool:
    sector, cluster = int.from_bytes(head[11:13], "little"), head[13]
    return sector in (512, 1024, 2048, 4096) and cluster in (1, 2, 4, 8, 16, 32, 64, 128)
