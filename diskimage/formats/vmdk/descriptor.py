"""The text that describes a VMDK: read with tolerance for its form, strictly for its meaning.

Facts: VMware Virtual Disk Format 5.0 chapter 1; what other writers write, from libvmdk's and QEMU's
readers. Lines are `key = value`, with or without blanks and quotes, keys in any case; and extents:
`ACCESS SECTORS TYPE ["FILE" [OFFSET [...]]]`. `#` begins a comment, zeros end an embedded text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from diskimage.errors import CorruptError, LimitError, UnsupportedError
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import read

SECTOR = 512
NO_PARENT = 0xFFFFFFFF
BOM = b"\xef\xbb\xbf"
HEAD = b"# Disk DescriptorFile"
ACCESS = ("RW", "RDONLY", "NOACCESS")
ENCODINGS = {
    "utf-8": "utf-8", "windows-1252": "cp1252", "windows-1250": "cp1250",
    "windows-1251": "cp1251", "shift_jis": "cp932", "gbk": "gbk", "gb18030": "gb18030",
    "big5": "big5", "euc-kr": "euc_kr", "us-ascii": "ascii", "iso-8859-1": "latin-1",
}  # fmt: skip
"""Names of encodings (IANA) that descriptors are written in, to those of Python."""

_EXTENT = re.compile(
    r"(?P<access>\w+)\s+(?P<sectors>[-+]?\w+)\s+(?P<type>\w+)"
    r"(?:\s+\"(?P<file>[^\"]*)\"(?:\s+(?P<offset>[-+]?\w+)(?P<more>\s.*)?)?)?\s*"
)


class Extent(NamedTuple):
    """A line of an extent. `size` in bytes; `offset`, in bytes, is where it begins in its file."""

    access: str
    size: int
    type: str
    file: str | None = None
    offset: int = 0


class Descriptor(NamedTuple):
    """What a descriptor says. Keys of `values` are lower-case; ddb.* stand among them."""

    values: dict[str, str]
    extents: tuple[Extent, ...]

    @property
    def create_type(self) -> str:
        """The label of its kind: shown, never decided by."""
        return self.values.get("createtype", "")

    @property
    def cid(self) -> int | None:
        """The number that changes with its content."""
        return _number(self.values.get("cid"))

    @property
    def parent_cid(self) -> int | None:
        """The CID that its parent had; None where there is no parent."""
        found = _number(self.values.get("parentcid"))
        return None if found == NO_PARENT else found


def _number(text: str | None) -> int | None:
    """A number of at most eight hexadecimal digits."""
    return int(text, 16) if text and re.fullmatch(r"[0-9a-fA-F]{1,8}", text) else None


def is_text(head: bytes) -> bool:
    """Whether a file begins as a descriptor: its comment, or a version and then a createType."""
    text = head.removeprefix(BOM)
    if text[: len(HEAD)].lower() == HEAD.lower():
        return True
    first = next((line for line in text[:4096].splitlines() if _told(line)), b"")
    begins = re.match(rb"\s*version\s*=\s*\"?\d", first, re.IGNORECASE) is not None
    return begins and re.search(rb"(?im)^[ \t]*createType[ \t]*=", text[:8192]) is not None


def _told(line: bytes) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(b"#")


def load(source: Source, at: int, length: int, limits: Limits) -> Descriptor:
    """The descriptor of `length` bytes at `at`. LimitError, TruncatedError, CorruptError,
    UnsupportedError."""
    if length > limits.text_file:
        raise LimitError(f"a descriptor of {length} bytes, over text_file {limits.text_file}",
                         file=source.name, at=at)  # fmt: skip
    return parse(bytes(read(source, at, length, "descriptor")), source.name, limits)


def parse(raw: bytes, name: str, limits: Limits) -> Descriptor:
    """The descriptor in `raw`; `name` is the file's, for errors."""
    values: dict[str, str] = {}
    extents: list[Extent] = []
    for line in _lines(raw, name, limits):
        word = line.split(None, 1)[0].upper()
        if word in ACCESS and (extent := _extent(line, name)) is not None:
            if len(extents) == limits.text_entries:
                raise LimitError(f"more than {limits.text_entries} extents (text_entries)",
                                 file=name)  # fmt: skip
            extents.append(extent)
        elif (pair := _pair(line)) is not None:
            values.setdefault(*pair)
        else:
            raise CorruptError(
                f"the line {line[:80]!r} of its descriptor has no meaning", file=name
            )
    for key in ("cid", "parentcid"):
        if values.get(key) is not None and _number(values[key]) is None:
            raise CorruptError(f"{key} is {values[key]!r}", file=name)
    if values.get("version", "1") not in ("1", "2", "3", "4"):
        raise UnsupportedError(f"a descriptor of version {values['version']!r}", file=name)
    return Descriptor(values, tuple(extents))


def _pair(line: str) -> tuple[str, str] | None:
    """The key of a line, in lower case, and its value without quotes; None where it has none."""
    key, equals, value = (part.strip() for part in line.partition("="))
    if not equals or not key or '"' in key:
        return None
    return key.lower(), value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _lines(raw: bytes, name: str, limits: Limits) -> Iterator[str]:
    """Lines that say something, in the encoding that one of them names."""
    raw = raw.partition(b"\0")[0].removeprefix(BOM)
    lines = re.split(rb"[\r\n]+", raw)
    if any(len(line) > limits.text_line for line in lines):
        raise LimitError(f"a line of more than {limits.text_line} bytes (text_line)", file=name)
    encoding = _encoding(raw, name)
    for line in lines:
        text = line.decode(encoding, "surrogateescape").strip()
        if text and not text.startswith("#"):
            yield text


def _encoding(raw: bytes, name: str) -> str:
    found = re.search(rb"(?im)^[ \t]*encoding[ \t]*=[ \t]*\"?([\w.-]+)", raw.replace(b"\r", b"\n"))
    if found is None:
        return "utf-8"
    said = found[1].decode("ascii", "replace").lower()
    if said not in ENCODINGS:
        raise UnsupportedError(f"a descriptor in {said!r}", file=name,
                               remedy="write it again in UTF-8")  # fmt: skip
    return ENCODINGS[said]


def _extent(line: str, name: str) -> Extent | None:
    """The extent of a line; None where it is a key that begins with such a word."""
    found = _EXTENT.fullmatch(line)
    if found is None:
        if "=" in line and '"' not in line.partition("=")[0]:
            return None
        raise CorruptError(f"the extent {line[:80]!r} cannot be understood", file=name)
    sectors, offset = _sectors(found["sectors"], name), _sectors(found["offset"] or "0", name)
    return Extent(found["access"].upper(), sectors * SECTOR, found["type"].upper(), found["file"],
                  offset * SECTOR)  # fmt: skip


def _sectors(digits: str, name: str) -> int:
    """A decimal number of at most 19 digits."""
    if not re.fullmatch(r"[0-9]{1,19}", digits):
        raise CorruptError(f"an extent of {digits[:40]} sectors", file=name)
    return int(digits)
