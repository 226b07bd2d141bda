"""The texts of a header: what was said when the evidence was taken."""

from __future__ import annotations

import bz2
import time
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping

from diskimage.errors import CorruptError, LimitError
from diskimage.formats.e01.layout import TEXT
from diskimage.model import Source

WORDS = {
    "a": "description", "nm": "description", "c": "case_number", "cn": "case_number",
    "n": "evidence_number", "en": "evidence_number", "e": "examiner", "ex": "examiner",
    "t": "notes", "nt": "notes", "md": "model", "sn": "serial_number", "av": "software",
    "ov": "system", "os": "system", "m": "acquired", "at": "acquired", "u": "system_time",
    "tt": "system_time",
}  # fmt: skip
"""What the identifiers of both versions mean, as `info` names it."""
TEXTS = 16
DATES = frozenset({"m", "u", "at", "tt"})


class Counted:
    """Texts of one segment; real ones have three. Each may unpack to TEXT bytes out of a few."""

    def __init__(self) -> None:
        self._left = TEXTS

    def one_more(self, source: Source) -> None:
        """Count one. LimitError."""
        self._left -= 1
        if self._left < 0:
            raise LimitError(f"more than {TEXTS} headers in a segment", file=source.name)


def unpacked(stored: bytes | bytearray) -> str:
    """The text of a section: zlib or bzip2 of ASCII or UTF-16. CorruptError, LimitError."""
    decoder = bz2.BZ2Decompressor() if stored[:3] == b"BZh" else zlib.decompressobj()
    try:
        plain = decoder.decompress(bytes(stored), TEXT + 1)
    except (zlib.error, OSError) as error:
        raise CorruptError(f"the text of a header does not decode: {error}") from None
    if len(plain) > TEXT:
        raise LimitError(f"the text of a header is longer than {TEXT} bytes")
    wide = plain[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)
    return plain.decode("utf-16" if wide else "utf-8", "replace")


def told(text: str) -> dict[str, str]:
    """Identifiers and values of the category "main": a line of names, a line of values."""
    lines = text.splitlines()
    if "main" not in lines:
        return {}
    at = lines.index("main")
    names, values = ([*lines[at + 1 : at + 3], "", ""])[:2]
    return {
        name: value
        for name, value in zip(names.split("\t"), values.split("\t"), strict=False)
        if name and value
    }


def shown(values: Mapping[str, str]) -> dict[str, object]:
    """The values that people look for, by the names that `info` gives them."""
    return {WORDS[name]: _date(name, value) for name, value in values.items() if name in WORDS}


def _date(name: str, value: str) -> str:
    """Seconds since 1970 as a date of UTC; anything else as it is."""
    if name not in DATES or not (value.isascii() and value.isdecimal() and len(value) < 12):
        return value
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(int(value)))


def packed(version: int, values: Mapping[str, str], rest: str, *, wide: bool) -> bytes:
    """A text as a section holds it: UTF-16 and line feeds, or ASCII and CR LF."""
    line = "\n" if wide else "\r\n"
    rows = [str(version), "main", "\t".join(values), "\t".join(values.values()), ""]
    text = line.join(rows) + line + rest
    plain = BOM_UTF16_LE + text.encode("utf-16-le") if wide else text.encode("ascii", "replace")
    return zlib.compress(plain, 9)
