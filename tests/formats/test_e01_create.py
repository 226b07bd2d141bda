"""E01 files of ours, read by libewf and by a reader that is written from the layout alone."""

from __future__ import annotations

import hashlib
import random
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import diskimage
from diskimage.errors import UsageError
from diskimage.formats.e01 import FORMAT
from diskimage.formats.e01.create import full
from diskimage.model import Extent, Kind
from diskimage.sources.memory import MemorySource
from tests.makers.e01 import content
from tests.makers.executor import image_of
from tests.makers.naive import Rows

NOISE = random.Random(8).randbytes(3 << 20)
CONTENT = content(300) + bytes(200 << 10) + NOISE + content(77) + bytes(1536)


def rows(data: bytes) -> Rows:
    source = MemorySource(data)
    return Rows([Extent(0, len(data), Kind.DATA, source=source)] if data else [])


def right(data: bytes) -> bytes:
    """A structure without the Adler-32 that it ends in."""
    assert struct.pack("<I", zlib.adler32(data[:-4])) == data[-4:]
    return data[:-4]


def sections(image: bytes, number: int) -> Iterator[tuple[str, int, bytes]]:
    """Kind, place and content of the sections of segment `number`."""
    assert image[:13] == b"EVF\x09\x0d\x0a\xff\0\x01" + struct.pack("<HH", number, 0)
    at = 13
    while True:
        head = right(image[at : at + 76])
        kind = head[:16].rstrip(b"\0").decode()
        following, size = struct.unpack_from("<QQ", head, 16)
        if kind in ("next", "done"):
            assert (following, at + 76) == (at, len(image))
            yield kind, at, b""
            return
        assert following == at + size
        yield kind, at, image[at + 76 : following]
        at = following


def unpacked(files: list[bytes]) -> tuple[bytes, set[bool], list[str]]:
    """The guest, which ways of storing chunks there are, and the kinds of sections."""
    guest, ways, kinds = b"", set(), []
    volume = table = b""
    stored = (0, b"")
    for number, image in enumerate(files, 1):
        for kind, at, body in sections(image, number):
            kinds.append(kind)
            if kind in ("volume", "data"):
                assert not volume or body == volume
                volume = body
            elif kind == "sectors":
                stored = at + 76, body
            elif kind == "table":
                table = body
                some, found = chunks(image, body, stored)
                guest += some
                ways |= found
            elif kind == "table2":
                assert body == table
            elif kind == "digest":
                assert (
                    right(body)[:36] == hashlib.md5(guest).digest() + hashlib.sha1(guest).digest()
                )
            elif kind == "hash":
                assert right(body)[:16] == hashlib.md5(guest).digest()
    count, per_chunk, sector, sectors = struct.unpack_from("<IIIQ", right(volume), 4)
    assert len(guest) == sectors * sector
    assert count == -(-sectors // per_chunk)
    return guest, ways, kinds


def chunks(image: bytes, body: bytes, sectors: tuple[int, bytes]) -> tuple[bytes, set[bool]]:
    """What the chunks of a table hold, and which ways of storing them there are."""
    count, zero, base, more = struct.unpack("<IIQI", right(body[:24]))
    assert not zero
    assert not more
    assert count <= 16375
    entries = struct.unpack(f"<{count}I", right(body[24:]))
    begin, data = sectors
    places = [base + (entry & 0x7FFFFFFF) for entry in entries] + [begin + len(data)]
    assert places[0] == begin
    guest, ways = b"", set()
    for entry, at, end in zip(entries, places, places[1:], strict=False):
        coded = bool(entry >> 31)
        ways.add(coded)
        guest += zlib.decompress(image[at:end]) if coded else right(image[at:end])
    return guest, ways


def written(target: Path, data: bytes, **options: str) -> list[bytes]:
    """The files that `data` becomes, in order."""
    raw = target.with_name("source.raw")
    raw.write_bytes(data)
    diskimage.convert(raw, target, options=options)
    return [path.read_bytes() for path in sorted(target.parent.glob(f"{target.stem}.E*"))]


@pytest.mark.parametrize(
    ("options", "ways"),
    [
        ({}, {True, False}),
        ({"level": "0"}, {False}),
        ({"level": "12", "chunk": "16K"}, {True, False}),
        ({"chunk": "1M", "segment_size": "0"}, {True, False}),
        ({"segment_size": "1M"}, {True, False}),
        ({"segment_size": "1M", "level": "0", "chunk": "64K"}, {False}),
    ],
)
def test_every_way_reads_as_the_layout_says(
    options: dict[str, str], ways: set[bool], tmp_path: Path
) -> None:
    files = written(tmp_path / "a.E01", CONTENT, **options)
    guest, found, kinds = unpacked(files)
    assert (guest, found) == (CONTENT, ways)
    assert kinds[:4] == ["header2", "header2", "header", "volume"]
    assert kinds[-3:] == ["digest", "hash", "done"]
    assert kinds.count("next") == len(files) - 1
    if options.get("segment_size") == "1M":
        assert len(files) >= 4
        assert max(map(len, files)) <= 1 << 20
    with diskimage.open(tmp_path / "a.E01") as image:
        assert image.read(0, image.size) == CONTENT
    assert diskimage.check(tmp_path / "a.E01").ok
    most = full(len(CONTENT), **options)
    assert sum(map(len, files)) <= most


def test_nothing_is_an_image_too() -> None:
    assert FORMAT.create is not None
    guest, _, kinds = unpacked([image_of(FORMAT.create(rows(b""), "a"))])
    assert guest == b""
    assert "sectors" not in kinds


def test_texts_are_in_both_headers(tmp_path: Path) -> None:
    case = {"case_number": "7/26", "examiner": "A. Münster", "notes": "two words"}
    (image,) = written(tmp_path / "a.E01", CONTENT[:5120], **case)
    found = {kind: body for kind, _, body in sections(image, 1)}
    new = zlib.decompress(found["header2"]).decode("utf-16").split("\n")
    told = dict(zip(new[2].split("\t"), new[3].split("\t"), strict=True))
    assert (told["c"], told["e"], told["t"]) == ("7/26", "A. Münster", "two words")
    old = zlib.decompress(found["header"]).decode("ascii").split("\r\n")
    assert dict(zip(old[2].split("\t"), old[3].split("\t"), strict=True))["e"] == "A. M?nster"


@pytest.mark.parametrize(
    "options",
    [
        {"level": "13"}, {"level": "x"}, {"chunk": "20K"}, {"chunk": "8K"}, {"chunk": "2M"},
        {"segment_size": "100K"}, {"segment_size": "x"}, {"notes": "a\tb"}, {"examiner": "a\nb"},
    ],
)  # fmt: skip
def test_options_are_judged_before_the_first_byte(options: dict[str, str]) -> None:
    assert FORMAT.create is not None
    with pytest.raises(UsageError):
        next(FORMAT.create(rows(CONTENT), "a", **options))


@pytest.mark.parametrize("options", [{}, {"level": "0"}, {"segment_size": "1M", "level": "9"}])
def test_ewfverify_and_ewfinfo_accept_it(
    options: dict[str, str], tmp_path: Path, peer: Callable[[str], str]
) -> None:
    verify, info = peer("ewfverify"), peer("ewfinfo")
    written(tmp_path / "a.E01", CONTENT, case_number="7", notes="seen", **options)
    done = subprocess.run(
        [verify, "-q", "-d", "sha1", tmp_path / "a.E01"], capture_output=True, text=True, check=True
    )
    assert "SUCCESS" in done.stdout + done.stderr
    assert hashlib.md5(CONTENT).hexdigest() in done.stdout
    assert hashlib.sha1(CONTENT).hexdigest() in done.stdout
    told = subprocess.run([info, tmp_path / "a.E01"], capture_output=True, text=True, check=True)
    lines = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in told.stdout.splitlines())
    }
    assert lines["Case number"] == "7"
    assert lines["Notes"] == "seen"
    assert lines["Number of sectors"] == str(len(CONTENT) // 512)
    assert lines["MD5"] == hashlib.md5(CONTENT).hexdigest()


@pytest.mark.parametrize("kind", ["encase2", "encase5", "encase6", "linen6", "ftk", "smart", "ewf"])
@pytest.mark.parametrize("level", ["none", "fast"])
def test_what_ewfacquire_writes_reads_right(
    kind: str, level: str, tmp_path: Path, peer: Callable[[str], str]
) -> None:
    raw = tmp_path / "a.raw"
    raw.write_bytes(CONTENT)
    subprocess.run(
        [peer("ewfacquire"), "-u", "-q", "-f", kind, "-c", level, "-S", "1MiB", "-t",
         tmp_path / "a", raw],
        capture_output=True, check=True,
    )  # fmt: skip
    (first,) = [path for path in tmp_path.iterdir() if path.suffix.lower() in (".e01", ".s01")]
    with diskimage.open(first) as image:
        assert image.info["segments"] != 1
        assert image.read(0, image.size) == CONTENT
    assert diskimage.check(first).ok
