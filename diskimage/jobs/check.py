"""Whether an image is intact, in three verdicts: its structure, its chunks, the hash of the whole.

The file systems of the guest are looked at too, for themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Literal, NamedTuple, Unpack

from diskimage import filesystems
from diskimage.disc import verify
from diskimage.engine.cache import ChunkCache
from diskimage.engine.copy import Work
from diskimage.engine.guard import guarded
from diskimage.engine.policy import FramePolicy
from diskimage.engine.progress import Report, Watch
from diskimage.engine.read import Reader, source as device_source
from diskimage.engine.salvage import undecoded
from diskimage.errors import CancelledError, DiskImageError, PasswordError, RefusedReferenceError
from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, told, unasked, work
from diskimage.model import Finding, Held, Kind, Part, Source
from diskimage.sources.anything import What


class Judged(NamedTuple):
    """What became of one part of an image. `status`: `intact`; `damaged`; `unstored`, where there
    is nothing to hold it against; `unjudged`, where other damage was in the way. `text` says what
    it was held against, or how much is wrong."""

    part: Part
    status: Literal["intact", "damaged", "unstored", "unjudged"]
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """`ok` where nothing was found; at most `limits.problems` are listed, `more` are counted.

    `verdicts` are three, each for itself: structure, chunks, the hash of the whole; a fourth for
    the guest's file systems where something is wrong with them.
    """

    file: str
    format: str
    size: int
    verdicts: tuple[Judged, ...]
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
            "verdicts": [verdict._asdict() for verdict in self.verdicts],
            "problems": [
                {"kind": f.kind, "at": f.at, "message": f.message, "part": f.part}
                for f in self.problems
            ],
            "more": self.more, "warnings": told(self.warnings),
        }  # fmt: skip


def check(
    image: What | Image,
    *,
    progress: Report | None = None,
    cancel: Event | None = None,
    threads: int | None = None,
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
        asked = _Asked(found, work(progress, cancel, threads, found.policy))
        problems, more = _bounded(asked.problems(), found.limits.problems)
        said = tuple(dict.fromkeys(found.warnings))  # a format's check may say again what open did
        return Checked(found.name, found.format, found.size, asked.verdicts(), problems, more, said)


def _bounded(findings: Iterable[Finding], most: int) -> tuple[tuple[Finding, ...], int]:
    kept: dict[Finding, None] = {}
    more = 0
    for finding in findings:
        if len(kept) < most:
            kept[finding] = None
        elif finding not in kept:
            more += 1
    return tuple(kept), more


class _Asked:
    """One check under way: every problem that is found, and what each part was held against."""

    def __init__(self, image: Image, made: Work) -> None:
        self._image, self._work, self._watch = image, made, made.watch
        self._held: Held | None = Held()  # None: the format's own check did not come to its end
        self._coded = self._refused = False
        self._wrong: Counter[Part] = Counter()

    def problems(self) -> Iterator[Finding]:
        """All of them, each counted for the part that it was first found in."""
        said: set[tuple[str, str, int | None]] = set()
        for finding in self._found():
            if finding[:3] in said:
                continue
            if len(said) < self._image.limits.problems:
                said.add(finding[:3])
            self._wrong[finding.part] += 1
            yield finding

    def _found(self) -> Iterator[Finding]:
        image, watch = self._image, self._watch
        watch.begin("structure", image.size)
        yield from self._caught(self._structure())
        yield from self._caught(self._extents())
        if self._coded and (self._held is None or self._held.chunks is None):
            watch.begin("chunks", image.size)
            yield from self._caught(self._chunks())
        if image.disc is not None:
            watch.begin("frames", verify.weight(image.disc))
            frames = verify.problems(image.disc, lambda n: watch.passed(n, read=n))
            yield from (one._replace(part="chunks") for one in self._caught(frames))
        watch.begin("file system", image.size)
        yield from self._in_files(_files(image, watch))
        watch.passed(0)  # a reader of files may have taken the wish to stop for a fault

    def _caught(self, findings: Iterator[Finding]) -> Iterator[Finding]:
        """`findings`; the error that ends them is one more, unless it is the wish to stop, or a
        parent that was not opened."""
        try:
            yield from findings
        except CancelledError:
            raise
        except RefusedReferenceError:
            self._refused = True
            self._image.warn("reference", "what a parent holds was not checked: it was not opened")
        except DiskImageError as error:
            yield Finding(error.kind, str(error), error.at)

    def _in_files(self, findings: Iterator[Finding]) -> Iterator[Finding]:
        """What is wrong with file systems; where chunks or tables are, they may be unreadable."""
        try:
            yield from (one._replace(part="files") for one in findings)
        except CancelledError:
            raise
        except DiskImageError as error:
            if not (self._wrong["structure"] or self._wrong["chunks"]):
                yield Finding(error.kind, str(error), error.at, "files")
            else:
                self._image.warn("files", f"the file system was not judged: {error.message}")

    def _structure(self) -> Iterator[Finding]:
        """What the format itself finds; at its end it tells what it held the content against."""
        self._held = None
        findings = iter(self._image.problems())
        while True:
            try:
                yield next(findings)
            except StopIteration as end:
                self._held = end.value if isinstance(end.value, Held) else Held()
                return

    def _extents(self) -> Iterator[Finding]:
        """What the guard says of every extent, and the ranges that are known to be unreadable."""
        for runs in guarded(self._image.device):
            self._coded = self._coded or Kind.CODED in runs.kind
            for start, length, kind in zip(runs.start, runs.length, runs.kind, strict=True):
                if kind == Kind.BAD:
                    text = f"{length} bytes are marked unreadable"
                    yield Finding("io", text, start, "chunks")
            self._watch.passed(sum(runs.length))

    def _chunks(self) -> Iterator[Finding]:
        """Chunks that do not decode, of a format that does not look at them itself."""
        for lost in undecoded(guarded(self._image.device), self._work):
            text = f"guest byte {lost.start}: {lost.message}"
            yield Finding(lost.kind, text, lost.at, "chunks")

    def verdicts(self) -> tuple[Judged, ...]:
        """The three, and that of the files where there is something to say."""
        held = self._held or Held()
        chunks = held.chunks or ""
        if self._coded and not chunks:
            chunks = "all compressed ones decode"
        if self._image.disc is not None and not self._refused:
            chunks = ", ".join(filter(None, (chunks, "the frames of data tracks")))
        found = [
            self._judged("structure", "headers, tables and extents"),
            self._judged("chunks", chunks),
            self._judged("whole", held.whole),
        ]
        if self._wrong["files"]:
            found.append(self._judged("files", ""))
        return tuple(found)

    def _judged(self, part: Part, held: str | None) -> Judged:
        if wrong := self._wrong[part]:
            return Judged(part, "damaged", f"{wrong} problem{'s' if wrong > 1 else ''}")
        if part == "whole" and held and self._wrong["chunks"]:
            return Judged(part, "unjudged", "not all chunks could be read")
        if held is None:
            return Judged(part, "unjudged", "a parent was not opened")
        if part != "structure" and self._held is None:
            return Judged(part, "unjudged", "the structure is damaged")
        none = "no whole hash stored" if part == "whole" else "no checksums stored"
        return Judged(part, "intact" if held else "unstored", held or none)


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
