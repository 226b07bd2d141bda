"""The plain bytes of a compressed file, at random: decoded from the places where one can begin.

A file of compressed streams has *entries*, places from which a decoder can start: members, blocks,
frames, or points inside of them for which what came before was kept. What lies between two entries
is a stretch. Small stretches are decoded whole and a few of them kept; in large ones a decoder is
left where it stands, and goes on from there.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from array import array
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from diskimage.errors import CorruptError, DiskImageError, from_os
from diskimage.limits import MIB

WHOLE = 32 * MIB  # stretches up to here are decoded whole: a block of xz has 24 MiB
KEPT = 32 * MIB  # of whole stretches, or two of them
BEHIND = 32 * MIB  # kept behind a decoder that goes on: threads ask out of order
STEP = 8 * MIB  # read at once, less than is kept behind
PARKED = 2  # decoders that are left in stretches without a file of their own
AHEAD = 4 * MIB  # stretches from here on are decoded before they are asked for, in a pass

Decode = Callable[[int], "Iterator[memoryview | bytes | bytearray]"]
"""The plain bytes of a stretch by its number, piece by piece; a piece holds until the next. Ends
after the last, or raises ContentError; safe in many threads."""


class Unpacked:
    """`size` plain bytes in stretches that begin at `starts`, ascending from 0.

    Every byte of a large stretch is decoded at most twice: once a read goes back behind its
    decoder, what is decoded is kept in a temporary file without a name.
    """

    fd: int | None = None

    def __init__(self, name: str, starts: array[int], size: int, decode: Decode) -> None:
        self.name, self.size = name, size
        self._starts, self._decode = starts, decode
        self._whole: OrderedDict[int, bytearray] = OrderedDict()
        self._used, self._last = 0, -2  # the first stretch is looked at by who only opens
        self._under_way: dict[int, Lock] = {}
        self._running: OrderedDict[int, _Running] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None
        self._spool = _Spool(name, size)
        self._lock = Lock()

    def stretch(self, number: int) -> tuple[int, int]:
        """The first byte of a stretch, and the one after its last."""
        starts = self._starts
        return starts[number], starts[number + 1] if number + 1 < len(starts) else self.size

    @property
    def tail_is_near(self) -> bool:
        """Whether the last bytes can be read without decoding much before them."""
        start, stop = self.stretch(len(self._starts) - 1) if self.size else (0, 0)
        return stop - start <= WHOLE

    def read_into(self, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from `at`; fewer bytes only at the end. Raises ContentError, IoError."""
        first, stop = at, min(at + len(buffer), self.size)
        while at < stop:
            number = bisect_right(self._starts, at) - 1
            start, end = self.stretch(number)
            part = buffer[at - first : min(end, stop) - first]
            if end - start <= WHOLE:
                skip = at - start
                part[:] = memoryview(self._kept(number))[skip : skip + len(part)]
                self._look_ahead(number)
            else:
                self._runner(number).read(at - start, part)
            at += len(part)
        return max(0, stop - first)

    def verify(self) -> Iterator[tuple[int, DiskImageError]]:
        """Decode all of it, keeping nothing; the stretches that do not decode, and why."""
        for number in range(len(self._starts)):
            start, stop = self.stretch(number)
            try:
                done = sum(len(piece) for piece in self._decode(number))
                if done != stop - start:
                    raise self._wrong(number, done)
            except DiskImageError as error:
                yield number, error

    def _kept(self, number: int) -> bytearray:
        """A stretch whole, decoded by whoever comes first."""
        with self._lock:
            turn = self._under_way.setdefault(number, Lock())
        with turn:
            with self._lock:
                kept = self._whole.get(number)
                if kept is not None:
                    self._whole.move_to_end(number)
                    self._under_way.pop(number, None)
                    return kept
            made = self._decoded(number)
            with self._lock:
                self._used += len(made) - len(self._whole.get(number, b""))
                self._whole[number] = made
                self._under_way.pop(number, None)
                while self._used > KEPT and len(self._whole) > 2:
                    self._used -= len(self._whole.popitem(last=False)[1])
        return made

    def _decoded(self, number: int) -> bytearray:
        start, stop = self.stretch(number)
        made, done = bytearray(stop - start), 0
        for piece in self._decode(number):
            if len(piece) > len(made) - done:
                raise self._wrong(number, done + len(piece))
            made[done : done + len(piece)] = piece
            done += len(piece)
        if done != len(made):
            raise self._wrong(number, done)
        return made

    def _wrong(self, number: int, done: int) -> DiskImageError:
        start, stop = self.stretch(number)
        return CorruptError(
            f"plain bytes {start} to {stop} are {done} and not {stop - start}", file=self.name
        )

    def _look_ahead(self, number: int) -> None:
        """In a pass, have the next stretch decoded by another thread, where it is worth one."""
        with self._lock:
            passing, self._last = number == self._last + 1, number
            later = number + 1
            if not passing or later >= len(self._starts) or later in self._whole:
                return
            start, stop = self.stretch(later)
            if later in self._under_way or not AHEAD <= stop - start <= WHOLE:
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="diskimage-ahead")
            self._pool.submit(self._kept, later)  # its error comes again where it is asked for

    def _runner(self, number: int) -> _Running:
        with self._lock:
            running = self._running.get(number)
            if running is None:
                running = _Running(self.stretch(number), number, self._decode, self._spool)
                self._running[number] = running
                idle = [n for n, one in self._running.items() if not one.spooling]
                for gone in idle[:-PARKED]:
                    del self._running[gone]
            elif not running.spooling:
                self._running.move_to_end(number)
        return running

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """What is decoded is there."""
        if at < stop:
            yield at, stop, True

    def close(self) -> None:
        """Decode no more; what it is decoded from stays its owner's."""
        with self._lock:
            pool, self._pool = self._pool, None
            self._whole.clear()
            self._running.clear()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def __repr__(self) -> str:
        return f"Unpacked({self.name!r}, {self.size} bytes in {len(self._starts)} stretches)"


class _Spool:
    """A temporary file without a name, each plain byte at its place; made once it is needed."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self._size, self._fd = name, size, -1

    def write(self, at: int, piece: bytes) -> None:
        """Keep `piece`. Raises NoSpaceError, IoError."""
        try:
            if self._fd < 0:
                file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - lives as this does
                weakref.finalize(self, file.close)
                self._fd = file.fileno()
                os.ftruncate(self._fd, self._size)
            left = b"" if piece.count(0) == len(piece) else piece  # zeros stay a hole
            while left:
                done = os.pwrite(self._fd, left, at)
                left, at = left[done:], at + done
        except OSError as error:
            raise from_os(error, f"{self.name} (unpacked, in {tempfile.gettempdir()})") from error

    def read_into(self, at: int, buffer: memoryview) -> None:
        """Fill `buffer` with what was kept."""
        done = 0
        while done < len(buffer):
            try:
                got = os.preadv(self._fd, [buffer[done:]], at + done)
            except OSError as error:
                raise from_os(error, self.name) from error
            if not got:
                raise CorruptError("its temporary file became shorter", file=self.name)
            done += got


class _Running:
    """A large stretch, decoded as far as it was asked for, and what was decoded last."""

    def __init__(
        self, stretch: tuple[int, int], number: int, decode: Decode, spool: _Spool
    ) -> None:
        self._start, self._length = stretch[0], stretch[1] - stretch[0]
        self._number, self._decode, self._spool = number, decode, spool
        self._pieces = decode(number)
        self._behind: deque[tuple[int, bytes]] = deque()
        self._at, self._low = 0, 0  # decoded so far; the first byte that is still kept
        self._lock = Lock()
        self._error: DiskImageError | None = None
        self.spooling = False

    def read(self, skip: int, out: memoryview) -> None:
        """Fill `out` from byte `skip` of the stretch."""
        with self._lock:
            for done in range(0, len(out), STEP):
                self._step(skip + done, out[done : done + STEP])

    def _step(self, skip: int, out: memoryview) -> None:
        if skip < self._low and not self.spooling:
            self._begin_again()
        while self._at < skip + len(out):
            self._go_on()
        if self.spooling:
            self._spool.read_into(self._start + skip, out)
            return
        for at, piece in self._behind:
            low, high = max(at, skip), min(at + len(piece), skip + len(out))
            if low < high:
                out[low - skip : high - skip] = piece[low - at : high - at]

    def _begin_again(self) -> None:
        self.spooling = True
        self._pieces, self._at = self._decode(self._number), 0
        self._behind.clear()

    def _piece(self) -> bytes:
        """What comes next, of the length that was told in all; the first error stays."""
        if self._error is not None:
            raise self._error.with_traceback(None)  # else it grows each time
        try:
            piece = next(self._pieces, b"")
            left = self._length - self._at - len(piece)
            piece = bytes(piece)
            if left < 0 or not piece or (not left and next(self._pieces, b"")):
                than = "fewer" if left > 0 else "more"
                raise CorruptError(f"{than} plain bytes than {self._length}", file=self._spool.name)
        except DiskImageError as error:
            self._error = error
            raise
        return piece

    def _go_on(self) -> None:
        piece = self._piece()
        if self.spooling:
            self._spool.write(self._start + self._at, piece)
        else:
            self._behind.append((self._at, piece))
        self._at += len(piece)
        while not self.spooling and self._at - self._behind[0][0] > BEHIND:
            gone, old = self._behind.popleft()
            self._low = gone + len(old)
