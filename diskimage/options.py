"""The values of options, as callers and command lines give them."""

from __future__ import annotations

from diskimage.errors import UsageError
from diskimage.words import parse_size


def size_option(name: str, value: object, example: str) -> int:
    """The number that the option `name` says, or a text such as `example` and 64K. UsageError."""
    try:
        return parse_size(str(value))
    except ValueError:
        raise UsageError(f"{name} {value} is no number", remedy=f"say {name}={example}") from None
