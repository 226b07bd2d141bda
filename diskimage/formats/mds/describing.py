"""What a descriptor tells beside its tracks: medium, structures of a DVD, where density changes."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from diskimage.errors import ContentError
from diskimage.formats.mds.layout import MEDIA, Descriptor
from diskimage.model import Gate, Source
from diskimage.parse import read

_COPYRIGHT, _MANUFACTURING, _PHYSICAL = 4, 2048, 2048  # bytes, of each layer
_BLOCK = Struct("<IIII")  # number, first sector, sectors an entry, entries
_WORD = Struct("<I")


def describe(told: Descriptor, source: Source, gate: Gate) -> dict[str, object]:
    """`told` as a mapping for JSON. What is no more than a description may be damaged: a warning.

    Tables are checked against the file and not kept.
    """
    medium = MEDIA.get(told.medium, f"{told.medium:#04x}")
    info: dict[str, object] = {
        "variant": f"{medium}, version {told.version}",
        "version": told.version,
        "medium_type": medium,
    }
    for key, present, found in (
        ("structures", told.structures_at and told.dvd, _structures),
        ("dpm", told.dpm_at, _dpm),
    ):
        if present:
            try:
                info[key] = list(found(told, source, gate))
            except ContentError as error:
                gate.warn(key, error.message, error.at)
    if told.dvd and told.bca[1]:
        info["burst_cutting_area"] = told.bca[1]
    return info


def _structures(told: Descriptor, source: Source, gate: Gate) -> Iterator[dict[str, object]]:
    """Of each layer what READ DVD STRUCTURE answers (MMC, formats 0, 1 and 4)."""
    at, layers, layer = told.structures_at, 1, 0
    while layer < layers:
        content = read(
            source, at, _COPYRIGHT + _MANUFACTURING + _PHYSICAL, f"structures of layer {layer}"
        )
        physical = content[_COPYRIGHT + _MANUFACTURING :]
        layers = (physical[2] >> 5 & 3) + 1
        yield {
            "layer": layer,
            "book_type": physical[0] >> 4,
            "layers": layers,
            "first_sector": int.from_bytes(physical[5:8], "big"),
            "last_sector": int.from_bytes(physical[9:12], "big"),
            "copy_protection": content[0],
            "regions": content[1],
        }
        at, layer = at + len(content), layer + 1


def _dpm(told: Descriptor, source: Source, gate: Gate) -> Iterator[dict[str, object]]:
    """Of each block of data position measurement (how dense the disc is) what it covers."""
    (count,) = _WORD.unpack(read(source, told.dpm_at, _WORD.size, "the position blocks"))
    count = min(count, gate.limits.text_entries)
    places = read(source, told.dpm_at + _WORD.size, _WORD.size * count, "the position blocks")
    for (at,) in _WORD.iter_unpack(places):
        number, first, resolution, entries = _BLOCK.unpack(
            read(source, at, _BLOCK.size, "a position block")
        )
        yield {"number": number, "first": first, "resolution": resolution, "entries": entries}
