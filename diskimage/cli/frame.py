"""The one place where verbs are run and every error becomes a message and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys

import click

from diskimage.cli import alter, files, look, move, sums
from diskimage.cli.show import failed
from diskimage.errors import CancelledError, DiskImageError, LimitError, UsageError, from_os

VERBS = (
    look.info, look.detect, look.formats, look.map_, look.check, sums.hash_,
    files.ls, files.tree, files.cat, files.extract,
    sums.verify, move.convert, move.copy, sums.compare, move.create, move.measure,
    alter.resize, alter.commit, alter.rebase, alter.flatten, alter.repair,
    move.bench,
)  # fmt: skip
RESUMED = ("commit", "rebase", "flatten")  # what they did stays done, and is sound
PIPE_GONE = 128 + 13  # what a shell shows for a process that SIGPIPE ended
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=SETTINGS, no_args_is_help=True)
@click.version_option(None, "--version", package_name="py-diskimage", message="%(version)s")
def diskimage() -> None:
    """Every disk image is a block device: look at it, hash, compare, convert, copy, check it.

    All but cat take --json; what goes wrong is said in a line or two. See VERB --help.
    """


for _verb in VERBS:
    diskimage.add_command(_verb)


def run(arguments: list[str]) -> int:
    """Carry out one command line; its exit code."""
    as_json = "--json" in arguments
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _invoke(arguments)
    except click.exceptions.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        return _quiet()
    except DiskImageError as error:
        if error.errno == errno.EPIPE:
            return _quiet()
        return failed(error, as_json)
    except KeyboardInterrupt:
        return failed(_stopped(arguments), as_json)
    except click.ClickException as error:
        if not arguments:
            error.show()  # the help, as it is
            return error.exit_code
        return failed(_usage(error), as_json)
    except OSError as error:
        _drop_output()
        return failed(from_os(error, error.filename), as_json)
    except (MemoryError, RecursionError) as error:
        limit = LimitError(f"needs more memory than there is ({type(error).__name__})")
        return failed(limit, as_json)


def _invoke(arguments: list[str]) -> int:
    with diskimage.make_context("diskimage", arguments) as context:
        code = diskimage.invoke(context)
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _stopped(arguments: list[str]) -> CancelledError:
    if arguments[0] in RESUMED:
        return CancelledError("stopped half way", remedy="the same command again finishes it")
    return CancelledError("stopped; nothing was published")


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "diskimage"
    return UsageError(error.format_message(), remedy=f"see: {path} --help")


def _quiet() -> int:
    """The reader of our output went away: nothing more can be told to it."""
    _drop_output()
    return PIPE_GONE


def _drop_output() -> None:
    """What could not be written is not tried again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
