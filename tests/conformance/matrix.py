"""Every disc sample to every format that can hold one, opened again and compared.

`python -m tests.conformance.matrix` prints the table of docs/reference/discs.md.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from diskimage import image, registry
from diskimage.disc.losses import CONTENT
from diskimage.disc.recast import raw_mode, recast
from diskimage.disc.subchannel import with_sub
from diskimage.disc.tracks import between, frames, kept
from diskimage.engine.read import source as device_source
from diskimage.errors import DiskImageError
from diskimage.jobs.convert import Converted, convert
from diskimage.layers.records import Placed
from diskimage.model import Disc, Format, Source, Track
from tests.makers.sample import Sample

MAY = {
    "indexes": {"indexes", "pregap", "postgap", "length", "lba", "frames", "leadout"},
    "gaps": {"pregap", "postgap", "length", "lba", "frames", "indexes", "leadout", "subchannel"},
    "titles": {"text", "cdtext"},
    "catalog": {"catalog", "isrc", "flags"},
    "subchannel": {"subchannel"},
    "sessions": {"session", "sessions", "lba", "indexes", "leadout", "subchannel"},
    "audio": {"audio"},
    "tracks": {"tracks"},
    "pregap": set(),
    "medium": {"medium"},
}
"""What may differ where a loss of that name was told."""


def samples() -> Iterator[tuple[str, Sample]]:
    """Every sample of a maker whose image is a disc."""
    for entry in registry.ENTRIES:
        for one in import_module(f"tests.makers.{entry.name}").samples():
            with TemporaryDirectory() as folder, _opened(one, Path(folder)) as opened:
                if opened.disc is not None:
                    yield entry.name, one


def _opened(one: Sample, folder: Path) -> image.Image:
    return image.open(one.write(folder), password=one.password)


def targets() -> list[Format]:
    """Every format that can be created and holds of a disc what it can."""
    found = [registry.load(entry) for entry in registry.ENTRIES]
    return [rules for rules in found if rules.create is not None]


def _all(source: Source) -> bytes:
    out = bytearray(source.size)
    source.read_into(0, memoryview(out))
    return bytes(out)


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def loose(disc: Disc) -> set[int]:
    """Tracks behind a place that no track has: whether their gap is told is each format's way."""
    found = {disc.tracks[0].number}
    for before, track in pairwise(disc.tracks):
        end = before.lba + before.length + before.postgap
        if track.session != before.session or track.lba - track.pregap > end:
            found.add(track.number)
    return found


def shown(disc: Disc, like: Disc) -> dict[str, object]:
    """All that a disc is, by name: frames and subchannel as digests, whatever shape they have.

    The frames are those that `like` has stored, or made up between neighbouring tracks.
    """
    free, model = loose(like), {track.number: track for track in like.tracks}
    told: dict[str, object] = {
        "tracks": [track.number for track in disc.tracks],
        "audio": [track.mode.audio for track in disc.tracks],
        "sessions": [(s.number, s.tracks) for s in disc.sessions],
        "leadout": [s.leadout for s in disc.sessions],
        "catalog": disc.catalog,
        "text": {k: v for k, v in disc.text.items() if v},
        "frames": [
            _digest(_frames(track, _from(model.get(track.number, track), free)))
            for track in disc.tracks
        ],
    }
    for name in ("session", "lba", "length", "postgap", "flags", "isrc"):
        told[name] = [getattr(track, name) for track in disc.tracks]
    told["text"] = (told["text"], [dict(track.text) for track in disc.tracks])
    told["pregap"] = [track.pregap for track in disc.tracks if track.number not in free]
    told["indexes"] = [[one for one in t.indexes if one[0] and one[1] >= 0] for t in disc.tracks]
    return told


def _from(track: Track, free: set[int]) -> int:
    """The first frame of a track that another image of it has to have."""
    return kept(track)[0] if track.number in free else max(0, track.lba - track.pregap)


def _frames(track: Track, start: int) -> bytes:
    """The frames of a track from `start` on, each as a whole one; what no file holds is made up."""
    inside = between(track.pieces, start, sys.maxsize)
    whole = [recast(piece, raw_mode(piece.mode)) for piece in inside]
    return _all(device_source(Placed(frames(whole), 2048)))


def _subchannel(disc: Disc, like: Disc) -> list[str] | None:
    """The subchannel of the same frames, packed; None where `like` has none."""
    if not any(track.subchannel for track in like.tracks):
        return None
    told, free = [], loose(like)
    model = {track.number: track for track in like.tracks}
    for track in disc.tracks:
        content = b""
        start = _from(model.get(track.number, track), free)
        for piece in between(track.pieces, start, sys.maxsize):
            sub = with_sub(disc, piece, "packed").sub
            assert sub is not None
            raw = bytearray((piece.frames - 1) * sub.pitch + sub.size)
            sub.source.read_into(sub.at, memoryview(raw))
            content += b"".join(
                raw[i * sub.pitch : i * sub.pitch + 96] for i in range(piece.frames)
            )
        told.append(_digest(content))
    return told


def verdict(path: Path, rules: Format, folder: Path) -> tuple[str, list[str]]:
    """`exact`, `loss` (and the names told), `refused` (and the kind), or `WRONG` (and what)."""
    target = folder / f"made{rules.suffixes[0]}"
    try:
        done = convert(path, target, to=rules.name, lossy=CONTENT, durable=False)
    except DiskImageError as error:
        return "refused", [error.kind]
    named = sorted({loss.name for loss in done.dropped})
    wrong = list(_wrong(path, target, rules, done))
    if wrong:
        return "WRONG", wrong
    return ("loss" if named else "exact"), named


def _wrong(path: Path, target: Path, rules: Format, done: Converted) -> Iterator[str]:
    """What differs and was not told."""
    with image.open(path) as one, image.open(target, format=rules.name) as two:
        assert one.disc is not None
        if two.disc is None or not rules.keeps_frames:
            if one.read(0, one.size) != two.read(0, one.size):
                yield "user data"
            return
        before, after = shown(one.disc, one.disc), shown(two.disc, one.disc)
        named = {loss.name for loss in done.dropped}
        allowed = set().union(*(MAY.get(name, set()) for name in named))
        subs = _subchannel(one.disc, one.disc)
        told = subs is not None and "subchannel" not in allowed
        if told and subs != _subchannel(two.disc, one.disc):
            yield "subchannel"
        for name, value in before.items():
            if value != after[name] and name not in allowed:
                yield f"{name}: {value} became {after[name]}"


def table() -> Mapping[tuple[str, str], Mapping[str, tuple[str, list[str]]]]:
    """The verdict of each sample (format and label) for each target."""
    found = {}
    for name, one in samples():
        row = {}
        for rules in targets():
            with TemporaryDirectory() as folder:
                path = one.write(Path(folder))
                (Path(folder) / "out").mkdir()
                row[rules.name] = verdict(path, rules, Path(folder) / "out")
        found[name, one.label] = row
    return found


def main() -> None:
    """Print the table as Markdown."""
    rows = table()
    names = list(next(iter(rows.values())))
    print("| disc | " + " | ".join(names) + " |")
    print("| --- " * (1 + len(names)) + "|")
    for (name, label), row in rows.items():
        cells = [
            word + (f": {', '.join(told)}" if told and word != "exact" else "")
            for word, told in row.values()
        ]
        print(f"| {name}: {label} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
