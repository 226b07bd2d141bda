"""The command `diskimage`. It calls jobs and prints; it computes nothing."""

from __future__ import annotations

import json
import sys

_MISSING = "the command line needs the extra `cli`"
_REMEDY = "pip install 'py-diskimage[cli]'"


def main() -> None:
    """Run the command with the arguments of the process, and exit."""
    try:
        from diskimage.cli.frame import run  # click may be absent: the library needs none of it
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("click", "rich"):
            raise
        sys.exit(_without_click())
    sys.exit(run(sys.argv[1:]))


def _without_click() -> int:
    if "--json" in sys.argv:
        fields = {"kind": "usage", "message": _MISSING, "file": None, "at": None}
        print(json.dumps({"error": fields | {"remedy": _REMEDY}}), file=sys.stderr)
    else:
        print(f"error[usage]: {_MISSING}\nhelp: {_REMEDY}", file=sys.stderr)
    return 2
