"""A qcow2 file as a device: what its L1 and L2 entries mean."""

from __future__ import annotations

from diskimage.codecs import deflate, zstd
from diskimage.errors import ContentError, CorruptError
from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.crypt import deciphered
from diskimage.formats.qcow2.layout import COPIED, OFFSET, Header
from diskimage.formats.qcow2.snapshots import chosen, of_snapshot, told
from diskimage.formats.qcow2.tables import Tables
from diskimage.formats.qcow2.write import Growing, unwritable
from diskimage.layers.blank import Blank
from diskimage.layers.overlay import Overlay
from diskimage.layers.table import Entries, Flat, Match, Nested, Pages, Rule, TableDevice
from diskimage.model import HOLE, Bid, Codec, Device, Gate, Kind, Look, Source
from diskimage.sources.unopened import Unopened
from diskimage.words import size_text


def probe(look: Look) -> Bid | None:
    """The magic, and a version that is not 1: one that nobody knows is refused by name."""
    version = int.from_bytes(look.head[4:8], "big")
    if look.head[:4] != layout.MAGIC or version == 1:
        return None
    return Bid(95 if version in (2, 3) else 80, f"the magic QFI FB and version {version}")


def open_qcow2(
    source: Source, gate: Gate, *, snapshot: str | None = None, backing_format: str | None = None
) -> Device:
    """The disk, or what it was in `snapshot`, over its backing where the gate opens that.

    `backing_format` is that of a backing of which the image names none.
    """
    header = layout.load(source, gate.limits)
    shown = info(header, source, gate)
    _warn(header, gate)
    if snapshot is not None:
        row = chosen(header, source, snapshot, gate.limits)
        header, shown["snapshot"] = of_snapshot(header, row, source, gate.limits), told(row)
    data = _data(header, source, gate)
    tables = Tables(header, entries(header, Pages(source, gate.limits.table_resident)), source)
    layer = _layer(header, source, data, gate, shown, tables)
    clear, cipher = deciphered(layer, header, source, data, gate)
    if cipher is not None:
        shown |= {"variant": f"{shown['variant']}, encrypted", "encryption": cipher}
    whole = _whole(header, clear, gate, backing_format)
    if snapshot is not None or unwritable(header) is not None:
        return whole
    return Growing(header, tables, layer, whole, source, gate)


def _whole(header: Header, layer: Device, gate: Gate, otherwise: str | None) -> Device:
    """What the guest reads: the layer over its backing, where the gate opens that."""
    if header.backing is None:
        return Overlay(layer, Blank(0)) if header.extended else layer
    said = header.text(layout.BACKING_FORMAT) or otherwise
    backing = gate.parent(header.backing, role="backing", format=said)
    return layer if backing is None else Overlay(layer, backing)


def _data(header: Header, source: Source, gate: Gate) -> Source:
    """Where guest bytes are: the file itself, or the data file that it names, opened or not."""
    if not header.incompatible & layout.DATA_FILE:
        return source
    name = header.text(layout.DATA_NAME)
    if not name:
        raise CorruptError(
            "an external data file without a name",
            file=source.name,
            remedy="give the image the name of its data file again, with qemu-img amend",
        )
    return gate.source(name, role="data-file") or Unopened(name)


def _layer(
    header: Header, source: Source, data: Source, gate: Gate, shown: dict[str, object],
    tables: Entries,
) -> TableDevice:  # fmt: skip
    outside = data is not source
    codec: Codec | None = None
    if not outside:
        codec = zstd(window_log=gate.limits.window_log) if header.compression else deflate(12)
    empty = HOLE if header.backing is None and not header.extended else Kind.ABSENT
    return TableDevice(
        size=header.size,
        block=header.cluster,
        data=data,
        entries=tables,
        rule=rule(header, empty, 0 if outside else source.size),
        empty=empty,
        codec=codec,
        tables=source,
        info=shown,
    )


def entries(header: Header, pages: Pages) -> Nested:
    """Where the L2 entries of the active L1 table are."""
    return Nested(
        directory=Flat(pages, header.l1_at, header.tables, 8, "L1 table"),
        per_table=header.per_table,
        width=header.entry,
        mask=OFFSET,
        align=header.cluster,
        reserved=layout.L1_RESERVED,
        big_endian=True,
        what="L2 table",
    )


def rule(header: Header, empty: int, clip: int) -> Rule:
    """What an L2 entry means; `empty` is an unallocated cluster, `clip` the end of the file.

    Without `clip` guest bytes are in an external data file: offset 0 is one there, if the copied
    bit stands beside it, and no cluster is compressed.
    """
    zeros = (
        Match(OFFSET | layout.ZERO, layout.ZERO, HOLE),
        Match(layout.ZERO, layout.ZERO, Kind.ZERO),
    )
    unallocated = Match(OFFSET if clip else OFFSET | COPIED, 0, empty)
    has_zeros = header.version >= 3 and not header.extended
    return Rule(
        width=header.entry,
        big_endian=True,
        matches=(*zeros, unallocated) if has_zeros else (unallocated,),
        mask=OFFSET,
        align=header.cluster,
        reserved=layout.L2_RESERVED | (0 if has_zeros else layout.ZERO)
        | (0 if clip else layout.COMPRESSED),
        coded=layout.COMPRESSED if clip else 0,
        coded_split=62 - (header.cluster_bits - 8),
        clip=clip,
    )  # fmt: skip


def _warn(header: Header, gate: Gate) -> None:
    if header.incompatible & layout.DIRTY:
        gate.warn("dirty", "was not closed: its refcounts may be stale, its guest is as it says")
    if header.incompatible & layout.CORRUPT:
        gate.warn("corrupt", "is marked corrupt by the software that wrote it: run check")


def info(header: Header, source: Source, gate: Gate) -> dict[str, object]:
    """What `info` shows. Names of others are as stored: who prints them escapes them."""
    cluster, compression = size_text(header.cluster), layout.COMPRESSIONS[header.compression]
    shown: dict[str, object] = {
        "variant": f"v{header.version}, {cluster} clusters, {compression}",
        "version": header.version,
        "cluster_size": header.cluster,
        "compression": compression,
        "backing": header.backing,
        "backing_format": header.text(layout.BACKING_FORMAT),
        "data_file": header.text(layout.DATA_NAME),
        "extended_l2": header.extended,
        "unwritable": unwritable(header),
        "refcount_bits": 1 << header.refcount_order,
        "features": _features(header),
        "snapshots": [
            told(row) for row in layout.snapshots(header, source, gate.limits)
        ],
        "bitmaps": _bitmaps(header, source, gate),
        "extensions": [
            layout.EXTENSIONS.get(kind, f"{kind:#010x}") for kind, _ in header.extensions
        ],
    }  # fmt: skip
    return shown


def _features(header: Header) -> list[str]:
    given = layout.feature_names(header)
    known = (layout.INCOMPATIBLE, layout.COMPATIBLE, layout.AUTOCLEAR)
    values = (header.incompatible, header.compatible, header.autoclear)
    shown = []
    for kind, (names, value) in enumerate(zip(known, values, strict=True)):
        for bit in layout.bits(value):
            ours = names[bit] if bit < len(names) else None
            shown.append(ours or given.get((kind, bit), f"bit {bit}"))
    return shown


def _bitmaps(header: Header, source: Source, gate: Gate) -> list[dict[str, object]]:
    """The dirty bitmaps; a directory that cannot be read is a warning, for the guest is sound."""
    if not header.autoclear & layout.BITMAPS:
        return []
    try:
        rows = list(layout.bitmaps(header, source, gate.limits))
    except ContentError as error:
        gate.warn("bitmaps", f"the bitmaps cannot be listed: {error.message}", error.at)
        return []
    return [
        {"name": row.name, "granularity": row.granularity, "in_use": row.in_use,
         "automatic": row.automatic}
        for row in rows
    ]  # fmt: skip
