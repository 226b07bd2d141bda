"""Whether an image is what a database of dumps, or a list of digests, says it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import NamedTuple, Unpack

from diskimage.disc.database import Listed, games, is_dat, listed
from diskimage.disc.tracks import whole_track
from diskimage.engine.copy import Work, digest
from diskimage.engine.digest import running
from diskimage.engine.guard import guarded
from diskimage.engine.progress import Report
from diskimage.errors import UnsupportedError
from diskimage.image import Image
from diskimage.jobs.opening import Opening, opened, told, work
from diskimage.layers import bmap
from diskimage.layers.plain import Plain
from diskimage.model import Device, Finding
from diskimage.ranges import Range
from diskimage.sources.anything import What, as_source
from diskimage.sources.file import FileSource

ALGORITHMS = ("crc32", "md5", "sha1")  # of preservation databases
SHEETS = (".cue", ".gdi", ".ccd", ".toc", ".mds", ".sub", ".sbi", ".txt")  # not tracks of a dump


class Verdict(NamedTuple):
    """What became of one track or file: `match`, `differs`, `unknown` to the database, or
    `missing` here. `name` is the database's, `track` ours where it is one."""

    status: str
    name: str | None
    size: int | None
    digests: dict[str, str]
    track: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """`ok` where every track or file of the image is in the database, and nothing is missing."""

    file: str
    database: str
    game: str | None
    rows: tuple[Verdict, ...]
    warnings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether all of it matches."""
        return bool(self.rows) and all(row.status == "match" for row in self.rows)

    def to_json(self) -> dict[str, object]:
        """One document."""
        return {
            "ok": self.ok, "file": self.file, "database": self.database, "game": self.game,
            "rows": [row._asdict() for row in self.rows], "warnings": told(self.warnings),
        }  # fmt: skip


def verify(
    image: What | Image,
    database: What,
    *,
    progress: Report | None = None,
    cancel: Event | None = None,
    threads: int | None = None,
    **how: Unpack[Opening],
) -> Verified:
    """Hold `image` against `database`: a Logiqx XML DAT, a list of digests (.sfv, .md5, ...), or a
    bmap.

    A DAT is asked for the tracks as it counts them, each from its first stored frame on; for an
    image without tracks, for its guest bytes. A list is asked for the files of the image as they
    are, and may lack the sheet that names the others; a bmap for each of its ranges of guest bytes.
    Raises what opening raises, CorruptError for a database that is none.
    """
    source = as_source(database)
    try:
        with opened(image, **how) as found:
            made = work(progress, cancel, threads, found.policy)
            game: str | None = None
            if bmap.is_bmap(source):
                rows = _in_ranges(found, bmap.load(source, found.limits), source.name, made)
            elif is_dat(source):
                game, rows = _in_games(list(_units(found, made)), games(source))
            else:
                rows = list(_in_list(found, list(listed(source, found.limits)), made))
            return Verified(found.name, source.name, game, tuple(rows), found.warnings)
    finally:
        if source is not database:
            source.close()


def _in_ranges(image: Image, told: bmap.Bmap, file: str, made: Work) -> list[Verdict]:
    """Every range of a bmap. UnsupportedError for one without digests."""
    bmap.demand_size(told, image.size, file)
    if not told.algorithm:
        raise UnsupportedError(f"a bmap of version {told.version} has no digests", file=file)
    rows: list[Verdict] = []
    wanted = iter(told.digests)

    def judge(one: Range, digits: str) -> None:
        status = "match" if digits == next(wanted) else "differs"
        name = f"bytes {one.start} to {one.stop}"
        rows.append(Verdict(status, name, one.length, {told.algorithm: digits}))

    made.watch.begin("hash", image.size)
    sums = bmap.RangeSums(told.ranges, told.algorithm, judge)
    digest(guarded(bmap.Mapped(image.device, told.ranges)), (sums,), made)
    return rows


def _units(image: Image, made: Work) -> Iterator[Verdict]:
    """Every track, or the guest bytes of an image without any: not in a database yet."""
    if image.disc is None:
        yield _digested(image.device, ALGORITHMS, made, None)
        return
    for track in image.disc.tracks:
        yield _digested(whole_track(track), ALGORITHMS, made, track.number)


def _digested(
    device: Device, names: Iterable[str], made: Work, track: int | None, name: str | None = None
) -> Verdict:
    sums = running(names)
    made.watch.begin("hash", device.size)
    digest(guarded(device), tuple(sums.values()), made)
    texts = {key: one.hexdigest() for key, one in sums.items()}
    return Verdict("unknown", name, device.size, texts, track)


def _in_games(
    units: list[Verdict], found: Iterable[list[Listed]]
) -> tuple[str | None, list[Verdict]]:
    """The game that knows most of our tracks, and what it says of each."""
    sizes = {unit.size for unit in units}
    best: tuple[tuple[int, int], list[Verdict], str] | None = None
    for rows in found:
        if not any(row.size in sizes for row in rows):
            continue
        told = _held(units, [row for row in rows if not row.name.lower().endswith(SHEETS)])
        hits = sum(one.status == "match" for one in told)
        rank = (hits, -len(told))
        if hits and (best is None or rank > best[0]):
            best = rank, told, rows[0].game
    return (None, units) if best is None else (best[2], best[1])


def _held(units: list[Verdict], rows: list[Listed]) -> list[Verdict]:
    """Our tracks beside a game's files: those that match, then those of one side alone."""
    left, told = list(rows), []
    for unit in units:
        row = next((row for row in left if row.size == unit.size and _same(unit, row)), None)
        if row is not None:
            left.remove(row)
            told.append(unit._replace(status="match", name=row.name))
        else:
            told.append(unit)
    for i, one in enumerate(told):
        row = next((row for row in left if row.size == one.size), None)
        if one.status == "unknown" and row is not None:
            left.remove(row)
            told[i] = one._replace(status="differs", name=row.name)
    return told + [Verdict("missing", row.name, row.size, dict(row.digests)) for row in left]


def _same(unit: Verdict, row: Listed) -> bool:
    """Whether every digest that both have is the same, and they have one."""
    shared = row.digests.keys() & unit.digests.keys()
    return bool(shared) and all(row.digests[key] == unit.digests[key] for key in shared)


def _in_list(image: Image, rows: list[Listed], made: Work) -> Iterator[Verdict]:
    """Every file of the image, held against the lines that name it; a list of several directories
    may have a name more than once, and a file several digests."""
    by_name: dict[str, list[Listed]] = {}
    for row in rows:
        by_name.setdefault(row.name.casefold(), []).append(row)
    files = [source for source in image.sources if isinstance(source, FileSource)]
    for source in files:
        name = source.name.replace("\\", "/").rpartition("/")[2]
        named = by_name.get(name.casefold(), [])
        if named:
            wanted = {key for row in named for key in row.digests}
            one = _digested(Plain(source), wanted, made, None, name)
            yield one._replace(status="match" if _held_once(one, named) else "differs")
        elif source is files[0] and len(files) > 1 and name.lower().endswith(SHEETS):
            image.warn("unlisted", f"{name} is not in the list: it was opened, and not verified")
        else:
            yield Verdict("unknown", name, source.size, {})


def _held_once(one: Verdict, named: list[Listed]) -> bool:
    """Whether of the lines with a file's name one of each kind of digest is right."""
    right = [row.digests.keys() for row in named if _same(one, row)]
    return set().union(*right) == {key for row in named for key in row.digests}
