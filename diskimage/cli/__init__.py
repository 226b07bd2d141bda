"""The command `diskimage`. It calls jobs and prints; it computes nothing."""

from __future__ import annotations

import gc
import json
import os
import sys

_MISSING = "the command line needs the extra `cli`"
SELDOM = (50_000, 20, 100)  # collections while modules load cost as much as some of them
_REMEDY = "pip install 'py-diskimage[cli]'"


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    gc.set_threshold(*SELDOM)
    _take_closed()
    try:
        try:
            from diskimage.cli.frame import run  # click may be absent: the library needs none of it
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("click", "rich"):
                raise
            sys.exit(_failed(2, "usage", _MISSING, _REMEDY))
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # while modules were still loaded; `run` answers for the rest
        sys.exit(_failed(130, "cancelled", "stopped; nothing was done"))
    finally:
        gc.freeze()  # the process ends: nobody needs what a last collection would free


def _take_closed() -> None:
    """Standard streams that the caller closed are taken, so that no file opened later gets their
    numbers. Reading and writing them stays an error, save telling the standard error nothing."""
    streams = (
        ("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY),
    )  # fmt: skip
    for number, (name, mode, flags) in enumerate(streams):
        if getattr(sys, name) is None and os.open(os.devnull, flags) == number:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _failed(code: int, kind: str, message: str, remedy: str | None = None) -> int:
    if "--json" in sys.argv:
        fields = {"kind": kind, "message": message, "file": None, "at": None, "remedy": remedy}
        print(json.dumps({"error": fields}), file=sys.stderr)
    else:
        help_ = "" if remedy is None else f"\nhelp: {remedy}"
        print(f"error[{kind}]: {message}{help_}", file=sys.stderr)
    return code
