"""Verbs that answer with digests and differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from diskimage.cli import show
from diskimage.cli.bar import progress as shown
from diskimage.cli.options import (
    JSON,
    PROGRESS,
    SALVAGE,
    SIZE,
    THREADS,
    names,
    opening,
    reads,
    settings,
)
from diskimage.words import escape

if TYPE_CHECKING:
    from diskimage.jobs.hash import BlockMap, Hashed, Manifest


@click.command("hash")
@click.argument("image")
@click.option("-a", "--algorithm", "algorithms", multiple=True, metavar="NAME",
              help="A digest; several in one pass.  [default: sha256]")  # fmt: skip
@click.option("--track", type=int, help="The frames of one track from index 1 on, as stored.")
@click.option("--all-tracks", is_flag=True,
              help="Each track with its stored pregap, as databases of dumps count them;"
              " by default crc32, md5 and sha1.")  # fmt: skip
@click.option("--block-size", type=SIZE, help="A digest for each block of so many bytes.")
@click.option("--bmap", is_flag=True, help="A bmap: the SHA-256 of each range that takes space.")
@SALVAGE
@reads
@THREADS
@PROGRESS
@JSON
def hash_(
    image: str, algorithms: tuple[str, ...], track: int | None, all_tracks: bool,
    block_size: int | None, bmap: bool, salvage: bool, threads: int | None, progress: str,
    as_json: bool, **how: Any,
) -> int:  # fmt: skip
    """Print digests of what IMAGE holds; runs of zeros are not read."""
    from diskimage.jobs import hash as jobs

    wanted = names(algorithms) or (jobs.DATABASE if all_tracks else jobs.DEFAULT)
    if sum((track is not None, all_tracks, block_size is not None, bmap)) > 1:
        raise click.UsageError("--track, --all-tracks, --block-size and --bmap exclude each other")
    if bmap and (algorithms or salvage):
        raise click.UsageError("--bmap has digests of its own: no -a, no --salvage")
    if block_size is not None and len(wanted) != 1:
        raise click.UsageError("a block manifest has one algorithm")
    if salvage and (all_tracks or block_size is not None):
        raise click.UsageError("--salvage goes with the digests of the whole or of one --track")
    found: Hashed | list[Hashed] | Manifest | BlockMap
    with shown(progress) as report:
        if bmap:
            found = jobs.block_map(image, threads=threads, progress=report, **opening(how))
        elif block_size is not None:
            found = jobs.manifest(
                image, block_size, wanted[0], threads=threads, progress=report, **opening(how)
            )
        elif all_tracks:
            found = jobs.hash_tracks(image, wanted, threads=threads, progress=report,
                                     **opening(how))  # fmt: skip
        else:
            found = jobs.hash(
                image, wanted, track=track, salvage=salvage, threads=threads, progress=report,
                **opening(how),
            )  # fmt: skip
    return _print(found, image, as_json)  # a bar has gone by now


@click.command()
@click.argument("image")
@click.argument("database")
@reads
@THREADS
@PROGRESS
@JSON
def verify(
    image: str, database: str, threads: int | None, progress: str, as_json: bool, **how: Any
) -> int:
    """Tell whether IMAGE is what DATABASE says: a Logiqx XML DAT, .sfv, .md5, a bmap.

    Exit 1 where not.
    """
    from diskimage.jobs.verify import verify as job

    with shown(progress) as report:
        found = job(image, database, threads=threads, progress=report, **opening(how))
    if as_json:
        show.document(found.to_json())
        return 0 if found.ok else 1
    if found.game is not None:
        print(escape(found.game))
    rows = [(row.status, row.track or "", row.size or "", row.name or "") for row in found.rows]
    show.table(("status", "track", "size", "name"), rows)
    print("verified" if found.ok else "not verified")
    show.warned(found.warnings)
    return 0 if found.ok else 1


def _print(found: Hashed | list[Hashed] | Manifest | BlockMap, image: str, as_json: bool) -> int:
    from diskimage.jobs.hash import BlockMap, Manifest

    if isinstance(found, BlockMap):
        _print_bmap(found, as_json)
    elif isinstance(found, Manifest):
        _print_manifest(found, as_json)
    else:
        _print_digests(found, image, as_json)
        return 1 if not isinstance(found, list) and (found.bad or found.faults) else 0
    return 0


def _print_digests(found: Hashed | list[Hashed], image: str, as_json: bool) -> None:
    listed = found if isinstance(found, list) else [found]
    if as_json:
        documents = [one.to_json() for one in listed]
        show.document(documents if isinstance(found, list) else documents[0])
        return
    for one in listed:
        where = "" if one.track is None else f" track {one.track}"
        for name, digest in one.digests.items():
            print(f"{name}  {digest}  {escape(image)}{where}")
        show.unreadable(one.bad)
    show.warned(listed[0].warnings if listed else ())


def _print_manifest(found: Manifest, as_json: bool) -> None:
    if as_json:
        show.document(found.to_json())
        return
    for number, digest in enumerate(found.blocks):
        print(f"{number * found.block_size}  {digest}")
    show.warned(found.warnings)


def _print_bmap(found: BlockMap, as_json: bool) -> None:
    if as_json:
        show.document(found.to_json())
        return
    print(found.text.decode(), end="")
    show.warned(found.warnings)


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--format-b", metavar="NAME", help="The format of B; --format is that of A.")
@click.option("--open-option-b", multiple=True, metavar="KEY=VALUE", help="As --open-option, of B.")
@click.option("--strict", is_flag=True, help="Two sizes differ, even by zeros.")
@reads
@THREADS
@PROGRESS
@JSON
def compare(
    a: str, b: str, format_b: str | None, open_option_b: tuple[str, ...], strict: bool,
    threads: int | None, progress: str, as_json: bool, **how: Any,
) -> int:  # fmt: skip
    """Tell whether A and B hold the same bytes, whatever their formats. Exit 1 where not."""
    from diskimage.jobs.compare import compare as job

    with shown(progress) as report:
        found = job(
            a, b, format_b=format_b, open_options_b=settings(open_option_b), strict=strict,
            threads=threads, progress=report, **opening(how),
        )  # fmt: skip
    if as_json:
        show.document(found.to_json())
    elif found.equal:
        print("equal")
    elif not found.ranges:
        print("differ")  # in what a warning names
    else:
        print(f"differ in {show.bytes_text(found.ranges.total)}")
        show.ranges(found.ranges)
    if not as_json:
        show.warned(found.warnings)
    return 0 if found.equal else 1
