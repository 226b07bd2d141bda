"""What a CHD has no words for, in metadata of our own: sessions, addresses, indexes, flags, texts.

The tag is PYDI and holds JSON in UTF-8. It does not count for the header's SHA-1, so that other
programs agree on that. It is read like all that a file says of itself: where it contradicts the
tracks, or is no such thing, it is left out with a warning.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from diskimage.disc.address import LONGEST
from diskimage.disc.cdtext import PACK
from diskimage.disc.modes import MODES
from diskimage.model import Disc, Mode, TocRow, Track
from diskimage.model.discs import SessionKind

TAG = b"PYDI"
MEDIA = ("CD", "DVD", "BD", "GD")
KINDS: dict[str, SessionKind] = {
    "CDDA": "CDDA", "CDROM": "CDROM", "CDROM_XA": "CDROM_XA", "CDI": "CDI",
}  # fmt: skip
FLAGS = frozenset({"DCP", "4CH", "PRE", "SCMS"})
_FAR = 1 << 31  # an address beyond any medium


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """Of one track: its `pregap` frames before index 1 (`lba`), of which the first `made` are not
    stored or were not before."""

    number: int
    session: int
    mode: Mode
    lba: int
    pregap: int
    made: int
    indexes: tuple[tuple[int, int], ...]
    flags: frozenset[str]
    isrc: str | None
    text: dict[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a disc."""

    medium: str
    tracks: dict[int, TrackFacts]
    catalog: str | None = None
    text: dict[str, str] = field(default_factory=dict)
    cdtext: bytes | None = None
    toc: tuple[TocRow, ...] = ()
    kinds: dict[int, SessionKind] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def written(disc: Disc) -> bytes:
    """The facts of `disc` as they are stored."""
    remarks = disc.info.get("remarks", ())
    facts = {
        "medium": disc.medium,
        "catalog": disc.catalog,
        "text": dict(disc.text),
        "cdtext": None if disc.cdtext is None else b64encode(disc.cdtext).decode(),
        "toc": [list(row) for row in disc.toc],
        "kinds": {str(one.number): one.kind for one in disc.sessions if one.kind},
        "remarks": [str(one) for one in remarks] if isinstance(remarks, list | tuple) else [],
        "tracks": [_track(one) for one in disc.tracks],
    }
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode() + b"\0"


def _track(track: Track) -> dict[str, object]:
    first = track.pieces[0]
    made = min(first.frames, track.pregap) if first.source is None else 0
    return {
        "number": track.number,
        "session": track.session,
        "mode": track.mode.name,
        "lba": track.lba,
        "pregap": track.pregap,
        "made": made,
        "indexes": [list(one) for one in track.indexes],
        "flags": sorted(track.flags),
        "isrc": track.isrc,
        "text": dict(track.text),
    }


def parsed(data: bytes) -> Facts:
    """The facts in `data`. Raises ValueError where it holds none."""
    try:
        told = json.loads(data.rstrip(b"\0"))
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    tracks = [_track_facts(one) for one in _get(told, "tracks", list)]
    cdtext = _text_or_none(told, "cdtext")
    packs = None if cdtext is None else b64decode(cdtext, validate=True)
    if packs is not None and (not packs or len(packs) % PACK):
        raise ValueError("CD-TEXT of no whole packs")
    medium = _get(told, "medium", str)
    if medium not in MEDIA:
        raise ValueError(f"a medium {medium!r}")
    kinds = _get(told, "kinds", dict)
    return Facts(
        medium,
        {one.number: one for one in tracks},
        _text_or_none(told, "catalog"),
        _texts(told),
        packs,
        tuple(_row(one) for one in _get(told, "toc", list)),
        {int(number): KINDS[_of(kind, str)] for number, kind in kinds.items() if kind in KINDS},
        [_of(one, str) for one in _get(told, "remarks", list)],
    )


def _track_facts(told: Any) -> TrackFacts:
    mode = MODES.get(_get(told, "mode", str))
    if mode is None:
        raise ValueError("a mode of no name")
    indexes = []
    for one in _get(told, "indexes", list):
        number, lba = (_whole(value) for value in _of(one, list))
        indexes.append((number, lba))
    flags = frozenset(_of(one, str) for one in _get(told, "flags", list))
    lba, pregap, made = (_whole(_get(told, key, int)) for key in ("lba", "pregap", "made"))
    sound = {number for number, _ in indexes} <= set(range(100)) and (1, lba) in indexes
    if not sound or not 0 <= made <= pregap <= LONGEST or not flags <= FLAGS:
        raise ValueError("a track whose addresses or flags have no sense")
    return TrackFacts(
        _whole(_get(told, "number", int)), _whole(_get(told, "session", int)), mode, lba, pregap,
        made, tuple(sorted(indexes)), flags, _text_or_none(told, "isrc"), _texts(told),
    )  # fmt: skip


def _row(told: Any) -> TocRow:
    session, adr, control, point, time, pointed = _of(told, list)
    times = [tuple(_whole(value) for value in _of(one, list)) for one in (time, pointed)]
    (a, b, c), (d, e, f) = times
    return TocRow(
        _whole(session), _whole(adr), _whole(control), _whole(point), (a, b, c), (d, e, f)
    )


def _get(told: Any, key: str, kind: type) -> Any:
    return _of(_of(told, dict).get(key), kind)


def _of(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} where a {kind.__name__} should be")  # noqa: TRY004 - the one error of bad facts
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -_FAR < value < _FAR:
        raise ValueError("a number that is none")
    return value


def _text_or_none(told: Any, key: str) -> str | None:
    value = _of(told, dict).get(key)
    return None if value is None else str(_of(value, str))


def _texts(told: Any) -> dict[str, str]:
    return {str(key): str(_of(value, str)) for key, value in _get(told, "text", dict).items()}
