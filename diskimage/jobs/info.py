"""What an image is, without reading its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

from diskimage.disc.tracks import describe
from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, plain, told
from diskimage.model import Disc, Finding, Reference, Track
from diskimage.sources.anything import What


@dataclass(frozen=True, slots=True)
class Info:
    """An image described: sizes in bytes; `disc` None for a disk."""

    name: str
    format: str
    variant: str
    size: int
    sector_size: int
    info: Mapping[str, object]
    disc: Disc | None
    warnings: tuple[Finding, ...]
    references: tuple[Reference, ...]

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks of a disc; none of a disk."""
        return () if self.disc is None else self.disc.tracks

    def to_json(self) -> dict[str, object]:
        """One document."""
        document: dict[str, object] = {
            "file": self.name, "format": self.format, "variant": self.variant, "size": self.size,
            "sector_size": self.sector_size, "info": plain(self.info),
        }  # fmt: skip
        if self.disc is not None:
            document |= _disc(self.disc)
        document["references"] = [
            {"name": r.name, "role": r.role, "format": r.format, "opened": r.opened}
            for r in self.references
        ]
        document["warnings"] = told(self.warnings)
        return document


def _disc(disc: Disc) -> dict[str, object]:
    return {
        "medium": disc.medium,
        "catalog": disc.catalog,
        "text": plain(disc.text),
        "sessions": [
            {"number": s.number, "tracks": list(s.tracks), "leadout": s.leadout}
            for s in disc.sessions
        ],
        "tracks": [plain(describe(track)) for track in disc.tracks],
    }


def info(image: What | Image, **how: Unpack[Opening]) -> Info:
    """Describe `image`. Parents are listed, not opened, unless `references` says otherwise."""
    how.setdefault("references", "list")
    with opened(image, **how) as found:
        return Info(
            found.name, found.format, str(found.info.get("variant", "")), found.size,
            found.sector_size, dict(found.info), found.disc, found.warnings, found.references,
        )  # fmt: skip
