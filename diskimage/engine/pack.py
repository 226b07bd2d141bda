"""`Pack`: chunks cut, zeros dropped, the rest coded on the pool and appended in order."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterator
from itertools import chain, groupby
from typing import NamedTuple

from diskimage.engine.copy import Work, by_kernel, load
from diskimage.engine.digest import Feeder
from diskimage.engine.guard import checked
from diskimage.engine.heads import zero_chunks
from diskimage.engine.read import absent
from diskimage.engine.windows import Window, windows
from diskimage.errors import DiskImageError, UsageError
from diskimage.kernels import scan
from diskimage.model import Kind, Pack, Packed, Runs, Target
from diskimage.pool import ordered
from diskimage.runs import clip
from diskimage.words import rounded

ZERO, ABSENT, PLAIN, EQUAL = -1, -2, -1, -2
REMEMBERED = 1 << 17  # chunks that later ones may equal: 24 MiB of memory


class Made(NamedTuple):
    """Neighbouring chunks of one fate: without `stored`, `code` is ZERO or ABSENT; else `stored` is
    a part of the window's buffer, bytes, or a row that the kernel copies, and `code` the codec or
    PLAIN."""

    code: int
    stored: slice | bytes | Runs | None = None
    chunks: int = 1
    sum: int = 0
    key: bytes = b""  # tells equal chunks; a chunk that is known to have one has no `stored`


class _Table:
    """The answer under construction."""

    def __init__(self, step: Pack) -> None:
        self.step = step
        self.to, self.stored, self.codec = array("q"), array("q"), array("b")
        self.sum = array("I")
        self.known: dict[bytes, int] = {}  # keys of chunks that later ones may equal
        self.end = step.to
        self.written = 0  # bytes of all chunks
        self._gap = (step.to, step.to)  # the widest stretch left before a plain chunk

    def blank(self, chunks: int, code: int) -> None:
        """Chunks that are stored nowhere."""
        self._rows(array("q", [code]) * chunks, 0, Made(PLAIN))

    def equal(self, made: Made) -> bool:
        """Whether a chunk equals an earlier one, as which it is then noted."""
        first = self.known.get(made.key) if made.key else None
        if first is not None:
            self._rows(array("q", [first]), 0, Made(EQUAL))
        elif made.key and len(self.known) < REMEMBERED:
            self.known[made.key] = len(self.to)
        return first is not None

    def place(self, length: int, made: Made) -> tuple[int, int]:
        """Where chunks of `length` stored bytes each go, one behind the other, and how many fit."""
        plain = made.code == PLAIN
        align = self.step.align if plain else self.step.align_coded
        if not plain and (to := self._in_gap(length, align)) is not None:
            self._note(to, 1, length, made)
            return to, 1
        to, fit = rounded(self.end + len(self.step.lead), align), made.chunks
        if self.step.room is not None:
            fit = max(0, min(fit, (self.step.room - (to - self.step.to)) // length))
        if fit:
            self._note(to, fit, length, made)
            if to - self.end > self._gap[1] - self._gap[0]:
                self._gap = (self.end, to)
            self.end = to + fit * length
        return to, fit

    def _in_gap(self, length: int, align: int) -> int | None:
        """A place in the gap for a coded chunk, where it fits."""
        to = rounded(self._gap[0], align)
        if to + length > self._gap[1]:
            return None
        self._gap = (to + length, self._gap[1])
        return to

    def _note(self, to: int, chunks: int, length: int, made: Made) -> None:
        self.written += chunks * length
        self._rows(array("q", range(to, to + chunks * length, length)), length, made)

    def _rows(self, to: array[int], length: int, made: Made) -> None:
        chunks = len(to)
        self.to.extend(to)
        self.stored.extend(array("q", [length]) * chunks)
        self.codec.extend(array("b", [made.code]) * chunks)
        if self.step.chunk_sum is not None:
            self.sum.extend(array("I", [made.sum]) * chunks)

    def packed(self) -> Packed:
        """The columns as they stand."""
        return Packed(self.to, self.stored, self.codec, len(self.to), self.end, self.sum)


def pack(step: Pack, target: Target, work: Work) -> Packed:
    """Run the step on `target`."""
    table = _Table(step)
    size = max(step.chunk, work.window // step.chunk * step.chunk)
    blocks = _checked(iter(step.extents))
    direct = _passes_by(step, target, work)
    known = table.known
    tasks = ((window, step, work, direct, known) for window in windows(blocks, size, step.chunk))
    start: int | None = None  # the guest byte of the first chunk
    with Feeder(step.sums) as feeder:
        for window, buffer, made in ordered(_code, tasks, work.threads):
            before, start = table.written, window.start if start is None else start
            room = _append(made, buffer, table, target, work)
            done = min(window.stop, start + len(table.to) * step.chunk) - window.start
            for view in _digest(done, buffer, feeder, step):
                work.buffers.give(view)
            work.watch.passed(done, written=table.written - before)
            if not room:
                break
        feeder.finish()
    return table.packed()


def _passes_by(step: Pack, target: Target, work: Work) -> bool:
    """Whether plain chunks need not pass through memory: nobody changes or digests them."""
    changed = (
        step.codecs, step.sums, step.stored_sums, step.seal, step.keep_zeros, step.dedupe,
        step.chunk_sum, work.in_order,
    )  # fmt: skip
    return not any(changed) and target.fd is not None and step.chunk % step.align == 0


def _checked(blocks: Iterator[Runs]) -> Iterator[Runs]:
    first = next(blocks, None)
    return iter(()) if first is None else checked(chain((first,), blocks), first.start[0])


def _code(
    window: Window, step: Pack, work: Work, direct: bool, known: Container[bytes]
) -> tuple[Window, memoryview | None, list[Made]]:
    """The window's bytes, where it has any, and what becomes of its chunks."""
    kinds = {kind for runs in window.parts for kind in runs.kind}
    chunks = -(-window.length // step.chunk)
    if Kind.ABSENT in kinds and not step.absent:
        raise _absent(window)
    if not kinds or kinds == {Kind.ABSENT}:
        if step.dedupe and not kinds:
            zeros = memoryview(bytes(step.chunk))
            one = _coded(zeros, 0, step, known)
            stored = bytes(zeros) if isinstance(one.stored, slice) else one.stored
            return window, None, [one._replace(stored=stored)] * chunks
        return window, None, [Made(ABSENT if kinds else ZERO, chunks=chunks)]
    if Kind.ABSENT in kinds:
        return window, None, _mixed(window, step, work, known)
    if direct and (zero := zero_chunks(window, step.chunk, work)) is not None:
        return window, None, _rows(window, zero, step.chunk)
    buffer = load(window, work)
    return window, buffer, _chunks(buffer, window.start, step, known)


def _absent(window: Window) -> DiskImageError:
    """The error for what is to be stored whole and is not in this layer."""
    runs = next(runs for runs in window.parts if Kind.ABSENT in runs.kind)
    return absent(runs, runs.kind.index(Kind.ABSENT))


def _rows(window: Window, zero: bytearray, chunk: int) -> list[Made]:
    """The chunks of a window that is one plain row, each run of them as one."""
    made, start = [], window.start
    for blank, group in groupby(zero):
        chunks = sum(1 for _ in group)
        stop = start + chunks * chunk
        row = None if blank else clip(window.parts[0], start, stop)
        made.append(Made(ZERO if blank else PLAIN, row, chunks))
        start = stop
    return made


def _chunks(buffer: memoryview, start: int, step: Pack, known: Container[bytes]) -> list[Made]:
    """The chunks of a buffer; zeros, and plain ones that may lie close together, as one each."""
    chunk, made, row = step.chunk, [], 0
    whole = len(buffer) // chunk
    each = step.codecs or step.seal or step.dedupe or step.chunk_sum
    close = not each and chunk % step.align == 0
    kept = step.keep_zeros or step.dedupe
    blank = bytes(-(-len(buffer) // chunk)) if kept else scan.zero_blocks(buffer, chunk)
    for zero, group in groupby(blank):
        stop = row + sum(1 for _ in group)
        if zero:
            made.append(Made(ZERO, chunks=stop - row))
            row = stop
        elif close and row < whole:
            full = min(stop, whole)
            made.append(Made(PLAIN, slice(row * chunk, full * chunk), full - row))
            row = full
        while row < stop:
            one = _coded(buffer, row * chunk, step, known)
            made.append(_sealed(one, buffer, start + row * chunk, step))
            row += 1
    return made


def _sealed(one: Made, buffer: memoryview, start: int, step: Pack) -> Made:
    """A stored chunk that begins with guest byte `start`, enciphered where the step says so."""
    if step.seal is None or one.stored is None:
        return one
    return one._replace(stored=step.seal(start, _view(one.stored, buffer)))


def _coded(buffer: memoryview, at: int, step: Pack, known: Container[bytes]) -> Made:
    """The chunk at `at` of the buffer by its smallest codec, else plain."""
    plain = buffer[at : at + step.chunk]
    best = Made(PLAIN, slice(at, at + step.chunk))
    if len(plain) < step.chunk:  # the last chunk of the guest: padded, so that it decodes whole
        padded = bytes(plain) + bytes(step.chunk - len(plain))
        plain, best = memoryview(padded), Made(PLAIN, padded)
    key = _key(plain) if step.dedupe else b""
    if key and key in known:
        return Made(EQUAL, key=key)
    least = step.chunk
    for index, codec in enumerate(step.codecs):
        stored = codec.encode(plain)
        if stored is not None and len(stored) < least:
            least, best = len(stored), Made(index, stored)
    total = 0 if step.chunk_sum is None else step.chunk_sum(plain)
    return best._replace(sum=total, key=key)


def _key(plain: memoryview) -> bytes:
    """Bytes that only equal chunks have in common."""
    from hashlib import blake2b  # who writes no table of equal chunks does without

    return blake2b(plain, digest_size=16).digest()


def _mixed(window: Window, step: Pack, work: Work, known: Container[bytes]) -> list[Made]:
    """Chunks of a window in which some are absent: each must be one or the other."""
    made: list[Made] = []
    for piece in windows(window.parts, step.chunk, step.chunk):
        kinds = {kind for runs in piece.parts for kind in runs.kind}
        if kinds and kinds != {Kind.ABSENT} and Kind.ABSENT in kinds:
            raise UsageError(
                f"bytes {piece.start} to {piece.stop} are only in part in this layer",
                remedy="write clusters no larger than the source's, or flatten the chain",
            )
        _, buffer, coded = _code(piece, step, work, False, known)
        if buffer is None:
            made += coded
            continue
        for one in coded:  # in memory of its own: the buffer goes back
            own = bytes(buffer[one.stored]) if isinstance(one.stored, slice) else one.stored
            made.append(one._replace(stored=own))
        work.buffers.give(buffer)
    return made


def _append(
    made: list[Made], buffer: memoryview | None, table: _Table, target: Target, work: Work
) -> bool:
    """Place and write chunks, neighbours in one write; False once there is no room."""
    pending: list[memoryview | bytes] = []
    start = end = table.end
    room = True
    for one in _apart(made, table.step):
        if table.equal(one):
            continue
        if one.stored is None:
            table.blank(one.chunks, one.code)
            continue
        if isinstance(one.stored, Runs):
            room = _pass_by(one.stored, one, table, target, work)
            if not room:
                break
            continue
        stored = _view(one.stored, buffer)
        length = len(stored) // one.chunks
        to, fit = table.place(length, one)
        if to != end:
            _flush(pending, start, target)
            pending, start = [], to
        _write_lead(to, fit, table.step, target)
        pending.append(stored[: fit * length])
        for stored_sum in table.step.stored_sums:
            stored_sum.update(pending[-1])
        end = to + fit * length
        room = fit == one.chunks
        if not room:
            break
    _flush(pending, start, target)
    return room


def _apart(made: list[Made], step: Pack) -> Iterator[Made]:
    """`made`, stored chunks one by one where something lies between them."""
    for one in made:
        if not step.lead or one.chunks == 1 or one.stored is None:
            yield one
            continue
        for at in range(0, one.chunks * step.chunk, step.chunk):
            if isinstance(one.stored, Runs):
                start = one.stored.start[0] + at
                yield one._replace(stored=clip(one.stored, start, start + step.chunk), chunks=1)
            else:
                assert isinstance(one.stored, slice)
                start = one.stored.start + at
                yield one._replace(stored=slice(start, start + step.chunk), chunks=1)


def _write_lead(to: int, fit: int, step: Pack, target: Target) -> None:
    """What lies before a chunk that is stored at `to`."""
    if step.lead and fit:
        target.write(to - len(step.lead), memoryview(step.lead))


def _pass_by(runs: Runs, one: Made, table: _Table, target: Target, work: Work) -> bool:
    """Place chunks that are a row of a source and have the kernel copy them; False as `_append`."""
    to, fit = table.place(table.step.chunk, one)
    if fit:
        _write_lead(to, fit, table.step, target)
        start = runs.start[0]
        row = clip(runs, start, start + fit * table.step.chunk)
        done = by_kernel(row, start - to, target, work)
        assert done, "a plain row of a descriptor"
    return fit == one.chunks


def _view(stored: slice | bytes | Runs, buffer: memoryview | None) -> memoryview | bytes:
    if isinstance(stored, bytes):
        return stored
    assert buffer is not None
    assert isinstance(stored, slice)
    return buffer[stored]


def _flush(pending: list[memoryview | bytes], to: int, target: Target) -> None:
    if len(pending) == 1:
        target.write(to, memoryview(pending[0]))
    elif pending:
        target.write(to, memoryview(b"".join(pending)))


def _digest(length: int, buffer: memoryview | None, feeder: Feeder, step: Pack) -> list[memoryview]:
    """Feed the sums the first `length` bytes of a window; the buffers that are free again."""
    if not step.sums:
        return [buffer] if buffer is not None else []
    return feeder.zeros(length) if buffer is None else feeder.feed(buffer[:length])
