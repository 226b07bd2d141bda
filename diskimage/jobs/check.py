"""Whether an image is intact: its own structure, its frames, the file systems in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Unpack

from diskimage import filesystems
from diskimage.disc import verify
from diskimage.engine.cache import ChunkCache
from diskimage.engine.guard import guarded
from diskimage.engine.policy import FramePolicy
from diskimage.engine.progress import Report, Watch
from diskimage.engine.read import Reader, source as device_source
from diskimage.errors import CancelledError, DiskImageError, PasswordError, RefusedReferenceError
from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, told, unasked
from diskimage.model import Finding, Kind, Source
from diskimage.sources.anything import What


@dataclass(frozen=True, slots=True)
class Checked:
    """`ok` where nothing was found; at most `limits.problems` are listed, `more` are counted."""

    file: str
    format: str
    size: int
    problems: tuple[Finding, ...]
    more: int
    warnings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "ok": self.ok, "file": self.file, "format": self.format, "size": self.size,
            "problems": [{"kind": f.kind, "at": f.at, "message": f.message} for f in self.problems],
            "more": self.more, "warnings": told(self.warnings),
        }  # fmt: skip


def check(
    image: What | Image,
    *,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> Checked:
    """Look for problems in `image`; parents are not opened unless `references` says otherwise.

    Without a password what is encrypted is checked as far as it can be, and a warning says so.
    Raises what opening raises: an image that cannot be opened is not checked.
    """
    how.setdefault("references", "list")
    if how.get("password") is None:
        unasked(how)
    with opened(image, **how) as found:
        watch = Watch(progress, cancel)
        problems, more = _bounded(_problems(found, watch), found.limits.problems)
        said = tuple(dict.fromkeys(found.warnings))  # a format's check may say again what open did
        return Checked(found.name, found.format, found.size, problems, more, said)


def _bounded(findings: Iterable[Finding], most: int) -> tuple[tuple[Finding, ...], int]:
    kept: dict[Finding, None] = {}
    more = 0
    for finding in findings:
        if len(kept) < most:
            kept[finding] = None
        elif finding not in kept:
            more += 1
    return tuple(kept), more


def _problems(image: Image, watch: Watch) -> Iterator[Finding]:
    watch.begin("structure", image.size)
    yield from _caught(image.problems())
    yield from _caught(_extents(image, watch))
    if image.disc is not None:
        watch.begin("frames", verify.weight(image.disc))
        yield from _caught(verify.problems(image.disc, lambda n: watch.passed(n, read=n)))
    watch.begin("file system", image.size)
    yield from _caught(_files(image, watch))
    watch.passed(0)  # a reader of files may have taken the wish to stop for a fault of the volume


def _caught(findings: Iterator[Finding]) -> Iterator[Finding]:
    """`findings`; the error that ends them is one more, unless it is the caller's wish to stop."""
    try:
        yield from findings
    except CancelledError:
        raise
    except DiskImageError as error:
        yield Finding(error.kind, str(error), error.at)


def _extents(image: Image, watch: Watch) -> Iterator[Finding]:
    """What the guard says of every extent, and the ranges that are known to be unreadable."""
    for runs in guarded(image.device):
        for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
            if kind == Kind.BAD:
                yield Finding("io", f"{length} bytes are marked unreadable", start)
        watch.passed(sum(runs.length))


@dataclass(frozen=True, slots=True)
class _Watched:
    """A source whose every read is told, so that a walk through directories can be stopped."""

    source: Source
    watch: Watch
    name: str
    size: int
    fd: int | None = None

    def read_into(self, at: int, buffer: memoryview) -> int:
        self.watch.passed(0, read=len(buffer))
        return self.source.read_into(at, buffer)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        return self.source.spans(at, stop)

    def close(self) -> None:
        self.source.close()


def _files(image: Image, watch: Watch) -> Iterator[Finding]:
    lenient = FramePolicy(check=False, cut_form2=True)  # frames have had their say
    source = device_source(image.device, image.name, Reader(lenient, ChunkCache()))
    watched = _Watched(source, watch, source.name, source.size)
    try:
        yield from filesystems.problems(watched, image.limits)
    except RefusedReferenceError:
        image.warn("reference", "the file system was not checked: a parent was not opened")
    except PasswordError:
        image.warn("password", "the file system was not checked: no password was given")
