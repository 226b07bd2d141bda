"""Which formats there are, what each can do, and its options."""

from __future__ import annotations

from dataclasses import dataclass

from diskimage import registry
from diskimage.model import Format, Option


@dataclass(frozen=True, slots=True)
class Formats:
    """Every format, ours first."""

    formats: tuple[Format, ...]

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "formats": [
                {
                    "name": f.name, "title": f.title, "suffixes": list(f.suffixes),
                    "read": "read" in f.can, "create": "create" in f.can, "write": "write" in f.can,
                    "check": f.check is not None, "unproven": f.unproven,
                    "options": _options(f.options), "open_options": _options(f.opens),
                }
                for f in self.formats
            ],
            "warnings": [],
        }  # fmt: skip


def _options(options: tuple[Option, ...]) -> list[dict[str, str]]:
    return [{"name": o.name, "values": o.values, "meaning": o.meaning} for o in options]


def list_formats() -> Formats:
    """Every format that is known, those of other distributions included."""
    return Formats(tuple(registry.formats()))
