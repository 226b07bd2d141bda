"""What is wrong with a container: its maps, its chunks with their hashes, the hash of the whole."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator

from diskimage.errors import DiskImageError
from diskimage.formats.aff4 import zip as archive
from diskimage.formats.aff4.opening import Chosen, Opened, hashes, images, opened
from diskimage.formats.aff4.streams import Shape, chunked
from diskimage.formats.aff4.volume import Volume, load
from diskimage.layers.unread import unread
from diskimage.limits import MIB
from diskimage.model import Checking, Finding, Gate, Held, Source

BLOCKS = ("md5", "sha1", "sha256", "sha512", "blake2b")
MAPS = (("mapIdxHash", "idx"), ("mapPointHash", "map"), ("mapPathHash", "mapPath"))


def check(source: Source, gate: Gate) -> Checking:
    """Structure (hashes of maps), chunks (the CRC of each bevy, each chunk decodes, its hashes)
    and the whole (hashes of the image, where every chunk is right). Raises what opening does."""
    volume = load(source, gate)
    names = set[str]()
    for chosen in images(volume):
        found = opened(volume, chosen, gate)
        for urn, holder in found.maps.items():
            yield from _map(holder, urn, gate)
        whole = True
        for holder, told in found.shapes.values():
            for problem in _chunks(holder, told, gate):
                whole = False
                yield problem
        sums = _said(volume, chosen)
        names |= set(sums)
        if whole:
            yield from _linear(found, sums, gate)
    return Held("a CRC of each bevy, and hashes of chunks where there are some",
                " and ".join(sorted(names)))  # fmt: skip


def _said(volume: Volume, chosen: Chosen) -> dict[str, str]:
    """The hashes of all bytes that are said of an image, or of its stream."""
    told = hashes(volume, chosen.image) or hashes(volume, chosen.stream)
    return {name: digits for name, digits in told.items() if name in BLOCKS}


def _map(volume: Volume, urn: str, gate: Gate) -> Iterator[Finding]:
    """The segments of a map have the hashes that are said of them."""
    for name, part in MAPS:
        for algorithm, digits in hashes(volume, urn, name).items():
            data = volume.content(f"{urn}/{part}", gate.limits.metadata, "metadata")
            if data is None or algorithm not in BLOCKS:
                continue
            if hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() != digits:
                yield Finding("checksum", f"the {algorithm} of {part} of {urn} is another one")


def _chunks(volume: Volume, told: Shape, gate: Gate) -> Iterator[Finding]:
    """The bevies of a stream, one by one."""
    image = gate.reading(chunked(volume, told, gate.limits), told.urn)
    running = {name: hashlib.sha512() for name in BLOCKS}
    for number in range(told.bevies):
        try:
            yield from _stored(volume, told, number)
        except DiskImageError as error:
            yield Finding(error.kind, f"bevy {number}: {error.message}", error.at, "chunks")
            continue
        stored = {
            name: data
            for name in BLOCKS
            if (data := _block_hashes(volume, told, number, name, gate)) is not None
        }
        for name, data in stored.items():
            running[name].update(data)
        yield from _decoded(image, told, number, stored)
    for name, digest in running.items():
        said = hashes(volume, f"{told.urn}/blockhash.{name}").get("sha512")
        if said is not None and said != digest.hexdigest():
            text = f"the hash of all {name} of the chunks of {told.urn} is another one"
            yield Finding("checksum", text, part="chunks")


def _stored(volume: Volume, told: Shape, number: int) -> Iterator[Finding]:
    """The CRC of a bevy as it is stored."""
    member = volume.member(told.bevy(number))
    if member is None:
        yield Finding("missing", f"bevy {number} of {told.urn} is not there", part="chunks")
        return
    at, crc, left = archive.place(member, volume.source), 0, member.size
    buffer = memoryview(bytearray(MIB))
    while left:
        got = volume.source.read_into(at, buffer[: min(left, MIB)])
        crc = zlib.crc32(buffer[:got], crc)
        at, left = at + got, left - got
    if crc != member.crc:
        text = f"the CRC of bevy {number} of {told.urn} is wrong"
        yield Finding("checksum", text, member.header, "chunks")


def _block_hashes(volume: Volume, told: Shape, number: int, name: str, gate: Gate) -> bytes | None:
    """The digests of the chunks of a bevy, one behind the other; None where there are none."""
    bevy = told.bevy(number)
    for urn in (f"{bevy}.blockHash.{name}", f"{bevy}.{name}", f"{bevy}/blockHash.{name}"):
        data = volume.content(urn, gate.limits.table_resident, "table_resident")
        if data is not None:
            return data
    return None


def _decoded(
    image: Source, told: Shape, number: int, stored: dict[str, bytes]
) -> Iterator[Finding]:
    """Each chunk of a bevy decodes, and has its hashes."""
    first = number * told.per_bevy
    last = min(first + told.per_bevy, told.chunks)
    step = max(1, MIB // told.chunk)
    buffer = memoryview(bytearray(step * told.chunk))
    for begin in range(first, last, step):
        start = begin * told.chunk
        part = buffer[: min(min(last, begin + step) * told.chunk, told.size) - start]
        bad = list(unread(image, start, part, told.chunk))
        yield from bad
        if bad:
            continue
        for at in range(0, len(part), told.chunk):
            chunk, index = part[at : at + told.chunk], begin + at // told.chunk
            for name, data in stored.items():
                if not _right(chunk, told.chunk, data, index - first, name):
                    text = f"chunk {index} of {told.urn} has another {name}"
                    yield Finding("checksum", text, part="chunks")


def _right(chunk: memoryview, whole: int, data: bytes, index: int, name: str) -> bool:
    """Whether a chunk has the digest that is stored; the last one may be filled with zeros."""
    for plain in (chunk, bytes(chunk) + bytes(whole - len(chunk))):
        digest = hashlib.new(name, plain, usedforsecurity=False).digest()
        if data[index * len(digest) : (index + 1) * len(digest)] == digest:
            return True
    return False


def _linear(found: Opened, sums: dict[str, str], gate: Gate) -> Iterator[Finding]:
    """The hashes of all bytes."""
    if not sums:
        return
    running = {name: hashlib.new(name, usedforsecurity=False) for name in sums}
    image = gate.reading(found.device, "the image")
    buffer = memoryview(bytearray(MIB))
    for at in range(0, image.size, MIB):
        got = image.read_into(at, buffer)
        for digest in running.values():
            digest.update(buffer[:got])
    for name, digest in running.items():
        if digest.hexdigest() != sums[name]:
            text = f"its {name} is {digest.hexdigest()}, stored is {sums[name]}"
            yield Finding("checksum", text, part="whole")
