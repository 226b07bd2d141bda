"""What of a stretch of chunks cannot be read, for the checks of formats that read all they hold."""

from __future__ import annotations

from collections.abc import Iterator

from diskimage.errors import ContentError, MediumError
from diskimage.model import Finding, Source


def unread(
    image: Source, start: int, part: memoryview, chunk: int, what: str = "chunk"
) -> Iterator[Finding]:
    """Read the chunks of `image` from `start` into `part`; those that fail, by number and reason.

    All in one read; only where that fails each by itself. `part` holds what could be read.
    """
    try:
        image.read_into(start, part)
    except (ContentError, MediumError):
        for at in range(0, len(part), chunk):
            try:
                image.read_into(start + at, part[at : at + chunk])
            except (ContentError, MediumError) as error:
                text = f"{what} {(start + at) // chunk}: {error.message}"
                yield Finding(error.kind, text, error.at, "chunks")
