"""Verbs that write."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from diskimage.cli import show
from diskimage.cli.bar import progress as shown
from diskimage.cli.options import (
    JSON,
    NEW_PASSWORD,
    NO_FSYNC,
    OVERWRITE,
    PROGRESS,
    SALVAGE,
    SETTING,
    SIZE,
    SPARSE,
    THREADS,
    first_line,
    names,
    opening,
    opens,
    reads,
    settings,
)
from diskimage.words import escape

if TYPE_CHECKING:
    from diskimage.jobs.convert import Converted


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--to", metavar="FORMAT", help="The target's format, where its suffix tells none.")
@SETTING
@click.option("--lossy", multiple=True, metavar="NAME,...", help="What may be left out, by name.")
@click.option("--extract", multiple=True, metavar="audio=wav", help="Write audio tracks beside it.")
@click.option(
    "--exact",
    is_flag=True,
    help="Keep beside an ISO the frames that it cannot make again; put them back.",
)
@click.option("--dry-run", is_flag=True, help="Print losses and sizes; write nothing.")
@SALVAGE
@SPARSE
@OVERWRITE
@NO_FSYNC
@NEW_PASSWORD
@reads
@THREADS
@PROGRESS
@JSON
def convert(
    source: str, target: str, to: str | None, settings_: tuple[str, ...], lossy: tuple[str, ...],
    extract: tuple[str, ...], exact: bool, dry_run: bool, salvage: bool, sparse: bool,
    overwrite: bool, no_fsync: bool, new_password_file: str | None, threads: int | None,
    progress: str, as_json: bool, **how: Any,
) -> int:  # fmt: skip
    """Write SOURCE as TARGET in another format, whole or not at all.

    TARGET's suffix says the format, or --to does; "-" is the standard output, as SOURCE the
    standard input. What the format cannot hold is refused by name unless --lossy gives it up.
    """
    from diskimage.jobs.convert import convert as job

    options = settings(settings_)
    if new_password_file is not None:
        options["new_password"] = first_line(new_password_file)
    with shown(progress) as report:
        done = job(
            source, target, to=to, lossy=names(lossy),
            extract={k: str(v) for k, v in settings(extract).items()},
            exact=exact, dry_run=dry_run, salvage=salvage, sparse=sparse, overwrite=overwrite,
            durable=not no_fsync, threads=threads, progress=report, options=options,
            **opening(how),
        )  # fmt: skip
    out = sys.stderr if target == "-" else sys.stdout
    if as_json:
        show.document(done.to_json(), out)
    else:
        _print_report(done)
    return 1 if done.bad or done.faults else 0


def _print_report(done: Converted) -> None:
    if done.target == "-":
        return
    verb = "would write" if done.dry_run else "wrote"
    size = show.bytes_text(done.size)
    print(f"{verb} {escape(done.target)}: {done.target_format}, {size}")
    if done.dry_run:
        files = show.many(len(done.files), "file", "files")
        print(f"  at most {show.bytes_text(done.written)} in {files}")
    for file in done.files[:-1]:
        print(f"  beside it: {escape(file)}")
    show.unreadable(done.bad)
    show.warned(done.warnings)


@click.command()
@click.argument("target")
@click.option("--size", type=SIZE, help="Bytes of the guest: 512, 64K, 1M, 2G, 3T.")
@click.option("--from-tree", metavar="DIRECTORY", help="An ISO of everything in DIRECTORY.")
@click.option("--to", metavar="FORMAT", help="The format, where the suffix tells none.")
@SETTING
@OVERWRITE
@NO_FSYNC
@JSON
def create(
    target: str, size: int | None, from_tree: str | None, to: str | None,
    settings_: tuple[str, ...], overwrite: bool, no_fsync: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make TARGET: an empty image of a size, or an ISO of a directory."""
    from diskimage.jobs.create import create as job

    made = job(
        target, size, from_tree=from_tree, to=to, overwrite=overwrite, durable=not no_fsync,
        options=settings(settings_),
    )  # fmt: skip
    out = sys.stderr if target == "-" else sys.stdout
    if as_json:
        show.document(made.to_json(), out)
        return
    if target != "-":
        print(f"made {escape(made.target)}: {made.format}, {show.bytes_text(made.size)}")
    show.warned(made.warnings)


@click.command()
@click.argument("source", required=False)
@click.option("--size", type=SIZE, help="Measure for a size instead of an image.")
@click.option("--to", metavar="FORMAT", required=True, help="The format to measure for.")
@SETTING
@opens
@JSON
def measure(
    source: str | None, size: int | None, to: str, settings_: tuple[str, ...], as_json: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Tell how large SOURCE would be in another format; content is not read."""
    from diskimage.jobs.measure import measure as job

    what = size if source is None else source
    if what is None or (size is not None and source is not None):
        raise click.UsageError("name an image or a --size, and not both")
    found = job(what, to, options=settings(settings_), **opening(how))
    if as_json:
        show.document(found.to_json())
        return
    show.pairs(
        [
            ("required", show.bytes_text(found.required)),
            ("fully allocated", show.bytes_text(found.fully_allocated)),
        ]
    )


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--hash", "hashes", multiple=True, metavar="NAME", help="Digest what is copied.")
@click.option("--block-size", type=SIZE, help="Copy through memory, so many bytes at a time.")
@click.option("--direct", is_flag=True, help="Pass the page cache.")
@click.option("--verify", is_flag=True, help="Read the target back before it is published.")
@click.option("--bmap", type=click.Path(), metavar="FILE",
              help="Copy what this bmap maps, each range held to its digest.")  # fmt: skip
@click.option("--leave-unmapped", is_flag=True,
              help="Leave as it is on a device what the bmap leaves out; else it becomes zeros.",
              )  # fmt: skip
@click.option("--allow-device", is_flag=True, help="TARGET may be a block device.")
@SALVAGE
@SPARSE
@OVERWRITE
@NO_FSYNC
@THREADS
@PROGRESS
@JSON
def copy(
    source: str, target: str, hashes: tuple[str, ...], block_size: int | None, direct: bool,
    verify: bool, bmap: str | None, leave_unmapped: bool, allow_device: bool, salvage: bool,
    sparse: bool, overwrite: bool, no_fsync: bool, threads: int | None, progress: str,
    as_json: bool,
) -> int:  # fmt: skip
    """Copy the bytes of SOURCE, a file or device, as they stand; "-" is a pipe at either end."""
    from diskimage.jobs.copy import copy as job

    with shown(progress) as report:
        done = job(
            source, target, hashes=names(hashes), sparse=sparse, block_size=block_size,
            threads=threads, direct=direct, durable=not no_fsync, verify=verify,
            salvage=salvage, bmap=bmap, leave_unmapped=leave_unmapped, overwrite=overwrite,
            allow_device=allow_device, progress=report,
        )  # fmt: skip
    out = sys.stderr if target == "-" else sys.stdout
    if as_json:
        show.document(done.to_json(), out)
        return 1 if done.bad else 0
    if target != "-":
        how = ", blocks shared" if done.shared else ""
        print(f"copied {escape(done.target)}: {show.bytes_text(done.size)}{how}")
    for name, value in done.digests.items():
        print(f"{name}  {value}  {escape(done.source)}", file=out)
    if done.mapped is not None:
        print(f"mapped {show.bytes_text(done.mapped)} of it", file=out)
    if done.verified is not None:
        past = {"direct": "by direct reads", "dropped": "after the cache was asked to drop it"}
        print(f"verified {past[done.verified]}", file=out)
    show.unreadable(done.bad, out)
    show.warned(done.warnings)
    return 1 if done.bad else 0


@click.command()
@click.argument("folder", required=False, default=".")
@click.option("--size", type=SIZE, default="1G", show_default=True, help="Bytes of the test file.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--block-size", "block_sizes", type=SIZE, multiple=True, help="One to try.")
@click.option("--threads", type=click.IntRange(1), multiple=True, help="A number to try.")
@click.option("--hash", "digest", default="sha256", show_default=True, metavar="NAME")
@click.option("--no-peers", is_flag=True, help="Time nothing but our own copies.")
@click.option("--svg", type=click.Path(), metavar="FILE", help="Write a bar chart to a new file.")
@PROGRESS
@JSON
def bench(
    folder: str, size: int, rounds: int, block_sizes: tuple[int, ...], threads: tuple[int, ...],
    digest: str, no_peers: bool, svg: str | None, progress: str, as_json: bool,
) -> None:  # fmt: skip
    """Time copies in FOLDER by block size, threads, direct I/O and hash, beside other tools."""
    from diskimage.jobs.bench import BLOCKS, THREADS as COUNTS, bench as job

    with shown(progress) as report:
        found = job(
            folder, size=size, rounds=rounds, block_sizes=block_sizes or BLOCKS,
            threads=threads or COUNTS, digest=digest, peers=not no_peers, progress=report,
        )  # fmt: skip
    if svg is not None:
        show.new_file(svg, found.svg())
    if as_json:
        show.document(found.to_json())
        return
    rows = [
        (t.name, f"{t.seconds:.3f}", f"{t.bare:.3f}", t.error or f"{found.size / t.job / 1e9:.2f}",
         "" if t.ratio is None else f"{t.ratio:.2f}")
        for t in found.timings
    ]  # fmt: skip
    show.table(("command", "seconds", "of which start", "GB/s", "beside cp"), rows)
