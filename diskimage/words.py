"""How names and sizes are shown and told: never a raw control character on a terminal."""

from __future__ import annotations

import unicodedata

# C0, C1, format characters (bidirectional overrides, zero width), lone surrogates, private use,
# unassigned, line and paragraph separators
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def escape(text: str) -> str:
    """`text` with every character that a terminal could obey written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_text(value: object) -> bool:
    """Whether `value` is a text that UTF-8 can hold: bytes of the environment may come as lone
    surrogates (PEP 383)."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def size_text(size: int) -> str:
    """`size` bytes for people: exact below 1 KiB, else three digits and a binary unit."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        value /= 1024
        if value < 1024 or unit == "EiB":
            break
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def rounded(size: int, unit: int) -> int:
    """`size` raised to a multiple of `unit`."""
    return -(-size // unit) * unit


def parse_size(text: str) -> int:
    """The bytes of "512", "64K", "1M", "2G", "3T", "1P" (binary; KiB, MiB... too). ValueError."""
    digits = text.strip().upper().removesuffix("B").removesuffix("I")
    power = "KMGTP".find(digits[-1:]) + 1 if digits[-1:] else 0
    number = digits[:-1] if power else digits
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(f"no size: {text!r}")
    return int(number) << 10 * power
