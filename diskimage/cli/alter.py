"""Verbs that change an image where it is."""

from __future__ import annotations

from typing import Any

import click

from diskimage.cli import show
from diskimage.cli.bar import progress as shown
from diskimage.cli.options import JSON, NO_FSYNC, OVERWRITE, PROGRESS, names, opening, opens
from diskimage.words import escape, parse_size


@click.command()
@click.argument("image")
@click.argument("size", metavar="SIZE|+SIZE")
@click.option("--shrink", is_flag=True, help="It may become smaller, where what goes is zeros.")
@click.option("--lossy", multiple=True, metavar="data", help="What is cut off may hold data.")
@opens
@JSON
def resize(
    image: str, size: str, shrink: bool, lossy: tuple[str, ...], as_json: bool, **how: Any
) -> None:
    """Make the guest of IMAGE larger or smaller, in place: 20G, or +1G for so much more.

    What it gains reads as zeros. Partitions and file systems in it stay as they are.
    """
    from diskimage.jobs.resize import resize as job

    more = size.removeprefix("+")
    try:
        wanted = parse_size(more)
    except ValueError:
        raise click.UsageError(f"{size!r} is no size: say 512, 64K, 20G, +1G") from None
    done = job(image, wanted, relative=more != size, shrink=shrink, lossy=names(lossy),
               **opening(how))  # fmt: skip
    if as_json:
        show.document(done.to_json())
        return
    before, after = show.bytes_text(done.before), show.bytes_text(done.size)
    print(f"resized {escape(done.file)}: {before} became {after}")
    show.warned(done.warnings)


@click.command()
@click.argument("image")
@click.option("--keep", is_flag=True, help="Leave in IMAGE what its backing holds then.")
@opens
@PROGRESS
@JSON
def commit(image: str, keep: bool, progress: str, as_json: bool, **how: Any) -> None:
    """Write what IMAGE holds over its backing into that, in place, and empty IMAGE.

    --references has to allow the backing. Other images over it show other bytes afterwards.
    """
    from diskimage.jobs.commit import commit as job

    with shown(progress) as report:
        done = job(image, keep=keep, progress=report, **opening(how))
    if as_json:
        show.document(done.to_json())
        return
    print(f"wrote {show.bytes_text(done.written)} into {escape(done.backing)}")
    show.warned(done.warnings)


@click.command()
@click.argument("image")
@click.argument("backing")
@click.option("--backing-format", required=True, metavar="NAME", help="Never guessed.")
@click.option("--unsafe", is_flag=True, help="Change the name alone: the same backing, moved.")
@opens
@PROGRESS
@JSON
def rebase(
    image: str, backing: str, backing_format: str, unsafe: bool, progress: str, as_json: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Let IMAGE lie over BACKING, a name relative to its directory; its guest stays the same.

    What differs between its present backing and BACKING is written into IMAGE first; --references
    has to allow both.
    """
    from diskimage.jobs.rebase import rebase as job

    with shown(progress) as report:
        done = job(image, backing, backing_format, unsafe=unsafe, progress=report, **opening(how))
    if as_json:
        show.document(done.to_json())
        return
    wrote = show.bytes_text(done.written)
    print(f"rebased {escape(done.file)} on {escape(backing)}: {wrote} written into it")
    show.warned(done.warnings)


@click.command()
@click.argument("image")
@opens
@PROGRESS
@JSON
def flatten(image: str, progress: str, as_json: bool, **how: Any) -> None:
    """Write into IMAGE all that its backing holds, and let it lie over none.

    --references has to allow the backing. Its guest stays the same.
    """
    from diskimage.jobs.flatten import flatten as job

    with shown(progress) as report:
        done = job(image, progress=report, **opening(how))
    if as_json:
        show.document(done.to_json())
        return
    print(f"flattened {escape(done.file)}: {show.bytes_text(done.written)} written into it")
    show.warned(done.warnings)


@click.command()
@click.argument("image")
@click.argument("target", required=False)
@click.option("--in-place", is_flag=True, help="Mend IMAGE itself instead of a copy.")
@OVERWRITE
@NO_FSYNC
@opens
@PROGRESS
@JSON
def repair(
    image: str, target: str | None, in_place: bool, overwrite: bool, no_fsync: bool,
    progress: str, as_json: bool, **how: Any,
) -> int:  # fmt: skip
    """Mend the structure of IMAGE in a copy, TARGET, or with --in-place where it is.

    What its writer left undone is carried out, damaged copies of headers are made again. Exit 1
    where problems are left. Frames of a disc are mended by: convert --repair.
    """
    from diskimage.jobs.repair import repair as job

    with shown(progress) as report:
        done = job(image, target, in_place=in_place, overwrite=overwrite, durable=not no_fsync,
                   progress=report, **opening(how))  # fmt: skip
    if as_json:
        show.document(done.to_json())
        return 0 if done.ok else 1
    for one in done.mended:
        print(f"mended: {escape(one.message)}")
    for one in done.left:
        print(f"problem[{one.kind}]: {escape(one.message)}")
    word = "mended" if done.mended else "nothing to mend"
    print(f"{escape(done.file)}: {word}, {done.format}")
    return 0 if done.ok else 1
