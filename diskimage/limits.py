"""Every bound, one a line, with its reason; a caller raises one with `replace(LIMITS, name=n)`."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20

RUNS_ROWS = 4096  # rows of one `Runs`: 150 KiB of columns, a kernel call of about 50 microseconds


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may ask of us. Reasons stand beside the numbers (research: security policy)."""

    guest_size: int = (1 << 63) - 512  # offsets stay in signed 64 bits
    metadata: int = 256 * MIB  # of one image in memory; more is a bomb or needs paging
    table_resident: int = 16 * MIB  # larger tables are read by page, on use
    chunk: int = 64 * MIB  # decoded bytes of one coded chunk: bounds every buffer
    window_log: int = 25  # zstd: 32 MiB of decoder window
    text_file: int = 1 * MIB  # a sheet or descriptor; real ones are below 64 KiB
    text_line: int = 64 * KIB  # a line of it
    text_entries: int = 4096  # files, tracks, extents named by it
    chain_depth: int = 256  # images under an image
    snapshots: int = 65536  # qcow2: QEMU's own bound
    bitmaps: int = 65535  # qcow2: QEMU's own bound
    listing: int = 2 * MIB  # qcow2: a snapshot table or bitmap directory; 16,000 rows, a second
    l1_table: int = 32 * MIB  # qcow2: QEMU's own bound, 4 M entries
    refcount_table: int = 8 * MIB  # qcow2: QEMU's own bound
    volume_descriptors: int = 64  # ISO 9660: real discs have below 8
    directory_bytes: int = 64 * MIB  # one directory; 2 million short names
    directory_entries: int = 10_000_000  # one walk
    directory_depth: int = 256  # real discs with relocation stay below 64
    path_bytes: int = 4096  # PATH_MAX of Linux
    continuations: int = 64  # SUSP areas of one record
    continuation_bytes: int = 64 * KIB  # of one record
    link_target: int = 4096  # a symbolic link's text
    key_rounds: int = 16_000_000  # of PBKDF2 over a password: some 10 seconds
    key_memory: int = 1 << 30  # of Argon2: the most that cryptsetup takes unless it is told to
    key_filled: int = 32 << 30  # bytes, all passes of Argon2: half a minute in one lane
    property_list: int = 64 * MIB  # of a DMG or bundle: tables of 300 GiB in 256 KiB chunks
    block_map: int = 64 * MIB  # a bmap: half a million ranges, each with its SHA-256
    blind: int = 64 << 30  # plain bytes of a stream that tells no length: a minute of zeros
    blind_ratio: int = 1032  # more than that for each packed byte: deflate gives no more
    problems: int = 1000  # of one check report: the rest is counted, not listed
    split_parts: int = 9999  # of a split set


LIMITS = Limits()
