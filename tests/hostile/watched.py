"""Run the command, or the library's open(), and log every file opened that is none of its business.

    python watched.py LOG IMAGE-DIRECTORY TARGET verb ARGUMENT...
    python watched.py LOG IMAGE-DIRECTORY TARGET open IMAGE REFERENCES

Run it in the image's directory: names relative to a directory descriptor are judged from there.
Allowed are that directory, the target, the interpreter, its packages, this program, and the
system's own files. Opens are seen by an audit hook: the kernels get descriptors, never names.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

OWN = (str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix)
SYSTEM = ("/usr", "/lib", "/dev", "/proc/self", "/sys", "/etc/localtime")


def watch(log: Path, *allowed: str) -> None:
    """Write each name that is opened outside `allowed` to `log`, a line each."""
    places = [os.path.realpath(place) for place in (*allowed, *OWN, *SYSTEM)]
    line = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes):
            return
        name = Path(os.fsdecode(arguments[0]))
        # under O_NOFOLLOW a link at the end is an error, not a way out
        kept = isinstance(arguments[2], int) and arguments[2] & os.O_NOFOLLOW
        path = Path(os.path.realpath(name.parent if kept else name), name.name if kept else "")
        if not any(path.is_relative_to(place) for place in places):
            os.write(line, f"{str(name)!r}\n".encode())

    sys.addaudithook(hook)


def opened(image: str, references: str) -> int:
    """The library's own open(): its size and warnings, or its error, as the command prints them."""
    import diskimage

    try:
        with diskimage.open(image, references=references or "parts") as handle:
            warnings = [str(warning) for warning in handle.warnings]
            print(json.dumps({"size": handle.size, "warnings": warnings}))
    except diskimage.DiskImageError as error:
        told = {"kind": error.kind, "message": str(error), "remedy": error.remedy}
        print(json.dumps({"error": told}), file=sys.stderr)
        return error.exit_code
    return 0


def main() -> int:
    """Watch, then run what is asked."""
    log, directory, target, verb, *rest = sys.argv[1:]
    watch(Path(log), directory, target)
    if verb == "open":
        return opened(*rest)
    from diskimage.cli import main as command

    sys.argv = ["diskimage", verb, *rest]
    command()
    return 0


if __name__ == "__main__":
    sys.exit(main())
