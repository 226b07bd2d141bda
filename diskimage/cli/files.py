"""Verbs on the files in an image. An address is IMAGE:/path."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from diskimage.cli import show
from diskimage.cli.bar import progress as shown
from diskimage.cli.options import JSON, OVERWRITE, PROGRESS, opening, reads
from diskimage.words import escape

if TYPE_CHECKING:
    from diskimage.filesystems import Entry

_ADDRESS = re.compile(r"(.+?):(/(?!/).*|/)", re.DOTALL)
TREE = click.option("--tree", metavar="NAME", help="rock-ridge, joliet, enhanced or plain.")


def address(text: str) -> tuple[str, str]:
    """(image, path) of IMAGE:/path; the path is / where none is given, or a file has that name."""
    parts = _ADDRESS.fullmatch(text)
    if parts is None or os.path.lexists(text):
        return text, "/"
    return parts[1], parts[2]


@click.command()
@click.argument("address_", metavar="IMAGE[:/PATH]")
@click.option("-l", "--long", is_flag=True, help="With kind, mode, size and time.")
@TREE
@reads
@JSON
def ls(address_: str, long: bool, tree: str | None, as_json: bool, **how: Any) -> None:
    """List a directory in IMAGE."""
    from diskimage.jobs.ls import ls as job

    image, path = address(address_)
    listing = job(image, path, tree=tree, **opening(how))
    if as_json:
        show.document(listing.to_json())
        return
    if long:
        show.table(("mode", "size", "time", "name"), [_long(entry) for entry in listing.entries])
    else:
        _names(listing.entries)
    show.warned(listing.warnings)


def _names(entries: Iterable[Entry]) -> None:
    for entry in entries:
        print(escape(entry.name) + _mark(entry))


def _mark(entry: Entry) -> str:
    return {"dir": "/", "link": f" -> {escape(entry.target or '')}"}.get(entry.kind, "")


def _long(entry: Entry) -> tuple[object, ...]:
    letter = {"file": "-", "dir": "d", "link": "l"}.get(entry.kind, entry.kind[0])
    mode = "" if entry.mode is None else f"{entry.mode:04o}"
    when = "" if entry.mtime is None else f"{datetime.fromtimestamp(entry.mtime, UTC):%F %R}"
    return letter + mode, entry.size, when, escape(entry.name) + _mark(entry)


@click.command()
@click.argument("address_", metavar="IMAGE[:/PATH]")
@TREE
@reads
@JSON
def tree(address_: str, tree: str | None, as_json: bool, **how: Any) -> None:
    """List everything below a directory in IMAGE."""
    from diskimage.jobs.tree import tree as job

    image, path = address(address_)
    below = job(image, path, tree=tree, **opening(how))
    if as_json:
        show.document(below.to_json())
        return
    print(escape(below.path))
    for depth, entry in below.entries:
        print("  " * depth + escape(entry.name) + _mark(entry))
    print(f"{show.many(below.files, 'file', 'files')}, {show.bytes_text(below.bytes)}")
    show.warned(below.warnings)


@click.command()
@click.argument("address_", metavar="IMAGE:/PATH")
@TREE
@reads
@PROGRESS
def cat(address_: str, tree: str | None, progress: str, **how: Any) -> None:
    """Write a file of IMAGE to the standard output."""
    from diskimage.jobs.cat import cat as job

    image, path = address(address_)
    if progress == "auto" and sys.stdout.isatty():
        progress = "none"  # the file is shown where the bar would be
    with shown(progress) as report:
        out = sys.stdout.buffer
        done = job(image, path, out, tree=tree, progress=report, **opening(how))
        sys.stdout.buffer.flush()
    show.warned(done.warnings)


@click.command()
@click.argument("address_", metavar="IMAGE[:/PATH]")
@click.argument("target", metavar="DIRECTORY")
@click.option("--rename", is_flag=True, help="Escape names that cannot be made safely.")
@TREE
@OVERWRITE
@reads
@PROGRESS
@JSON
def extract(
    address_: str, target: str, rename: bool, tree: str | None, overwrite: bool, progress: str,
    as_json: bool, **how: Any,
) -> None:  # fmt: skip
    """Write files of IMAGE to an existing DIRECTORY, which they cannot leave."""
    from diskimage.jobs.extract import extract as job

    image, path = address(address_)
    with shown(progress) as report:
        done = job(
            image, target, (path,), mode="rename" if rename else "strict", overwrite=overwrite,
            tree=tree, progress=report, **opening(how),
        )  # fmt: skip
    if as_json:
        show.document(done.to_json())
        return
    parts = [
        show.many(done.files, "file", "files"),
        show.many(done.directories, "directory", "directories"),
        show.many(done.links, "link", "links"),
        show.bytes_text(done.bytes),
    ]
    print(f"{escape(target)}: {', '.join(parts)}")
    show.warned(done.warnings)
