"""The texts of a header: its extensions and the name of its backing, and other ones put there."""

from __future__ import annotations

from diskimage.errors import UsageError
from diskimage.formats.qcow2 import layout
from diskimage.formats.qcow2.layout import Header
from diskimage.words import rounded


def renamed(header: Header, first: bytes, name: str | None, format: str | None) -> bytes:
    """The used part of the first cluster with another backing, or none; all else as it was.

    UsageError where it does not fit.
    """
    kept = [row for row in header.extensions if row[0] != layout.BACKING_FORMAT]
    if name is not None and format is not None:
        kept.insert(0, (layout.BACKING_FORMAT, stored(format)))
    texts = b"".join(extension(kind, data) for kind, data in (*kept, (layout.END, b"")))
    named = b"" if name is None else stored(name)
    at = demand_room(header.length + len(texts), named, header.cluster)
    place = at.to_bytes(8, "big") + len(named).to_bytes(4, "big")
    return first[:8] + place + first[20 : header.length] + texts + named


def demand_room(at: int, name: bytes, cluster: int) -> int:
    """Where a backing's name begins that may stand at `at`, 0 without a name. UsageError."""
    if len(name) > layout.NAME_MOST or at + len(name) > cluster or b"\0" in name:
        raise UsageError(f"the name of the backing file does not fit: {len(name)} bytes",
                         remedy="use a shorter name, or larger clusters")  # fmt: skip
    return at if name else 0


def stored(text: str) -> bytes:
    """A name as the file holds it. UsageError where no bytes say it."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError(f"the name {text!a} cannot be stored", remedy="use UTF-8") from None


def extension(kind: int, data: bytes) -> bytes:
    """A header extension, padded to 8 bytes."""
    head: bytes = layout.EXTENSION.build({"type": kind, "length": len(data)})
    return head + data.ljust(rounded(len(data), 8), b"\0")
