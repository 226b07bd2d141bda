"""What a format is, what it may ask for, and what it has to say."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from diskimage.limits import Limits
from diskimage.model.discs import Disc
from diskimage.model.extents import Device, Source
from diskimage.model.plans import Plan, Step

if TYPE_CHECKING:
    from diskimage.model.faults import Faults  # it holds findings

Part: TypeAlias = Literal["structure", "chunks", "whole", "files"]
"""What a problem is one of: headers and tables; chunks and frames, each by itself; the hash of the
whole; the file systems of the guest."""


class Finding(NamedTuple):
    """A warning or a problem: a stable `kind`, what, where (host byte, or LBA of a frame), and of
    which `part` of the image."""

    kind: str
    message: str
    at: int | None = None
    part: Part = "structure"

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Held(NamedTuple):
    """What a check held the content against, in words: the stored checksums of each chunk, and of
    the whole; "" where the image has none. `chunks` None: not looked at, decoding is the proof;
    `whole` None: not looked at, a parent was not opened."""

    chunks: str | None = None
    whole: str | None = ""


Checking: TypeAlias = Generator[Finding, None, Held]
"""Problems as they are found, and what was held, for a format that stores checksums."""


class Loss(NamedTuple):
    """Something the target cannot hold. `content` losses are refused unless named; others warn."""

    name: str  # what --lossy takes: audio, tracks, sessions, subchannel, form2, snapshots...
    message: str
    content: bool = True


class Reference(NamedTuple):
    """A second file that an image names. `role`: part, backing, data-file, parent."""

    name: str
    role: str
    format: str | None = None
    opened: bool = False


class Folder(Protocol):
    """The regular files of a folder of an image that is a directory; thread-safe."""

    @property
    def names(self) -> frozenset[str]: ...
    def size(self, name: str) -> int: ...
    def read_into(self, name: str, at: int, buffer: memoryview) -> int:
        """Fill `buffer` from byte `at` of a file; fewer bytes only at its end."""
        ...


class Gate(Protocol):
    """Permission to open a second file, and the place where a reader says what was odd."""

    @property
    def limits(self) -> Limits: ...
    @property
    def faults(self) -> Faults:
        """What of the file may be wrong and survived: `with gate.faults.surviving(): ...`."""
        ...

    def warn(self, kind: str, message: str, at: int | None = None) -> None: ...
    def part(self, name: str, *, instead: tuple[str, ...] = ()) -> Source:
        """The part `name` beside the image, bytes only; `instead` names to try, with a warning,
        where it is absent. Raises RefusedReferenceError, UnsafeNameError, MissingError."""
        ...

    def siblings(self) -> tuple[str, ...]:
        """Names of the regular files in the image's directory; empty where there is none."""
        ...

    def inside(self, name: str) -> Folder:
        """The folder `name` below the image's directory, for an image that is a directory.
        Raises RefusedReferenceError, MissingError."""
        ...

    def source(
        self, name: str, *, role: str, known: Callable[[Source], bool] | None = None
    ) -> Source | None:
        """A parent opened as bytes (an external data file); None under `references="list"`.

        Where `name` is no file's, `known` recognises the parent among the files of the image's
        suffix in the directory that the caller allows."""
        ...

    def parent(
        self, name: str, *, role: str, format: str | None,
        known: Callable[[Source], bool] | None = None,
    ) -> Device | None:  # fmt: skip
        """A parent opened as its `format` says; None under `references="list"`. `known`: as above.
        Raises RefusedReferenceError, LoopError, LimitError, MissingError."""
        ...

    @property
    def alone(self) -> bool:
        """Whether this image is looked at by itself: `references="list"`."""
        ...

    def inner(
        self, source: Source, *, format: str, beside: Mapping[str, Source] | None = None
    ) -> Device:
        """What `source`, a part of the image or a stretch of it, holds as a device of `format`,
        which the image says; never probed. It may name the files in `beside` and no others; where
        that is None, those that this image may. Raises UnsupportedError, LimitError."""
        ...

    def examined(
        self, source: Source, *, format: str, beside: Mapping[str, Source] | None = None
    ) -> Generator[Finding, None, Held | None]:
        """The problems that `format` finds with `source`, opened as `inner` opens it."""
        ...

    def content(self, source: Source, name: str, *, tail: bool = True) -> str | None:
        """The name of the format that the bytes of `source` are, in a file called `name`; "" where
        nobody knows them, None where they are a disk as it stands. Without `tail` its last bytes
        are not read."""
        ...

    def reading(self, device: Device, name: str) -> Source:
        """The guest bytes of `device` as a source: for what computes over decoded chunks."""
        ...

    def password(self) -> str | None: ...
    @property
    def locked(self) -> bool:
        """Whether what needs a password may open without one, as a device that is not read."""
        ...


class Bid(NamedTuple):
    """How sure a format is, 1 to 100, from bytes and name alone, and why."""

    score: int
    reason: str


class Look(NamedTuple):
    """What a probe may see: the file's first 100 KiB, its last 64 KiB, its size and name."""

    head: bytes
    tail: bytes
    size: int
    name: str

    @property
    def suffix(self) -> str:
        """The lower-case suffix with its dot, or ""."""
        stem, dot, end = self.name.rpartition(".")
        return f".{end.lower()}" if dot and stem else ""


Ability = Literal["read", "create", "write"]
Opener: TypeAlias = Callable[..., "Device | Disc"]
Creator: TypeAlias = Callable[..., Plan]


class Option(NamedTuple):
    """A keyword of `create` (or of `open`), its values and meaning, for `formats` and --option."""

    name: str
    values: str
    meaning: str


class Repair(NamedTuple):
    """What of an image can be mended, and the steps over its own file that do it."""

    mended: tuple[Finding, ...] = ()
    steps: Iterable[Step] = ()


class Format(NamedTuple):
    """The rules of one file type, as functions of values.

    `open(source, gate, **options)` gives a Device or a Disc. `losses(what, **options)` lists what a
    created image would not hold; `create(what, stem, **options)` is the plan that writes `what` (a
    Device or Disc) to an output whose main file has that stem. Optional are `check(source, gate)`,
    which is a `Checking` where the format stores checksums, and `full(size, **options)`, the bytes
    of an image with everything stored. Where `disc_only`, `create` and `losses` take a Disc: a
    device is framed first, as the option `frames` says (`disc.framing`). `in_order` promises one
    output whose bytes the plan writes one after the other, always or by what it says of the
    options: such a format goes to a pipe. `opens` are the options of `open`, `options` those of
    `create`. `keeps_frames`: a disc's frames are written as they are stored, right or wrong.
    `parented`: with an option `backing`, `create` takes as `parent` what the backing's Image says
    in `info`, and its `size`. `wraps`: the format of what is stored inside, which the registry
    hands to `create`, `losses` and `full` as `inner`. `holds_bad`: BAD ranges are stored as such;
    elsewhere they are refused, or zeros when salvaged. `unproven`: no public sample of a foreign
    program was found to read. `bitmap(source, gate, name)` gives (start, length) of the guest bytes
    that a dirty bitmap tells. `repair(source, gate)` tells what can be mended, from the file as it
    is. `binds`: an image names its parent's content, and is refused over one that was written to.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    can: frozenset[Ability]
    probe: Callable[[Look], Bid | None]
    open: Opener
    losses: Callable[..., list[Loss]] | None = None
    create: Creator | None = None
    check: Callable[[Source, Gate], Iterator[Finding]] | None = None
    full: Callable[..., int] | None = None
    options: tuple[Option, ...] = ()
    opens: tuple[Option, ...] = ()
    bitmap: Callable[[Source, Gate, str], Iterable[tuple[int, int]]] | None = None
    repair: Callable[[Source, Gate], Repair] | None = None
    binds: bool = False
    disc_only: bool = False
    in_order: bool | Callable[..., bool] = False
    keeps_frames: bool = False
    parented: bool = False
    holds_bad: bool = False
    wraps: str = ""
    unproven: bool = False
