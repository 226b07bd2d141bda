"""Raw: holes, sets, and writing in place, against the file itself."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from diskimage import image
from diskimage.errors import MissingError, UnsupportedError, UsageError
from diskimage.formats.raw import open_raw
from diskimage.layers.series import is_first, next_suffixes, series
from diskimage.model import Kind
from diskimage.sources.memory import MemorySource
from tests.makers.gate import OpenGate
from tests.makers.raw import make

MIB = 1 << 20


def test_holes_take_no_space_and_written_zeros_do(tmp_path: Path) -> None:
    path = make(tmp_path / "a.img", 4 * MIB, {MIB: bytes(MIB), 3 * MIB: b"x" * 4096})
    with image.open(path) as opened:
        rows = [(e.start, e.length, e.kind, e.hole) for e in opened.extents()]
    stored = sum(length for _, length, kind, _ in rows if kind == Kind.DATA)
    assert stored == MIB + 4096
    assert all(hole for _, _, kind, hole in rows if kind == Kind.ZERO)


def test_writing_in_place_is_writing_the_file(tmp_path: Path) -> None:
    path = make(tmp_path / "a.img", MIB, {4096: b"old " * 1024})
    model, draw = bytearray(path.read_bytes()), random.Random(3)
    with image.open(path, mode="r+") as opened:
        for _ in range(200):
            start = draw.randrange(MIB)
            length = draw.randint(0, min(9000, MIB - start))
            if draw.random() < 0.5:
                data = draw.randbytes(length)
                assert opened.write(start, data) == length
                model[start : start + length] = data
            else:
                opened.zero(start, length)
                model[start : start + length] = bytes(length)
            at = draw.randrange(MIB)
            assert opened.read(at, 5000) == model[at : at + 5000]
        opened.flush()
    assert path.read_bytes() == model


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.img", MIB, {})
    with image.open(path) as opened, pytest.raises(UsageError, match="not open for writing"):
        opened.write(0, b"x")
    with image.open(path, mode="r+") as opened:
        for start, data in ((-1, b"x"), (MIB, b"x"), (MIB - 1, b"xy")):
            with pytest.raises(UsageError, match="outside"):
                opened.write(start, data)
    with pytest.raises(UnsupportedError, match="written in place"):
        image.open(b"in memory" * 100, format="raw", mode="r+")
    (tmp_path / "b.001").write_bytes(b"1" * 512)
    (tmp_path / "b.002").write_bytes(b"2" * 512)
    with pytest.raises(UnsupportedError, match="set of parts"):
        image.open(tmp_path / "b.001", mode="r+")


@pytest.mark.parametrize(
    ("names", "opened"),
    [
        (["a.000", "a.001", "a.002"], "a.000"),
        (["a.001", "a.002", "a.003"], "a.001"),
        (["a.aa", "a.ab", "a.ac"], "a.aa"),
    ],
)
def test_a_set_is_its_parts_joined(names: list[str], opened: str, tmp_path: Path) -> None:
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(bytes([number + 65]) * 512)
    (tmp_path / "a.txt").write_text("a log beside the set")
    with image.open(tmp_path / opened) as whole:
        assert whole.read(0, 4096) == b"A" * 512 + b"B" * 512 + b"C" * 512
        assert [r.name for r in whole.references] == names[1:]


def test_holes_and_bytes_of_a_set_are_where_they_are_in_its_parts(tmp_path: Path) -> None:
    make(tmp_path / "a.001", 2 * MIB, {0: b"x" * 65536})
    make(tmp_path / "a.002", 2 * MIB, {MIB: b"y" * 65536})
    with image.open(tmp_path / "a.001") as opened:
        rows = [(e.start, e.stop, e.kind, e.at) for e in opened.extents()]
        assert opened.read(3 * MIB - 1, 2) == b"\0y"
    assert [row for row in rows if row[2] == Kind.DATA] == [
        (0, 65536, Kind.DATA, 0), (3 * MIB, 3 * MIB + 65536, Kind.DATA, MIB),
    ]  # fmt: skip
    assert sum(stop - start for start, stop, _, _ in rows) == 4 * MIB


def test_only_the_first_of_a_set_looks_beside_it() -> None:
    class Asked(OpenGate):
        def siblings(self) -> tuple[str, ...]:
            raise AssertionError("the directory was read")

    assert open_raw(MemorySource(bytes(512), "a.img"), Asked()).size == 512
    with pytest.raises(AssertionError):
        open_raw(MemorySource(bytes(512), "a.001"), Asked())


def test_a_gap_in_a_set_is_named(tmp_path: Path) -> None:
    for name in ("a.001", "a.002", "a.004"):
        (tmp_path / name).write_bytes(bytes(512))
    with pytest.raises(MissingError, match=r"a\.003 is missing"):
        image.open(tmp_path / "a.001")


def test_suffixes_follow_one_another() -> None:
    told = {
        s: next_suffixes(s) for s in ("001", "009", "999", "aa", "az", "AZ", "yz", "zz", "zaaa")
    }
    assert list(told.values()) == [
        ("002",), ("010",), ("1000",), ("ab",), ("ba",), ("BA",), ("za", "zaaa"), (), ("zaab",),
    ]  # fmt: skip
    assert next_suffixes("zyzz") == ("zzaa", "zzaaaa")
    assert [s for s in ("000", "001", "002", "aa", "ab", "a", "1", "img") if is_first(s)] == [
        "000", "001", "aa",
    ]  # fmt: skip


def test_a_set_goes_on_where_its_width_ends() -> None:
    numbers = [f"a.{n:03}" for n in range(1, 1010)]
    assert series("a.001", tuple(reversed(numbers)), 9999) == numbers[1:]
    with pytest.raises(MissingError, match=r"a\.1000 is missing, a\.1009 is there"):
        series("a.001", tuple(one for one in numbers if one != "a.1000"), 9999)
    assert series("a.001", ("a.001", "a.002", "a.0003"), 9999) == ["a.002"]


def test_sets_of_gnu_split_grow(tmp_path: Path, peer: Callable[[str], str]) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(b"".join(b"%511d\n" % n for n in range(1400)))
    subprocess.run([peer("split"), "-b", "512", whole, tmp_path / "a."], check=True)
    assert (tmp_path / "a.zaaa").exists()
    (tmp_path / "a.conf").write_bytes(b"no part")
    with image.open(tmp_path / "a.aa") as opened:
        assert opened.read(0, opened.size) == whole.read_bytes()
    (tmp_path / "a.zaab").unlink()
    with pytest.raises(MissingError, match=r"a\.zaab is missing"):
        image.open(tmp_path / "a.aa")
