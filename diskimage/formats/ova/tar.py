"""The members of a tar archive, where each stands; and the header that puts one in.

Layouts: POSIX.1-2017, pax "ustar Interchange Format" and "pax Extended Header"; for long names,
sizes in base 256 and sparse files the GNU tar manual, "Basic Tar Format". No member is read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from diskimage.errors import CorruptError, LimitError, TruncatedError
from diskimage.limits import Limits
from diskimage.model import Source
from diskimage.parse import read
from diskimage.words import rounded

BLOCK = 512
RECORD = 20 * BLOCK  # what an archive is padded to
EXTENDED = 16  # headers that extend one: a pax header, names of GNU, some for all that follow
REGULAR = (b"\0", b"0", b"7")
OCTAL = 8 << 30  # a size from here on has no room in eleven octal digits
_PAX = re.compile(rb"([0-9]{1,8}) ([^=\n]+)=")
_LINKS = {b"1": "a link", b"2": "a symbolic link", b"3": "a device", b"4": "a device",
          b"5": "a directory", b"6": "a FIFO"}  # fmt: skip
_KINDS = {**_LINKS, b"S": "a sparse file", b"M": "a part of a file"}


class Member(NamedTuple):
    """A file of the archive: `size` bytes at `at`; `kind` "" where it is a plain one."""

    name: str
    at: int
    size: int
    kind: str = ""


class _Header(NamedTuple):
    """The fields of a header that say what follows it."""

    name: str
    size: int
    type: bytes


def is_header(block: bytes) -> bool:
    """Whether `block` begins with a header whose sum is right."""
    return len(block) >= BLOCK and _summed(block[:BLOCK])


def first_name(block: bytes) -> str:
    """The name in a header."""
    return _text(block[:100])


def members(source: Source, limits: Limits) -> list[Member]:
    """The members in order. Raises CorruptError, TruncatedError, LimitError."""
    found: list[Member] = []
    at, said, before = 0, dict[str, str](), 0  # headers that extend the next one
    while at < source.size:
        block = bytes(read(source, at, BLOCK, "a header of the archive"))
        if not any(block):
            break
        head = _header(block, source, at)
        at += BLOCK
        if head.type in (b"x", b"g", b"L", b"K"):
            before += 1
            if before > EXTENDED:
                text = f"more than {EXTENDED} extended headers before a member"
                raise CorruptError(text, file=source.name, at=at)
            data = _extension(head, source, at, limits)
            if head.type == b"L":
                said["path"] = _text(data)
            elif head.type == b"x":
                said |= _pax(data, source, at)
            at += rounded(head.size, BLOCK)
            continue
        if head.type == b"S":
            at = _past_map(block, source, at)
        one = _member(head, said, source, at)
        said, before = {}, 0
        found.append(one)
        if len(found) > limits.text_entries:
            raise LimitError("more members than text_entries", file=source.name, at=at)
        at += rounded(one.size, BLOCK)
    return found


def _header(block: bytes, source: Source, at: int) -> _Header:
    if not _summed(block):
        raise CorruptError("a header of the archive has a wrong sum", file=source.name, at=at)
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    size = _number(block[124:136])
    if size is None:
        raise CorruptError(f"the size of the member {name!r} is no number", file=source.name, at=at)
    return _Header(f"{prefix}/{name}" if prefix else name, size, block[156:157])


def _member(head: _Header, said: dict[str, str], source: Source, at: int) -> Member:
    """The member whose bytes begin at `at`, as its header says and extended ones before it."""
    size, kind = head.size, _KINDS.get(head.type, "")
    if head.type not in REGULAR and not kind:
        kind = f"of type {head.type!r}"
    if any(key.startswith("GNU.sparse.") for key in said):
        kind = "a sparse file"
    if "size" in said:
        text = said["size"]
        if not (text.isascii() and text.isdecimal()) or len(text) > 19:
            raise CorruptError(f"a member of {text[:40]!r} bytes", file=source.name, at=at)
        size = int(text)
    if head.type in _LINKS:
        size = 0  # whatever stands there: such a member has no bytes
    name = said.get("GNU.sparse.name") or said.get("path", head.name)
    name = name.removeprefix("./")
    return Member(name, at, size, kind)


def _past_map(block: bytes, source: Source, at: int) -> int:
    """Where the bytes of a sparse file begin: its map may go on behind its header."""
    more = block[482]
    while more:
        more = read(source, at, BLOCK, "the map of a sparse file")[504]
        at += BLOCK
    return at


def _extension(head: _Header, source: Source, at: int, limits: Limits) -> bytes:
    """The content of a header that extends the next one."""
    if head.size > limits.text_file:
        text = f"an extended header of {head.size} bytes, over text_file"
        raise LimitError(text, file=source.name, at=at)
    return bytes(read(source, at, head.size, "an extended header of the archive"))


def _pax(data: bytes, source: Source, at: int) -> dict[str, str]:
    """The records of a pax header: `LENGTH KEY=VALUE` and a line's end, LENGTH of all of it."""
    found, done = dict[str, str](), 0
    while done < len(data):
        match = _PAX.match(data, done)
        length = int(match[1]) if match else 0
        stop = done + length
        if match is None or stop > len(data) or stop <= match.end() or data[stop - 1] != 0x0A:
            raise CorruptError("an extended header that is none", file=source.name, at=at + done)
        value = data[match.end() : stop - 1]
        found[match[2].decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        done = stop
    return found


def stands(member: Member, source: Source) -> None:
    """TruncatedError where the archive ends inside of `member`."""
    if member.at + member.size > source.size:
        missing = member.at + member.size - source.size
        text = f"the archive ends {missing} bytes before the end of {member.name!r}"
        raise TruncatedError(text, file=source.name, at=source.size)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _number(field: bytes) -> int | None:
    """Octal digits, or 88 bits in base 256 behind a set top bit; None for neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    return int(digits, 8) if re.fullmatch(rb"[0-7]{1,12}", digits) else None


def _summed(block: bytes) -> bool:
    """Whether a header has the sum of its bytes, those of the sum taken as spaces."""
    told = _number(block[148:156])
    return told is not None and told == sum(block) - sum(block[148:156]) + 8 * 0x20


def header(name: str, size: int) -> bytes:
    """The header of a plain file of at most 100 bytes of name, owned by nobody, without a time."""
    told = b"%011o\0" % size if size < OCTAL else b"\x80" + size.to_bytes(11, "big")
    fields = (
        name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", told,
        b"00000000000\0", b" " * 8, b"0", bytes(100), b"ustar\x0000",
    )  # fmt: skip
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
