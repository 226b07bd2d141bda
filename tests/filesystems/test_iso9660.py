"""The reader on volumes made byte by byte: shapes that real writers make seldom or never."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import pytest

from diskimage.errors import (
    CorruptError,
    DiskImageError,
    LimitError,
    MissingError,
    TruncatedError,
    UnsupportedError,
    UsageError,
)
from diskimage.filesystems import FileSystem, detect, problems
from diskimage.filesystems.iso9660_author import author
from diskimage.limits import LIMITS, Limits
from diskimage.model import Source
from diskimage.sources.memory import MemorySource
from tests.makers.isotree import ER, SP, XA, Dir, Entries, File, both, ce, nm, px, sl, susp, volume

REGULAR, DIRECTORY, LINK = stat.S_IFREG | 0o640, stat.S_IFDIR | 0o750, stat.S_IFLNK | 0o777
ROCK = SP + b"\0" + px(DIRECTORY) + ER


class Told:
    """Warnings, kept."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def __call__(self, kind: str, message: str, at: int | None) -> None:
        assert message
        assert at is None or at >= 0
        self.kinds.append(kind)


def opened(data: bytes, warn: Told | None = None, limits: Limits = LIMITS) -> FileSystem:
    found = detect(MemorySource(data), limits, warn)
    assert found is not None
    return found


def content(files: FileSystem, path: str) -> bytes:
    source = files.open(path)
    buffer = bytearray(source.size)
    assert source.read_into(0, memoryview(buffer)) == source.size
    return bytes(buffer)


def names(files: FileSystem, path: str = "/") -> list[str]:
    return [entry.name for entry in files.iterdir(path)]


@pytest.mark.parametrize("block", [512, 1024, 2048])
def test_every_size_of_block(block: int) -> None:
    many: Entries = {f"F{i:03}.TXT;1": File(bytes([i]) * (i * 37)) for i in range(120)}
    data = volume(Dir({"D": Dir(many), "A.TXT;1": File(b"text")}), block=block)
    files = opened(data)
    assert files.info["block"] == block
    assert names(files) == ["A.TXT", "D"]
    assert content(files, "/A.TXT") == b"text"
    assert names(files, "/D") == [f"F{i:03}.TXT" for i in range(120)]
    assert all(content(files, f"/D/F{i:03}.TXT") == bytes([i]) * (i * 37) for i in range(120))


@pytest.mark.parametrize("block", [0, 1, 256, 1000, 4096, 65535])
def test_no_other_size_of_block(block: int) -> None:
    data = bytearray(volume(Dir()))
    at = 16 * 2048 + 128
    data[at : at + 4] = block.to_bytes(2, "little") + block.to_bytes(2, "big")
    with pytest.raises(CorruptError):
        opened(bytes(data))


def test_a_file_of_several_extents_is_their_concatenation() -> None:
    body = bytes(range(256)) * 40
    files = opened(volume(Dir({"A.BIN;1": File(body, cuts=(2048, 3000, 3000, 9000))})))
    (entry,) = files.iterdir()
    assert entry.size == len(body)
    assert len(entry.extents) > 1
    assert content(files, "/A.BIN") == body
    source = files.open("/A.BIN")
    for at in range(0, len(body), 997):
        piece = bytearray(1500)
        got = source.read_into(at, memoryview(piece))
        assert bytes(piece[:got]) == body[at : at + 1500]
    spans = list(source.spans(100, 9500))
    assert spans[0][0] == 100
    assert spans[-1][1] == 9500
    assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_content_begins_behind_an_extended_attribute_record() -> None:
    assert content(opened(volume(Dir({"A": File(b"text", attributes=2)}))), "/A") == b"text"


def test_plain_names_lose_version_one_and_a_final_dot() -> None:
    root = Dir({"A.;1": File(b"1"), "B.TXT;1": File(b"2"), "C.TXT;7": File(b"3"), "D": File(b"4")})
    assert names(opened(volume(root))) == ["A", "B.TXT", "C.TXT;7", "D"]


def test_associated_files_are_left_out_with_a_warning() -> None:
    told = Told()
    root = Dir({"A;1": File(b"fork", flags=4), "B;1": File(b"file"), "C;1": File(b"", flags=1)})
    files = opened(volume(root), told)
    assert [(e.name, e.hidden) for e in files.iterdir()] == [("B", False), ("C", True)]
    assert told.kinds == ["unsupported"]


def test_joliet_is_preferred_to_plain_names_and_both_can_be_chosen() -> None:
    wide = Dir({"Ünï £.txt;1".encode("utf-16-be"): File(b"wide")})
    files = opened(volume(Dir({"UNI.TXT;1": File(b"plain")}), joliet=wide))
    assert files.trees == ("joliet", "plain")
    assert names(files) == ["Ünï £.txt"]
    assert content(files.using("plain"), "UNI.TXT") == b"plain"
    with pytest.raises(UsageError):
        files.using("rock-ridge")


DEVICE = susp(b"PN", both(0, 4) + both(259, 4))


def rock(name: bytes, mode: int = REGULAR, *more: bytes) -> bytes:
    return px(mode, 1000, 100) + nm(name) + b"".join(more)


def test_rock_ridge_tells_everything() -> None:
    times = susp(b"TF", bytes([0x0E]) + bytes([101, 3, 4, 5, 6, 7, 0]) * 3)
    root = Dir(
        {
            "A.;1": File(b"text", system=rock(b"a name", REGULAR | stat.S_ISUID, times)),
            "L.;1": File(system=rock(b"link", LINK, sl((4, b""), (0, b"etc")))),
            "N.;1": File(system=rock(b"null", stat.S_IFCHR | 0o666, DEVICE)),
            "P.;1": File(system=rock(b"pipe", stat.S_IFIFO | 0o600)),
            "S.;1": File(system=rock(b"socket", stat.S_IFSOCK | 0o600)),
        },
        dot=ROCK,
    )
    told = Told()
    files = opened(volume(root), told)
    assert files.trees == ("rock-ridge", "plain")
    by_name = {entry.name: entry for entry in files.iterdir()}
    file = by_name["a name"]
    assert (file.mode, file.uid, file.gid, file.mtime) == (0o4640, 1000, 100, 983682367.0)
    assert by_name["link"].target == "../etc"
    assert by_name["null"].device == (1, 3)
    assert [by_name[n].kind for n in ("null", "pipe", "socket")] == ["char", "fifo", "socket"]
    assert told.kinds == []


@pytest.mark.parametrize("skip", [14, 0])
def test_entries_come_behind_the_attributes_of_an_xa_disc(skip: int) -> None:
    """With the 14 bytes told by SP, and on discs whose author forgot to."""
    root = Dir(
        {"A.;1": File(b"text", system=XA + rock(b"aXAb"))},
        dot=XA + SP + bytes([skip]) + px(DIRECTORY) + ER,
    )
    assert names(opened(volume(root, xa=True))) == ["aXAb"]


def test_xa_attributes_without_rock_ridge() -> None:
    root = Dir({"A.;1": File(b"text", system=XA)}, dot=XA)
    assert opened(volume(root, xa=True)).trees == ("plain",)


def test_a_name_that_looks_like_xa_attributes() -> None:
    root = Dir({"A.;1": File(b"text", system=nm(b"aXAb") + px(REGULAR))}, dot=ROCK)
    assert names(opened(volume(root))) == ["aXAb"]


def test_names_of_bytes_that_are_no_text_survive() -> None:
    root = Dir({"A.;1": File(b"text", system=rock(b"caf\xe9"))}, dot=ROCK)
    (entry,) = opened(volume(root)).iterdir()
    assert entry.name.encode("utf-8", "surrogateescape") == b"caf\xe9"


def test_a_directory_that_was_moved_stands_where_it_belongs() -> None:
    deep = Dir({"F.;1": File(b"deep", system=rock(b"f"))}, system=rock(b"deep", DIRECTORY))
    deep.system += susp(b"RE", b"")
    here = File(system=rock(b"here", DIRECTORY, susp(b"CL", bytes(8))))
    root = Dir({"D": deep, "M.;1": here}, dot=ROCK)
    block = opened(volume(root)).using("plain").stat("/D").extents[0][0] // 2048
    here.system = rock(b"here", DIRECTORY, susp(b"CL", both(block, 4)))
    data = volume(root)
    files = opened(data)
    assert [(e.name, e.kind) for e in files.iterdir()] == [("here", "dir")]
    at = files.stat("/here").extents[0][0]
    assert data[at + 33] == 0  # a directory's own record has the name 00
    assert content(files, "/here/f") == b"deep"


FAULTS: dict[str, tuple[File, type[DiskImageError]]] = {
    "interleaved": (File(b"x", unit=1, system=rock(b"a")), UnsupportedError),
    "sparse": (File(b"x", system=rock(b"a", REGULAR, susp(b"SF", bytes(17)))), UnsupportedError),
    "open": (File(b"x", flags=0x80, system=rock(b"a")), CorruptError),
    "areas": (File(b"x", system=rock(b"a", REGULAR, ce(40, 2000, 100))), CorruptError),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_entry_is_listed_with_a_warning_and_not_read(name: str) -> None:
    node, error = FAULTS[name]
    told = Told()
    root = Dir({"A.;1": node, "B.;1": File(b"fine", system=rock(b"fine"))}, dot=ROCK)
    files = opened(volume(root), told)
    assert {"a"} <= set(names(files)) <= {"a", "fine"}
    assert len(told.kinds) == 1
    with pytest.raises(error):
        files.open("/a")
    if name != "open":
        assert content(files, "/fine") == b"fine"


def test_a_file_on_another_disc_of_the_set() -> None:
    data = bytearray(volume(Dir({"A": File(b"text")})))
    at = 16 * 2048 + 120
    data[at : at + 8] = bytes([2, 0, 0, 2, 2, 0, 0, 2])  # this is disc 2 of 2
    with pytest.raises(MissingError):
        opened(bytes(data)).open("/A")


def test_a_short_file_is_truncated_where_it_is_short() -> None:
    out = BytesIO()
    author({"a": bytes(range(256)) * 100}, out)  # its files come behind its directories
    cut = out.getvalue().index(bytes(range(256)) * 100) + 10000
    told = Told()
    files = opened(out.getvalue()[:cut], told)
    source = files.open("/a")
    assert source.read_into(0, memoryview(bytearray(10000))) == 10000
    with pytest.raises(TruncatedError):
        source.read_into(5000, memoryview(bytearray(10000)))
    assert told.kinds == ["truncated"]


class Counting:
    """A source that says what was read of it."""

    fd: int | None = None
    name = "<counted>"

    def __init__(self, source: Source) -> None:
        self._source = source
        self.size = source.size
        self.bytes = 0

    def read_into(self, at: int, buffer: memoryview) -> int:
        self.bytes += len(buffer)
        return self._source.read_into(at, buffer)

    def spans(self, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        return self._source.spans(at, stop)

    def close(self) -> None:
        self._source.close()


def test_opening_reads_no_tree() -> None:
    many: Entries = {
        f"D{i:03}": Dir({f"F{j:03}": File(b"x") for j in range(60)}) for i in range(60)
    }
    source = Counting(MemorySource(volume(Dir(many))))
    files = detect(source)
    assert files is not None
    assert source.bytes < 16 * 1024
    files.stat("/D059/F059")
    assert source.bytes < 40 * 1024
    assert sum(1 for _ in files.walk()) == 60 * 61


def nested(depth: int) -> Dir:
    node = Dir()
    for _ in range(depth):
        node = Dir({"D": node})
    return node


def test_limits_name_themselves() -> None:
    wide = volume(Dir({f"F{i:03}": File() for i in range(50)}))
    long = volume(Dir({"A.;1": File(system=rock(b"x" * 99))}, dot=ROCK))
    link = File(system=rock(b"l", LINK, sl((0, b"x" * 99))))
    for data, limit in (
        (wide, "directory_entries"),
        (wide, "directory_bytes"),
        (volume(nested(40)), "directory_depth"),
        (volume(nested(40)), "path_bytes"),
        (long, "path_bytes"),
        (volume(Dir({"L.;1": link}, dot=ROCK)), "link_target"),
    ):
        small = replace(LIMITS, **{limit: 30})
        with pytest.raises(LimitError):
            [entry for _, entry in opened(data, limits=small).walk() if raised(entry.fault)]


def raised(fault: DiskImageError | None) -> bool:
    """Raise the fault of an entry, if it has one."""
    if fault is not None:
        raise fault
    return True


def test_what_is_no_iso() -> None:
    assert detect(MemorySource(bytes(65536))) is None
    assert detect(MemorySource(b"short")) is None
    assert list(problems(MemorySource(bytes(65536)))) == []


SOUND = volume(Dir({"A.;1": File(b"text", system=rock(b"a"))}, dot=ROCK))


def test_a_sound_volume_has_no_problems() -> None:
    assert list(problems(MemorySource(SOUND))) == []


@pytest.mark.parametrize(
    ("at", "value", "kind"),
    [
        (80, 200, "corrupt"),  # volume space size, one of the two orders
        (80, None, "truncated"),  # both
        (132, None, "limit"),  # path table size
        (140, 64, "corrupt"),  # place of the path table
        (156 + 25, 0, "corrupt"),  # the root is no directory
        (156 + 2, 1, "corrupt"),  # block of the root
    ],
)
def test_a_wrong_field_is_a_problem(at: int, value: int | None, kind: str) -> None:
    data = bytearray(SOUND)
    place = 16 * 2048 + at
    if value is None:
        data[place : place + 8] = b"\x7f" * 8
    else:
        data[place] = value
    assert kind in {finding.kind for finding in problems(MemorySource(bytes(data)))}


@pytest.mark.parametrize("value", [0x00, 0x7F, 0x80, 0xFF])
def test_any_byte_of_the_metadata_may_be_wrong(value: int) -> None:
    """Every byte of descriptors, directories and path tables: a result, or one library error."""
    data = bytearray(SOUND)
    places = [i for i in range(16 * 2048, len(data)) if data[i] or i % 64 == 0]
    for place in places:
        kept, data[place] = data[place], value
        source = MemorySource(bytes(data))
        list(problems(source))
        with suppress(DiskImageError):
            files = detect(source)
            if files is not None:
                list(read_all(files))
        data[place] = kept


def read_all(files: FileSystem) -> Iterator[bytes]:
    """The first bytes of every file."""
    for _, entry in files.walk():
        if entry.kind == "file":
            source = files.open(entry)
            buffer = bytearray(min(source.size, 4096))
            source.read_into(0, memoryview(buffer))
            yield bytes(buffer)


def test_a_volume_that_counts_from_elsewhere_is_refused() -> None:
    """A session cut out of its disc: every extent points to the wrong place."""
    data = volume(Dir({"A": File(bytes(range(256)) * 64)}))
    shifted = data[: 48 * 2048] + bytes(2048) + data[48 * 2048 :]
    told = Told()
    with pytest.raises(CorruptError):
        names(opened(shifted, told))
    assert told.kinds == ["corrupt"]


def test_a_session_in_a_whole_disc_is_read_by_its_sector() -> None:
    """Extents count from the start of the disc, descriptors from the start of the session."""
    data = bytearray(volume(Dir({"A": File(b"text")})))
    head = bytes(data[16 * 2048 : 20 * 2048])
    data[16 * 2048 : 20 * 2048] = bytes(4 * 2048)
    data[40 * 2048 : 44 * 2048] = head
    source = MemorySource(bytes(data))
    assert detect(source) is None
    files = detect(source, base=24)
    assert files is not None
    assert content(files, "/A") == b"text"
