"""Options that several verbs share, and the values they take."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from diskimage.errors import UsageError, from_os
from diskimage.words import parse_size

if TYPE_CHECKING:
    from diskimage.gate import Secret
    from diskimage.jobs.opening import Opening

Command = TypeVar("Command", bound=Callable[..., Any])
ENVIRONMENT = "DISKIMAGE_PASSWORD"
_LONGEST = 1024  # characters of a password


class SizeType(click.ParamType[int]):
    """Bytes, with a binary suffix: 512, 64K, 1M, 2G, 3T, 1P."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Give the number of bytes."""
        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value))
        except ValueError:
            self.fail(f"{value!r} is no size: say 512, 64K, 1M, 2G", param, ctx)


SIZE = SizeType()
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
PROGRESS = click.option(
    "--progress", type=click.Choice(["auto", "json", "none"]), default="auto", show_default=True,
    help="auto: a bar on a terminal; json: lines on the standard error.",
)  # fmt: skip
THREADS = click.option("--threads", type=click.IntRange(1), help="At most so many threads.")
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace a target that exists.")
NO_FSYNC = click.option("--no-fsync", is_flag=True, help="Do not wait until the target is durable.")
SPARSE = click.option("--sparse", is_flag=True, help="Look for zeros and leave them out.")
SALVAGE = click.option(
    "--salvage", is_flag=True,
    help="Read what can be read; the rest is zeros, is listed, and makes the exit status 1.",
)  # fmt: skip
SETTING = click.option(
    "-o", "--option", "settings_", multiple=True, metavar="KEY=VALUE",
    help="An option of the target's format; see: diskimage formats.",
)  # fmt: skip

NEW_PASSWORD = click.option(
    "--new-password-file", type=click.Path(), metavar="FILE",
    help="Encrypt the target: its first line is the password.",
)  # fmt: skip

_FORMAT = click.option("--format", metavar="NAME", help="The image's format; ends all guessing.")
_REFERENCES = click.option(
    "--references", metavar="none|parts|siblings|list|DIR",
    help="Which other files the image may name: parts beside it (the default), parents beside it"
    " too (siblings), or parents in DIR.",
)  # fmt: skip
_PASSWORD = click.option(
    "--password-file", type=click.Path(), metavar="FILE",
    help=f"Its first line is the password; else {ENVIRONMENT}, else a terminal is asked.",
)  # fmt: skip

_OPENING = click.option(
    "--open-option", "open_options", multiple=True, metavar="KEY=VALUE",
    help="An option of the image's own format: which disk, which snapshot; see: diskimage formats.",
)  # fmt: skip


_NO_CHECK = click.option("--no-check", is_flag=True, help="Do not hold disc frames to their EDC.")
_REPAIR = click.option(
    "--repair", is_flag=True, help="Mend disc frames by their ECC, and say which."
)


def reads(command: Command) -> Command:
    """The options of every verb that reads what an image holds."""
    return opens(_NO_CHECK(_REPAIR(command)))


def opens(command: Command) -> Command:
    """The options of every verb that opens an image."""
    for option in (_OPENING, _PASSWORD, _REFERENCES, _FORMAT):
        command = option(command)
    return command


def opening(values: dict[str, Any]) -> Opening:
    """The keywords of `open` from the options of `opens` or `reads`."""
    how: Opening = {"format": values["format"], "password": _password(values["password_file"])}
    if values["open_options"]:
        how["open_options"] = settings(values["open_options"])
    if "no_check" in values:
        how["check"], how["repair"] = not values["no_check"], values["repair"]
    if values["references"] is not None:
        how["references"] = values["references"]
    return how


def _password(file: str | None) -> Secret:
    """From the file, the environment, or a terminal: asked only where the image needs one."""
    if file is not None:
        return first_line(file)
    given = os.environ.get(ENVIRONMENT)
    if given is None and sys.stdin.isatty() and sys.stderr.isatty():
        return _asked
    return given


def _asked() -> str | None:
    from getpass import getpass  # few images need it

    try:
        return getpass("Password: ")
    except EOFError:
        return None


def first_line(file: str) -> str:
    """The password in `file`. Raises what reading it does, UsageError where it is no text."""
    try:
        with Path(file).open(encoding="utf-8") as lines:
            return lines.readline(_LONGEST).rstrip("\r\n")
    except OSError as error:
        raise from_os(error, file) from error
    except UnicodeDecodeError:
        raise UsageError("is no text", file=file, remedy="a password stands in UTF-8") from None


def settings(pairs: Iterable[str]) -> dict[str, object]:
    """KEY=VALUE pairs as keywords: dashes in a key are underscores, true and false booleans."""
    found: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{pair!r} is not KEY=VALUE")
        if "password" in key:
            raise click.UsageError("a password is no argument: say --new-password-file FILE")
        found[key.replace("-", "_")] = {"true": True, "false": False}.get(value, value)
    return found


def names(values: Iterable[str]) -> tuple[str, ...]:
    """Words given one by one or with commas between them."""
    words = tuple(word for value in values for word in value.split(","))
    if "" in words:
        raise click.UsageError("a name is empty")
    return words
