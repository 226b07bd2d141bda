"""What an image is, without reading its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Unpack

from diskimage.disc import cdtext, forms
from diskimage.disc.picture import svg
from diskimage.disc.tracks import describe
from diskimage.errors import UsageError
from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, plain, told, unasked
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
    forms: Mapping[int, tuple[forms.Stretch, ...]] = field(
        default_factory=dict
    )  # by track, if read

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
            document |= _disc(self.disc, self.forms)
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


def _disc(disc: Disc, told: Mapping[int, tuple[forms.Stretch, ...]]) -> dict[str, object]:
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
        "tracks": [plain(_track(track, told)) for track in disc.tracks],
    }  # fmt: skip


def _track(track: Track, told: Mapping[int, tuple[forms.Stretch, ...]]) -> dict[str, object]:
    found = describe(track)
    if track.number in told:
        found["forms"] = [one._asdict() for one in told[track.number]]
    return found


def info(image: What | Image, *, frames: bool = False, **how: Unpack[Opening]) -> Info:
    """Describe `image`. Parents are listed, not opened, unless `references` says otherwise.

    Nobody is asked for a password; one that is given is tried.
    With `frames` the frames of Mode 2 tracks are read, and their forms told.
    """
    how.setdefault("references", "list")
    unasked(how)
    with opened(image, **how) as found:
        tracks = found.disc.tracks if found.disc is not None and frames else ()
        told = {track.number: said for track in tracks if (said := tuple(forms.of(track)))}
        return Info(
            found.name, found.format, str(found.info.get("variant", "")), found.size,
            found.sector_size, dict(found.info), found.disc, found.warnings, found.references,
            told,
        )  # fmt: skip
