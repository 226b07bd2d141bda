"""The bytes of one file in an image."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from threading import Event
from typing import BinaryIO, Unpack

from diskimage.engine.progress import Report, Watch
from diskimage.image import Image
from diskimage.jobs.ls import files_of
from diskimage.jobs.opening import Opening, told
from diskimage.model import Finding
from diskimage.sources.anything import What

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class CatReport:
    """Which file was written, and how much of it."""

    path: str
    bytes: int
    warnings: tuple[Finding, ...]

    def to_json(self) -> dict[str, object]:
        """A document of the report; the bytes themselves went to the output."""
        return {**asdict(self), "warnings": told(self.warnings)}


def cat(
    image: Image | What,
    path: str,
    out: BinaryIO,
    *,
    tree: str | None = None,
    progress: Report | None = None,
    cancel: Event | None = None,
    **how: Unpack[Opening],
) -> CatReport:
    """Write the file at `path` to `out`, links followed inside the image.

    Raises MissingError, UsageError for what is no file, TruncatedError, CancelledError.
    """
    with files_of(image, tree, **how) as (source, files):
        entry = files.stat(path)
        content = files.open(entry)
        watch = Watch(progress, cancel)
        watch.begin("cat", content.size)
        buffer = memoryview(bytearray(min(_CHUNK, content.size)))
        for at in range(0, content.size, _CHUNK):
            piece = buffer[: min(_CHUNK, content.size - at)]
            content.read_into(at, piece)
            out.write(piece)
            watch.passed(len(piece), read=len(piece))
        return CatReport(entry.path, content.size, source.warnings)
