"""What is to be done: steps, plans, and the sinks they land in."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from diskimage.model.extents import Device, Encoder, Runs


class Copy(NamedTuple):
    """Write the guest bytes of `extents` so that the first lands at `to`; zeros become holes."""

    extents: Iterable[Runs]
    to: int
    file: str = ""
    sums: tuple[Any, ...] = ()  # hash objects updated with every guest byte, in order


class Pack(NamedTuple):
    """Cut the concatenation of `extents` into chunks, drop the zero ones, append the rest at `to`.

    Each kept chunk is stored as the smallest codec's result, or plain where none is smaller; plain
    ones are aligned to `align`, coded ones to `align_coded`, and these also fill what was left
    before a plain one. Stops before more than `room` bytes are used. The last chunk is padded with
    zeros to `chunk`. The step's result is a `Packed`.
    """

    extents: Iterable[Runs]
    chunk: int
    codecs: tuple[Encoder, ...]
    to: int
    align: int = 1
    align_coded: int = 1
    room: int | None = None
    sums: tuple[Any, ...] = ()  # updated with the guest bytes of every chunk that is done, in order
    file: str = ""
    stored_sums: tuple[Any, ...] = ()  # updated with every chunk as it is stored, in order
    seal: Callable[[int, bytes | memoryview], bytes] | None = None
    # what is stored for a chunk (enciphered, behind a marker), by its first guest byte; thread-safe
    keep_zeros: bool = False  # chunks of zeros are stored as others are; `extents` has no ZERO row

    dedupe: bool = False  # a chunk equal to an earlier one, zeros too, is not stored again
    chunk_sum: Callable[[memoryview], int] | None = None  # of a whole chunk's plain bytes: 32 bits
    absent: bool = False  # chunks of which this layer holds nothing are answered, not refused
    lead: bytes = b""  # written right before each stored chunk, itself unaligned; without codecs


class Packed(NamedTuple):
    """What became of each chunk: columns `to` (-1: zero, -2: absent), `stored` and `codec`
    (index into the step's codecs, -1: plain, -2: equal to chunk `to`, counted from the step's first
    one), `done` chunks, the next free host byte `end`, and the column `sum` (of chunks that are
    stored; empty where the step asks for none)."""

    to: array[int]
    stored: array[int]
    codec: array[int]
    done: int
    end: int
    sum: array[int] = array("I")


class Put(NamedTuple):
    """Write metadata."""

    to: int
    data: bytes | bytearray | memoryview
    file: str = ""


class Size(NamedTuple):
    """Set an output's size; new bytes read as zeros."""

    size: int
    file: str = ""


class Barrier(NamedTuple):
    """What was written before is durable before what comes after."""


Step: TypeAlias = Copy | Pack | Put | Size | Barrier
Plan: TypeAlias = Generator[Step, Any, None]


@runtime_checkable
class Writable(Device, Protocol):
    """A device whose guest bytes can be changed in place, by plans over its own file.

    Offsets and lengths are guest bytes inside the device. Its extents hold until the next plan.
    """

    def plan_write(self, start: int, data: memoryview) -> Plan:
        """Write `data` at `start`."""
        ...

    def plan_zero(self, start: int, length: int) -> Plan:
        """Make [start, start + length) read as zeros, without space where it can be."""
        ...

    def plan_flush(self) -> Plan:
        """Write out what is held back, and make all of it durable."""
        ...


@runtime_checkable
class Resizable(Writable, Protocol):
    """A writable device whose guest can become larger or smaller."""

    def plan_resize(self, size: int) -> Plan:
        """Make the guest `size` bytes: what it gains reads as zeros, what it loses is gone. A crash
        leaves the one size or the other. What is read changes with the next opening of the file."""
        ...


@runtime_checkable
class Layered(Writable, Protocol):
    """A writable device that may lie over a backing; ABSENT in `layer`, the backing answers."""

    @property
    def layer(self) -> Device: ...
    def plan_forget(self, start: int, length: int) -> Plan:
        """Let the backing answer for the whole blocks of a range."""
        ...

    def plan_backing(self, name: str | None, format: str | None) -> Plan:
        """Name another backing, or none. What is read changes with the next opening of the file."""
        ...


class Target(Protocol):
    """One output of a sink. `fresh`: unwritten bytes read as zeros."""

    @property
    def name(self) -> str: ...
    @property
    def fd(self) -> int | None: ...
    @property
    def fresh(self) -> bool: ...
    def write(self, to: int, data: memoryview) -> None:
        """Write all of `data` at `to`. Raises IoError, NoSpaceError. Thread-safe."""
        ...

    def zero(self, to: int, length: int) -> None:
        """Make [to, to + length) read as zeros, without space where the medium can."""
        ...

    def resize(self, size: int) -> None: ...
    def sync(self) -> None: ...


class Sink(Protocol):
    """Where a plan lands: the main output "" and others beside it; published whole or not."""

    def target(self, file: str = "") -> Target: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...
