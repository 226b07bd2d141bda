"""What an image is, without reading its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

from diskimage.disc import cdtext
from diskimage.disc.picture import svg
from diskimage.disc.tracks import describe
from diskimage.errors import UsageError
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

    def svg(self) -> str:
        """The tracks, gaps and sessions of a disc on one ruler. UsageError for a disk."""
        if self.disc is None:
            raise UsageError("a disk has no tracks to draw", file=self.name, remedy="see its map")
        return svg(self.disc, f"{self.name}: {self.format}, {self.disc.medium}")


def _disc(disc: Disc) -> dict[str, object]:
    return {
        "medium": disc.medium,
        "catalog": disc.catalog,
        "text": plain(disc.text),
        "cdtext": [
            {"block": one.block, "language": one.code, "charset": one.charset,
             "disc": plain(one.disc), "tracks": plain(one.tracks)}
            for one in cdtext.parse(disc.cdtext)
        ],
        "sessions": [
            {"number": s.number, "tracks": list(s.tracks), "leadout": s.leadout, "kind": s.kind}
            for s in disc.sessions
        ],
        "toc": [plain(row._asdict()) for row in disc.toc],
        "tracks": [plain(describe(track)) for track in disc.tracks],
    }  # fmt: skip


def info(image: What | Image, **how: Unpack[Opening]) -> Info:
    """Describe `image`. Parents are listed, not opened, unless `references` says otherwise."""
    how.setdefault("references", "list")
    with opened(image, **how) as found:
        return Info(
            found.name, found.format, str(found.info.get("variant", "")), found.size,
            found.sector_size, dict(found.info), found.disc, found.warnings, found.references,
        )  # fmt: skip
