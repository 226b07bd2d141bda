"""Verbs that look and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from diskimage.cli import show
from diskimage.cli.bar import progress as shown
from diskimage.cli.options import JSON, PROGRESS, opening, opens
from diskimage.words import escape

if TYPE_CHECKING:
    from diskimage.jobs.info import Info
    from diskimage.model import Track


@click.command()
@click.argument("image")
@opens
@JSON
def info(image: str, as_json: bool, **how: Any) -> None:
    """Tell what IMAGE is, without reading its content."""
    from diskimage.jobs.info import info as job

    found = job(image, **opening(how))
    if as_json:
        show.document(found.to_json())
        return
    _sleeve(found)
    show.warned(found.warnings)


@click.command()
@click.argument("image")
@opens
@PROGRESS
@JSON
def check(image: str, progress: str, as_json: bool, **how: Any) -> int:
    """Tell whether IMAGE is intact: structure, disc frames, file systems. Exit 1 where not."""
    from diskimage.jobs.check import check as job

    with shown(progress) as report:
        found = job(image, progress=report, **opening(how))
    if as_json:
        show.document(found.to_json())
        return 0 if found.ok else 1
    for problem in found.problems:
        where = "" if problem.at is None else f" (at {problem.at})"
        print(f"problem[{problem.kind}]: {escape(problem.message)}{where}")
    if found.more:
        print(f"and {found.more} more")
    if found.ok:
        print(f"{escape(found.file)}: intact, {found.format}, {show.bytes_text(found.size)}")
    show.warned(found.warnings)
    return 0 if found.ok else 1


def _sleeve(found: Info) -> None:
    print(escape(found.name))
    known = {"variant", "sector_size"}
    show.pairs(
        [
            ("format", f"{found.format}, {found.variant}" if found.variant else found.format),
            ("size", show.bytes_text(found.size)),
            ("sector", f"{found.sector_size} bytes"),
            *((k.replace("_", " "), v) for k, v in found.info.items() if k not in known),
            *((r.role, r.name if r.opened else f"{r.name} (not opened)") for r in found.references),
        ]
    )
    if found.disc is not None:
        head = ("track", "session", "mode", "LBA", "frames", "time", "title")
        show.table(head, [_track(track) for track in found.tracks])


def _track(track: Track) -> tuple[object, ...]:
    from diskimage.disc.address import time

    title = track.text.get("TITLE", "")
    return (
        track.number, track.session, track.mode.name, track.lba, track.length, time(track.length),
        title,
    )  # fmt: skip
