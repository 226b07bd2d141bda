"""What is wrong with a set, in three verdicts: structure, chunks, the hashes of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from diskimage.errors import DiskImageError
from diskimage.formats.e01.chunks import Entries
from diskimage.formats.e01.open import Opened, opened
from diskimage.layers.unread import unread
from diskimage.limits import MIB
from diskimage.model import Checking, Finding, Gate, Held, Source
from diskimage.parse import read


def check(source: Source, gate: Gate) -> Checking:
    """Structure (tables and their copies), chunks (each decodes, its sum is right), whole (MD5 and
    SHA-1 of the guest, where every chunk is right). Raises what opening does."""
    found = opened(source, gate)
    yield from _structure(found)
    whole = True
    sums = {name: hashlib.new(name, usedforsecurity=False) for name in found.found.hashes}
    image = gate.reading(found.chunks, source.name)
    size, chunk = found.chunks.size, found.chunks.block
    buffer = memoryview(bytearray(max(chunk, MIB // chunk * chunk)))
    for start in range(0, size, len(buffer)):
        part = buffer[: min(len(buffer), size - start)]
        for problem in unread(image, start, part, chunk):
            whole = False
            yield problem
        if whole:
            for running in sums.values():
                running.update(part)
    for name, running in sums.items():
        stored = found.found.hashes[name]
        if whole and running.digest() != stored:
            text = f"its {name} is {running.hexdigest()}, stored is {stored.hex()}"
            yield Finding("checksum", text, part="whole")
    return Held("a checksum of each chunk", " and ".join(sums))


def _structure(found: Opened) -> Iterator[Finding]:
    """Each table has a right sum, and says the same as its copy."""
    entries = found.entries
    for table in found.found.tables:
        try:
            raw = entries.proven(table)
        except DiskImageError as error:
            yield Finding(error.kind, error.message, error.at)
            continue
        copy = table.copy
        if copy is None or not isinstance(entries, Entries):
            continue
        other = read(entries.data, copy.at, len(raw), "a table's copy")
        if copy.base != table.base or other != raw:
            text = "a table of chunks and its copy differ"
            yield Finding("corrupt", text, table.at)
