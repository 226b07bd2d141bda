"""AFF4 containers: codecs, maps, symbols, sets, hashes, and what is refused."""

from __future__ import annotations

import hashlib
import io
import lzma
import struct
import zipfile
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import image
from diskimage.codecs import snappy
from diskimage.codecs.snappy import decoded
from diskimage.errors import CorruptError, DiskImageError
from diskimage.formats.aff4.turtle import Iri, Literal, graph
from diskimage.jobs.check import check
from diskimage.limits import LIMITS
from diskimage.model import Kind
from diskimage.sources.memory import MemorySource
from tests.formats import pyaff4
from tests.makers import aff4
from tests.makers.aff4 import (
    CHUNK,
    MAP,
    SCHEMA,
    STREAM,
    container,
    mapped,
    said_of_image,
    said_of_stream,
    stream,
    text,
)

Peer = Callable[[str], str]


def put(folder: Path, content: bytes, name: str = "a.aff4") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def kind_of(path: Path, **how: object) -> str:
    with pytest.raises(DiskImageError) as caught, image.open(path, **how) as opened:  # type: ignore[arg-type]  # keywords of every sort
        opened.read(0, opened.size)
    return caught.value.kind


def test_the_archive_of_the_maker_is_one_for_the_standard_library() -> None:
    for wide in (True, False):
        content, _ = aff4.linear(aff4.SNAPPY, wide=wide)
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            assert opened.testzip() is None
            assert opened.comment == aff4.VOLUME.encode()


def test_archives_of_the_standard_library_are_read(tmp_path: Path) -> None:
    guest = text(9 * CHUNK, "zip")
    said = aff4.HEAD + said_of_image(guest, STREAM) + said_of_stream(len(guest), aff4.ZLIB)
    path = tmp_path / "a.aff4"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("information.turtle", said, zipfile.ZIP_DEFLATED)
        for name, data in stream(guest, aff4.ZLIB).items():
            with made.open(name, "w", force_zip64=True) as member:
                member.write(data)
        made.comment = aff4.VOLUME.encode()
    with image.open(path) as opened:
        assert opened.read(0, opened.size) == guest


@pytest.mark.parametrize("method", [aff4.SNAPPY, aff4.LZ4, aff4.ZLIB, aff4.DEFLATE, ""])
@pytest.mark.parametrize("pad", [True, False])
def test_every_codec_and_hash_holds(method: str, pad: bool, tmp_path: Path) -> None:
    content, guest = aff4.linear(method, pad=pad)
    path = put(tmp_path, content)
    with image.open(path) as opened:
        assert opened.read(0, opened.size) == guest
        assert opened.info["md5"] == hashlib.md5(guest).hexdigest()
        assert opened.info["tool"] == "maker"
        assert opened.warnings == ()
    found = check(path)
    assert found.ok, found.problems
    assert {v.part: v.status for v in found.verdicts}["whole"] == "intact"


def test_what_its_metadata_says_is_held(tmp_path: Path) -> None:
    content, guest = aff4.linear("")
    wrong = hashlib.md5(guest).hexdigest()
    said = (said_of_image(guest) + said_of_stream(len(guest))).replace(wrong, "0" * 32)
    segments = mapped([(0, len(guest), 0, 0)], [STREAM])
    path = put(tmp_path, container(said, stream(guest), segments))
    assert [(p.kind, p.part) for p in check(path).problems] == [("checksum", "whole")]
    said = said.replace("0" * 32, wrong)
    said += f'<{MAP}> aff4:mapIdxHash "{"1" * 64}"^^aff4:SHA256 .\n'
    path = put(tmp_path, container(said, stream(guest), segments))
    assert [(p.kind, p.part) for p in check(path).problems] == [("checksum", "structure")]
    assert content


def test_a_flipped_byte_of_a_chunk_is_found_by_each_sum(tmp_path: Path) -> None:
    content, _ = aff4.linear("")
    at = content.index(b"some words some")
    changed = bytearray(content)
    changed[at] ^= 1
    found = check(put(tmp_path, bytes(changed)))
    messages = " ".join(p.message for p in found.problems)
    assert all(word in messages for word in ("CRC of bevy 0", "another md5", "another sha1"))
    assert {p.part for p in found.problems} == {"chunks"}


def test_what_could_not_be_read_is_bad_and_counted_as_its_text(tmp_path: Path) -> None:
    stored = text(2 * CHUNK, "bad")
    size = 3 * CHUNK
    filler = (b"UNREADABLEDATA" * 400)[:CHUNK]
    hashed = stored + filler
    said = said_of_image(hashed) + said_of_stream(len(stored))
    rows = [(0, 2 * CHUNK, 0, 0), (2 * CHUNK, CHUNK, 0, 1)]
    made = container(said, stream(stored), mapped(rows, [STREAM, SCHEMA + "UnreadableData"]))
    path = put(tmp_path, made)
    with image.open(path) as opened:
        assert opened.size == size
        assert [(e.kind, e.start, e.length) for e in opened.extents()][-1] == (
            Kind.BAD, 2 * CHUNK, CHUNK
        )  # fmt: skip
        assert opened.read(0, 2 * CHUNK) == stored
    assert kind_of(path) == "io"
    assert [p.kind for p in check(path).problems] == ["io"]  # and its hashes hold


def test_a_repeated_text_begins_again_at_each_mebibyte(tmp_path: Path) -> None:
    size, begin = 3 << 20, (1 << 20) - 10
    tile = (b"UNKNOWN" * ((1 << 20) // 7 + 1))[: 1 << 20]
    rows = [(0, size - begin, begin, 0)]
    said = f"<{MAP}> a aff4:Map ; aff4:size {size - begin} ."
    made = container(said, mapped(rows, [SCHEMA + "UnknownData"]))
    with image.open(put(tmp_path, made)) as opened:
        assert opened.read(0, opened.size) == (tile * 3)[begin:]
        assert [finding.kind for finding in opened.warnings] == ["unknown"]
        assert opened.info["unknown"] == size - begin


def test_gaps_are_what_the_map_says(tmp_path: Path) -> None:
    said = f"<{MAP}> a aff4:Map ; aff4:size 3000 ; aff4:mapGapDefaultStream aff4:SymbolicStreamA5 ."
    made = container(said, mapped([(1000, 1000, 0, 0)], [SCHEMA + "Zero"]))
    with image.open(put(tmp_path, made)) as opened:
        assert opened.read(0, 3000) == b"\xa5" * 1000 + bytes(1000) + b"\xa5" * 1000


def test_a_set_of_containers_is_one_image(tmp_path: Path) -> None:
    one, two, other = text(4 * CHUNK, "one"), text(4 * CHUNK, "two"), "aff4://EEEE-2"
    rows = [(i * CHUNK, CHUNK, i // 2 * CHUNK, i % 2) for i in range(8)]
    guest = b"".join((one, two)[i % 2][i // 2 * CHUNK :][:CHUNK] for i in range(8))
    said = said_of_image(guest)
    said += f"<{MAP}> aff4:dependentStream <{STREAM}> , <{other}> .\n"
    segments = mapped(rows, [STREAM, other])
    first = container(said + said_of_stream(len(one)), stream(one), segments)
    second = container(said + said_of_stream(len(two), urn=other), stream(two, urn=other), segments)
    path = put(tmp_path, first, "a_1.aff4")
    assert kind_of(path) == "missing"
    put(tmp_path, b"PK\3\4 no archive", "a_0.aff4")
    put(tmp_path, second, "a_2.aff4")
    for name in ("a_1.aff4", "a_2.aff4"):
        with image.open(tmp_path / name) as opened:
            assert opened.read(0, opened.size) == guest
            assert opened.info["volumes"] == 2
            assert [w.kind for w in opened.warnings] in (["part"], ["part", "part"])
    assert kind_of(path, references="none") == "missing"


@pytest.mark.parametrize("coded", [pyaff4.STREAM, pyaff4.MAP], ids=["stream", "map"])
def test_containers_of_pyaff4_are_read(coded: str, tmp_path: Path) -> None:
    path = put(tmp_path, lzma.decompress(b64decode(coded)))
    with image.open(path) as opened:
        assert opened.read(0, opened.size) == pyaff4.GUEST
    assert check(path).ok


def test_lz4_behind_a_size_is_read(tmp_path: Path) -> None:
    """As pyaff4 writes it, though it does not read it."""
    zeros = bytes(CHUNK)
    pieces = [struct.pack("<I", CHUNK) + aff4.lz4(zeros)] * 3
    members = {
        f"{aff4.path(STREAM)}/00000000": b"".join(pieces),
        f"{aff4.path(STREAM)}/00000000.index": b"".join(
            struct.pack("<QI", n * len(pieces[0]), len(pieces[0])) for n in range(3)
        ),
    }
    said = said_of_stream(3 * CHUNK, aff4.LZ4)
    with image.open(put(tmp_path, container(said, members))) as opened:
        assert opened.read(0, opened.size) == zeros * 3


@pytest.mark.parametrize("name", [
    SCHEMA + "SymbolicStream5a", "http://afflib.org/2012/SymbolicStream#5A",
    "http://afflib.org/2009/aff4#5A", "http://afflib.org/2009/aff4#SymbolicStream5A",
])  # fmt: skip
def test_symbols_have_several_names(name: str, tmp_path: Path) -> None:
    made = container(f"<{MAP}> a aff4:Map ; aff4:size 99 .", mapped([(0, 99, 0, 0)], [name]))
    with image.open(put(tmp_path, made)) as opened:
        assert opened.read(0, 99) == b"Z" * 99


@pytest.mark.parametrize("first", ["from 0", "from 1"])
def test_containers_of_before_the_standard_are_read(first: str, tmp_path: Path) -> None:
    guest = text(9 * CHUNK + 512, "old")
    said = f"""<{STREAM}> a <http://afflib.org/2009/aff4#stream> ;
      <http://afflib.org/2009/aff4#size> "{len(guest)}" ;
      <http://afflib.org/2009/aff4#chunkSize> "{CHUNK}" ;
      <http://afflib.org/2009/aff4#chunksInSegment> "4" ;
      <http://afflib.org/2009/aff4#CompressionMethod> <{aff4.SNAPPY}> .
    <{MAP}> a <http://afflib.org/2009/aff4#map> ;
      <http://afflib.org/2009/aff4#size> "{len(guest)}" ."""
    made = container(said, stream(guest, aff4.SNAPPY, old=first),
                     mapped([(0, len(guest), 0, 0)], [STREAM]))  # fmt: skip
    with image.open(put(tmp_path, made, "a.af4")) as opened:
        assert opened.read(0, opened.size) == guest


def test_one_of_several_images_is_asked_for(tmp_path: Path) -> None:
    one, two, other = text(CHUNK, "1"), text(2 * CHUNK, "2"), "aff4://other"
    said = said_of_image(one, STREAM) + said_of_stream(len(one))
    said += f"<aff4://second> a aff4:DiskImage ; aff4:dataStream <{other}> .\n"
    said += said_of_stream(len(two), urn=other)
    path = put(tmp_path, container(said, stream(one), stream(two, urn=other)))
    with pytest.raises(DiskImageError) as caught:
        image.open(path)
    assert caught.value.kind == "usage"
    assert "aff4://second" in str(caught.value)
    for asked, guest in ((1, one), ("aff4://second", two), ("2", two)):
        with image.open(path, image=asked) as opened:
            assert opened.read(0, opened.size) == guest
    assert kind_of(path, image="3") == "usage"
    assert check(path, open_options={"image": 1}).ok


GUEST = text(5 * CHUNK, "wrong")
ONE = said_of_image(GUEST)
ROW = [(0, len(GUEST), 0, 0)]


def built(said: str, rows: list[aff4.Row] = ROW, targets: tuple[str, ...] = (STREAM,)) -> bytes:
    return container(said, stream(GUEST), mapped(rows, targets))


REFUSED = {
    "no metadata": (aff4.archive({"a": b"b"}), "unsupported"),
    "no Turtle": (built("this is { no turtle"), "corrupt"),
    "an unknown prefix": (built("<a> x:y 1 ."), "corrupt"),
    "no image": (built("<a:b> a aff4:Other ."), "unsupported"),
    "files": (built("<a:b> a aff4:FileImage, aff4:Image ; aff4:dataStream <a:c> ."), "unsupported"),
    "encrypted": (built("<a:b> a aff4:EncryptedStream ."), "unsupported"),
    "an unknown codec": (built(ONE + said_of_stream(len(GUEST), "http://a/b")), "unsupported"),
    "no size": (built(ONE + f"<{STREAM}> a aff4:ImageStream ; aff4:chunkSize 4096 ."), "corrupt"),
    "no chunk": (built(ONE + said_of_stream(len(GUEST), chunk=0)), "limit"),
    "a large chunk": (built(ONE + said_of_stream(len(GUEST), chunk=1 << 40)), "limit"),
    "a huge stream": (built(ONE + said_of_stream((1 << 63) - 1)), "limit"),
    "a size that is none": (built(ONE + f'<{STREAM}> a aff4:ImageStream ; aff4:chunkSize 4096;'
                                  ' aff4:size "many" .'), "corrupt"),
    "more chunks than bevies": (built(ONE + said_of_stream(90 * CHUNK), [(0, 90 * CHUNK, 0, 0)]),
                                "corrupt"),
    "past the stream": (built(ONE + said_of_stream(len(GUEST)), [(0, len(GUEST), 1, 0)]),
                        "truncated"),
    "no such target": (built(ONE + said_of_stream(len(GUEST)), [(0, 9, 0, 1)]), "corrupt"),
    "overlap": (built(ONE + said_of_stream(len(GUEST)), [(0, 9, 0, 0), (8, 9, 0, 0)]), "corrupt"),
    "past 63 bits": (built(ONE + said_of_stream(len(GUEST)), [(1 << 63, 9, 0, 0)]), "corrupt"),
    "a map of itself": (built(ONE, ROW, (MAP,)), "loop"),
    "a stream elsewhere": (built(ONE, ROW, ("aff4://nowhere",)), "missing"),
    "a deep node": (built("<a:b> a " + "[ a " * 40 + "<c:d>" + "]" * 40 + " ."), "corrupt"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "kind"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_wrong_has_its_kind(content: bytes, kind: str, tmp_path: Path) -> None:
    assert kind_of(put(tmp_path, content)) == kind


def test_metadata_with_a_wrong_sum_is_refused(tmp_path: Path) -> None:
    content, _ = aff4.sparse()
    at = content.index(b"PK\1\2")
    for _ in range(2, 99):
        name = content[at + 46 : at + 46 + 18]
        if name == b"information.turtle":
            break
        at = content.index(b"PK\1\2", at + 4)
    changed = bytearray(content)
    changed[at + 16] ^= 1
    assert kind_of(put(tmp_path, bytes(changed))) == "checksum"


def test_a_cut_archive_is_no_archive(tmp_path: Path) -> None:
    content, _ = aff4.sparse()
    for cut in (len(content) // 2, len(content) - 1):
        assert kind_of(put(tmp_path, content[:cut])) in ("corrupt", "truncated", "unsupported")


def test_a_zip_of_other_things_is_no_container(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("disk.img", bytes(5000))
    with pytest.raises(DiskImageError) as caught:
        image.open(path)
    assert caught.value.kind == "unsupported"
    assert "zip archive" in str(caught.value)


def test_files_as_evidence_are_refused_by_name(shared: Path) -> None:
    with pytest.raises(DiskImageError) as caught:
        image.open(shared / "corpus/misc/pyaff4__dream.aff4")
    assert caught.value.kind == "unsupported"
    assert "logical" in str(caught.value)


def test_turtle_is_read_as_it_is_written() -> None:
    said = r"""
    @base <http://b/> . PREFIX p: <http://p/>
    p:s a p:T ; p:x "a \"b\" é\n" , 'c' , 1.5 , -2e3 , true , p:o.o ;; p:y "t"^^p:Type .
    <rel> p:n [ p:deep "v"@en-GB ; p:more [] ] . # the end
    [ p:alone 1 ] .
    _:b1 p:z _:b2 ."""
    found = graph(said, MemorySource(b""), LIMITS)
    one = found["http://p/s"]
    assert one["http://p/x"] == [
        Literal('a "b" é\n'), Literal("c"), Literal("1.5"), Literal("-2e3"), Literal("true"),
        Iri("http://p/o.o"),
    ]  # fmt: skip
    assert one["http://p/y"] == [Literal("t", "http://p/Type")]
    inner = found["http://b/rel"]["http://p/n"][0]
    assert found[inner.value]["http://p/deep"] == [Literal("v")]
    assert found["_:b1"]["http://p/z"] == [Iri("_:b2")]


def test_turtle_without_an_end_is_refused_at_once() -> None:
    """Texts that a pattern which goes back would be read again and again for."""
    for tail in ("#" * 300_000 + "\n{", '"' * 200_001, "'" * 200_002, '"""' + 'a"' * 100_000,
                 "[ a " * 100_000, "_:" * 100_000):  # fmt: skip
        with pytest.raises(CorruptError):
            graph(aff4.HEAD + tail, MemorySource(b""), LIMITS)
    assert graph(aff4.HEAD + "#" * 300_000, MemorySource(b""), LIMITS) == {}


def test_snappy_is_decoded_with_and_without_the_wheel() -> None:
    vectors = {
        b"\x00": b"",
        b"\x05\x10hello": b"hello",
        b"\x0c\x04ab\x26\x02\x00": b"ab" * 6,  # a copy of two bytes of distance, overlapping
        b"\x08\x0cabcd\x01\x04": b"abcdabcd",  # a copy of one
        b"\x08\x0cabcd\x0f\x04\x00\x00\x00": b"abcdabcd",  # a copy of four
        bytes([0xC8, 0x01, 0xF0, 0xC7]) + b"x" * 200: b"x" * 200,  # a literal of a length behind
    }
    for coded, plain in vectors.items():
        assert bytes(snappy().decode(memoryview(coded), len(plain))) == plain
        start = 2 if coded[0] >= 0x80 else 1
        assert bytes(decoded(memoryview(coded[start:]), len(plain))) == plain
    for wrong in (b"\x05\x10hell", b"\x08\x0cabcd\x01\x05", b"\x08\x0cabcd\x01\x00",
                  b"\x04\x10hello", b"\x09\x0cabcd\x01\x04", b"\xff\xff\xff\xff\xff",
                  b"\x05\x12h"):  # fmt: skip
        with pytest.raises(CorruptError):
            snappy().decode(memoryview(wrong), wrong[0])
        with pytest.raises(CorruptError):
            decoded(memoryview(wrong[1:]), wrong[0])
