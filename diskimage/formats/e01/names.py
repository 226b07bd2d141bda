"""What the segments of a set are called: .E01 to .E99, .EAA to .EZZ, .FAA to .ZZZ; Ex01 to EzZZ."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"(?P<stem>.*\.)(?P<kind>[es]|ex)01", re.IGNORECASE | re.DOTALL)
NUMBERED = 99  # segments with digits; letters follow
LETTERS = 26 * 26


def segment_name(name: str, number: int) -> str | None:
    """What segment `number` (from 1) of the set that begins with `name` is called, in its case.

    None where `name` is not that of a first segment, or no name is left.
    """
    found = _DIGITS.fullmatch(name)
    if found is None or number < 1:
        return None
    stem, kind = found["stem"], found["kind"]
    if number <= NUMBERED:
        return f"{stem}{kind}{number:02}"
    steps, rest = divmod(number - NUMBERED - 1, LETTERS)
    last = chr(ord(kind[-1]) + steps)
    if last.upper() > "Z":
        return None
    first = "A" if kind[0].isupper() else "a"
    one, two = divmod(rest, 26)
    return f"{stem}{kind[:-1]}{last}{chr(ord(first) + one)}{chr(ord(first) + two)}"
