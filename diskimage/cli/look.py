"""Verbs that look and change nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from diskimage.cli import show
from diskimage.cli.bar import progress as shown
from diskimage.cli.options import JSON, PROGRESS, THREADS, opening, opens
from diskimage.words import escape

if TYPE_CHECKING:
    from diskimage.jobs.check import Judged
    from diskimage.jobs.info import Info
    from diskimage.model import Disc, Track

NAMES = {"structure": "structure", "chunks": "chunks", "whole": "whole hash", "files": "files"}


@click.command()
@click.argument("image")
@click.option("--svg", type=click.Path(), metavar="FILE", help="Draw a disc into a new file.")
@click.option("--frames", is_flag=True, help="Read which form each frame of Mode 2 has.")
@opens
@JSON
def info(image: str, svg: str | None, frames: bool, as_json: bool, **how: Any) -> None:
    """Tell what IMAGE is, without reading its content. --svg draws the tracks of a disc."""
    from diskimage.jobs.info import info as job

    found = job(image, frames=frames, **opening(how))
    if svg is not None:
        show.new_file(svg, found.svg())
    if as_json:
        show.document(found.to_json())
        return
    _sleeve(found)
    for number, told in found.forms.items():
        show.table(("track", "LBA", "frames", "form"), [(number, *one) for one in told])
    show.warned(found.warnings)


@click.command()
@click.argument("file")
@JSON
def detect(file: str, as_json: bool) -> int:
    """Tell which formats claim FILE, and why; exit 3 where opening it would not know."""
    from diskimage.jobs.detect import detect as job

    found = job(file)
    if as_json:
        show.document(found.to_json())
    else:
        rows = [(c.score, c.name, c.reason) for c in found.candidates]
        show.table(("score", "format", "reason"), rows)
        if found.warning is not None:
            print(f"warning[suffix]: {escape(found.warning)}", file=sys.stderr)
        if found.format is not None:
            print(f"opens as {found.format}")
    if found.error is None:
        return 0
    return found.error.exit_code if as_json else show.failed(found.error, False)


@click.command()
@JSON
def formats(as_json: bool) -> None:
    """List the formats, what each can do, and its options."""
    from diskimage.jobs.formats import list_formats

    found = list_formats()
    if as_json:
        show.document(found.to_json())
        return
    rows = [
        (f.name, *("yes" if word in f.can else "-" for word in ("read", "create", "write")),
         " ".join(f.suffixes), f.title + (" (unproven by a foreign file)" if f.unproven else ""))
        for f in found.formats
    ]  # fmt: skip
    show.table(("format", "read", "create", "write", "suffixes", "what it is"), rows)
    for found_format in found.formats:
        for option in found_format.options:
            print(f"  {found_format.name} -o {option.name}={option.values}: {option.meaning}")
        for option in found_format.opens:
            text = f"--open-option {option.name}={option.values}: {option.meaning}"
            print(f"  {found_format.name} {text}")


@click.command("map")
@click.argument("image")
@click.option("--layer", is_flag=True, help="This layer alone; parents are not opened.")
@click.option("--svg", type=click.Path(), metavar="FILE", help="Write the picture to a new file.")
@click.option("--bitmap", metavar="NAME", help="What that dirty bitmap in it says instead.")
@click.option("--salvage", is_flag=True, help="Read all of it; what cannot be is bad, and exit 1.")
@opens
@JSON
def map_(
    image: str, layer: bool, svg: str | None, bitmap: str | None, salvage: bool, as_json: bool,
    **how: Any,
) -> int:  # fmt: skip
    """Show where the bytes of IMAGE are: data, compressed, zeros, holes, backing, bad.

    --json prints the array of `qemu-img map --output=json`, each row with its kind; of a bitmap
    rows with start, length and whether they are dirty.
    """
    if bitmap is not None:
        if layer or salvage or svg is not None:
            raise click.UsageError("--bitmap goes with none of --layer, --salvage and --svg")
        _dirty(image, bitmap, as_json, how)
        return 0
    from diskimage.jobs.map import map as job

    found = job(image, layer=layer, salvage=salvage, **opening(how))
    if svg is not None:
        show.new_file(svg, found.svg())
    if as_json:
        show.rows(record.to_json() for record in found.records)
    else:
        print(escape(found.name))
        show.ruler(found.tally(show.width()))
    show.warned(found.faults)
    return 1 if found.bad or found.faults else 0


def _dirty(image: str, name: str, as_json: bool, how: dict[str, Any]) -> None:
    from diskimage.jobs.bitmap import bitmap as job

    found = job(image, name, **opening(how))
    if as_json:
        show.rows(found.rows())
        return
    print(f"{escape(found.file)}: {show.bytes_text(found.ranges.total)} dirty")
    show.table(("start", "length"), found.ranges)


@click.command()
@click.argument("image")
@opens
@THREADS
@PROGRESS
@JSON
def check(image: str, threads: int | None, progress: str, as_json: bool, **how: Any) -> int:
    """Tell whether IMAGE is intact: its structure, its chunks or frames, the hash of the whole,
    and the file systems in it. Exit 1 where not."""
    from diskimage.jobs.check import check as job

    with shown(progress) as report:
        found = job(image, threads=threads, progress=report, **opening(how))
    if as_json:
        show.document(found.to_json())
        return 0 if found.ok else 1
    for problem in found.problems:
        where = "" if problem.at is None else f" (at {problem.at})"
        print(f"problem[{problem.kind}]: {escape(problem.message)}{where}")
    if found.more:
        print(f"and {found.more} more")
    verdict = "intact" if found.ok else "not intact"
    print(f"{escape(found.file)}: {verdict}, {found.format}, {show.bytes_text(found.size)}")
    show.pairs((NAMES[one.part], _judged(one)) for one in found.verdicts)
    show.warned(found.warnings)
    return 0 if found.ok else 1


def _judged(one: Judged) -> str:
    """A verdict as people read it."""
    if one.status == "unstored":
        return one.text
    return f"{one.status.replace('unjudged', 'not judged')}: {one.text}"


def _sleeve(found: Info) -> None:
    print(escape(found.name))
    known = {"variant", "sector_size"}
    show.pairs(
        [
            ("format", f"{found.format}, {found.variant}" if found.variant else found.format),
            ("size", show.bytes_text(found.size)),
            ("sector", f"{found.sector_size} bytes"),
            *((k.replace("_", " "), _text(v)) for k, v in found.info.items() if k not in known),
            *((r.role, r.name if r.opened else f"{r.name} (not opened)") for r in found.references),
        ]
    )
    if found.disc is not None:
        _disc(found.disc)


def _text(value: object) -> object:
    """A value as people read it: lists and mappings with commas between their items."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(_text(item)) for item in value)
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


def _disc(disc: Disc) -> None:
    """A disc as people read its sleeve."""
    from diskimage.disc.picture import lines

    text = disc.text
    show.pairs(
        [
            ("medium", disc.medium),
            ("title", text.get("TITLE")),
            *((word.lower(), said) for word, said in text.items() if word != "TITLE"),
            ("catalogue", disc.catalog),
        ]
    )
    if len(disc.sessions) > 1 or any(session.kind for session in disc.sessions):
        rows = [
            (s.number, s.kind or "", f"{s.tracks[0]} to {s.tracks[-1]}", s.leadout)
            for s in disc.sessions
        ]
        show.table(("session", "kind", "tracks", "lead-out"), rows)
    head = ("track", "session", "mode", "LBA", "frames", "time", "pregap", "more", "title")
    show.table(head, [_track(track) for track in disc.tracks])
    for line in lines(disc, show.width(), plain=show.plain()):
        print(f"  {line}".rstrip())


def _track(track: Track) -> tuple[object, ...]:
    from diskimage.disc.address import time

    title = " - ".join(track.text[w] for w in ("PERFORMER", "TITLE") if w in track.text)
    more = [*sorted(track.flags), track.isrc or ""]
    if track.subchannel:
        more.append(f"{track.subchannel} subchannel")
    points = [f"{number:02}" for number, _ in track.indexes if number > 1]
    if points:
        more.append(f"indexes {', '.join(points)}")
    return (
        track.number, track.session, track.mode.name, track.lba, track.length, time(track.length),
        track.pregap, ", ".join(filter(None, more)), title,
    )  # fmt: skip
