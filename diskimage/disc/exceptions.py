"""Frames that cannot be made again from their user data: found, kept beside an ISO, put back.

An ISO holds 2048 bytes of each frame. Sync, header, EDC, ECC and a subheader of plain Form 1 data
are made again on the way back; a frame that has another byte there is an exception. The file that
keeps them, little-endian:

    0  8  "DIFRAMES"        8  u32 version, 1     12  u32 mode, 1 or 2
    16 u64 frames           24 i64 LBA of the first    32 u32 exceptions    36 u32 chunks
    40 chunks x (u64 place in the file, u32 stored bytes, u32 exceptions in it, u32 first frame)
       then the chunks: zlib streams of at most 256 exceptions, each a u32 frame (from 0),
       u32 CRC-32 of the whole frame, u32 length, and so many bytes: the frame without its user
       data, or all 2352 of a Form 2 frame.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from struct import Struct
from threading import Lock
from typing import NamedTuple

from diskimage.disc.modes import RAW, USER, cooks, number
from diskimage.disc.recast import compact
from diskimage.disc.tracks import between
from diskimage.errors import ChecksumError, CorruptError, LimitError, UnsupportedError
from diskimage.kernels.frames import SUBHEADER, gather, make
from diskimage.limits import Limits
from diskimage.model import Piece, Source, Track
from diskimage.parse import read
from diskimage.sources.made import Made, whole

MAGIC = b"DIFRAMES"
SUFFIX = ".frames"
BATCH = 446  # frames of one kernel call: 1 MiB
CHUNK = 256  # exceptions of one stream
_HEAD = Struct("<8sIIQqII")
_PLACE = Struct("<QIII")
_ROW = Struct("<III")
_USER_AT = {1: 16, 2: 24}
_FORM2 = 0x20
_MOST = CHUNK * (_ROW.size + RAW)  # plain bytes of a chunk


class Exceptional(NamedTuple):
    """Frame `number` of a track, all its bytes."""

    number: int
    frame: bytes


def of(track: Track, passed: Callable[[int], object] = int) -> Iterator[Exceptional]:
    """The frames of `track` from index 1 on that its user data does not make again.

    `passed` is told the bytes of each batch that was read. Raises UnsupportedError for frames that
    are not stored whole: of what is not there nothing can be kept.
    """
    for piece in between(track.pieces, track.lba, track.lba + track.length):
        if piece.source is None:
            continue
        if piece.mode.size != RAW or not cooks(piece.mode):
            raise UnsupportedError(
                f"track {track.number} has frames of {piece.mode.size} bytes, which are not whole",
                file=piece.source.name,
                remedy="there is nothing to keep of them: leave out --exact",
            )
        yield from _in_piece(piece, track.lba, passed)


def _in_piece(piece: Piece, base: int, passed: Callable[[int], object]) -> Iterator[Exceptional]:
    frames, mode = compact(piece), number(piece.mode)
    for done in range(0, piece.frames, BATCH):
        count, lba = min(BATCH, piece.frames - done), piece.lba + done
        raw = whole(frames, done * RAW, count * RAW)
        passed(len(raw))
        user, again = bytearray(count * USER), bytearray(count * RAW)
        gather(raw, RAW, _USER_AT[mode], USER, user)
        make(user, again, mode, lba)
        if raw == again:
            continue
        for i in range(count):
            part = slice(i * RAW, (i + 1) * RAW)
            if raw[part] != again[part]:
                yield Exceptional(lba + i - base, bytes(raw[part]))


def encode(found: Iterable[Exceptional], track: Track, limits: Limits) -> bytes:
    """The file that keeps `found`. Raises LimitError above `limits.metadata`."""
    mode, chunks, total, stored = number(track.mode), [], 0, 0
    rows = iter(found)
    while part := list(islice(rows, CHUNK)):
        coded = zlib.compress(b"".join(_row(one, mode) for one in part), 6)
        chunks.append((coded, len(part), part[0].number))
        total, stored = total + len(part), stored + len(coded)
        if stored > limits.metadata:
            raise LimitError(f"the exceptions take more than {limits.metadata} bytes")
    at = _HEAD.size + len(chunks) * _PLACE.size
    out = [_HEAD.pack(MAGIC, 1, mode, track.length, track.lba, total, len(chunks))]
    for coded, count, first in chunks:
        out.append(_PLACE.pack(at, len(coded), count, first))
        at += len(coded)
    return b"".join((*out, *(coded for coded, _, _ in chunks)))


def _row(one: Exceptional, mode: int) -> bytes:
    frame, at = one.frame, _USER_AT[mode]
    form2 = mode == 2 and frame[16:20] == frame[20:24] and frame[18] & _FORM2
    kept = frame if form2 else frame[:at] + frame[at + USER :]
    return _ROW.pack(one.number, zlib.crc32(frame), len(kept)) + kept


class Kept:
    """The exceptions in a file, read chunk by chunk.

    Raises CorruptError for a file that is none, LimitError for one that claims too much.
    """

    def __init__(self, source: Source, limits: Limits) -> None:
        head = bytes(read(source, 0, min(_HEAD.size, source.size), "the head of kept frames"))
        if len(head) < _HEAD.size or head[:8] != MAGIC:
            raise CorruptError("holds no kept frames", file=source.name)
        _, version, mode, self.frames, self.lba, self.count, chunks = _HEAD.unpack(head)
        if version != 1 or mode not in _USER_AT or self.count > chunks * CHUNK:
            raise CorruptError("the head of its kept frames contradicts itself", file=source.name)
        if chunks * _PLACE.size > limits.metadata:
            raise LimitError(f"{chunks} chunks of kept frames", file=source.name)
        self.mode, self._source = mode, source
        table = bytes(read(source, _HEAD.size, chunks * _PLACE.size, "the table of kept frames"))
        self._places = list(_PLACE.iter_unpack(table))
        self._lock = Lock()
        self._held: tuple[int, dict[int, tuple[int, bytes]]] = (-1, {})
        self._firsts = [first for *_, first in self._places]

    def _chunk(self, i: int) -> dict[int, tuple[int, bytes]]:
        """CRC and kept bytes by frame, of one chunk; the last one is remembered."""
        with self._lock:
            if self._held[0] != i:
                self._held = (i, self._decoded(i))
            return self._held[1]

    def _decoded(self, i: int) -> dict[int, tuple[int, bytes]]:
        at, stored, count, _ = self._places[i]
        coded = read(self._source, at, stored, "kept frames") if stored < _MOST else b""
        stream = zlib.decompressobj()
        try:
            plain = stream.decompress(bytes(coded), _MOST + 1)
        except zlib.error:
            plain = b""
        rows, done = {}, 0
        while done + _ROW.size <= len(plain):
            frame, crc, length = _ROW.unpack_from(plain, done)
            done += _ROW.size
            rows[frame] = crc, plain[done : done + length]
            done += length
        if done != len(plain) or len(rows) != count or len(plain) > _MOST:
            raise CorruptError("kept frames cannot be decoded", file=self._source.name, at=at)
        return rows

    def between(self, first: int, count: int) -> Iterator[tuple[int, int, bytes]]:
        """Number, CRC and kept bytes of the exceptions among `count` frames."""
        i = max(0, bisect_left(self._firsts, first + 1) - 1)
        while i < len(self._firsts) and self._firsts[i] < first + count:
            for at, (crc, kept) in self._chunk(i).items():
                if first <= at < first + count:
                    yield at, crc, kept
            i += 1


def restored(inner: Source, kept: Kept) -> Made:
    """`inner`, the 2048-byte sectors of a track, as the very frames that they came from.

    Raises UnsupportedError where it has another length; reading raises ChecksumError where a frame
    is not the one that was kept.
    """
    if inner.size != kept.frames * USER:
        raise UnsupportedError(
            f"{inner.size} bytes are not the {kept.frames} sectors whose frames were kept",
            file=inner.name,
        )
    at = _USER_AT[kept.mode]

    def frames(first: int, count: int, out: memoryview) -> None:
        user = whole(inner, first * USER, count * USER)
        make(user, out, 1 if kept.mode == 1 else 2, kept.lba + first, SUBHEADER)
        for place, crc, rest in kept.between(first, count):
            frame = out[(place - first) * RAW : (place - first + 1) * RAW]
            if len(rest) == RAW:
                frame[:] = rest
            elif len(rest) == RAW - USER:
                frame[:at], frame[at + USER :] = rest[:at], rest[at:]
            if zlib.crc32(frame) != crc:
                raise ChecksumError(
                    f"frame LBA {kept.lba + place} is not the one that was kept",
                    file=inner.name,
                    at=place * USER,
                    remedy="the ISO was changed since, or the kept frames belong to another one",
                )

    return Made(inner.name, RAW, kept.frames, frames)
