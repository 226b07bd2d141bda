"""`Pack`: chunks cut, zeros dropped, the rest coded on the pool and appended in order."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from diskimage.engine.batch import ordered
from diskimage.engine.copy import Work, load
from diskimage.engine.digest import Feeder
from diskimage.engine.guard import checked
from diskimage.engine.windows import Window, windows
from diskimage.errors import UsageError
from diskimage.kernels import scan
from diskimage.model import Kind, Pack, Packed, Runs, Target

ZERO, ABSENT, PLAIN = -1, -2, -1


class _Table:
    """The answer under construction."""

    def __init__(self, step: Pack) -> None:
        self.step = step
        self.to, self.stored, self.codec = array("q"), array("q"), array("b")
        self.end = step.to

    def blank(self, chunks: int, code: int) -> None:
        self.to.extend(array("q", [code]) * chunks)
        self.stored.extend(array("q", bytes(8 * chunks)))
        self.codec.extend(array("b", b"\xff" * chunks))

    def place(self, length: int, codec: int) -> int | None:
        """Where the next chunk of `length` stored bytes goes; None where there is no room."""
        align = self.step.align if codec == PLAIN else self.step.align_coded
        to = -(-self.end // align) * align
        room = self.step.room
        if room is not None and to + length - self.step.to > room:
            return None
        self.to.append(to)
        self.stored.append(length)
        self.codec.append(codec)
        self.end = to + length
        return to

    def packed(self) -> Packed:
        return Packed(self.to, self.stored, self.codec, len(self.to), self.end)


def pack(step: Pack, target: Target, work: Work) -> Packed:
    """Run the step on `target`."""
    table = _Table(step)
    size = max(step.chunk, work.window // step.chunk * step.chunk)
    blocks = _checked(iter(step.extents))
    tasks = ((window, step, work) for window in windows(blocks, size, step.chunk))
    with Feeder(step.sums) as feeder:
        for window, buffer, made in ordered(_code, tasks, work.threads):
            before = table.end
            full = not _append(window, buffer, made, table, target)
            for view in _digest(window, buffer, feeder, step):
                work.buffers.give(view)
            work.watch.passed(window.length, written=table.end - before)
            if full:
                break
        feeder.finish()
    return table.packed()


def _checked(blocks: Iterator[Runs]) -> Iterator[Runs]:
    first = next(blocks, None)
    if first is None:
        return

    def again() -> Iterator[Runs]:
        yield first
        yield from blocks

    yield from checked(again(), first.start[0])


_Made = list[tuple[int, memoryview | bytes | None]]


def _code(window: Window, step: Pack, work: Work) -> tuple[Window, memoryview | None, _Made]:
    """The window's bytes, and for each chunk (codec, stored bytes), None for zeros."""
    kinds = {kind for runs in window.parts for kind in runs.kind}
    if not kinds or kinds == {Kind.ABSENT}:
        return window, None, [(ABSENT if kinds else ZERO, None)]
    if Kind.ABSENT in kinds:
        return window, None, _mixed(window, step, work)
    buffer = load(window, work)
    return window, buffer, [_coded(piece, step) for piece in _chunks(buffer, step.chunk)]


def _chunks(buffer: memoryview, chunk: int) -> Iterator[tuple[memoryview, bool]]:
    for row, zero in enumerate(scan.zero_blocks(buffer, chunk)):
        yield buffer[row * chunk : (row + 1) * chunk], bool(zero)


def _coded(piece: tuple[memoryview, bool], step: Pack) -> tuple[int, memoryview | bytes | None]:
    plain, zero = piece
    if zero:
        return ZERO, None
    best: tuple[int, memoryview | bytes] = (PLAIN, plain)
    if len(plain) < step.chunk:  # the last chunk of the guest: padded, so that it decodes whole
        best = (PLAIN, bytes(plain) + bytes(step.chunk - len(plain)))
    whole = memoryview(best[1])
    for index, codec in enumerate(step.codecs):
        made = codec.encode(whole)
        if made is not None and len(made) < len(best[1]):
            best = (index, made)
    return best


def _mixed(window: Window, step: Pack, work: Work) -> _Made:
    """Chunks of a window in which some are absent: each must be one or the other."""
    made: _Made = []
    for piece in windows(window.parts, step.chunk, step.chunk):
        kinds = {kind for runs in piece.parts for kind in runs.kind}
        if Kind.ABSENT not in kinds:
            buffer = load(piece, work) if piece.parts else memoryview(bytes(piece.length))
            made += [_keep(_coded(part, step)) for part in _chunks(buffer, step.chunk)]
            if piece.parts:
                work.buffers.give(buffer)
        elif kinds == {Kind.ABSENT}:
            made += [(ABSENT, None)] * -(-piece.length // step.chunk)
        else:
            raise UsageError(
                f"bytes {piece.start} to {piece.stop} are only in part in this layer",
                remedy="write clusters no larger than the source's, or flatten the chain",
            )
    return made


def _keep(made: tuple[int, memoryview | bytes | None]) -> tuple[int, memoryview | bytes | None]:
    """`made` in memory of its own: the buffer behind it goes back to the pool."""
    codec, data = made
    return codec, bytes(data) if isinstance(data, memoryview) else data


def _append(
    window: Window, buffer: memoryview | None, made: _Made, table: _Table, target: Target
) -> bool:
    """Place and write a window's chunks, neighbours in one write; False once there is no room."""
    chunk = table.step.chunk
    if buffer is None and len(made) == 1 and made[0][1] is None:
        table.blank(-(-window.length // chunk), made[0][0])
        return True
    pending: list[memoryview | bytes] = []
    start = end = table.end
    for codec, data in made:
        if data is None:
            table.blank(1, codec)
            continue
        to = table.place(len(data), codec)
        if to is None:
            _flush(pending, start, target)
            return False
        if to != end:
            _flush(pending, start, target)
            pending, start = [], to
        pending.append(data)
        end = to + len(data)
    _flush(pending, start, target)
    return True


def _flush(pending: list[memoryview | bytes], to: int, target: Target) -> None:
    if len(pending) == 1:
        target.write(to, memoryview(pending[0]))
    elif pending:
        target.write(to, memoryview(b"".join(pending)))


def _digest(
    window: Window, buffer: memoryview | None, feeder: Feeder, step: Pack
) -> list[memoryview]:
    if not step.sums:
        return [buffer] if buffer is not None else []
    return feeder.zeros(window.length) if buffer is None else feeder.feed(buffer)
